"""Agents: what HAProxy's `agent-check` reads, from the line to the traffic that follows from it."""
import json
import socket
import threading
import time

import pytest

from admin import verb
from agent import Agent
from client import Client, get, request
from deadline import PATIENCE, SLOW, eventually
from real import free_port, program, running

CHECK = {"protocol": "AGENT", "interval": "200ms", "edge_interval": "50ms", "timeout": "150ms", "unhealthy": 3}


@pytest.fixture
def agent():
    agents = []

    def make(line="ready up 100%\n"):
        agents.append(Agent(line))
        return agents[-1]
    yield make
    for one in agents:
        one.end()


def targets(poise):
    tree = json.loads(verb("status", "--output", "json", poise=poise).stdout)
    return {t["address"]: t for g in tree["target_groups"] for t in g["targets"]}


def becomes(poise, origin, state, reason="none"):
    """Waits for a state and its reason; returns what the last probe saw."""
    address = getattr(origin, "address", origin)

    def reached():
        target = targets(poise)[address]
        return (target["state"], target["reason"]) == (state, reason) and target
    return eventually(f"{address} is {state} for {reason}", reached)["last_probe"]


def says(poise, origin, evidence):
    def said():
        return (targets(poise)[origin.address]["last_probe"] or "").startswith(evidence)
    eventually(f"the evidence {evidence!r}", said)


def at(agent, **more):
    return CHECK | {"port": agent.port} | more


def shares(poise, *origins, count=120):
    """How many of `count` requests each gets."""
    before = [len(origin.requests) for origin in origins]
    for _ in range(count):
        assert get(poise.port).status == 200
    return [len(origin.requests) - n for origin, n in zip(origins, before)]


def test_down_and_up_decide_at_once(start, agent):
    origin, one = start.origin(), agent()
    poise = start.proxy(origin, group_health_check=at(one), group_fail_open="never")
    assert becomes(poise, origin, "healthy").startswith("agent: 100% up ready after ")
    for word in ["down", "fail", "stopped"]:
        one.line = f"{word} # disk full\n"
        evidence = becomes(poise, origin, "unhealthy", "agent_down")
        assert evidence.startswith(f"agent: {word} # disk full after "), evidence
        poise.wait_line(lambda line: "to=unhealthy" in line and "reason=agent_down" in line and word in line, word)
        assert get(poise.port).status == 503
        # What it leaves out stays as it was: nothing but `up` ends a `down`.
        one.line = "75%\n"
        says(poise, origin, "agent: 75% after ")
        assert targets(poise)[origin.address]["reason"] == "agent_down"
        one.line = "UP 100%\r\n"
        becomes(poise, origin, "healthy")
        assert get(poise.port).status == 200


@pytest.mark.parametrize("word, reason", [("drain", "agent_drain"), ("maint", "agent_maintenance")])
def test_no_new_flows_while_it_says_so(start, agent, word, reason):
    released = threading.Event()

    def slow(conn):
        conn.request()
        assert released.wait(PATIENCE * 2)
        conn.respond(body=b"late")

    held, one = start.origin(slow), agent()
    poise = start.proxy(held, group_health_check=at(one), group_fail_open="when_none_usable")
    becomes(poise, held, "healthy")
    with Client(poise.port) as client:
        client.send(request("/"))
        eventually("the request is there", lambda: held.requests)
        one.line = f"{word}\n"
        assert becomes(poise, held, "draining", reason).startswith(f"agent: {word} after ")
        # Not even when all targets are tried that might be good.
        assert get(poise.port).status == 503
        assert len(held.requests) == 1
        released.set()
        assert client.response().body == b"late"
    one.line = "ready\n"
    becomes(poise, held, "healthy")
    assert get(poise.port).text == "late"


def test_percent_shifts_the_share_of_real_traffic(start, agent):
    """One agent for all targets, which is told of whom it shall speak."""
    first, second = start.origin(), start.origin()
    one = agent()
    words = {first.address: "100%", second.address: "100%"}

    def speak(conn):
        name = conn.recv(1000).decode()
        one.heard.append(name)
        assert name.startswith("pool ") and name.endswith("\n")
        conn.sendall(words[name.split()[1]].encode() + b"\n")
    one.speak = speak
    poise = start.proxy(first, second, group_health_check=at(one, agent_send="{group} {target}\n"))
    for origin in first, second:
        becomes(poise, origin, "healthy")
    assert shares(poise, first, second) == [60, 60]
    for percent, expected in [(25, (40, 160)), (0, (0, 200)), (300, (150, 50)), (100, (100, 100))]:
        words[first.address] = f"{percent}% maxconn:30"
        eventually(f"{percent}%", lambda: targets(poise)[first.address]["agent"] == {
            "weight_percent": percent, "max_connections": 30, "silent_probes": 0})
        if percent == 25:
            assert "by its agent: 25% of the weight, max 30" in verb("status", poise=poise).stdout
            detail = verb("status", f"pool/{first.address}", poise=poise).stdout
            assert "weight 0.25/1\n            by its agent: 25% of the weight, max 30\n" in detail, detail
            shown = json.loads(verb("status", f"pool/{first.address}", "--output", "json", poise=poise).stdout)["targets"][0]
            assert shown["effective_weight"] == 0.25 and shown["agent"]["max_connections"] == 30
        assert targets(poise)[second.address]["agent"]["weight_percent"] == 100
        got = shares(poise, first, second, count=200)
        assert all(abs(have - want) <= 2 for have, want in zip(got, expected)), (percent, got)


