"""Subsets: a Poise uses some of very many targets, others than its neighbours, and always as many."""
import json

from admin import admin, metrics, verb
from client import Client, request
from deadline import eventually
from test_algorithms import shares
from test_zones import QUICK


def subset(start, origins, size, node="lb-1", **settings):
    return start.proxy(*origins, group_subset=size, process_node=node, group_health_check=QUICK, **settings)


def targets(poise):
    return json.loads(admin(poise, "GET", "/status")[2])["target_groups"][0]["targets"]


def in_use(poise, origins):
    """Numbers of the origins that status calls in use."""
    shown = {t["address"]: t for t in targets(poise)}
    return [n for n, o in enumerate(origins) if shown[o.address]["in_use"] and shown[o.address]["effective_weight"] > 0]


def test_as_many_as_were_asked_for_the_same_in_each_worker(start):
    origins = [start.origin() for _ in range(12)]
    poise = subset(start, origins, 4, process_workers=2)
    used = in_use(poise, origins)
    assert len(used) == 4
    for _ in range(8):
        # Another connection each time, so both workers have some.
        new = shares(poise, origins, 8)
        assert [n for n, count in enumerate(new) if count] == used
    assert all(t["state"] == "healthy" for t in targets(poise)), "who is not used is healthy for all that"
    counted = metrics(poise)
    assert sum(v for (name, _), v in counted.items() if name == "poise_target_in_use") == 4


def test_another_node_has_another_subset_and_a_restart_the_same(start):
    origins = [start.origin() for _ in range(12)]
    found = {}
    for node in ("lb-1", "lb-2", "lb-3", "lb-4", "lb-5"):
        first, second = (in_use(subset(start, origins, 3, node), origins) for _ in range(2))
        assert first == second
        found[node] = tuple(first)
    assert len(set(found.values())) > 1 and len(set().union(*found.values())) > 3


def test_the_host_names_the_node_unless_the_file_does(start):
    origins = [start.origin() for _ in range(12)]
    host = open("/proc/sys/kernel/hostname").read().strip()
    assert in_use(subset(start, origins, 3, None), origins) == in_use(subset(start, origins, 3, host), origins)


def test_who_fails_is_replaced_by_one_other_and_comes_back(start):
    origins = [start.origin() for _ in range(12)]
    poise = subset(start, origins, 4)
    before = in_use(poise, origins)
    gone = before[0]
    origins[gone].close()
    eventually("another is used", lambda: gone not in in_use(poise, origins) and len(in_use(poise, origins)) == 4)
    after = in_use(poise, origins)
    assert set(before) - set(after) == {gone} and len(set(after) - set(before)) == 1
    with Client(poise.port) as client:
        for _ in range(20):
            assert client.ask(request("/")).status == 200
    assert len(origins[(set(after) - set(before)).pop()].requests) > 0
    origins[gone] = start.origin(port=origins[gone].port)
    eventually("it is back", lambda: in_use(poise, origins) == before)


def test_each_zone_has_its_part(start):
    origins = [start.origin() for _ in range(12)]
    zoned = [{"address": o.address, "zone": "a" if n < 6 else "b"} for n, o in enumerate(origins)]
    poise = start.proxy(*zoned, group_subset=4, group_zone_preference="own_zone", process_zone="a", process_node="lb-1")
    used = in_use(poise, origins)
    assert sum(n < 6 for n in used) == 2 and len(used) == 4
    new = shares(poise, origins, 20)
    assert sum(new[:6]) == 20 and sum(count > 0 for count in new[:6]) == 2


def test_members_of_a_subset_smaller_than_the_zones_share_what_their_zone_has_no_member_for(start):
    origins = [start.origin() for _ in range(6)]
    zoned = [{"address": o.address, "zone": zone} for o, zone in zip(origins, "aabbcc")]
    far = 0
    for node in range(12):
        poise = start.proxy(*zoned, group_subset=2, group_zone_preference="own_zone", process_zone="a",
                            process_node=f"lb-{node}", process_workers=1)
        used = in_use(poise, origins)
        if min(used) < 2:
            continue  # The own zone has a member.
        far += 1
        new = shares(poise, origins, 20)
        assert [new[n] for n in used] == [10, 10], f"{used}: {new}"
        shown = json.loads(admin(poise, "GET", "/status")[2])["target_groups"][0]["tiers"][0]["zones"]
        told = {zone["zone"]: zone["percent"] for zone in shown}
        assert told == {z: 50 * sum("aabbcc"[n] == z for n in used) for z in "abc"}, f"{used}: {shown}"
    assert far >= 2, "nobody's zone is without a member"


def test_who_is_left_out_makes_no_tier_ill(start):
    origins = [start.origin() for _ in range(10)]
    tiered = [{"address": o.address, "tier": int(n >= 6)} for n, o in enumerate(origins)]
    poise = start.proxy(*tiered, group_subset=2, process_node="lb-1")
    assert sum(n < 6 for n in in_use(poise, origins)) == 2

    def near():
        return sum(shares(poise, origins, 100)[:6])
    assert near() == 100
    # Half of the tier: 70 % of the requests, whoever of them was in use.
    for n in range(3):
        assert verb("weight", "pool", origins[n].address, 0, poise=poise).returncode == 0
    assert abs(near() - 70) <= 2
    assert verb("weight", "pool", origins[0].address, "--reset", poise=poise).returncode == 0
    assert abs(near() - 93) <= 2
