"""Clients that come in thousands and behave badly, for a minute: who behaves well notices nothing, and nothing is left."""
import os
import random
import resource
import threading
import time

import pytest

from admin import metrics, value
from client import Client, request
from deadline import eventually
from wire import Ended

CROWD, SECONDS = 12, 60


def storm(poise, dice):
    """One visit of a bad client."""
    client = Client(poise.port, source=f"127.0.0.{dice.randrange(1, 250)}", receive_buffer=dice.choice([None, 4096]))
    kind = dice.randrange(8)
    try:
        if kind == 0:  # comes and goes
            pass
        elif kind == 1:  # half a head
            client.send(request("/half")[:dice.randrange(1, 30)])
        elif kind == 2:  # a body that is cut
            client.send(request("/cut", method="POST", fields=[("Content-Length", "100000")]) + bytes(dice.randrange(99999)))
        elif kind == 3:  # what is no HTTP
            client.send(dice.randbytes(dice.randrange(1, 2000)))
        elif kind == 4:  # asks often and reads nothing
            client.send(request("/unread") * 50)
        elif kind == 5:  # two framings
            client.send(request("/smuggled", method="POST", fields=[("Content-Length", "5"), ("Transfer-Encoding", "chunked")]))
        elif kind == 6:  # is answered, and leaves in the middle of the next request
            client.ask(request("/whole"))
            client.send(request("/then")[:-1])
        else:
            client.send(request("/answered"))
            client.half_close()
            client.to_end()
    except (OSError, Ended):
        pass  # it is cut off, as it deserves
    dice.choice([client.close, client.reset])()


@pytest.mark.soak
@pytest.mark.timeout(SECONDS * 4)
def test_a_storm_of_bad_clients_harms_nobody_and_leaves_nothing(start):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    seed = int(os.environ.get("POISE_SEED", time.time_ns() % 1_000_000))
    print(f"POISE_SEED={seed}")
    origin = start.origin()
    poise = start.proxy(origin, process_workers=2)
    over, visits, served, failed = threading.Event(), [0] * CROWD, [0, 0], []

    def bad(number):
        dice = random.Random(seed * 1000 + number)
        while not over.is_set():
            try:
                storm(poise, dice)
            except Exception as error:  # an answer that is none, or nobody there
                failed.append(repr(error))
            visits[number] += 1

    def good(number):
        with Client(poise.port) as client:
            while not over.is_set():
                response = client.ask(request(f"/good/{number}/{served[number]}"))
                if response.status != 200 or f"/good/{number}/{served[number]}" not in response.text:
                    failed.append((response.status, response.body))
                served[number] += 1

    crowd = [threading.Thread(target=bad, args=(n,)) for n in range(CROWD)]
    crowd += [threading.Thread(target=good, args=(n,)) for n in range(2)]
    descriptors = f"/proc/{poise.process.pid}/fd"
    before = len(os.listdir(descriptors))
    try:
        for thread in crowd:
            thread.start()
        over.wait(SECONDS / 3)
        early = poise.memory()
        over.wait(SECONDS * 2 / 3)
    finally:
        over.set()
        for thread in crowd:
            thread.join()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert failed == [] and min(served) > 100, (served, failed[:3])
    assert sum(visits) > 2000, "a storm has more clients"
    assert poise.memory() - early < 4 << 20, "the longer, the more memory"

    def gauges():
        samples = metrics(poise)
        return [value(samples, f"poise_{name}", **labels) for name, labels in (
            ("listener_connections", {"listener": "web"}), ("target_in_flight_requests", {"target_group": "pool"}),
            ("target_group_queue_length", {"target_group": "pool"}))]
    eventually("nobody is left", lambda: gauges() == [0, 0, 0], 30)
    idle = value(metrics(poise), "poise_target_connections", target_group="pool")
    eventually("every other descriptor is closed", lambda: len(os.listdir(descriptors)) <= before + idle + 2, 30)
    assert not [r for r in origin.requests if r.target == "/smuggled"]
