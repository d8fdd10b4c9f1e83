"""Keep-alive on both sides, pipelining, HTTP/1.0 clients and targets, close-delimited answers."""
import json
import threading

import pytest

from client import Client, get, request
from deadline import PATIENCE, Deadline, eventually
from wire import Ended


def test_both_sides_keep_their_connections(start):
    origin = start.origin()
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        for n in range(10):
            response = client.ask(request(f"/{n}"))
            assert json.loads(response.body)["target"] == f"/{n}"
            assert response.minor == 1 and "close" not in response.fields.tokens("Connection")
    assert len(origin.connections) == 1, "one idle connection serves one request after the other"


def test_target_connections_are_shared_by_clients(start):
    origin = start.origin()
    poise = start.proxy(origin)
    for _ in range(5):
        assert get(poise.port).status == 200
    assert len(origin.connections) == 1


def test_pipelined_requests_are_answered_in_order(start):
    slow = threading.Event()

    def handler(conn):
        while True:
            asked = conn.request(Deadline(60))
            if asked.target == "/0":
                assert slow.wait(10)
            conn.respond(body=asked.target.encode())
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        client.send(b"".join(request(f"/{n}") for n in range(20)))
        origin.wait_requests(1)
        slow.set()
        assert [client.response().text for _ in range(20)] == [f"/{n}" for n in range(20)]


def test_pipelined_requests_with_bodies_keep_their_frames(start):
    origin = start.origin()
    poise = start.proxy(origin)
    chunked = request("/b", method="POST", fields=[("Transfer-Encoding", "chunked")]) + b"3\r\nabc\r\n0\r\n\r\n"
    sent = request("/a", method="POST", body=b"GET /x HTTP/1.1\r\n\r\n") + chunked + request("/c") \
        + request("/d", method="PUT", body=b"") + request("/e")
    with Client(poise.port) as client:
        client.send(sent)
        answers = [json.loads(client.response().body) for _ in range(5)]
    assert [(a["method"], a["target"], a["body"]) for a in answers] == [
        ("POST", "/a", "GET /x HTTP/1.1\r\n\r\n"), ("POST", "/b", "abc"), ("GET", "/c", ""), ("PUT", "/d", ""),
        ("GET", "/e", "")]


def test_a_request_may_arrive_one_byte_at_a_time(start):
    origin = start.origin()
    poise = start.proxy(origin)
    data = request("/slow", method="POST", fields=[("Transfer-Encoding", "chunked")]) + b"3\r\nabc\r\n0\r\nT: v\r\n\r\n"
    with Client(poise.port) as client:
        for index in range(len(data)):
            client.send(data[index:index + 1])
        assert json.loads(client.response().body)["body"] == "abc"
        assert client.ask(request("/next")).status == 200


def test_connection_close_of_the_client_is_honoured(start):
    origin = start.origin()
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        response = client.ask(request("/", fields=[("Connection", "close")]))
        assert response.status == 200 and "close" in response.fields.tokens("Connection")
        assert client.expect_end() == "fin"
    assert "close" not in origin.requests[0].fields.tokens("Connection"), "the target's connection is ours to keep"


def test_nothing_after_connection_close_is_read_as_a_request(start):
    origin = start.origin()
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        client.send(request("/last", fields=[("Connection", "close")]) + request("/never"))
        assert client.response().status == 200
        try:
            client.expect_end()
        except Ended:
            pass
    assert [r.target for r in origin.requests] == ["/last"]


def test_connection_close_of_the_target_stays_at_the_target(start):
    def handler(conn):
        conn.request()
        conn.respond(fields=[("Connection", "close")], body=b"x")
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        for _ in range(3):
            response = client.ask(request())
            assert response.status == 200 and "close" not in response.fields.tokens("Connection")
    assert len(origin.connections) == 3


# HTTP/1.0

def test_http10_client_without_host_is_served_and_closed(start):
    origin = start.origin()
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        response = client.ask(request("/old", host=None, version="1.0"))
        assert response.status == 200 and response.chunks is None
        assert client.expect_end() == "fin"
    assert origin.requests[0].minor == 1, "the target is asked in our version"


