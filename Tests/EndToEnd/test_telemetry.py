"""What is seen from outside: access log, metrics, status, the admin API and its command line."""
import collections
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from admin import AdminConnection, admin, metrics, value, verb
from client import Client, get, request
from deadline import PATIENCE, eventually
from poise import BINARY
from settings import configuration, group, listener


def by_path(conn):
    """Answers /status/NNN with that status."""
    while True:
        asked = conn.request()
        if asked is None:
            return
        match = re.match(r"/status/(\d+)", asked.target)
        conn.respond(int(match[1]) if match else 200, body=b"x" * 10)


def statuses(poise, plan):
    """Sends the requests of `plan` ({path: count}) and counts the answers by class."""
    seen = collections.Counter()
    with Client(poise.port) as client:
        for path, count in plan.items():
            for _ in range(count):
                seen[f"{client.ask(request(path)).status // 100}xx"] += 1
    return seen


def test_metrics_and_log_agree_with_the_clients_own_count(start):
    origin = start.origin(by_path)
    rules = [{"name": "none", "when": {"path": ["/none"]}, "fixed_response": {"status": 410}}]
    poise = start.proxy(origin, rules=rules, forward="pool", process_workers=2)
    plan = {"/": 30, "/status/301": 4, "/status/404": 5, "/status/503": 6, "/none": 7}
    seen = statuses(poise, plan)
    assert seen == {"2xx": 30, "3xx": 4, "4xx": 12, "5xx": 6}
    eventually("all records", lambda: len(poise.records()) == 52)
    samples = metrics(poise)
    for code, count in seen.items():
        assert value(samples, "poise_listener_responses_total", listener="web", code=code) == count
        assert value(samples, "poise_rule_responses_total", listener="web", code=code) == count
    assert value(samples, "poise_listener_requests_total") == 52
    assert value(samples, "poise_listener_connections_max") == 0
    assert value(samples, "poise_rule_requests_total", rule="none") == 7
    assert value(samples, "poise_rule_requests_total", rule="default") == 45
    assert value(samples, "poise_target_group_requests_total", target_group="pool") == 45
    assert value(samples, "poise_target_requests_total", target=origin.address) == 45
    assert value(samples, "poise_target_responses_total", target=origin.address, code="5xx") == 6
    assert value(samples, "poise_listener_generated_responses_total") == 7
    assert value(samples, "poise_listener_ended_requests_total", reason="answered") == 45
    assert value(samples, "poise_listener_ended_requests_total", reason="fixed_response") == 7
    assert value(samples, "poise_listener_request_duration_seconds_count") == 52
    assert value(samples, "poise_target_group_request_duration_seconds_bucket", le="+Inf") == 45
    assert value(samples, "poise_target_received_bytes_total") == 450
    assert value(samples, "poise_access_log_records_total") == 52
    assert value(samples, "poise_workers") == 2
    logged = collections.Counter(f"{record['status'] // 100}xx" for record in poise.records())
    assert logged == seen
    assert collections.Counter(r["rule"] for r in poise.records()) == {"none": 7, "default": 45}
    for record in poise.records():
        proxied = record["path"] != "/none"
        assert record["target"] == (origin.address if proxied else None)
        assert record["group"] == ("pool" if proxied else None)
        assert record["listener"] == "web" and record["client"] == "127.0.0.1"
        assert record["total_us"] >= (record["target_us"] or 0) >= 0
        assert record["bytes_out"] == (10 if proxied else 0)


def test_bytes_of_our_own_answers_are_counted(start):
    rules = [{"when": {"path": ["/own"]}, "fixed_response": {"status": 200, "body": "hello"}}]
    poise = start.proxy(start.origin(), rules=rules)
    with Client(poise.port) as client:
        assert client.ask(request("/own")).body == b"hello"
        assert client.ask(request("/own", method="HEAD")).body == b""
        client.send(b"GET / HTTP/9.9\r\n\r\n")
        refused = client.response()
    eventually("three records", lambda: len(poise.records()) == 3)
    sent = sorted(record["bytes_out"] for record in poise.records())
    assert sent == sorted([5, 0, len(refused.body)])
    assert value(metrics(poise), "poise_listener_sent_bytes_total") == sum(sent)


