"""HEAD, 204, 304, 100-continue, interim responses, chunks and trailers."""
import json
import threading

import pytest

from client import Client, get, request
from deadline import Deadline
from wire import Ended


def replies(*responses):
    """A handler that answers the requests of each connection with these bytes in turn, then waits for the end."""
    def handler(conn):
        for data in responses:
            conn.request()
            conn.send(data)
        conn.expect_end(Deadline(30))
    return handler


# Responses without a body

@pytest.mark.parametrize("framing", [b"Content-Length: 1234\r\n", b"Transfer-Encoding: chunked\r\n", b""])
def test_head_has_no_body_whatever_its_fields_say(start, framing):
    origin = start.origin(replies(
        b"HTTP/1.1 200 OK\r\n" + framing + b"ETag: \"a\"\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        response = client.ask(request("/", method="HEAD"))
        assert (response.status, response.get("ETag")) == (200, '"a"')
        if b"1234" in framing:
            assert response.get("Content-Length") == "1234"
        assert client.ask(request()).body == b"ok"
    assert len(origin.connections) == 1


@pytest.mark.parametrize("head", [
    b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nX-A: b\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nX-A: b\r\nContent-Length: 1234\r\n\r\n",
])
def test_204_and_304_have_no_body(start, head):
    origin = start.origin(replies(head, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        response = client.ask(request())
        assert response.status in (204, 304) and response.get("X-A") == "b"
        assert client.ask(request()).body == b"ok"


def test_a_204_with_a_body_poisons_nobody(start):
    origin = start.origin(replies(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"))
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        for n in range(2):
            assert client.ask(request()).status == 204
            origin.connections[n].wait_over()
        assert b"poison" not in client.seen


# 100-continue

def test_100_continue_end_to_end(start):
    def handler(conn):
        asked = conn.head()
        assert asked.get("Expect").lower() == "100-continue"
        assert conn.buffer == b""
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.finish(asked)
        conn.respond(body=asked.body)
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        client.send(request("/", method="POST", fields=[("Expect", "100-continue"), ("Content-Length", "5")]))
        assert client.head().status == 100
        client.send(b"hello")
        assert client.response("POST").body == b"hello"


def test_100_continue_is_the_targets_word_not_ours(start):
    def handler(conn):
        asked = conn.head()
        conn.expect_silence(0.3)
        conn.respond(413, phrase="Content Too Large", body=b"no")
        assert not asked.complete
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        client.send(request("/", method="POST", fields=[("Expect", "100-continue"), ("Content-Length", "5")]))
        response = client.response("POST")
        assert (response.status, response.body, response.interim) == (413, b"no", [])


def test_a_body_that_does_not_wait_for_100_is_passed_on(start):
    origin = start.origin()
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        response = client.ask(request("/", method="PUT", fields=[("Expect", "100-continue")], body=b"hello"))
        assert json.loads(response.body)["body"] == "hello"


def test_an_unknown_expectation_fails(start):
    origin = start.origin()
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        assert client.ask(request("/", fields=[("Expect", "miracles")])).status == 417
    assert origin.connections == []


# Interim responses

@pytest.mark.parametrize("status", [102, 103, 142])
def test_interim_responses_are_passed_on(start, status):
    origin = start.origin(replies(
        b"HTTP/1.1 %d Soon\r\nLink: </a.css>; rel=preload\r\n\r\n" % status
        + b"HTTP/1.1 %d Soon\r\nLink: </b.css>; rel=preload\r\n\r\n" % status
        + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        response = client.ask(request())
        assert [(i.status, i.get("Link")) for i in response.interim] == [
            (status, "</a.css>; rel=preload"), (status, "</b.css>; rel=preload")]
        assert response.body == b"ok"


def test_an_interim_response_arrives_before_the_final_one_exists(start):
    def handler(conn):
        conn.request()
        conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        assert conn.origin.go.wait(10)
        conn.respond(body=b"ok")
        conn.expect_end()
    origin = start.origin(handler)
    origin.go = threading.Event()
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        client.send(request())
        assert client.head().status == 103
        origin.go.set()
        assert client.response().body == b"ok"


def test_an_http10_client_gets_no_interim_response(start):
    origin = start.origin(replies(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        response = client.ask(request("/", version="1.0"))
        assert (response.status, response.interim, response.body) == (200, [], b"ok")


# Chunks

CHUNKED = [("Transfer-Encoding", "chunked")]


@pytest.mark.parametrize("sent, body", [
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"0\r\n\r\n", b""),
    (b"00005\r\nhello\r\n000\r\n\r\n", b"hello"),
    (b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2),
    (b"5;name=value\r\nhello\r\n0;last\r\n\r\n", b"hello"),
    (b"5;a=\"b;c\";d\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"1\r\na\r\n" * 300 + b"0\r\n\r\n", b"a" * 300),
    (b"40000\r\n" + b"x" * 0x40000 + b"\r\n0\r\n\r\n", b"x" * 0x40000),
], ids=["plain", "empty", "leading zeros", "letters", "extensions", "quoted extension", "many", "large"])
def test_chunks_pass_both_ways_without_their_extensions(start, sent, body):
    def handler(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + sent)
        conn.expect_end(Deadline(30))
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        # Both readers refuse an extension.
        response = client.ask(request("/", method="POST", fields=CHUNKED) + sent)
        assert response.body == body and response.chunks is not None
    assert origin.requests[0].body == body


def test_a_transfer_coding_is_named_in_any_case(start):
    origin = start.origin()
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        response = client.ask(request("/", method="POST", fields=[("transfer-encoding", "Chunked")]) + b"1\r\na\r\n0\r\n\r\n")
        assert json.loads(response.body)["body"] == "a"


def test_trailers_pass_both_ways(start):
    def handler(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
                  b"2\r\nok\r\n0\r\nX-Sum: 42\r\nX-More: a\r\nX-More: b\r\n\r\n")
        conn.expect_end()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        response = client.ask(request("/", method="POST", fields=CHUNKED + [("TE", "trailers"), ("Connection", "TE")])
                              + b"2\r\nhi\r\n0\r\nX-Client: 1\r\n\r\n")
    assert response.trailers.get("X-Sum") == "42" and response.trailers.all("X-More") == ["a", "b"]
    assert origin.requests[0].trailers.get("X-Client") == "1"


@pytest.mark.parametrize("field", [
    b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Host: evil.test", b"Authorization: Basic eDp5",
    b"X-Forwarded-For: 9.9.9.9", b"Connection: close",
])
def test_trailers_that_frame_or_route_never_pass(start, field):
    origin = start.origin()
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        client.send(request("/", method="POST", fields=CHUNKED) + b"2\r\nhi\r\n0\r\n" + field + b"\r\n\r\n")
        assert client.response("POST").status in (200, 400)
    name = field.split(b":")[0].decode()
    assert all(name not in r.trailers for r in origin.requests)


def test_a_body_of_many_sizes_survives(start):
    """Every length around the sizes of buffers, both framings, echoed byte for byte."""
    def handler(conn):
        while True:
            asked = conn.request(Deadline(30))
            conn.respond(body=asked.body)
    origin = start.origin(handler)
    poise = start.proxy(origin)
    sizes = [0, 1, 1023, 1024, 4095, 4096, 4097, 16383, 16384, 16385, 65535, 65536, 65537, 262143, 262144, 262145]
    pattern = bytes(range(251)) * 1200
    with Client(poise.port) as client:
        for size in sizes:
            body = pattern[:size]
            assert client.ask(request("/", method="PUT", body=body)).body == body
            framed = (b"%x\r\n" % size + body + b"\r\n" if size else b"") + b"0\r\n\r\n"
            assert client.ask(request("/", method="PUT", fields=CHUNKED) + framed).body == body


def test_a_request_without_framing_has_no_body(start):
    origin = start.origin()
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        client.send(request("/a", method="POST") + request("/b"))
        assert [json.loads(client.response().body)["target"] for _ in range(2)] == ["/a", "/b"]
    assert get(poise.port).status == 200


def test_cut_chunked_answer_never_looks_whole(start):
    def handler(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        client.send(request())
        with pytest.raises(Ended):
            client.response()
