"""A hostile answer becomes 502 or an aborted connection; its bytes are never passed on as they came."""
import threading

import pytest

from client import Client, request
from deadline import Deadline, Progress
from generated import check_generated
from wire import Ended

OK = b"HTTP/1.1 200 OK\r\n"
BODY = b"Content-Length: 2\r\n\r\nok"
MARK = b"X-Mark: hostile\r\n"

HEADS = {
    "nothing but letters": b"hello, I am no HTTP server\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a TLS alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "an HTTP/0.9 answer": b"<html>hi</html>",
    "version 2": b"HTTP/2 200 OK\r\n" + MARK + BODY,
    "version 2.0": b"HTTP/2.0 200 OK\r\n" + MARK + BODY,
    "lower case version": b"http/1.1 200 OK\r\n" + MARK + BODY,
    "no space before the status": b"HTTP/1.1200 OK\r\n" + MARK + BODY,
    "status of two digits": b"HTTP/1.1 20 OK\r\n" + MARK + BODY,
    "status of four digits": b"HTTP/1.1 2000 OK\r\n" + MARK + BODY,
    "status 099": b"HTTP/1.1 099 OK\r\n" + MARK + BODY,
    "status in letters": b"HTTP/1.1 abc OK\r\n" + MARK + BODY,
    "status with sign": b"HTTP/1.1 +20 OK\r\n" + MARK + BODY,
    "NUL in the phrase": b"HTTP/1.1 200 O\x00K\r\n" + MARK + BODY,
    "bare CR in the phrase": b"HTTP/1.1 200 O\rK\r\n" + MARK + BODY,
    "bare CR in a value": OK + MARK + b"X: a\rb\r\n" + BODY,
    "NUL in a value": OK + MARK + b"X: a\x00b\r\n" + BODY,
    "control byte in a value": OK + MARK + b"X: a\x1bb\r\n" + BODY,
    "control byte in a name": OK + MARK + b"X\x01: a\r\n" + BODY,
    "space before the colon": OK + MARK + b"Content-Length : 2\r\n\r\nok",
    "space in a name": OK + MARK + b"X Y: a\r\n" + BODY,
    "no colon": OK + MARK + b"nonsense\r\n" + BODY,
    "empty name": OK + MARK + b": a\r\n" + BODY,
    "length and coding": OK + MARK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "length twice, different": OK + MARK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "length with sign": OK + MARK + b"Content-Length: +2\r\n\r\nok",
    "length negative": OK + MARK + b"Content-Length: -2\r\n\r\nok",
    "length 2^64": OK + MARK + b"Content-Length: 18446744073709551618\r\n\r\nok",
    "length in letters": OK + MARK + b"Content-Length: two\r\n\r\nok",
    "coding unknown": OK + MARK + b"Transfer-Encoding: gzip\r\n\r\nok",
    "coding twice": OK + MARK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "coding not last": OK + MARK + b"Transfer-Encoding: chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "unasked 101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + MARK + b"\r\nhi",
    "head of 100 KiB": OK + MARK + b"".join(b"X-%d: " % n + b"v" * 1000 + b"\r\n" for n in range(100)) + BODY,
    "a field of 100 KiB": OK + MARK + b"X: " + b"v" * 100_000 + b"\r\n" + BODY,
    "10,000 fields": OK + MARK + b"a: b\r\n" * 10_000 + BODY,
    "cut in the status line": b"HTTP/1.1 20",
    "cut in the fields": OK + MARK + b"X: ",
    "nothing at all": b"",
}


@pytest.mark.parametrize("name", HEADS)
def test_a_hostile_head_is_502(start, name):
    def handler(conn):
        conn.request()
        conn.send(HEADS[name])
        # Some are complete only when the connection ends.
        conn.half_close()
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        # POST: nothing here may be hidden by a retry.
        response = client.ask(request("/", method="POST", body=b"x", fields=[("X-Request-Id", "probe-2")]))
        check_generated(response, 502, request_id="probe-2")
        assert "X-Mark" not in response.fields and b"hostile" not in client.seen
        # The client did nothing wrong; its connection goes on.
        client.send(request("/", method="POST", body=b"x"))
        assert client.response("POST").status == 502
    for conn in origin.connections:
        conn.wait_over()
    assert len(origin.requests) == 2, "each asked once"


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BODIES = {
    "length too long": OK + b"Content-Length: 10\r\n\r\nhello",
    "chunk cut": CHUNKED + b"a\r\nhello",
    "last chunk missing": CHUNKED + b"5\r\nhello\r\n",
    "end missing": CHUNKED + b"5\r\nhello\r\n0\r\n",
    "chunk size no number": CHUNKED + b"5\r\nhello\r\nxyz\r\nhello\r\n0\r\n\r\n",
    "chunk size with sign": CHUNKED + b"5\r\nhello\r\n+5\r\nhello\r\n0\r\n\r\n",
    "chunk size too large": CHUNKED + b"5\r\nhello\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "chunk without its end": CHUNKED + b"5\r\nhello5\r\nhello\r\n0\r\n\r\n",
    "bare LF after a size": CHUNKED + b"5\r\nhello\r\n5\nhello\r\n0\r\n\r\n",
    "control byte in an extension": CHUNKED + b"5\r\nhello\r\n5;\x01\r\nhello\r\n0\r\n\r\n",
    "a trailer that is none": CHUNKED + b"5\r\nhello\r\n0\r\nnonsense\r\n\r\n",
    "trailers without an end": CHUNKED + b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 20_000,
}


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_never_looks_whole(start, name):
    def handler(conn):
        conn.request()
        conn.send(BODIES[name])
        conn.half_close()
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        client.send(request())
        try:
            response = client.response()
        except Ended:
            pass  # aborted: the client knows that something is missing
        else:
            assert response.status == 502, f"{response.status} {response.body!r}"
        assert b"xyz" not in client.seen and b"nonsense" not in client.seen and b"\x01" not in client.seen
    origin.connections[0].wait_over()


