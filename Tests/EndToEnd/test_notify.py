"""Hooks: each event exactly once, to commands and webhooks; what hangs is bounded and told of."""
import contextlib
import os
import pwd
import signal
import socket
import sys
import threading

import pytest
import yaml

from admin import metrics, value, verb
from deadline import eventually
from hooks import Program, Receiver, Switch, told
from settings import configuration, group, listener
from test_health_and_apply import Target, reload
from tls import Authority

EVENTS = ["target_up", "target_down", "group_down", "group_up"]
EVENTS_OF_MINIMUMS = ["group_below_minimum", "group_minimum_met"]
# Seldom enough that a slow machine does not fail a probe which a test has not meant to fail.
CHECK = {"path": "/", "interval": "700ms", "edge_interval": "20ms", "timeout": "690ms", "healthy": 1, "unhealthy": 1}


@pytest.fixture
def switches():
    pair = [Switch(), Switch()]
    yield pair
    for switch in pair:
        switch.close()


@pytest.fixture
def receiver():
    made = []

    def make(*arguments, **more):
        made.append(Receiver(*arguments, **more))
        return made[-1]
    yield make
    for one in made:
        one.close()


def text(targets, notify, minimum=None, groups=None, health_log=None, **process):
    tree = yaml.safe_load(configuration(
        [listener(forward="web")], [group("web", [t.address for t in targets], health_check=CHECK)], **process))
    if minimum:
        tree["target_groups"][0]["min_healthy"] = minimum
    if health_log:
        tree.setdefault("logs", {})["health"] = str(health_log)
    tree["notify"] = notify
    return yaml.safe_dump(tree, sort_keys=False)


def settle(poise, switch, status):
    """Sets what the target answers, and waits until Poise has noticed."""
    word = "healthy" if status == 200 else "unhealthy"
    before = len([t for t in poise.output("err") if f"target={switch.address}" in t and f" to={word}" in t])
    switch.status = status
    told_by = f"target={switch.address}"

    def noticed():
        lines = [t for t in poise.output("err") if told_by in t and f" to={word}" in t]
        return len(lines) > before
    eventually(f"{switch.address} {word}", noticed, 20)


def delivered(poise, count, hook="notify-1"):
    eventually(f"{count} delivered", lambda: value(metrics(poise), "poise_notify_delivered_total", hook=hook) == count, 20)


def test_a_command_hears_each_event_exactly_once(start, switches):
    one, two = switches
    program = Program(start.folder, sys.executable)
    hook = {"on": EVENTS + EVENTS_OF_MINIMUMS, "command": [str(program.path), "--group", "web of $HOME"]}
    poise = start.poise(text(switches, [hook], "2"))
    eventually("both probed", lambda: one.probes and two.probes)
    settle(poise, one, 503)
    # Another reason for the same state is no second event.
    settle(poise, one, None)
    settle(poise, two, 503)
    delivered(poise, 4)
    settle(poise, two, 200)
    settle(poise, one, 200)
    delivered(poise, 8)
    assert program.events() == [
        ("target_down", one.address), ("group_below_minimum", ""), ("target_down", two.address), ("group_down", ""),
        ("target_up", two.address), ("group_up", ""), ("target_up", one.address), ("group_minimum_met", "")]
    runs = program.runs()
    first = runs[0]
    assert first["arguments"] == ["--group", "web of $HOME"]
    assert first["POISE_STATE"] == "unhealthy" and first["POISE_REASON"] == "response_mismatch"
    assert first["POISE_EVIDENCE"].startswith("status 503 after ")
    assert first["POISE_PREVIOUS_STATE"] in ("healthy", "initial")
    assert (first["POISE_HEALTHY"], first["POISE_TARGETS"], first["POISE_MINIMUM"]) == ("1", "2", "2")
    assert first["POISE_SINCE"].endswith("Z") and "T" in first["POISE_SINCE"]
    assert runs[3]["POISE_STATE"] == "fail_open" and runs[3]["POISE_HEALTHY"] == "0"
    # Nothing of the environment that Poise was started with, but for what the interpreter itself adds.
    extra = {k for k in first if not k.startswith("POISE_")} - {"PATH", "arguments", "uid", "LC_CTYPE"}
    assert not extra and "POISE_ADMIN" not in first
    assert len({r["POISE_EVENT_ID"] for r in runs}) == len(runs)


