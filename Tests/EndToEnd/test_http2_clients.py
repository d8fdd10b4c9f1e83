"""HTTP/2 towards clients: every MUST that a client can observe (named by its section), streams, windows, and the end."""
import contextlib
import os
import signal
import threading
import time

import pytest

import client as http1
import http2
from deadline import PATIENCE, Deadline, Progress
from frames import (ACK, CANCEL, COMPRESSION_ERROR, CONTINUATION, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM,
                    FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY, HAS_PRIORITY, HEADER_TABLE_SIZE, HEADERS,
                    INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, NO_ERROR, PADDED, PING, PREFACE, PRIORITY,
                    PROTOCOL_ERROR, PUSH_PROMISE, REFUSED_STREAM, RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, block,
                    code, frame, head_of, settings)
from generated import check_generated
from settings import configuration, group, listener
from test_health_and_apply import reload
from wire import Ended

MiB = 1 << 20
GET = block(head_of())
END = END_HEADERS | END_STREAM
BAD = (PROTOCOL_ERROR, COMPRESSION_ERROR)


def opened(stream, end=True, fields=GET):
    return frame(HEADERS, END if end else END_HEADERS, stream, fields)


@pytest.fixture(scope="module")
def usual(shared):
    """A target that answers everything, and one (/hold) that lets a request wait."""
    def handler(conn):
        while True:
            request = conn.head(Deadline(60))
            if request.target == "/hold":
                conn.expect_end(Deadline(60))
                return
            conn.finish(request)
            conn.respond(body=b"x" * int(request.target[1:] or 0))
    origin = shared.origin(handler)
    return shared.proxy(origin), origin


def served(poise):
    """A neighbour that begins now is served."""
    assert http2.get(poise.port, "/5").body == b"x" * 5


# The connection ends with this error.

