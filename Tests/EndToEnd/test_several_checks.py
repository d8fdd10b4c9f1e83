"""Several checks of one target, checks elsewhere than at the target, groups that track another one, and idle intervals."""
import json
import re
import signal
import time

import pytest

from admin import metrics, value, verb
from client import get
from deadline import PATIENCE, eventually
from settings import configuration, group, listener
from test_health_and_apply import CHECK

TCP = {k: v for k, v in CHECK.items() if k != "path"} | {"protocol": "TCP"}


def states(poise, name="pool"):
    """address -> (state, reason, last probe) of one group."""
    tree = json.loads(verb("status", "--output", "json", poise=poise).stdout)
    (found,) = [g for g in tree["target_groups"] if g["name"] == name]
    return {t["address"]: (t["state"], t["reason"], t["last_probe"]) for t in found["targets"]}


def becomes(poise, address, state, reason="none", name="pool"):
    eventually(f"{address} in {name} is {state} for {reason}", lambda: states(poise, name)[address][:2] == (state, reason))
    return states(poise, name)[address][2]


class Switch:
    """Answers probes with 200 or 503, and traffic always with 200."""

    def __init__(self):
        self.good = True

    def __call__(self, conn):
        while True:
            asked = conn.request()
            conn.respond(200 if self.good or asked.target == "/" else 503, body=b"")


def test_all_checks_must_pass_and_the_failing_one_is_named(start):
    ready, other = Switch(), start.origin()
    origin, side = start.origin(ready), start.origin()
    checks = {"checks": [CHECK | {"path": "/ready"}, TCP | {"port": side.port}]}
    poise = start.poise(configuration(
        [listener(forward="pool")],
        [group("pool", [origin.address, other.address], health_check=None) | {"health_checks": checks}]))
    becomes(poise, origin.address, "healthy")
    ready.good = False
    seen = becomes(poise, origin.address, "unhealthy", "response_mismatch")
    assert seen.startswith("GET /ready: status 503")
    ready.good = True
    becomes(poise, origin.address, "healthy")
    side.close()
    seen = becomes(poise, origin.address, "unhealthy", "connection_refused")
    assert seen.startswith(f"TCP at port {side.port}: Connection refused")
    head = verb("status", poise=poise).stdout
    assert f"all of: GET /ready, TCP at port {side.port}" in head


@pytest.mark.parametrize("need, dead, state", [("any", 1, "healthy"), ("any", 3, "unhealthy"), ("2", 1, "healthy"),
                                               ("3", 1, "healthy"), ("4", 1, "unhealthy"), ("3", 2, "unhealthy")])
def test_any_and_weights(start, need, dead, state):
    """Checks of weight 1, 1 and 2 where weights count; the first `dead` of them fail."""
    origin, sides = start.origin(), [start.origin() for _ in range(3)]
    checks = [TCP | {"port": side.port} for side in sides]
    if need != "any":
        checks[2]["weight"] = 2
    poise = start.poise(configuration(
        [listener(forward="pool")],
        [group("pool", [origin.address], health_check=None) | {"health_checks": {"need": need, "checks": checks}}]))
    becomes(poise, origin.address, "healthy")
    for side in sides[:dead]:
        side.close()
    if state == "unhealthy":
        becomes(poise, origin.address, "unhealthy", "connection_refused")
    else:
        # Two intervals and more: it would have been out.
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            assert states(poise)[origin.address][0] == "healthy"
            time.sleep(0.05)


def test_a_check_at_another_address(start):
    origin, side = start.origin(), start.origin(host="127.0.0.9")
    check = CHECK | {"address": "127.0.0.9", "port": side.port}
    poise = start.proxy(origin, group_health_check=check)
    becomes(poise, origin.address, "healthy")
    assert [r.target for r in side.requests] and not origin.requests
    assert side.requests[0].get("host") == origin.address
    side.close()
    becomes(poise, origin.address, "unhealthy", "connection_refused")


def test_a_group_goes_by_the_health_of_another_one(start):
    switch = Switch()
    web, spare = start.origin(switch), start.origin(host="127.0.0.8")
    events = start.origin(host="127.0.0.1")
    events_spare = start.origin(host="127.0.0.8")
    poise = start.poise(configuration(
        [listener(forward="events")],
        [group("web", [web.address, spare.address], health_check=CHECK),
         group("events", [events.address, events_spare.address], health_check=None) | {"track_health": "web"}]))
    becomes(poise, events.address, "healthy", name="events")
    switch.good = False
    becomes(poise, events.address, "unhealthy", "response_mismatch", name="events")
    before = len(events.requests)
    for _ in range(6):
        assert get(poise.port).status == 200
    assert len(events.requests) == before and len(events_spare.requests) >= 6, "traffic follows"
    switch.good = True
    becomes(poise, events.address, "healthy", name="events")
    assert verb("drain", "web", web.address, poise=poise).returncode == 0
    becomes(poise, events.address, "draining", "drained_by_operator", name="events")
    assert verb("undrain", "web", web.address, poise=poise).returncode == 0
    becomes(poise, events.address, "healthy", name="events")
    # Nobody probes the tracking group's own port.
    assert not [r for r in events.requests if r.target == "/health"]
    checked = verb("check", poise.file).stdout
    promise, = re.findall(r"web: 2 targets, .*(a dead target is out within .*)", checked)
    assert f"events: 2 targets, round_robin, as healthy as 'web' says: {promise}\n" in checked
    seconds = [value(metrics(poise), "poise_health_check_detection_seconds", target_group=g) for g in ("web", "events")]
    assert seconds[0] == seconds[1] > 0


def test_without_requests_probes_are_rare_and_the_first_request_brings_them_back(start):
    origin = start.origin()
    check = CHECK | {"interval": "200ms", "timeout": "200ms", "idle_interval": "1h"}
    poise = start.proxy(origin, group_health_check=check)
    assert "a dead target is out within 600ms, 3600400ms without requests" in verb("check", poise.file).stdout

    def probes():
        return len([r for r in origin.requests if r.target == "/health"])
    becomes(poise, origin.address, "healthy")

    def settled():
        before, end = probes(), time.monotonic() + 1
        while time.monotonic() < end:
            time.sleep(0.02)
        return probes() == before
    eventually("probes stop", settled, PATIENCE * 2)
    origin_probes = probes()
    assert get(poise.port).status == 200
    eventually("probes go on", lambda: probes() > origin_probes + 1)
