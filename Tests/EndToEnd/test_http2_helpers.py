"""The helpers of TLS and HTTP/2 agree with real programs, and refuse what they should refuse."""
import socket
import ssl
import subprocess
import threading

import pytest

import client as http1
import http2
from deadline import Deadline
from frames import (ACK, CANCEL, COMPRESSION_ERROR, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, GOAWAY,
                    HEADERS, INITIAL_WINDOW_SIZE, PING, PROTOCOL_ERROR, PUSH_PROMISE, REFUSED_STREAM, RST_STREAM, SETTINGS,
                    WINDOW_UPDATE, block, code, frame, settings)
from real import LARGE, nghttpd, nginx, program
from tls import Authority, client_context, server_context, shown
from wire import Ended, WireError


@pytest.fixture(scope="module")
def authority():
    return Authority()


# The client

@pytest.mark.parametrize("server", [nginx, nghttpd])
@pytest.mark.parametrize("secure", [False, True])
def test_client_against_real_servers(start, authority, server, secure):
    more = {"http2": True} if server is nginx else {}
    identity = authority.issue("shop.test") if secure else None
    with server(start.folder / "server", identity, **more) as port:
        tls = client_context(authority, ["h2"]) if secure else None
        with http2.Client(port, tls=tls, server_name="shop.test" if secure else None) as client:
            assert (client.ask("/small").status, client.ask("/small").body) == (200, b"x" * 1000)
            streams = [client.request("/large"), client.request("/small"), client.request("/missing")]
            answers = [client.response(stream) for stream in reversed(streams)][::-1]
            assert [a.status for a in answers] == [200, 200, 404] and answers[0].body == LARGE
            head = client.ask("/small", method="HEAD")
            assert (head.status, head.body) == (200, b"")
            client.ping()
            if server is nghttpd:
                # nghttpd answers an upload with what was uploaded, and ends answers with trailers.
                body = bytes(300_000)
                answer = client.ask("/echo", method="POST", body=body)
                assert (answer.body, answer.trailers.get("x-sum")) == (body, "6")


@pytest.mark.parametrize("server", [nginx, nghttpd])
def test_client_makes_real_servers_tell_errors(start, server):
    with server(start.folder / "server", **({"http2": True} if server is nginx else {})) as port:
        with http2.Client(port) as client:
            client.frame(DATA, 0, 0, b"x")
            client.expect_goaway(PROTOCOL_ERROR)
        with http2.Client(port) as client:
            client.begin(encoded=b"\xff\xff\xff\xff\xff\xff\xff\xff", end=True)
            client.expect_goaway((COMPRESSION_ERROR, PROTOCOL_ERROR))
        with http2.Client(port) as client:
            stream = client.begin("/large", end=True)
            client.send(2 * frame(WINDOW_UPDATE, 0, stream, code(0x7FFFFFFF)))
            client.expect_reset(stream, FLOW_CONTROL_ERROR)


