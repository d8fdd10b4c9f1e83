"""Backup groups: another group answers, by its own settings, when a group has nobody left."""
import json
import threading

import pytest

from admin import admin, metrics
from client import Client, request
from deadline import Deadline, eventually
from settings import configuration, group, listener
from test_algorithms import shares
from test_zones import QUICK


def behind(start, *groups, **process):
    """One listener on the first of these groups: (name, origins, settings)."""
    made = [group(name, [o.address for o in origins], **{"health_check": QUICK} | settings)
            for name, origins, settings in groups]
    return start.poise(configuration([listener(forward=groups[0][0])], made, **process))


def shown(poise, name):
    found = json.loads(admin(poise, "GET", "/status")[2])["target_groups"]
    return next(g for g in found if g["name"] == name)


def ask(poise, count=1):
    """Statuses of `count` requests."""
    with Client(poise.port) as client:
        return [client.ask(request("/")).status for _ in range(count)]


@pytest.mark.parametrize("targets", [1, 2])
def test_all_targets_die_and_no_request_fails(start, targets):
    mine, theirs = [start.origin() for _ in range(targets)], start.origin()
    poise = behind(start, ("a", mine, {"backup_group": "b"}), ("b", [theirs], {}))
    assert ask(poise, 10) == [200] * 10 and not theirs.requests
    failed, over = [], threading.Event()

    def load():
        while not over.is_set():
            failed.extend(s for s in ask(poise, 5) if s != 200)
    loader = threading.Thread(target=load)
    loader.start()
    for origin in mine:
        origin.close()
    eventually("b answers", lambda: shown(poise, "a")["answered_by"] == "b" and len(theirs.requests) > 20)
    over.set()
    loader.join(Deadline().left())
    assert not failed, "who was refused in a went on to b"
    counted = metrics(poise)
    group_label = next(labels for (n, labels) in counted if n == "poise_target_group_backup_group_active"
                       and "a" in dict(labels).values())
    assert counted["poise_target_group_backup_group_active", group_label] == 1
    assert counted["poise_target_group_handed_on_total", group_label] == shown(poise, "a")["handed_on"] > 0
    # Every request of a was answered there or handed on, and b has counted those.
    a, b = shown(poise, "a"), shown(poise, "b")
    assert a["requests"] == sum(a["responses"].values()) + a["handed_on"]
    assert b["requests"] == a["handed_on"] == sum(b["responses"].values())
    assert a["in_flight"] == b["in_flight"] == 0
    poise.wait_line(lambda line: "a backup group takes over" in line and "group=a" in line and "by=b" in line, "a word")

    back = [start.origin(port=o.port) for o in mine]
    eventually("a answers again", lambda: shown(poise, "a")["answered_by"] is None)
    before = len(theirs.requests)
    assert ask(poise, 10) == [200] * 10 and len(theirs.requests) == before
    assert sum(len(o.requests) for o in back) == 10


def test_the_other_groups_settings_hold(start):
    mine, theirs = start.origin(), start.h2_origin()
    poise = behind(
        start, ("a", [mine], {"backup_group": "b", "host_header": "a.test"}),
        ("b", [theirs], {"version": "http2", "host_header": "b.test"}))
    assert ask(poise) == [200] and mine.requests[0].get("Host") == "a.test"
    mine.close()
    assert ask(poise, 3) == [200] * 3
    assert [r.host for r in theirs.requests] == ["b.test"] * 3


def test_a_chain_goes_to_the_first_that_has_somebody(start):
    a, b, c = start.origin(), start.origin(), start.origin()
    poise = behind(start, ("a", [a], {"backup_group": "b"}), ("b", [b], {"backup_group": "c"}), ("c", [c], {}))
    a.close()
    assert ask(poise, 4) == [200] * 4 and len(b.requests) == 4 and not c.requests
    b.close()
    eventually("c answers for a", lambda: shown(poise, "a")["answered_by"] == "c")
    assert shown(poise, "b")["answered_by"] == "c"
    assert ask(poise, 4) == [200] * 4 and len(c.requests) == 4
    start.origin(port=b.port)
    eventually("b answers for a", lambda: shown(poise, "a")["answered_by"] == "b")


def test_backup_targets_come_first_and_the_groups_own_answer_last(start):
    a, spare, b = start.origin(), start.origin(), start.origin()
    targets = [a.address, {"address": spare.address, "backup": True}]
    made = [group("a", targets, backup_group="b", sorry={"status": 503, "body": "sorry"}, health_check=QUICK),
            group("b", [b.address], health_check=QUICK)]
    poise = start.poise(configuration([listener(forward="a")], made))
    a.close()
    assert ask(poise, 2) == [200] * 2 and len(spare.requests) == 2
    spare.close()
    assert ask(poise, 2) == [200] * 2 and len(b.requests) == 2
    b.close()
    eventually("nobody is left", lambda: shown(poise, "a")["answered_by"] is None
               and all(t["state"] == "unhealthy" for n in "ab" for t in shown(poise, n)["targets"]))
    with Client(poise.port) as client:
        response = client.ask(request("/"))
        assert (response.status, response.body) == (503, b"sorry")
    assert shown(poise, "a")["sorry"] == 1


def test_a_status_to_retry_on_goes_to_the_backup_group_too(start):
    def unavailable(conn):
        while True:
            conn.request(Deadline(600))
            conn.respond(status=503)
    a, b = start.origin(unavailable), start.origin()
    poise = behind(start, ("a", [a], {"backup_group": "b", "retry_on": [503]}), ("b", [b], {}))
    assert ask(poise) == [200] and len(a.requests) == 1 and len(b.requests) == 1


def test_a_group_of_several_without_a_target_left_is_passed_over(start):
    a, b = start.origin(), start.origin()
    made = [group(name, [o.address], health_check=QUICK) for name, o in (("a", a), ("b", b))]
    poise = start.poise(configuration([listener(forward={"groups": {"a": 90, "b": 10}})], made, workers=1))
    assert shares(poise, [a, b], 20) == [18, 2]
    a.close()
    eventually("a is out", lambda: shown(poise, "a")["targets"][0]["state"] == "unhealthy")
    before = shown(poise, "a")["requests"]
    assert ask(poise, 10) == [200] * 10 and shown(poise, "a")["requests"] == before
    b.close()
    eventually("b is out", lambda: shown(poise, "b")["targets"][0]["state"] == "unhealthy")
    assert set(ask(poise, 10)) == {502}, "fail-open, by their shares"
    assert 8 <= shown(poise, "a")["requests"] - before <= 9