@pytest.mark.parametrize("raw, method, path, host", [
    (b"GET /much HTTP/1.1\r\nHost: shop.test\r\nA: " + b"a" * 40_000, "GET", "/much", None),
    (b"PUT /expects HTTP/1.1\r\nHost: shop.test\r\nExpect: gold\r\n\r\n", "PUT", "/expects", None),
    (b"GET /next?a=b HTTP/2.0\r\n", "GET", "/next", None),
    (b"GE(T / HTTP/1.1\r\n", None, None, None),
])
def test_a_refused_request_is_logged_with_what_was_understood(start, raw, method, path, host):
    poise = start.proxy(start.origin())
    with Client(poise.port) as client:
        client.send(raw)
        client.response()
    record = poise.wait_record(reason="refused_request")
    assert (record["method"], record["path"], record["host"]) == (method, path, host)


def test_refusals_are_counted_by_what_is_wrong(start):
    poise = start.proxy(start.origin())
    for raw in (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET / HTTP/1.1\nHost: a\n\n"):
        with Client(poise.port) as client:
            client.send(raw)
            assert client.response().status == 400
    record = poise.wait_record(refusal="duplicate_host")
    assert record["reason"] == "refused_request" and record["status"] == 400 and record["target"] is None
    samples = eventually("both", lambda: (s := metrics(poise)) and value(
        s, "poise_listener_ended_requests_total", reason="refused_request") == 2 and s)
    assert value(samples, "poise_listener_refused_messages_total", reason="duplicate_host") == 1
    assert value(samples, "poise_listener_refused_messages_total", reason="bare_lf") == 1


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed (Debian package prometheus)")
def test_promtool_finds_nothing(start):
    poise = start.proxy(start.origin(by_path))
    statuses(poise, {"/": 3, "/status/500": 1})
    text = admin(poise, "GET", "/metrics")[2]
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_status_as_tables_and_json(start):
    origin = start.origin(by_path)
    poise = start.proxy(origin)
    statuses(poise, {"/": 5, "/status/500": 2})
    table = verb("status", poise=poise)
    assert table.returncode == 0, table.stderr
    lines = table.stdout.splitlines()
    web = next(line.split() for line in lines if line.startswith("web "))
    assert web[1] == f"127.0.0.1:{poise.port}" and web[4] == "7" and web[6:10] == ["5", "0", "0", "2"]
    target = next(line.split() for line in lines if line.strip().startswith(origin.address))
    assert target[1] == "healthy"
    assert "\x1b" not in table.stdout, "colours are for terminals"
    printed = verb("status", "--output", "json", poise=poise)
    tree = json.loads(printed.stdout)
    assert tree["listeners"][0]["addresses"] == [f"127.0.0.1:{poise.port}"]
    assert tree["target_groups"][0]["targets"][0]["responses"] == {"2xx": 5, "3xx": 0, "4xx": 0, "5xx": 2}
    assert tree["process"]["pid"] == poise.process.pid


def test_status_watches(start):
    poise = start.proxy(start.origin())
    with subprocess.Popen([BINARY, "status", "--watch=100ms"], stdout=subprocess.PIPE, text=True,
                          env=os.environ | {"POISE_ADMIN": str(poise.admin)}) as watching:
        try:
            frames = [line for line in (watching.stdout.readline() for _ in range(200)) if line.startswith("web ")][:3]
        finally:
            watching.kill()
    assert len(frames) == 3
    assert frames[0].split()[5] == "-" and frames[2].split()[5] == "0"


def test_nobody_answers(tmp_path):
    for name in ("status", "reload"):
        ended = verb(name, "--admin", tmp_path / "none.sock")
        assert ended.returncode == 5
        assert f"no Poise answers at {tmp_path}/none.sock: No such file or directory" in ended.stderr
        assert "help:" in ended.stderr


def test_admin_api_says_no_properly(start):
    poise = start.proxy(start.origin())
    for method, target, status in (
        ("GET", "/nothing", 404), ("POST", "/metrics", 405), ("GET", "/apply", 405), ("DELETE", "/status", 405),
        ("GET", "/status?format=xml", 400), ("GET", "/status?watch=0", 400), ("POST", "/targets/none/x/drain", 404),
        ("POST", "/targets/pool/x/drain", 404), ("POST", "/targets/pool/x/weight?weight=999", 400),
        ("POST", "/targets/pool/x/explode", 404), ("GET", "/targets/pool/x/drain", 405),
        ("GET", "/metrics/", 404), ("GET", "/../metrics", 404),
    ):
        answered, fields, body = admin(poise, method, target)
        assert answered == status, f"{method} {target}: {answered} {body}"
        assert {"error", "message"} == set(json.loads(body)), f"{method} {target}"
        assert (status == 405) == ("Allow" in fields), f"{method} {target}"
    assert os.stat(poise.admin).st_mode & 0o777 == 0o660


def test_drain_undrain_weight(start):
    first, second = start.origin(), start.origin()
    poise = start.proxy(first, second)
    drained = verb("drain", "pool", first.address, "--wait", poise=poise)
    assert drained.returncode == 0, drained.stderr
    assert f"{first.address} of pool: " in drained.stdout and "drained_by_operator" in drained.stdout
    before = len(first.requests)
    for _ in range(6):
        assert get(poise.port).status == 200
    assert len(first.requests) == before
    assert verb("undrain", "pool", first.address, poise=poise).returncode == 0
    for _ in range(6):
        get(poise.port)
    assert len(first.requests) > before
    assert verb("weight", "pool", second.address, 0, poise=poise).returncode == 0
    before = len(second.requests)
    for _ in range(6):
        get(poise.port)
    assert len(second.requests) == before
    unknown = verb("drain", "poll", first.address, poise=poise)
    assert unknown.returncode == 1 and "did you mean 'pool'?" in unknown.stderr
    for weight in ("much", "-1", "257"):
        refused = verb("weight", "pool", second.address, weight, poise=poise)
        assert refused.returncode == 2 and f"'{weight}' is not a weight" in refused.stderr


def test_a_weight_of_an_operator_is_shown_and_given_back(start):
    first, second = start.origin(), start.origin()
    poise = start.proxy({"address": first.address, "weight": 3}, second)

    def shown():
        targets = json.loads(admin(poise, "GET", "/status")[2])["target_groups"][0]["targets"]
        return [(t["weight"], t["weight_overridden"]) for t in targets]
    told = verb("weight", "pool", first.address, 5, poise=poise)
    assert told.returncode == 0 and "weight 5 (operator)" in told.stdout
    assert shown() == [(5, True), (1, False)]
    assert "5 (operator)" in verb("status", poise=poise).stdout
    assert "weight 5 (operator)" in verb("status", first.address, poise=poise).stdout
    back = verb("weight", "pool", first.address, "--reset", poise=poise)
    assert back.returncode == 0 and "weight 3," in back.stdout, back.stderr
    assert shown() == [(3, False), (1, False)]
    assert "(operator)" not in verb("status", poise=poise).stdout
    assert verb("weight", "pool", first.address, 5, "--reset", poise=poise).returncode == 2


def test_what_was_told_is_in_force_for_the_very_next_request(start):
    """The answer of the admin API must not overtake the order to the workers: many tries, as it is a race."""
    first, second = start.origin(), start.origin()
    poise = start.proxy(first, second, process_workers=2)
    path = f"/targets/pool/{first.address}".replace(":", "%3A")
    connection = AdminConnection(poise.admin)
    for turn in range(150):
        assert admin(poise, "POST", f"{path}/drain", connection=connection)[0] == 200
        before = len(first.requests)
        assert get(poise.port).status == 200 and get(poise.port).status == 200
        assert len(first.requests) == before, f"turn {turn}"
        assert admin(poise, "POST", f"{path}/undrain", connection=connection)[0] == 200
    connection.close()


def test_apply_sends_what_the_caller_can_read(start, tmp_path):
    old, new = start.origin(), start.origin()
    poise = start.proxy(old)
    get(poise.port)
    text = poise.file.read_text()
    (tmp_path / "targets.txt").write_text(new.address)
    changed = tmp_path / "new.yaml"
    changed.write_text(text.replace(old.address, "file:targets.txt"))
    applied = verb("apply", changed, poise=poise)
    assert applied.returncode == 0, applied.stderr
    assert "configuration 2 is in force" in applied.stdout and "0 connections touched" in applied.stdout
    get(poise.port)
    assert len(new.requests) == 1
    environment = tmp_path / "environment.yaml"
    environment.write_text(text.replace(old.address, "${BACK}"))
    assert verb("apply", environment, poise=poise, BACK=old.address).returncode == 0
    get(poise.port)
    assert (len(old.requests), len(new.requests)) == (2, 1)
    broken = tmp_path / "broken.yaml"
    broken.write_text("listeners: 5\n")
    refused = verb("apply", broken, poise=poise)
    assert refused.returncode == 3 and f"{broken}:1:" in refused.stderr
    # Sent without a bundle, a text can name no files: the daemon opens nothing for it.
    status, _, body = admin(poise, "POST", "/apply", body=changed.read_bytes())
    assert status == 422 and "was not sent along" in json.loads(body)["message"]
    assert get(poise.port).status == 200
    assert verb("reload", poise=poise).returncode == 0
    assert value(metrics(poise), "poise_config_apply_failures_total") == 1


def test_metrics_address_serves_nothing_else(start):
    poise = start.proxy(start.origin(), process_metrics="127.0.0.1:0")
    line = poise.wait_line(lambda line: line.startswith("ready metrics="), "the metrics' address")
    port = int(line.rpartition(":")[2])
    assert b"poise_build_info" in get(port, "/metrics").body
    for path in ("/status", "/", "/apply"):
        assert get(port, path).status == 404
    with Client(port) as client:
        assert client.ask(request("/metrics", method="POST")).status == 405


def test_admin_socket_taken_or_left_over(start):
    first = start.proxy(start.origin())
    text = first.file.read_text()
    second = start.poise(text, wait=False, environment={"POISE_ADMIN": str(first.admin)})
    assert second.wait_exit() == 1
    assert f"cannot open the admin socket {first.admin}: Address already in use" in second.text()
    assert verb("status", poise=first).returncode == 0, "the first one is not disturbed"
    first.kill()
    assert first.admin.exists()
    third = start.poise(text, environment={"POISE_ADMIN": str(first.admin)})
    assert verb("status", poise=first).returncode == 0
    third.stop()
    assert not first.admin.exists()
    start.running.remove(first)
    start.running.remove(second)


# The log's file.


def test_usr1_reopens_after_a_rename(start, tmp_path):
    path = tmp_path / "access.log"
    poise = start.proxy(start.origin(), process_access_log=str(path))
    get(poise.port, "/before")
    eventually("the first record", lambda: path.read_text().count("\n") == 1)
    moved = path.rename(tmp_path / "access.log.1")
    get(poise.port, "/between")
    eventually("a record in the moved file", lambda: moved.read_text().count("\n") == 2)
    poise.signal(signal.SIGUSR1)
    eventually("the new file", path.exists)
    get(poise.port, "/after")
    eventually("a record in the new file", lambda: path.read_text().count("\n") == 1)
    assert [json.loads(line)["path"] for line in moved.read_text().splitlines()] == ["/before", "/between"]
    assert json.loads(path.read_text())["path"] == "/after"


def test_everything_is_written_at_the_end(start, tmp_path):
    path = tmp_path / "access.log"
    poise = start.proxy(start.origin(), process_access_log=str(path))
    for _ in range(50):
        get(poise.port)
    poise.stop()
    assert path.read_text().count("\n") == 50


def test_unwritable_log_is_an_error_at_the_start(start):
    poise = start.poise(configuration([listener(default={"fixed_response": {"status": 200}})],
                                      access_log="/nowhere/access.log"), wait=False)
    assert poise.wait_exit() == 1
    assert "cannot write the access log /nowhere/access.log: No such file or directory" in poise.text()
    assert "poise.yaml:" in poise.text() and "help:" in poise.text()
    start.running.remove(poise)


def test_a_full_disk_loses_records_and_nothing_else(start):
    poise = start.proxy(start.origin(), process_access_log="/dev/full")
    for _ in range(20):
        assert get(poise.port).status == 200
    poise.wait_line(lambda line: "cannot write the access log /dev/full: No space left on device" in line, "a message")
    eventually("all counted", lambda: value(
        metrics(poise), "poise_access_log_lost_records_total", cause="write_failed") == 20)
    assert sum("No space left" in line for line in poise.output()) == 1
    assert "20 records were lost" in verb("status", poise=poise).stdout


@pytest.fixture
def small_disk(tmp_path):
    """A tmpfs of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a tmpfs")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_the_log_goes_on_when_the_disk_has_room_again(start, small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 48 * 1024)
    path = small_disk / "access.log"
    poise = start.proxy(start.origin(), process_access_log=str(path))
    sent = 0
    with Client(poise.port) as client:
        def one():
            nonlocal sent
            assert client.ask(request("/" + "p" * 500)).status == 200
            sent += 1
            return any("No space left" in line for line in poise.output())
        eventually("a full disk", one)
        ballast.unlink()
        def written():
            one()
            return any("is written again" in line for line in poise.output())
        eventually("the log to go on", written)
    eventually("the rest", lambda: value(metrics(poise), "poise_access_log_records_total") + value(
        metrics(poise), "poise_access_log_lost_records_total") == sent)
    whole = 0
    for line in path.read_text().splitlines():
        try:
            json.loads(line)
            whole += 1
        except ValueError:
            pass  # The line that the full disk cut.
    assert whole == value(metrics(poise), "poise_access_log_records_total")


# Offline verbs.


def test_check_config_show_and_schema(tmp_path):
    text = configuration([listener(forward="pool")], [group("pool", ["127.0.0.1:1"], health_check={"path": "/health"})])
    (tmp_path / "good.yaml").write_text(text)
    (tmp_path / "bad.yaml").write_text(text.replace("forward: pool", "forward: pol"))
    checked = verb("check", "good.yaml", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "1 listener, 0 rules, 1 target group, 1 target" in checked.stdout
    assert "GET /health every 5s: a dead target is out within 11s" in checked.stdout
    refused = verb("check", "bad.yaml", cwd=tmp_path)
    assert refused.returncode == 3 and "bad.yaml:" in refused.stderr and "did you mean 'pool'?" in refused.stderr
    assert "\x1b" not in refused.stderr
    assert verb("check", cwd=tmp_path).returncode == 2
    shown = verb("config", "show", "--effective", "good.yaml", cwd=tmp_path)
    assert shown.returncode == 0 and "# good.yaml:" in shown.stdout and "interval: 5s" in shown.stdout
    (tmp_path / "again.yaml").write_text(shown.stdout)
    assert verb("check", "again.yaml", cwd=tmp_path).returncode == 0
    assert json.loads(verb("schema").stdout)["type"] == "object"


@pytest.mark.parametrize("records, loses", [(64, True), (8192, False)])
def test_the_ring_of_the_log_has_the_size_that_is_set(start, records, loses):
    rules = [{"when": {"path": ["/own"]}, "fixed_response": {"status": 200}}]
    path = start.folder / "unread.fifo"
    os.mkfifo(path)
    with open(os.open(path, os.O_RDWR), "rb"):  # and never read: the writer thread hangs
        poise = start.proxy(start.origin(), rules=rules, process_access_log=str(path),
                            process_access_ring_records=records)
        with Client(poise.port) as client:
            for _ in range(20):
                client.send(request("/own") * 100)
                for _ in range(100):
                    assert client.response().status == 200
        lost = value(metrics(poise), "poise_access_log_lost_records_total", cause="ring_full")
        assert (lost > 0) == loses, lost
        poise.kill()
        start.running.remove(poise)
