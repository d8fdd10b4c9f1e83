"""The laboratory: a network namespace of its own, processes pinned to cores, and what they cost.

Two cores are enough and two are used: the program under test on PROXY_CPU, target and load on LOAD_CPU. Rates are then
limited by the load side, so the figure that counts is CPU time of the program per request: the scheduler's run time
(nanoseconds, /proc/PID/task/*/schedstat) of all its threads and children, divided by the requests that were answered.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

LOAD_CPU, PROXY_CPU = 0, 1
PAGES = {"/0": 0, "/1k": 1024, "/16k": 16384, "/1m": 1 << 20}
HERE = pathlib.Path(__file__).parent
# What every client of the laboratory offers, so that all programs do the same cryptography.
OFFER = """openssl_conf = all
[all]
ssl_conf = sections
[sections]
system_default = offer
[offer]
MinProtocol = TLSv1.3
Ciphersuites = TLS_AES_128_GCM_SHA256
Groups = X25519
"""


def enter_namespace():
    """Starts this script again in a network namespace of its own: own ports, no packet filters, TCP without pacing.

    Without the right to do so (not root) the host's network is used, and the report says so.
    """
    if os.environ.get("POISE_BENCH") or os.geteuid() != 0 or not shutil.which("unshare"):
        return
    environment = os.environ | {"POISE_BENCH": "namespace"}
    script = ("ip link set lo up && echo reno > /proc/sys/net/ipv4/tcp_congestion_control || exit 97; exec \"$@\"")
    # A session of its own is a scheduling group of its own: nice counts against other jobs of the machine.
    command = ["setsid", "-w", "unshare", "-n", "sh", "-c", script, "sh", sys.executable, *sys.argv]
    status = subprocess.call(command, env=environment)
    if status != 97:
        sys.exit(status)
    print("note: no namespace of our own; measuring in the host's network", file=sys.stderr)


def conditions():
    """What the figures depend on."""
    def first(command, pattern):
        with contextlib.suppress(OSError):
            done = subprocess.run(command, capture_output=True, text=True)
            if match := re.search(pattern, done.stdout + done.stderr):
                return match[1]
        return "?"
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {
        "processor": cpu[1] if cpu else "?", "cores": len(os.sched_getaffinity(0)), "kernel": os.uname().release,
        "tcp": pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip(),
        "namespace": os.environ.get("POISE_BENCH") == "namespace", "date": time.strftime("%Y-%m-%d"),
        "haproxy": first(["/usr/sbin/haproxy", "-v"], r"version (\S+)"),
        "nginx": first(["/usr/sbin/nginx", "-v"], r"nginx/(\S+)"), "wrk": first(["wrk", "-v"], r"wrk (\S+)"),
        "swift": first(["swift", "--version"], r"Swift version (\S+)"),
    }


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def undisturbed():
    """Before other jobs of the machine, as far as we may; all processes of ours alike."""
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/self/autogroup").write_text("-19")


def pinned(cpu):
    def prepare():
        os.sched_setaffinity(0, {cpu})
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, -19)
        undisturbed()
    return prepare


def family(pid):
    """`pid` and all its descendants that live."""
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{found[-1]}/task"):
                left += map(int, pathlib.Path(f"/proc/{found[-1]}/task/{task}/children").read_text().split())
    return found


def run_time(pid):
    """Nanoseconds on a core so far: all threads of the whole family."""
    total = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{member}/task"):
                total += int(pathlib.Path(f"/proc/{member}/task/{task}/schedstat").read_text().split()[0])
    return total


def proportional_set(pid):
    """Bytes of memory, shared pages by share (PSS)."""
    total = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            match = re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{member}/smaps_rollup").read_text(), re.M)
            total += int(match[1]) * 1024
    return total


def core_busy(cpu):
    """(busy, all) ticks of one core."""
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{cpu} "):
            ticks = [int(t) for t in line.split()[1:9]]
            return sum(ticks) - ticks[3] - ticks[4], sum(ticks)
    return 0, 1


def ask(port, path="/1k", timeout=2.0, host="127.0.0.1"):
    """One request on one connection; the whole answer."""
    with socket.create_connection((host, port), timeout) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
        data = b""
        while piece := sock.recv(1 << 16):
            data += piece
        return data


def secure_context(protocols=("http/1.1",)):
    """Of a client that believes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(list(protocols))
    return context


