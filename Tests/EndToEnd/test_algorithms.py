"""Algorithms on real traffic: what their definitions say about who is asked next."""
import threading

import pytest

from admin import verb
from client import Client, request
from deadline import PATIENCE, eventually


def shares(poise, origins, count):
    """Requests per origin of `count` requests, one at a time over one connection."""
    before = [len(o.requests) for o in origins]
    with Client(poise.port) as client:
        for _ in range(count):
            assert client.ask(request("/")).status == 200
    return [len(o.requests) - b for o, b in zip(origins, before)]


def weighted(start, algorithm, weights, handler=None, **settings):
    origins = [start.origin(handler) if handler else start.origin() for _ in weights]
    targets = [{"address": o.address, "weight": w} for o, w in zip(origins, weights)]
    return origins, start.proxy(*targets, group_algorithm=algorithm, **settings)


@pytest.mark.parametrize("algorithm, expected", [
    # One request at a time finds every target idle.
    ("least_connections", [20, 2]), ("least_outstanding_requests", [20, 2]), ("nq", [20, 2]), ("sed", [22, 0]),
])
def test_one_request_at_a_time(start, algorithm, expected):
    origins, poise = weighted(start, algorithm, (10, 1))
    assert shares(poise, origins, 22) == expected


@pytest.mark.parametrize("algorithm, expected", [
    # Two at a time: 1/10 and 1/1 before the second of them; with itself 2/10 and 1/1.
    ("least_connections", [1, 1]), ("nq", [1, 1]), ("sed", [2, 0]), ({"type": "p2c", "choices": 2}, [1, 1]),
])
def test_two_requests_at_a_time(start, algorithm, expected):
    hold, go_on = holding()
    origins, poise = weighted(start, algorithm, (10, 1), hold)
    with Client(poise.port) as one, Client(poise.port) as two:
        try:
            for number, client in enumerate((one, two), 1):
                client.send(request("/"))
                wait_total(origins, number)
            assert [len(o.requests) for o in origins] == expected
        finally:
            go_on.set()
        for client in (one, two):
            assert client.response().status == 200


def holding():
    """A handler that answers nothing until the event is set."""
    go_on = threading.Event()

    def hold(conn):
        while True:
            conn.request()
            assert go_on.wait(PATIENCE)
            conn.respond()
    return hold, go_on


def wait_total(origins, count):
    eventually(f"{count} requests arrive", lambda: sum(len(o.requests) for o in origins) == count)


def test_random_does_not_look_at_weights_and_weighted_random_does(start):
    origins, poise = weighted(start, "random", (256, 1, 0))
    heavy, light, none = shares(poise, origins, 60)
    assert light >= 10 and heavy >= 10 and none == 0, "each is drawn with one half"
    origins, poise = weighted(start, "weighted_random", (256, 1, 0))
    heavy, light, none = shares(poise, origins, 60)
    assert light <= 10 and none == 0, "drawn with 1/257"


TABLES = ["maglev", "ring", "rendezvous"]


def served(poise, origins, path="/", fields=(), source=None):
    """The index of the target that took one request over a connection of its own."""
    before = [len(o.requests) for o in origins]
    with Client(poise.port, source=source) as client:
        assert client.ask(request(path, fields=fields)).status == 200
    return [len(o.requests) - b for o, b in zip(origins, before)].index(1)


@pytest.mark.parametrize("table", TABLES)
def test_a_key_keeps_its_target(start, table):
    origins = [start.origin() for _ in range(4)]
    poise = start.proxy(*origins, group_algorithm={"type": "hash", "key": ["header:X-User", "cookie:shop"], "table": table})
    users = {}
    for n in range(16):
        fields = [("X-User", f"user {n}")]
        users[n] = served(poise, origins, "/a", fields)
        assert served(poise, origins, "/b?c", [("Cookie", "other=1")] + fields, source="127.0.0.9") == users[n]
    assert len(set(users.values())) >= 3
    assert len({served(poise, origins, fields=[("Cookie", f"a=b; shop={n}")]) for n in range(16)}) >= 3
    assert len({served(poise, origins) for _ in range(24)}) >= 3, "without any part of the key chance decides"


@pytest.mark.parametrize("table", TABLES)
def test_a_dead_target_hands_on_its_own_keys_only(start, table):
    origins = [start.origin() for _ in range(4)]
    poise = start.proxy(*origins, group_algorithm={"type": "hash", "key": "header:X-User", "table": table})

    def users():
        return [served(poise, origins, fields=[("X-User", f"user {n}")]) for n in range(40)]
    before = users()
    assert set(before) == {0, 1, 2, 3}
    origins[2].close()  # Refused, and tried elsewhere: nobody need have noticed yet.
    after = users()
    assert 2 not in after and users() == after, "every key has its next target"
    assert all(new == old for old, new in zip(before, after) if old != 2)
    assert len({new for old, new in zip(before, after) if old == 2}) > 1 or before.count(2) < 4


@pytest.mark.parametrize("key, same, others", [
    ("uri", ["/a?1", "/a?1"], "/a?{}"), ("path", ["/a", "/a?x"], "/{}"), ("query:id", ["/x?id=7", "/y?b&id=7"], "/?id={}"),
])
def test_a_key_of_the_target(start, key, same, others):
    origins = [start.origin() for _ in range(4)]
    poise = start.proxy(*origins, group_algorithm={"type": "hash", "key": key})
    assert len({served(poise, origins, path) for path in same}) == 1
    assert len({served(poise, origins, others.format(n)) for n in range(24)}) >= 3