def served(data, end=False):
    """A client that has opened stream 1 on a server that sends exactly `data` after its SETTINGS."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        sock, _ = listening.accept()
        sock.sendall(settings() + data)
        while sock.recv(65_536):
            pass
    threading.Thread(target=serve, daemon=True).start()
    client = http2.Client(listening.getsockname()[1])
    client.begin(end=True)
    return client


OK = frame(HEADERS, END_HEADERS, 1, block([(":status", 200)]))
END = END_HEADERS | END_STREAM


@pytest.mark.parametrize("data", [
    frame(DATA, 0, 1, b"before a head"),
    frame(HEADERS, END, 3, block([(":status", 200)])),
    frame(HEADERS, END, 2, block([(":status", 200)])),
    frame(HEADERS, END, 0, block([(":status", 200)])),
    frame(HEADERS, END, 1, block([("a", "b")])),
    frame(HEADERS, END, 1, block([(":status", 200), (":status", 200)])),
    frame(HEADERS, END, 1, block([("a", "b"), (":status", 200)])),
    frame(HEADERS, END, 1, block([(":status", "20")])),
    frame(HEADERS, END, 1, block([(":status", 101)])),
    frame(HEADERS, END, 1, block([(":status", 103)])),
    frame(HEADERS, END, 1, block([(":status", 200), ("Upper", "case")])),
    frame(HEADERS, END, 1, block([(":status", 200), ("a", "b\r\nc: d")])),
    frame(HEADERS, END, 1, block([(":status", 200), ("a", " b")])),
    frame(HEADERS, END, 1, block([(":status", 200), ("connection", "close")])),
    frame(HEADERS, END, 1, block([(":status", 200), ("transfer-encoding", "chunked")])),
    frame(HEADERS, 0, 1, block([(":status", 200)])) + frame(PING, 0, 0, bytes(8)),
    frame(HEADERS, END, 1, b"\xff\xff\xff\xff\xff\xff\xff"),
    OK + frame(HEADERS, END, 1, block([(":status", 200)])),
    OK + frame(HEADERS, END_HEADERS, 1, block([("x", "y")])),
    OK + frame(DATA, END_STREAM, 1) + frame(DATA, END_STREAM, 1),
    OK + frame(DATA, 8, 1, b"\x05abc"),
    OK + frame(DATA, 0, 1, bytes(16_385)),
    OK + frame(DATA, 0, 1, bytes(16_384)) * 5,
    frame(HEADERS, END_HEADERS, 1, block([(":status", 200), ("content-length", 4)])) + frame(DATA, END_STREAM, 1, b"12345"),
    frame(RST_STREAM, 0, 3, code(CANCEL)),
    frame(SETTINGS, 0, 0, b"\0\5\0\0\0\0"),
    frame(SETTINGS, ACK, 0, b"\0\5\0\0\x40\0"),
    frame(WINDOW_UPDATE, 0, 0, code(0)),
    frame(WINDOW_UPDATE, 0, 0, code(0x7FFFFFFF)),
    frame(PUSH_PROMISE, END_HEADERS, 1, code(2) + block([(":method", "GET")])),
    frame(GOAWAY, 0, 0, code(1) + code(0)) + frame(GOAWAY, 0, 0, code(3) + code(0)),
    frame(PING, 0, 0, b"short"),
])
def test_client_refuses(data):
    with served(data) as client, pytest.raises((WireError, AssertionError)):
        client.replenishes = False
        client.response(1)
        client.read(Deadline(0.5))


def test_client_tells_resets_and_departures_from_answers():
    with served(OK + frame(RST_STREAM, 0, 1, code(REFUSED_STREAM))) as client:
        with pytest.raises(http2.StreamReset) as reset:
            client.response(1)
        assert reset.value.error == REFUSED_STREAM
    with served(frame(GOAWAY, 0, 0, code(0) + code(ENHANCE_YOUR_CALM))) as client, pytest.raises(http2.GoneAway):
        client.response(1)
    with served(frame(GOAWAY, 0, 0, code(1) + code(0)) + OK + frame(DATA, END_STREAM, 1, b"fine")) as client:
        assert client.response(1).body == b"fine"


# The target

@pytest.mark.parametrize("secure", [False, True])
def test_target_serves_real_clients(start, authority, secure):
    def handler(conn):
        while True:
            request = conn.request(Deadline(60))
            conn.begin(request, 103, [("link", "</a>")])
            conn.respond(request, body=request.body or LARGE, trailers=[("x-sum", "6")])
    tls = server_context(authority.issue("localhost"), ["h2"]) if secure else None
    origin = start.h2_origin(handler, tls=tls)
    url = f"{'https' if secure else 'http'}://localhost:{origin.port}/path?query"
    got = subprocess.run([program("curl"), "-sSk", "--max-time", "20", "--http2" if secure else "--http2-prior-knowledge",
                          "-4", url], capture_output=True, timeout=30)
    assert got.stdout == LARGE, got.stderr
    upload = start.folder / "upload"
    upload.write_bytes(bytes(200_000))
    got = subprocess.run([program("nghttp"), "--no-dep", "-d", upload, url], capture_output=True, timeout=30)
    assert got.stdout == upload.read_bytes(), got.stderr
    done = subprocess.run([program("h2load"), "-n20", "-c2", "-m5", url], capture_output=True, text=True, timeout=60)
    assert "20 succeeded" in done.stdout, done.stdout + done.stderr
    assert {(r.method, r.target) for r in origin.requests} == {("GET", "/path?query"), ("POST", "/path?query")}


def test_target_that_scripts_windows_resets_and_departures(start):
    def handler(conn):
        conn.replenishes = False
        first, second, third = (conn.head() for _ in range(3))
        conn.read_until(lambda: len(conn.messages[first.stream].body) == 10)
        conn.reset_stream(second.stream, REFUSED_STREAM)
        conn.goaway(third.stream)
        conn.give_back(90, first.stream)
        conn.finish(first)
        conn.respond(third, body=b"third")
        conn.respond(first, body=first.body)
        conn.expect_end()
    origin = start.h2_origin(handler, own_settings={INITIAL_WINDOW_SIZE: 10})
    with http2.Client(origin.port) as client:
        client.ping()
        first = client.begin(method="POST")
        client.data(first, bytes(10))
        second, third = client.request(), client.request()
        client.data(first, bytes(90), end=True)
        with pytest.raises(http2.StreamReset):
            client.response(second)
        assert client.response(third).body == b"third"
        assert client.response(first).body == bytes(100)
        assert client.goaways == [(third, 0)]


@pytest.mark.parametrize("fields", [
    [(":method", "GET"), (":scheme", "http"), (":authority", "a.test")],
    [(":method", "GET"), (":scheme", "http"), (":path", ""), (":authority", "a.test")],
    [(":method", "GET"), (":scheme", "http"), (":path", "/")],
    [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.test"), ("host", "b.test")],
    [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.test"), ("te", "gzip")],
])
def test_target_refuses(fields):
    origin = http2.Origin()
    try:
        with http2.Client(origin.port) as client, pytest.raises(Ended):
            client.response(client.begin(head=fields, end=True))
    finally:
        origin.close()
    assert len(origin.errors) == 1


# TLS

@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_tls_of_client_and_target(start, authority, kind):
    below = Authority("Below", above=authority)
    identity, identity_of_client = below.issue("shop.test", kind=kind), authority.issue("client.test")
    origin = start.origin(tls=server_context(identity, clients=authority))
    tls = client_context(authority, identity=identity_of_client)
    with http1.Client(origin.port, tls=tls, server_name="shop.test") as client:
        assert client.ask(http1.request()).status == 200
        assert shown(client) == identity.certificate
        assert origin.connections[0].sock.asked_name == "shop.test"
    assert origin.connections[0].wait_over() == "fin"
    for other, name in ((client_context(authority, identity=identity_of_client), "other.test"),
                        (client_context(Authority("Stranger"), identity=identity_of_client), "shop.test")):
        with pytest.raises(ssl.SSLCertVerificationError):
            http1.Client(origin.port, tls=other, server_name=name)
    assert len(origin.wait_handshake_errors(2)) == 2


def test_an_expired_certificate_is_refused(start, authority):
    origin = start.origin(tls=server_context(authority.issue("shop.test", start=-9, end=-2)))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        http1.Client(origin.port, tls=client_context(authority), server_name="shop.test")


def test_a_tls_connection_that_is_cut_is_no_orderly_end(start, authority):
    def handler(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        conn.cut()
    origin = start.origin(handler, tls=server_context(authority.issue("shop.test")))
    with http1.Client(origin.port, tls=client_context(authority), server_name="shop.test") as client:
        client.send(http1.request())
        with pytest.raises(Ended) as end:
            client.response()
        assert end.value.how == "cut"


def test_keys_and_bundles_are_what_openssl_reads(tmp_path, authority):
    identity = authority.issue("shop.test", kind="rsa")
    files = identity.files(tmp_path, "shop", passphrase="secret word")
    public = subprocess.run([program("openssl"), "pkey", "-in", files["key"], "-passin", f"file:{files['passphrase_file']}",
                             "-pubout"], capture_output=True, check=True).stdout
    bundle = identity.bundle(tmp_path)
    assert public == subprocess.run([program("openssl"), "x509", "-in", bundle, "-noout", "-pubkey"],
                                    capture_output=True, check=True).stdout
    assert subprocess.run([program("openssl"), "pkey", "-in", files["key"], "-passin", "pass:wrong"],
                          capture_output=True).returncode != 0
