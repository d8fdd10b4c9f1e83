"""Real programs as clients and as targets."""
import asyncio
import http.client
import os
import subprocess
import threading

import pytest

import real
from client import Client, get, request
from deadline import PATIENCE
from poise import BINARY
from real import LARGE, program


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