def test_a_killed_target_that_comes_back_is_one_down_and_one_up(start):
    pair = [Target("one"), Target("two")]
    try:
        program = Program(start.folder, sys.executable)
        poise = start.poise(text(pair, [{"on": EVENTS, "command": [str(program.path)]}]))
        for round in range(1, 4):
            pair[0].end(signal.SIGKILL)
            delivered(poise, 2 * round - 1)
            pair[0].start()
            delivered(poise, 2 * round)
        assert program.events() == [("target_down", pair[0].address), ("target_up", pair[0].address)] * 3
        assert program.runs()[0]["POISE_REASON"] == "connection_refused"
        assert "Connection refused" in program.runs()[0]["POISE_EVIDENCE"]
    finally:
        for target in pair:
            if target.process.poll() is None:
                target.end()


def test_a_start_with_healthy_targets_tells_nobody_and_a_dead_one_is_told_once(start, switches):
    one, two = switches
    two.status = 500
    program = Program(start.folder, sys.executable)
    poise = start.poise(text(switches, [{"on": EVENTS, "command": [str(program.path)]}]))
    delivered(poise, 1)
    eventually("more probes", lambda: one.probes > 3 and two.probes > 3)
    # The next event in order: whatever else there had been would stand before it.
    settle(poise, one, 500)
    delivered(poise, 3)
    assert program.events() == [("target_down", two.address), ("target_down", one.address), ("group_down", "")]


def test_what_an_operator_does_is_no_event(start, switches):
    one, two = switches
    program = Program(start.folder, sys.executable)
    poise = start.poise(text(switches, [{"on": EVENTS, "command": [str(program.path)]}]))
    told(poise, "to=healthy", 2)
    assert verb("drain", "web", one.address, "--wait", poise=poise).returncode == 0
    assert verb("undrain", "web", one.address, poise=poise).returncode == 0
    settle(poise, two, 500)
    delivered(poise, 1)
    assert program.events() == [("target_down", two.address)]


def test_only_what_was_asked_for_is_told(start, switches):
    one, two = switches
    program, other = Program(start.folder, sys.executable), Program(start.folder, sys.executable, "other")
    poise = start.poise(text(switches, [
        {"name": "up", "on": "target_up", "groups": ["w*"], "command": str(program.path)},
        {"on": EVENTS, "groups": "x?b", "command": [str(other.path)]},
    ]))
    told(poise, "to=healthy", 2)
    settle(poise, one, 500)
    settle(poise, one, 200)
    delivered(poise, 1, "up")
    assert program.events() == [("target_up", one.address)]
    assert other.runs() == []
    checked = verb("check", poise.file).stdout
    assert f"hook up: {program.path} on target_up\n" in checked and "hook notify-2: " in checked
    assert value(metrics(poise), "poise_notify_delivered_total", hook="notify-2") == 0


def test_a_command_that_hangs_is_ended_tried_again_and_told_of_while_others_are_told(start, switches):
    one, two = switches
    folder = start.folder
    hang = folder / "hang"
    hang.write_text(f"#!/bin/sh\ntrap '' TERM\necho $$ >> {folder}/pids\necho stuck here\nwhile :; do sleep 1; done\n")
    hang.chmod(0o755)
    program = Program(folder, sys.executable)
    poise = start.poise(text(switches, [
        {"name": "stuck", "on": "target_down", "command": [str(hang)], "timeout": "100ms", "retries": 1, "backoff": "10ms"},
        {"name": "fine", "on": EVENTS, "command": [str(program.path)]},
    ]))
    told(poise, "to=healthy", 2)
    settle(poise, one, 500)
    delivered(poise, 1, "fine")
    line = told(poise, "a notification was not delivered")[0]
    assert "hook=stuck" in line and "event=target_down" in line and "tries=2" in line
    assert 'error="no end within 100ms' in line
    samples = metrics(poise)
    assert value(samples, "poise_notify_failed_total", hook="stuck") == 1
    assert value(samples, "poise_notify_retries_total", hook="stuck") == 1
    assert value(samples, "poise_commands_timed_out_total") == 2
    pids = [int(p) for p in (folder / "pids").read_text().split()]
    assert len(pids) == 2
    eventually("the programs are gone", lambda: not any(os.path.exists(f"/proc/{p}") for p in pids), 20)


