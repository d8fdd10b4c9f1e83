"""Tables of `maglev` and `ring` follow weights that are told while requests run."""
import json
import threading

import pytest

from admin import AdminConnection, admin, verb
from agent import Agent
from client import Client, request
from deadline import eventually
from settings import configuration, group, listener
from test_agents import at, targets

TABLES = ["maglev", "ring"]


def generation(poise):
    return json.loads(admin(poise, "GET", "/status")[2])["process"]["config"]["generation"]


def keyed(start, table, *targets, **settings):
    return start.proxy(
        *targets, group_algorithm={"type": "hash", "key": "header:X-User", "table": table}, **settings)


def owners(poise, origins, keys=400):
    """Which origin each key goes to."""
    names = {origin.port: place for place, origin in enumerate(origins)}
    found = []
    with Client(poise.port) as client:
        for key in range(keys):
            before = [len(o.requests) for o in origins]
            assert client.ask(request("/", fields=[("X-User", key)])).status == 200
            found.append(next(names[o.port] for o, n in zip(origins, before) if len(o.requests) > n))
    return found


@pytest.mark.parametrize("table", TABLES)
def test_a_weight_above_the_files_takes_more_keys_for_the_very_next_request(start, table):
    origins = [start.origin() for _ in range(3)]
    poise = keyed(start, table, *({"address": o.address, "weight": 5} for o in origins), process_workers=2)
    before = owners(poise, origins)
    told = verb("weight", "pool", origins[0].address, 8, poise=poise)
    assert told.returncode == 0 and "weight 8 (operator)" in told.stdout, told.stderr
    after = owners(poise, origins)
    assert 0.36 < after.count(0) / len(after) < 0.54, "8 of 18"
    if table == "ring":
        assert all(old == new or new == 0 for old, new in zip(before, after)), "the others' keys went to it and nowhere else"
    # The file's weights make the file's table: all keys are back where they were.
    assert verb("weight", "pool", origins[0].address, "--reset", poise=poise).returncode == 0
    assert owners(poise, origins) == before
    # And a weight below the file's moves its keys only.
    assert verb("weight", "pool", origins[0].address, 0, poise=poise).returncode == 0
    assert all(new == old or old == 0 for old, new in zip(before, owners(poise, origins)))


@pytest.mark.parametrize("table", TABLES)
def test_a_raised_weight_survives_an_apply_and_ends_with_the_files_word(start, table, tmp_path):
    origins = [start.origin() for _ in range(2)]
    poise = keyed(start, table, *origins)
    assert verb("weight", "pool", origins[0].address, 5, poise=poise).returncode == 0
    raised = owners(poise, origins)
    config = json.loads(admin(poise, "GET", "/status")[2])["process"]["config"]["file"]
    with open(config) as file:
        text = file.read()
    with open(config, "w") as file:
        file.write(text + "\n# the same\n")
    assert verb("reload", poise=poise).returncode == 0
    assert owners(poise, origins) == raised


def test_an_agent_above_100_percent_has_more_of_the_keys(start):
    one = Agent("100%\n")
    try:
        origins = [start.origin() for _ in range(2)]
        words = {o.address: "100%" for o in origins}
        one.speak = lambda conn: conn.sendall(words[conn.recv(1000).decode().split()[1]].encode() + b"\n")
        poise = keyed(start, "maglev", *({"address": o.address, "weight": 10} for o in origins),
                      group_health_check=at(one, agent_send="{group} {target}\n"))
        before = owners(poise, origins)
        words[origins[0].address] = "300%"
        eventually("it has three parts of four", lambda: owners(poise, origins, 100).count(0) > 62)
        assert 0.68 < owners(poise, origins).count(0) / 400 < 0.82
        # Of 10, and at most 256.
        words[origins[0].address] = "9999%"
        eventually("256", lambda: targets(poise)[origins[0].address]["effective_weight"] == 256)
        words[origins[0].address] = "100%"
        eventually("as before", lambda: owners(poise, origins) == before)
    finally:
        one.end()


def test_a_flood_of_weights_makes_few_tables_and_costs_no_request(start):
    """251 changes, in a group whose rings take milliseconds; traffic meanwhile."""
    origin = start.origin()
    others = [f"127.0.{n // 250}.{n % 250 + 2}:{origin.port}" for n in range(1, 300)]
    poise = keyed(start, "ring", origin.address, *({"address": a, "backup": True} for a in others),
                  group_health_check="off", process_workers=2)
    problems, stop = [], threading.Event()

    def ask():
        with Client(poise.port) as client:
            key = 0
            while not stop.is_set():
                key += 1
                status = client.ask(request("/", fields=[("X-User", key)])).status
                if status != 200:
                    problems.append(status)
    load = [threading.Thread(target=ask) for _ in range(2)]
    for thread in load:
        thread.start()
    first = generation(poise)
    path = f"/targets/pool/{origin.address}/weight?weight="

    def change(weights):
        for weight in weights:
            if admin(poise, "POST", f"{path}{weight}")[0] != 200:
                problems.append("refused")
    # Each waits for its own table; ten at a time share them.
    changers = [threading.Thread(target=change, args=(range(2 + n, 252, 10),)) for n in range(10)]
    for thread in changers:
        thread.start()
    for thread in changers:
        thread.join()
    assert admin(poise, "POST", f"{path}7")[0] == 200
    made = generation(poise) - first
    stop.set()
    for thread in load:
        thread.join()
    assert problems == []
    assert 1 <= made <= 120, f"{made} tables for 251 changes"
    assert targets(poise)[origin.address]["effective_weight"] == 7


def test_a_weight_waits_for_the_apply_that_was_asked_for_before(start):
    """Or that apply, which has another weight in the file, would undo it, and nobody be told."""
    origins = [start.origin() for _ in range(2)]
    crowd = [f"127.1.{n // 250}.{n % 250 + 1}:9" for n in range(4000)]

    def text(weight):
        return configuration([listener(forward="pool")], [
            group("pool", [{"address": origins[0].address, "weight": weight}, origins[1].address]),
            group("crowd", crowd[weight:], algorithm={"type": "source_hash", "table": "ring"})])
    poise = start.poise(text(1))
    reloading = AdminConnection(poise.admin)
    for weight in range(2, 6):
        poise.file.write_text(text(weight))
        reloading.request("POST", "/reload")
        # Behind it on another connection: what control reads later.
        assert admin(poise, "GET", f"/targets/pool/{origins[0].address}")[0] == 200
        status, _, said = admin(poise, "POST", f"/targets/pool/{origins[0].address}/weight?weight=0")
        assert status == 200 and b'"weight":0' in said, said
        assert reloading.getresponse().read() and generation(poise) == weight
        assert targets(poise)[origins[0].address]["weight"] == 0
