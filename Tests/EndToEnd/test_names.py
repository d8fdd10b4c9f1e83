"""Names as targets: resolved again while Poise runs, with a file of names of the test's own."""
import json
import shutil
import subprocess
import sys
import threading
import time

import pytest
import yaml

from admin import metrics, value, verb
from client import Client, request
from deadline import PATIENCE, Deadline, eventually
from hooks import Program
from poise import BINARY
from settings import configuration, group, listener

NAME = "shop.poise.test"


@pytest.fixture
def names(tmp_path):
    """(the file, a program that runs Poise with it as /etc/hosts): a mount that only that process sees."""
    file, program = tmp_path / "hosts", tmp_path / "poise"
    file.write_text(f"127.0.0.1 {NAME}\n")
    namespace = None
    for options in ("-m", "-rm"):  # as root, or as one in a namespace of one's own
        script = f'mount --bind "{file}" /etc/hosts && exec "$0" "$@"'
        program.write_text(f"#!/bin/sh\nexec {shutil.which('unshare')} {options} sh -c '{script}' \"{BINARY}\" \"$@\"\n")
        program.chmod(0o755)
        if subprocess.run([program, "version"], capture_output=True, timeout=PATIENCE).returncode == 0:
            namespace = options
            break
    if namespace is None:
        pytest.skip("no mount namespace can be made here")
    return file, program


def twins(start):
    """Two targets that differ by their address only: 127.0.0.1 and 127.0.0.2."""
    first = start.origin()
    second = start.origin(host="127.0.0.2", port=first.port)
    return first, second


def test_a_name_is_resolved_again_every_resolve_interval(start, names):
    file, program = names
    first, second = twins(start)
    text = configuration([listener(forward="pool")], [group("pool", [f"{NAME}:{first.port}"], resolve_interval="1s")])
    poise = start.poise(text, binary=program)

    with Client(poise.port) as client:
        def served():
            before = len(first.requests), len(second.requests)
            for _ in range(8):
                assert client.ask(request()).status == 200
            return len(first.requests) - before[0], len(second.requests) - before[1]
        assert served() == (8, 0)
        file.write_text(f"127.0.0.1 {NAME}\n127.0.0.2 {NAME}\n")
        eventually("both addresses take turns", lambda: served() == (4, 4))
        file.write_text(f"127.0.0.2 {NAME}\n")
        eventually("the address that left has no traffic", lambda: served() == (0, 8))
        # Without an answer what was known stays; nobody learns that from a failed request.
        file.write_text("127.0.0.1 localhost\n")
        poise.wait_line(lambda line: f"a name does not resolve name={NAME}" in line, "a word about it")
        assert served() == (0, 8)
        file.write_text(f"127.0.0.1 {NAME}\n")
        eventually("it resolves again", lambda: served() == (8, 0), PATIENCE * 2)


def test_a_name_without_an_address_is_a_target_that_is_down(start, names):
    """Hooks, minimum, counts and history know it, from the first answer until one of its addresses is healthy."""
    file, program = names
    file.write_text("127.0.0.1 localhost\n")
    here, there = twins(start)
    hook, target = Program(start.folder, sys.executable), f"{NAME}:{here.port}"
    tree = yaml.safe_load(configuration([listener(forward="pool")], [group(
        "pool", [target, there.address], resolve_interval="1s",
        health_check={"path": "/", "interval": "300ms", "timeout": "290ms", "edge_interval": "50ms"})]))
    tree["target_groups"][0]["min_healthy"] = 2
    tree["notify"] = [{"on": ["target_down", "target_up", "group_below_minimum", "group_minimum_met"],
                       "command": [str(hook.path)]}]
    poise = start.poise(yaml.safe_dump(tree), binary=program)
    down = {("target_down", target), ("group_below_minimum", "")}
    eventually("the hook hears of it", lambda: set(hook.events()) == down)
    told = next(run for run in hook.runs() if run["POISE_EVENT"] == "target_down")
    assert (told["POISE_STATE"], told["POISE_REASON"]) == ("unhealthy", "dns")
    assert told["POISE_EVIDENCE"].startswith("the name does not resolve: ") and told["POISE_TARGETS"] == "2"
    history = verb("status", target, poise=poise).stdout
    assert "unhealthy  dns" in history and "the name does not resolve: " in history
    assert value(metrics(poise), "poise_target_group_targets", target_group="pool", state="unhealthy") == 1
    file.write_text(f"127.0.0.1 {NAME}\n")
    eventually("the hook hears of its return", lambda: len(hook.events()) == 4)
    assert set(hook.events()[2:]) == {("target_up", target), ("group_minimum_met", "")}
    assert f"target={target} from=unhealthy to=healthy" in "".join(poise.output("err"))
    with Client(poise.port) as client:
        for _ in range(4):
            assert client.ask(request("/traffic")).status == 200
    assert any(r.target == "/traffic" for r in here.requests)


