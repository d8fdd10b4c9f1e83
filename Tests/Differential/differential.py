"""Compares the HTTP/1.1 request codec with h11 and with Debian's nginx over a generated corpus.

What Poise accepts, the others must accept too, as the same request: method, target, content length, and the place
where the next request begins. A difference is a smuggling hole when the other one stands before or behind Poise.
What the smuggling list of generated faults holds, Poise must refuse, whatever the others do. What is valid by
construction, Poise must accept. Differences that are known and harmless are named in `excused`, with the reason.

Nothing here uses a port: nginx listens on a socket in a temporary directory.
"""

import argparse
import collections
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time

import h11

Case = collections.namedtuple("Case", "label raw must")  # must: "accept", "refuse" or None
Verdict = collections.namedtuple("Verdict", "kind method target fields content used detail")

CANARY = b"GET /canary HTTP/1.1\r\nHost: canary\r\nConnection: close\r\n\r\n"


# The corpus


class Request:
    """A valid request in parts, which the faults below change one by one."""

    def __init__(self, rng):
        self.rng = rng
        self.method = rng.choice([b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"HEAD", b"OPTIONS"])
        self.target = rng.choice(
            [b"/", b"/a/b", b"/a?b=c&d", b"/%41%7e", b"/a;b=c", b"/?", b"http://b.test/x?y", b"/a//b", b"/|\"<>^`{}"]
        )
        self.version = rng.choice([b"HTTP/1.1"] * 5 + [b"HTTP/1.0"])
        self.fields = [
            [b"Host", b": ", rng.choice([b"a.test", b"a.test:8080", b"[::1]:80", b"127.0.0.1"]), b"\r\n"]
        ]
        for _ in range(rng.randrange(4)):
            name = rng.choice([b"X-A", b"Accept", b"Cookie", b"x-b", b"User-Agent", b"X_C"])
            value = rng.choice([b"", b"1", b"a, b", b"\xc3\xa9", b'"q;r"', b"x\ty", b"a:b"])
            self.fields.append([name, rng.choice([b":", b": ", b":\t ", b":  "]), value, rng.choice([b"\r\n", b" \r\n"])])
        self.body = b""
        framing = rng.randrange(3)
        if framing == 1:
            self.body = bytes(rng.randrange(256) for _ in range(rng.randrange(20)))
            self.fields.append([b"Content-Length", b": ", b"%d" % len(self.body), b"\r\n"])
        elif framing == 2 and self.version == b"HTTP/1.1":
            self.fields.append([b"Transfer-Encoding", b": ", rng.choice([b"chunked", b"Chunked"]), b"\r\n"])
            self.body = self.chunks()
        order = self.fields[1:]
        rng.shuffle(order)
        self.fields[1:] = order
        self.prefix = b"\r\n" if rng.random() < 0.1 else b""
        self.line_end = b"\r\n"
        self.separators = [b" ", b" "]

    def chunks(self):
        rng, body = self.rng, b""
        for _ in range(rng.randrange(4)):
            data = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 20)))
            size = rng.choice([b"%x", b"%X", b"0%x"]) % len(data)
            body += size + rng.choice([b"", b"", b";a=b", b';a="b"']) + b"\r\n" + data + b"\r\n"
        return body + b"0\r\n" + rng.choice([b"", b"", b"X-Sum: 1\r\n"]) + b"\r\n"

    def value(self, name):
        return next((field[2] for field in self.fields if field[0].lower() == name), None)

    def drop(self, *names):
        self.fields = [field for field in self.fields if field[0].lower() not in names]

    def add(self, name, value, separator=b": ", end=b"\r\n"):
        self.fields.insert(self.rng.randrange(len(self.fields) + 1), [name, separator, value, end])

    def raw(self):
        line = self.method + self.separators[0] + self.target + self.separators[1] + self.version + self.line_end
        return self.prefix + line + b"".join(b"".join(field) for field in self.fields) + b"\r\n" + self.body


FAULTS = {}  # label -> function that makes a valid request one that must be refused


