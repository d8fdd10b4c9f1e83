"""What goes in comes out, whichever version of HTTP either side speaks: all four combinations. RFC 9113 8, RFC 9110"""
import contextlib
import os
import threading

import pytest

import http2
import http2_peer
from deadline import Deadline, Progress
from either import VERSIONS, Client, serve, start_origin
from frames import CANCEL, INTERNAL_ERROR
from wire import Ended

COMBINATIONS = [(c, t) for c in VERSIONS for t in VERSIONS]
MiB = 1 << 20


@pytest.fixture(params=COMBINATIONS, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def pair(request, start):
    """Starts target and Poise, and makes clients: `pair(handler)` → (connect, origin, poise)."""
    towards_client, towards_target = request.param

    def run(answer=None, handler=None, **settings):
        handler = handler or (lambda conn: serve(conn, answer or (lambda c, r: c.respond(body=r.body))))
        origin = start_origin(start, towards_target, handler)
        poise = start.proxy(origin, group_version=towards_target, **settings)
        return (lambda: Client(towards_client, poise.port)), origin, poise
    run.client, run.target, run.start = towards_client, towards_target, start
    return run


# Heads

def test_request_and_its_fields(pair):
    connect, origin, poise = pair()
    with connect() as client:
        answer = client.ask("/a/b%20c?d=e&f", method="PATCH", body=b"hello", fields=[
            ("x-one", "1"), ("x-two", "a, b"), ("X-Mixed" if pair.client == "http1" else "x-mixed", "c"), ("x-one", "2"), ("x-empty", ""),
            ("x-bytes", b"\xc3\xbc\xff".decode("latin-1")), ("user-agent", "probe"), ("x-long", "v" * 5000)])
    assert answer.status == 200
    got = origin.requests[0]
    assert (got.method, got.target, got.body) == ("PATCH", "/a/b%20c?d=e&f", b"hello")
    assert (got.host if pair.target == "http2" else got.get("Host")) == "shop.test"
    assert got.fields.all("x-one") == ["1", "2"] and got.get("x-two") == "a, b" and got.get("x-mixed") == "c"
    assert got.get("x-empty") == "" and got.get("x-bytes") == "\xc3\xbc\xff" and got.get("x-long") == "v" * 5000
    assert got.get("X-Forwarded-For") == "127.0.0.1" and got.get("X-Forwarded-Proto") == "http"
    assert got.get("Content-Length") == "5"
    if pair.target == "http2":
        assert got.scheme == "http" and "host" not in got.fields, ":authority says it"


def test_answer_and_its_fields(pair):
    fields = [("x-one", "1"), ("set-cookie", "a=1; Path=/"), ("set-cookie", "b=2"), ("x-bytes", "\xfc"), ("etag", '"x"')]
    connect, origin, poise = pair(lambda conn, request: conn.respond(203, fields, b"body"))
    with connect() as client:
        answer = client.ask()
    assert (answer.status, answer.body) == (203, b"body")
    assert answer.fields.all("set-cookie") == ["a=1; Path=/", "b=2"]
    assert (answer.get("x-one"), answer.get("x-bytes"), answer.get("etag")) == ("1", "\xfc", '"x"')
    assert answer.get("Content-Length") == "4"


def test_cookies_are_one_field_for_the_target(pair):
    connect, origin, poise = pair()
    crumbs = [("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")] if pair.client == "http2" else [("cookie", "a=1; b=2; c=3")]
    with connect() as client:
        client.ask(fields=crumbs)
    assert "; ".join(origin.requests[0].fields.all("cookie")) == "a=1; b=2; c=3"
    if pair.target == "http1":
        assert origin.requests[0].get("Cookie") == "a=1; b=2; c=3"


def test_connection_fields_of_an_answer_end_here(pair):
    if pair.target == "http2":
        pytest.skip("HTTP/2 has none; test_http2_targets.py sends them all the same")
    fields = [("Connection", "x-hop, keep-alive"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive"),
              ("X-Stays", "2")]
    connect, origin, poise = pair(lambda conn, request: conn.respond(200, fields, b"body"))
    with connect() as client:
        for _ in range(2):
            answer = client.ask()
            assert answer.body == b"body" and answer.get("X-Stays") == "2"
            for name in ("X-Hop", "Keep-Alive", "Proxy-Connection", "Upgrade"):
                assert name not in answer.fields


def test_connection_fields_of_a_request_end_here(pair):
    if pair.client == "http2":
        pytest.skip("refused: test_http2_clients.py")
    connect, origin, poise = pair()
    with connect() as client:
        assert client.ask(fields=[("Connection", "x-hop"), ("X-Hop", "1"), ("Keep-Alive", "5"), ("TE", "trailers, gzip"),
                                  ("X-Stays", "2")]).status == 200
    got = origin.requests[0]
    assert "X-Hop" not in got.fields and "Keep-Alive" not in got.fields and got.get("X-Stays") == "2"
    assert got.get("TE") in (None, "trailers")


def test_te_trailers_passes(pair):
    connect, origin, poise = pair()
    with connect() as client:
        client.ask(fields=[("te", "trailers")] + ([("Connection", "TE")] if pair.client == "http1" else []))
    assert origin.requests[0].get("TE") == "trailers"


def test_upgrade_to_h2c_is_ignored(pair):
    if pair.client == "http2":
        pytest.skip("there is no Upgrade in HTTP/2")
    connect, origin, poise = pair()
    with connect() as client:
        answer = client.ask(fields=[("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"),
                                    ("HTTP2-Settings", "AAMAAABkAAQAAP__")])
        assert answer.status == 200
        assert client.ask().status == 200, "and the connection is what it was"
    assert "Upgrade" not in origin.requests[0].fields and "HTTP2-Settings" not in origin.requests[0].fields


# Bodies

SIZES = [0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, 300_000]


@pytest.mark.parametrize("length", [True, False], ids=["length", "no length"])
def test_bodies_of_all_sizes(pair, length):
    connect, origin, poise = pair(lambda conn, request: conn.respond(body=request.body, length=length))
    with connect() as client:
        for size in SIZES:
            body = os.urandom(size)
            answer = client.ask("/", method="POST", body=body, length=length)
            assert answer.status == 200 and answer.body == body, size
    assert [len(r.body) for r in origin.requests] == SIZES
    for got in origin.requests:
        if length:
            assert got.get("Content-Length") == str(len(got.body))


def test_a_large_body_both_ways(pair):
    body = os.urandom(8 * MiB)
    connect, origin, poise = pair()
    with connect() as client:
        client.begin("/", method="POST", length=len(body))
        client.data(body, end=True, deadline=Deadline(60))
        assert client.response(Deadline(60)).body == body


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body(pair, status):
    connect, origin, poise = pair(lambda conn, request: conn.begin(status, [("etag", '"x"')], end=True))
    with connect() as client:
        for _ in range(2):
            answer = client.ask()
            assert (answer.status, answer.body, answer.get("etag")) == (status, b"", '"x"')


def test_head_tells_a_length_and_sends_nothing(pair):
    def answer(conn, request):
        if request.method == "HEAD":
            conn.begin(200, [("content-length", "12345")], end=True)
        else:
            conn.respond(body=b"next")
    connect, origin, poise = pair(answer)
    with connect() as client:
        head = client.ask(method="HEAD")
        assert (head.status, head.body, head.get("Content-Length")) == (200, b"", "12345")
        assert client.ask().body == b"next"


def test_trailers_both_ways(pair):
    connect, origin, poise = pair(lambda conn, request: conn.respond(
        body=request.body, trailers=[("x-sum", "6"), ("x-echo", request.trailers.get("x-sent") or "none")]))
    with connect() as client:
        answer = client.ask("/", method="POST", body=b"body", trailers=[("x-sent", "5")], fields=[("te", "trailers")] + (
            [("Connection", "TE")] if pair.client == "http1" else []))
    assert answer.body == b"body"
    assert (answer.trailers.get("x-sum"), answer.trailers.get("x-echo")) == ("6", "5")


@contextlib.contextmanager
def at_once(raw, together):
    """What is sent within leaves in one piece, where `together`; else its first frame has been read before the others come."""
    send, pieces = raw.send, []
    if not isinstance(raw, http2_peer.Peer):
        yield
        return
    raw.send = pieces.append
    try:
        yield
    finally:
        del raw.send
    if together:
        return send(b"".join(pieces))
    for piece in pieces:
        send(piece)
        raw.ping()


@pytest.mark.parametrize("together", [True, False], ids=["together", "apart"])
@pytest.mark.parametrize("length", [4, 0])
def test_trailers_behind_a_known_length(pair, length, together):
    """They pass where both sides have a place for them: a message of HTTP/1 with a length ends with its content."""
    body = b"body"[:length]

    def handler(conn):
        def answer(conn, request):
            with at_once(conn.conn, together):
                conn.begin(length=length)
                conn.data(body, True, [("x-sum", "6")])
        serve(conn, answer)
    connect, origin, poise = pair(handler=handler)
    with connect() as client:
        for _ in range(2):
            with at_once(client.raw, together):
                client.begin("/", method="POST", length=length)
                client.data(body, True, [("x-sent", "5")] if pair.client == "http2" else None)
            answer = client.response()
            assert (answer.status, answer.get("Content-Length"), answer.body) == (200, str(length), body)
            assert answer.trailers.get("x-sum") == ("6" if (pair.client, pair.target) == ("http2", "http2") else None)
    assert len(origin.requests) == 2 and len(origin.connections) == 1
    for got in origin.requests:
        assert (got.get("Content-Length"), got.get("Transfer-Encoding"), got.body) == (str(length), None, body)
        assert got.trailers.get("x-sent") == ("5" if (pair.client, pair.target) == ("http2", "http2") else None)


def test_a_body_whose_end_was_read_is_sent_again(pair):
    """The second try sends it again up to its end, which came with the first."""
    def leaves(conn):
        conn.request()
        conn.conn.reset() if pair.target == "http1" else conn.break_off()
    gone, origin = [start_origin(pair.start, pair.target, handler) for handler in (
        leaves, lambda conn: serve(conn, lambda c, r: c.respond(body=r.body + b"!")))]
    poise = pair.start.proxy(gone, origin, group_version=pair.target, group_algorithm="least_connections")
    for body in (b"", b"whole", bytes(30_000)):
        with Client(pair.client, poise.port) as client:
            for _ in range(2):
                client.begin("/", method="PUT")
                client.data(body, True)
                assert client.response().body == body + b"!"
    assert gone.requests, "both were asked"


def test_phrases(pair):
    """HTTP/2 has none: a client of HTTP/1 gets the standard one. A target's own one passes (test_fields.py)."""
    statuses = [200, 404, 425, 503, 299, 599]
    connect, origin, poise = pair(lambda conn, request: (conn.interim(103), conn.respond(int(request.target[1:]))))
    with connect() as client:
        answers = [client.ask(f"/{status}") for status in statuses]
    assert [answer.status for answer in answers] == statuses
    if pair.client == "http1" and pair.target == "http2":
        assert [a.phrase for a in answers] == ["OK", "Not Found", "Too Early", "Service Unavailable", "", ""]
        assert {i.phrase for a in answers for i in a.interim} == {"Early Hints"}


def test_interim_answers(pair):
    def answer(conn, request):
        conn.interim(103, [("link", "</a>")])
        conn.interim(103, [("link", "</b>")])
        conn.respond(body=b"final")
    connect, origin, poise = pair(answer)
    with connect() as client:
        got = client.ask()
    assert [(i.status, i.get("link")) for i in got.interim] == [(103, "</a>"), (103, "</b>")]
    assert got.body == b"final"


def test_expect_100_continue(pair):
    def handler(conn):
        conn.head()
        conn.interim(100)
        request = conn.finish()
        conn.respond(body=request.body)
    connect, origin, poise = pair(handler=handler)
    with connect() as client:
        client.begin("/", method="POST", length=4, fields=[("expect", "100-continue")])
        if pair.client == "http1":
            assert client.raw.head().status == 100
        else:
            raw = client.raw
            raw.read_until(lambda: raw.messages.get(client.stream) and raw.messages[client.stream].interim)
        client.data(b"body", end=True)
        assert client.response().body == b"body"


def test_each_piece_arrives_before_the_next_is_sent(pair):
    def handler(conn):
        conn.head()
        conn.begin()
        for piece in (b"one", b"two", b"three"):
            conn.data(piece)
            conn.wait_next()
        conn.data(b"", end=True)
    gate = threading.Semaphore(0)

    def waiting(conn):
        conn.wait_next = lambda: gate.acquire(timeout=10)
        handler(conn)
    connect, origin, poise = pair(handler=waiting)
    with connect() as client:
        client.begin(end=True)
        client.head()
        for piece in (b"one", b"two", b"three"):
            if pair.client == "http1":
                assert client.raw.chunk() == piece
            else:
                message = client.raw.messages[client.stream]
                before = len(message.body) if not message.body.endswith(piece) else len(message.body) - len(piece)
                client.raw.read_until(lambda: bytes(message.body[before:]) == piece)
            gate.release()


# Back-pressure

def test_a_slow_reader_holds_back_the_target(pair):
    total, progress, piece = 64 * MiB, Progress(), bytes(256 * 1024)

    def handler(conn):
        conn.head()
        conn.begin(length=total)
        for _ in range(total // len(piece)):
            conn.data(piece, deadline=Deadline(50))
            progress.add(len(piece))
        conn.data(b"", end=True)
    connect, origin, poise = pair(handler=handler)
    before = poise.memory()
    with connect() as client:
        client.raw.replenishes = False
        client.begin(end=True)
        client.head()
        assert progress.settle() < 40 * MiB, "the target was not held back"
        assert poise.memory() - before < 8 * MiB, "a stalled body is kept in memory"
        if pair.client == "http1":
            left = total
            while left:
                left -= len(client.raw.exactly(min(left, MiB), Deadline(50)))
        else:
            client.raw.resume()
            assert len(client.response(Deadline(50)).body) == total


def test_a_slow_target_holds_back_the_client(pair):
    total, piece = 64 * MiB, bytes(256 * 1024)
    progress, gate, arrived = Progress(), threading.Event(), []

    def handler(conn):
        conn.conn.replenishes = False
        conn.head()
        assert gate.wait(30)
        if conn.version == "http2":
            conn.conn.resume()
        arrived.append(len(conn.finish(Deadline(50)).body))
        conn.respond()
    connect, origin, poise = pair(handler=handler)
    before = poise.memory()
    with connect() as client:
        client.begin("/", method="POST", length=total)

        def upload():
            if pair.client == "http1":
                client.raw.sock.settimeout(60)
            for number in range(total // len(piece)):
                if pair.client == "http1":
                    client.raw.sock.sendall(piece)
                else:
                    client.data(piece, end=number == total // len(piece) - 1, deadline=Deadline(60))
                progress.add(len(piece))
        thread = threading.Thread(target=upload, daemon=True)
        thread.start()
        assert progress.settle() < 40 * MiB, "the client was not held back"
        assert poise.memory() - before < 8 * MiB, "a stalled body is kept in memory"
        gate.set()
        thread.join(60)
        assert client.response(Deadline(50)).status == 200
    assert arrived == [total]


# Ends

def test_a_client_that_gives_up_ends_the_exchange(pair):
    ended = []

    def handler(conn):
        conn.head()
        ended.append(conn.wait_given_up(Deadline(10)))
    connect, origin, poise = pair(handler=handler)
    with connect() as client:
        client.begin(end=True)
        origin.wait_requests(complete=False)
        client.abort()
        if pair.client == "http2":
            client.raw.ping()
        origin.connections[0].wait_over()
    assert ended == [CANCEL] if pair.target == "http2" else ended and ended[0] in ("fin", "reset")


def test_an_answer_that_breaks_off_is_no_whole_answer(pair):
    def handler(conn):
        conn.head()
        conn.begin()
        conn.data(b"half")
        gate.acquire(timeout=10)
        conn.break_off()
    gate = threading.Semaphore(0)
    connect, origin, poise = pair(handler=handler)
    with connect() as client:
        client.begin(end=True)
        assert client.head().status == 200
        gate.release()
        with pytest.raises((Ended, http2.StreamReset)) as end:
            client.response() if pair.client == "http2" else client.raw.chunked()
        if pair.client == "http2":
            assert end.value.error in (INTERNAL_ERROR, CANCEL)
            client.raw.ping()


def test_a_request_that_breaks_off_is_no_whole_request(pair):
    def handler(conn):
        conn.head()
        conn.wait_given_up(Deadline(10)) if conn.version == "http2" else conn.conn.chunked(Deadline(10))
    connect, origin, poise = pair(handler=handler)
    with connect() as client:
        client.begin("/", method="POST")
        client.data(b"half")
        origin.wait_requests(complete=False)
        client.abort()
        origin.connections[0].wait_over()
    assert not origin.requests[0].complete


def test_a_body_that_is_not_its_length_is_refused(pair):
    """RFC 9113 8.1.1; on HTTP/1.1 the rest would be the next request."""
    if pair.client == "http1":
        pytest.skip("what comes behind a length is the next request")
    def handler(conn):
        try:
            conn.request(Deadline(10))
        except http2.StreamReset:
            pass
    connect, origin, poise = pair(handler=handler)
    for sent in (b"1234", b"123456"):
        with connect() as client:
            client.begin("/", method="POST", length=5)
            client.data(sent, end=True)
            client.raw.expect_reset(client.stream, 1)
    assert all(not r.complete or len(r.body) == 5 for r in origin.requests)


def test_one_after_the_other_on_one_connection(pair):
    connect, origin, poise = pair()
    with connect() as client:
        for n in range(50):
            assert client.ask(f"/{n}", method="POST", body=b"%d" % n).body == b"%d" % n
    assert len(origin.connections) == 1