def test_a_name_that_is_asked_seldom_is_not_asked_often(start, names):
    """The same change, and an interval that is not over: nothing moves while another name moves twice."""
    file, program = names
    first, second = twins(start)
    file.write_text(f"127.0.0.1 {NAME} often.poise.test\n")
    text = configuration(
        [listener(rules=[{"when": {"path": ["/often"]}, "forward": "often"}], forward="seldom")],
        [group("often", [f"often.poise.test:{first.port}"], resolve_interval="1s"),
         group("seldom", [f"{NAME}:{first.port}"], resolve_interval="10m")])
    poise = start.poise(text, binary=program)
    with Client(poise.port) as client:
        def at(path):
            before = len(second.requests)
            assert client.ask(request(path)).status == 200
            return "second" if len(second.requests) > before else "first"
        assert (at("/often"), at("/seldom")) == ("first", "first")
        for address, where in (("127.0.0.2", "second"), ("127.0.0.1", "first"), ("127.0.0.2", "second")):
            file.write_text(f"{address} {NAME} often.poise.test\n")
            eventually("the name that is asked often", lambda: at("/often") == where)
            assert at("/seldom") == "first"


QUICK = {"path": "/health", "interval": "300ms", "timeout": "290ms", "edge_interval": "50ms", "healthy": 1, "unhealthy": 1}


def slow_to_tell(conn):
    """A healthy machine whose health check takes its time."""
    while True:
        request = conn.request(Deadline(600))
        if request.target == "/health":
            time.sleep(0.7)
        conn.respond(body=b"")


def test_a_name_that_moves_to_another_machine_loses_no_request(start, names):
    """By DNS, and by an apply: nobody else can serve, and nobody knows yet whether the new machine is ill."""
    file, program = names
    first = start.origin(slow_to_tell)
    second = start.origin(slow_to_tell, host="127.0.0.2", port=first.port)
    hook = Program(start.folder, sys.executable)

    def text(target):
        check = {"path": "/health", "interval": "5s", "timeout": "2s"}
        tree = yaml.safe_load(configuration([listener(forward="pool")], [group(
            "pool", [f"{target}:{first.port}"], resolve_interval="1s", fail_open="never", health_check=check)]))
        tree["target_groups"][0]["min_healthy"] = 1
        tree["notify"] = [{"on": ["group_down", "group_up", "group_below_minimum"], "command": [str(hook.path)]}]
        return yaml.safe_dump(tree)
    poise = start.poise(text(NAME), binary=program)
    eventually("it is healthy", lambda: value(
        metrics(poise), "poise_target_group_targets", target_group="pool", state="healthy") == 1)

    with Client(poise.port) as client:
        def moved_to(origin):
            assert client.ask(request("/traffic")).status == 200
            return any(r.target == "/traffic" for r in origin.requests[before:])
        before = len(second.requests)
        file.write_text(f"127.0.0.2 {NAME}\n")
        eventually("the second machine serves", lambda: moved_to(second))
        before, after = len(first.requests), start.folder / "after.yaml"
        after.write_text(text("127.0.0.1"))
        assert verb("apply", after, poise=poise).returncode == 0
        # Whoever applied finds what was applied: the first probe is still under way.
        assert moved_to(first)
        poise.wait_line(lambda line: "target=127.0.0.1:" in line and "from=initial to=healthy" in line, "its first result")
    assert hook.events() == []