@pytest.mark.parametrize("fields", [[], [("Connection", "keep-alive")]])
def test_http10_client_never_gets_chunks(start, fields):
    def handler(conn):
        conn.request()
        conn.respond(fields=[("Transfer-Encoding", "chunked")], length=False, body=b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        response = client.ask(request("/", version="1.0", fields=fields))
        assert response.body == b"hello world"
        assert "Transfer-Encoding" not in response.fields and response.until_close


def test_http10_keep_alive_is_announced_or_refused(start):
    origin = start.origin()
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        response = client.ask(request("/", version="1.0", fields=[("Connection", "keep-alive")]))
        assert response.status == 200
        if "keep-alive" in response.fields.tokens("Connection"):
            assert client.ask(request("/", version="1.0")).status == 200
        assert client.expect_end() == "fin"


def test_http10_with_transfer_encoding_is_faulty_framing(start):
    origin = start.origin()
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        client.send(request("/", method="POST", version="1.0", fields=[("Transfer-Encoding", "chunked")])
                    + b"3\r\nabc\r\n0\r\n\r\n")
        assert client.response().status == 400
        client.expect_end()
    assert origin.connections == []


def test_http10_target_ends_its_answer_by_closing(start):
    def handler(conn):
        conn.request()
        conn.respond(version="1.0", length=False, body=b"old but whole")
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        response = client.ask(request())
        assert (response.status, response.minor, response.body) == (200, 1, b"old but whole")
        assert response.chunks is not None, "an unknown length is passed on as chunks, the client's connection stays"
        assert client.ask(request()).body == b"old but whole"


def test_http10_target_is_not_asked_twice_on_one_connection(start):
    def handler(conn):
        conn.request()
        conn.respond(version="1.0", body=b"x")
        assert conn.expect_end() in ("fin", "reset")
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        assert client.ask(request()).status == 200
        assert client.ask(request()).status == 200
    assert [len(c.requests) for c in origin.connections] == [1, 1]


def test_http10_target_with_transfer_encoding_is_faulty(start):
    def handler(conn):
        conn.request()
        conn.send(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    assert get(poise.port).status == 502


def test_close_delimited_answer_is_whole(start):
    body = bytes(range(256)) * 4096

    def handler(conn):
        conn.request()
        conn.respond(length=False, body=body)
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        assert client.ask(request()).body == body
        assert client.ask(request("/", version="1.0")).body == body


# Idle connections to targets

MIB = bytes(1 << 20)


def in_chunks(conn, size):
    conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for start in range(0, len(MIB), size):
        piece = MIB[start:start + size]
        conn.send(b"%x\r\n%b\r\n" % (len(piece), piece))
    conn.send(b"0\r\n\r\n")


@pytest.mark.parametrize("method, respond, status, body", [
    ("GET", lambda conn: conn.respond(body=MIB), 200, MIB),
    ("GET", lambda conn: in_chunks(conn, 1 << 16), 200, MIB),
    ("GET", lambda conn: in_chunks(conn, 1000), 200, MIB),
    ("GET", lambda conn: conn.respond(), 200, b""),
    ("GET", lambda conn: conn.respond(204, phrase="No Content", length=False), 204, b""),
    ("GET", lambda conn: conn.respond(304, phrase="Not Modified", length=False), 304, b""),
    ("HEAD", lambda conn: conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n"), 200, b""),
], ids=["1 MiB", "large chunks", "small chunks", "empty", "204", "304", "HEAD"])
def test_a_connection_serves_again_whatever_the_answer_was(start, method, respond, status, body):
    """Bulk above all: its last event may come for bytes that were read before."""
    def handler(conn):
        while True:
            conn.request()
            respond(conn)
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        for _ in range(30):
            response = client.ask(request("/", method=method), method)
            assert response.status == status and response.body == body
    assert len(origin.connections) == 1


def test_keep_alive_timeout_of_the_target_is_honoured(start):
    def handler(conn):
        while True:
            conn.request()
            conn.respond(fields=[("Keep-Alive", "timeout=1")], body=b"x")
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        assert client.ask(request()).status == 200
        # One second less one second of safety: the connection is of no more use.
        assert client.ask(request()).status == 200
    assert len(origin.connections) == 2


def test_idle_connection_to_a_target_ends_after_its_time(start):
    origin = start.origin()
    poise = start.proxy(origin, group_keep_alive_idle="200ms")
    assert get(poise.port).status == 200
    assert origin.connections[0].wait_over() == "fin"
    assert get(poise.port).status == 200
    assert len(origin.connections) == 2


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_no_more_idle_connections_than_allowed_are_kept(start, kept):
    both = threading.Barrier(2)

    def handler(conn):
        if conn.number < 2:
            conn.request()
            both.wait(PATIENCE)
            conn.respond(body=b"x")
        while True:
            conn.request(Deadline(600))
            conn.respond(body=b"x")
    origin = start.origin(handler)
    poise = start.proxy(origin, group_idle_connections=kept)
    with Client(poise.port) as first, Client(poise.port) as second:
        first.send(request())
        second.send(request())
        assert first.response().status == second.response().status == 200
        eventually("the others are closed", lambda: sum(c.over.is_set() for c in origin.connections) == 2 - kept)
        for _ in range(3):
            assert first.ask(request()).status == 200
    assert len(origin.connections) == (5 if kept == 0 else 2)


def test_a_pooled_connection_that_the_target_closed_is_not_used(start):
    def handler(conn):
        conn.request()
        conn.respond(body=b"x")
        conn.half_close()
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        for n in range(3):
            # Not idempotent: a retry could not hide the use of a dead connection.
            assert client.ask(request("/", method="POST", body=b"abc")).status == 200
            assert origin.connections[n].wait_over() == "fin"


def test_unasked_bytes_on_an_idle_target_connection_reach_nobody(start):
    def handler(conn):
        conn.request()
        conn.respond(body=b"mine")
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        for n in range(3):
            assert client.ask(request()).body == b"mine"
            origin.connections[n].wait_over()


def test_extra_bytes_with_the_answer_reach_nobody(start):
    def handler(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmineHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        for _ in range(3):
            assert client.ask(request()).body == b"mine"
    assert [len(c.requests) for c in origin.connections] == [1, 1, 1]
