"""Real programs as clients and as targets."""
import asyncio
import http.client
import os
import socket
import subprocess
import threading

import h2.connection
import h2.events
import pytest

import real
from admin import metrics, value
from client import Client, get, request
from deadline import PATIENCE, Deadline, eventually
from poise import BINARY
from real import LARGE, program
from settings import configuration, group, listener
from test_health_and_apply import CHECK
from tls import Authority


# Clients

def test_curl(start):
    origin = start.origin()
    poise = start.proxy(origin)
    url = f"http://127.0.0.1:{poise.port}"
    upload = start.folder / "upload"
    upload.write_bytes(os.urandom(3 << 20))
    done = subprocess.run(
        [program("curl"), "-sS", "--max-time", "30", "-o", "/dev/null", "-w", "%{http_code} %{num_connects}\n", f"{url}/a",
         "--next", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{num_connects}\n", "-T", str(upload), f"{url}/b",
         "--next", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{num_connects}\n", "-I", f"{url}/c",
         "--next", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{num_connects}\n", "-H", "Transfer-Encoding: chunked",
         "-d", "@" + str(upload), f"{url}/d"], capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[:4] == ["200 1", "200 0", "200 0", "200 0"], done.stdout + done.stderr
    assert origin.requests[1].body == upload.read_bytes()


def test_python_http_client(start):
    poise = start.proxy(start.origin())
    connection = http.client.HTTPConnection("127.0.0.1", poise.port, timeout=PATIENCE)
    for n in range(5):
        connection.request("PUT", f"/{n}", body=(piece for piece in [b"a" * 1000] * 5), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})
        response = connection.getresponse()
        assert response.status == 200 and b"a" * 5000 in response.read()
    connection.close()


def test_aiohttp(start):
    import aiohttp
    poise = start.proxy(start.origin(), process_workers=2)

    async def run():
        async with aiohttp.ClientSession() as session:
            async def one(n):
                async with session.post(f"http://127.0.0.1:{poise.port}/{n}", data=b"x" * n) as response:
                    return response.status, (await response.json())["target"]
            return await asyncio.gather(*(one(n) for n in range(200)))
    assert asyncio.run(run()) == [(200, f"/{n}") for n in range(200)]


def test_websockets_through_both_ends(start):
    import websockets

    async def run():
        async def echo(connection):
            async for message in connection:
                await connection.send(message)
        async with websockets.serve(echo, "127.0.0.1", 0, max_size=None) as server:
            port = server.sockets[0].getsockname()[1]
            poise = start.proxy(f"127.0.0.1:{port}")
            async with websockets.connect(f"ws://127.0.0.1:{poise.port}/chat", max_size=None) as connection:
                for message in ["text", b"bytes", "ü" * 1000, os.urandom(1 << 20)]:
                    await connection.send(message)
                    assert await connection.recv() == message
                await (await connection.ping())
            async with websockets.connect(f"ws://127.0.0.1:{poise.port}/", compression=None) as connection:
                await connection.send("again")
                assert await connection.recv() == "again"
    asyncio.run(asyncio.wait_for(run(), 30))


def test_wrk_without_an_error(start, nginx):
    poise = start.proxy(f"127.0.0.1:{nginx}", process_workers=2)
    done = subprocess.run([program("wrk"), "-t1", "-c64", "-d2s", f"http://127.0.0.1:{poise.port}/small"],
                          capture_output=True, text=True, timeout=30)
    assert "Socket errors" not in done.stdout and "Non-2xx" not in done.stdout, done.stdout
    assert "requests in" in done.stdout


# Targets

@pytest.fixture
def nginx(start):
    """The port of an nginx that serves files."""
    with real.nginx(start.folder / "nginx") as port:
        yield port


def test_nginx_as_target(start, nginx):
    poise = start.proxy(f"127.0.0.1:{nginx}")
    with Client(poise.port) as client:
        assert client.ask(request("/small")).body == b"x" * 1000
        assert client.ask(request("/large")).body == LARGE
        part = client.ask(request("/large", fields=[("Range", "bytes=256-511")]))
        assert (part.status, part.body) == (206, bytes(range(256)))
        tag = client.ask(request("/small", method="HEAD")).get("ETag")
        assert client.ask(request("/small", fields=[("If-None-Match", tag)])).status == 304
        assert client.ask(request("/missing")).status == 404