def fault(function):
    FAULTS[function.__name__] = function
    return function


def as_http11(request):
    request.version = b"HTTP/1.1"
    request.drop(b"content-length", b"transfer-encoding")
    request.body = b""


@fault
def length_and_chunked(request):
    as_http11(request)
    request.add(b"Content-Length", request.rng.choice([b"0", b"5", b"6"]))
    request.add(b"Transfer-Encoding", b"chunked")
    request.body = b"0\r\n\r\n"


@fault
def repeated_length(request):
    as_http11(request)
    request.add(b"Content-Length", b"1")
    request.add(request.rng.choice([b"Content-Length", b"content-length"]), request.rng.choice([b"1", b"0", b"5"]))
    request.body = b"x"


@fault
def malformed_length(request):
    as_http11(request)
    bad = [b"+1", b"-1", b"1 1", b"1,1", b"1, 1", b"0x1", b"1.0", b"", b"1;", b"one", b"1e0", b"1_0", b"\xb2"]
    bad += [b"9" * 20, b"18446744073709551617", b"9223372036854775808", b"1\xa0"]
    request.add(b"Content-Length", request.rng.choice(bad))
    request.body = b"x"


@fault
def other_transfer_encoding(request):
    as_http11(request)
    bad = [b"identity", b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"xchunked", b"chunkedx", b""]
    bad += [b"chunked;q=1", b'"chunked"', b"chunked,", b",chunked", b"chunked\xa0", b"\xa0chunked", b"x chunked"]
    request.add(b"Transfer-Encoding", request.rng.choice(bad))
    request.body = b"0\r\n\r\n"


@fault
def repeated_transfer_encoding(request):
    as_http11(request)
    request.add(b"Transfer-Encoding", b"chunked")
    request.add(b"transfer-encoding", request.rng.choice([b"chunked", b"identity", b"gzip"]))
    request.body = b"0\r\n\r\n"


@fault
def chunked_in_http10(request):
    as_http11(request)
    request.version = b"HTTP/1.0"
    request.add(b"Transfer-Encoding", b"chunked")
    request.body = b"0\r\n\r\n"


@fault
def bare_line_end(request):
    field = request.rng.choice(request.fields)
    field[3] = request.rng.choice([b"\n", b"\r", b"\r\r\n", b"\n\r\n", b"\n\r"])


@fault
def bare_line_end_of_request_line(request):
    request.line_end = request.rng.choice([b"\n", b"\r", b"\r\r\n"])


@fault
def control_byte(request):
    control = bytes([request.rng.choice([0, 1, 8, 0x0B, 0x0C, 0x0E, 0x1B, 0x1F, 0x7F])])
    place = request.rng.randrange(3)
    if place == 0:
        request.add(b"X-D", b"a" + control + b"b")
    elif place == 1:
        request.add(b"X" + control + b"D", b"a")
    else:
        request.target = b"/a" + control + b"b"


@fault
def folded_line(request):
    request.add(b"X-D", b"a\r\n" + request.rng.choice([b" ", b"\t"]) + request.rng.choice([b"b", b"", b"Host: b"]))


@fault
def space_before_colon(request):
    name = request.rng.choice([b"X-D", b"Content-Length", b"Transfer-Encoding", b"Host"])
    request.add(name, b"1", separator=request.rng.choice([b" :", b"\t:", b" : "]))


@fault
def bad_name(request):
    request.add(request.rng.choice([b"", b"X D", b"X(D", b"X@D", b"\xe9", b'"X"', b"X/D", b"X,D", b"[X]"]), b"1")


@fault
def no_colon(request):
    request.add(b"X-D", b"", separator=b"")


@fault
def missing_host(request):
    request.version = b"HTTP/1.1"
    request.drop(b"host", b"transfer-encoding", b"content-length")
    request.body = b""


@fault
def repeated_host(request):
    request.add(request.rng.choice([b"Host", b"host"]), request.rng.choice([b"a.test", b"b.test", b""]))


