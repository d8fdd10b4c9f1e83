#!/usr/bin/env python3
"""Big changes under load: how long they take, and how long a worker stands still for them.

    Benchmarks/apply.py --poise .build/release/poise [--groups 1000] [--targets 10] [--rounds 5]

Seen from inside: each worker counts how long its wake-ups last (`poise_worker_turn_duration_seconds`); whoever comes
meanwhile waits that long at most. The figure is the upper bound of the highest bucket that grew during the change.

Seen from outside: eight connections, which the kernel spreads over both workers, each ask for a small answer that Poise
makes itself, one after the other every 2 ms. The longest wait during a change includes what this machine does besides
(client, target, control and two workers share its cores): the same figures without a change stand beside it.
"""
import argparse
import os
import pathlib
import re
import select
import socket
import subprocess
import tempfile
import threading
import time

from lab import enter_namespace, undisturbed
from programs import many_addresses

CONNECTIONS, PAUSE = 8, 0.002
ASK = b"GET / HTTP/1.1\r\nHost: bench.test\r\n\r\n"


def configuration(groups, targets, port, check, timeout=60, extra=0):
    """`groups` groups of `targets` targets, one rule each. `timeout` changes them all, `extra` adds rules on top."""
    rules = "".join(f'      - {{ when: {{ path: ["/x{n}"] }}, fixed_response: {{ status: 204 }} }}\n' for n in range(extra))
    rules += "".join(f'      - {{ when: {{ path: ["/g{n}/*"] }}, forward: g{n} }}\n' for n in range(groups))
    text = ("version: 1\nprocess: { workers: 2 }\nlogs: { access: { destination: \"off\" } }\nlisteners:\n"
            "  - name: web\n    address: 127.0.0.1:0\n" + ("    rules:\n" + rules if rules else "")
            + "    default: { fixed_response: { status: 200, body: here } }\n")
    if groups:
        text += "target_groups:\n"
    for n, addresses in enumerate(many_addresses(groups, targets)):
        written = ", ".join(f'"{address}:{port}"' for address in addresses)
        checked = f"{{ path: /, interval: {check} }}" if check else '"off"'
        text += (f"  - {{ name: g{n}, health_check: {checked}, timeouts: {{ response_idle: {timeout}s }}, "
                 f"targets: [{written}] }}\n")
    return text


class Pings:
    """Asks over all connections at once, every `pause` seconds; remembers each answer's time."""

    def __init__(self, port, pause=PAUSE):
        self.pause = pause
        self.sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
        for sock in self.sockets:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.over, self.waits, self.failure = threading.Event(), [], None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            # Before everything else that runs here, so that it measures the workers and not itself.
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        except OSError:
            pass
        poll = select.epoll()
        asked = {}
        for sock in self.sockets:
            poll.register(sock, select.EPOLLIN)
        by_number = {sock.fileno(): sock for sock in self.sockets}
        try:
            due = time.monotonic()
            while not self.over.is_set():
                now = time.monotonic()
                if now >= due:
                    for number, sock in by_number.items():
                        if number not in asked:
                            asked[number] = time.monotonic()
                            sock.sendall(ASK)
                    due = now + self.pause
                for number, _ in poll.poll(max(0.0, due - time.monotonic())):
                    answer = by_number[number].recv(65536)
                    assert answer.startswith(b"HTTP/1.1 200"), answer
                    now = time.monotonic()
                    self.waits.append((now, now - asked.pop(number)))
        except Exception as error:
            self.failure = error

    def longest(self, begin, end):
        """Milliseconds, over the answers that came between two moments."""
        assert self.failure is None, self.failure
        return max((wait for at, wait in list(self.waits) if begin <= at <= end), default=0.0) * 1000

    def end(self):
        self.over.set()
        self.thread.join()
        for sock in self.sockets:
            sock.close()


