"""Weights that follow what targets report, and how they answer."""
import pytest

from admin import metrics, value, verb
from agent import Agent
from behaviour import Behaviour, Load, factor, gauge, shares, targets_of, until
from client import Client, request
from deadline import Deadline
from test_agents import at

pytestmark = pytest.mark.timeout(150)


# Weights come back by 5 points a second: half a minute each. The rule itself is run in closed loops by HealthTests.
@pytest.mark.soak
def test_a_slow_target_gets_less_and_has_it_back_when_it_is_quick_again(start):
    ways = [Behaviour(0.005), Behaviour(0.005), Behaviour(0.06)]
    origins = [start.origin(way) for way in ways]
    poise = start.proxy(*origins, group_algorithm="adaptive")
    slow = origins[2]
    with Load(poise):
        until("the slow one has less than a fifth", lambda: factor(poise, slow) < 0.2)
        poise.wait_line(lambda line: "less than half of its weight" in line and f"target={slow.address}" in line,
                        "the log says so")
        said = targets_of(poise)[slow.address]
        assert said["weight_percent"] < 50 and said["weight_cause"] == "latency" and said["weight"] == 1
    assert [factor(poise, o) for o in origins[:2]] == [1, 1]
    row = next(line for line in verb("status", poise=poise).stdout.splitlines() if slow.address in line)
    assert "% latency" in row
    with Client(poise.port) as client:
        got, _ = shares(origins, client, 100)
        assert got[2] <= 20 and min(got[:2]) >= 35, "a third, if it were not for its weight"
    ways[2].delay = 0.005
    with Load(poise):
        until("it has its weight again", lambda: factor(poise, slow) == 1)
        poise.wait_line(lambda line: "has its weight again" in line and f"target={slow.address}" in line, "the log says so")
    with Client(poise.port) as client:
        got, _ = shares(origins, client, 90)
        assert min(got) >= 25


def test_targets_that_fail_quickly_do_not_look_quick(start):
    origins = [start.origin(Behaviour(0.005)), start.origin(Behaviour(0.005)), start.origin(Behaviour(0, errors=5))]
    poise = start.proxy(*origins, group_algorithm="adaptive")
    with Load(poise):
        until("it has less than half", lambda: factor(poise, origins[2]) < 0.5)
        assert targets_of(poise)[origins[2].address]["weight_cause"] == "errors"
    assert [factor(poise, o) for o in origins[:2]] == [1, 1]


def report(utilization):
    return [("Endpoint-Load-Metrics", f"TEXT cpu_utilization={utilization}, mem_utilization=0.5, rps_fractional=100")]


@pytest.mark.parametrize("form", [
    "TEXT application_utilization={}, cpu_utilization=0.9, rps_fractional=100, named_metrics.queue=7",
    'JSON {{"cpu_utilization": {}, "rps_fractional": 100.0, "named_metrics": {{"queue": 7}}}}',
])
def test_load_reports_become_weights_and_stay_between_target_and_poise(start, form):
    ways = [Behaviour(0.005, fields=[("endpoint-load-metrics", form.format(load))]) for load in (0.2, 0.8)]
    origins = [start.origin(way) for way in ways]
    poise = start.proxy(*origins, group_algorithm="adaptive")
    with Load(poise):
        until("what it says is believed", lambda: factor(poise, origins[1]) < 0.3)
        assert targets_of(poise)[origins[1].address]["weight_cause"] == "orca"
        assert factor(poise, origins[0]) == 1
    with Client(poise.port) as client:
        got, answers = shares(origins, client, 100)
        assert 12 <= got[1] <= 28, "a quarter of the other's 80"
        assert all(a.get("endpoint-load-metrics") is None for a in answers)
    assert gauge(poise, "poise_target_bad_load_reports_total", origins[0]) == 0
    if form.startswith("JSON"):
        return
    # Both are as busy now: the reports decide, and not that one has had less.
    ways[1].fields = ways[0].fields
    with Load(poise):
        until("it has as much again", lambda: factor(poise, origins[1]) > 0.9)


MALFORMED = [
    "", "TEXT", "TEXT ,", "TEXT cpu_utilization", "TEXT cpu_utilization=", "TEXT cpu_utilization=-1", "TEXT cpu_utilization=nan",
    "TEXT cpu_utilization=1e400", "TEXT cpu_utilization=0.1,cpu_utilization=0.1", "BIN AAAA", "JSON", "JSON {", "JSON [[[[",
    'JSON {"cpu_utilization":', 'JSON {"cpu_utilization":"', 'JSON {"a":{"b":{"c":', "JSON " + "{" * 4000, "TEXT " + "=" * 4000,
    "TEXT cpu_utilization=0." + "1" * 4000, "\u00ff" * 100,
]


