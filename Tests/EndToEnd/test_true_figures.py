"""What is counted and said is what happened: tries, retries, failures, statuses of answers that never left."""
import socket

import pytest

from admin import metrics, value
from client import Client, get, request
from deadline import eventually
from generated import check_generated
from settings import configuration, group, listener


def closes_after_each(conn):
    conn.request()
    conn.respond(body=b"ok")  # and the end of the connection, unannounced


def test_a_stale_connection_is_no_try_no_retry_and_no_failure(start):
    origin = start.origin(closes_after_each)
    poise = start.proxy(origin, process_workers=1)
    with Client(poise.port) as client:
        for count in range(1, 11):
            assert client.ask(request()).status == 200
            assert len(origin.requests) == count
            origin.connections[-1].wait_over()
    seen = metrics(poise)
    assert value(seen, "poise_target_group_tries_total") == value(seen, "poise_target_requests_total") == 10
    for name in ("poise_target_group_retries_total", "poise_target_retries_total", "poise_target_failures_total"):
        assert value(seen, name) == 0, name


def test_a_retry_is_counted_when_it_is_made(start):
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        alone = f"127.0.0.1:{dead.getsockname()[1]}"
        poise = start.proxy(alone)
        for _ in range(5):
            assert get(poise.port).status == 502
        seen = metrics(poise)
        assert value(seen, "poise_target_group_tries_total") == 5 and value(seen, "poise_target_group_retries_total") == 0
        assert value(seen, "poise_target_retries_total") == 0
        both = start.proxy(alone, start.origin())
        for _ in range(6):
            assert get(both.port).status == 200
        seen = metrics(both)
        assert value(seen, "poise_target_group_retries_total") == 3 == value(seen, "poise_target_retries_total")
        assert value(seen, "poise_target_group_tries_total") == 9


def test_an_answer_that_is_faulty_before_it_has_left_is_502(start):
    def handler(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
        conn.expect_end()
    poise = start.proxy(start.origin(handler))
    with Client(poise.port) as client:
        for number in range(2):
            response = client.ask(request("/", fields=[("X-Request-Id", f"n{number}")]))
            check_generated(response, 502, request_id=f"n{number}")
    assert poise.wait_record(status=502, reason="refused_answer")["bytes_out"] > 0
    seen = metrics(poise)
    assert value(seen, "poise_listener_responses_total", code="2xx") == 0
    assert value(seen, "poise_listener_responses_total", code="5xx") == 2
    assert value(seen, "poise_target_responses_total", code="2xx") == 0


def test_a_head_that_comes_slowly_is_not_silence(start):
    def handler(conn):
        conn.request()
        for piece in (b"HTTP/1.1 200 OK\r\n", *[b"X-%d: y\r\n" % n for n in range(6)], b"Content-Length: 0\r\n\r\n"):
            conn.send(piece)
            conn.expect_silence(0.15)
        conn.expect_end()
    poise = start.proxy(start.origin(handler), group_response_idle="600ms")
    assert get(poise.port).status == 200


def test_a_target_that_was_only_restarted_is_back_once_probes_pass(start):
    check = {"interval": "200ms", "timeout": "150ms", "healthy": 2, "unhealthy": 100}
    down = {"cuts": False}

    def handler(conn):
        while down["cuts"] <= (conn.request().target == "/probe"):
            conn.respond(body=b"ok")
    origin = start.origin(handler)
    poise = start.proxy(
        origin, start.origin(), group_health_check=check | {"path": "/probe"},
        group_passive={"consecutive_failures": 2, "ejection_time": "5m"})
    unhealthy = lambda: value(metrics(poise), "poise_target_state", state="unhealthy")  # noqa: E731
    down["cuts"] = True
    eventually("it is ejected", lambda: [get(poise.port) for _ in range(4)] and unhealthy() == 1)
    down["cuts"] = False
    eventually("probes have passed", lambda: unhealthy() == 0)


@pytest.mark.parametrize("rules", [[], [{"when": {"host": ["other.test"]}, "forward": "pool"}]])
def test_a_path_above_the_root_is_refused_whatever_the_rules_are(start, rules):
    origin = start.origin()
    poise = start.poise(configuration([listener(rules=rules, forward="pool")], [group("pool", [origin.address])]))
    check_generated(get(poise.port, "/../etc/passwd"), 400)
    assert get(poise.port, "/a/../b").status == 200
    assert [asked.target for asked in origin.requests] == ["/a/../b"]


def test_a_file_that_is_no_socket_stays_where_a_socket_should_be(start, tmp_path):
    path = tmp_path / "precious"
    path.write_text("mine")
    poise = start.poise(
        configuration([listener(address=f"unix:{path}", forward="pool")], [group("pool", [start.origin().address])]),
        wait=False)
    assert poise.wait_exit() == 1
    start.running.remove(poise)
    assert path.read_text() == "mine"