def test_maxconn_limits_a_group_without_a_limit(start, agent):
    """And lifts it again: who waits gets in."""
    most, now, lock, gate = [0], [0], threading.Lock(), threading.Semaphore(0)

    def slow(conn):
        while conn.request():
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            assert gate.acquire(timeout=PATIENCE * 2)
            with lock:
                now[0] -= 1
            conn.respond(body=b"done")

    one = agent("up maxconn:2\n")
    origin = start.origin(slow)
    poise = start.proxy(origin, group_health_check=at(one), group_queue_timeout="20s", process_workers=2)
    eventually("the limit", lambda: (targets(poise)[origin.address]["agent"] or {}).get("max_connections") == 2)
    statuses = []
    clients = [threading.Thread(target=lambda: statuses.append(get(poise.port).status)) for _ in range(6)]
    for client in clients:
        client.start()
    eventually("two at the target", lambda: now[0] == 2)
    for _ in range(2):
        gate.release()
    eventually("the next two", lambda: len(statuses) == 2 and now[0] == 2)
    assert most[0] == 2
    # 0: as configured, and that is no limit.
    one.line = "maxconn:0\n"
    eventually("all of them", lambda: now[0] == 4)
    for _ in range(4):
        gate.release()
    for client in clients:
        client.join()
    assert statuses == [200] * 6


def test_a_silent_agent_takes_nothing_down(start, agent):
    origin, one = start.origin(), agent("50% maxconn:3\n")
    poise = start.proxy(origin, group_health_check=at(one))
    eventually("its word", lambda: (targets(poise)[origin.address]["agent"] or {}).get("weight_percent") == 50)
    one.end()
    # Not with the first silence: a restart of the agent moves no traffic.
    eventually("silence", lambda: targets(poise)[origin.address]["agent"]["silent_probes"] >= 1)
    eventually("its figures are forgotten", lambda: targets(poise)[origin.address]["agent"] == {
        "weight_percent": None, "max_connections": None, "silent_probes": 3})
    target = targets(poise)[origin.address]
    assert (target["state"], target["health_transitions"]) == ("healthy", 1)
    assert target["last_probe"].startswith("Connection refused after ")
    assert get(poise.port).status == 200


def test_an_agent_that_never_speaks_does_not_keep_a_target_out(start, agent):
    origin = start.origin()
    poise = start.proxy(origin, group_health_check=CHECK | {"port": free_port()})
    assert becomes(poise, origin, "healthy").startswith("Connection refused")
    assert get(poise.port).status == 200


def test_its_maintenance_outlives_it(start, agent):
    """A machine under maintenance has no agent."""
    origin, one = start.origin(), agent("maint\n")
    poise = start.proxy(origin, group_health_check=at(one))
    becomes(poise, origin, "draining", "agent_maintenance")
    one.end()
    eventually("silence", lambda: targets(poise)[origin.address]["agent"]["silent_probes"] == 3)
    assert targets(poise)[origin.address]["reason"] == "agent_maintenance"
    assert get(poise.port).status == 503


def endless(conn):
    while True:
        conn.sendall(b"x" * 65536)


def endless_lines(conn):
    """The first line counts, and nothing behind it is read."""
    while True:
        conn.sendall(b"up 60%\n" * 8000)


def trickle(conn):
    while True:
        conn.sendall(b" ")
        time.sleep(0.02)


def mute(conn):
    time.sleep(2 * SLOW)


def closing(conn):
    pass


@pytest.mark.parametrize("speak, evidence", [
    (endless, "the agent's line is longer than 1024 bytes"), (trickle, "no answer"), (mute, "no answer"),
    (closing, "closed before the answer was complete"),
    (lambda conn: conn.sendall(b"GET / HTTP/1.1\n"), "agent: not understood: 'GET'"),
    (lambda conn: conn.sendall(bytes(range(33, 256)) + b"\n"), "agent: not understood: '!\""),
    (lambda conn: conn.sendall(b"\n"), "agent: says nothing"),
    (lambda conn: conn.sendall(b"-5% 12 maxconn: maxconn:-1 % up75%\n"), "agent: not understood: '-5%'"),
], ids=["endless", "trickle", "mute", "closing", "HTTP", "bytes", "empty", "near misses"])
def test_bad_answers_are_bounded_and_reported(start, agent, speak, evidence):
    origin, one = start.origin(), agent()
    one.speak = speak
    poise = start.proxy(origin, group_health_check=at(one))
    says(poise, origin, evidence)
    before, asked = poise.memory(), one.asked
    eventually("it is asked again", lambda: one.asked >= asked + 3)
    assert poise.memory() < before + (4 << 20)
    target = targets(poise)[origin.address]
    assert (target["state"], target["agent"]["weight_percent"]) == ("healthy", None)
    assert get(poise.port).status == 200


