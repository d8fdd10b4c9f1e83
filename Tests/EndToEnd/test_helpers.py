"""The helpers refuse what they should refuse; otherwise every other test would prove nothing."""
import socket
import threading

import pytest

from client import Client, request
from deadline import PATIENCE, Deadline
from origin import Origin, black_hole, dead_port
from settings import configuration, group, listener
from wire import Ended, Stream, WireError


def served(data, end="fin"):
    """A client connected to a server that sends exactly `data`."""
    listening = socket.create_server(("127.0.0.1", 0))
    connected = threading.Event()

    def serve():
        sock, _ = listening.accept()
        assert connected.wait(PATIENCE)  # a reset before that fails connect() itself
        sock.sendall(data)
        stream = Stream(sock)
        stream.close() if end == "fin" else stream.reset()
        listening.close()
    threading.Thread(target=serve, daemon=True).start()
    client = Client(listening.getsockname()[1])
    connected.set()
    return client


@pytest.mark.parametrize("data", [
    b"HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n",
    b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: +0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nName : value\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nName: va\x00lue\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nName: value\r\n folded\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
])
def test_client_refuses(data):
    with served(data) as client, pytest.raises((WireError, AssertionError)):
        client.response()


@pytest.mark.parametrize("data, end, how", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "fin", "fin"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "fin", "fin"),
    (b"HTTP/1.1 200 OK\r\n\r\nhello", "reset", "reset"),
    (b"HTTP/1.1 200", "fin", "fin"),
])
def test_client_tells_a_cut_response_from_a_whole_one(data, end, how):
    with served(data, end) as client, pytest.raises(Ended) as ended:
        client.response()
    assert ended.value.how == how


def test_client_reads_what_is_well_formed():
    data = (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 6\r\n\r\n"
            b"HTTP/1.1 304 \r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\n\r\nto the end")
    with served(data) as client:
        first = client.response()
        assert (first.body, first.chunks, first.trailers.get("x-sum")) == (b"hello!", [5, 1], "6")
        assert [i.status for i in first.interim] == [103]
        assert client.response().status == 304
        last = client.response()
        assert (last.body, last.until_close) == (b"to the end", True)


def test_client_notices_bytes_where_it_expects_none():
    with served(b"x") as client, pytest.raises(WireError):
        client.expect_end()
    with served(b"x") as client, pytest.raises(WireError):
        client.expect_silence(0.5)


@pytest.mark.parametrize("head", [
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
])
def test_origin_refuses(head):
    origin = Origin()
    try:
        with Client(origin.port) as client:
            client.send(head)
            client.expect_end()
        assert len(origin.errors) == 1
    finally:
        origin.close()


def test_origin_answers_and_records():
    origin = Origin()
    try:
        with Client(origin.port) as client:
            assert client.ask(request("/a", method="POST", body=b"xyz")).status == 200
            assert client.ask(request("/b", method="HEAD")).body == b""
        assert [(r.method, r.target, r.body) for r in origin.wait_requests(2)] == [
            ("POST", "/a", b"xyz"), ("HEAD", "/b", b"")]
        assert origin.connections[0].wait_over() == "fin"
    finally:
        origin.close()
    assert origin.errors == []


def test_a_dead_port_refuses_and_a_black_hole_hangs():
    kept, port = dead_port()
    with pytest.raises(ConnectionRefusedError):
        Client(port)
    kept.close()
    kept, port = black_hole()
    with pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", port), 0.2)
    for sock in kept:
        sock.close()


def test_settings_refuse_what_nobody_knows():
    with pytest.raises(KeyError):
        listener(haed="1s")
    with pytest.raises(KeyError):
        group("a", ["127.0.0.1:1"], conections=1)
    text = configuration([listener(head="1s", idle="2s", forward="a")], [group("a", ["127.0.0.1:1"])])
    assert "timeouts:\n    head: 1s\n    idle: 2s" in text


def test_a_deadline_passes():
    assert Deadline(0).passed() and not Deadline(60).passed()
