"""The health log: a line of JSON per change, rotated, and never in anybody's way."""
import json
import os
import re
import signal

import pytest

from admin import metrics, value, verb
from client import get
from deadline import eventually
from hooks import Switch, told
from test_notify import settle, text


@pytest.fixture
def switches():
    pair = [Switch(), Switch()]
    yield pair
    for switch in pair:
        switch.close()


def lines(file, count):
    def read():
        found = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return found if len(found) >= count else None
    return eventually(f"{count} lines", read)


def test_every_change_of_targets_and_groups_is_a_line(start, switches):
    one, two = switches
    file = start.folder / "health.log"
    poise = start.poise(text(switches, [], minimum=2, health_log=file))
    told(poise, "to=healthy", 2)
    settle(poise, one, 503)
    settle(poise, two, 500)
    settle(poise, two, 200)
    found = lines(file, 8)
    assert len(found) == 8
    assert {(e["target"], e["from"], e["to"]) for e in found[:2]} == {(t.address, "initial", "healthy") for t in switches}
    down, minimum, second, group, up, again = found[2:]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", down["time"])
    assert re.fullmatch(r"status 503 after \d+ ms", down["evidence"])
    assert 0 <= down["previous_seconds"] < 60
    assert down | {"time": 0, "evidence": 0, "previous_seconds": 0} == {
        "time": 0, "type": "target", "group": "web", "target": one.address, "from": "healthy", "from_reason": "none",
        "to": "unhealthy", "reason": "response_mismatch", "evidence": 0, "previous_seconds": 0}
    assert (minimum["type"], minimum["group"], minimum["to"]) == ("minimum", "web", "below_minimum")
    assert (second["target"], second["to"]) == (two.address, "unhealthy")
    assert (group["type"], group["from"], group["to"]) == ("group", "ordinary", "fail_open")
    assert (up["target"], up["from"], up["to"]) == (two.address, "unhealthy", "healthy")
    assert (again["type"], again["from"], again["to"]) == ("group", "fail_open", "ordinary")


def test_it_is_off_unless_asked_for_and_goes_to_standard_output_where_it_is(start, switches):
    one, _ = switches
    quiet = start.poise(text(switches, []))
    told(quiet, "to=healthy", 2)
    assert not [line for line in quiet.output("out") if '"type":"target"' in line]
    loud = start.poise(text(switches, [], health_log="stdout"))
    loud.wait_line(lambda line: line.startswith("{") and '"type":"target"' in line, "a line of the health log")


def test_usr1_opens_it_again(start, switches):
    one, _ = switches
    file, old = start.folder / "health.log", start.folder / "health.log.1"
    poise = start.poise(text(switches, [], health_log=file))
    lines(file, 2)
    file.rename(old)
    poise.signal(signal.SIGUSR1)
    eventually("a new file", file.exists)
    settle(poise, one, 500)
    assert [e["to"] for e in lines(file, 1)] == ["unhealthy"]
    assert len(lines(old, 2)) == 2


def test_a_path_that_cannot_be_written_is_refused_at_the_start_and_another_one_needs_a_restart(start, switches):
    running = start.poise(text(switches, []))
    running.file.write_text(text(switches, [], health_log=start.folder / "later.log"))
    running.signal(signal.SIGHUP)
    running.wait_line(lambda line: "restart needed: logs.health" in line, "the refusal")
    poise = start.poise(text(switches, [], health_log="/nowhere/health.log"), wait=False)
    assert poise.wait_exit() == 1
    start.running.remove(poise)
    assert "cannot write the health log /nowhere/health.log" in poise.text()


def test_a_log_that_hangs_or_fails_stops_nothing(start, switches):
    """A pipe without a reader's turn hangs as a disk does; /dev/full is full."""
    one, _ = switches
    pipe = start.folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        filler = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(filler, b"x" * 65536)
        os.close(filler)
        poise = start.poise(text(switches, [], health_log=pipe))
        told(poise, "to=healthy", 2)
        settle(poise, one, 500)
        assert get(poise.port).status == 200
        poise.signal(signal.SIGTERM)
        assert poise.wait_exit() == 0
    finally:
        os.close(reader)
    one.status = 200
    poise = start.poise(text(switches, [], health_log="/dev/full"))
    poise.wait_line(lambda line: "cannot write the health log /dev/full" in line, "the failure")
    eventually("it is counted", lambda: value(
        metrics(poise), "poise_health_log_lost_lines_total", cause="write_failed") >= 2)
    settle(poise, one, 500)
    # Told once.
    assert len(told(poise, "cannot write the health log")) == 1