def test_programs_are_bounded_in_number(start, switches):
    one, two = switches
    slow = start.folder / "slow"
    slow.write_text(f"#!/bin/sh\necho begin >> {start.folder}/order\nsleep 0.05\necho end >> {start.folder}/order\n")
    slow.chmod(0o755)
    tree = yaml.safe_load(text(switches, [{"on": EVENTS, "command": [str(slow)], "name": f"h{n}"} for n in range(6)]))
    tree["process"]["limits"] = {"max_commands": 1}
    poise = start.poise(yaml.safe_dump(tree))
    told(poise, "to=healthy", 2)
    settle(poise, one, 500)
    for n in range(6):
        delivered(poise, 1, f"h{n}")
    assert (start.folder / "order").read_text().split() == ["begin", "end"] * 6


def test_at_the_end_of_poise_its_programs_end(start, switches):
    one, _ = switches
    hang = start.folder / "hang"
    hang.write_text(f"#!/bin/sh\necho $$ >> {start.folder}/pids\nexec sleep 1000\n")
    hang.chmod(0o755)
    poise = start.poise(text(switches, [{"on": EVENTS, "command": [str(hang)]}]))
    told(poise, "to=healthy", 2)
    settle(poise, one, 500)
    pid = int(eventually("it runs", lambda: (start.folder / "pids").exists() and (start.folder / "pids").read_text()))
    poise.signal(signal.SIGTERM)
    assert poise.wait_exit() == 0
    assert not os.path.exists(f"/proc/{pid}")


def test_what_waits_when_poise_ends_is_told_of_as_that(start, switches, receiver):
    one, two = switches
    busy = receiver(script=[503] * 1000)
    hook = {"on": ["target_down"], "retries": 50, "backoff": "60s", "webhook": f"http://127.0.0.1:{busy.port}/"}
    poise = start.poise(text(switches, [hook]))
    told(poise, "to=healthy", 2)
    settle(poise, one, 500)
    settle(poise, two, 500)
    poise.signal(signal.SIGTERM)
    assert poise.wait_exit() == 0
    line, = [line for line in poise.output("err") if "notifications are dropped" in line]
    assert "notifications are dropped: Poise ends hook=notify-1 notifications=2" in line


def test_a_group_comes_up_from_where_it_was_told_to_be(start, switches):
    """All are drained by an operator, then one of them is back and dead: that is fail-open, and no event."""
    one, two = switches
    program = Program(start.folder, sys.executable)
    poise = start.poise(text(switches, [{"on": ["group_down", "group_up"], "command": [str(program.path)]}]))
    told(poise, "to=healthy", 2)
    for switch in switches:
        assert verb("drain", "web", switch.address, "--wait", poise=poise).returncode == 0
    one.status = 500
    assert verb("undrain", "web", one.address, poise=poise).returncode == 0
    told(poise, "fail-open sends to all")
    settle(poise, one, 200)
    delivered(poise, 2)
    assert [(r["POISE_EVENT"], r["POISE_PREVIOUS_STATE"], r["POISE_STATE"]) for r in program.runs()] == [
        ("group_down", "ordinary", "none"), ("group_up", "none", "ordinary")]


