"""Health under load, changes of a running configuration, and the end of the process."""
import json
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from admin import admin, metrics, value, verb
from client import Client, Ended, get, request
from deadline import PATIENCE, SLOW, Deadline, eventually
from poise import BINARY
from settings import configuration, group, listener

CHECK = {"path": "/health", "interval": "1s", "edge_interval": "100ms", "timeout": "500ms", "healthy": 1, "unhealthy": 2}


class Target:
    """`poise target` on one port, killed and started again at will."""

    def __init__(self, name):
        self.name, self.port, self.process = name, 0, None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [BINARY, "target", "--listen", f"127.0.0.1:{self.port}", "--name", self.name], stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.startswith("ready listener="):
                self.port = int(line.rpartition(":")[2])
            if line.strip() == "ready":
                return

    def end(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait()
        self.process.stdout.close()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"


@pytest.fixture
def targets():
    pair = [Target("one"), Target("two")]
    yield pair
    for target in pair:
        if target.process.poll() is None:
            target.process.send_signal(signal.SIGCONT)
            target.end()


def changed(poise, target, state):
    """Waits for the line that says that `target` became `state`."""
    poise.wait_line(lambda line: f"target={target.address}" in line and f" to={state}" in line, f"{target.name} {state}")


def reload(poise, text):
    """HUP with another file; waits until it is applied and returns the line that says so."""
    before = len([line for line in poise.output("err") if "configuration applied by=reload" in line])
    poise.file.write_text(text)
    poise.signal(signal.SIGHUP)

    def applied():
        lines = [line for line in poise.output("err") if "configuration applied by=reload" in line]
        return lines[before] if len(lines) > before else None
    return eventually("the change applied", applied)


def test_killing_one_of_two_ten_times_loses_no_idempotent_request(start, targets):
    # On a slow machine what is in flight at each death is more than a fifth of all requests: the budget is not asked here.
    poise = start.proxy(targets[0].address, targets[1].address, group_health_check=CHECK, group_budget_percent=100,
                        process_workers=2)
    over, failures, answered = threading.Event(), [], [0]

    def load():
        # One connection all the time: a client must not even lose that.
        with Client(poise.port) as client:
            try:
                while not over.is_set():
                    response = client.ask(request("/"))
                    answered[0] += 1
                    if response.status != 200:
                        failures.append((response.status, response.body))
            except (Ended, OSError) as error:
                failures.append(repr(error))

    workers = [threading.Thread(target=load) for _ in range(8)]
    for worker in workers:
        worker.start()
    try:
        for round in range(10):
            target = targets[round % 2]
            seen = answered[0]
            target.end(signal.SIGKILL)
            eventually("answers while it is dead", lambda: answered[0] > seen + 20)
            target.start()
            eventually("both in service", lambda: both(poise), PATIENCE * 2)
    finally:
        over.set()
        for worker in workers:
            worker.join()
    assert failures == []
    assert answered[0] > 200


def both(poise):
    """Whether both targets answer within a few requests."""
    return len({get(poise.port).text.split('"name":"')[1].split('"')[0] for _ in range(8)}) == 2


SPAN = re.compile(r"a dead target is out within (\d+(?:\.\d+)?)(ms|s|m|h)$", re.M)


def detection_time(poise):
    """Seconds, as `poise check` prints them for the file that this process runs."""
    checked = verb("check", poise.file)
    assert checked.returncode == 0, checked.stderr
    ((number, unit),) = SPAN.findall(checked.stdout)
    return float(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit]


@pytest.mark.alone
@pytest.mark.parametrize("check", [CHECK, CHECK | {"interval": "400ms", "timeout": "300ms", "unhealthy": 3}], ids=["2", "3"])
def test_a_stopped_target_is_avoided_within_the_time_that_check_prints(start, targets, check):
    poise = start.proxy(targets[0].address, targets[1].address, group_health_check=check)
    promised = detection_time(poise)
    changed(poise, targets[0], "healthy")
    changed(poise, targets[1], "healthy")
    targets[0].process.send_signal(signal.SIGSTOP)
    # Less than one more probe would take is granted to a busy machine.
    poise.wait_line(
        lambda line: f"target={targets[0].address}" in line and "to=unhealthy reason=timeout" in line,
        f"unhealthy by timeout within {promised} s", promised + 0.25 * SLOW)
    for _ in range(6):
        assert '"name":"two"' in get(poise.port).text
    targets[0].process.send_signal(signal.SIGCONT)
    eventually("it is back", lambda: both(poise))
    seen = metrics(poise)
    for target, count in ((targets[0], 3), (targets[1], 1)):
        assert value(seen, "poise_target_health_transitions_total", target=target.address) == count
    assert value(seen, "poise_target_group_health_transitions_total") == 4


def test_a_target_that_leaves_and_comes_back_is_counted_from_0(start):
    first, second = start.origin(), start.origin()

    def file(*origins):
        return configuration([listener(forward="pool")], [group("pool", [o.address for o in origins])])
    poise = start.poise(file(first, second))
    for _ in range(4):
        assert get(poise.port).status == 200

    def counted(name, **labels):
        return value(metrics(poise), name, **labels)
    assert counted("poise_target_requests_total", target=second.address) == 2
    reload(poise, file(first))
    assert all(("target", second.address) not in pairs for _, pairs in metrics(poise))
    reload(poise, file(first, second))
    assert counted("poise_target_requests_total", target=second.address) == 0
    assert counted("poise_target_requests_total", target=first.address) == 2
    assert counted("poise_target_group_requests_total") == 4, "its group's counters go on"


def test_a_change_leaves_what_it_does_not_concern_alone(start):
    origin = start.origin()
    groups = [group("pool", [origin.address])]
    poise = start.poise(configuration([listener(forward="pool")], groups))
    with Client(poise.port) as client:
        first = client.ask(request("/"))
        for round in range(10):
            rule = {"when": {"path": [f"/{round}"]}, "fixed_response": {"status": 204}}
            line = reload(poise, configuration([listener(forward="pool", rules=[rule])], groups))
            assert "listeners" not in line and "0 connections touched" in line
            assert client.ask(request(f"/{round}")).status == 204
            assert client.ask(request("/")).status == first.status == 200
    assert len(origin.connections) == 1, "the pooled connection was kept all the time"


def test_a_bad_file_changes_nothing_and_says_why(start):
    origin = start.origin()
    good = configuration([listener(forward="pool")], [group("pool", [origin.address])])
    poise = start.poise(good)
    poise.file.write_text(good.replace("forward", "forwrad"))
    poise.signal(signal.SIGHUP)
    poise.wait_line(lambda line: "not applied" in line, "the refusal")
    assert any("poise.yaml:" in line and "forwrad" in line for line in poise.output("err"))
    assert get(poise.port).status == 200
    reload(poise, good)


def test_what_needs_a_restart_is_said_key_by_key(start):
    origin = start.origin()
    good = configuration([listener(forward="pool")], [group("pool", [origin.address])])
    poise = start.poise(good)
    wrong = good.replace("workers: 1", "workers: 2") + "logs: { access: { ring_records: 64 } }\n"
    poise.file.write_text(wrong.replace("forward: pool", "default: { fixed_response: { status: 204 } }"))
    lines = {key: 1 + [key.rpartition(".")[2] in line for line in wrong.splitlines()].index(True)
             for key in ("process.workers", "logs.access.ring_records")}
    refused = verb("reload", poise=poise)
    assert refused.returncode == 1
    for key, line in lines.items():
        assert re.search(rf"poise\.yaml:{line}:\d+: error: restart needed: {key} cannot change while Poise runs", refused.stderr), key
    assert refused.stderr.count("error:") == 2
    assert get(poise.port).status == 200, "nothing else of the file was applied"


def test_a_reload_that_the_system_refuses_is_no_error_of_the_file(start):
    origin = start.origin()
    good = configuration([listener(forward="pool")], [group("pool", [origin.address])])
    poise = start.poise(good)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        poise.file.write_text(good.replace("127.0.0.1:0", f"127.0.0.1:{taken.getsockname()[1]}"))
        refused = verb("reload", poise=poise)
        assert refused.returncode == 1 and "in use" in refused.stderr
        applied = verb("apply", poise.file, poise=poise)
        assert applied.returncode == 1 and "in use" in applied.stderr
    assert get(poise.port).status == 200, "nothing has changed"


def test_a_new_address_serves_and_the_old_one_ends_with_its_next_answer(start):
    origin = start.origin()
    groups = [group("pool", [origin.address])]
    poise = start.poise(configuration([listener(forward="pool", name="web")], groups))
    old = Client(poise.port)
    assert old.ask(request("/")).status == 200
    busy = Client(poise.port)
    busy.send(b"GET / HTTP/1.1\r\n")
    reload(poise, configuration([listener(forward="pool", name="other")], groups))
    busy.send(b"Host: a\r\n\r\n")
    last = busy.response()
    assert last.status == 200 and last.get("Connection") == "close"
    old.expect_end()
    with pytest.raises(OSError):
        Client(poise.port)
    busy.close()
    old.close()


def test_term_waits_for_the_answer_and_says_for_whom(start):
    go = threading.Event()

    def slow(conn):
        conn.request()
        go.wait(PATIENCE * 2)
        conn.respond(body=b"late")
    poise = start.proxy(start.origin(slow), process_shutdown_deadline="10s")
    with Client(poise.port) as client:
        client.send(request("/"))
        eventually("the request at its target", lambda: start.origins[0].requests)
        poise.signal(signal.SIGTERM)
        poise.wait_line(lambda line: "waiting for connections web=1" in line, "whom it waits for")
        go.set()
        response = client.response(deadline=Deadline())
        assert response.text == "late" and response.get("Connection") == "close"
    assert poise.wait_exit() == 0


def test_a_second_term_ends_at_once(start):
    go = threading.Event()

    def hang(conn):
        conn.request()
        go.wait(PATIENCE * 4)
    poise = start.proxy(start.origin(hang), process_shutdown_deadline="20s")
    with Client(poise.port) as client:
        client.send(request("/"))
        eventually("the request at its target", lambda: start.origins[0].requests)
        poise.signal(signal.SIGTERM)
        poise.wait_line(lambda line: "poise: stopping" in line, "the drain")
        poise.signal(signal.SIGTERM)
        assert poise.wait_exit() == 0
        assert any("connections were cut count=1" in line for line in poise.output("err"))
        assert [record["reason"] for record in poise.records()] == ["shutdown"], "what was cut is logged"
    go.set()


def test_a_second_poise_on_the_address_says_so(start):
    origin = start.origin()
    poise = start.proxy(origin)
    text = configuration([listener(address=f"127.0.0.1:{poise.port}", forward="pool")], [group("pool", [origin.address])])
    second = start.poise(text, wait=False)
    assert second.wait_exit() == 1
    start.running.remove(second)
    (line,) = [line for line in second.output("err") if "Address already in use" in line]
    assert f"127.0.0.1:{poise.port}" in line and "poise.yaml:" in line
    assert any(line.startswith("help: ") for line in second.output("err"))
    assert [get(poise.port).status for _ in range(10)] == [200] * 10, "the first has all of the traffic"


def test_a_name_that_does_not_resolve_is_no_reason_not_to_start(start):
    origin = start.origin()
    poise = start.proxy("nowhere.invalid:80", origin)
    poise.wait_line(lambda line: "a name does not resolve name=nowhere.invalid" in line, "the warning")
    assert [get(poise.port).status for _ in range(6)] == [200] * 6


# What time and traffic decide, seen from outside

def states(poise, name="pool"):
    """{address: state} of a group's targets."""
    return {dict(pairs)["target"]: dict(pairs)["state"] for (family, pairs), v in metrics(poise).items()
            if family == "poise_target_state" and v == 1 and dict(pairs)["target_group"] == name}


@pytest.mark.parametrize("percent, ejected", [(0, 0), (25, 1), (50, 2), (75, 3), (100, 3)])
def test_no_more_than_the_set_share_is_ejected(start, percent, ejected):
    """All four fail; 100 % still leaves one, as somebody must answer."""
    def fails(conn):
        conn.request()  # and no answer: the connection is cut
    pool, marker = [start.origin(fails) for _ in range(4)], [start.origin(fails) for _ in range(2)]
    fast = {"consecutive_failures": 2, "ejection_time": "5m"}
    # Where nobody is ejected, nothing else may be said: 5 failures in a row would do it.
    passive = fast | {"max_ejected_percent": percent} if percent else {"max_ejected_percent": 0}
    poise = start.poise(configuration(
        [listener(rules=[{"when": {"path": ["/marker"]}, "forward": "marker"}], forward="pool")],
        [group("pool", [o.address for o in pool], passive=passive, tries=1),
         group("marker", [o.address for o in marker], passive=fast | {"max_ejected_percent": 50}, tries=1)]))

    def unhealthy(name):
        return [address for address, state in states(poise, name).items() if state == "unhealthy"]
    with Client(poise.port) as client:
        for _ in range(12):
            assert client.ask(request("/")).status == 502
        eventually("the share is ejected", lambda: len(unhealthy("pool")) == ejected)
        # Who is left fails on; what comes after it, in another group, has been dealt with.
        for _ in range(12):
            client.ask(request("/"))
        for _ in range(4):
            client.ask(request("/marker"))
        eventually("the other group's ejection", lambda: len(unhealthy("marker")) == 1)
        out = unhealthy("pool")
        assert len(out) == ejected
        before = {o.address: len(o.requests) for o in pool}
        for _ in range(12):
            client.ask(request("/"))
    more = {o.address: len(o.requests) - before[o.address] for o in pool}
    assert all((more[address] == 0) == (address in out) for address in more), (out, more)


def late(start):
    """A target that is not well until the event is set; and the event."""
    well = threading.Event()

    def handler(conn):
        while True:
            asked = conn.request(Deadline(600))
            conn.respond(200 if well.is_set() or asked.target != "/health" else 503)
    return start.origin(handler), well


def test_the_share_of_a_target_that_starts_slowly_grows(start):
    steady, other, well = start.origin(), *late(start)
    poise = start.proxy(steady, other, group_health_check=CHECK | {"interval": "200ms", "timeout": "150ms"}, group_slow_start="3s")
    poise.wait_line(lambda line: f"target={other.address}" in line and "to=unhealthy" in line, "the late one is out")
    poise.wait_line(lambda line: f"target={steady.address}" in line and "to=healthy" in line, "the other is in")

    def share(of):
        """Of the next requests, the part that the late target gets."""
        before = len([r for r in other.requests if r.target == "/"])
        for _ in range(of):
            assert client.ask(request("/")).status == 200
        return (len([r for r in other.requests if r.target == "/"]) - before) / of
    with Client(poise.port) as client:
        assert share(20) == 0
        well.set()
        poise.wait_line(lambda line: f"target={other.address}" in line and "to=healthy" in line, "it is in")
        begun = time.monotonic()
        first = share(60)
        # Who is slow to ask sees a later part of the ramp.
        allowed = 0.1 + 0.5 * (time.monotonic() - begun) / 3
        assert first <= allowed, "its full share at once"
        seen = [first]
        eventually("a share in between", lambda: seen.append(share(60)) or 0.15 < seen[-1] < 0.45)
        eventually("its full share", lambda: seen.append(share(60)) or seen[-1] == 0.5, PATIENCE * 3)
        assert time.monotonic() - begun > 2, "before its time"
        assert all(later >= earlier - 0.1 for earlier, later in zip(seen, seen[1:])), seen


def test_slow_start_follows_its_curve_from_the_first_moment(start):
    steady, other, well = start.origin(), *late(start)
    poise = start.proxy(steady, other, group_health_check=CHECK | {"interval": "200ms", "timeout": "150ms"},
                        group_slow_start={"duration": "20s", "curve": 2})
    poise.wait_line(lambda line: f"target={other.address}" in line and "to=unhealthy" in line, "the late one is out")
    well.set()

    def target():
        targets = json.loads(admin(poise, "GET", "/status")[2])["target_groups"][0]["targets"]
        return next(t for t in targets if t["address"] == other.address)
    eventually("it is in", lambda: target()["state"] == "healthy")
    begun, weights = time.monotonic(), []
    while (after := time.monotonic() - begun) < 1.2:
        weights.append((after, target()["effective_weight"]))
        time.sleep(0.02)
    # The longest step is 313 ms, and being seen to be in takes a moment.
    for after, weight in weights:
        due = (max(0, after - 0.4) / 20) ** 0.5
        assert weight >= due - 0.01, f"{weight} after {after:.2f} s: {weights}"
    assert len({weight for _, weight in weights}) >= 5, weights


def test_an_apply_that_ends_an_operators_weight_says_so(start):
    origins = [start.origin() for _ in range(11)]

    def text(weight, count=11):
        return configuration([listener(forward="pool")], [group(
            "pool", [{"address": o.address, "weight": weight} for o in origins[:count]])])
    poise = start.poise(text(1))
    for origin in origins:
        assert verb("weight", "pool", origin.address, 0, poise=poise).returncode == 0
    verb("weight", "pool", origins[0].address, "--reset", poise=poise)

    def told():
        return [line for line in poise.output("err") if "weight has ended" in line or "weights have ended" in line]
    reload(poise, text(1, count=10))
    poise.wait_line(lambda line: line == "poise: an operator's word is forgotten with its target group=pool "
                    f'target={origins[10].address} operator="weight 0"', "the one that left")
    assert told() == []
    reload(poise, text(2, count=10))
    eventually("nine ended", lambda: len(told()) == 9)
    assert [line.split("configured=")[-1] for line in told()[:8]] == ["2"] * 8
    assert told()[8] == "poise: more operators' weights have ended count=1"


def test_a_removed_target_may_finish_until_its_delay_is_over(start):
    finish, leave = threading.Event(), threading.Event()

    def begins(conn):
        asked = conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegun")
        (finish if asked.target == "/finishes" else leave).wait(PATIENCE * 2)
        conn.send(b"ended")
    old, new = start.origin(begins), start.origin()

    def file(origin):
        return configuration([listener(forward="pool")], [group("pool", [origin.address], deregistration_delay="1s")])
    poise = start.poise(file(old))
    with Client(poise.port) as finishes, Client(poise.port) as stays, Client(poise.port) as other:
        for client, path in ((finishes, "/finishes"), (stays, "/stays")):
            client.send(request(path))
        assert len(old.wait_requests(2)) == 2
        before = time.monotonic()
        reload(poise, file(new))
        assert other.ask(request("/")).status == 200
        assert (len(old.requests), len(new.requests)) == (2, 1)
        finish.set()
        assert finishes.response().body == b"begunended"
        with pytest.raises(Ended):
            stays.response()
        assert 1 <= time.monotonic() - before < 1 + PATIENCE / 2
        record = poise.wait_record(path="/stays")
        assert (record["status"], record["target"]) == (200, old.address)
    leave.set()
