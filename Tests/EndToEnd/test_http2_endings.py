"""HTTP/2 streams and connections that end where they should not: nothing is sent twice, cut, mixed up or left waiting."""
import socket
import struct
import threading

import pytest

import client as http1
import http2
from admin import metrics, value, verb
from client import request
from deadline import PATIENCE, Deadline, eventually
from frames import DATA, HEADERS, INITIAL_WINDOW_SIZE, INTERNAL_ERROR, PUSH_PROMISE, REFUSED_STREAM, frame
from settings import configuration, group, listener
from wire import Ended

LARGE = 1 << 30


def cut(sock):
    """Ends with RST: what the other end still sends is refused."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def outlast(conn):
    """Takes whatever still comes, until the end."""
    try:
        conn.read_until(lambda: False, Deadline(20), "the end")
    except (OSError, Ended):
        pass


def behind(start, *origins, **more):
    return start.proxy(*origins, group_version="http2", **more)


def test_clients_that_reset_in_the_middle_of_downloads(start):
    def handler(conn):
        while True:
            conn.request(Deadline(60))
            conn.respond(body=bytes(1 << 20))
    poise = start.proxy(start.origin(lambda conn: quiet(handler, conn)))
    for _ in range(40):
        client = http2.Client(poise.port, {INITIAL_WINDOW_SIZE: LARGE})
        client.window_update(0, LARGE)
        client.window += LARGE
        for stream in [client.begin(f"/{n}", end=True) for n in range(8)]:
            client.head(stream)
        cut(client.sock)
    eventually("nobody is left", lambda: value(metrics(poise), "poise_listener_connections", listener="web") == 0)
    assert http1.get(poise.port, method="HEAD").status == 200


def quiet(handler, conn):
    try:
        handler(conn)
    except (OSError, Ended):
        pass


def test_targets_that_reset_in_the_middle_of_uploads(start):
    def handler(conn):
        conn.window_update(0, LARGE)
        conn.head(Deadline(20))
        conn.head(Deadline(20))
        cut(conn.sock)
    poise = behind(start, start.h2_origin(lambda conn: quiet(handler, conn), own_settings={INITIAL_WINDOW_SIZE: LARGE}))
    for _ in range(10):
        answers = []

        def upload():
            with http1.Client(poise.port) as client:
                try:
                    client.send(request(method="POST", fields=[("Content-Length", str(4 << 20))]) + bytes(4 << 20))
                    answers.append(client.response("POST").status)
                except (OSError, Ended):
                    answers.append(502)
        threads = [threading.Thread(target=upload) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [502, 502]


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("how", ["refused", "reset", "closed"])
def test_a_body_that_is_half_gone_is_never_sent_again(start, method, how):
    """Small chunks are staged with the stream and not kept."""
    def handler(conn):
        first = conn.head(Deadline(20))
        conn.read_until(lambda: len(conn.messages[first.stream].body) >= 100_000, Deadline(10), "half of the body")
        if how == "closed":
            return
        conn.reset_stream(first.stream, REFUSED_STREAM if how == "refused" else INTERNAL_ERROR)
        outlast(conn)
    origins = [start.h2_origin(handler) for _ in range(2)]
    poise = behind(start, *origins)
    with http1.Client(poise.port) as client:
        client.send(request(method=method, fields=[("Transfer-Encoding", "chunked")]))
        for number in range(40):
            client.send(b"fa0\r\n" + b"%04d" % number * 1000 + b"\r\n")
        assert client.response(method).status == 502
    assert sum(len(origin.requests) for origin in origins) == 1


@pytest.mark.parametrize("fields, body", [
    ([("Content-Length", "0")], b""), ([("Content-Length", "5")], b"hello"), ([("Transfer-Encoding", "chunked")], b"5\r\nhello\r\n0\r\n\r\n"),
], ids=["empty", "length", "chunked"])
def test_a_post_reaches_one_target_once(start, fields, body):
    origins = [start.h2_origin(lambda conn: conn.request(Deadline(60)) and None) for _ in range(2)]
    poise = behind(start, *origins)
    with http1.Client(poise.port) as client:
        client.send(request(method="POST", fields=fields) + body)
        assert client.response("POST").status == 502
    assert sum(len(origin.requests) for origin in origins) == 1


def test_goaway_is_acted_on_without_another_frame(start):
    def handler(conn):
        first = conn.head(Deadline(60))
        if conn.number:
            return conn.respond(first, body=b"second")
        conn.goaway(0)
        outlast(conn)
    origin = start.h2_origin(handler)
    poise = behind(start, origin, group_response_idle="30s")
    assert http1.get(poise.port).body == b"second"


@pytest.mark.parametrize("fault", [frame(PUSH_PROMISE, 4, 1, b"\0\0\0\2\x82"), frame(DATA, 0, 0, b"x")], ids=["push", "data on 0"])
def test_a_whole_answer_outlives_a_fault_behind_it(start, fault):
    def handler(conn):
        asked = conn.request(Deadline(60))
        block = conn.encoder.encode([(b":status", b"200"), (b"content-length", b"5")])
        conn.send(frame(HEADERS, 4, asked.stream, block) + frame(DATA, 1, asked.stream, b"hello") + fault)
        outlast(conn)
    poise = behind(start, start.h2_origin(handler), group_response_idle="30s")
    assert http1.get(poise.port).body == b"hello"


def test_interim_answers_beside_a_download(start):
    def handler(conn):
        while True:
            asked = conn.request(Deadline(60))
            if asked.target == "/big":
                conn.respond(body=bytes(8 << 20))
            else:
                conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
                conn.respond(body=b"fine")
    poise = start.proxy(start.origin(lambda conn: quiet(handler, conn)))
    with http2.Client(poise.port, {INITIAL_WINDOW_SIZE: LARGE}) as client:
        client.window_update(0, LARGE)
        client.window += LARGE
        client.head(client.begin("/big", end=True))
        hints = [client.begin(f"/{n}", end=True) for n in range(20)]
        assert {client.response(stream, Deadline(30)).status for stream in hints} == {200}


def test_an_apply_while_streams_wait_for_a_place(start):
    path = f"{start.folder}/target.sock"
    no_streams = {3: 0}
    origin = start.h2_origin(outlast, own_settings=no_streams, path=path)
    other = start.h2_origin()
    text = lambda targets, **more: configuration(
        [listener("web", forward="pool")],
        [group("pool", targets, version="http2", queue_timeout="20s", h2_connections=1, **more)])
    poise = start.poise(text([f"unix:{path}"]))
    with http2.Client(poise.port) as client:
        streams = []

        def some_wait():
            # The first ones are sent before the target says that it takes none.
            streams.append(client.begin(f"/{len(streams)}", end=True))
            return value(metrics(poise), "poise_target_group_queue_length") > 0
        eventually("some wait", some_wait)
        origin.close()
        poise.file.write_text(text([f"unix:{path}", other.address], connections=50))
        applied = verb("apply", poise.file, poise=poise)
        assert applied.returncode == 0, applied.stderr
        for stream in streams[-1:]:
            try:
                client.response(stream, Deadline(PATIENCE))
            except http2.StreamReset:
                pass
    assert http1.get(poise.port).status in (200, 502, 503)
