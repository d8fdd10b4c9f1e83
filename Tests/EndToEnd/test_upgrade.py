"""Upgrade: websocket only by default, a tunnel after 101 and nothing before it."""
import threading

import pytest

from client import Client, request
from deadline import Deadline, Progress

ASK = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
       ("Sec-WebSocket-Version", "13")]
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


def tunnel(after):
    """A handler that switches protocols and then does `after(conn)`."""
    def handler(conn):
        asked = conn.head()
        assert asked.fields.tokens("Upgrade") == ["websocket"] and "upgrade" in asked.fields.tokens("Connection")
        assert asked.get("Sec-WebSocket-Key") == "dGhlIHNhbXBsZSBub25jZQ=="
        conn.send(SWITCH)
        after(conn)
    return handler


def opened(poise):
    client = Client(poise.port)
    response = client.ask(request("/chat", fields=ASK))
    assert response.status == 101
    assert response.fields.tokens("Upgrade") == ["websocket"] and "upgrade" in response.fields.tokens("Connection")
    assert response.get("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    return client


def test_a_tunnel_carries_any_bytes_both_ways(start):
    def after(conn):
        while True:
            conn.fill(Deadline(30))
            conn.send(conn.buffer)
            conn.buffer = b""
    origin = start.origin(tunnel(after))
    poise = start.proxy(origin)
    with opened(poise) as client:
        for size in (1, 2, 1000, 65536, 1 << 20):
            data = bytes(range(256)) * (size // 256 + 1)
            thread = threading.Thread(target=client.send, args=(data[:size],))
            thread.start()
            assert client.exactly(size, Deadline(30)) == data[:size]
            thread.join()
        # Not a request to anybody: only bytes.
        client.send(b"GET /not-a-request HTTP/1.1\r\n\r\n")
        assert client.exactly(31) == b"GET /not-a-request HTTP/1.1\r\n\r\n"
    assert len(origin.requests) == 1
    assert origin.connections[0].wait_over() in ("fin", "reset")


def test_bytes_right_behind_the_101_are_not_lost(start):
    def handler(conn):
        conn.head()
        conn.send(SWITCH + b"first words")
        conn.expect_end(Deadline(30))
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with opened(poise) as client:
        assert client.exactly(11) == b"first words"


def test_nothing_is_sent_after_the_head_until_101(start):
    go = threading.Event()

    def handler(conn):
        conn.head()
        conn.expect_silence(0.3)
        go.set()
        conn.send(SWITCH)
        assert conn.exactly(5) == b"eager"
        conn.send(b"ok")
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        client.send(request("/chat", fields=ASK) + b"eager")
        assert client.response().status == 101 and go.is_set()
        assert client.exactly(2) == b"ok"


def test_what_follows_a_refused_upgrade_is_a_request(start):
    """Bytes behind the head are the next request when there is no 101: they must not slip to the target as a tunnel."""
    def handler(conn):
        for _ in range(2):
            asked = conn.head()
            conn.respond(403 if asked.target == "/chat" else 200, phrase="No", body=asked.target.encode())
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        client.send(request("/chat", fields=ASK) + request("/next"))
        assert (client.response().status, client.response().text) == (403, "/next")


@pytest.mark.parametrize("who", ["client", "target"])
def test_a_half_close_passes_through_a_tunnel(start, who):
    def after(conn):
        if who == "client":
            assert conn.to_end() == b"last words"
            conn.send(b"the answer")
        else:
            conn.send(b"last words")
            conn.half_close()
            assert conn.to_end() == b"the answer"
    origin = start.origin(tunnel(after))
    poise = start.proxy(origin)
    with opened(poise) as client:
        if who == "client":
            client.send(b"last words")
            client.half_close()
            assert client.to_end() == b"the answer"
        else:
            assert client.to_end() == b"last words"
            client.send(b"the answer")
            client.half_close()
            origin.connections[0].wait_over()
    assert origin.errors == []


def test_a_reset_passes_through_a_tunnel(start):
    origin = start.origin(tunnel(lambda conn: conn.expect_end(Deadline(30))))
    poise = start.proxy(origin)
    opened(poise).reset()
    assert origin.connections[0].wait_over() in ("fin", "reset")


def test_an_idle_tunnel_ends(start):
    origin = start.origin(tunnel(lambda conn: conn.expect_end(Deadline(30))))
    poise = start.proxy(origin, upgraded_idle="1s", idle="100ms", head="100ms", group_response_idle="100ms")
    with opened(poise) as client:
        client.expect_silence(0.5)  # other timeouts do not count in a tunnel
        assert client.expect_end() in ("fin", "reset")
    origin.connections[0].wait_over()


def test_bytes_in_one_direction_keep_a_tunnel_open(start):
    def after(conn):
        for _ in range(6):
            assert conn.exactly(1) == b"x"
        conn.send(b"still here")
        conn.expect_end(Deadline(30))
    origin = start.origin(tunnel(after))
    poise = start.proxy(origin, upgraded_idle="1s")
    with opened(poise) as client:
        for _ in range(6):
            client.expect_silence(0.4)
            client.send(b"x")
        assert client.exactly(10) == b"still here"


@pytest.mark.parametrize("fields", [
    [("Connection", "Upgrade"), ("Upgrade", "h2c")],
    [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")],
    [("Connection", "Upgrade"), ("Upgrade", "TLS/1.0")],
    [("Connection", "Upgrade"), ("Upgrade", "foo/2")],
    [("Connection", "Upgrade"), ("Upgrade", "h2c, foo")],
    [("Upgrade", "websocket")],
], ids=lambda f: f[-1][1])
def test_other_tokens_are_stripped(start, fields):
    origin = start.origin()
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        assert client.ask(request("/", fields=fields)).status == 200
    got = origin.requests[0]
    assert "Upgrade" not in got.fields and "HTTP2-Settings" not in got.fields
    assert "upgrade" not in got.fields.tokens("Connection")


@pytest.mark.parametrize("upgrades", [
    ["h2c, websocket"], ["websocket, h2c"], ["h2c", "websocket"], ["websocket", "h2c"], ["foo/2 ,, websocket ,h2c"],
], ids=" + ".join)
def test_websocket_beside_others_goes_on_alone(start, upgrades):
    """Upgrade is a list (RFC 9110 §7.8): what may not pass is taken out of it, the rest stays."""
    origin = start.origin(tunnel(lambda conn: conn.send(conn.exactly(4))))
    poise = start.proxy(origin)
    fields = [field for field in ASK if field[0] != "Upgrade"] + [("Upgrade", value) for value in upgrades]
    with Client(poise.port) as client:
        response = client.ask(request("/chat", fields=fields))
        assert response.status == 101 and response.fields.tokens("Upgrade") == ["websocket"]
        client.send(b"ping")
        assert client.exactly(4) == b"ping"
    assert origin.requests[0].fields.tokens("Upgrade") == ["websocket"]


def test_a_listener_chooses_in_the_order_of_the_client(start):
    origin = start.origin()
    poise = start.proxy(origin, upgrades=["websocket", "foo"])
    fields = [("Connection", "Upgrade"), ("Upgrade", "bar, foo, websocket")]
    with Client(poise.port) as client:
        assert client.ask(request("/", fields=fields)).status == 200
    assert origin.requests[0].fields.tokens("Upgrade") == ["foo"]


def test_a_101_to_what_was_taken_out_of_the_list_is_a_fault(start):
    def handler(conn):
        conn.head()
        conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nsecret")
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        fields = [("Connection", "Upgrade"), ("Upgrade", "h2c, websocket")]
        assert client.ask(request("/", fields=fields)).status == 502
        assert b"secret" not in client.seen


def test_a_101_to_a_stripped_upgrade_is_a_fault(start):
    def handler(conn):
        conn.head()
        conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nsecret")
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        assert client.ask(request("/", fields=[("Connection", "Upgrade"), ("Upgrade", "h2c")])).status == 502
        assert b"secret" not in client.seen


def test_a_101_for_another_protocol_is_a_fault(start):
    def handler(conn):
        conn.head()
        conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\nsecret")
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        assert client.ask(request("/", fields=ASK)).status == 502
        assert b"secret" not in client.seen


def test_http10_cannot_upgrade(start):
    origin = start.origin()
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        assert client.ask(request("/", version="1.0", fields=ASK)).status == 200
    assert "Upgrade" not in origin.requests[0].fields


def test_a_listener_without_upgrades_strips_websocket(start):
    origin = start.origin()
    poise = start.proxy(origin, upgrades=[])
    with Client(poise.port) as client:
        assert client.ask(request("/", fields=ASK)).status == 200
    assert "Upgrade" not in origin.requests[0].fields


def test_a_slow_end_of_a_tunnel_holds_back_the_other(start):
    progress = Progress()

    def after(conn):
        block = bytes(65536)
        while progress.count < 100 << 20:
            conn.sock.settimeout(30)
            conn.sock.sendall(block)
            progress.add(len(block))
    origin = start.origin(tunnel(after))
    poise = start.proxy(origin)
    before = poise.memory()
    with opened(poise) as client:
        assert progress.settle() < 40 << 20
        assert poise.memory() - before < 1 << 20
        client.reset()
    assert origin.connections[0].wait_over() in ("fin", "reset")
