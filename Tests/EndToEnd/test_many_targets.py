"""Ten thousand targets in a thousand groups. What it costs is measured by Benchmarks; here it must work."""
import asyncio
import resource
import threading

import pytest

from admin import metrics, value
from client import Client, request
from deadline import PATIENCE
from settings import configuration, group, listener
from test_health_and_apply import reload

GROUPS, EACH = 1000, 10


class Crowd:
    """One listening socket behind every address of 127.0.0.0/8; notes at which address each request arrived."""

    def __init__(self):
        self.arrived, self.ready, self.loop = [], threading.Event(), asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        assert self.ready.wait(PATIENCE)

    def run(self):
        async def serve():
            self.over = asyncio.Event()
            # Only addresses of the machine itself lead here: an outsider finds nothing that answers.
            server = await asyncio.start_server(self.answer, "0.0.0.0", 0, backlog=1024)
            self.port = server.sockets[0].getsockname()[1]
            self.ready.set()
            async with server:
                await self.over.wait()
        self.loop.run_until_complete(serve())

    async def answer(self, reader, writer):
        if writer.get_extra_info("peername")[0].startswith("127."):
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            self.arrived.append((path, writer.get_extra_info("sockname")[0]))
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path.encode()))
        writer.close()

    def close(self):
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join()


@pytest.fixture
def crowd():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    crowd = Crowd()
    yield crowd
    crowd.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def hosts(number):
    return [f"127.{1 + number // 250}.{number % 250}.{1 + n}" for n in range(EACH)]


def test_ten_thousand_targets_are_applied_and_each_is_served(start, crowd):
    def file(count):
        rules = [{"when": {"path": [f"/g{n}"]}, "forward": f"g{n}"} for n in range(count)]
        groups = [group(f"g{n}", [f"{host}:{crowd.port}" for host in hosts(n)]) for n in range(count)]
        return configuration([listener(rules=rules)], groups)
    poise = start.poise(file(1))
    with Client(poise.port) as client:
        assert client.ask(request("/g0")).text == "/g0"
        line = reload(poise, file(GROUPS))
        assert f"groups {GROUPS - 1} added" in line and f"targets {(GROUPS - 1) * EACH} added" in line, line
        assert "0 connections touched" in line
        for round in range(EACH):
            for first in range(0, GROUPS, 50):
                client.send(b"".join(request(f"/g{n}") for n in range(first, first + 50)))
                for n in range(first, first + 50):
                    response = client.response()
                    assert (response.status, response.text) == (200, f"/g{n}"), f"round {round}"
    # Each at its own target of its own group, once; the first group had one request before.
    assert len(crowd.arrived) == GROUPS * EACH + 1
    assert set(crowd.arrived) == {(f"/g{n}", host) for n in range(GROUPS) for host in hosts(n)}
    seen = metrics(poise)
    assert value(seen, "poise_target_requests_total") == GROUPS * EACH + 1
    assert value(seen, "poise_target_failures_total") == value(seen, "poise_target_connect_failures_total") == 0
    # And away again: what is left is served as before.
    line = reload(poise, file(1))
    assert f"groups {GROUPS - 1} removed" in line, line
    with Client(poise.port) as client:
        assert client.ask(request("/g0")).text == "/g0"
        assert client.ask(request("/g999")).status == 404
