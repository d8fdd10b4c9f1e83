#!/usr/bin/env python3
"""The same algorithms in Poise, HAProxy and nginx before the same queueing targets. Needs (Debian): haproxy nginx.

    Benchmarks/algorithms.py --poise .build/release/poise --write docs/algorithms.md      # 25 minutes
    Benchmarks/algorithms.py --poise .build/release/poise --scenarios slow --seconds 5

The set-up is that of `balancing-simulation`: targets are `poise target`s, queues before so many servers; requests come at
random moments (Poisson, the same for all programs), whether earlier ones were answered or not. A time counts from the
moment a request was due. Passive checks and retries are off in all three programs: algorithms are compared.
"""
import argparse
import asyncio
import collections
import contextlib
import json
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import programs
from algorithm_tables import number, replace_block
from lab import Running, conditions, enter_namespace, undisturbed

PATIENCE = 2.0
CLIENTS, BUSY_CLIENTS = 10_000, 100

Target = collections.namedtuple("Target", "servers weight delay options", defaults=(2, 1, "50ms", ()))
Scenario = collections.namedtuple("Scenario", "name title targets rate odd", defaults=(240, "the odd one"))
TEN = [Target()] * 9
SCENARIOS = [
    Scenario("equal", "ten equal targets", [Target()] + TEN, odd="the first"),
    Scenario("slow", "one of ten is ten times slower", [Target(delay="500ms")] + TEN, odd="the slow one"),
    Scenario("errors", "one of ten fails 10 % of its requests at once, with 503",
             [Target(options=("--fail", "0.1", "--fail-at-once"))] + TEN, odd="the failing one"),
    Scenario("mixed", "four targets of 2, 4, 8 and 16 servers, equal weights", [Target(2 * n) for n in (1, 2, 4, 8)], 360,
             "the smallest"),
    Scenario("mixed_weighted", "the same with weights 1, 2, 4 and 8", [Target(2 * n, n) for n in (1, 2, 4, 8)], 360,
             "the smallest"),
]
# Of each row: its head, and what each program calls it.
ALGORITHMS = {
    "turns": {"poise": "round_robin", "haproxy": "balance roundrobin", "nginx": ""},
    "least connections": {"poise": "least_connections", "haproxy": "balance leastconn", "nginx": "least_conn;"},
    "two at random": {"poise": "p2c", "haproxy": "balance random(2)", "nginx": "random two least_conn;"},
    "by key": {"poise": "{ type: hash, key: [header:X-Key], table: ring }",
               "haproxy": "balance hdr(X-Key)\n    hash-type consistent", "nginx": "hash $http_x_key consistent;"},
    "by key within 125 %": {"poise": "{ type: hash, key: [header:X-Key], table: ring, bounded_load: 125 }",
                              "haproxy": "balance hdr(X-Key)\n    hash-type consistent\n    hash-balance-factor 125"},
    "answer time": {"poise": "least_time"},
}


class Poise(programs.Poise):
    def config(self, algorithm, targets):
        listed = ", ".join(f'{{ address: "{address}", weight: {weight} }}' for address, weight in targets)
        return f"""version: 1
process: {{ workers: 1, admin: {{ socket: "@DIR@/admin.sock" }} }}
logs: {{ access: {{ destination: "off" }} }}
listeners: [{{ name: web, address: "127.0.0.1:@HTTP_PORT@", timeouts: {{ idle: 300s, head: 300s }}, forward: targets }}]
target_groups:
  - name: targets
    algorithm: {algorithm}
    health_check: "off"
    passive_checks: {{ consecutive_failures: 0 }}
    retries: {{ max_tries: 1 }}
    timeouts: {{ response_idle: {PATIENCE:g}s }}
    targets: [{listed}]
"""


class HAProxy(programs.HAProxy):
    def config(self, algorithm, targets):
        listed = "".join(f"    server s{n} {address} weight {weight}\n" for n, (address, weight) in enumerate(targets))
        return f"""global
    nbthread 1
    maxconn 2000
defaults
    mode http
    timeout connect 5s
    timeout client 300s
    timeout server {PATIENCE:g}s
    retries 0
    http-reuse always
listen web
    bind 127.0.0.1:@HTTP_PORT@
    {algorithm}
{listed}"""