def test_an_agents_word_goes_before_what_answers_say(start):
    """A target's agent gives it a quarter of its weight; how it answers and how busy it is are equal."""
    one = Agent("100%\n")
    try:
        origins = [start.origin(Behaviour(fields=report(0.5))) for _ in range(3)]
        words = {o.address: "100%" for o in origins}
        one.speak = lambda conn: conn.sendall(words[conn.recv(1000).decode().split()[1]].encode() + b"\n")
        poise = start.proxy(*origins, group_algorithm="adaptive", process_workers=1,
                            group_health_check=at(one, agent_send="{group} {target}\n"))
        lame = origins[0]
        words[lame.address] = "25%"
        until("its agent is heard", lambda: factor(poise, lame) == 0.25)
        said = targets_of(poise)
        assert said[lame.address]["weight_cause"] == "agent" and said[lame.address]["effective_weight"] == 0.25
        assert [said[o.address]["weight_percent"] for o in origins[1:]] == [100, 100]
        with Client(poise.port) as client:
            got, _ = shares(origins, client, 360)
        # One at a time: drawn by weight, 0.25 of 2.25, and the better one of two draws.
        assert got[0] < 80 and min(got[1:]) > 120, got
        words[lame.address] = "100%"
        until("it has its weight again", lambda: factor(poise, lame) == 1)
        with Client(poise.port) as client:
            got, _ = shares(origins, client, 360)
        assert min(got) > 80, got
    finally:
        one.end()


def test_reports_that_cannot_be_read_are_counted_and_do_no_harm(start):
    way = Behaviour()
    origins = [start.origin(way), start.origin(way)]
    poise = start.proxy(*origins, group_algorithm="adaptive")
    bad = 0
    with Client(poise.port) as client:
        for text in MALFORMED:
            way.fields = [("endpoint-load-metrics", text), ("X-Other", "stays")]
            answer = client.ask(request("/"))
            assert answer.status == 200 and answer.body == b"x"
            assert answer.get("endpoint-load-metrics") is None and answer.get("x-other") == "stays"
            if text != "TEXT ,":  # an empty list is a list
                bad += 1
        way.fields = [("endpoint-load-metrics-bin", "CQAAAAAAANA/")]
        assert client.ask(request("/")).get("endpoint-load-metrics-bin") is None
    samples = metrics(poise)
    assert value(samples, "poise_target_bad_load_reports_total") == bad + 1
    assert value(samples, "poise_target_load_reports_total") == 0


def test_reports_of_targets_that_speak_http2(start):
    def tells(conn):
        while True:
            asked = conn.request(Deadline(600))
            conn.respond(asked, body=b"x", fields=[("endpoint-load-metrics", "TEXT cpu_utilization=0.5"), ("x-other", "stays")])
    poise = start.proxy(start.h2_origin(tells), group_algorithm="adaptive", group_version="http2")
    with Client(poise.port) as client:
        answers = [client.ask(request("/")) for _ in range(5)]
    assert all(a.get("endpoint-load-metrics") is None and a.get("x-other") == "stays" for a in answers)
    assert value(metrics(poise), "poise_target_load_reports_total") == 5


def test_other_algorithms_leave_the_field_alone(start):
    origin = start.origin(Behaviour(fields=report(0.5)))
    poise = start.proxy(origin, group_algorithm="least_connections")
    with Client(poise.port) as client:
        assert client.ask(request("/")).get("endpoint-load-metrics") == report(0.5)[0][1]
    assert value(metrics(poise), "poise_target_load_reports_total") == 0


@pytest.mark.parametrize("mitigation", [pytest.param("on", marks=pytest.mark.soak), "off"])
def test_a_target_with_errors_of_its_own_is_anomalous(start, mitigation):
    ways = [Behaviour() for _ in range(4)]
    origins = [start.origin(way) for way in ways]
    ways[1].errors = 2
    poise = start.proxy(*origins, group_algorithm="weighted_random", group_anomaly_mitigation=mitigation)
    odd = origins[1]
    with Load(poise):
        until("it is found", lambda: gauge(poise, "poise_target_anomalous", odd) == 1)
        poise.wait_line(lambda line: f"mitigation={mitigation}" in line and f"target={odd.address}" in line, "the log says so")
        if mitigation == "on":
            until("it gets next to nothing", lambda: factor(poise, odd) < 0.15)
        said = targets_of(poise)[odd.address]
        assert said["anomaly"] == "anomalous" and said["mitigation_in_effect"] == (mitigation == "on")
        assert [gauge(poise, "poise_target_anomalous", o) for o in origins] == [0, 1, 0, 0]
        ways[1].errors = 0
        until("it is as the others again",
              lambda: gauge(poise, "poise_target_anomalous", odd) == 0 and factor(poise, odd) == 1)
    assert targets_of(poise)[odd.address]["anomaly"] == "normal"
