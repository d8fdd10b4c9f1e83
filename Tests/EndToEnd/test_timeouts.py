"""Every deadline, lowered: what ends, how, and what the peer is told."""
import threading
import time

import pytest

from client import Client, get, request
from deadline import SLOW, Deadline, Progress
from generated import check_generated
from origin import black_hole
from wire import Ended


def elapsed(action):
    start = time.monotonic()
    result = action()
    return time.monotonic() - start, result


# The client's side

def test_a_head_that_does_not_end_is_408(start):
    origin = start.origin()
    poise = start.proxy(origin, head="300ms")
    with Client(poise.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: sh")
        took, response = elapsed(client.response)
        check_generated(response, 408)
        assert 0.2 < took < 1.5 * SLOW
        assert client.expect_end() == "fin"
    assert origin.connections == []


def test_trickling_does_not_move_the_deadline(start):
    poise = start.proxy(start.origin(), head="400ms")
    with Client(poise.port) as client:
        began = time.monotonic()
        try:
            while not client.buffer:
                client.send(b"G")
                try:
                    client.fill(Deadline(0.05))
                except TimeoutError:
                    assert time.monotonic() - began < 3 * SLOW, "a byte now and then keeps the connection for ever"
        except (Ended, ConnectionError):
            return
        assert client.response().status in (408, 400, 501)


def test_a_connection_without_a_byte_ends_in_silence(start):
    poise = start.proxy(start.origin(), head="300ms")
    with Client(poise.port) as client:
        assert client.expect_end() == "fin"


def test_an_idle_connection_ends_in_silence(start):
    poise = start.proxy(start.origin(), idle="300ms", head="5s")
    with Client(poise.port) as client:
        assert client.ask(request()).status == 200
        took, how = elapsed(client.expect_end)
        assert how == "fin" and 0.2 < took < 1.5 * SLOW


def test_a_leading_crlf_is_not_a_request_yet(start):
    poise = start.proxy(start.origin(), idle="300ms", head="300ms")
    with Client(poise.port) as client:
        assert client.ask(request()).status == 200
        client.send(b"\r\n")
        client.expect_end()


def test_an_exchange_in_progress_is_not_idle(start):
    def handler(conn):
        conn.request()
        conn.expect_silence(0.6)
        conn.respond(body=b"late")
        conn.expect_end()
    poise = start.proxy(start.origin(handler), idle="200ms", head="200ms")
    assert get(poise.port).body == b"late"


def test_an_old_connection_is_closed_with_its_next_answer(start):
    poise = start.proxy(start.origin(), age="1s")
    with Client(poise.port) as client:
        for _ in range(200):
            response = client.ask(request())
            assert response.status == 200
            if "close" in response.fields.tokens("Connection"):
                assert client.expect_end() == "fin"
                return
            client.expect_silence(0.02)
    pytest.fail("the connection never aged")


@pytest.mark.parametrize("framing, sent", [
    (("Content-Length", "100000"), b"slow"), (("Transfer-Encoding", "chunked"), b"4\r\nslow\r\n"),
    (("Transfer-Encoding", "chunked"), b"4"), (("Content-Length", "100000"), b""),
])
def test_a_body_that_does_not_come_is_408(start, framing, sent):
    origin = start.origin()
    poise = start.proxy(origin, body_rate="1KiB", body_rate_grace="300ms")
    with Client(poise.port) as client:
        client.send(request("/", method="POST", fields=[framing]) + sent)
        check_generated(client.response("POST"), 408)
        client.expect_end()
    if origin.connections:
        assert origin.connections[0].wait_over() in ("fin", "reset")
    assert all(not r.complete for r in origin.requests)


def test_a_body_above_the_rate_is_left_alone(start):
    poise = start.proxy(start.origin(), body_rate="1KiB", body_rate_grace="200ms")
    with Client(poise.port) as client:
        client.send(request("/", method="POST", fields=[("Content-Length", "4000")]))
        for n in range(10):
            if n:
                client.expect_silence(0.1)
            client.send(b"x" * 400)
        assert client.response("POST").status == 200


def test_a_slow_target_is_not_the_clients_fault(start):
    """The rate is measured while the client is the one that is waited for."""
    go = Progress()

    def handler(conn):
        asked = conn.head()
        go.reach(1, 30)
        conn.finish(asked, Deadline(30))
        conn.respond(body=b"%d" % len(asked.body))
        conn.expect_end()
    poise = start.proxy(start.origin(handler), body_rate="1MiB", body_rate_grace="500ms")
    size = 30 << 20
    with Client(poise.port) as client:
        client.send(request("/", method="POST", fields=[("Content-Length", str(size))]))
        sender = threading.Thread(target=lambda: (client.sock.settimeout(60), client.sock.sendall(bytes(size))), daemon=True)
        sender.start()
        sender.join(1.2)
        assert sender.is_alive(), "the body fits into kernel buffers: nothing is tested"
        go.add(1)
        sender.join(60)
        assert client.response("POST").text == str(size)


def test_a_client_that_does_not_read_is_let_go(start):
    def handler(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while True:
            conn.sock.settimeout(30)
            conn.sock.sendall(bytes(65536))
    origin = start.origin(handler)
    poise = start.proxy(origin, body_rate="1KiB", body_rate_grace="300ms")
    with Client(poise.port, receive_buffer=65536) as client:
        client.send(request())
        assert origin.wait_requests()
        assert origin.connections[0].wait_over() == "reset"
        with pytest.raises(Ended):
            client.response(deadline=Deadline(20))


def test_a_client_that_reads_slowly_but_above_the_rate_is_served(start):
    """The kernel's buffer holds megabytes: for seconds it takes nothing of us although the client reads."""
    def handler(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        conn.sock.settimeout(30)
        conn.sock.sendall(bytes(100_000_000))
    origin = start.origin(handler)
    poise = start.proxy(origin, body_rate="1KiB", body_rate_grace="1s")
    with Client(poise.port, receive_buffer=65536) as client:
        client.send(request())
        assert origin.wait_requests()
        until = Deadline(4)
        while not until.passed():
            assert client.sock.recv(16384)
            assert not origin.connections[0].over.wait(0.1), "cut although it reads"
        client.reset()
    assert poise.wait_record()["reason"] == "client_aborted"


def test_a_slow_answer_of_the_target_is_not_the_clients_fault(start):
    def handler(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        for letter in b"hello":
            conn.expect_silence(0.15)
            conn.send(bytes([letter]))
        conn.expect_end()
    poise = start.proxy(start.origin(handler), body_rate="1KiB", body_rate_grace="200ms")
    assert get(poise.port).body == b"hello"


# The target's side

def test_a_connection_that_does_not_come_about_is_504(start):
    kept, port = black_hole()
    poise = start.proxy(f"127.0.0.1:{port}", group_connect="300ms", group_tries=1)
    took, response = elapsed(lambda: get(poise.port))
    check_generated(response, (503, 504))
    assert 0.2 < took < 1.5 * SLOW
    for sock in kept:
        sock.close()


def test_a_connection_that_does_not_come_about_is_tried_elsewhere(start):
    kept, port = black_hole()
    origin = start.origin()
    poise = start.proxy(f"127.0.0.1:{port}", origin, group_connect="200ms")
    with Client(poise.port) as client:
        for n in range(4):
            assert client.ask(request("/", method="POST", body=b"%d" % n)).status == 200
    assert [r.body for r in origin.requests] == [b"0", b"1", b"2", b"3"]
    for sock in kept:
        sock.close()


def test_a_target_that_never_answers_is_504(start):
    def handler(conn):
        conn.request()
        conn.expect_end(Deadline(30))
    origin = start.origin(handler)
    poise = start.proxy(origin, group_response_idle="300ms")
    with Client(poise.port) as client:
        client.send(request("/", fields=[("X-Request-Id", "probe-5")]))
        took, response = elapsed(client.response)
        check_generated(response, 504, request_id="probe-5")
        assert 0.2 < took < 1.5 * SLOW
        origin.connections[0].wait_over()
        assert len(origin.requests) == 1, "slow is not dead: no retry unless told"
        client.send(request())
        assert client.response().status == 504


def test_a_target_that_stops_in_its_answer_is_cut(start):
    def handler(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nand then nothing")
        conn.expect_end(Deadline(30))
    origin = start.origin(handler)
    poise = start.proxy(origin, group_response_idle="300ms")
    with Client(poise.port) as client:
        client.send(request())
        with pytest.raises(Ended):
            client.response()
    origin.connections[0].wait_over()


def test_a_trickling_answer_is_not_idle(start):
    def handler(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        for letter in b"trickl":
            conn.expect_silence(0.15)
            conn.send(bytes([letter]))
        conn.expect_end()
    poise = start.proxy(start.origin(handler), group_response_idle="400ms")
    assert get(poise.port).body == b"trickl"


def test_the_answer_is_not_late_while_the_request_is_still_coming(start):
    poise = start.proxy(start.origin(), group_response_idle="300ms", body_rate="0B")
    with Client(poise.port) as client:
        client.send(request("/", method="POST", fields=[("Content-Length", "6")]))
        for letter in b"trickl":
            client.expect_silence(0.15)
            client.send(bytes([letter]))
        assert client.response("POST").status == 200
