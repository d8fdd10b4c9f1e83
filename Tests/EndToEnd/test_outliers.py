"""Targets that are ejected for being unlike the others."""
import pytest

from behaviour import Behaviour, Load, targets_of, until
from client import Client, request

pytestmark = pytest.mark.timeout(150)


def state(poise, origin):
    """(state, reason)"""
    target = targets_of(poise)[origin.address]
    return target["state"], target["reason"]


def five(start, change, **passive):
    ways = [Behaviour() for _ in range(5)]
    change(ways[3])
    origins = [start.origin(way) for way in ways]
    compared = {"window": "2s", "min_outlier_requests": 10} if any("factor" in key for key in passive) else {}
    poise = start.proxy(*origins, group_passive={"ejection_time": "3s", **compared, **passive}, group_health_check="off")
    return ways, origins, poise


@pytest.mark.parametrize("reason, settings, change, back", [
    ("success_rate_outlier", {"success_rate_factor": 1.9}, lambda way: setattr(way, "errors", 3),
     lambda way: setattr(way, "errors", 0)),
    ("latency_outlier", {"latency_factor": 4}, lambda way: setattr(way, "delay", 0.06),
     lambda way: setattr(way, "delay", 0.0)),
])
def test_an_outlier_is_ejected_with_its_reason_and_returns(start, reason, settings, change, back):
    ways, origins, poise = five(start, change, **settings)
    odd = origins[3]
    with Load(poise):
        until("it is ejected", lambda: state(poise, odd) == ("unhealthy", reason))
        poise.wait_line(lambda line: f"target={odd.address}" in line and f"reason={reason}" in line, "the log says why")
        back(ways[3])
        until("it returns", lambda: state(poise, odd)[0] == "healthy")
        before = len(odd.requests)
        until("it is asked again", lambda: len(odd.requests) > before + 20)
    assert [state(poise, o)[0] for o in origins] == ["healthy"] * 5
    ejected = [line for line in poise.output() if "to=unhealthy" in line]
    assert len(ejected) == 1, "nobody else, and once"


def test_without_a_factor_nobody_is_compared(start):
    def bad(way):
        way.errors, way.delay = 3, 0.02
    _, origins, poise = five(start, bad, max_ejected_percent=100)
    with Load(poise):
        until("two windows' worth of requests", lambda: len(origins[3].requests) > 100)
    assert state(poise, origins[3])[0] == "healthy"
    with Client(poise.port) as client:
        before = len(origins[3].requests)
        for _ in range(10):
            client.ask(request("/"))
        assert len(origins[3].requests) == before + 2
