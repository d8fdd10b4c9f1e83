"""What is ambiguous in framing is refused, the connection closed, and nothing of it reaches a target."""
import socket

import pytest

from client import Client, request
from deadline import Deadline
from wire import Ended

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: shop.test\r\n\r\n"
REFUSED = {400}


def head(*fields, line=b"POST / HTTP/1.1", host=b"Host: shop.test"):
    lines = [line] + ([host] if host else []) + list(fields)
    return b"\r\n".join(lines) + b"\r\n\r\n"


CL, TE = b"Content-Length: ", b"Transfer-Encoding: "
CASES = {
    # Content-Length together with Transfer-Encoding
    "length then coding": (head(CL + b"5", TE + b"chunked") + b"0\r\n\r\n", REFUSED),
    "coding then length": (head(TE + b"chunked", CL + b"5") + b"0\r\n\r\n", REFUSED),
    "length 0 and coding": (head(CL + b"0", TE + b"chunked") + b"0\r\n\r\n", REFUSED),
    "length and unknown coding": (head(CL + b"5", TE + b"x") + b"hello", {400, 501}),
    # Content-Length
    "length twice, same": (head(CL + b"5", CL + b"5") + b"hello", REFUSED),
    "length twice, different": (head(CL + b"5", CL + b"6") + b"hello", REFUSED),
    "length twice, other case": (head(CL + b"5", b"content-length: 5") + b"hello", REFUSED),
    "length as a list": (head(CL + b"5, 5") + b"hello", REFUSED),
    "length with comma": (head(CL + b"5,") + b"hello", REFUSED),
    "length with plus": (head(CL + b"+5") + b"hello", REFUSED),
    "length with minus": (head(CL + b"-5") + b"hello", REFUSED),
    "length minus zero": (head(CL + b"-0"), REFUSED),
    "length with inner space": (head(CL + b"1 0") + b"hello", REFUSED),
    "length hexadecimal": (head(CL + b"0x5") + b"hello", REFUSED),
    "length with letters": (head(CL + b"5a") + b"hello", REFUSED),
    "length with a point": (head(CL + b"5.0") + b"hello", REFUSED),
    "length exponential": (head(CL + b"1e1") + b"hello", REFUSED),
    "length empty": (head(b"Content-Length:"), REFUSED),
    "length in quotes": (head(CL + b'"5"') + b"hello", REFUSED),
    "length with underscore": (head(CL + b"1_0") + b"hello", REFUSED),
    "length 2^63": (head(CL + b"9223372036854775808") + b"hello", {400, 413}),
    "length 2^64": (head(CL + b"18446744073709551616") + b"hello", {400, 413}),
    "length 2^64 + 5": (head(CL + b"18446744073709551621") + b"hello", {400, 413}),
    "length of 40 digits": (head(CL + b"9" * 40) + b"hello", {400, 413}),
    "length in other digits": (head(CL + "٥".encode()) + b"hello", REFUSED),
    "length with vertical tab": (head(CL + b"\x0b5") + b"hello", REFUSED),
    "length on GET, malformed": (head(CL + b"+5", line=b"GET / HTTP/1.1") + b"hello", REFUSED),
    # Transfer-Encoding
    "coding unknown": (head(TE + b"gzip") + b"hello", {501}),
    "coding looks like chunked": (head(TE + b"xchunked") + b"0\r\n\r\n", {400, 501}),
    "coding chunkedx": (head(TE + b"chunkedx") + b"0\r\n\r\n", {400, 501}),
    "coding identity": (head(TE + b"identity") + b"hello", {400, 501}),
    "gzip, chunked": (head(TE + b"gzip, chunked") + b"0\r\n\r\n", {400, 501}),
    "chunked, gzip": (head(TE + b"chunked, gzip") + b"0\r\n\r\n", {400, 501}),
    "chunked, chunked": (head(TE + b"chunked, chunked") + b"0\r\n\r\n", REFUSED),
    "chunked, identity": (head(TE + b"chunked, identity") + b"0\r\n\r\n", {400, 501}),
    "coding twice": (head(TE + b"chunked", TE + b"chunked") + b"0\r\n\r\n", REFUSED),
    "coding twice, identity first": (head(TE + b"identity", TE + b"chunked") + b"0\r\n\r\n", {400, 501}),
    "coding twice, identity last": (head(TE + b"chunked", TE + b"identity") + b"0\r\n\r\n", {400, 501}),
    "coding empty": (head(b"Transfer-Encoding:") + b"0\r\n\r\n", {400, 501}),
    "coding with parameter": (head(TE + b"chunked;q=1") + b"0\r\n\r\n", {400, 501}),
    "coding in quotes": (head(TE + b'"chunked"') + b"0\r\n\r\n", {400, 501}),
    "coding with vertical tab": (head(TE + b"\x0bchunked") + b"0\r\n\r\n", REFUSED),
    "coding with form feed": (head(TE + b"chunked\x0c") + b"0\r\n\r\n", REFUSED),
    "coding with NUL": (head(TE + b"chunked\x00") + b"0\r\n\r\n", REFUSED),
    "coding folded": (head(b"Transfer-Encoding:\r\n chunked") + b"0\r\n\r\n", REFUSED),
    "coding, space before colon": (head(b"Transfer-Encoding : chunked") + b"0\r\n\r\n", REFUSED),
    "coding, tab before colon": (head(b"Transfer-Encoding\t: chunked") + b"0\r\n\r\n", REFUSED),
    "coding on GET": (head(TE + b"gzip", line=b"GET / HTTP/1.1"), {501}),
    # Line ends
    "bare LF everywhere": (b"GET / HTTP/1.1\nHost: shop.test\n\n", REFUSED),
    "bare LF after the request line": (b"GET / HTTP/1.1\nHost: shop.test\r\n\r\n", REFUSED),
    "bare LF after a field": (b"GET / HTTP/1.1\r\nHost: shop.test\nX: y\r\n\r\n", REFUSED),
    "bare LF ends the head": (b"GET / HTTP/1.1\r\nHost: shop.test\r\n\n", REFUSED),
    "bare LF before the head": (b"\nGET / HTTP/1.1\r\nHost: shop.test\r\n\r\n", REFUSED),
    "bare CR in a value": (head(b"X: a\rb", line=b"GET / HTTP/1.1"), REFUSED),
    "bare CR hides a field": (head(b"X: a\rTransfer-Encoding: chunked", line=b"GET / HTTP/1.1"), REFUSED),
    "bare CR ends a field": (b"GET / HTTP/1.1\r\nHost: shop.test\rX: y\r\n\r\n", REFUSED),
    "bare CR in the request line": (b"GET /\r HTTP/1.1\r\nHost: shop.test\r\n\r\n", REFUSED),
    "two CR before LF": (b"GET / HTTP/1.1\r\r\nHost: shop.test\r\n\r\n", REFUSED),
    "CR alone before the head": (b"\rGET / HTTP/1.1\r\nHost: shop.test\r\n\r\n", REFUSED),
    "obs-fold with space": (head(b"X: a", b" b", line=b"GET / HTTP/1.1"), REFUSED),
    "obs-fold with tab": (head(b"X: a", b"\tb", line=b"GET / HTTP/1.1"), REFUSED),
    "first field is folded": (b"GET / HTTP/1.1\r\n Host: shop.test\r\n\r\n", REFUSED),
    "folded empty line": (head(b"X: a", b" ", line=b"GET / HTTP/1.1"), REFUSED),
    # Names and values
    "space before colon": (head(b"X : a", line=b"GET / HTTP/1.1"), REFUSED),
    "space in a name": (head(b"X Y: a", line=b"GET / HTTP/1.1"), REFUSED),
    "empty name": (head(b": a", line=b"GET / HTTP/1.1"), REFUSED),
    "no colon": (head(b"Content-Length 5", line=b"GET / HTTP/1.1"), REFUSED),
    "NUL in a name": (head(b"X\x00Y: a", line=b"GET / HTTP/1.1"), REFUSED),
    "NUL in a value": (head(b"X: a\x00b", line=b"GET / HTTP/1.1"), REFUSED),
    "control byte in a name": (head(b"X\x01: a", line=b"GET / HTTP/1.1"), REFUSED),
    "control byte in a value": (head(b"X: \x1b[2J", line=b"GET / HTTP/1.1"), REFUSED),
    "delete in a value": (head(b"X: a\x7f", line=b"GET / HTTP/1.1"), REFUSED),
    "separator in a name": (head(b"X(Y): a", line=b"GET / HTTP/1.1"), REFUSED),
    "eighth bit in a name": (head(b"X\xe9: a", line=b"GET / HTTP/1.1"), REFUSED),
    # Host
    "no host": (head(line=b"GET / HTTP/1.1", host=None), REFUSED),
    "host twice, same": (head(b"Host: shop.test", line=b"GET / HTTP/1.1"), REFUSED),
    "host twice, different": (head(b"Host: evil.test", line=b"GET / HTTP/1.1"), REFUSED),
    "host with userinfo": (head(line=b"GET / HTTP/1.1", host=b"Host: a@shop.test"), REFUSED),
    "host with a letter port": (head(line=b"GET / HTTP/1.1", host=b"Host: shop.test:http"), REFUSED),
    "host with port 65536": (head(line=b"GET / HTTP/1.1", host=b"Host: shop.test:65536"), REFUSED),
    "host with a negative port": (head(line=b"GET / HTTP/1.1", host=b"Host: shop.test:-1"), REFUSED),
    "host with two ports": (head(line=b"GET / HTTP/1.1", host=b"Host: shop.test:80:80"), REFUSED),
    "host with a space": (head(line=b"GET / HTTP/1.1", host=b"Host: shop test"), REFUSED),
    "host with a slash": (head(line=b"GET / HTTP/1.1", host=b"Host: shop.test/a"), REFUSED),
    "host with a backslash": (head(line=b"GET / HTTP/1.1", host=b"Host: shop.test\\a"), REFUSED),
    "host with a query": (head(line=b"GET / HTTP/1.1", host=b"Host: shop.test?a"), REFUSED),
    "host with an open bracket": (head(line=b"GET / HTTP/1.1", host=b"Host: [::1"), REFUSED),
    "host is no address in brackets": (head(line=b"GET / HTTP/1.1", host=b"Host: [shop]"), REFUSED),
    "host with a control byte": (head(line=b"GET / HTTP/1.1", host=b"Host: shop\x02.test"), REFUSED),
    "host is a list": (head(line=b"GET / HTTP/1.1", host=b"Host: shop.test, evil.test"), REFUSED),
    "absolute form without host field": (head(line=b"GET http://shop.test/ HTTP/1.1", host=None), REFUSED),
    # The request line
    "two spaces": (head(line=b"GET  / HTTP/1.1"), REFUSED),
    "two spaces before the version": (head(line=b"GET /  HTTP/1.1"), REFUSED),
    "tabs": (head(line=b"GET\t/\tHTTP/1.1"), REFUSED),
    "leading space": (head(line=b" GET / HTTP/1.1"), REFUSED),
    "trailing space": (head(line=b"GET / HTTP/1.1 "), REFUSED),
    "no target": (head(line=b"GET HTTP/1.1"), REFUSED | {505}),
    "space in the target": (head(line=b"GET /a b HTTP/1.1"), REFUSED | {505}),
    "target without slash": (head(line=b"GET a HTTP/1.1"), REFUSED),
    "target is a query": (head(line=b"GET ?a HTTP/1.1"), REFUSED),
    "a fragment": (head(line=b"GET /a#b HTTP/1.1"), REFUSED),
    "NUL in the target": (head(line=b"GET /a\x00b HTTP/1.1"), REFUSED),
    "control byte in the target": (head(line=b"GET /a\x7f HTTP/1.1"), REFUSED),
    "eighth bit in the target": (head(line=b"GET /\xc3\xbc HTTP/1.1"), REFUSED),
    "userinfo in the target": (head(line=b"GET http://a:b@shop.test/ HTTP/1.1"), REFUSED),
    "no host in the target": (head(line=b"GET http:///a HTTP/1.1"), REFUSED),
    "bad port in the target": (head(line=b"GET http://shop.test:99999/ HTTP/1.1"), REFUSED),
    "method is no token": (head(line=b"G@T / HTTP/1.1"), REFUSED),
    "method with a colon": (head(line=b"GET: / HTTP/1.1"), REFUSED),
    "no method": (head(line=b"/ HTTP/1.1"), REFUSED),
    "lower case version": (head(line=b"GET / http/1.1"), REFUSED | {505}),
    "version with letters": (head(line=b"GET / HTTP/1.x"), REFUSED | {505}),
    "version 1": (head(line=b"GET / HTTP/1"), REFUSED | {505}),
    "version 01.1": (head(line=b"GET / HTTP/01.1"), REFUSED | {505}),
    "version 1.10": (head(line=b"GET / HTTP/1.10"), REFUSED | {505}),
    "version of another protocol": (head(line=b"GET / ICY/1.1"), REFUSED | {505}),
    "version 0.9": (head(line=b"GET / HTTP/0.9"), REFUSED | {505}),
    "version 2.0": (head(line=b"GET / HTTP/2.0"), {505}),
    "version 3.1": (head(line=b"GET / HTTP/3.1"), {505}),
    "HTTP/0.9": (b"GET /\r\n", REFUSED | {505}),
    "preface of HTTP/2, not whole": (b"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n\0\0\0\4\0\0\0\0\0", REFUSED | {505}),
    "a TLS hello": (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(154) + b"\r\n\r\n", REFUSED),
    "a PROXY line where none is required": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + head(line=b"GET / HTTP/1.1"),
                                           REFUSED | {505}),
    "binary PROXY header where none is required": (
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\1\2\3\4\5\6\7\x08\0\1\0\2" + head(line=b"GET / HTTP/1.1"), REFUSED),
    # Too much of everything
    "target of 9 KiB": (head(line=b"GET /" + b"a" * 9216 + b" HTTP/1.1"), {414}),
    "target without an end": (b"GET /" + b"a" * 40000, {414}),
    "head of 40 KiB": (head(*[b"X-%d: " % n + b"v" * 1000 for n in range(40)], line=b"GET / HTTP/1.1"), {431}),
    "101 fields and more": (head(*[b"X-%d: v" % n for n in range(101)], line=b"GET / HTTP/1.1"), {431}),
    "a value without an end": (b"GET / HTTP/1.1\r\nHost: shop.test\r\nX: " + b"v" * 40000, {431}),
    "a name without an end": (b"GET / HTTP/1.1\r\nHost: shop.test\r\n" + b"n" * 40000, {400, 431}),
    "a method without an end": (b"M" * 40000, {400, 414, 431, 501}),
}