def test_a_drain_holds_while_dns_takes_the_address_away_and_brings_it_back(start, names):
    """So does a weight; and what hooks were told of as down is up once, when it is back and well."""
    file, program = names
    ill = threading.Event()

    def answers(conn):
        while True:
            here = conn.request(Deadline(600))
            conn.respond(503 if ill.is_set() and here.target == "/health" else 200, body=b"")
    first = start.origin()
    second = start.origin(answers, host="127.0.0.2", port=first.port)
    third = start.origin(host="127.0.0.3", port=first.port)
    hook = Program(start.folder, sys.executable)
    file.write_text("".join(f"127.0.0.{last} {NAME}\n" for last in (1, 2, 3)))
    tree = yaml.safe_load(configuration([listener(forward="pool")], [group(
        "pool", [f"{NAME}:{first.port}"], resolve_interval="1s", health_check=QUICK)]))
    tree["notify"] = [{"on": ["target_down", "target_up"], "command": [str(hook.path)]}]
    poise = start.poise(yaml.safe_dump(tree), binary=program)
    one, two = first.address, second.address

    def states():
        return {t["address"]: t["state"] for t in json.loads(
            verb("status", "--output", "json", poise=poise).stdout)["target_groups"][0]["targets"]}
    eventually("all are healthy", lambda: list(states().values()) == ["healthy"] * 3)
    assert verb("drain", "pool", one, poise=poise).returncode == 0
    assert verb("weight", "pool", two, 7, poise=poise).returncode == 0
    ill.set()
    eventually("the second is down", lambda: states()[two] == "unhealthy")
    for _ in range(2):
        file.write_text(f"127.0.0.3 {NAME}\n")
        eventually("two are away", lambda: list(states()) == [third.address])
        file.write_text("".join(f"127.0.0.{last} {NAME}\n" for last in (1, 2, 3)))
        eventually("they are back", lambda: states().get(two) == "unhealthy")
        assert states()[one] == "unused"
    ill.clear()
    eventually("the second is well", lambda: states()[two] == "healthy")
    before = len(first.requests)
    with Client(poise.port) as client:
        for _ in range(16):
            assert client.ask(request("/traffic")).status == 200
    assert sum(r.target == "/traffic" for r in second.requests) == 14, "its weight is 7 beside 1"
    assert len(first.requests) == before, "neither traffic nor probes"
    eventually("the hook hears of its return", lambda: len(hook.events()) == 2)
    assert hook.events() == [("target_down", two), ("target_up", two)]
    # What it was is in its history, from before on.
    assert verb("status", two, poise=poise).stdout.count("its name has the address again") == 2


def test_operators_may_speak_of_a_name(start, names):
    """`poise drain`, `undrain`, `weight` and `status` of a name are of all its addresses, and a drain of later ones too."""
    file, program = names
    first, second = twins(start)
    file.write_text("127.0.0.1 localhost\n")
    name = f"{NAME}:{first.port}"
    poise = start.poise(configuration([listener(forward="pool")], [group(
        "pool", [name], resolve_interval="1s", health_check=QUICK)]), binary=program)

    def said(*arguments):
        done = verb(*arguments, poise=poise)
        return done.returncode, done.stdout + done.stderr

    def states():
        return [t["state"] for t in json.loads(
            verb("status", "--output", "json", poise=poise).stdout)["target_groups"][0]["targets"]]
    for words in (("drain",), ("undrain",), ("weight",)):
        code, text = said(words[0], "pool", name, *(["5"] if words[0] == "weight" else []))
        assert code == 1 and f"the name '{name}' of the group 'pool' has no address now" in text
    file.write_text(f"127.0.0.1 {NAME}\n")
    eventually("it resolves", lambda: states() == ["healthy"], PATIENCE * 2)
    assert said("drain", "pool", name) == (0, f"{name} of pool: unused (drained_by_operator), weight 1, 0 in flight\n")
    file.write_text(f"127.0.0.1 {NAME}\n127.0.0.2 {NAME}\n")
    eventually("it has another address", lambda: states() == ["unused", "unused"])
    code, text = said("status", f"pool/{name}")
    assert code == 0 and f"{first.address} of pool" in text and f"{second.address} of pool" in text
    assert said("undrain", "pool", name)[0] == 0
    eventually("both are back", lambda: states() == ["healthy", "healthy"])
    assert said("weight", "pool", name, 5)[0] == 0
    assert verb("status", poise=poise).stdout.count("5 (operator)") == 2