def test_endless_lines_are_read_to_the_first_line_end(start, agent):
    origin, one = start.origin(), agent()
    one.speak = endless_lines
    poise = start.proxy(origin, group_health_check=at(one))
    says(poise, origin, "agent: 60% up after ")
    assert targets(poise)[origin.address]["agent"]["weight_percent"] == 60


def test_beside_other_checks_its_word_is_no_vote(start, agent):
    """`all` and `any` count the others; a `down` of the agent's is enough, and its `up` is not."""
    healthy = [True]

    def handler(conn):
        while request := conn.request():
            conn.respond(status=200 if healthy[0] else 503)

    origin, one = start.origin(handler), agent()
    page = {"protocol": "HTTP", "path": "/", "interval": "200ms", "edge_interval": "50ms", "timeout": "150ms",
            "healthy": 1, "unhealthy": 1}
    for need in ["all", "any"]:
        poise = start.proxy(origin, group_health_check=None,
                            group_health_checks={"need": need, "checks": [at(one), page]})
        becomes(poise, origin, "healthy")
        healthy[0] = False
        becomes(poise, origin, "unhealthy", "response_mismatch")
        healthy[0] = True
        becomes(poise, origin, "healthy")
        one.line = "down\n"
        assert becomes(poise, origin, "unhealthy", "agent_down").startswith("AGENT at port ")
        one.line = "up\n"
        becomes(poise, origin, "healthy")


def test_the_words_survive_an_apply_and_end_with_the_check(start, agent):
    from test_health_and_apply import reload
    origin, one = start.origin(), agent("drain 50%\n")
    poise = start.proxy(origin, group_health_check=at(one))
    becomes(poise, origin, "draining", "agent_drain")
    text = poise.file.read_text()
    reload(poise, text.replace("health_check:", "deregistration_delay: 7s\n  health_check:"))
    target = targets(poise)[origin.address]
    assert (target["reason"], target["agent"]["weight_percent"]) == ("agent_drain", 50)
    reload(poise, text.replace("protocol: AGENT", "protocol: TCP").replace(f"port: {one.port}", "port: target"))
    becomes(poise, origin, "healthy")
    assert targets(poise)[origin.address]["agent"] is None
    assert get(poise.port).status == 200


def haproxy_state(path, server):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(b"show stat\n")
        text = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
    head, *rows = [line.split(",") for line in text.lstrip("# ").splitlines() if line]
    row = next(dict(zip(head, row)) for row in rows if row[1] == server)
    return row["status"].split()[0], int(row["weight"])


def test_one_agent_says_the_same_to_haproxy_and_to_poise(start, agent):
    origin, one = start.origin(), agent()
    port, folder = free_port(), start.folder / "haproxy"
    folder.mkdir()
    (folder / "conf").write_text(f"""
        global
            stats socket {folder}/sock level admin
        defaults
            mode http
            timeout connect 2s
            timeout client 5s
            timeout server 5s
        frontend f
            bind 127.0.0.1:{port}
            default_backend b
        backend b
            server s {origin.address} weight 100 check inter 200 agent-check agent-port {one.port} agent-inter 200

""")
    poise = start.proxy({"address": origin.address, "weight": 100}, group_health_check=at(one))
    with running([program("haproxy"), "-db", "-f", folder / "conf"], port, folder / "log"):
        becomes(poise, origin, "healthy")
        # What is said, and what both must make of it: HAProxy's status and weight, Poise's state, reason and percent.
        for line, theirs, ours in [
            ("up ready 100%", ("UP", 100), ("healthy", "none", 100)),
            ("75%", ("UP", 75), ("healthy", "none", 75)),
            ("drain", ("DRAIN", 75), ("draining", "agent_drain", 75)),
            ("ready", ("UP", 75), ("healthy", "none", 75)),
            ("maint,75%", ("MAINT", 75), ("draining", "agent_maintenance", 75)),
            ("100%\tready", ("UP", 100), ("healthy", "none", 100)),
            ("down # why", ("DOWN", 100), ("unhealthy", "agent_down", 100)),
            ("ready 80%", ("DOWN", 80), ("unhealthy", "agent_down", 80)),
            ("Up", ("UP", 80), ("healthy", "none", 80)),
            ("stopped", ("DOWN", 80), ("unhealthy", "agent_down", 80)),
            ("up 30% nonsense", ("UP", 30), ("healthy", "none", 30)),
            ("fail up", ("UP", 30), ("healthy", "none", 30)),
        ]:
            one.line = f"{line}\n"

            def shown():
                target = targets(poise)[origin.address]
                return target["state"], target["reason"], (target["agent"] or {}).get("weight_percent")
            eventually(f"Poise heeds {line!r}: {ours}", lambda: shown() == ours)
            eventually(f"HAProxy heeds {line!r}: {theirs}", lambda: haproxy_state(folder / "sock", "s") == theirs)