@pytest.fixture(scope="module")
def usual(shared):
    origin = shared.origin()
    return shared.proxy(origin), origin


@pytest.mark.parametrize("name", CASES)
def test_refused_at_the_head(usual, name):
    poise, origin = usual
    data, statuses = CASES[name]
    before = len(origin.connections), len(origin.bytes_seen)
    with Client(poise.port) as client:
        client.send(data + SMUGGLED)
        if name == "HTTP/0.9":
            client.half_close()
        response = client.response()
        assert response.status in statuses, f"{response.status}: {response.body!r}"
        assert "close" in response.fields.tokens("Connection")
        # Lingering: what we sent too much must not turn the answer into a reset.
        assert client.expect_end() == "fin"
    assert (len(origin.connections), len(origin.bytes_seen)) == before, "something of it reached a target"


# The head is fine and may be on its way; the body is not.

BODIES = {
    "size empty": b"\r\nhello\r\n0\r\n\r\n",
    "size with plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "size with minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size not hexadecimal": b"g\r\nhello\r\n0\r\n\r\n",
    "size with leading space": b" 5\r\nhello\r\n0\r\n\r\n",
    "size with trailing space": b"5 \r\nhello\r\n0\r\n\r\n",
    "size with underscore": b"1_0\r\nhello\r\n0\r\n\r\n",
    "size with bare LF": b"5\nhello\r\n0\r\n\r\n",
    "size with bare CR": b"5\rhello\r\n0\r\n\r\n",
    "size of 17 digits": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "size of 2^64 - 1": b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "size without an end": b"0" * 40000,
    "extension with NUL": b"5;a\x00b\r\nhello\r\n0\r\n\r\n",
    "extension with bare LF": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "extension with bare CR": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "extension with a control byte": b"5;a=\x01\r\nhello\r\n0\r\n\r\n",
    "extension without an end": b"5;" + b"a" * 40000,
    "data longer than its size": b"5\r\nhello!\r\n0\r\n\r\n",
    "data ended by bare LF": b"5\r\nhello\n0\r\n\r\n",
    "data ended by bare CR": b"5\r\nhello\r0\r\n\r\n",
    "last chunk with bare LF": b"5\r\nhello\r\n0\n\n",
    "end with bare LF": b"5\r\nhello\r\n0\r\n\n",
    "trailer folded": b"5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
    "trailer with space before colon": b"5\r\nhello\r\n0\r\nX : a\r\n\r\n",
    "trailer with bare LF": b"5\r\nhello\r\n0\r\nX: a\nY: b\r\n\r\n",
    "trailer with NUL": b"5\r\nhello\r\n0\r\nX: a\x00\r\n\r\n",
    "trailer without colon": b"5\r\nhello\r\n0\r\nnonsense\r\n\r\n",
    "trailers without an end": b"5\r\nhello\r\n0\r\n" + b"X: a\r\n" * 20000,
}