def test_a_reset_in_a_close_delimited_body_is_not_its_end(start):
    def handler(conn):
        conn.request()
        conn.send(OK + b"\r\nhalf of")
        assert conn.origin.passed.wait(10)
        conn.reset()
    origin = start.origin(handler)
    origin.passed = threading.Event()
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        client.send(request())
        response = client.head()
        assert response.status == 200
        while b"half of" not in client.seen:
            client.fill(Deadline())
        origin.passed.set()
        if response.get("Transfer-Encoding") == "chunked":
            with pytest.raises(Ended):
                client.chunked()
        else:
            client.buffer = b""
            assert client.expect_end() == "reset", "FIN would look like the end of the body"


def test_a_bare_lf_in_a_head_is_not_passed_on(start):
    """Lenient towards targets or not: the client sees a well-formed answer, or 502."""
    def handler(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok")
        conn.half_close()
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        assert client.ask(request("/", method="POST", body=b"")).status == 502


def test_a_folded_field_is_not_passed_on(start):
    def handler(conn):
        conn.request()
        conn.send(OK + b"X: a\r\n b\r\n" + BODY)
        conn.half_close()
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        response = client.ask(request("/", method="POST", body=b""))
        # RFC 9112 section 5.2: a gateway replaces it by spaces, or answers 502.
        assert response.status == 502 or response.get("X").split() == ["a", "b"]


def test_the_same_length_twice_is_refused(start):
    """RFC 9112 section 6.3 lets a recipient repair it; we do not repair."""
    def handler(conn):
        conn.request()
        conn.send(OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok")
        conn.half_close()
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        assert client.ask(request("/", method="POST", body=b"")).status == 502


def test_interim_responses_without_an_end_are_bounded(start):
    progress = Progress()

    def handler(conn):
        conn.request()
        piece = (b"HTTP/1.1 103 Early Hints\r\nX: " + b"v" * 1000 + b"\r\n\r\n") * 64
        while progress.count < 64 << 20:
            conn.send(piece)
            progress.add(len(piece))
    origin = start.origin(handler)
    poise = start.proxy(origin)
    before = poise.memory()
    with Client(poise.port, receive_buffer=65536) as client:
        client.send(request())
        origin.wait_requests()
        # The client does not read: what the target sends must neither be kept nor be read for ever.
        progress.settle()
        assert poise.memory() - before < 8 << 20
        assert client.head().status in (103, 502)


def test_interim_answers_without_end_are_502(start):
    def handler(conn):
        conn.request()
        hint = b"HTTP/1.1 103 Early Hints\r\nLink: </%s>\r\n\r\n" % (b"a" * 8000)
        while True:
            conn.sock.settimeout(10)
            conn.sock.sendall(hint)
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port, receive_buffer=8192) as client:
        client.send(request("/", method="POST", body=b"x"))
        assert origin.wait_connections()[0].wait_over() in ("fin", "reset")
        response = client.response("POST")
        assert response.status == 502 and len(response.interim) <= 100


@pytest.mark.parametrize("size", [32_000, 32_400, 32_500, 32_700, 32_768])
def test_a_head_that_grows_on_its_way_still_fits(start, size):
    """Each field without a space behind its colon gets one; all that Poise adds comes on top."""
    def handler(conn):
        conn.request()
        head = OK + b"a:b\r\n" * 190 + b"Transfer-Encoding:chunked\r\nX:"
        conn.send(head + b"v" * (size - len(head) - 4) + b"\r\n\r\n2\r\nok\r\n0\r\n\r\n")
        conn.expect_end()
    poise = start.proxy(start.origin(handler))
    with Client(poise.port) as client:
        response = client.ask(request("/", fields=[("Connection", "close")]))
        assert (response.status, response.body, len(response.fields.all("a"))) == (200, b"ok", 190)


def test_a_broken_answer_leaves_nothing_behind(start):
    """The client goes while a head is half read: the next answer is read from its own beginning."""
    def handler(conn):
        asked = conn.request()
        if asked.target == "/half":
            conn.send(b"HTTP/1.1 200 OK\r\nX-Half: abcdefgh\r\nX-Ano")
            conn.expect_end()
        conn.respond(body=b"whole", fields=[("X-Whole", "yes"), ("Connection", "close")])
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    for n in range(3):
        client = Client(poise.port)
        client.send(request("/half"))
        origin.wait_requests(2 * n + 1)
        client.expect_silence(0.1)
        client.reset()
        origin.connections[2 * n].wait_over()
        with Client(poise.port) as other:
            response = other.ask(request("/whole"))
            assert (response.body, response.get("X-Whole"), response.get("X-Half")) == (b"whole", "yes", None)
