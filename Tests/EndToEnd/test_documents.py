"""Every piece of configuration in the documents is one that `poise check` accepts."""
import json
import os
import re
import subprocess

import pytest

from poise import BINARY, ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
KEY = re.compile(r"([a-z_0-9]+):(?: |$)", re.MULTILINE)
# What a machine of the reader's has, and this one does not.
PATH = re.compile(r"(?<![\w/])/(?:etc|usr/local|run)/[^\s\"',\]}]+")
ENVIRONMENT = {"ZONE": "eu-1a"}
TARGETS = '["10.0.0.1:80", "10.0.0.2:80"]'


def blocks(text):
    """(line, text) of each ```yaml block, and of each indented one that begins with a key."""
    found = []

    def take(match, content):
        found.append((text.count("\n", 0, match.start()) + 1, content))

    def without_fence(match):
        if match[1] == "yaml":
            take(match, match[2])
        return re.sub(r"[^\n]", "`", match[0])
    rest = re.sub(r"^```(\w*)\n(.*?)^```$", without_fence, text, flags=re.MULTILINE | re.DOTALL)
    for match in re.finditer(r"(?<=\n\n)(?:    .*\n)+", rest):
        if KEY.match(match[0].strip()):
            take(match, re.sub("^    ", "", match[0], flags=re.MULTILINE))
    return found


def alternatives(text):
    """A block with a key twice shows two ways to write it: each of them."""
    parts = re.split(r"^(?=[a-z_0-9]+:)", text, flags=re.MULTILINE)
    parts = [part for part in parts if part]
    keys = [KEY.match(part)[1] for part in parts if KEY.match(part)]
    return [text] if len(set(keys)) == len(keys) else parts


CASES = [pytest.param(text, id=f"{path.relative_to(ROOT)}:{line}" + (f", way {n + 1}" if n else ""))
         for path in DOCUMENTS for line, block in blocks(path.read_text()) for n, text in enumerate(alternatives(block))]


@pytest.fixture(scope="module")
def keys():
    """The keys of the whole file, of a target group and of a listener."""
    done = subprocess.run([BINARY, "schema"], capture_output=True, text=True, timeout=30, check=True)
    schema = json.loads(done.stdout)

    def properties(node):
        while "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
        return node["properties"]

    whole = properties(schema)
    return whole, properties(whole["target_groups"]["items"]), properties(whole["listeners"]["items"])


def completed(text, keys):
    """The smallest configuration around `text`."""
    whole, group, listener = keys
    first = KEY.match(next(line for line in text.splitlines() if not line.startswith("#")))[1]
    if first not in whole:
        of_group = first in group
        assert of_group or first in listener, f"{first} is a key of nothing"
        inner = "".join("    " + line + "\n" for line in text.splitlines())
        return (f"listeners:\n  - address: 127.0.0.1:0\n    forward: {'app' if of_group else TARGETS}\n"
                + (f"target_groups:\n  - name: app\n    targets: {TARGETS}\n" if of_group else "") + inner)
    if not re.search("^listeners:", text, re.MULTILINE):
        name = re.search(r"name: ([\w-]+)", text[text.find("target_groups:"):]) if "target_groups:" in text else None
        text += f"listeners:\n  - address: 127.0.0.1:0\n    forward: {name[1] if name else TARGETS}\n"
    return text


def with_files(text, folder):
    """`text` with its paths below `folder`, where a file is at each that names one."""
    def moved(match):
        path = folder / match[0].lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if "{" not in match[0]:
            path.write_text("#!/bin/sh\n")
            path.chmod(0o700)
        return str(path)
    return PATH.sub(moved, text)


def test_there_are_pieces():
    assert len(CASES) > 15


@pytest.mark.parametrize("text", CASES)
def test_a_piece_of_configuration_is_valid(tmp_path, keys, text):
    file = tmp_path / "poise.yaml"
    file.write_text(with_files(completed(text, keys), tmp_path))
    done = subprocess.run([BINARY, "check", file], capture_output=True, text=True, timeout=30, env=os.environ | ENVIRONMENT)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{file.read_text()}"