@pytest.mark.parametrize("name", BODIES)
def test_refused_in_the_body(start, name):
    ended = []

    def handler(conn):
        try:
            conn.request(Deadline(20))
            conn.respond(body=b"whole")
        except Ended as end:
            ended.append(end.how)
            raise
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        try:
            client.send(request("/", method="POST", fields=[("Transfer-Encoding", "chunked")]) + BODIES[name] + SMUGGLED)
        except ConnectionError:
            pass
        response = client.response("POST")
        assert response.status in (400, 413, 431), f"{response.status}: {response.body!r}"
        assert client.expect_end() == "fin"
    for conn in origin.connections:
        conn.wait_over()
    assert all(not r.complete for r in origin.requests), "the target never took it for a whole request"
    assert b"/smuggled" not in origin.bytes_seen
    assert len(origin.requests) <= 1


# What looks odd and is fine.

FINE = {
    "host with a port": (head(line=b"GET / HTTP/1.1", host=b"Host: shop.test:8080"), "shop.test:8080"),
    "host is an IPv6 address": (head(line=b"GET / HTTP/1.1", host=b"Host: [::1]:8080"), "[::1]:8080"),
    "host in capitals": (head(line=b"GET / HTTP/1.1", host=b"HOST: SHOP.test"), None),
    "no space after the colon": (head(line=b"GET / HTTP/1.1", host=b"Host:shop.test"), "shop.test"),
    "length with leading zeros": (head(CL + b"0005") + b"hello", "shop.test"),
    "space around the length": (head(b"Content-Length: \t 5 ") + b"hello", "shop.test"),
    "99 fields and Host": (head(*[b"X-%d: v" % n for n in range(99)], line=b"GET / HTTP/1.1"), "shop.test"),
    "target of 8,000 bytes": (head(line=b"GET /" + b"a" * 8000 + b" HTTP/1.1"), "shop.test"),
    "GET with a body": (head(CL + b"5", line=b"GET / HTTP/1.1") + b"hello", "shop.test"),
}


