"""Bodies stream both ways through bounded memory; ends, cuts and early answers mean what they meant."""
import hashlib
import threading
import time

import pytest

from client import Client, get, request
from deadline import SLOW, Deadline, Progress
from wire import Ended

MiB = 1 << 20
BLOCK = hashlib.sha256(b"poise").digest() * 8192  # 256 KiB


def sender(total, progress, framing=b"Content-Length: %d\r\n"):
    """A handler that sends `total` bytes as fast as they are taken."""
    def handler(conn):
        if conn.request().target == "/warm":
            conn.respond(body=BLOCK * 4, fields=[("Connection", "close")])
            return
        conn.send(b"HTTP/1.1 200 OK\r\n" + (framing % total if b"%d" in framing else framing) + b"\r\n")
        left = total
        while left:
            piece = BLOCK[:min(left, len(BLOCK))]
            conn.sock.settimeout(120)
            conn.sock.sendall(piece)
            progress.add(len(piece))
            left -= len(piece)
        if b"Content" in framing:
            conn.expect_end(Deadline(120))
    return handler


def memory_once_warm(poise):
    """What the process holds after it has carried a body: code, tables and pooled buffers are there."""
    assert get(poise.port, "/warm", method="POST", body=BLOCK).status == 200
    return poise.memory()


@pytest.mark.parametrize("framing", [b"Content-Length: %d\r\n", b""], ids=["length", "close"])
def test_a_slow_reader_holds_back_the_target(start, framing):
    total, progress = 200 * MiB, Progress()
    origin = start.origin(sender(total, progress, framing))
    poise = start.proxy(origin)
    before = memory_once_warm(poise)
    with Client(poise.port, receive_buffer=65536) as client:
        client.send(request())
        response = client.head()
        sent = progress.settle()
        # Kernel buffers of two loopback connections hold some MiB; we hold next to nothing.
        assert sent < 40 * MiB, "the target was not held back"
        assert poise.memory() - before < MiB, "a stalled body is kept in memory"
        # And on: every byte arrives.
        body_bytes = count_body(client, response, total)
        assert body_bytes == total
        assert poise.memory("VmHWM") - before < 4 * MiB


