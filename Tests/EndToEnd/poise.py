"""One running `poise`: started from a configuration text, ended with TERM, and judged by how it ended."""
import json
import os
import pathlib
import re
import signal
import subprocess
import threading

from deadline import PATIENCE, Deadline

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("POISE_BIN", str(ROOT / ".build/release/poise"))
SANITIZED = bool(os.environ.get("POISE_SANITIZED"))
# What a process says that did not end by its own will, or that a sanitizer stopped.
CRASH = re.compile(r"Fatal error|Program crashed|Illegal instruction|Sanitizer|Precondition failed|Assertion failed"
                   r"|stack traceback|Thread \d+ crashed|Segmentation fault")
READY = re.compile(r"""ready listener=(?P<name>"[^"]+"|\S+) address=(?P<address>\S+)$""")


class Poise:
    """Writes `text` to a file in `folder`, runs it, and waits for the line `ready`."""

    def __init__(self, folder, text, arguments=None, environment=None, **process):
        self.folder = pathlib.Path(folder)
        self.file = self.folder / "poise.yaml"
        self.file.write_text(text)
        # Each process its own, so that tests may run side by side.
        self.admin = self.folder / "admin.sock"
        self.lines = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            [process.pop("binary", BINARY)] + (arguments or ["run", str(self.file)]), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder, **process,
            env=os.environ | {"SWIFT_BACKTRACE": "enable=no", "POISE_ADMIN": str(self.admin)} | (environment or {}))
        self.readers = [threading.Thread(target=self._read, args=(s, pipe), daemon=True)
                        for s, pipe in (("out", self.process.stdout), ("err", self.process.stderr))]
        for reader in self.readers:
            reader.start()
        # name → [(host, port)]; a unix socket is (path, None)
        self.addresses = {}

    def wait_ready(self):
        self.wait_line(lambda line: line == "ready", "the line `ready`")
        for line in self.output():
            if match := READY.search(line):
                host, _, port = match["address"].rpartition(":")
                self.addresses.setdefault(match["name"], []).append(
                    (match["address"].removeprefix("unix:"), None) if match["address"].startswith("unix:")
                    else (host.strip("[]"), int(port)))
        assert self.addresses, f"no `ready listener=` line:\n{self.text()}"
        return self

    @property
    def port(self):
        """The port of the first listener."""
        return next(iter(self.addresses.values()))[0][1]

    def port_of(self, name):
        return self.addresses[name][0][1]

    def _read(self, stream, pipe):
        for raw in pipe:
            with self.changed:
                self.lines.append((stream, raw.decode("utf-8", "replace").rstrip("\n")))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def output(self, stream=None):
        with self.changed:
            return [line for s, line in self.lines if stream in (None, s)]

    def text(self):
        return "\n".join(self.output())

    def wait_line(self, matches, what, seconds=None):
        """Waits for a line of output and returns it; fails at once when the process has ended without it."""
        def found():
            return next((line for _, line in self.lines if matches(line)), None)
        deadline = Deadline(seconds or PATIENCE * 2)
        with self.changed:
            while (line := found()) is None:
                ended = self.process.poll() is not None and not any(r.is_alive() for r in self.readers)
                text = "\n".join(line for _, line in self.lines)
                assert not ended, f"poise ended with {self.process.returncode} before {what}:\n{text}"
                assert not deadline.passed(), f"not within the deadline: {what}\n{text}"
                self.changed.wait(0.05)
            return line

    def records(self):
        """Access log records so far (JSON lines)."""
        found = []
        for line in self.output("out"):
            if line.startswith("{"):
                found.append(json.loads(line))
        return found

    def wait_record(self, seconds=None, **wanted):
        """Waits for an access log record with these values and returns it."""
        def matches(line):
            if not line.startswith("{"):
                return False
            record = json.loads(line)
            return all(record.get(k) == v for k, v in wanted.items())
        return json.loads(self.wait_line(matches, f"an access record with {wanted}", seconds))

    def memory(self, key="VmRSS"):
        """Bytes; VmHWM is the most it ever had. 0 under a sanitizer, which keeps more than Poise does and for longer."""
        if SANITIZED:
            return 0
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {key}")

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, seconds=None):
        """The exit status. Fails when the process does not end."""
        try:
            status = self.process.wait(seconds or PATIENCE * 2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"poise does not end:\n{self.text()}") from None
        for reader in self.readers:
            reader.join(PATIENCE)
        return status

    def stop(self):
        """TERM; a clean end is part of every test."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        status = self.wait_exit()
        assert not CRASH.search(self.text()), f"a crash:\n{self.text()}"
        assert status == 0, f"ended with {status} instead of 0:\n{self.text()}"

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