def test_a_webhook_is_told_everything_and_tried_again_until_it_takes_it(start, switches, receiver):
    one, two = switches
    to = receiver([500, 503, 200, 429, 408, 200, 400])
    (start.folder / "secret").write_text("Bearer of-a-test\n")
    poise = start.poise(text(switches, [{
        "name": "chat", "on": EVENTS, "webhook": f"http://127.0.0.1:{to.port}/poise?room=1", "backoff": "10ms",
        "headers": {"Authorization": f"file:{start.folder}/secret"}}]))
    told(poise, "to=healthy", 2)
    settle(poise, one, 500)
    delivered(poise, 1, "chat")
    settle(poise, one, 200)
    delivered(poise, 2, "chat")
    settle(poise, one, 500)
    # 400: it will never take it.
    line = told(poise, "a notification was not delivered")[0]
    assert "status 400" in line and "tries=1" in line
    settle(poise, one, 200)
    delivered(poise, 3, "chat")
    assert [s for s, *_ in to.requests] == [500, 503, 200, 429, 408, 200, 400, 200]
    bodies = to.bodies()
    # A try is the same notification, which its id tells.
    assert len({b["id"] for b in bodies[:3]}) == 1 and len({b["id"] for b in bodies}) == 4
    assert bodies[0] | {"id": 0, "since": 0, "evidence": 0} == {
        "id": 0, "event": "target_down", "group": "web", "target": one.address, "state": "unhealthy",
        "previous_state": "healthy", "reason": "response_mismatch", "evidence": 0, "since": 0, "healthy": 1, "targets": 2,
        "minimum": None}
    _, fields, path, _ = to.requests[0]
    assert path == "/poise?room=1" and fields["Authorization"] == "Bearer of-a-test"
    assert fields["Content-Type"] == "application/json" and fields["User-Agent"].startswith("poise/")
    assert fields["Host"] == f"127.0.0.1:{to.port}"
    shown = verb("config", "show", "--effective", poise.file)
    assert "of-a-test" not in shown.stdout and f"file:{start.folder}/secret" in shown.stdout
    assert value(metrics(poise), "poise_notify_retries_total", hook="chat") == 4


def test_a_webhook_that_refuses_connections_is_told_of_and_the_next_event_arrives(start, switches, receiver):
    one, two = switches
    to = receiver()
    port = to.port
    to.server.socket.close()
    poise = start.poise(text(switches, [
        {"on": EVENTS, "webhook": f"http://localhost:{port}/", "backoff": "10ms", "retries": 2}]))
    told(poise, "to=healthy", 2)
    settle(poise, one, 500)
    line = told(poise, "a notification was not delivered")[0]
    assert "Connection refused" in line and "tries=3" in line


def test_a_webhook_that_never_answers_is_left_and_traffic_goes_on(start, switches, receiver):
    one, two = switches
    hold = threading.Event()
    to = receiver(hold=hold)
    poise = start.poise(text(switches, [
        {"on": EVENTS, "webhook": f"http://127.0.0.1:{to.port}/", "timeout": "100ms", "retries": 1, "backoff": "10ms"}]))
    told(poise, "to=healthy", 2)
    settle(poise, one, 500)
    line = told(poise, "a notification was not delivered")[0]
    assert 'error="no answer in time"' in line and "tries=2" in line
    hold.set()
    settle(poise, one, 200)
    delivered(poise, 1)


def test_an_https_webhook_is_verified(start, switches, receiver):
    one, two = switches
    authority = Authority()
    identity = authority.issue("localhost")
    files = identity.files(start.folder)
    to = receiver(identity=(files["certificate"], files["key"]))
    hook = {"on": ["target_down", "target_up"], "webhook": f"https://localhost:{to.port}/", "retries": 0}
    poise = start.poise(text(switches, [
        hook | {"name": "known", "ca_file": str(authority.file(start.folder))}, hook | {"name": "unknown"}]))
    told(poise, "to=healthy", 2)
    settle(poise, one, 500)
    delivered(poise, 1, "known")
    line = told(poise, "a notification was not delivered")[0]
    assert "hook=unknown" in line and "TLS: certificate_unknown_authority" in line
    assert len(to.requests) == 1