class Running:
    """A program under test, from its start to its end."""

    def __init__(self, program, folder, values, prefix=(), **options):
        self.program, self.folder = program, pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self.port, self.gen_port, self.secure_port = free_port(), free_port(), free_port()
        self.values = values | {"HTTP_PORT": self.port, "GEN_PORT": self.gen_port, "HTTPS_PORT": self.secure_port,
                                "WORKERS": 1, "DIR": self.folder, "GEN": 1}
        self.config = self.folder / f"config.{program.extension}"
        self.options = options
        self.write()
        began = time.perf_counter()
        self.log = open(self.folder / "output", "ab")
        self.process = subprocess.Popen([*prefix, *program.command(self.config, self.folder)], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, cwd=self.folder, preexec_fn=pinned(PROXY_CPU))
        self.started = self._wait_first_answer(began)

    def write(self):
        text = self.program.config(**self.options)
        self.config.write_text(re.sub(r"@(\w+)@", lambda m: str(self.values[m[1]]), text))

    def _wait_first_answer(self, began):
        while True:
            with contextlib.suppress(OSError):
                if b" 200 " in ask(self.port)[:20] and self.process.poll() is None:
                    return time.perf_counter() - began
            if self.process.poll() is not None or time.perf_counter() - began > 30:
                self.stop()
                raise RuntimeError(f"{self.program.name} does not answer: {(self.folder / 'output').read_text()[-1000:]}")
            time.sleep(0.0005)

    def stop(self):
        if self.process.poll() is None:
            members = family(self.process.pid)
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(3)
            for member in members[1:] + ([self.process.pid] if self.process.poll() is None else []):
                with contextlib.suppress(OSError):
                    # Only what is still the program we started: numbers are used again.
                    if self.config.name.encode() in pathlib.Path(f"/proc/{member}/cmdline").read_bytes() \
                            or member == self.process.pid:
                        os.kill(member, signal.SIGKILL)
            self.process.wait()
        self.log.close()