def test_a_network_is_one_client(start):
    origins = [start.origin() for _ in range(4)]
    poise = start.proxy(*origins, group_algorithm={"type": "hash", "key": ["source_ip/24"]})
    assert len({served(poise, origins, source=f"127.0.7.{n}") for n in range(1, 9)}) == 1
    assert len({served(poise, origins, source=f"127.0.{n}.1") for n in range(1, 25)}) >= 3


@pytest.mark.parametrize("table", TABLES)
def test_a_popular_key_does_not_fill_its_target(start, table):
    """Eight at a time with the same key, 125 % of the mean: at most 1.25 * 8 / 4 = 2.5, so 3 each."""
    hold, go_on = holding()
    origins = [start.origin(hold) for _ in range(4)]
    poise = start.proxy(*origins, group_algorithm={
        "type": "hash", "key": "header:X-User", "table": table, "bounded_load": 125})
    clients = [Client(poise.port) for _ in range(8)]
    try:
        for number, client in enumerate(clients, 1):
            client.send(request("/", fields=[("X-User", "ann")]))
            wait_total(origins, number)
            assert max(len(o.requests) for o in origins) <= -(-5 * number // 16)
        assert sorted(len(o.requests) for o in origins)[-1] == 3, "the key's own target takes what it may"
    finally:
        go_on.set()
        for client in clients:
            assert client.response().status == 200
            client.close()


@pytest.mark.parametrize("table", TABLES)
def test_the_bound_of_a_tier_is_of_its_own_flows(start, table):
    """A tier with many flows must not let the popular key of another one fill its target; nor after an apply."""
    hold, go_on = holding()
    origins = [start.origin(hold) for _ in range(5)]
    targets = [{"address": o.address, "tier": tier} for o, tier in zip(origins, (0, 0, 0, 1, 1))]
    poise = start.proxy(*targets, process_workers=2, group_algorithm={
        "type": "hash", "key": "header:X-User", "table": table, "bounded_load": 125})
    clients = []

    def ask(user):
        clients.append(Client(poise.port))
        clients[-1].send(request("/", fields=[("X-User", user)]))
        wait_total(origins, len(clients))
    try:
        for user in range(24):
            ask(user)
        assert [len(o.requests) for o in origins[3:]] == [0, 0]
        assert max(len(o.requests) for o in origins) <= -(-5 * 24 // 12)
        for origin in origins[:3]:
            assert verb("weight", "pool", origin.address, 0, poise=poise).returncode == 0
        for number in range(1, 13):
            ask("ann")
            # ⌈1.25 × flows of tier 1 / 2⌉, whatever tier 0 has.
            assert max(len(o.requests) for o in origins[3:]) <= -(-5 * number // 8)
            if number == 6:
                assert verb("reload", poise=poise).returncode == 0
    finally:
        go_on.set()
        for client in clients:
            assert client.response().status == 200
            client.close()


def test_first_fills_targets_in_order(start):
    hold, go_on = holding()
    origins = [start.origin(hold) for _ in range(3)]
    poise = start.proxy(*origins, group_algorithm="first", group_connections=2)
    clients = [Client(poise.port) for _ in range(6)]
    try:
        for number, client in enumerate(clients, 1):
            client.send(request("/"))
            wait_total(origins, number)
            assert [len(o.requests) for o in origins] == [min(2, max(0, number - 2 * place)) for place in range(3)]
        with Client(poise.port) as late:
            late.send(request("/"))  # All are full: it waits, and gets the first slot that is free.
            go_on.set()
            assert late.response().status == 200
    finally:
        go_on.set()
        for client in clients:
            assert client.response().status == 200
            client.close()


def test_least_time_leaves_the_slow_target_alone(start):
    def slow(conn):
        while True:
            conn.request()
            threading.Event().wait(0.3)  # Its own time to work, not a wait for something.
            conn.respond()
    origins = [start.origin(), start.origin(slow), start.origin()]
    poise = start.proxy(*origins, group_algorithm="least_time")
    quick, lame, other = shares(poise, origins, 30)
    assert lame == 1, "asked once, as nothing was known about it"
    assert quick + other == 29


def test_least_time_does_not_take_failing_for_quick(start):
    """503 comes at once, the good answer after 50 ms."""
    def bad(conn):
        while True:
            conn.request()
            conn.respond(503)

    def good(conn):
        while True:
            conn.request()
            threading.Event().wait(0.05)
            conn.respond()
    origins = [start.origin(bad), start.origin(good)]
    poise = start.proxy(*origins, group_algorithm="least_time")
    with Client(poise.port) as client:
        statuses = [client.ask(request("/")).status for _ in range(40)]
    assert statuses.count(200) >= 24, "each failure doubles the time that the target is taken to need"


def test_what_a_tier_cannot_take_spills_over(start):
    origins = [start.origin() for _ in range(5)]
    targets = [{"address": o.address, "tier": tier} for o, tier in zip(origins, (0, 0, 0, 0, 7))]
    poise = start.proxy(*targets)

    def tiers():
        taken = shares(poise, origins, 200)
        return sum(taken[:4]), taken[4]
    assert tiers() == (200, 0)
    for out, expected in [(0, 200), (1, 140), (2, 70), (3, 0)]:  # 105 %, 70 %, 35 %, 0 % with a factor of 1.4
        assert verb("weight", "pool", origins[out].address, 0, poise=poise).returncode == 0
        first, second = tiers()
        assert abs(first - expected) <= 2 and first + second == 200
    assert verb("weight", "pool", origins[2].address, 1, poise=poise).returncode == 0
    assert abs(tiers()[0] - 70) <= 2