def test_authorities_of_a_webhook_are_looked_into_before_it_is_needed(start, switches, receiver):
    one, _ = switches
    authority, folder = Authority(), start.folder
    files = authority.issue("localhost").files(folder)
    to = receiver(identity=(files["certificate"], files["key"]))
    file, lost = folder / "webhook-authority.pem", folder / "lost.pem"
    hook = {"name": "desk", "on": ["target_down", "target_up"], "webhook": f"https://localhost:{to.port}/", "retries": 0}
    file.write_text("no certificate\n")
    refused = folder / "refused.yaml"
    for path, said in ((lost, "cannot be read: No such file or directory"), (file, "the file is no list of authorities")):
        refused.write_text(text(switches, [hook | {"ca_file": str(path)}]))
        for word in ("check", "run"):
            done = verb(word, refused)
            assert done.returncode == 3 and said in done.stderr and "refused.yaml:" in done.stderr, (word, done)
    # Another authority than the receiver's, and then the right one: read again without a word from anybody.
    file.write_bytes(Authority("Another one").pem)
    poise = start.poise(text(switches, [hook | {"ca_file": str(file)}]))
    told(poise, "to=healthy", 2)
    refused.write_text(text(switches, [hook | {"ca_file": str(lost)}]))
    applied = verb("apply", refused, poise=poise)
    assert applied.returncode != 0 and "cannot be read" in applied.stderr, applied
    settle(poise, one, 500)
    assert "TLS: certificate_unknown_authority" in told(poise, "a notification was not delivered")[0]
    file.write_bytes(authority.pem)
    told(poise, "a file of TLS settings was read again")
    settle(poise, one, 200)
    delivered(poise, 1, "desk")


def test_a_thousand_flaps_are_bounded_and_what_is_dropped_is_counted(start, switches):
    """One try takes longer than a flap: the queue holds 1,000, and the rest is dropped and told of once."""
    one, two = switches
    hang = start.folder / "hang"
    hang.write_text("#!/bin/sh\nexec sleep 1000\n")
    hang.chmod(0o755)
    groups = [group(f"g{n}", [one.address], health_check=CHECK) for n in range(300)]
    tree = yaml.safe_load(text([one], [{"on": EVENTS, "command": [str(hang)], "timeout": "600s"}]))
    tree["target_groups"] = groups
    tree["listeners"][0].pop("forward", None)
    tree["listeners"][0]["default"] = {"forward": {"groups": {g["name"]: 1 for g in groups}}}
    poise = start.poise(yaml.safe_dump(tree))
    told(poise, "to=healthy", 300)
    # 300 targets and 300 groups down, and up again: 1,200 events.
    one.status = 500
    told(poise, "to=unhealthy", 300)
    one.status = 200
    told(poise, "to=healthy", 600)
    samples = eventually("all are in or out", lambda: (s := metrics(poise)) and value(
        s, "poise_notify_dropped_total") + value(s, "poise_notify_queue") == 1200 and s, 20)
    # One is being delivered and 1,000 wait.
    assert value(samples, "poise_notify_queue") == 1001
    assert len(told(poise, "notifications are dropped")) == 1
    assert value(samples, "poise_commands_running") == 1


def test_commands_come_from_the_file_and_not_from_the_admin_socket(start, switches):
    program, other = Program(start.folder, sys.executable), Program(start.folder, sys.executable, "other")
    ours = {"on": ["target_down"], "command": [str(program.path)]}
    poise = start.poise(text(switches, [ours]))
    sent = start.folder / "sent.yaml"

    def apply(hooks, **more):
        tree = yaml.safe_load(text(switches, hooks))
        tree["process"] |= more
        sent.write_text(yaml.safe_dump(tree))
        return verb("apply", sent, poise=poise)
    # Word for word the file's own: nothing that could not run before.
    assert apply([ours | {"on": EVENTS}]).returncode == 0
    for hooks in ([ours, {"on": ["target_up"], "command": [str(other.path)]}],
                  [ours | {"command": [str(program.path), "--more"]}]):
        refused = apply(hooks)
        assert refused.returncode == 3 and "not-allowed" in refused.stderr and "sent.yaml:" in refused.stderr
    refused = apply([ours], admin={"allow_commands": True})
    assert refused.returncode == 3 and "only the configuration file" in refused.stderr
    # Once the file allows it, it may.
    tree = yaml.safe_load(text(switches, [ours]))
    tree["process"]["admin"] = {"allow_commands": True}
    reload(poise, yaml.safe_dump(tree))
    assert apply([{"on": ["target_down"], "command": [str(other.path)]}]).returncode == 0
    told(poise, "to=healthy", 2)
    settle(poise, switches[0], 500)
    delivered(poise, 1)
    assert other.events() == [("target_down", switches[0].address)] and program.runs() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_commands_run_as_the_user_that_poise_becomes(start, switches):
    one, two = switches
    one.status = 500
    start.folder.chmod(0o777)
    # No interpreter of the tests, which only root may be able to reach.
    program = start.folder / "who"
    program.write_text(f"#!/bin/sh\nid -u >> {start.folder}/uids\n")
    program.chmod(0o755)
    # The first probe may end before Poise has become that user: the command waits for it.
    poise = start.poise(text(switches, [{"on": EVENTS, "command": [str(program)]}], user="nobody"))
    delivered(poise, 1)
    assert (start.folder / "uids").read_text().split() == [str(pwd.getpwnam("nobody").pw_uid)]


