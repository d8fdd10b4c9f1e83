"""A change disturbs nothing that it does not concern: 1,000 connections at work, fifty changes to other objects."""
import asyncio
import hashlib
import os
import random
import resource
import signal
import time

from deadline import PATIENCE, SLOW, eventually
from origin import dead_port
from poise import BINARY
from settings import configuration, group, listener
from test_telemetry import metrics, value

REQUESTS, UPLOADS, SOCKETS = 600, 200, 200
CHANGES = 50
# Nothing that is idle may go by its own timer within the test.
KEPT = {"keep_alive_idle": "300s"}
# The targets share a thread with a thousand clients: a probe waits as long as these do.
CHECK = {"path": "/health", "interval": f"{SLOW:g}s", "timeout": f"{SLOW:g}s", "edge_interval": "100ms", "healthy": 1,
         "unhealthy": 1}


class Target:
    """An origin on this loop: echoes paths, digests of bodies, and whatever comes through a tunnel."""

    async def start(self):
        self.accepted = self.closed = self.held = 0
        self.released = asyncio.Event()
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, limit=1 << 18, backlog=1024)
        self.address = "127.0.0.1:%d" % self.server.sockets[0].getsockname()[1]
        return self

    async def serve(self, reader, writer):
        counted = False
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1]
                if path != b"/health" and not counted:
                    counted = True
                    self.accepted += 1
                if b"upgrade: websocket" in head.lower():
                    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
                    while data := await reader.read(1 << 16):
                        writer.write(data)
                        await writer.drain()
                    return
                answer = path
                if b"content-length:" in head.lower():
                    left, digest = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]), hashlib.sha256()
                    while left:
                        piece = await reader.read(min(left, 1 << 16))
                        assert piece, "an upload was cut"
                        left -= len(piece)
                        digest.update(piece)
                    answer = digest.hexdigest().encode()
                if path.startswith(b"/hold"):
                    self.held += 1
                    await self.released.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.closed += counted
            writer.close()