@fault
def bad_host(request):
    request.drop(b"host")
    bad = [b"", b"u@a", b"u:p@a", b"a b", b"a:x", b"a:99999", b"a:-1", b"a/b", b"a?b", b"a#b", b"a\\b", b"[::1", b"::1"]
    bad += [b":80", b"[]", b"a,b c", b"http://a", b"\xe9", b"a:80:80", b"[::1]x", b"a..b", b".a", b".", b"a..:80"]
    request.add(b"Host", request.rng.choice(bad))


@fault
def bad_request_line(request):
    kind = request.rng.randrange(6)
    if kind == 0:
        request.separators[request.rng.randrange(2)] = request.rng.choice([b"  ", b"\t", b"", b"\x0b", b" \t"])
    elif kind == 1:
        request.version = request.rng.choice([b"HTTP/1.1 ", b"http/1.1", b"HTTP/1", b"HTTP/1.", b"HTTP/11.1", b"HTTP/1.1x"])
    elif kind == 2:
        request.version = request.rng.choice([b"HTTP/0.9", b"HTTP/2.0", b"HTTP/3.0", b"", b"HTTPS/1.1", b"HTTP /1.1"])
    elif kind == 3:
        request.target = request.rng.choice([b"", b"a", b"*a", b"/a b", b"?a", b"//\x80", b"ftp://a/", b"http://", b"http:///"])
    elif kind == 4:
        request.method = request.rng.choice([b"", b"G(T", b"G T", b"\xc3GET", b" GET", b"GET:", b"A" * 100])
    else:
        request.target += request.rng.choice([b"#", b"#a", b"/#b"])


@fault
def connection_names_what_must_stay(request):
    names = [b"Host", b"Content-Length", b"authorization", b"X-Forwarded-For", b"x-forwarded-proto", b"Transfer-Encoding"]
    request.add(b"Connection", request.rng.choice([b"", b"close, ", b"keep-alive,"]) + request.rng.choice(names))


@fault
def bad_chunk(request):
    as_http11(request)
    request.add(b"Transfer-Encoding", b"chunked")
    bad = [b"+1\r\nx\r\n", b"-1\r\nx\r\n", b" 1\r\nx\r\n", b"1 \r\nx\r\n", b"0x1\r\nx\r\n", b"1\nx\r\n", b"1\r\nx\n", b"1\r\nxx\r\n"]
    bad += [b"1\r\nx", b"1;a\nb\r\nx\r\n", b"1;a\rb\r\nx\r\n", b"1;a\0\r\nx\r\n", b"\r\n", b"g\r\n", b";a\r\n", b"1\rx\r\n"]
    bad += [b"fffffffffffffffff\r\nx\r\n", b"10000000000000001\r\nx\r\n", b"1,\r\nx\r\n", b"1\r\nx\r\r\n"]
    request.body = request.rng.choice(bad) + b"0\r\n\r\n"


@fault
def bad_trailer(request):
    as_http11(request)
    request.add(b"Transfer-Encoding", b"chunked")
    bad = [b"A: b\n", b"A : b\r\n", b" A: b\r\n", b"A: b\r\n c\r\n", b"A\r\n", b"A: \0\r\n", b": b\r\n", b"A: b\rc\r\n"]
    request.body = b"0\r\n" + request.rng.choice(bad) + b"\r\n"


def noise(raw, rng):
    """Changes a few bytes without a plan."""
    raw = bytearray(raw)
    for _ in range(rng.randrange(1, 4)):
        position = rng.randrange(len(raw) + 1)
        kind = rng.randrange(4)
        if kind == 0 and position < len(raw):
            raw[position] = rng.choice([rng.randrange(256), 0x20, 0x0D, 0x0A, 0x3A, 0x09, 0x2C])
        elif kind == 1 and position < len(raw):
            del raw[position]
        elif kind == 2:
            raw[position:position] = raw[position : position + rng.randrange(10)]
        else:
            raw[position:position] = rng.choice([b"\r\n", b"\n", b" ", b":", b"0\r\n\r\n", b"Host: a\r\n", b"%", b";"])
    return bytes(raw)