def test_what_waits_for_a_hook_without_a_name_goes_where_the_hook_tells_now(start, switches, receiver):
    """Its URL was wrong: the events that happened meanwhile arrive once it is right."""
    one, two = switches
    wrong, right = receiver(script=[503] * 1000), receiver()
    hook = {"on": ["target_down"], "retries": 50, "backoff": "200ms", "webhook": f"http://127.0.0.1:{wrong.port}/"}
    poise = start.poise(text(switches, [hook]))
    told(poise, "to=healthy", 2)
    settle(poise, one, 500)
    settle(poise, two, 500)
    reload(poise, text(switches, [hook | {"webhook": f"http://127.0.0.1:{right.port}/"}]))
    eventually("both arrive", lambda: [b["target"] for b in right.bodies()] == [one.address, two.address], 20)
    assert not [line for line in poise.output("err") if "their hook is gone" in line]


def test_a_removed_hook_takes_its_queue_with_it_and_no_other_one(start, switches, receiver):
    """Two hooks without a name tell the same receiver; what is dropped with the first is counted in the log."""
    one, two = switches
    busy = receiver(script=[503] * 1000)
    hooks = [{"on": [event], "retries": 50, "backoff": "200ms", "webhook": f"http://127.0.0.1:{busy.port}/"}
             for event in ("target_down", "group_down")]
    poise = start.poise(text(switches, hooks))
    told(poise, "to=healthy", 2)
    settle(poise, one, 500)
    settle(poise, two, 500)
    eventually("both hooks try", lambda: {b["event"] for b in busy.bodies()} == {"target_down", "group_down"}, 20)
    reload(poise, text(switches, hooks[1:]))
    gone, = told(poise, "notifications are dropped: their hook is gone")
    assert "hook=notify-1" in gone and "notifications=2" in gone
    with busy.lock:
        busy.script.clear()
    delivered(poise, 1)
    assert [b["event"] for b in busy.bodies(200)] == ["group_down"]


@pytest.fixture
def talker():
    """A webhook's server that answers with these bytes, the last of them again and again for as long as somebody listens."""
    listeners = []

    def make(start, again):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def talk(connection):
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(start)
                while True:
                    connection.sendall(again * 1000)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"
    yield make
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize("start_of_answer, again, end", [
    (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", "the answer is not HTTP: head_too_large"),
    (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", "the answer is not HTTP: "),
    (b"HTTP/1.1 200 OK\r\n\r\n", b"body", None),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"4\r\nbody\r\n", None),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;", b"x", "the answer is not HTTP: "),
], ids=["interim answers", "fields", "body", "chunks", "a chunk's extensions"])
def test_an_answer_without_end_is_read_no_further_than_needed(start, switches, talker, start_of_answer, again, end):
    one, two = switches
    hook = {"on": ["target_down"], "timeout": "60s", "retries": 0, "webhook": talker(start_of_answer, again)}
    poise = start.poise(text(switches, [hook]))
    told(poise, "to=healthy", 2)
    # Long before the time is over, and the second one after the first: nothing of it is left.
    for count, switch in enumerate(switches, 1):
        settle(poise, switch, 500)
        if end is None:
            delivered(poise, count)
        else:
            assert end in told(poise, "a notification was not delivered", count)[-1]