@pytest.mark.parametrize("name", FINE)
def test_odd_but_fine(start, name):
    origin = start.origin()
    poise = start.proxy(origin)
    data, host = FINE[name]
    with Client(poise.port) as client:
        client.send(data + request("/next"))
        assert client.response().status == 200
        assert client.response().status == 200
    assert [r.target for r in origin.requests][1] == "/next"
    assert host is None or origin.requests[0].get("Host") == host


def test_a_refused_request_does_not_disturb_its_neighbours(usual):
    poise, origin = usual
    with Client(poise.port) as good, Client(poise.port) as bad:
        good.send(b"GET /good HT")
        bad.send(b"GET / HTTP/1.1\nHost: a\n\n")
        assert bad.response().status == 400
        good.send(b"TP/1.1\r\nHost: shop.test\r\n\r\n")
        assert good.response().status == 200
    assert origin.requests[-1].target == "/good"


def test_a_flood_of_refused_requests_leaves_nothing_behind(shared, usual):
    poise, _ = usual
    for _ in range(300):
        with Client(poise.port) as client:
            client.send(b"\x00" * 100)
            client.reset()
    with socket.create_connection(("127.0.0.1", poise.port)):
        pass
    with Client(poise.port) as client:
        assert client.ask(request("/bad here")).status in (400, 505)


@pytest.mark.parametrize("method, status, settings", [
    ("TRACE", 405, {}), ("POST", 413, {"body_bytes": "10B"}),
    ("OPTIONS", 200, {}), ("CONNECT", 405, {}),
])
def test_the_body_of_a_request_that_ends_here_is_no_request(start, method, status, settings):
    origin = start.origin()
    poise = start.proxy(origin, **settings)
    body = b"GET /smuggled HTTP/1.1\r\nHost: shop.test\r\n\r\n"
    target = "shop.test:80" if method == "CONNECT" else "/"
    with Client(poise.port) as client:
        client.send(request(target, method=method, fields=[("Max-Forwards", "0")], body=body) + request("/next"))
        response = client.response(method)
        assert response.status == status
        if "close" not in response.fields.tokens("Connection"):
            assert client.response().status == 200
        client.half_close()
        client.to_end()
    assert [r.target for r in origin.requests] in ([], ["/next"])