def corpus(seed, count):
    rng = random.Random(seed)
    labels = sorted(FAULTS)
    for number in range(count):
        request = Request(rng)
        kind = number % 4
        if kind == 0:
            yield Case("valid", request.raw(), "accept")
        elif kind == 1:
            yield Case("noise", noise(request.raw(), rng), None)
        else:
            label = labels[number // 4 % len(labels)] if kind == 2 else rng.choice(labels)
            FAULTS[label](request)
            yield Case(label, request.raw(), "refuse")


# The three parsers


def poise_verdicts(driver, cases):
    lines = "".join(case.raw.hex() + "\n" for case in cases)
    output = subprocess.run([driver], input=lines, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(output) == len(cases), f"{len(output)} verdicts for {len(cases)} requests"
    for line in output:
        parts = line.split("\t")
        if parts[0] == "accepted":
            yield Verdict("accepted", parts[1], parts[2], int(parts[3]), int(parts[4]), int(parts[5]), "")
        else:
            yield Verdict(parts[0], "", "", 0, 0, 0, " ".join(parts[1:]))


def h11_verdict(raw):
    connection = h11.Connection(h11.SERVER)
    try:
        # h11 skips no empty line before a request, which RFC 9112 §2.2 asks for.
        request_start = re.match(rb"(\r\n){0,2}", raw).end()
        connection.receive_data(raw[request_start:])
        request, content = None, 0
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                return Verdict("needMore", "", "", 0, 0, 0, "")
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                content += len(event.data)
            elif isinstance(event, h11.EndOfMessage):
                used = len(raw) - len(connection.trailing_data[0])
                method, target = request.method.decode("latin1"), request.target.decode("latin1")
                return Verdict("accepted", method, target, len(request.headers), content, used, "")
    except h11.RemoteProtocolError as error:
        return Verdict("refused", "", "", 0, 0, 0, str(error))


class Nginx:
    """One nginx process that answers each request with its method and target."""

    CONFIG = """
        daemon off; master_process off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log;
        events {{ worker_connections 512; }}
        http {{
            access_log off; client_max_body_size 0; default_type text/plain; keepalive_timeout 5s;
            client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
            uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
            server {{ listen unix:{dir}/socket; location / {{ return 200 "$request_method $request_uri"; }} }}
        }}
    """

    def __init__(self, program):
        self.directory = tempfile.TemporaryDirectory()
        path = self.directory.name
        with open(f"{path}/nginx.conf", "w") as file:
            file.write(self.CONFIG.format(dir=path))
        self.socket_path = f"{path}/socket"
        self.process = subprocess.Popen(
            [program, "-p", path, "-c", f"{path}/nginx.conf", "-e", f"{path}/error.log"], stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while True:  # Until it accepts: there is nothing else to wait for.
            try:
                self.connect().close()
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    with open(f"{path}/error.log") as file:
                        sys.exit("nginx does not start: " + file.read())
                time.sleep(0.02)

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(5)
        connection.connect(self.socket_path)
        return connection

    def answers(self, raw):
        """The answers to `raw` as (status, text), interim ones left out."""
        with self.connect() as connection:
            received = b""
            try:
                connection.sendall(raw)
                connection.shutdown(socket.SHUT_WR)
                while chunk := connection.recv(65536):
                    received += chunk
            except (BrokenPipeError, ConnectionResetError):
                pass
        answers = []
        while received:
            head, _, received = received.partition(b"\r\n\r\n")
            status = int(head[9:12])
            if status < 200:
                continue
            length = int(re.search(rb"(?i)\r\ncontent-length: (\d+)", head)[1])
            if received.startswith(b"HTTP/1.1 ") or not received:
                length = 0  # An answer to HEAD.
            answers.append((status, received[:length].decode("latin1")))
            received = received[length:]
        return answers

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.directory.cleanup()


# What may differ


def excused(raw, ours):
    """Why nginx may refuse what Poise accepts, or None."""
    if not re.fullmatch(r"[A-Z_-]+", ours.method):
        return "nginx knows methods of capital letters only; RFC 9110 §9.1 has any token"
    if ours.method in ("TRACE", "CONNECT"):
        return "refused by policy, not by syntax; so does Poise, behind the codec"
    if ours.target == "*":
        return "nginx has no asterisk-form"
    if re.search(rb"(?im)^(host|content-length|transfer-encoding):([ \t]*\t[^\r\n]*|[^\r\n]*\t[ \t]*)\r?$", raw):
        return "nginx 1.22 takes HTAB for a part of the value; RFC 9110 §5.6.3 has it as white space"
    if re.match(r"(?i)https?://[^/?]*[!$&'()*+,;=~%]", ours.target):
        return "nginx allows fewer bytes in the host of an absolute-form than RFC 3986 §3.2.2"
    depth = 0
    path = re.sub(r"(?i)^https?://[^/?]*", "", ours.target).split("?")[0]
    for segment in re.sub(r"(?i)%2e", ".", re.sub(r"(?i)%2f", "/", path)).split("/")[1:]:
        depth += {"..": -1, ".": 0, "": 0}.get(segment, 1)
        if depth < 0:
            return "a path that leaves the root: Routing normalises, the codec does not"
    return None


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--driver", required=True, help="the built codec-driver")
    arguments.add_argument("--nginx", default="/usr/sbin/nginx")
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments.add_argument("--count", type=int, default=4000)
    options = arguments.parse_args()
    print(f"seed {options.seed}, {options.count} requests, h11 {h11.__version__}")

    cases = list(corpus(options.seed, options.count))
    verdicts = list(poise_verdicts(options.driver, cases))
    problems, excuses, tally = [], collections.Counter(), collections.Counter()

    def problem(case, text):
        problems.append(f"{case.label}: {text}\n    {case.raw!r}")

    nginx = Nginx(options.nginx)
    try:
        for case, ours in zip(cases, verdicts):
            tally[ours.kind] += 1
            if case.must == "accept" and ours.kind != "accepted":
                problem(case, f"valid, but {ours.kind} {ours.detail}")
            if case.must == "refuse" and ours.kind != "refused":
                problem(case, f"must be refused, but {ours.kind}")
            if ours.kind != "accepted":
                continue

            other = h11_verdict(case.raw)
            same = ours[1:3] + ours[4:6] == other[1:3] + other[4:6]
            if other.kind != "accepted" or not same:
                problem(case, f"ours {ours}, h11 {other}")

            answers = nginx.answers(case.raw[: ours.used] + CANARY)
            statuses = [status for status, _ in answers]
            texts = [text for _, text in answers]
            origin_form = ours.target.startswith("/")
            expected = f"{ours.method} {ours.target}"
            if not statuses or statuses[0] != 200:
                reason = excused(case.raw, ours)
                if reason:
                    excuses["nginx: " + reason] += 1
                else:
                    problem(case, f"ours {ours}, nginx {answers}")
            elif origin_form and ours.method != "HEAD" and texts[0] != expected:
                problem(case, f"ours {ours}, nginx read {texts[0]!r}")
            elif len(answers) > 1 and (len(answers) > 2 or texts[1] != "GET /canary"):
                problem(case, f"ours {ours}, nginx went on with {answers[1:]}")
            else:
                tally["canary seen" if len(answers) == 2 else "connection closed"] += 1
    finally:
        nginx.close()

    print(", ".join(f"{key} {value}" for key, value in sorted(tally.items())))
    for reason, number in sorted(excuses.items()):
        print(f"excused {number} times: {reason}")
    for text in problems[:20]:
        print(text)
    if tally["accepted"] < options.count // 5 or tally["canary seen"] < options.count // 10:
        problems.append("too little was accepted to compare anything")
    print(f"{len(problems)} problems; --seed {options.seed} makes the same requests again")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
