#!/usr/bin/env python3
"""House rules that no compiler checks. Prints `file:line: rule` for each breach; exit status 1 when there is one.

    Scripts/lint.py            every file that git knows, from the repository's root
    Scripts/lint.py FILE...    these files
"""
import pathlib
import re
import subprocess
import sys

# Rooms where `unsafe` is at home: bindings and mechanism.
MAY_BE_UNSAFE = {"Bytes", "YAML", "Regex", "Platform", "Loop", "Live", "TLS"}

UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")
# A path under somebody's home belongs to one machine.
HOMES = re.compile(r"(?<![A-Za-z0-9_.~$}])/(?:home|Users|" + "ro" + r"ot)/[A-Za-z0-9]")
IMPORT = re.compile(r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:\w+\s+)?import\s+(?:\w+\s+)?Foundation\w*")
FORBIDDEN = [
    (re.compile(r"\bTask\.detached\b"), "Task.detached leaves the loop"),
    (re.compile(r"\bTask\.sleep\b"), "Task.sleep uses the process's clock, not the loop's"),
    (IMPORT, "the binary carries no Foundation"),
]
UNSAFE = re.compile(r"(?<![\w@.])unsafe(?!\w)|@unchecked\b")
TYPE = re.compile(r"\b(struct|class|enum|extension|actor|protocol)\b")
TOKEN = re.compile(
    r"//[^\n]*|/\*"
    r'|(?P<h3>#*)"""(?:\\.|(?!"""(?P=h3))[\s\S])*?"""(?P=h3)'
    r'|(?P<h1>#+)"(?:(?!"(?P=h1))[^\n])*"(?P=h1)'
    r'|"(?:\\.|[^"\\\n])*"'
)


def code_of(text):
    """`text` with comments and string literals blanked; line breaks stay."""
    out, at = [], 0

    def blank(piece):
        return re.sub(r"[^\n]", " ", piece)

    while True:
        match = TOKEN.search(text, at)
        if not match:
            return "".join(out) + text[at:]
        end = match.end()
        if match.group() == "/*":  # Swift's block comments nest.
            depth = 1
            while depth and end < len(text):
                step = re.compile(r"/\*|\*/").search(text, end)
                if not step:
                    end = len(text)
                    break
                depth += 1 if step.group() == "/*" else -1
                end = step.end()
        out += [text[at:match.start()], blank(text[match.start():end])]
        at = end


def indent(line):
    return len(line) - len(line.lstrip())


def is_explained(lines, code, at):
    """Whether a SAFETY comment answers for line `at`: above it in the same function, or directly above that function or
    its type; for a conformance (`@unchecked`) also right below. Inside of a declaration that is `@unsafe` itself, its callers answer."""
    if "@unchecked" in code[at] and "SAFETY:" in "".join(lines[at + 1:at + 2]):
        return True
    level, directly = indent(lines[at]), True
    for index in range(at, -1, -1):
        line = lines[index]
        if not line.strip():
            # An empty line separates, unless a function around us is still open.
            directly = directly and level > 4
            continue
        if index != at and indent(line) < level and code[index].strip():
            level, directly = indent(line), True  # the head of an enclosing block
            if re.search(r"@unsafe\b", code[index]):
                return True
            if TYPE.search(code[index]) and not re.search(r"\bfunc\b|\binit\b", code[index]):
                # A type may state one invariant for all of its uses, in the comment directly above it.
                above = index
                while above > 0 and re.match(r"\s*(//|@)", lines[above - 1]):
                    above -= 1
                return any("SAFETY:" in comment for comment in lines[above:index])
        if directly and "SAFETY:" in line:
            return True
    return False


def breaches(path, text):
    """(line from 1, rule) for each breach in one file. `path` is relative to the repository's root."""
    found = []
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if UNFINISHED.search(line):
            found.append((number, "unfinished work is written into an issue, not into a file"))
        if HOMES.search(line):
            found.append((number, "a path of one machine"))
    parts = pathlib.PurePosixPath(path).parts
    if path.endswith(".swift") and parts[0] == "Sources":
        code = code_of(text).split("\n")
        room = parts[1]
        for number, line in enumerate(code, 1):
            for pattern, rule in FORBIDDEN:
                if pattern.search(line):
                    found.append((number, rule))
            if UNSAFE.search(line):
                if room not in MAY_BE_UNSAFE:
                    found.append((number, "unsafe code outside of bindings and mechanism"))
                elif not is_explained(lines, code, number - 1):
                    found.append((number, "unsafe code without a SAFETY line"))
    return found


def main(arguments):
    names = arguments or subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    count = 0
    for name in names:
        try:
            text = pathlib.Path(name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue  # a binary seed, or a file that is being removed
        for number, rule in breaches(name, text):
            print(f"{name}:{number}: {rule}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
