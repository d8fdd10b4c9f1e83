"""Zones: requests stay near while what is near can take them, and come back."""
import json

import pytest

from admin import admin, metrics, value, verb
from client import Client, request
from deadline import eventually
from settings import configuration, group, listener
from test_algorithms import shares

QUICK = {"interval": "300ms", "timeout": "300ms", "edge_interval": "20ms", "healthy": 1, "unhealthy": 1}


def zoned(start, zones, own="a", preference="own_zone", **settings):
    origins = [start.origin() for _ in zones]
    targets = [{"address": o.address, "zone": zone} for o, zone in zip(origins, zones)]
    settings.setdefault("process_workers", 1)
    return origins, start.proxy(
        *targets, process_zone=own, group_zone_preference=preference, group_health_check=QUICK, **settings)


def weight_in_force(poise, origin):
    targets = json.loads(admin(poise, "GET", "/status")[2])["target_groups"][0]["targets"]
    return next(t["effective_weight"] for t in targets if t["address"] == origin.address)


def test_requests_stay_in_the_zone_while_it_is_whole(start):
    origins, poise = zoned(start, "aabbcc")
    assert shares(poise, origins, 20) == [10, 10, 0, 0, 0, 0]


def test_another_poise_prefers_another_zone(start):
    origins = [start.origin() for _ in "ab"]
    targets = [{"address": o.address, "zone": zone} for o, zone in zip(origins, "ab")]
    text = configuration(
        [listener(forward="pool")], [group("pool", targets, zone_preference="own_zone")], zone="${ZONE}")
    for zone, expected in (("a", [10, 0]), ("b", [0, 10])):
        poise = start.poise(text, environment={"ZONE": zone})
        assert shares(poise, origins, 10) == expected


@pytest.mark.parametrize("overload, near", [(100, 20), (120, 24), (400, 80), (10_000, 100)])
def test_one_of_ten_targets_is_near_and_half_of_the_requests(start, overload, near):
    origins, poise = zoned(start, "abbbbbbbbb", preference={"mode": "own_zone", "overload": overload})
    assert shares(poise, origins, 100)[0] == near


def test_more_of_the_requests_than_of_the_targets(start):
    preference = {"mode": "own_zone", "overload": 100, "traffic_percent": 80}
    origins, poise = zoned(start, "ab", preference=preference)
    near, far = shares(poise, origins, 80)
    assert (near, far) == (50, 30), "0.5 / 0.8 of them stay"


def test_what_the_zone_cannot_take_leaves_it_and_returns(start):
    origins, poise = zoned(start, "aabbcc", preference={"mode": "own_zone", "overload": 100})
    gone = origins[0]
    gone.close()
    eventually("the target is out", lambda: weight_in_force(poise, gone) == 0)
    # One of five is near, for a third of the requests: 60 % stay, and the rest is for both other zones alike.
    near = shares(poise, origins, 100)
    assert near[1] == 60 and near[2] + near[3] == 20 and near[4] + near[5] == 20
    back = start.origin(port=gone.port)
    origins[0] = back
    eventually("it is back", lambda: weight_in_force(poise, back) == 1)
    assert shares(poise, origins, 20) == [10, 10, 0, 0, 0, 0]


def test_a_zone_without_a_target_left_loses_no_request(start):
    origins, poise = zoned(start, "abc", group_tries=3)
    origins[0].close()
    with Client(poise.port) as client:
        for _ in range(50):
            assert client.ask(request("/")).status == 200
    assert len(origins[1].requests) + len(origins[2].requests) == 50


@pytest.mark.parametrize("table", ["maglev", "ring", "rendezvous"])
def test_a_key_has_one_target_in_the_zone(start, table):
    origins, poise = zoned(start, "aaabbb", group_algorithm={"type": "hash", "key": "header:X-User", "table": table})
    with Client(poise.port) as client:
        for user in range(12):
            before = [len(o.requests) for o in origins]
            for _ in range(4):
                assert client.ask(request("/", fields=[("X-User", user)])).status == 200
            new = [len(o.requests) - b for o, b in zip(origins, before)]
            assert sorted(new) == [0, 0, 0, 0, 0, 4] and new[3:] == [0, 0, 0]


def test_status_shows_what_tiers_and_zones_take(start):
    origins = [start.origin() for _ in range(6)]
    targets = [{"address": o.address, "zone": zone, "tier": tier}
               for o, (zone, tier) in zip(origins, [("a", 0), ("b", 0), ("b", 0), ("b", 0), ("a", 1)])]
    targets.append({"address": origins[5].address, "zone": "b", "backup": True})
    poise = start.proxy(*targets, process_zone="a", process_workers=2,
                        group_zone_preference={"mode": "own_zone", "overload": 100})

    def tiers():
        shown = json.loads(admin(poise, "GET", "/status")[2])["target_groups"][0]["tiers"]
        return [(t["tier"], t["backup"], t["percent"], [(z["zone"], z["own"], z["percent"]) for z in t["zones"]])
                for t in shown]
    none, near = [("a", True, 0), ("b", False, 0)], [("a", True, 100), ("b", False, 0)]
    assert tiers() == [(0, False, 100, [("a", True, 50), ("b", False, 50)]), (1, False, 0, none), (None, True, 0, none)]
    for origin in origins[1:3]:
        assert verb("weight", "pool", origin.address, 0, poise=poise).returncode == 0
    assert tiers() == [(0, False, 70, near), (1, False, 30, near), (None, True, 0, none)]
    table = verb("status", poise=poise).stdout
    assert [line.split() for line in table.splitlines()[-4:]] == [
        ["GROUP", "TIER", "TAKES", "OF", "THAT,", "BY", "ZONE"],
        ["pool", "0", "70%", "a", "(own)", "100%,", "b", "0%"], ["pool", "1", "30%", "a", "(own)", "100%,", "b", "0%"],
        ["pool", "backup", "0%", "a", "(own)", "0%,", "b", "0%"]]
    told = metrics(poise)
    assert value(told, "poise_target_group_tier_share", tier="1") == pytest.approx(0.3, abs=1e-4)
    assert value(told, "poise_target_group_zone_share", tier="0", zone="a") == 1
    # What is told is what happens.
    assert shares(poise, origins, 100) == [70, 0, 0, 0, 30, 0]
    for origin in (origins[0], origins[3], origins[4]):
        assert verb("weight", "pool", origin.address, 0, poise=poise).returncode == 0
    assert [t[2] for t in tiers()] == [0, 0, 100]


def test_groups_that_nothing_divides_show_no_tiers(start):
    poise = start.proxy(start.origin(), start.origin())
    assert json.loads(admin(poise, "GET", "/status")[2])["target_groups"][0]["tiers"] == []
    assert "BY ZONE" not in verb("status", poise=poise).stdout


def test_status_shows_zone_tier_and_weight(start):
    origins, poise = zoned(start, "ab", group_algorithm={"type": "hash", "key": "header:X-Tenant", "table": "ring",
                                                         "bounded_load": 125})
    shown = json.loads(admin(poise, "GET", "/status")[2])["target_groups"][0]
    assert shown["algorithm_in_force"] == "hash(header:x-tenant) ring bounded 125"
    assert [(t["zone"], t["tier"], t["in_use"], t["effective_weight"]) for t in shown["targets"]] == [
        ("a", 0, True, 1), ("b", 0, True, 1)]
    table = verb("status", poise=poise).stdout
    assert "hash(header:x-tenant) ring bounded 125" in table and "ZONE" in table
