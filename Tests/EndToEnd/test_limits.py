"""Sizes and counts: at the limit everything works, beyond it the right status, and nothing reaches the target."""
import signal

import pytest

from admin import metrics, value
from client import Client, get, request
from generated import check_generated
from settings import configuration, listener
from wire import Ended


def padded(size, extra=()):
    """A GET whose head has exactly `size` bytes."""
    base = request("/", fields=list(extra) + [("X-Pad", "")])
    return request("/", fields=list(extra) + [("X-Pad", "p" * (size - len(base)))])


def test_head_bytes(start):
    origin = start.origin()
    poise = start.proxy(origin, head_bytes="2KiB", uri_bytes="1KiB")
    with Client(poise.port) as client:
        assert len(padded(2048)) == 2048
        assert client.ask(padded(2048)).status == 200
        check_generated(client.ask(padded(2049)), 431)
        client.expect_end()
    assert len(origin.requests) == 1


def test_field_count(start):
    origin = start.origin()
    poise = start.proxy(origin, field_count=10)
    with Client(poise.port) as client:
        assert client.ask(request("/", fields=[(f"X-{n}", "v") for n in range(9)])).status == 200
        check_generated(client.ask(request("/", fields=[(f"X-{n}", "v") for n in range(10)])), 431)
        client.expect_end()
    assert len(origin.requests) == 1


def test_uri_bytes(start):
    origin = start.origin()
    poise = start.proxy(origin, uri_bytes="100B")
    with Client(poise.port) as client:
        assert client.ask(request("/" + "a" * 99)).status == 200
        check_generated(client.ask(request("/" + "a" * 100)), 414)
        client.expect_end()
    assert len(origin.requests) == 1


def test_a_head_that_grows_on_its_way_still_fits(start):
    """Each of 10,000 fields without a space behind its colon gets one."""
    origin = start.origin()
    poise = start.proxy(origin, head_bytes="128KiB", field_count=10_000)
    with Client(poise.port) as client:
        head = b"GET / HTTP/1.1\r\nHost:shop.test\r\n" + b"a:b\r\n" * 9_000 + b"X:"
        for size in (60_000, 65_000, 100_000, 128 << 10):
            assert client.ask(head + b"v" * (size - len(head) - 4) + b"\r\n\r\n").status == 200
    assert [len(r.fields.all("a")) for r in origin.requests] == [9_000] * 4


@pytest.mark.parametrize("size, status", [(1024, 200), (1025, 413)])
def test_body_bytes_with_a_length(start, size, status):
    origin = start.origin()
    poise = start.proxy(origin, body_bytes="1KiB")
    with Client(poise.port) as client:
        response = client.ask(request("/", method="POST", body=b"x" * size))
        assert response.status == status
    assert len(origin.connections) == (1 if status == 200 else 0), "refused by its length before anybody is bothered"


@pytest.mark.parametrize("size, status", [(1024, 200), (1025, 413)])
def test_body_bytes_in_chunks(start, size, status):
    origin = start.origin()
    poise = start.proxy(origin, body_bytes="1KiB")
    with Client(poise.port) as client:
        client.send(request("/", method="POST", fields=[("Transfer-Encoding", "chunked")])
                    + b"1\r\nx\r\n" * size + b"0\r\n\r\n")
        assert client.response("POST").status == status
    assert all(r.complete == (status == 200) for r in origin.requests)


def test_a_413_tells_a_client_that_waits_for_100(start):
    origin = start.origin()
    poise = start.proxy(origin, body_bytes="1KiB")
    with Client(poise.port) as client:
        client.send(request("/", method="POST", fields=[("Content-Length", "2000"), ("Expect", "100-continue")]))
        response = client.response("POST")
        check_generated(response, 413)
        assert response.interim == []


def turned_away(client, statuses):
    """The connection is answered with one of these statuses, or closed without a word."""
    try:
        client.send(request("/", fields=[("Connection", "close")]))
        response = client.response()
    except (Ended, ConnectionError):
        return
    check_generated(response, statuses)


def test_connections_of_a_listener(start):
    poise = start.proxy(start.origin(), connections=3)
    kept = [Client(poise.port) for _ in range(3)]
    for client in kept:
        assert client.ask(request()).status == 200
    # Whoever comes next waits in the kernel's queue, as at the limit of the process: nobody is turned away who could
    # be served a moment later.
    waiting = Client(poise.port)
    waiting.send(request())
    waiting.expect_silence(0.3)
    seen = metrics(poise)
    assert value(seen, "poise_listener_held_sockets") == 1
    assert value(seen, "poise_listener_accept_holds_total", cause="listener_limit") == 1
    assert value(seen, "poise_listener_refused_connections_total") == 0, "who waits is not refused"
    for client in kept:
        assert client.ask(request()).status == 200, "those inside are not disturbed"
    kept.pop().close()
    assert waiting.response().status == 200, "a place that was freed is given to who waits"


def served_again(poise, source=None):
    """A place that was freed is given to the next who asks."""
    for _ in range(100):
        with Client(poise.port, source=source) as client:
            try:
                if client.ask(request("/", fields=[("Connection", "close")])).status == 200:
                    return
            except (Ended, ConnectionError):
                pass
    pytest.fail("a freed place stays taken")


def test_connections_of_one_client_address(start):
    poise = start.proxy(start.origin(), connections_per_client=2)
    kept = [Client(poise.port, source="127.0.0.2") for _ in range(2)]
    for client in kept:
        assert client.ask(request()).status == 200
    for reason, count in (("client_limit", 0), ("preamble", 0)):
        assert value(metrics(poise), "poise_listener_refused_connections_total", reason=reason) == count
    turned_away(Client(poise.port, source="127.0.0.2"), (429, 503))
    for reason, count in (("client_limit", 1), ("preamble", 0)):
        assert value(metrics(poise), "poise_listener_refused_connections_total", reason=reason) == count
    with Client(poise.port, source="127.0.0.3") as other:
        assert other.ask(request()).status == 200, "another address has its own count"
    kept.pop().close()
    served_again(poise, source="127.0.0.2")


def test_connections_of_the_process(start):
    poise = start.proxy(start.origin(), process_max_connections=4)
    kept = [Client(poise.port) for _ in range(4)]
    for client in kept:
        assert client.ask(request()).status == 200
    waiting = Client(poise.port)
    waiting.send(request())
    poise.wait_line(lambda line: "no more connections" in line and "process.limits.max_connections" in line,
                    "a word about the limit")
    for client in kept:
        assert client.ask(request()).status == 200
        client.close()
    served_again(poise)
    waiting.close()


def test_a_changed_limit_of_the_process_is_applied(start):
    origin = start.origin()
    def limited(count):
        return configuration([listener(forward=[origin.address])], max_connections=count)
    poise = start.poise(limited(2))
    kept = [Client(poise.port) for _ in range(2)]
    for client in kept:
        assert client.ask(request()).status == 200
    poise.file.write_text(limited(3))
    poise.signal(signal.SIGHUP)
    poise.wait_line(lambda line: "generation=2" in line, "the second configuration")
    with Client(poise.port) as third:
        assert third.ask(request()).status == 200, "the two others are still there"
    for client in kept:
        client.close()


def test_many_connections_at_once(start):
    poise = start.proxy(start.origin(), process_workers=2)
    clients = [Client(poise.port) for _ in range(400)]
    for client in clients:
        client.send(request())
    assert {client.response().status for client in clients} == {200}
    for client in clients:
        client.close()
    assert get(poise.port).status == 200