class Load:
    """Clients that each keep one connection, and note whatever is not as it must be."""

    def __init__(self, port):
        self.port, self.over = port, asyncio.Event()
        self.problems, self.tasks = [], []
        self.done = {"requests": 0, "uploads": 0, "sockets": 0}

    async def connect(self, number):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, local_addr=(f"127.0.{1 + number % 4}.{1 + number % 200}", 0))
        return reader, writer

    async def answer(self, reader):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        assert b"connection: close" not in head.lower(), head
        return await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))

    async def requests(self, number, reader, writer, dice):
        async def ask(path):
            writer.write(b"GET %b HTTP/1.1\r\nHost: shop.test\r\n\r\n" % path)
            assert await self.answer(reader) == path
            self.done["requests"] += 1
        await ask(b"/hold")
        while not self.over.is_set():
            await asyncio.sleep(dice.uniform(0.4, 2.0))
            await ask(b"/r/%d/%d" % (number, self.done["requests"]))
        await ask(b"/last")

    async def uploads(self, number, reader, writer, dice):
        async def send(path, pieces, pause):
            body = [dice.randbytes(dice.randrange(1, 8000)) for _ in range(pieces)]
            writer.write(b"POST %b HTTP/1.1\r\nHost: shop.test\r\nContent-Length: %d\r\n\r\n" % (path, sum(map(len, body))))
            for piece in body:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
            digest = hashlib.sha256(b"".join(body)).hexdigest().encode()
            assert await self.answer(reader) == digest, "an upload arrived changed"
            self.done["uploads"] += 1
        await send(b"/hold-upload", 2, 0)
        while not self.over.is_set():
            await send(b"/up/%d" % number, 4, dice.uniform(0.1, 0.5))
        await send(b"/up/last", 1, 0)

    async def sockets(self, number, reader, writer, dice):
        writer.write(b"GET /ws HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        while True:
            data = dice.randbytes(dice.randrange(1, 3000))
            writer.write(data)
            assert await reader.readexactly(len(data)) == data, "an echo came back changed"
            self.done["sockets"] += 1
            if self.over.is_set():
                return
            await asyncio.sleep(dice.uniform(0.4, 2.0))

    async def run(self, kind, number):
        writer = None
        try:
            reader, writer = await self.connect(number)
            await getattr(self, kind)(number, reader, writer, random.Random(number))
            assert not reader.at_eof()
        except (AssertionError, OSError, asyncio.IncompleteReadError) as error:
            self.problems.append(f"{kind} {number}: {error!r}")
        return writer

    def start(self):
        kinds = ["requests"] * REQUESTS + ["uploads"] * UPLOADS + ["sockets"] * SOCKETS
        self.tasks = [asyncio.create_task(self.run(kind, number)) for number, kind in enumerate(kinds)]

    async def end(self):
        """Waits until each client has done its last; returns their connections, which are open still."""
        self.over.set()
        return await asyncio.gather(*self.tasks)


class Change:
    """Fifty files. The objects under load are in all of them, as they were; everything else changes."""

    def __init__(self, steady, uploads, sockets, other, dead):
        self.addresses, self.other = (steady, uploads, sockets, dead), other
        self.extra_rule = self.extra_group = self.extra_listener = None
        self.settings = {}

    def next(self, step):
        kind, round = step % 10, step // 10
        match kind:
            case 0: self.extra_rule = {"when": {"path": [f"/new/{round}"]}, "fixed_response": {"status": 204}}
            case 1: self.extra_group = f"extra-{round}"
            case 2: self.extra_listener = f"door-{round}"
            case 3: self.settings["weight"] = 2 + round
            case 4: self.settings["health_check"] = CHECK | {"interval": f"{SLOW * (2 + round):g}s"}
            case 5: self.settings["response_idle"] = f"{30 + round}s"
            case 6: self.settings["connections"] = None if round % 2 else 30 + round
            case 7: self.settings["algorithm"] = ["least_connections", "p2c", "source_hash", "round_robin", "p2c"][round]
            case 8: self.extra_listener = None
            case 9: self.extra_group = self.extra_rule = None
        return self.text()

    def text(self):
        steady, uploads, sockets, dead = self.addresses
        settings = dict(self.settings)
        rules = [{"when": {"path": ["/ws"]}, "forward": [sockets]},
                 {"when": {"path": ["/up/*", "/hold-upload"]}, "forward": "uploads"},
                 {"when": {"path": ["/other"]}, "forward": "other"}]
        if self.extra_group:
            rules.insert(0, {"when": {"path": ["/extra"]}, "forward": self.extra_group})
        if self.extra_rule:
            rules.insert(0, self.extra_rule)
        doors = [listener(rules=rules, forward="steady")]
        if self.extra_listener:
            doors.append(listener(self.extra_listener, forward="other"))
        weight = settings.pop("weight", 1)
        groups = [group("steady", [steady, dead], health_check=CHECK, **KEPT), group("uploads", [uploads], **KEPT),
                  group("other", [{"address": self.other, "weight": weight}], **settings)]
        if self.extra_group:
            groups.append(group(self.extra_group, [self.other]))
        return configuration(doors, groups, workers=2)


async def applied(poise, step, text):
    """Has Poise apply `text`, in turn by HUP and by `poise apply`; returns what it says about it."""
    if step % 2:
        file = poise.folder / "next.yaml"
        file.write_text(text)
        process = await asyncio.create_subprocess_exec(
            BINARY, "apply", str(file), env=os.environ | {"POISE_ADMIN": str(poise.admin)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        said = (await process.communicate())[0].decode()
        assert process.returncode == 0, said
        return said
    def lines():
        return [line for line in poise.output("err") if "configuration applied by=reload" in line]
    before = len(lines())
    poise.file.write_text(text)
    poise.signal(signal.SIGHUP)
    return (await asyncio.to_thread(eventually, "the change applied", lambda: lines()[before:]))[0]


async def status(port, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET %b HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n" % path)
    answer = await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1])


def steady(samples):
    """The samples of what the changes do not concern."""
    names = {"steady", "uploads", 'web/path in [\\"/ws\\"]'}
    return {key: v for key, v in samples.items()
            if dict(key[1]).get("target_group") in names or (dict(key[1]).get("listener") == "web" and "rule" not in dict(key[1]))}


async def until(what, condition):
    end = time.monotonic() + PATIENCE * 4
    while not condition():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.02)


async def torture(start):
    kept, port = dead_port()
    targets = [await Target().start() for _ in range(4)]
    change = Change(*[t.address for t in targets], f"127.0.0.1:{port}")
    poise = start.poise(change.text())
    steady_target, uploads_target, sockets_target, _ = targets
    await asyncio.to_thread(eventually, "health is known", lambda: [value(
        metrics(poise), "poise_target_group_targets", target_group="steady", state=s) for s in ("healthy", "unhealthy")] == [1, 1])
    load = Load(poise.port)
    load.start()
    # All at once in flight: each worker's pools hold as many connections as they can ever need.
    await until("all requests at their targets",
                lambda: (steady_target.held, uploads_target.held) == (REQUESTS, UPLOADS) or load.problems)
    for target in targets:
        target.released.set()
    await until("every tunnel in use", lambda: load.done["sockets"] >= SOCKETS)
    accepted = [target.accepted for target in targets[:3]]
    before = await asyncio.to_thread(metrics, poise)
    assert (load.problems, accepted) == ([], [REQUESTS, UPLOADS, SOCKETS])

    last, fresh, others = before, 0, 0
    for step in range(CHANGES):
        busy = dict(load.done)
        said = await applied(poise, step, change.next(step))
        assert "0 connections touched" in said, said
        # It is in force, and it is what was asked for.
        if change.extra_rule:
            assert await status(poise.port, change.extra_rule["when"]["path"][0].encode()) == 204
            fresh += 1
        if change.extra_group:
            assert await status(poise.port, b"/extra") == 200
            others += 1
        assert await status(poise.port, b"/other") == 200
        others += 1
        assert load.problems == []
        await until("traffic goes on", lambda: all(load.done[kind] > busy[kind] for kind in busy))
        if step % 5 == 4:
            now = await asyncio.to_thread(metrics, poise)
            for key, v in steady(last).items():
                assert key in now, f"{key} is gone after change {step}"
                if key[0].endswith(("_total", "_count", "_sum", "_bucket", "_age_seconds")):
                    assert now[key] >= v, f"{key} went from {v} to {now[key]} with change {step}"
            last = now
    writers = await load.end()
    assert load.problems == []
    after = await asyncio.to_thread(metrics, poise)

    assert [target.accepted for target in targets[:3]] == accepted, "connections of other pools were opened again"
    assert [target.closed for target in targets[:3]] == [0, 0, 0]
    assert value(after, "poise_config_generation") == 1 + CHANGES
    assert value(after, "poise_listener_connections", listener="web") == REQUESTS + UPLOADS + SOCKETS
    everybody = load.done["requests"] + load.done["uploads"] + SOCKETS
    assert value(after, "poise_listener_requests_total", listener="web") == everybody + fresh + others
    assert value(after, "poise_listener_client_aborts_total", listener="web") == 0
    for name, count in (("steady", load.done["requests"]), ("uploads", load.done["uploads"])):
        for family in ("target_group_requests", "target_group_tries", "target_requests"):
            assert value(after, f"poise_{family}_total", target_group=name) == count, (name, family)
        assert value(after, "poise_target_responses_total", target_group=name, code="2xx") == count
    tunnels = 'web/path in [\\"/ws\\"]'
    assert value(after, "poise_target_in_flight_requests", target_group=tunnels) == SOCKETS
    for name, targets_of in (("steady", 2), ("uploads", 1), (tunnels, 1)):
        transitions = [value(m, "poise_target_group_health_transitions_total", target_group=name) for m in (before, after)]
        assert transitions[0] == transitions[1], f"health of {name} changed"
        assert value(after, "poise_target_failures_total", target_group=name) == 0
        assert sum(n == "poise_target_state_age_seconds" and dict(p)["target_group"] == name for n, p in after) == targets_of
    for writer in writers:
        writer.close()
    await asyncio.gather(*[writer.wait_closed() for writer in writers], return_exceptions=True)
    kept.close()


def test_fifty_changes_lose_none_of_a_thousand_connections(start):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        asyncio.run(torture(start))  # cancels what the targets still wait for
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
