"""The codec beside two others, over a generated corpus: h11 as a library, HAProxy as a black box.

What Poise lets pass, both must understand, and understand alike: the same requests with the same method, target and body.
(The reverse is not asked: Poise refuses more.) The corpus is the same every time; POISE_SEED=n makes another.
"""
import os
import random
import re
import shutil
import socket
import subprocess

import h11
import pytest

from client import Client
from deadline import Deadline
from wire import Ended

SEED = int(os.environ.get("POISE_SEED", 20261120))
CASES = int(os.environ.get("POISE_CASES", "500"))

LINES = [b"GET {path} HTTP/1.1", b"POST {path} HTTP/1.1", b"PUT {path} HTTP/1.1", b"DELETE {path} HTTP/1.1"]
FIELDS = [b"X-A: b", b"Accept: */*", b"X-Empty:", b"Cookie: a=b; c=d", b"X-Obs: \xff\xfe", b"Content-Type: text/plain",
          b"X-Tab:\ta\tb", b"User-Agent: corpus/1.0 (x; y)", b"Via: 1.0 a, 1.1 b", b"Accept-Encoding: gzip;q=0.5"]
# What is put between, in place of, or into the bytes of a well-formed request.
SPICE = [b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b";", b"\x0b", b"\x7f", b"\x80", b"\xa0", b"0", b"5", b"+", b"-",
         b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length : 5\r\n", b"content-length: 5, 5\r\n",
         b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Transfer-Encoding : chunked\r\n",
         b"Transfer-Encoding:\x0bchunked\r\n", b"Transfer-Encoding: chunked, chunked\r\n", b"Transfer-Encoding: x\r\n",
         b"Host: evil.test\r\n", b" folded\r\n", b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b"chunked", b";ext=1", b"0\r\n\r\n",
         b"5\r\nhello\r\n", b"GET /inner HTTP/1.1\r\nHost: inner\r\n\r\n", b"\r\n\r\n", b"#", b"@", b"//", b"%00"]


def well_formed(chance, number):
    line = chance.choice(LINES).replace(b"{path}", b"/%d" % number + chance.choice([b"", b"/a", b"?q=1", b"/%41", b";p"]))
    fields = chance.sample(FIELDS, chance.randrange(5)) + [b"Host: corpus.test"]
    body = b""
    if not line.startswith((b"GET", b"DELETE")) or chance.random() < 0.1:
        data = bytes(chance.choices(b"abc\r\n05:; ", k=chance.choice([0, 1, 5, 40])))
        if chance.random() < 0.5:
            fields.append(b"Content-Length: %d" % len(data))
            body = data
        else:
            fields.append(b"Transfer-Encoding: chunked")
            while data:
                size = chance.randint(1, len(data))
                body += b"%x" % size + chance.choice([b"", b"", b";a=b"]) + b"\r\n" + data[:size] + b"\r\n"
                data = data[size:]
            body += b"0\r\n" + chance.choice([b"", b"", b"X-Trailer: t\r\n"]) + b"\r\n"
    chance.shuffle(fields)
    return b"\r\n".join([line, *fields]) + b"\r\n\r\n" + body


def corpus():
    chance = random.Random(SEED)
    for number in range(CASES):
        data = b"".join(well_formed(chance, number) for _ in range(chance.choice([1, 1, 1, 2])))
        for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
            at = chance.randrange(len(data) + 1)
            if chance.random() < 0.5:  # where it hurts: at the end of a line
                ends = [m.start() for m in re.finditer(rb"\r\n", data)]
                at = chance.choice(ends) + chance.choice([0, 1, 2])
            cut = chance.choice([0, 0, 1, 2])
            data = data[:at] + chance.choice(SPICE) + data[at + cut:]
        yield data


FRAMING_IN_TRAILERS = re.compile(
    rb"\r\n0+\r\n(?:[^\r\n]+\r\n)*(?:transfer-encoding|content-length|host):[^\r\n]*\r\n", re.I)