class Lab:
    def __init__(self, seconds):
        self.seconds = seconds
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="poise-bench-"))
        self.folder.chmod(0o755)
        self.script = self.folder / "result.lua"
        self.script.write_text(
            'function done(s, l, r)\n  io.write(string.format(\'RESULT {"requests":%d,"us":%d,"p50":%d,"p99":%d,"errors":%d}\\n\',\n'
            "    s.requests, s.duration, l:percentile(50), l:percentile(99),\n"
            "    s.errors.connect + s.errors.read + s.errors.write + s.errors.status + s.errors.timeout))\nend\n")
        self.target_port, self.target_h2_port = free_port(), free_port()
        self.target = self._start_target()
        self.values = {"ORIGIN_PORT": self.target_port, "ORIGIN_H2_PORT": self.target_h2_port} | self._make_certificate()
        self.count = 0

    def _start_target(self):
        """nginx as the one target of all: static answers of 0, 1 KiB, 16 KiB, and a file of 1 MiB."""
        folder = self.folder / "target"
        (folder / "www").mkdir(parents=True)
        for path, size in PAGES.items():
            (folder / "www" / path[1:]).write_bytes(b"x" * size)
        for place in (folder, folder / "www"):
            place.chmod(0o755)
        temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in
                             ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        # A configuration word has room for 4 KiB: 16 KiB are made of four.
        (folder / "nginx.conf").write_text(f"""worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error crit;
worker_rlimit_nofile 20000; events {{ worker_connections 19000; }}
http {{ access_log off; {temporary} keepalive_requests 1000000000; keepalive_timeout 600s; sendfile on; tcp_nopush on;
  default_type text/plain; open_file_cache max=10 inactive=600s;
  map $host $kib4 {{ default "{'x' * 4000}"; }}
  server {{ listen 0.0.0.0:{self.target_port} backlog=4096; listen 0.0.0.0:{self.target_h2_port} http2 backlog=4096; root {folder}/www;
    location = /0 {{ return 200 ""; }} location = /1k {{ return 200 "{'x' * 1024}"; }}
    location = /16k {{ return 200 "${{kib4}}${{kib4}}${{kib4}}${{kib4}}{'x' * 384}"; }} location ~ ^/g {{ return 200 "{'x' * 1024}"; }} location / {{ }} }} }}
""")
        process = subprocess.Popen(["/usr/sbin/nginx", "-p", folder, "-e", folder / "error", "-c", folder / "nginx.conf"],
                                   stderr=open(folder / "output", "w"), preexec_fn=pinned(LOAD_CPU))
        for _ in range(1000):
            with contextlib.suppress(OSError):
                for path, size in PAGES.items():
                    body = ask(self.target_port, path).partition(b"\r\n\r\n")[2]
                    assert len(body) == size, f"the target's {path} has {len(body)} bytes"
                return process
            time.sleep(0.01)
        raise RuntimeError((folder / "output").read_text())

    def _make_certificate(self):
        """ECDSA P-256, self-signed: the same for all."""
        certificate, key, both = (self.folder / name for name in ("certificate.pem", "key.pem", "both.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=bench", "-addext", "subjectAltName=DNS:bench,DNS:localhost,IP:127.0.0.1",
                        "-keyout", key, "-out", certificate], check=True, capture_output=True)
        both.write_text(certificate.read_text() + key.read_text())
        for file in (certificate, key, both):
            file.chmod(0o644)
        (self.folder / "offer.cnf").write_text(OFFER)
        return {"CERT": certificate, "KEY": key, "PEM": both}

    def start(self, program, prefix=(), **options):
        self.count += 1
        return Running(program, self.folder / f"{program.name}-{self.count}", self.values, prefix, **options)

    @property
    def environment(self):
        """Of load generators: wrk and h2load cannot be told every part of what they offer."""
        return os.environ | {"OPENSSL_CONF": str(self.folder / "offer.cnf")}

    def close(self):
        self.target.terminate()
        self.target.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def load(self, port, path, connections, close=False, seconds=None, lua=None, scheme="http"):
        """wrk from the load core; whole seconds only."""
        script = self.script
        if lua:
            script = self.folder / "request.lua"
            script.write_text(lua + self.script.read_text())
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds or self.seconds}s", "--timeout", "10s", "-s", str(script)]
        if close:
            command += ["-H", "Connection: close"]
        return self._result([*command, f"{scheme}://127.0.0.1:{port}{path}"])

    def _result(self, command):
        """Runs a load generator of ours, or wrk with our script, to its end."""
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, preexec_fn=pinned(LOAD_CPU))
        match = re.search(r"RESULT (\{.*\})", done.stdout)
        if not match:
            raise RuntimeError(f"{command[0]}: {done.stdout}{done.stderr}"[-500:])
        return json.loads(match[1])

    def handshakes(self, port, path, connections, resumed, seconds=None):
        """Connections that carry one request each, with full or with resumed handshakes."""
        tool = self.folder / "handshakes"
        if not tool.exists():
            subprocess.run(["gcc", "-O2", "-o", tool, HERE / "handshakes.c", "-lssl", "-lcrypto"], check=True)
        return self._result([tool, str(port), path, str(connections), str(seconds or self.seconds),
                             "resumed" if resumed else "new"])

    def steady_load(self, port, path, connections, rate):
        """A fixed rate over all connections (h2load), so that latencies compare at equal work."""
        return self._h2load(["--h1", f"-c{connections}", "-m1", "--rps", str(rate // connections),
                             f"http://127.0.0.1:{port}{path}"], self.seconds)

    def streams(self, port, path, connections, streams, seconds=None):
        """HTTP/2 over TLS, so many streams on each of so many connections."""
        return self._h2load(["--npn-list=h2", f"-c{connections}", f"-m{streams}", "--window-bits=20",
                             f"https://127.0.0.1:{port}{path}"], seconds or self.seconds)

    def _h2load(self, arguments, seconds):
        log = self.folder / "latencies"
        log.unlink(missing_ok=True)
        done = subprocess.run(["h2load", "-t1", "-D", str(seconds), "--log-file", str(log), *arguments], capture_output=True,
                              text=True, env=self.environment, preexec_fn=pinned(LOAD_CPU))
        rows = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
        times = sorted(int(row[2]) for row in rows if row[1] == "200")
        if not times:
            raise RuntimeError(f"h2load: no answer: {done.stdout}{done.stderr}"[-500:])
        if "--npn-list=h2" in arguments and "Application protocol: h2" not in done.stdout:
            raise RuntimeError("h2load: another protocol was agreed upon")
        return {"requests": len(times), "us": seconds * 1e6, "p50": times[len(times) // 2],
                "p99": times[len(times) * 99 // 100], "errors": len(rows) - len(times)}

    def measure(self, running, load):
        """One warm-up and one measurement. `foreign`: how much of the core others used meanwhile."""
        load(1)
        cpu, busy, began = run_time(running.process.pid), core_busy(PROXY_CPU), time.perf_counter()
        result = load(None)
        spent = run_time(running.process.pid) - cpu
        now, took = core_busy(PROXY_CPU), time.perf_counter() - began
        share = (now[0] - busy[0]) / max(1, now[1] - busy[1])
        return result | {"cpu_us": spent / 1e3 / max(1, result["requests"]), "rate": result["requests"] / result["us"] * 1e6,
                         "foreign": max(0.0, share - spent / 1e9 / took)}
