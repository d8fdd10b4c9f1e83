"""Health under load, changes of a running configuration, and the end of the process."""
import signal
import socket
import subprocess
import threading

import pytest

from admin import metrics, value, verb
from client import Client, Ended, get, request
from deadline import PATIENCE, Deadline, eventually
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
    poise = start.proxy(targets[0].address, targets[1].address, group_health_check=CHECK)
    over, failures, answered = threading.Event(), [], [0]

    def load():
        client = Client(poise.port)
        while not over.is_set():
            try:
                response = client.ask(request("/"))
                answered[0] += 1
                if response.status != 200:
                    failures.append(response.status)
                if response.get("Connection") == "close":
                    client.close()
                    client = Client(poise.port)
            except (Ended, OSError) as error:
                failures.append(repr(error))
                client = Client(poise.port)
        client.close()

    workers = [threading.Thread(target=load) for _ in range(4)]
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


def test_a_stopped_target_is_avoided_within_the_detection_time(start, targets):
    poise = start.proxy(targets[0].address, targets[1].address, group_health_check=CHECK)
    changed(poise, targets[0], "healthy")
    changed(poise, targets[1], "healthy")
    targets[0].process.send_signal(signal.SIGSTOP)
    # One interval, then two probes that time out.
    poise.wait_line(
        lambda line: f"target={targets[0].address}" in line and "to=unhealthy reason=timeout" in line,
        "unhealthy by timeout", 1 + 2 * 0.5 + PATIENCE / 2)
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
        assert (f"poise.yaml:{line}: error: restart needed: {key} cannot change while Poise runs" in refused.stderr), key
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
    assert get(poise.port).status == 200


def test_a_name_that_does_not_resolve_is_no_reason_not_to_start(start):
    origin = start.origin()
    poise = start.proxy("nowhere.invalid:80", origin)
    poise.wait_line(lambda line: "a name does not resolve name=nowhere.invalid" in line, "the warning")
    assert get(poise.port).status == 200