class Nginx(programs.Nginx):
    def config(self, algorithm, targets):
        listed = " ".join(f"server {address} weight={weight} max_fails=0;" for address, weight in targets)
        temporary = " ".join(f"{kind}_temp_path @DIR@/{kind};" for kind in
                             ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return f"""worker_processes 1; daemon off; pid @DIR@/pid; error_log @DIR@/error crit; events {{ worker_connections 4000; }}
http {{
  access_log off; {temporary} keepalive_requests 1000000000; keepalive_timeout 300s;
  upstream targets {{ {algorithm} {listed} keepalive 512; keepalive_requests 1000000000; keepalive_timeout 300s; }}
  server {{
    listen 127.0.0.1:@HTTP_PORT@;
    location / {{
      proxy_pass http://targets; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_read_timeout {PATIENCE:g}s; proxy_next_upstream off;
    }}
  }}
}}
"""


class Targets:
    """`poise target` processes; ``requests`` are counted when they have ended."""

    def __init__(self, binary, scenario):
        self.processes, self.addresses, self.requests = [], [], []
        try:
            for target in scenario.targets:
                self.processes.append(subprocess.Popen(
                    [binary, "target", "--listen", "127.0.0.1:0", "--delay", target.delay, "--delay-distribution", "exponential",
                     "--concurrency", str(target.servers), *target.options], stdout=subprocess.PIPE, text=True,
                    preexec_fn=undisturbed))
                for line in self.processes[-1].stdout:
                    if match := re.match(r"ready listener=target address=(\S+)", line):
                        self.addresses.append((match[1], target.weight))
                        break
        except BaseException:
            self.stop()
            raise

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            rest = process.stdout.read()
            process.wait()
            counted = re.search(r"stopped requests=(\d+)", rest)
            self.requests.append(int(counted[1]) if counted else 0)


class Client:
    """HTTP/1.1 with a connection per request in progress, kept for the next."""

    def __init__(self, port):
        self.port, self.idle = port, []

    async def ask(self, key):
        """The status of the answer."""
        reader, writer = self.idle.pop() if self.idle else await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(f"GET / HTTP/1.1\r\nHost: targets\r\nX-Key: {key}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = re.search(rb"\r\ncontent-length: *(\d+)", head)
            if length:
                await reader.readexactly(int(length[1]))
            if length and b"\r\nconnection: close" not in head:
                self.idle.append((reader, writer))
                writer = None
            return int(head.split(b" ", 2)[1])
        finally:
            if writer:
                writer.close()

    def close(self):
        for _, writer in self.idle:
            writer.close()


def arrivals(rate, seconds, seed):
    """Moments and keys; half of the requests have one of few keys."""
    chance, at = random.Random(seed), 0.0
    while (at := at + chance.expovariate(rate)) < seconds:
        yield at, chance.randrange(BUSY_CLIENTS if chance.random() < 0.5 else CLIENTS)


async def load(port, rate, warm_up, seconds, seed):
    """(time, status) of each request after the warm-up; status 0: no answer."""
    client, answers, tasks, loop = Client(port), [], [], asyncio.get_running_loop()
    began = loop.time()

    async def one(at, key):
        try:
            status = await asyncio.wait_for(client.ask(key), 5 * PATIENCE)
        except (OSError, EOFError, TimeoutError, asyncio.TimeoutError):
            status = 0
        if at >= warm_up:
            answers.append((loop.time() - began - at, status))
    for at, key in arrivals(rate, warm_up + seconds, seed):
        await asyncio.sleep(began + at - loop.time())
        tasks.append(asyncio.create_task(one(at, key)))
    await asyncio.gather(*tasks)
    client.close()
    return answers


def figures(answers, requests):
    """A timeout counts with its time, an error at once does not, as in the simulation."""
    times = sorted(t for t, status in answers if status == 200 or t >= PATIENCE * 0.98)
    errors = sum(status != 200 for _, status in answers)

    def quantile(percent):
        return round(times[(len(times) - 1) * percent // 100] * 1e3, 1) if times else 0.0
    return {"p50_ms": quantile(50), "p99_ms": quantile(99), "errors_percent": round(100 * errors / max(1, len(answers)), 2),
            "share_percent": round(100 * requests[0] / max(1, sum(requests)), 2), "requests": len(answers)}


def cell(folder, program, words, scenario, arguments):
    targets = Targets(arguments.poise, scenario)
    running = None
    try:
        running = Running(program, folder, {}, algorithm=words, targets=targets.addresses)
        answers = asyncio.run(load(running.port, scenario.rate, arguments.warm_up, arguments.seconds, arguments.seed))
    finally:
        if running:
            running.stop()
        targets.stop()
    return figures(answers, targets.requests)


def shown(row):
    if row is None:
        return "–"
    errors = f" ({number(row['errors_percent'])})" if row["errors_percent"] >= 0.05 else ""
    return f"{number(row['p50_ms'])} / {number(row['p99_ms'])}, {number(row['share_percent'])} %{errors}"


def document(results, versions, seconds):
    """`results`: scenario name → algorithm → program → figures."""
    parts = [f"Poise, HAProxy {versions['haproxy']} and nginx {versions['nginx']}, one worker each, {seconds:g} s per\n"
             "cell on a shared machine: p50 / p99 in ms, share of the odd target, and in parentheses, where there are any, errors\n"
             "and timeouts in percent of all requests."]
    for scenario in SCENARIOS:
        if scenario.name not in results:
            continue
        lines = [f"| {algorithm} | " + " | ".join(shown(rows.get(name)) for name in ("poise", "haproxy", "nginx")) + " |"
                 for algorithm, rows in results[scenario.name].items() if rows]
        parts.append(f"**{scenario.title}** ({scenario.odd} is the odd one)\n\n" + "\n".join(
            ["| | Poise | HAProxy | nginx |", "|---|---|---|---|", *lines]))
    return "\n\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--poise", required=True, type=pathlib.Path, help="the binary")
    parser.add_argument("--seconds", type=float, default=12, help="measured per cell")
    parser.add_argument("--warm-up", type=float, default=3, help="seconds before that")
    parser.add_argument("--scenarios", default=",".join(s.name for s in SCENARIOS))
    parser.add_argument("--algorithms", default=",".join(ALGORITHMS), help="heads of rows")
    parser.add_argument("--programs", default="poise,haproxy,nginx")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=pathlib.Path, help="JSON: read where it exists, and what is missing is added")
    parser.add_argument("--write", type=pathlib.Path, help="the document that gets the tables")
    arguments = parser.parse_args()
    enter_namespace()
    arguments.poise = arguments.poise.resolve()
    known = {"poise": Poise(arguments.poise), "haproxy": HAProxy(), "nginx": Nginx()}
    results = json.loads(arguments.results.read_text()) if arguments.results and arguments.results.exists() else {}
    folder = pathlib.Path(tempfile.mkdtemp(prefix="poise-algorithms-"))
    folder.chmod(0o755)
    try:
        for scenario in SCENARIOS:
            if scenario.name not in arguments.scenarios.split(","):
                continue
            for algorithm, words in ALGORITHMS.items():
                if algorithm not in arguments.algorithms.split(","):
                    continue
                for name in arguments.programs.split(","):
                    rows = results.setdefault(scenario.name, {}).setdefault(algorithm, {})
                    if name not in words or name in rows:
                        continue
                    place = folder / f"{scenario.name}-{list(words).index(name)}-{time.monotonic_ns()}"
                    rows[name] = cell(place, known[name], words[name], scenario, arguments)
                    print(f"{scenario.name:16}{algorithm:24}{name:9}{shown(rows[name])}", flush=True)
                    if arguments.results:
                        arguments.results.write_text(json.dumps(results, indent=1))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if arguments.write:
        replace_block(arguments.write, "processes", document(results, conditions(), arguments.seconds))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