def by_h11(data):
    """The whole requests that h11 reads before it gives up or wants more: [(method, target, body)]."""
    found = []
    while data := re.sub(rb"\A(?:\r\n)+", b"", data):
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        now = None
        try:
            connection.receive_data(data)
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                if isinstance(event, h11.Request):
                    now = [event.method, event.target, b""]
                elif isinstance(event, h11.Data):
                    now[2] += bytes(event.data)
                else:
                    return found
        except h11.ProtocolError:
            # h11 gives up on a framing field among the trailers; RFC 9110 section 6.5.1 lets us drop it, and the body
            # before it is whole for both.
            if now and FRAMING_IN_TRAILERS.search(data):
                found.append(tuple(now))
            return found
        found.append(tuple(now))
        if connection.their_state is h11.MUST_CLOSE:
            return found
        data = connection.trailing_data[0]
    return found


def through(port, origin, data):
    """What the target receives when `data` is all that a client sends: ([(method, target, body)], [statuses])."""
    before = len(origin.requests)
    statuses = []
    with Client(port) as client:
        try:
            client.send(data)
            client.half_close()
            while True:
                statuses.append(client.response("GET", Deadline(3)).status)
        except (Ended, ConnectionError, AssertionError, TimeoutError):
            pass
    return [(r.method.encode(), r.target.encode(), r.body) for r in origin.requests[before:] if r.complete], statuses


@pytest.fixture(scope="module")
def haproxy(shared):
    """(port, target) of an HAProxy with its strict defaults."""
    binary = shutil.which("haproxy", path="/usr/sbin:/usr/bin")
    assert binary, "haproxy is not installed: make deps"
    origin = shared.origin(lenient)
    with socket.socket() as sock:  # HAProxy cannot tell which free port it took
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    file = shared.folder / "haproxy.cfg"
    file.write_text(f"""defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
    timeout http-request 2s
    http-reuse always
listen web
    bind 127.0.0.1:{port}
    server o 127.0.0.1:{origin.port}
""")
    process = subprocess.Popen([binary, "-db", "-f", file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = Deadline()
    while True:
        try:
            Client(port).close()
            break
        except ConnectionRefusedError:
            assert not deadline.passed() and process.poll() is None, "HAProxy does not start"
    yield port, origin
    process.kill()
    process.wait()


def lenient(conn):
    """Answers what it understands; what another proxy forwards may well be odd."""
    try:
        while True:
            conn.request(Deadline(30))
            conn.respond()
    except AssertionError:
        pass


def shown(requests):
    return "\n    ".join(f"{m!r} {t!r} {b!r}" for m, t, b in requests) or "nothing"


@pytest.mark.timeout(180)
def test_what_passes_is_understood_alike(shared, haproxy):
    origin = shared.origin()
    poise = shared.proxy(origin)
    passed = refused = 0
    for data in corpus():
        ours, statuses = through(poise.port, origin, data)
        passed += bool(ours)
        refused += not ours
        for status in statuses:
            assert status in (200, 400, 404, 405, 408, 413, 414, 417, 431, 501, 505), f"{status} for {data!r} (seed {SEED})"
        if not ours:
            continue
        # h11 reads a request as its sender wrote it: our target may be asked in origin form.
        theirs = by_h11(data)
        story = f"seed {SEED}\n  sent {data!r}\n  Poise passed on\n    {shown(ours)}\n  h11 read\n    {shown(theirs)}"
        assert ours == theirs[:len(ours)], story
        others, _ = through(haproxy[0], haproxy[1], data)
        # HAProxy may refuse what we take, but not read it differently.
        same = min(len(ours), len(others))
        assert ours[:same] == others[:same], f"{story}\n  HAProxy passed on\n    {shown(others)}"
    assert passed > CASES // 10 and refused > CASES // 10, f"{passed} passed, {refused} refused: the corpus tests nothing"