CONNECTION_ERRORS = {
    "4.2 a frame larger than announced": (0, frame(DATA, 0, 1, bytes(16_385)), FRAME_SIZE_ERROR),
    "4.2 HEADERS larger than announced": (0, frame(HEADERS, END, 1, bytes(16_385)), FRAME_SIZE_ERROR),
    "4.2 a length that lies far out": (0, frame(SETTINGS, 0, 0, b"", length=0xFFFFFF), FRAME_SIZE_ERROR),
    "4.3 a field block that cannot be decoded": (0, frame(HEADERS, END, 1, b"\xff\xff\xff\xff\xff\xff\xff"), COMPRESSION_ERROR),
    "5.1 DATA on an idle stream": (0, frame(DATA, END_STREAM, 1, b"x"), PROTOCOL_ERROR),
    "5.1 RST_STREAM on an idle stream": (0, frame(RST_STREAM, 0, 1, code(CANCEL)), PROTOCOL_ERROR),
    "5.1 WINDOW_UPDATE on an idle stream": (0, frame(WINDOW_UPDATE, 0, 1, code(1)), PROTOCOL_ERROR),
    "5.1.1 an even stream": (0, opened(2), PROTOCOL_ERROR),
    "5.1.1 a stream below one that was open": (0, opened(5) + opened(3), (PROTOCOL_ERROR, STREAM_CLOSED)),
    "5.1 HEADERS on a stream that has ended": (1, opened(1), (STREAM_CLOSED, PROTOCOL_ERROR)),
    "5.4.1 an extension frame within a field block": (0, frame(HEADERS, END_STREAM, 1, GET) + frame(0x42), PROTOCOL_ERROR),
    "6.1 DATA on stream 0": (0, frame(DATA, 0, 0, b"x"), PROTOCOL_ERROR),
    "6.1 padding as long as the frame": (0, opened(1, False) + frame(DATA, PADDED, 1, b"\x05abcd"), PROTOCOL_ERROR),
    "6.1 padded and empty": (0, opened(1, False) + frame(DATA, PADDED, 1), (PROTOCOL_ERROR, FRAME_SIZE_ERROR)),
    "6.2 HEADERS on stream 0": (0, opened(0), PROTOCOL_ERROR),
    "6.2 HEADERS with padding as long as the frame": (0, frame(HEADERS, END | PADDED, 1, b"\xff" + GET), PROTOCOL_ERROR),
    "6.2 a field block interrupted by DATA": (0, frame(HEADERS, END_STREAM, 1, GET) + frame(DATA, 0, 1), PROTOCOL_ERROR),
    "6.2 a field block interrupted by HEADERS": (0, frame(HEADERS, END_STREAM, 1, GET) + opened(3), PROTOCOL_ERROR),
    "6.2 a field block interrupted by PING": (0, frame(HEADERS, END_STREAM, 1, GET) + frame(PING, 0, 0, bytes(8)), PROTOCOL_ERROR),
    "6.3 PRIORITY on stream 0": (0, frame(PRIORITY, 0, 0, bytes(5)), PROTOCOL_ERROR),
    "6.4 RST_STREAM on stream 0": (0, frame(RST_STREAM, 0, 0, code(CANCEL)), PROTOCOL_ERROR),
    "6.4 RST_STREAM of 3 bytes": (0, opened(1, False) + frame(RST_STREAM, 0, 1, bytes(3)), FRAME_SIZE_ERROR),
    "6.5 SETTINGS on a stream": (0, frame(SETTINGS, 0, 1), PROTOCOL_ERROR),
    "6.5 an acknowledgement with bytes": (0, frame(SETTINGS, ACK, 0, bytes(6)), FRAME_SIZE_ERROR),
    "6.5 SETTINGS of 5 bytes": (0, frame(SETTINGS, 0, 0, bytes(5)), FRAME_SIZE_ERROR),
    "6.5.2 ENABLE_PUSH = 2": (0, settings({ENABLE_PUSH: 2}), PROTOCOL_ERROR),
    "6.5.2 INITIAL_WINDOW_SIZE = 2^31": (0, settings({INITIAL_WINDOW_SIZE: 1 << 31}), FLOW_CONTROL_ERROR),
    "6.5.2 MAX_FRAME_SIZE = 16383": (0, settings({MAX_FRAME_SIZE: 16_383}), PROTOCOL_ERROR),
    "6.5.2 MAX_FRAME_SIZE = 2^24": (0, settings({MAX_FRAME_SIZE: 1 << 24}), PROTOCOL_ERROR),
    "6.6 a PUSH_PROMISE from a client": (0, frame(PUSH_PROMISE, END_HEADERS, 1, code(2) + GET), PROTOCOL_ERROR),
    "6.7 PING on a stream": (0, frame(PING, 0, 1, bytes(8)), PROTOCOL_ERROR),
    "6.7 PING of 7 bytes": (0, frame(PING, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
    "6.8 GOAWAY on a stream": (0, frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL_ERROR),
    "6.8 GOAWAY of 7 bytes": (0, frame(GOAWAY, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
    "6.9 a window of the connection that grows by 0": (0, frame(WINDOW_UPDATE, 0, 0, code(0)), PROTOCOL_ERROR),
    "6.9 WINDOW_UPDATE of 3 bytes": (0, frame(WINDOW_UPDATE, 0, 0, bytes(3)), FRAME_SIZE_ERROR),
    "6.9.1 a window of the connection that overflows": (0, frame(WINDOW_UPDATE, 0, 0, code(0x7FFFFFFF)), FLOW_CONTROL_ERROR),
    "6.9.2 windows of streams that overflow by SETTINGS": (
        0, frame(HEADERS, END_HEADERS, 1, block(head_of("/hold"))) + frame(WINDOW_UPDATE, 0, 1, code(0x7FFFFFFF - 65_535))
        + settings({INITIAL_WINDOW_SIZE: 65_536}), FLOW_CONTROL_ERROR),
    "6.10 CONTINUATION without HEADERS": (0, frame(CONTINUATION, END_HEADERS, 1, GET), PROTOCOL_ERROR),
    "6.10 CONTINUATION after a whole block": (0, opened(1, False) + frame(CONTINUATION, END_HEADERS, 1), PROTOCOL_ERROR),
    "6.10 CONTINUATION of another stream": (
        0, frame(HEADERS, END_STREAM, 1, GET) + frame(CONTINUATION, END_HEADERS, 3), PROTOCOL_ERROR),
    "7541 2.3.3 an index beyond the tables": (0, opened(1, fields=GET + b"\xff\x80\x01"), COMPRESSION_ERROR),
    "7541 6.1 index 0": (0, opened(1, fields=b"\x80" + GET), COMPRESSION_ERROR),
    "7541 4.2 a table size behind fields": (0, opened(1, fields=GET + b"\x20"), COMPRESSION_ERROR),
    "7541 6.3 a table size above the limit": (0, opened(1, fields=b"\x3f\xe2\x1f" + GET), COMPRESSION_ERROR),
    "7541 5.1 an integer without an end": (0, opened(1, fields=b"\xff" + b"\x80" * 20), COMPRESSION_ERROR),
    "7541 5.2 a text longer than the block": (0, opened(1, fields=GET + b"\x00\x7fabc"), COMPRESSION_ERROR),
    "7541 5.2 Huffman padding of 8 bits": (0, opened(1, fields=GET + b"\x00\x01a\x82\x1f\xff"), COMPRESSION_ERROR),
    "7541 5.2 Huffman padding with zeros": (0, opened(1, fields=GET + b"\x00\x01a\x81\x18"), COMPRESSION_ERROR),
    "7541 5.2 the end-of-text symbol in Huffman code": (0, opened(1, fields=GET + b"\x00\x01a\x84\xff\xff\xff\xff"), COMPRESSION_ERROR),
}


@pytest.mark.parametrize("name", CONNECTION_ERRORS)
def test_ends_the_connection(usual, name):
    poise, origin = usual
    streams, data, error = CONNECTION_ERRORS[name]
    with http2.Client(poise.port) as client:
        client.opened |= {1, 3, 5}
        for _ in range(streams):
            client.ask("/0")
        client.send(data)
        try:
            client.expect_goaway(error)
        except Ended:
            pytest.fail("ended without GOAWAY")
    served(poise)


@pytest.mark.parametrize("data", [b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + settings(), PREFACE + frame(PING, 0, 0, bytes(8)),
                                  PREFACE + opened(1)], ids=["cut short", "PING first", "HEADERS first"])
def test_a_preface_that_is_none(usual, data):
    """3.4: GOAWAY may be left out, for such a peer does not speak HTTP/2."""
    poise, origin = usual
    before = len(origin.bytes_seen)
    with http1.Client(poise.port) as client:
        client.send(data)
        try:
            client.to_end()
        except Ended as end:
            assert end.how == "reset"
    assert len(origin.bytes_seen) == before
    served(poise)


# The stream ends with this error, or is answered 400; the connection goes on. 8.1.1

def malformed(*fields, without=(), **more):
    return block([f for f in head_of(**more) if f[0] not in without] + list(fields))


MALFORMED = {
    "8.2 a name in upper case": malformed(("X-Upper", "a")),
    "8.2.1 an empty name": malformed(("", "a")),
    "8.2.1 a space in a name": malformed(("a b", "c")),
    "8.2.1 a colon in a name": malformed(("a:b", "c")),
    "8.2.1 a control byte in a name": malformed(("a\x01", "c")),
    "8.2.1 eighth bit in a name": malformed((b"a\xe9", "c")),
    "8.2.1 CR and LF in a value": malformed(("a", "b\r\nx-smuggled: 1")),
    "8.2.1 CR in a value": malformed(("a", "b\rc")),
    "8.2.1 LF in a value": malformed(("a", "b\nc")),
    "8.2.1 NUL in a value": malformed(("a", b"b\0c")),
    "8.2.1 LF in a name": malformed(("a\nb", "c")),
    "8.2.2 connection": malformed(("connection", "close")),
    "8.2.2 keep-alive": malformed(("keep-alive", "timeout=5")),
    "8.2.2 proxy-connection": malformed(("proxy-connection", "close")),
    "8.2.2 transfer-encoding": malformed(("transfer-encoding", "chunked")),
    "8.2.2 upgrade": malformed(("upgrade", "websocket")),
    "8.2.2 te that is not trailers": malformed(("te", "trailers, gzip")),
    "8.3 a pseudo-header behind a field": block([(":method", "GET"), (":scheme", "http"), ("a", "b"), (":path", "/")]),
    "8.3 an unknown pseudo-header": malformed((":foo", "a")),
    "8.3 a pseudo-header of answers": malformed((":status", "200")),
    "8.3.1 no :method": malformed(without=[":method"]),
    "8.3.1 no :scheme": malformed(without=[":scheme"]),
    "8.3.1 no :path": malformed(without=[":path"]),
    "8.3.1 an empty :path": malformed(path=""),
    "8.3.1 :path without a slash": malformed(path="a"),
    "8.3.1 :path with a space": malformed(path="/a b"),
    "8.3.1 :path with a line": malformed(path="/ HTTP/1.1\r\nHost: evil.test\r\n\r\nGET /smuggled"),
    "8.3.1 :path with a fragment": malformed(path="/a#b"),
    "8.3.1 :path of another form": malformed(path="http://evil.test/"),
    "8.3.1 :path *": malformed(path="*"),
    "8.3.1 :method with a space": malformed(method="GET /smuggled HTTP/1.1\r\n"),
    "8.3.1 an empty :method": malformed(method=""),
    "8.3.1 :method twice": malformed() + block([(":method", "GET")]),
    "8.3.1 :path twice": block([(":path", "/a"), (":path", "/b"), (":method", "GET"), (":scheme", "http"), (":authority", "a.test")]),
    "8.3.1 :authority twice": block([(":authority", "a.test")]) + malformed(),
    "8.3.1 :authority with userinfo": malformed(host="user@shop.test"),
    "8.3.1 :authority with a space": malformed(host="shop test"),
    "8.3.1 :authority with a line": malformed(host="shop.test\r\nx: y"),
    "8.3.1 :authority and another host": malformed(("host", "evil.test")),
    "8.3.1 :authority and two hosts": malformed(("host", "shop.test"), ("host", "shop.test")),
    "8.3.1 neither :authority nor host": malformed(without=[":authority"]),
    "8.3.1 host twice": malformed(("host", "a.test"), ("host", "a.test"), without=[":authority"]),
    "8.5 CONNECT with :path": malformed(method="CONNECT"),
    "8.1.1 two lengths": malformed(("content-length", "0"), ("content-length", "1")),
    "8.1.1 a length that is no number": malformed(("content-length", "+0")),
    "8.1.1 a length as a list": malformed(("content-length", "0, 0")),
    "8.1.1 a length, and the end": malformed(("content-length", "5")),
}
ANSWERED = {400, 405, 501}


@pytest.mark.parametrize("name", MALFORMED)
def test_refuses_a_malformed_request(usual, name):
    poise, origin = usual
    before = len(origin.bytes_seen)
    with http2.Client(poise.port) as client:
        stream = client.begin(encoded=MALFORMED[name], end=True)
        try:
            response = client.response(stream)
            assert response.status in ANSWERED, f"answered {response.status}"
        except http2.StreamReset as reset:
            assert reset.error == PROTOCOL_ERROR
        assert len(origin.bytes_seen) == before, "something of it reached a target"
        assert client.ask("/5").body == b"x" * 5, "the connection goes on"


STREAM_ERRORS = {
    "5.1 DATA on a half-closed stream": (opened(1, fields=block(head_of("/hold"))) + frame(DATA, 0, 1, b"x"), STREAM_CLOSED),
    "5.1 HEADERS on a half-closed stream": (opened(1, fields=block(head_of("/hold"))) + opened(1), (STREAM_CLOSED, PROTOCOL_ERROR)),
    "6.9 a window that grows by 0": (opened(1, fields=block(head_of("/hold"))) + frame(WINDOW_UPDATE, 0, 1, code(0)), PROTOCOL_ERROR),
    "6.9.1 a window that overflows": (
        opened(1, fields=block(head_of("/hold"))) + frame(WINDOW_UPDATE, 0, 1, code(0x7FFFFFFF)), FLOW_CONTROL_ERROR),
    "8.1 trailers without an end": (
        frame(HEADERS, END_HEADERS, 1, malformed(path="/hold", method="POST")) + frame(HEADERS, END_HEADERS, 1, block([("a", "b")])),
        PROTOCOL_ERROR),
    "8.1 trailers with a pseudo-header": (
        frame(HEADERS, END_HEADERS, 1, malformed(path="/hold", method="POST")) + frame(HEADERS, END, 1, block([(":path", "/b")])),
        PROTOCOL_ERROR),
    "8.1.1 more DATA than the length": (
        frame(HEADERS, END_HEADERS, 1, malformed(("content-length", "1"), path="/hold", method="POST")) + frame(DATA, END_STREAM, 1, b"xx"),
        PROTOCOL_ERROR),
    "8.1.1 less DATA than the length": (
        frame(HEADERS, END_HEADERS, 1, malformed(("content-length", "3"), path="/hold", method="POST")) + frame(DATA, END_STREAM, 1, b"xx"),
        PROTOCOL_ERROR),
    "5.3.1 a stream that depends on itself is none of our business": (
        frame(HEADERS, END | HAS_PRIORITY, 1, code(1) + b"\0" + block(head_of("/5"))), None),
}


@pytest.mark.parametrize("name", STREAM_ERRORS)
def test_ends_the_stream(usual, name):
    poise, origin = usual
    data, error = STREAM_ERRORS[name]
    with http2.Client(poise.port) as client:
        stream = client.new_stream()
        client.send(data)
        if error is None:
            assert client.response(stream).status == 200
        else:
            client.expect_reset(stream, error)
        assert client.ask("/5").body == b"x" * 5


# What must be taken as it is

FINE = {
    "4.1 flags that nobody defined": frame(HEADERS, END | 0xD2 & ~(PADDED | HAS_PRIORITY), 1, block(head_of("/5"))),
    "4.1 a reserved bit": frame(HEADERS, END, 1 | 1 << 31, block(head_of("/5"))),
    "4.1 a frame of a kind that nobody defined": frame(0x42, 0xFF, 0, b"whatever") + opened(1, fields=block(head_of("/5"))),
    "5.1 PRIORITY on an idle stream": frame(PRIORITY, 0, 7, bytes(5)) + opened(1, fields=block(head_of("/5"))),
    "6.2 padding and priority": frame(HEADERS, END | PADDED | HAS_PRIORITY, 1, b"\x03" + bytes(5) + block(head_of("/5")) + bytes(3)),
    "6.5.2 a setting that nobody defined": settings({0x4242: 1}) + opened(1, fields=block(head_of("/5"))),
    "6.10 a block in several pieces": frame(HEADERS, END_STREAM, 1) + b"".join(
        frame(CONTINUATION, 0, 1, block(head_of("/5"))[at:at + 15]) for at in (0, 15, 30)) + frame(
            CONTINUATION, END_HEADERS, 1, block(head_of("/5"))[45:]),
    "7541 4.2 a table of size 0": frame(HEADERS, END, 1, b"\x20" + block(head_of("/5"))),
    "8.3.1 host and :authority that agree": opened(1, fields=block(head_of("/5") + [("host", "shop.test")])),
    "8.3.1 host alone": opened(1, fields=block(head_of("/5", host=None) + [("host", "shop.test")])),
    "9218 a priority": opened(1, fields=block(head_of("/5", fields=[("priority", "u=0, i")]))),
}


@pytest.mark.parametrize("name", FINE)
def test_odd_but_fine(usual, name):
    poise, origin = usual
    with http2.Client(poise.port) as client:
        stream = client.new_stream()
        client.send(FINE[name])
        assert client.response(stream).body == b"x" * 5


def test_settings_are_acknowledged_in_order(usual):
    poise, _ = usual
    with http2.Client(poise.port) as client:
        client.ping()
        before = client.frames.count((SETTINGS, ACK, 0, 0))
        client.send(settings() * 3)
        client.ping()
        assert client.frames.count((SETTINGS, ACK, 0, 0)) == before + 3
        assert client.theirs[MAX_CONCURRENT_STREAMS] == 100 and client.theirs.get(ENABLE_PUSH, 0) == 0


def test_a_table_that_the_client_makes_smaller(usual):
    """RFC 7541 4.2: the next block begins with the new size, which hpack insists on."""
    poise, _ = usual
    with http2.Client(poise.port) as client:
        assert client.ask("/1").status == 200
        client.announce({HEADER_TABLE_SIZE: 0})
        client.ping()
        for _ in range(3):
            assert client.ask("/1").status == 200


# Streams

def test_many_streams_at_once(start):
    origin = start.origin()
    poise = start.proxy(origin)
    with http2.Client(poise.port) as client:
        streams = [client.request(f"/{n}", method="POST", body=b"%d" % n) for n in range(100)]
        for n, stream in reversed(list(enumerate(streams))):
            assert b'"/%d"' % n in client.response(stream).body
    assert len(origin.requests) == 100


def test_streams_beyond_the_limit_are_refused(start):
    """5.1.2; none of them has reached a target, so a client may send them again."""
    origin = start.origin(lambda conn: (conn.request(), conn.expect_end(Deadline(30))))
    poise = start.proxy(origin, streams=3)
    with http2.Client(poise.port) as client:
        assert client.theirs[MAX_CONCURRENT_STREAMS] == 3
        held = [client.begin("/hold", end=True) for _ in range(3)]
        origin.wait_requests(3)
        client.expect_reset(client.begin(end=True), REFUSED_STREAM)
        client.reset_stream(held[0])
        again = client.begin("/hold", end=True)
        origin.wait_requests(4)
        assert client.messages.get(again) is None
    assert len(origin.requests) == 4


def test_uploads_that_were_answered_early_do_not_hold_their_places(start):
    """8.1: their rest is dropped for a while, and then reset with NO_ERROR, which is no failure of the answer."""
    poise = start.proxy(start.origin(lambda conn: (conn.head(), conn.respond(status=403), conn.expect_end(Deadline(30)))))
    with http2.Client(poise.port) as client:
        streams = []
        for n in range(120):
            streams.append(client.begin(f"/{n}", method="POST"))
            assert client.response(streams[-1]).status == 403
        client.expect_reset(streams[0], NO_ERROR)
        client.data(streams[-1], bytes(300_000))
        client.expect_reset(streams[-1], NO_ERROR)


def test_a_slow_stream_holds_back_no_other(start):
    def handler(conn):
        while True:
            request = conn.request(Deadline(60))
            conn.respond(body=bytes(4 * MiB if request.target == "/large" else 10))
    poise = start.proxy(start.origin(handler))
    with http2.Client(poise.port) as client:
        client.replenishes = False
        client.window_update(0, 64 * MiB)
        client.window += 64 * MiB
        large = client.request("/large")
        client.read_until(lambda: large in client.messages and len(client.messages[large].body) == 65_535)
        for _ in range(5):
            assert len(client.ask("/small").body) == 10
        client.resume()
        assert len(client.response(large).body) == 4 * MiB


@pytest.mark.parametrize("window", [1, 100, 1_000_000])
def test_windows_of_all_sizes(start, window):
    body = os.urandom(300 if window == 1 else 200_000)
    poise = start.proxy(start.origin(lambda conn: conn.respond(body=body) if conn.request() else None))
    with http2.Client(poise.port, own_settings={INITIAL_WINDOW_SIZE: window}) as client:
        assert client.ask().body == body


def test_a_window_of_zero_that_opens_later(start):
    poise = start.proxy(start.origin(lambda conn: conn.respond(body=b"waited") if conn.request() else None))
    with http2.Client(poise.port, own_settings={INITIAL_WINDOW_SIZE: 0}) as client:
        stream = client.request()
        assert client.head(stream).get("Content-Length") == "6"
        client.ping()
        assert client.messages[stream].body == b""
        client.announce({INITIAL_WINDOW_SIZE: 100})
        assert client.response(stream).body == b"waited"


def test_windows_that_shrink_below_zero(start):
    """6.9.2: what was sent already is owed."""
    poise = start.proxy(start.origin(lambda conn: conn.respond(body=bytes(200_000)) if conn.request() else None))
    with http2.Client(poise.port) as client:
        client.replenishes = False
        stream = client.request()
        client.read_until(lambda: stream in client.messages and len(client.messages[stream].body) == 65_535)
        client.announce({INITIAL_WINDOW_SIZE: 100})
        client.ping()
        client.give_back(65_535)
        client.give_back(65_435, stream)  # its window is 0 now
        client.ping()
        assert len(client.messages[stream].body) == 65_535
        client.give_back(10, stream)
        client.read_until(lambda: len(client.messages[stream].body) == 65_545)
        client.resume()
        client.give_back(200_000)
        client.give_back(200_000, stream)
        assert len(client.response(stream).body) == 200_000


def test_bandwidth_is_not_held_by_the_first_window(start):
    """An upload of 64 MiB to a target that reads: windows grow or are given back in time."""
    progress = Progress()

    def handler(conn):
        conn.finish(conn.head(), Deadline(50))
        progress.add(1)
        conn.respond()
    poise = start.proxy(start.origin(handler))
    with http2.Client(poise.port) as client:
        stream = client.begin(method="POST")
        client.data(stream, bytes(32 * MiB), end=True, deadline=Deadline(50))
        assert client.response(stream).status == 200


def test_urgent_streams_come_first(start):
    """RFC 9218: of what is ready, u=0 is written before u=7."""
    def handler(conn):
        while True:
            conn.respond(body=bytes(30_000 if conn.request(Deadline(60)).target == "/urgent" else 60_000))
    poise = start.proxy(start.origin(handler))
    with http2.Client(poise.port) as client:
        client.replenishes = False
        late = [client.request("/late", fields=[("priority", "u=7")]) for _ in range(3)]
        got = lambda streams: sum(len(client.messages[s].body) for s in streams if s in client.messages)
        client.read_until(lambda: got(late) == 65_535, what="the connection's window is used up")
        urgent = client.request("/urgent", fields=[("priority", "u=0")])
        client.head(urgent)
        for _ in range(5):
            client.ping()  # its body is there, too, as the others' are
        client.owed.clear()
        client.give_back(30_000)
        client.read_until(lambda: got(late) + got([urgent]) == 95_535, what="what the window allows")
        assert got([urgent]) == 30_000


def test_a_request_that_its_client_resets_reaches_its_end(start):
    ends = []

    def handler(conn):
        conn.request()
        ends.append(conn.expect_end(Deadline(20)))
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with http2.Client(poise.port) as client:
        stream = client.request()
        origin.wait_requests()
        client.reset_stream(stream)
        origin.connections[0].wait_over()
        client.frame(WINDOW_UPDATE, 0, stream, code(1))  # on its way when it was reset: 5.1
        client.ping()
    assert ends


def test_own_answers_over_http2(start):
    poise = start.proxy(start.origin(), rules=[{"when": {"path": ["/own"]}, "fixed_response": {"status": 404, "body": "none"}}],
                        body_bytes="10B")
    with http2.Client(poise.port) as client:
        assert client.ask("/own").body == b"none"
        assert client.ask("/own", method="HEAD").body == b""
        check_generated(client.ask(method="POST", body=bytes(20)), 413)
        check_generated(client.ask(fields=[("x", "v" * 40_000)]), 431)
        check_generated(client.ask("/" + "a" * 9000), 414)
        check_generated(client.ask(fields=[(f"x-{n}", "v") for n in range(101)]), 431)
        check_generated(client.ask(method="TRACE"), 405)
        assert client.ask("/own").status == 404


def test_both_versions_on_one_port(start):
    poise = start.proxy(start.origin())
    assert http1.get(poise.port).status == 200
    assert http2.get(poise.port).status == 200
    with http2.Client(poise.port, greets=False) as client:
        for byte in PREFACE + settings() + opened(1):
            client.send(bytes((byte,)))
        client.opened.add(1)
        assert client.response(1).status == 200


# The end

def test_drain_in_two_steps(start):
    """6.8: first a GOAWAY that refuses nothing, then one that names the last stream that is served."""
    gate = threading.Event()

    def handler(conn):
        conn.request()
        gate.wait(20)
        conn.respond(body=b"to the end")
    origin = start.origin(handler)
    poise = start.proxy(origin, process_shutdown_deadline="20s")
    with http2.Client(poise.port) as client:
        stream = client.request()
        origin.wait_requests()
        poise.signal(signal.SIGTERM)
        client.read_until(lambda: client.goaways, what="the first GOAWAY")
        assert client.goaways[0] == (0x7FFFFFFF, NO_ERROR)
        client.read_until(lambda: client.goaways[-1][0] == stream, what="the second GOAWAY")
        gate.set()
        assert client.response(stream).body == b"to the end"
        assert client.expect_end() == "fin"
    assert poise.wait_exit() == 0


def test_a_request_that_crosses_the_first_goaway_is_served(start):
    origin = start.origin()
    poise = start.proxy(origin, process_shutdown_deadline="20s")
    with http2.Client(poise.port) as client:
        assert client.ask().status == 200
        client.acknowledges = False  # the second step waits for an answer to a PING
        poise.signal(signal.SIGTERM)
        client.read_until(lambda: client.goaways, what="the first GOAWAY")
        assert client.ask().status == 200


def test_what_crosses_the_last_goaway_is_ignored(start):
    """6.8: a head, its content and its trailers, while what was begun before goes on."""
    gate = threading.Event()

    def handler(conn):
        conn.request()
        gate.wait(20)
        conn.respond(body=b"to the end")
    origin = start.origin(handler)
    poise = start.proxy(origin, process_shutdown_deadline="20s")
    with http2.Client(poise.port) as client:
        stream = client.request()
        origin.wait_requests()
        poise.signal(signal.SIGTERM)
        client.read_until(lambda: client.goaways and client.goaways[-1][0] == stream, what="the last GOAWAY")
        for late in range(stream + 2, stream + 12, 2):
            client.headers(late, head_of("/late", method="POST", fields=[(f"x-{late}", "indexed")]))
            client.send(frame(DATA, 0, late, bytes(1000)) if late % 4 == 3 else b"")
            client.headers(late, [("x-sum", "1")], end=True)
        client.ping()
        gate.set()
        assert client.response(stream).body == b"to the end"
        assert client.expect_end() == "fin"
        assert client.goaways[-1] == (stream, NO_ERROR)
    assert poise.wait_exit() == 0
    assert [request.target for request in origin.requests] == ["/"]


def test_a_removed_listener_goes_away_in_order(start):
    origin = start.origin()
    text = lambda *names: configuration([listener(name, forward="pool") for name in names], [group("pool", [origin.address])])
    poise = start.poise(text("one", "two"))
    with http2.Client(poise.port_of("one")) as gone, http2.Client(poise.port_of("two")) as kept:
        assert gone.ask().status == kept.ask().status == 200
        reload(poise, text("two"))
        gone.read_until(lambda: gone.goaways and gone.goaways[-1][1] == NO_ERROR, what="GOAWAY")
        assert gone.expect_end(Deadline(PATIENCE * 2)) == "fin"
        assert kept.ask().status == 200 and kept.goaways == []


def test_a_connection_of_age_goes_away(start):
    poise = start.proxy(start.origin(), age="300ms")
    with http2.Client(poise.port) as client:
        client.read_until(lambda: client.goaways, what="GOAWAY")
        assert client.goaways[0][1] == NO_ERROR
        assert client.expect_end() == "fin"


def test_an_idle_connection_goes_away(start):
    poise = start.proxy(start.origin(), idle="300ms")
    with http2.Client(poise.port) as client:
        assert client.ask().status == 200
        client.read_until(lambda: client.goaways and client.goaways[-1] == (1, NO_ERROR), what="the last GOAWAY")
        assert client.goaways[0] == (0x7FFFFFFF, NO_ERROR), "what is on its way is still served"
        assert client.expect_end() == "fin"


def test_idle_connections_do_not_end_all_at_once(start):
    """`timeouts.idle` is varied by 10 %, as with HTTP/1."""
    poise = start.proxy(start.origin(), idle="1s")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(http2.Client(poise.port)) for _ in range(12)]
        for client in clients:
            assert client.ask().status == 200
        ends, ended = {}, time.monotonic()

        def wait(client):
            client.read_until(lambda: client.goaways, what="GOAWAY")
            ends[client] = time.monotonic()
        threads = [threading.Thread(target=wait, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(ends) == len(clients) and min(ends.values()) - ended > 0.7
    assert max(ends.values()) - min(ends.values()) > 0.03, "twelve within 30 of 200 ms: one time in ten million"


def test_a_silent_client_with_open_streams_is_asked_for_a_sign_of_life(start):
    origin = start.origin(lambda conn: (conn.request(), conn.expect_end(Deadline(30))))
    poise = start.proxy(origin, ping_interval="200ms")
    with http2.Client(poise.port) as client:
        client.request()
        for _ in range(2):
            client.read_until(lambda: (PING, 0, 0, 8) in client.frames, what="a PING")
            client.frames.clear()
        client.acknowledges = False
        try:
            client.read_until(lambda: False, Deadline(PATIENCE * 2))
        except Ended:
            pass
        origin.connections[0].wait_over()


def test_a_client_that_goes_away_is_served_what_it_has_begun(start):
    gate = threading.Event()

    def handler(conn):
        conn.request()
        gate.wait(20)
        conn.respond(body=b"whole")
    poise = start.proxy(start.origin(handler))
    with http2.Client(poise.port) as client:
        stream = client.request()
        client.goaway()
        gate.set()
        assert client.response(stream).body == b"whole"
        client.read_until(lambda: True)


def test_records_name_the_version(start):
    poise = start.proxy(start.origin())
    http2.get(poise.port, "/two")
    http1.get(poise.port, "/one")
    two, one = poise.wait_record(path="/two"), poise.wait_record(path="/one")
    assert "2" in str(two["protocol"]) and "1.1" in str(one["protocol"])
