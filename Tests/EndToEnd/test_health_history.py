"""`poise status TARGET`: state, checks, and the last 100 changes with what was seen; and how long detection takes."""
import json
import re
import signal
import time

import pytest

from admin import AdminConnection, admin, metrics, value, verb
from client import get
from deadline import eventually
from hooks import Switch, told
from settings import configuration, group, listener
from test_health_and_apply import Target, reload
from test_notify import settle

CHECK = {"path": "/", "interval": "300ms", "edge_interval": "20ms", "timeout": "290ms", "healthy": 1, "unhealthy": 1}


@pytest.fixture
def switch():
    one = Switch()
    yield one
    one.close()


def shown(poise, *names):
    answer = verb("status", *names, "--output", "json", poise=poise)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)["targets"]


def steps(detail):
    return [(c["from"], c["to"], c["reason"], c["evidence"] and re.sub(r" after \d+ ms$", "", c["evidence"]))
            for c in detail["history"]]


def test_a_target_that_died_during_its_drain_gets_no_request(start, switch):
    """What was known of it is from before the drain."""
    good = start.origin()
    poise = start.proxy(switch.address, good, group_health_check=CHECK | {"interval": "10s", "unhealthy": 5})
    told(poise, "to=healthy", 2)
    assert verb("drain", "pool", switch.address, "--wait", poise=poise).returncode == 0
    switch.status = 503
    assert verb("undrain", "pool", switch.address, poise=poise).returncode == 0
    assert [get(poise.port).status for _ in range(20)] == [200] * 20
    switch.status = 200
    eventually("it takes traffic", lambda: shown(poise, switch.address)[0]["usable"])


def test_a_change_is_told_with_what_was_seen_and_not_only_who_asked_for_it(start, switch):
    """An operator puts back a target that died meanwhile, an apply asks for all checks, a group follows another one."""
    tcp = {k: v for k, v in CHECK.items() if k != "path"} | {"protocol": "TCP"}

    def text(need="any", **of_last):
        return configuration([listener(forward={"groups": {"watched": 1, "put-back": 1, "both": 1, "last": 1}})], [
            group("watched", [switch.address], health_check=CHECK),
            group("put-back", [switch.address], health_check=CHECK),
            group("both", [switch.address], health_check=None) | {"health_checks": {"need": need, "checks": [CHECK, tcp]}},
            group("last", [switch.address], health_check=None) | of_last])

    def last(name):
        return steps(shown(poise, name, switch.address)[0])[-1]
    poise = start.poise(text())
    told(poise, "to=healthy", 4)
    assert verb("drain", "put-back", switch.address, "--wait", poise=poise).returncode == 0
    settle(poise, switch, 503)
    assert verb("undrain", "put-back", switch.address, poise=poise).returncode == 0
    assert last("put-back") == ("unused", "unhealthy", "response_mismatch", "status 503")
    reload(poise, text("all", track_health="watched"))
    assert last("both") == ("healthy", "unhealthy", "response_mismatch", "GET /: status 503")
    assert last("last") == ("healthy", "unhealthy", "response_mismatch", "status 503")
    assert f"follows   {switch.address} of watched" in verb("status", f"last/{switch.address}", poise=poise).stdout
    assert shown(poise, f"last/{switch.address}")[0]["follows"] == {"target_group": "watched", "target": switch.address}
    assert shown(poise, f"both/{switch.address}")[0]["follows"] is None
    switch.status = 200
    eventually("its follower is up", lambda: last("last") == ("unhealthy", "healthy", "none", "status 200"))


def test_each_change_is_kept_with_its_reason_and_what_was_seen(start, switch):
    poise = start.proxy(switch.address, group_health_check=CHECK)
    told(poise, "to=healthy")
    settle(poise, switch, 503)
    settle(poise, switch, None)
    settle(poise, switch, 200)
    assert verb("drain", "pool", switch.address, "--wait", poise=poise).returncode == 0
    assert verb("undrain", "pool", switch.address, poise=poise).returncode == 0
    eventually("healthy again", lambda: shown(poise, switch.address)[0]["state"] == "healthy")
    detail, = shown(poise, switch.address)
    assert (detail["target_group"], detail["target"], detail["state"]) == ("pool", switch.address, "healthy")
    found = steps(detail)
    assert found[:5] == [
        ("initial", "initial", "initial_checks", None),
        ("initial", "healthy", "none", "status 200"),
        ("healthy", "unhealthy", "response_mismatch", "status 503"),
        ("unhealthy", "unhealthy", found[3][2], "closed before the answer was complete"),
        ("unhealthy", "healthy", "none", "status 200"),
    ]
    api = "asked for over the admin API"
    assert [s for s in found[5:] if s[3] == api][0] == ("healthy", "draining", "drained_by_operator", api)
    # Nobody probed it meanwhile: it is asked before it is healthy.
    assert found[-2:] == [("unused", "initial", "initial_checks", api), ("initial", "healthy", "none", "status 200")]
    assert detail["health_transitions"] == len(found) - 1
    times = [c["time"] for c in detail["history"]]
    assert times == sorted(times) and all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", t) for t in times)
    ages = [c["age_seconds"] for c in detail["history"]]
    assert ages == sorted(ages, reverse=True)
    check, = detail["checks"]
    assert check["check"] == "GET /" and check["last_result"].startswith("status 200 after ")
    assert check["detection_seconds"] == pytest.approx(0.59)
    # The same as a table, for people.
    table = verb("status", f"pool/{switch.address}", poise=poise).stdout
    assert f"{switch.address} of pool\n" in table and "healthy, for" in table
    assert re.search(r"\d\.\d{3}Z +\d+m?s +healthy +unhealthy +response_mismatch +status 503 after \d+ ms\n", table)
    assert "a dead target is out within 590ms" in table
    # The latest first.
    assert table.index(api) < table.index("status 503")


