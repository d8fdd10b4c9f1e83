#!/usr/bin/env python3
"""How long a start with 5,000 certificates takes, and a change of one of them, and what they cost in memory.

    Benchmarks/certificates.py .build/release/poise
    Benchmarks/certificates.py .build/release/poise --count 1000 --kind rsa --rounds 5

Each certificate has a name and a file of its own and comes with its issuer; EC ones have a key of their own, RSA ones
share one, which costs Poise the same. Times are from outside: from the start of the process to `ready`, and of `poise
reload` as a whole with one certificate renewed, beside the milliseconds that Poise itself tells; the fastest and the
slowest round.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "Tests" / "EndToEnd"))
import tls  # noqa: E402  (the tests' certificate authority)


def configuration(files, socket):
    lines = ["version: 1", f"process: {{ workers: 2, admin: {{ socket: {socket} }} }}", "listeners:",
             '  - name: web\n    address: "127.0.0.1:0"\n    fixed_response: { status: 200 }']
    if files:
        lines.append("    protocol: HTTPS\n    tls:\n      certificates:")
        lines += [f"        - {{ certificate: {f['certificate']}, key: {f['key']} }}" for f in files]
    return "\n".join(lines) + "\n"


def memory(pid):
    """Resident bytes."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


def start(binary, path, errors):
    """The process and the seconds until it was ready."""
    begin = time.monotonic()
    process = subprocess.Popen([binary, "run", path], stdout=subprocess.PIPE, stderr=errors, text=True)
    for line in process.stdout:
        if line == "ready\n":
            return process, time.monotonic() - begin
    raise SystemExit(f"poise did not start: {pathlib.Path(errors.name).read_text()}")


def stop(process):
    process.terminate()
    process.wait(30)


def show(what, values, unit, scale=1):
    print(f"{what:42} {min(values) * scale:8.1f} to {max(values) * scale:.1f} {unit}")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("binary")
    options.add_argument("--count", type=int, default=5000)
    options.add_argument("--kind", choices=["ec", "rsa"], default="ec")
    options.add_argument("--rounds", type=int, default=3)
    options = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        # An intermediate authority: each file has a chain, as those of public ones have.
        authority = tls.Authority("Issuing", above=tls.Authority())
        files = [authority.issue(f"n{n}.test", f"www.n{n}.test", kind=options.kind, end=90).files(folder, f"n{n}")
                 for n in range(options.count)]
        path, socket = folder / "poise.yaml", folder / "admin.sock"
        starts, sizes, empty, whole, told = [], [], [], [], []
        for _ in range(options.rounds):
            with open(folder / "errors", "w+") as errors:
                path.write_text(configuration([], socket))
                process, _ = start(options.binary, path, errors)
                empty.append(memory(process.pid))
                stop(process)
                path.write_text(configuration(files, socket))
                process, seconds = start(options.binary, path, errors)
                starts.append(seconds)
                sizes.append(memory(process.pid))
                changed = len(files) // 2
                authority.issue(f"n{changed}.test", kind=options.kind, end=90).replace(files[changed])
                begin = time.monotonic()
                subprocess.run([options.binary, "reload", "--admin", socket], check=True, capture_output=True)
                whole.append(time.monotonic() - begin)
                stop(process)
                text = pathlib.Path(errors.name).read_text()
                told.append(int(re.search(r"applied by=reload .* ms=(\d+)", text).group(1)))
                assert text.count("a certificate was renewed") == 1, text
        print(f"{options.count} {options.kind} certificates, {options.rounds} rounds")
        show("start until ready", starts, "ms", 1000)
        show("reload with one changed, as a whole", whole, "ms", 1000)
        show("of which the apply", told, "ms")
        show("memory more than without certificates", [a - b for a, b in zip(sizes, empty)], "MB", 1e-6)
        print(f"{'that is, per certificate':42} {(min(sizes) - min(empty)) / options.count / 1024:8.1f} KB")


if __name__ == "__main__":
    main()
