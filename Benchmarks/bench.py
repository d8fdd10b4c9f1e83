#!/usr/bin/env python3
"""Poise beside HAProxy and nginx on this machine. Needs (Debian): haproxy nginx wrk nghttp2-client strace valgrind.

    Benchmarks/bench.py --poise .build/release/poise --write docs/benchmarks.md
    Benchmarks/bench.py --programs haproxy,nginx --cases h1_1k --rounds 3      # without Poise
    Benchmarks/bench.py --list

Rounds alternate (A B C A B C …); a ratio compares within one round, where the noise of the machine is shared, against
the better of the peers; what is printed is the median over rounds and its range.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

import abuse
import apply
import failing
import report
from lab import PAGES, Lab, ask, conditions, enter_namespace, family, proportional_set, run_time, secure_context
from programs import HAProxy, Nginx, Poise

SPREAD = 'local n = 0\nfunction request()\n  n = n + 1\n  return wrk.format("GET", "/g" .. (n % 1000) .. "/x")\nend\n'


class Case:
    """`run(bench)` returns rows for the report; `target` is what Poise has to reach."""

    def __init__(self, name, what, target, run):
        self.name, self.what, self.target, self.run = name, what, target, run


def traffic(path, connections=64, close=False, rate=None):
    """CPU time per request of every program under the same load, round by round."""
    def run(bench):
        def load_for(running):
            def load(seconds):
                if rate and seconds is None:
                    return bench.lab.steady_load(running.port, path, connections, rate)
                return bench.lab.load(running.port, path, connections, close, seconds)
            return load
        with bench.all_running() as programs:
            return {"kind": "traffic", "bulk": PAGES[path] >= 1 << 20, "rounds": bench.rounds(
                {name: (running, load_for(running)) for name, running in programs.items()})}
    return run


def secure(load, path="/1k", **options):
    """The same over TLS: `load(lab, port, seconds)` returns what one measurement counted."""
    def run(bench):
        with bench.all_running(tls=True, **options) as programs:
            return {"kind": "traffic", "bulk": PAGES[path] >= 1 << 20, "rounds": bench.rounds(
                {name: (running, lambda seconds, port=running.secure_port: load(bench.lab, port, seconds))
                 for name, running in programs.items()})}
    return run


def secure_traffic(path, connections):
    return secure(lambda lab, port, seconds: lab.load(port, path, connections, seconds=seconds, scheme="https"), path)


def secure_memory(bench):
    """PSS after one request over TLS, and with idle connections that each had one."""
    rows = {}
    for program in bench.programs:
        running = bench.lab.start(program, tls=True)
        try:
            kept, count = [], 2000
            for _ in range(1 + count):
                sock = secure_context().wrap_socket(socket.create_connection(("127.0.0.1", running.secure_port)))
                sock.sendall(b"GET /1k HTTP/1.1\r\nHost: bench\r\n\r\n")
                got = b""
                while len(got.partition(b"\r\n\r\n")[2]) < 1024:
                    got += sock.recv(65536)
                kept.append(sock)
                if len(kept) == 1:  # tables that the first connection brings are not its price
                    idle = proportional_set(running.process.pid)
            time.sleep(1)  # programs that give memory back do so after the event
            rows[program.name] = {"idle": idle, "connections": count, "held": proportional_set(running.process.pid)}
            for sock in kept:
                sock.close()
        finally:
            running.stop()
    return {"kind": "secure memory", "rows": rows}


def memory(bench):
    """PSS after one request, and with idle connections that each had one."""
    rows = {}
    for program in bench.programs:
        running = bench.lab.start(program)
        try:
            ask(running.port)
            idle = proportional_set(running.process.pid)
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            count = min(9000, (limit - 1000) // 2)
            kept = []
            for n in range(count):
                sock = socket.socket()
                sock.bind((f"127.0.1.{1 + n // 3000}", 0))
                sock.connect(("127.0.0.1", running.port))
                sock.sendall(b"GET /1k HTTP/1.1\r\nHost: bench\r\n\r\n")
                got = b""
                while len(got.partition(b"\r\n\r\n")[2]) < 1024:
                    got += sock.recv(65536)
                kept.append(sock)
            time.sleep(1)  # programs that give memory back do so after the event
            rows[program.name] = {"idle": idle, "connections": count, "held": proportional_set(running.process.pid)}
            for sock in kept:
                sock.close()
        finally:
            running.stop()
    return {"kind": "memory", "rows": rows}


def start(bench):
    """Milliseconds from the start of the process to the first answer through it."""
    rows = {}
    for _ in range(5):
        for program in bench.programs:
            running = bench.lab.start(program)
            running.stop()
            rows.setdefault(program.name, []).append(running.started * 1e3)
    return {"kind": "start", "rows": rows}


def reload(bench):
    """A changed configuration under full load: when it answers, and what the load lost meanwhile."""
    rows = {}
    for _ in range(3):
        for program in bench.programs:
            running = bench.lab.start(program)
            try:
                result = {}
                load = threading.Thread(target=lambda: result.update(bench.lab.load(running.port, "/1k", 32, seconds=3)))
                load.start()
                time.sleep(0.8)
                running.values["GEN"] = 2
                running.write()
                began = time.perf_counter()
                running.process.send_signal(getattr(signal, "SIG" + program.reload))
                while True:
                    with contextlib.suppress(OSError):
                        if ask(running.gen_port, "/").endswith(b"gen2"):
                            break
                    if time.perf_counter() - began > 5:
                        break
                    time.sleep(0.0005)
                took = (time.perf_counter() - began) * 1e3
                load.join()
                rows.setdefault(program.name, []).append(
                    {"ms": took, "errors": result["errors"], "requests": result["requests"]})
            finally:
                running.stop()
    return {"kind": "reload", "rows": rows}


def system_calls(bench):
    """System calls per keep-alive request (strace -c: slower than life, so batches are a little larger)."""
    rows = {}
    for program in bench.programs:
        running = bench.lab.start(program)
        try:
            bench.lab.load(running.port, "/1k", 64, seconds=1)
            out = running.folder / "strace"
            attach = [word for pid in family(running.process.pid) for word in ("-p", str(pid))]
            tracer = subprocess.Popen(["strace", "-c", "-f", "-U", "calls,name", "-o", out, *attach],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.5)
            requests = bench.lab.load(running.port, "/1k", 64, seconds=2)["requests"]
            tracer.send_signal(signal.SIGINT)
            tracer.wait()
            calls = {m[2]: int(m[1]) / requests for m in re.finditer(r"^\s*(\d+)\s+([a-z]\w*)\s*$", out.read_text(), re.M)
                     if m[2] != "total"}
            rows[program.name] = calls
        finally:
            running.stop()
    return {"kind": "calls", "rows": rows}


def instructions(bench):
    """User-space instructions per keep-alive request: callgrind over 1,200 requests less callgrind over 200."""
    program = bench.poise
    if not program:
        return None
    stripped = bench.lab.folder / "poise-stripped"
    subprocess.run(["strip", "-o", stripped, program.binary], check=True)
    counted = {}
    for requests in (200, 1200):
        out = bench.lab.folder / f"callgrind-{requests}"
        running = bench.lab.start(Poise(str(stripped)), prefix=["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"])
        try:
            with socket.create_connection(("127.0.0.1", running.port), 30) as sock:
                for _ in range(requests):
                    sock.sendall(b"GET /1k HTTP/1.1\r\nHost: bench\r\nUser-Agent: callgrind\r\nAccept: */*\r\n\r\n")
                    got = b""
                    while len(got.partition(b"\r\n\r\n")[2]) < 1024:
                        got += sock.recv(65536)
        finally:
            running.process.send_signal(signal.SIGTERM)
            running.process.wait(60)
            running.stop()
        counted[requests] = int(re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.M)[1])
    return {"kind": "instructions", "rows": {"poise": (counted[1200] - counted[200]) / 1000}}


def groups(bench):
    """1,000 groups of 10 targets each, the load spread over all of them, against one group under the same load."""
    running = {}
    try:
        for program in bench.programs:
            if program.name != "nginx":
                running[program.name + " 1,000 groups"] = bench.lab.start(program, groups=1000, targets=10)
        if bench.poise:
            running["poise 1 group"] = bench.lab.start(bench.poise)
        loads = {name: (r, lambda s, r=r: bench.lab.load(r.port, "/g0/x", 64, seconds=s, lua=SPREAD)) for name, r in running.items()}
        return {"kind": "groups", "rounds": bench.rounds(loads)}
    finally:
        for one in running.values():
            one.stop()


def probing(bench):
    """Share of one core that probing 10,000 targets by HTTP every 5 s takes, without any traffic."""
    rows = {}
    for program in bench.programs:
        if program.name == "nginx":
            continue  # has no active checks
        running = bench.lab.start(program, groups=1000, targets=10, probe="5s")
        try:
            time.sleep(6)  # the first probes of all, at once
            before, began = run_time(running.process.pid), time.perf_counter()
            time.sleep(10)
            rows[program.name] = (run_time(running.process.pid) - before) / 1e9 / (time.perf_counter() - began)
        finally:
            running.stop()
    return {"kind": "probing", "rows": rows}


def big_apply(bench):
    """10,000 targets in 1,000 groups, probed, with two workers: how long changes take, and how long a worker stands still."""
    if not bench.poise:
        return None
    return {"kind": "apply", "rows": {"poise": apply.measure(bench.poise.binary, rounds=bench.count)}}


def dying(bench):
    """10,000 targets, 5 % of them dead at any moment: what is missed, what it costs, how long a worker stands still."""
    if not bench.poise or os.environ.get("POISE_BENCH") != "namespace":
        return None
    return {"kind": "failing", "rows": {"poise": failing.measure(bench.poise.binary)}}


def abused(bench):
    """What a fresh connection every 50 ms feels while four others attack for 3 s, and what memory that takes."""
    return {"kind": "abuse", "rows": abuse.run(bench.lab, bench.programs, 3)}


def access_log(bench):
    """What the access log adds to a request."""
    if not bench.poise:
        return None
    on = bench.lab.start(bench.poise, access_log="@DIR@/access.log")
    off = bench.lab.start(bench.poise)
    try:
        return {"kind": "log", "rounds": bench.rounds(
            {name: (r, lambda s, r=r: bench.lab.load(r.port, "/1k", 64, seconds=s)) for name, r in (("on", on), ("off", off))})}
    finally:
        on.stop()
        off.stop()


CASES = [
    Case("h1_1k", "HTTP/1.1 keep-alive, 1 KiB, 64 connections", {"ratio": 0.95}, traffic("/1k")),
    Case("h1_0", "HTTP/1.1 keep-alive, empty body", {"ratio": 0.92}, traffic("/0")),
    Case("h1_16k", "HTTP/1.1 keep-alive, 16 KiB", {"ratio": 0.85}, traffic("/16k")),
    Case("h1_close", "a connection per request, 1 KiB", {"ratio": 1.00}, traffic("/1k", close=True)),
    Case("bulk_1m", "bodies of 1 MiB, 8 connections", {"ratio": 0.75}, traffic("/1m", connections=8)),
    Case("lat8k", "8,000 requests per second over 32 connections", {"ratio": 1.05, "p99": 1.25},
         traffic("/1k", connections=32, rate=8000)),
    Case("h1_c1", "one connection", {"ratio": 1.05, "p99": 1.25}, traffic("/1k", connections=1)),
    Case("tls_1k", "TLS 1.3 keep-alive, 1 KiB, 64 connections", {"ratio": 0.95}, secure_traffic("/1k", 64)),
    Case("tls_1m", "TLS 1.3, bodies of 1 MiB, 8 connections", {"ratio": 0.95}, secure_traffic("/1m", 8)),
    Case("tls_new", "a TLS 1.3 connection per request, full handshake", {"ratio": 1.00},
         secure(lambda lab, port, seconds: lab.handshakes(port, "/1k", 32, False, seconds))),
    Case("tls_resumed", "a TLS 1.3 connection per request, resumed by ticket", {"ratio": 1.00},
         secure(lambda lab, port, seconds: lab.handshakes(port, "/1k", 32, True, seconds))),
    Case("h2_1k", "HTTP/2 over TLS, 1 KiB, 16 connections of 16 streams", {"ratio": 1.00},
         secure(lambda lab, port, seconds: lab.streams(port, "/1k", 16, 16, seconds))),
    Case("h2_both", "the same with HTTP/2 to the target, too (HAProxy)", {"ratio": 1.00},
         secure(lambda lab, port, seconds: lab.streams(port, "/1k", 16, 16, seconds), h2_target=True)),
    Case("tls_memory", "memory (PSS) per idle TLS connection, of 2,000", {"most": 15_500}, secure_memory),
    Case("instructions", "user-space instructions per keep-alive request", {"most": 10_000}, instructions),
    Case("calls", "system calls per keep-alive request", {"most": 4.2}, system_calls),
    Case("memory", "memory (PSS) idle, and with 9,000 idle connections", {"idle": 14e6, "held": 16e6}, memory),
    Case("start", "start to first answer", {"most": 20}, start),
    Case("reload", "a changed configuration under load", {"errors": 0}, reload),
    Case("groups", "1,000 groups of 10 targets, load spread", {"ratio": 1.10}, groups),
    Case("probing", "probing 10,000 targets by HTTP every 5 s", {"most": 0.15}, probing),
    Case("failing", "the same in 200 groups for a minute, 5 % of them dead at any moment",
         {"most": 0.15, "stall": 20.0}, dying),
    Case("apply", "10,000 targets in 1,000 groups applied, two workers", {"seconds": 1.0, "stall": 20.0}, big_apply),
    Case("abuse", "four connections abuse HTTP/2 for 3 s, each attack by itself", {"p99": 30.0, "growth": 50e6}, abused),
    Case("log", "access log on", {"more": 1.0}, access_log),
]


class Bench:
    def __init__(self, programs, rounds, seconds, foreign):
        self.programs, self.count, self.foreign = programs, rounds, foreign
        self.poise = next((p for p in programs if p.name == "poise"), None)
        self.lab = Lab(seconds)

    @contextlib.contextmanager
    def all_running(self, **options):
        running = {}
        try:
            for program in self.programs:
                with contextlib.suppress(NotImplementedError):
                    running[program.name] = self.lab.start(program, **options)
            yield running
        finally:
            for one in running.values():
                one.stop()

    def rounds(self, loads):
        """[{name: measurement}] in alternating order. A measurement that others disturbed is repeated once."""
        found = []
        for number in range(self.count):
            row = {}
            for name, (running, load) in loads.items():
                row[name] = self.lab.measure(running, load)
                if row[name]["foreign"] > self.foreign:
                    row[name] = min(row[name], self.lab.measure(running, load), key=lambda r: r["foreign"])
            found.append(row)
            print(f"  round {number + 1}: " + "  ".join(f"{n} {r['cpu_us']:.2f} us" for n, r in row.items()), file=sys.stderr)
        return found


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--poise", default=".build/release/poise", help="the binary under test")
    parser.add_argument("--programs", default="poise,haproxy,nginx")
    parser.add_argument("--cases", default=",".join(c.name for c in CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement")
    parser.add_argument("--foreign", type=float, default=0.12, help="share of the core that others may use in a measurement")
    parser.add_argument("--write", help="write the report here (default: print it)")
    parser.add_argument("--json", help="keep the raw figures here")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    if arguments.list:
        for case in CASES:
            print(f"{case.name:14}{case.what}")
        return
    chosen = arguments.cases.split(",")
    if unknown := set(chosen) - {c.name for c in CASES}:
        parser.error(f"unknown cases: {', '.join(sorted(unknown))}")
    made = {"poise": lambda: Poise(os.path.abspath(arguments.poise)), "haproxy": HAProxy, "nginx": Nginx}
    names = arguments.programs.split(",")
    if unknown := set(names) - set(made):
        parser.error(f"unknown programs: {', '.join(sorted(unknown))}")
    if "poise" in names and not os.access(arguments.poise, os.X_OK):
        parser.error(f"{arguments.poise} does not exist: make build, or --programs haproxy,nginx")
    if len(os.sched_getaffinity(0)) < 2:
        parser.error("two cores are needed: one for the program, one for the load")
    enter_namespace()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by TERM"))

    bench = Bench([made[name]() for name in names], arguments.rounds, arguments.seconds, arguments.foreign)
    results = []
    try:
        for case in CASES:
            if case.name in chosen:
                print(case.name, file=sys.stderr)
                try:
                    result = case.run(bench)
                except Exception as error:  # one broken case must not cost the others their figures
                    result = {"kind": "failed", "why": f"{type(error).__name__}: {error}"}
                    print(f"  {result['why']}", file=sys.stderr)
                results.append((case, result))
    finally:
        bench.lab.close()
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps({c.name: r for c, r in results}, indent=1))
    text = report.document(results, conditions(), arguments.rounds, arguments.seconds, CASES)
    if arguments.write:
        pathlib.Path(arguments.write).write_text(text)
    else:
        print(text)
    if any(result and result["kind"] == "failed" for _, result in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