def turns(folder):
    """{upper bound in ms: wake-ups of all workers that lasted no longer}"""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(folder / "admin.sock"))
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: poise\r\n\r\n")
        text = b""
        # What concerns the process comes first; the ten thousand targets behind it are not wanted.
        while b"# HELP poise_config_generation" not in text:
            piece = sock.recv(65536)
            assert piece, text[-500:]
            text += piece
    found = {}
    for bound, count in re.findall(r'poise_worker_turn_duration_seconds_bucket\{worker="\d+",le="([^"]+)"\} (\d+)', text.decode()):
        found[float(bound) * 1e3] = found.get(float(bound) * 1e3, 0) + int(count)
    assert found, "no such metric"
    return found


def longest_turn(before, after):
    """The lowest bound, in ms, that no wake-up between two readings exceeded."""
    grown = {bound: after[bound] - before[bound] for bound in after}
    return min(bound for bound in grown if grown[bound] == max(grown.values()))


def started(command, environment):
    """(process, port of its first listener)"""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    port = None
    for line in process.stdout:
        if line.startswith("ready listener="):
            port = int(line.rpartition(":")[2])
        if line.strip() == "ready":
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return process, port
    raise SystemExit(f"{command} did not start")


def measure(poise, groups=1000, targets=10, check="5s", rounds=3):
    """{change: [(seconds that `poise apply` took, longest turn in ms, longest wait in ms) of each round]}"""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="poise-apply-"))
    environment = os.environ | {"POISE_ADMIN": str(folder / "admin.sock")}
    target, port = started([poise, "target", "--listen", "0.0.0.0:0"], environment)

    def write(name, count, **more):
        (folder / name).write_text(configuration(count, targets, port, check, **more))
        return folder / name
    nothing, all_of_it = write("nothing.yaml", 0), write("all.yaml", groups)
    steps = [("add everything", all_of_it), ("one rule on top", write("rule.yaml", groups, extra=1)),
             ("every group changed", write("changed.yaml", groups, timeout=61)), ("remove everything", nothing)]
    process, port = started([poise, "run", str(nothing)], environment)
    figures = {name: [] for name, _ in [("no change", None)] + steps}
    try:
        pings = Pings(port)
        time.sleep(0.3)
        for _ in range(rounds):
            seen, begin = turns(folder), time.monotonic()
            time.sleep(0.5)
            end = time.monotonic()
            figures["no change"].append((0.0, longest_turn(seen, turns(folder)), pings.longest(begin, end)))
            for name, file in steps:
                seen, begin = turns(folder), time.monotonic()
                done = subprocess.run([poise, "apply", str(file)], env=environment, capture_output=True, text=True)
                took = time.monotonic() - begin
                assert done.returncode == 0, done.stderr
                # The workers adopt behind the answer.
                time.sleep(0.3)
                end = time.monotonic()
                figures[name].append((took, longest_turn(seen, turns(folder)), pings.longest(begin, end)))
        pings.end()
    finally:
        for each in (process, target):
            each.terminate()
            each.wait()
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--poise", required=True)
    parser.add_argument("--groups", type=int, default=1000)
    parser.add_argument("--targets", type=int, default=10, help="per group")
    parser.add_argument("--check", default="5s", help="interval of the health checks; '' for none")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    enter_namespace()
    undisturbed()
    print(f"{arguments.groups} groups of {arguments.targets} targets, two workers, checks every {arguments.check or 'never'}")
    print(f"{'change':22} {'poise apply, s':>16} {'longest turn, ms':>18} {'longest wait, ms':>18}"
          f"   (median, worst of {arguments.rounds})")
    for name, values in measure(**vars(arguments)).items():
        middle = len(values) // 2
        took, turn, wait = (sorted(column) for column in zip(*values))
        print(f"{name:22} {took[middle]:8.2f} {took[-1]:7.2f} {turn[middle]:10.1f} {turn[-1]:7.1f}"
              f" {wait[middle]:10.1f} {wait[-1]:7.1f}")


if __name__ == "__main__":
    main()
