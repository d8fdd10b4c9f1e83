"""Targets at `max_connections`: full is not ill. Requests wait, and leave tiers and backups to failures."""
import contextlib
import json

import pytest

from admin import admin, metrics, value, verb
from client import Client, get, request
from deadline import eventually
from settings import configuration, group, listener
from test_retries import Gate
from test_zones import QUICK
from tls import Authority, client_context


def queued(poise):
    return json.loads(admin(poise, "GET", "/status")[2])["target_groups"][0]["queued"]


@contextlib.contextmanager
def asking(poise, count):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(poise.port)) for _ in range(count)]
        for client in clients:
            client.send(request("/"))
        yield clients


@pytest.mark.parametrize("algorithm", ["round_robin", "least_connections", "first", "source_hash"])
@pytest.mark.parametrize("reserve", [{"backup": True}, {"tier": 1}], ids=["backup", "tier"])
def test_the_reserve_takes_nothing_of_what_full_targets_cannot(start, reserve, algorithm):
    gates, spare = [Gate(start), Gate(start)], Gate(start)
    targets = [gate.origin.address for gate in gates] + [{"address": spare.origin.address} | reserve]
    poise = start.proxy(*targets, group_algorithm=algorithm, group_connections=1, process_workers=2)
    with asking(poise, 7) as clients:
        eventually("two are busy, the rest waits", lambda: sum(g.now for g in gates) == 2 and queued(poise) == 5)
        assert spare.now == 0
        for gate in gates:
            gate.open(7)
        assert [client.response().status for client in clients] == [200] * 7
    assert spare.origin.requests == [] and sum(len(g.origin.requests) for g in gates) == 7


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_whoever_closes_while_waiting_waits_no_more(start, secure):
    """A FIN may only mean that nothing more is to be said, but a queue of those who have left keeps everybody else out."""
    gate, authority = Gate(start), Authority()
    settings = {"certificates": [authority.issue("shop.test").files(start.folder)]} if secure else {}
    poise = start.proxy(gate.origin, group_connections=1, **settings)

    def client():
        return Client(poise.port, tls=client_context(authority) if secure else None, server_name="shop.test")
    with client() as busy, client() as patient, client() as leaving, client() as closed:
        busy.send(request("/busy"))
        eventually("one is busy", lambda: gate.now == 1)
        patient.send(request("/patient"))
        leaving.send(request("/leaving"))
        eventually("two wait", lambda: queued(poise) == 2)
        leaving.half_close()
        eventually("one has left", lambda: queued(poise) == 1)
        closed.send(request("/closed"))
        closed.half_close()
        eventually("both are counted", lambda: value(metrics(poise), "poise_listener_client_aborts_total") == 2)
        if not secure:  # Who only had nothing more to say learns of it.
            assert leaving.response().status == closed.response().status == 503
        assert queued(poise) == 1
        if not secure:
            busy.half_close()  # Who is being served is.
        gate.open(2)
        assert (busy.response().status, patient.response().status) == (200, 200)
    assert [r.target for r in gate.origin.requests] == ["/busy", "/patient"]


@pytest.mark.parametrize("reserve", [{"backup": True}, {"tier": 1}], ids=["backup", "tier"])
def test_who_waits_goes_to_the_reserve_when_the_others_fail_and_comes_back(start, reserve):
    main, spare = Gate(start), Gate(start)
    poise = start.proxy(
        main.origin.address, {"address": spare.origin.address} | reserve, group_connections=1, group_queue_timeout="30s")
    with asking(poise, 3) as clients:
        eventually("one is busy, two wait", lambda: main.now == 1 and queued(poise) == 2)
        # As an operator takes it out for a failure: flows in progress go on.
        assert verb("weight", "pool", main.origin.address, 0, poise=poise).returncode == 0
        eventually("the reserve has one of them", lambda: spare.now == 1 and queued(poise) == 1)
        assert verb("weight", "pool", main.origin.address, "--reset", poise=poise).returncode == 0
        # A slot of the reserve that is free now is not for who waits for the others.
        spare.open(1)
        eventually("the reserve is done", lambda: spare.now == 0)
        assert queued(poise) == 1 and len(spare.origin.requests) == 1
        main.open(2)
        assert [client.response().status for client in clients] == [200] * 3
    assert len(spare.origin.requests) == 1


def test_a_full_zone_hands_on_to_others_of_its_tier(start):
    near, far, spare = Gate(start), Gate(start), Gate(start)
    targets = [{"address": gate.origin.address, "zone": zone, "tier": tier}
               for gate, zone, tier in ((near, "a", 0), (far, "b", 0), (spare, "a", 1))]
    poise = start.proxy(
        *targets, process_zone="a", group_zone_preference={"mode": "own_zone", "overload": 1000}, group_connections=2)
    with asking(poise, 5) as clients:
        eventually("both zones are full", lambda: near.now == 2 and far.now == 2 and queued(poise) == 1)
        assert spare.now == 0
        for gate in (near, far):
            gate.open(5)
        assert [client.response().status for client in clients] == [200] * 5


def test_a_tier_that_takes_its_share_is_open_to_all(start):
    """Half of tier 0 is out: tier 1 takes 30 %, and is no reserve any more."""
    first, out, second, backup = Gate(start), Gate(start), Gate(start), Gate(start)
    targets = [{"address": first.origin.address}, {"address": out.origin.address, "weight": 1},
               {"address": second.origin.address, "tier": 1}, {"address": backup.origin.address, "backup": True}]
    poise = start.proxy(*targets, group_connections=2)
    assert verb("weight", "pool", out.origin.address, 0, poise=poise).returncode == 0
    with asking(poise, 6) as clients:
        eventually("both are full", lambda: first.now == 2 and second.now == 2 and queued(poise) == 2)
        assert backup.now == 0 and out.now == 0
        for gate in (first, second):
            gate.open(6)
        assert [client.response().status for client in clients] == [200] * 6


def test_a_retry_waits_for_the_reserve_that_is_left_to_it(start):
    """All ordinary targets died this moment, the backup is full: who tried them waits for it and loses nothing."""
    dead, spare = start.origin(), Gate(start)
    text = configuration([listener(forward="pool")], [group(
        "pool", [dead.address, {"address": spare.origin.address, "backup": True}], connections=1, tries=3,
        health_check=QUICK | {"interval": "60s", "edge_interval": "60s"})])
    poise = start.poise(text)
    assert get(poise.port).status == 200
    dead.close()
    with asking(poise, 3) as clients:
        eventually("one is at the backup, two wait", lambda: spare.now == 1 and queued(poise) == 2)
        spare.open(3)
        assert [client.response().status for client in clients] == [200] * 3


def test_who_waits_learns_of_a_tier_that_opens_for_targets_out_of_use(start):
    """With a subset, targets that this Poise does not use decide as well whether the next tier takes requests."""
    gates, spare = [Gate(start) for _ in range(3)], Gate(start)
    targets = [gate.origin.address for gate in gates] + [{"address": spare.origin.address, "tier": 1}]
    poise = start.proxy(*targets, group_subset=1, group_connections=1, group_queue_timeout="30s")
    with asking(poise, 2) as clients:
        eventually("one is busy, one waits", lambda: sum(g.now for g in gates) == 1 and queued(poise) == 1)
        for gate in gates:
            if not gate.now:
                assert verb("weight", "pool", gate.origin.address, 0, poise=poise).returncode == 0
        eventually("the next tier takes a part", lambda: spare.now == 1 and queued(poise) == 0)
        for gate in gates + [spare]:
            gate.open(2)
        assert [client.response().status for client in clients] == [200] * 2