@pytest.fixture
def sample_targets(start):
    """Starts `poise target` processes; returns a function name, port → process (port 0: any)."""
    started = []

    def run(name, port=0):
        process = subprocess.Popen([BINARY, "target", "--listen", f"127.0.0.1:{port}", "--name", name],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        for line in process.stdout:
            if "address=" in line:
                process.port = int(line.split("address=")[1].split()[0].rsplit(":", 1)[1])
            if line.strip() == "ready":
                break
        else:
            raise AssertionError("poise target did not become ready")
        threading.Thread(target=process.stdout.read, daemon=True).start()
        return process
    yield run
    for process in started:
        process.kill()
        process.wait()


def test_sample_targets_answer_in_turn(start, sample_targets):
    one, two = sample_targets("one"), sample_targets("two")
    poise = start.proxy(f"127.0.0.1:{one.port}", f"127.0.0.1:{two.port}")
    answers = [get(poise.port).text for _ in range(4)]
    first = ["one" in answer for answer in answers]
    assert first in ([True, False, True, False], [False, True, False, True])
    assert ["two" in answer for answer in answers] == [not one for one in first]


# TLS and HTTP/2

@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def both(start, authority):
    """A target that echoes, and a Poise in front of it: one listener plain, one with TLS."""
    def echo(conn):
        while True:
            asked = conn.request(Deadline(60))
            conn.respond(body=asked.body or b"x" * 1000)
    origin, files = start.origin(echo), authority.issue("localhost", "127.0.0.1").files(start.folder)
    return start.poise(configuration(
        [listener("plain", forward="pool"), listener("secure", forward="pool", certificates=[files])],
        [group("pool", [origin.address])]))


@pytest.mark.parametrize("scheme, option, version", [
    ("https", "--http2", "2"), ("https", "--http1.1", "1.1"), ("http", "--http2-prior-knowledge", "2"), ("http", "--http2", "1.1")])
def test_curl_over_http2(start, both, authority, scheme, option, version):
    url = f"{scheme}://localhost:{both.port_of('secure' if scheme == 'https' else 'plain')}"
    upload = start.folder / "upload"
    upload.write_bytes(os.urandom(3 << 20))
    for more in ([f"{url}/a"], ["-T", upload, f"{url}/b"], ["-I", f"{url}/c"]):
        done = subprocess.run(
            [program("curl"), "-4", "-sS", "--max-time", "30", option, "--cacert", authority.file(start.folder), "-o",
             start.folder / "back" if "-T" in more else "/dev/null", "-w", "%{http_code} %{http_version}", *more],
            capture_output=True, text=True, timeout=60)
        assert done.stdout == f"200 {version}", done.stdout + done.stderr
    assert (start.folder / "back").read_bytes() == upload.read_bytes()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_h2load_without_an_error(both, scheme):
    url = f"{scheme}://127.0.0.1:{both.port_of('secure' if scheme == 'https' else 'plain')}/"
    done = subprocess.run([program("h2load"), "-n5000", "-c8", "-m16", url], capture_output=True, text=True, timeout=60)
    assert "5000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nghttp_uploads_and_prioritises(start, both, scheme):
    upload = start.folder / "upload"
    upload.write_bytes(os.urandom(200_000))
    url = f"{scheme}://127.0.0.1:{both.port_of('secure' if scheme == 'https' else 'plain')}/"
    # Sends PRIORITY frames for streams that are idle, as old browsers do.
    got = subprocess.run([program("nghttp"), "-d", upload, url], capture_output=True, timeout=30)
    assert got.stdout == upload.read_bytes(), got.stderr
    many = subprocess.run([program("nghttp"), "-n", "-s", "-m", "20", url], capture_output=True, text=True, timeout=30)
    assert many.stdout.count(" 200 ") == 20, many.stdout + many.stderr


def test_openssl_s_client(both, authority, start):
    done = subprocess.run(
        [program("openssl"), "s_client", "-connect", f"127.0.0.1:{both.port_of('secure')}", "-servername", "localhost", "-alpn",
         "h2,http/1.1", "-CAfile", authority.file(start.folder), "-verify_return_error", "-verify_hostname", "localhost"],
        input="", capture_output=True, text=True, errors="replace", timeout=20)
    assert "Verify return code: 0 (ok)" in done.stdout and "ALPN protocol: h2" in done.stdout, done.stdout + done.stderr


def test_python_h2(both):
    connection = h2.connection.H2Connection()
    connection.initiate_connection()
    with socket.create_connection(("127.0.0.1", both.port_of("plain")), PATIENCE) as sock:
        for stream in (1, 3, 5):
            connection.send_headers(stream, [(":method", "POST"), (":scheme", "http"), (":authority", "shop.test"), (":path", "/")])
            connection.send_data(stream, b"%d" % stream * 5000, end_stream=True)
        sock.sendall(connection.data_to_send())
        bodies, ended = {1: b"", 3: b"", 5: b""}, set()
        while len(ended) < 3:
            for event in connection.receive_data(sock.recv(65_536)):
                if isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] += event.data
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    ended.add(event.stream_id)
            sock.sendall(connection.data_to_send())
    assert bodies == {stream: b"%d" % stream * 5000 for stream in (1, 3, 5)}