def test_the_last_hundred_of_many_flaps_are_kept(start, switch):
    poise = start.proxy(switch.address, group_health_check=CHECK)
    told(poise, "to=healthy")
    for round in range(52):
        settle(poise, switch, 500 if round % 2 else 501)
        settle(poise, switch, 200)
    detail, = shown(poise, "pool", switch.address)
    assert detail["health_transitions"] == 105
    assert len(detail["history"]) == 100
    assert steps(detail)[-1] == ("unhealthy", "healthy", "none", "status 200")
    assert {s[3] for s in steps(detail)} == {"status 200", "status 500", "status 501"}
    table = verb("status", switch.address, poise=poise).stdout
    assert "the last 100 of 105 changes" in table and table.count("\n") == 107


def test_a_target_is_shown_in_all_of_its_groups_and_what_there_is_not_is_refused(start, switch):
    other = Switch()
    try:
        groups = [group("a", [switch.address], health_check=CHECK), group("b", [switch.address, other.address])]
        poise = start.poise(configuration([listener(default={"forward": {"groups": {"a": 1, "b": 1}}})], groups))
        assert [(d["target_group"], len(d["checks"])) for d in shown(poise, switch.address)] == [("a", 1), ("b", 0)]
        assert [d["target_group"] for d in shown(poise, f"b/{switch.address}")] == ["b"]
        wrong = verb("status", "10.0.0.1:1", poise=poise)
        assert wrong.returncode == 1 and "no target is called '10.0.0.1:1'" in wrong.stderr
        wrong = verb("status", "c", switch.address, poise=poise)
        assert wrong.returncode == 1 and "there is no target group 'c'" in wrong.stderr
        assert verb("status", f"a/{other.address}", poise=poise).returncode == 1
        wrong = verb("status", f"c/{switch.address}", poise=poise)
        assert wrong.returncode == 1 and "there is no target group 'c'" in wrong.stderr
        assert admin(poise, "POST", f"/targets/{switch.address}")[0] == 405
        assert admin(poise, "GET", f"/targets/{switch.address}?format=xml")[0] == 400
    finally:
        other.close()


def test_groups_in_place_and_unix_targets_have_slashes_of_their_own(start, switch):
    unix = start.folder / "a.sock"
    rules = [{"name": "thumbs", "when": {"path": "/thumbs/*"}, "forward": [switch.address, f"unix:{unix}"]}]
    poise = start.poise(configuration([listener(rules=rules, forward=[switch.address])]))
    for target in (switch.address, f"unix:{unix}"):
        for names in [[f"web/thumbs/{target}"], ["web/thumbs", target]]:
            done = verb("status", *names, poise=poise)
            assert done.returncode == 0 and done.stdout.startswith(f"{target} of web/thumbs\n"), (names, done)
    assert len(shown(poise, switch.address)) == 2
    assert verb("status", f"unix:{unix}", poise=poise).stdout.startswith(f"unix:{unix} of web/thumbs\n")


def test_it_is_shown_again_and_again_while_somebody_watches(start, switch):
    poise = start.proxy(switch.address, group_health_check=CHECK)
    told(poise, "to=healthy")
    connection = AdminConnection(poise.admin)
    try:
        connection.request("GET", f"/targets/pool/{switch.address}?watch=100")
        response = connection.getresponse()

        def state():
            return json.loads(response.readline())["targets"][0]["state"]
        assert state() == "healthy"
        switch.status = 500
        eventually("the change is seen", lambda: state() == "unhealthy")
    finally:
        connection.close()


def test_ejections_by_traffic_say_how_many_failures_there_were(start):
    def drop(conn):
        conn.head()
        conn.close()
    from client import get
    dead, fine = start.origin(drop), start.origin()
    poise = start.proxy(dead, fine, group_passive={"consecutive_failures": 3}, group_tries=1)

    def ejected():
        get(poise.port)
        details = shown(poise, f"127.0.0.1:{dead.port}")
        return details[0] if details[0]["reason"] == "consecutive_failures" else None
    detail = eventually("it is ejected", ejected)
    assert re.fullmatch(r"\d failures in a row", steps(detail)[-1][3])
    assert 0 < detail["ejected_for_seconds"] <= 30


@pytest.mark.alone
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_dead_target_is_out_within_the_time_that_check_and_metrics_tell(start, end):
    """SIGKILL refuses connections; SIGSTOP accepts them and never answers, which is the worst case."""
    target, other = Target("one"), Target("two")
    try:
        settings = {"path": "/health", "interval": "400ms", "edge_interval": "100ms", "timeout": "200ms", "healthy": 1,
                    "unhealthy": 3}
        file = configuration([listener(forward="web")], [group("web", [target.address, other.address], health_check=settings)])
        poise = start.poise(file)
        checked = verb("check", poise.file)
        assert "a dead target is out within 1s" in checked.stdout
        most = value(metrics(poise), "poise_health_check_detection_seconds", target_group="web")
        assert most == 1.0
        told(poise, "to=healthy", 2)
        begin = time.monotonic()
        target.process.send_signal(end)
        poise.wait_line(lambda text: f"target={target.address}" in text and "to=unhealthy" in text, "unhealthy")
        # The clock is looked at here and not in Poise: what the machine takes to wake this test up is added.
        assert time.monotonic() - begin <= most + 0.25
    finally:
        for one in (target, other):
            one.process.send_signal(signal.SIGCONT)
            one.end()
