"""The lint script finds what it is for, and only that."""
import importlib.util
import pathlib

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "Scripts" / "lint.py"
spec = importlib.util.spec_from_file_location("lint", SCRIPT)
lint = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lint)


def rules(path, text):
    return [line for line, _ in lint.breaches(path, text)]


@pytest.mark.parametrize("path, text, lines", [
    ("Sources/Proxy/A.swift", "import Foundation\n", [1]),
    ("Sources/Proxy/A.swift", "internal import struct FoundationEssentials.Data\n", [1]),
    ("Sources/Control/A.swift", "\nTask.detached { }\n", [2]),
    ("Sources/Control/A.swift", "try await Task.sleep(for: .seconds(1))\n", [1]),
    ("Sources/HTTP/A.swift", "let a = unsafe b\n", [1]),
    ("Sources/HTTP/A.swift", "extension A: @unchecked Sendable {}\n", [1]),
    ("Sources/Loop/A.swift", "let a = unsafe b\n", [1]),
    ("Sources/Loop/A.swift", "// SAFETY: far away\n\nlet a = unsafe b\n", [3]),
    ("Sources/Loop/A.swift", "// SAFETY: for B\nstruct B {}\n\nstruct A {\n    func f() {\n        unsafe g()\n    }\n}\n", [6]),
    ("Sources/Loop/A.swift", "struct A {\n    // SAFETY: here.\n    func f() { unsafe g() }\n\n    func h() {\n        unsafe g()\n    }\n}\n", [6]),
    ("Sources/Loop/A.swift", "let s = \"// SAFETY\"; unsafe g()\n", [1]),
    ("Sources/HTTP/A.swift", "let s = \"/*\"; unsafe g()\n", [1]),
    ("docs/a.md", "TO" + "DO: write this\n", [1]),
    ("Makefile", "X = /ho" + "me/someone/x\n", [1]),
    ("Scripts/a.sh", "cd /ro" + "ot/x\n", [1]),
])
def test_finds_a_breach(path, text, lines):
    assert rules(path, text) == lines


@pytest.mark.parametrize("path, text", [
    ("Sources/HTTP/A.swift", "// import Foundation; unsafe; Task.sleep\nlet a = \"unsafe\"\n"),
    ("Sources/HTTP/A.swift", "let a = \"\"\"\n    unsafe \"x\" Task.detached\n    \"\"\"\n"),
    ("Sources/HTTP/A.swift", "let a = #\"say \"unsafe\"\"#\nlet unsafeCount = 1\n"),
    ("Sources/HTTP/A.swift", "/* a /* unsafe */ unsafe */ let a = 1\n"),
    ("Sources/Loop/A.swift", "// SAFETY: b outlives a.\nlet a = unsafe b\n"),
    ("Sources/Loop/A.swift", "let a = unsafe b  // SAFETY: b outlives a.\n"),
    ("Sources/Loop/A.swift", "// SAFETY: once.\nlet a = unsafe b {\n    unsafe c\n}\n"),
    ("Sources/Loop/A.swift", "// SAFETY: the caller owns p.\nfunc f() {\n    let a = 1\n\n    unsafe g(a)\n}\n"),
    ("Sources/Loop/A.swift", "struct A: @unchecked Sendable {\n    // SAFETY: b is guarded.\n    let b = 1\n}\n"),
    ("Sources/Loop/A.swift", "/// SAFETY: for all.\nstruct A {\n    func f() {\n        unsafe g()\n    }\n}\n"),
    ("Sources/Loop/A.swift", "@unsafe func f() {\n    let a = unsafe b\n}\n"),
    ("Sources/Loop/A.swift", "struct A {\n    func f() {\n        // SAFETY: once.\n        unsafe g()\n\n        unsafe g()\n    }\n}\n"),
    ("Tests/LoopTests/A.swift", "import Foundation\nlet a = unsafe b\n"),
    ("docs/a.md", "https://example.org/home/page and ~/home/x\n"),
])
def test_accepts(path, text):
    assert rules(path, text) == []