@pytest.mark.parametrize("secure", [False, True])
def test_nghttpd_as_target(start, authority, secure):
    identity = authority.issue("target.test") if secure else None
    tls = {"group_protocol": "HTTPS", "group_authority": authority.file(start.folder),
           "group_certificate_name": "target.test"} if secure else {}
    with real.nghttpd(start.folder / "nghttpd", identity) as port:
        poise = start.proxy(f"127.0.0.1:{port}", group_version="http2", **tls)
        with Client(poise.port) as client:
            for _ in range(3):
                assert client.ask(request("/small")).body == b"x" * 1000
            assert client.ask(request("/large")).body == LARGE
            answer = client.ask(request("/echo", method="POST", body=bytes(300_000)))
            # Behind a known length HTTP/1.1 has no place for trailers.
            assert answer.body == bytes(300_000)
            assert client.ask(request("/missing")).status == 404
            assert client.ask(request("/small", method="HEAD")).body == b""


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("path, state", [("/small", "healthy"), ("/large", "healthy"), ("/missing", "unhealthy")])
def test_nghttpd_under_health_checks(start, authority, secure, path, state):
    identity = authority.issue("target.test") if secure else None
    tls = {"group_protocol": "HTTPS", "group_authority": authority.file(start.folder),
           "group_certificate_name": "target.test"} if secure else {}
    with real.nghttpd(start.folder / "nghttpd", identity) as port:
        check = CHECK | {"path": path}
        poise = start.proxy(f"127.0.0.1:{port}", group_version="http2", group_health_check=check, **tls)
        eventually(f"the target is {state}", lambda: value(metrics(poise), "poise_target_state", state=state) == 1)
        if state == "healthy":
            assert get(poise.port, "/small").body == b"x" * 1000


@pytest.mark.parametrize("http2, secure", [(True, False), (True, True), (False, True)])
def test_nginx_as_target_of_tls_and_http2(start, authority, http2, secure):
    identity = authority.issue("target.test") if secure else None
    tls = {"group_protocol": "HTTPS", "group_authority": authority.file(start.folder),
           "group_certificate_name": "target.test"} if secure else {}
    with real.nginx(start.folder / "nginx", identity, http2) as port:
        poise = start.proxy(f"127.0.0.1:{port}", group_version="http2" if http2 else "http1", **tls)
        with Client(poise.port) as client:
            assert client.ask(request("/small")).body == b"x" * 1000
            assert client.ask(request("/large")).body == LARGE
            tag = client.ask(request("/small", method="HEAD")).get("ETag")
            assert client.ask(request("/small", fields=[("If-None-Match", tag)])).status == 304