def count_body(client, response, total):
    """Reads a body of BLOCKs and checks every byte; returns how many there were."""
    position, digest = 0, hashlib.sha256()

    def take(data):
        nonlocal position
        digest.update(data)
        position += len(data)
    if response.get("Transfer-Encoding") == "chunked":
        while (piece := client.chunk(Deadline(60))) is not None:
            take(piece)
        client.fields()
    else:
        while position + len(client.buffer) < total:
            take(client.buffer)
            client.buffer = b""
            client.fill(Deadline(60))
        take(client.buffer[:total - position])
    wanted = hashlib.sha256()
    for _ in range(total // len(BLOCK)):
        wanted.update(BLOCK)
    assert digest.digest() == wanted.digest(), "bytes were changed or reordered"
    return position


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_slow_target_holds_back_the_client(start, chunked):
    total, go, done = 100 * MiB, threading.Event(), Progress()

    def handler(conn):
        asked = conn.head()
        if asked.target == "/warm":
            conn.finish(asked)
            conn.respond(body=BLOCK, fields=[("Connection", "close")])
            return
        assert go.wait(60)
        digest = hashlib.sha256()
        left = total
        if chunked:
            while (piece := conn.chunk(Deadline(60))) is not None:
                digest.update(piece)
            conn.fields()
        else:
            while left:
                if not conn.buffer:
                    conn.fill(Deadline(60))
                digest.update(conn.buffer)
                left, conn.buffer = left - len(conn.buffer), b""
        assert asked.method == "POST"
        conn.respond(body=digest.hexdigest().encode())
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    before = memory_once_warm(poise)
    with Client(poise.port) as client:
        framing = [("Transfer-Encoding", "chunked")] if chunked else [("Content-Length", str(total))]
        client.send(request("/", method="POST", fields=framing))

        def upload():
            client.sock.settimeout(120)
            for _ in range(total // len(BLOCK)):
                client.sock.sendall((b"%x\r\n" % len(BLOCK) + BLOCK + b"\r\n") if chunked else BLOCK)
                done.add(len(BLOCK))
            if chunked:
                client.sock.sendall(b"0\r\n\r\n")
        thread = threading.Thread(target=upload, daemon=True)
        thread.start()
        origin.wait_requests(2, complete=False)
        assert done.settle() < 40 * MiB, "the client was not held back"
        assert poise.memory() - before < MiB
        go.set()
        thread.join(60)
        wanted = hashlib.sha256(BLOCK * (total // len(BLOCK))).hexdigest()
        assert client.response("POST", Deadline(60)).text == wanted


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_download_of_ten_gibibytes_holds_less_than_one_mebibyte(start):
    total, progress = 10 << 30, Progress()
    origin = start.origin(sender(total, progress))
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        before = memory_once_warm(poise)
        client.send(request())
        client.head()
        drain(client, total)
        assert poise.memory("VmHWM") - before < MiB


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_an_upload_of_ten_gibibytes_holds_less_than_one_mebibyte(start):
    total = 10 << 30

    def handler(conn):
        asked = conn.head()
        if asked.target == "/warm":
            conn.finish(asked)
            conn.respond(body=BLOCK * 4, fields=[("Connection", "close")])
            return
        drain(conn, total)
        conn.respond(body=b"all of it")
        conn.expect_end()
    poise = start.proxy(start.origin(handler))
    with Client(poise.port) as client:
        before = memory_once_warm(poise)
        client.send(request("/", method="POST", fields=[("Content-Length", str(total))]))
        client.sock.settimeout(60)
        for _ in range(total // len(BLOCK)):
            client.sock.sendall(BLOCK)
        assert client.response("POST").body == b"all of it"
        assert poise.memory("VmHWM") - before < MiB


def drain(stream, total):
    """Reads exactly `total` bytes of a body and forgets them."""
    left, buffer = total - len(stream.buffer), memoryview(bytearray(MiB))
    stream.buffer = b""
    stream.sock.settimeout(60)
    while left:
        count = stream.sock.recv_into(buffer[:min(left, MiB)])
        assert count, f"cut with {left} bytes to come"
        left -= count


# Pieces are passed on at once

@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked\r\n", b"Content-Length: 500\r\n", b""],
                         ids=["chunked", "length", "close"])
def test_each_piece_of_an_answer_arrives_before_the_next_is_sent(start, framing):
    turn = threading.Semaphore(0)

    def handler(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + framing + b"\r\n")
        for n in range(50):
            assert turn.acquire(timeout=10)
            event = b"data: %02d\n\n" % n
            conn.send(b"a\r\n" + event + b"\r\n" if b"chunked" in framing else event)
        if b"chunked" in framing:
            conn.send(b"0\r\n\r\n")
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        client.send(request())
        response = client.head()
        began = time.monotonic()
        for n in range(50):
            turn.release()
            event = client.chunk() if response.get("Transfer-Encoding") else client.exactly(10)
            assert event == b"data: %02d\n\n" % n
        # Nothing waits for more to come: neither we nor (Nagle, delayed acknowledgements) the kernel.
        assert time.monotonic() - began < 1.5 * SLOW


@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "length"])
def test_each_piece_of_a_request_arrives_before_the_next_is_sent(start, chunked):
    arrived = Progress()

    def handler(conn):
        conn.head()
        for _ in range(50):
            assert (conn.chunk() if chunked else conn.exactly(10)) == b"0123456789"
            arrived.add(1)
        if chunked:
            assert conn.chunk() is None
            conn.fields()
        conn.respond(body=b"ok")
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", "500")
        client.send(request("/", method="POST", fields=[framing]))
        began = time.monotonic()
        for n in range(50):
            client.send(b"a\r\n0123456789\r\n" if chunked else b"0123456789")
            arrived.reach(n + 1)
        assert time.monotonic() - began < 1.5 * SLOW
        if chunked:
            client.send(b"0\r\n\r\n")
        assert client.response("POST").body == b"ok"


# Ends and cuts

def test_a_fin_after_a_whole_request_is_still_answered(start):
    def handler(conn):
        conn.request()
        conn.expect_silence(0.3)  # the exchange goes on at the target
        conn.respond(body=b"late")
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        client.send(request())
        client.half_close()
        assert client.response().body == b"late"
        assert client.expect_end() == "fin"


def test_a_fin_after_pipelined_requests_answers_all(start):
    origin = start.origin()
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        client.send(b"".join(request(f"/{n}") for n in range(5)))
        client.half_close()
        assert [client.response().status for _ in range(5)] == [200] * 5
        assert client.expect_end() == "fin"


def cut_fin(client):
    client.half_close()


def cut_reset(client):
    client.reset()


@pytest.mark.parametrize("cut", [cut_fin, cut_reset])
def test_a_cut_in_a_head_reaches_no_target(start, cut):
    origin = start.origin()
    poise = start.proxy(origin)
    client = Client(poise.port)
    client.send(b"GET / HTTP/1.1\r\nHost: sh")
    cut(client)
    if cut is cut_fin:
        assert client.to_end() == b"" or b" 400 " in client.seen
    with Client(poise.port) as other:
        assert other.ask(request("/other")).status == 200
    assert [r.target for r in origin.requests] == ["/other"]


@pytest.mark.parametrize("cut", [cut_fin, cut_reset])
@pytest.mark.parametrize("framing, sent", [
    (("Content-Length", "100"), b"only this"), (("Transfer-Encoding", "chunked"), b"9\r\nonly this\r\n"),
    (("Transfer-Encoding", "chunked"), b"9\r\nonly this\r\n0\r\n"),
])
def test_a_cut_in_a_body_ends_the_exchange_at_the_target(start, cut, framing, sent):
    origin = start.origin()
    poise = start.proxy(origin)
    client = Client(poise.port)
    client.send(request("/", method="POST", fields=[framing]) + sent)
    origin.wait_requests(1, complete=False)
    cut(client)
    assert origin.connections[0].wait_over() in ("fin", "reset")
    assert not origin.requests[0].complete
    if cut is cut_fin:
        try:
            client.to_end()
        except Ended:
            pass


def test_a_client_that_resets_while_the_target_thinks_ends_the_exchange(start):
    def handler(conn):
        conn.request()
        conn.expect_end(Deadline(20))
    origin = start.origin(handler)
    poise = start.proxy(origin)
    client = Client(poise.port)
    client.send(request())
    origin.wait_requests()
    client.reset()
    origin.connections[0].wait_over()


def test_a_client_that_resets_while_it_is_answered_ends_the_exchange(start):
    progress = Progress()
    origin = start.origin(sender(500 * MiB, progress))
    poise = start.proxy(origin)
    client = Client(poise.port)
    client.send(request())
    client.head()
    client.reset()
    assert origin.connections[0].wait_over() == "reset"
    assert progress.count < 500 * MiB


# Early answers during an upload

@pytest.mark.parametrize("framing", [("Content-Length", str(20 * MiB)), ("Transfer-Encoding", "chunked")])
def test_an_early_413_of_the_target_reaches_the_client(start, framing):
    def handler(conn):
        conn.head()
        conn.respond(413, phrase="Content Too Large", fields=[("Connection", "close")], body=b"too much")
    origin = start.origin(handler)
    poise = start.proxy(origin)
    blind_upload(poise, framing, 413, b"too much")


@pytest.mark.parametrize("framing", [("Content-Length", str(20 * MiB)), ("Transfer-Encoding", "chunked")])
def test_an_early_413_of_our_own_reaches_the_client(start, framing):
    origin = start.origin()
    poise = start.proxy(origin, body_bytes="1MiB")
    blind_upload(poise, framing, 413, None)
    assert all(not r.complete for r in origin.requests)


def test_a_target_that_answers_and_resets_is_still_heard(start):
    """What a target does that refuses an upload carelessly: the answer arrived before the reset, so it counts."""
    def handler(conn):
        conn.head()
        conn.exactly(100_000)
        conn.respond(413, phrase="Content Too Large", body=b"too much")
        conn.half_close()
        # Closing with bytes unread resets the connection.
        conn.fill(Deadline())
    origin = start.origin(handler)
    poise = start.proxy(origin)
    blind_upload(poise, ("Content-Length", str(20 * MiB)), 413, b"too much")


def blind_upload(poise, framing, status, body):
    """Sends 20 MiB without looking, as most clients do, then reads the answer."""
    with Client(poise.port) as client:
        client.send(request("/", method="POST", fields=[framing]))
        try:
            for _ in range(20 * MiB // len(BLOCK)):
                client.send(b"%x\r\n" % len(BLOCK) + BLOCK + b"\r\n" if framing[1] == "chunked" else BLOCK)
            if framing[1] == "chunked":
                client.send(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pytest.fail("a reset during the upload: the client may never see its answer")
        except TimeoutError:
            pass  # nobody reads our upload any more; the answer must be there
        response = client.response("POST")
        assert response.status == status
        assert body is None or response.body == body


def test_an_early_answer_does_not_mix_the_rest_of_a_body_into_the_next_request(start):
    def handler(conn):
        while True:
            asked = conn.head(Deadline(30))
            conn.respond(body=asked.target.encode())
            conn.finish(asked)
    origin = start.origin(handler)
    poise = start.proxy(origin)
    body = b"GET /smuggled HTTP/1.1\r\nHost: shop.test\r\n\r\n" * 2000
    with Client(poise.port) as client:
        client.send(request("/first", method="POST", fields=[("Content-Length", str(len(body)))]) + body[:1000])
        assert client.response("POST").text == "/first"
        try:
            client.send(body[1000:] + request("/second"))
            if client.response().text != "/second":
                pytest.fail("the body was read as a request")
        except (Ended, ConnectionError):
            pass  # closing after an early answer is fine as well
    assert b"/smuggled" not in b"".join(r.raw for r in origin.requests)
