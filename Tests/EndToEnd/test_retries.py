"""Which requests are tried again, where, how often; limits and the queue of a target; kinds of targets."""
import json
import os
import socket
import threading

import pytest

from client import Client, get, request
from deadline import Deadline, eventually
from generated import check_generated
from origin import dead_port
from test_telemetry import metrics, value
from wire import Ended


def cutter(when="head", reset=False):
    """A handler that breaks off: right after accept, after the head, or in the middle of its answer."""
    def handler(conn):
        if when == "body":
            conn.request()
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        elif when == "head":
            conn.request()
        elif when == "status":
            conn.request()
            conn.send(b"HTTP/1.1 2")
        if reset:
            conn.reset()
    return handler


# Refused connections

def test_a_refused_connection_is_tried_elsewhere(start):
    kept, port = dead_port()
    origin = start.origin()
    poise = start.proxy(f"127.0.0.1:{port}", origin)
    with Client(poise.port) as client:
        for n in range(20):
            # A refused connection carried no byte: safe for every method.
            assert client.ask(request("/", method="POST", body=b"%d" % n)).status == 200
    assert [r.body for r in origin.requests] == [b"%d" % n for n in range(20)]
    kept.close()


def test_a_refused_connection_keeps_a_streamed_body_whole(start):
    kept, port = dead_port()
    origin = start.origin()
    poise = start.proxy(f"127.0.0.1:{port}", origin)
    body = os.urandom(1 << 20)
    with Client(poise.port) as client:
        for _ in range(4):
            assert client.ask(request("/", method="POST", body=body)).status == 200
    assert all(r.body == body for r in origin.requests)
    kept.close()


def test_refused_everywhere_is_an_answer(start):
    ports = [dead_port() for _ in range(2)]
    poise = start.proxy(*[f"127.0.0.1:{p}" for _, p in ports])
    with Client(poise.port) as client:
        for _ in range(3):
            client.send(request("/", fields=[("X-Request-Id", "probe-3")]))
            check_generated(client.response(), (502, 503), request_id="probe-3")


# Passive checks

@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_target_that_answers_that_it_cannot_is_ejected_and_comes_back(start, status):
    says = [status]

    def failing(conn):
        while True:
            conn.request(Deadline(600))
            conn.respond(says[0], body=b"its own words")
    bad, good = start.origin(failing), start.origin()
    poise = start.proxy(bad, good, group_passive={"consecutive_failures": 3, "ejection_time": "1s"})
    state = lambda: value(metrics(poise), "poise_target_state", target=bad.address, state="healthy")
    with Client(poise.port) as client:
        for _ in range(6):
            response = client.ask(request())
            assert response.status in (200, status), "it is passed on"
            assert response.status == 200 or response.body == b"its own words"
        assert len(bad.requests) == 3
        poise.wait_line(lambda line: f"target={bad.address}" in line and "consecutive_failures" in line, "it is ejected")
        says[0] = 200
        assert {client.ask(request()).status for _ in range(4)} == {200}
        assert len(bad.requests) == 3, "it is left alone"
        eventually("it comes back", lambda: state() == 1)
        assert [client.ask(request()).status for _ in range(4)] == [200] * 4
        assert len(bad.requests) == 5


def test_other_statuses_and_a_row_that_is_broken_eject_nobody(start):
    statuses = [500, 500, 500, 501, 505, 503, 503, 200, 503, 503, 404, 503]
    left = list(statuses)

    def failing(conn):
        while left:
            conn.request(Deadline(600))
            conn.respond(left.pop(0))
    bad, good = start.origin(failing), start.origin()
    poise = start.proxy(bad, good, group_passive={"consecutive_failures": 3, "ejection_time": "5m"})
    with Client(poise.port) as client:
        answers = [client.ask(request()).status for _ in range(2 * len(statuses))]
    assert sorted(answers) == sorted(statuses + [200] * len(statuses))
    assert "consecutive_failures" not in poise.text()


# Broken exchanges

@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("method, body", [("GET", None), ("HEAD", None), ("OPTIONS", None), ("PUT", b"kept"), ("DELETE", None),
                                          ("PUT", b"x" * 60_000)], ids=lambda v: v if isinstance(v, str) else None)
def test_an_idempotent_request_is_tried_elsewhere(start, method, body, reset):
    bad, good = start.origin(cutter(reset=reset)), start.origin()
    poise = start.proxy(bad, good)
    with Client(poise.port) as client:
        for _ in range(6):
            assert client.ask(request("/", method=method, body=body)).status == 200
    assert len(bad.requests) >= 1, "the bad one had its turn"
    assert all(r.body == (body or b"") for r in good.requests)


@pytest.mark.parametrize("method", ["POST", "PATCH", "BREW"])
def test_what_is_not_idempotent_is_sent_once(start, method):
    bad = start.origin(cutter())
    other = start.origin(cutter())
    poise = start.proxy(bad, other)
    with Client(poise.port) as client:
        for n in range(4):
            client.send(request("/", method=method, body=b"x"))
            assert client.response().status == 502
            assert len(bad.requests) + len(other.requests) == n + 1


def test_nothing_is_tried_again_once_a_byte_of_the_answer_came(start):
    for when in ("status", "body"):
        first, second = start.origin(cutter(when)), start.origin(cutter(when))
        poise = start.proxy(first, second)
        with Client(poise.port) as client:
            client.send(request())
            try:
                assert client.response().status == 502 and when == "status"
            except Ended:
                assert when == "body"
        assert len(first.requests) + len(second.requests) == 1


def test_a_body_that_is_no_longer_at_hand_is_not_sent_again(start):
    first, second = start.origin(cutter()), start.origin(cutter())
    poise = start.proxy(first, second)
    with Client(poise.port) as client:
        client.send(request("/", method="PUT", body=b"x" * 300_000))
        assert client.response("PUT").status == 502
    assert len(first.requests) + len(second.requests) == 1


@pytest.mark.parametrize("tries", [1, 2, 3])
def test_tries_are_counted(start, tries):
    origins = [start.origin(cutter()) for _ in range(3)]
    poise = start.proxy(*origins, group_tries=tries)
    assert get(poise.port).status == 502
    assert sum(len(o.requests) for o in origins) == tries


def test_one_try_means_no_retry_after_a_refusal_either(start):
    kept, port = dead_port()
    origin = start.origin()
    poise = start.proxy(f"127.0.0.1:{port}", origin, group_tries=1)
    seen = [get(poise.port).status for _ in range(4)]
    assert sorted(set(seen)) in ([200, 502], [200, 503])
    kept.close()


def test_a_further_try_goes_to_another_target(start):
    bad, good = start.origin(cutter()), start.origin()
    poise = start.proxy(bad, good)
    for _ in range(10):
        before = len(bad.requests)
        assert get(poise.port).status == 200
        assert len(bad.requests) - before <= 1


def test_retries_have_a_budget(start):
    origins = [start.origin(cutter()) for _ in range(2)]
    poise = start.proxy(*origins, group_budget_percent=0, group_budget_min=1)
    with Client(poise.port) as client:
        for _ in range(60):
            assert client.ask(request()).status == 502
    tries = sum(len(o.requests) for o in origins)
    # At least one per second over a window of ten: 60 first tries and at most about ten more.
    assert 60 <= tries <= 75, f"{tries} tries for 60 requests"


def test_a_refusal_costs_no_budget(start):
    kept, port = dead_port()
    origin = start.origin()
    poise = start.proxy(f"127.0.0.1:{port}", origin, group_budget_percent=0, group_budget_min=1)
    with Client(poise.port) as client:
        assert [client.ask(request()).status for _ in range(60)] == [200] * 60
    kept.close()


# Stale pooled connections

def test_a_pooled_connection_that_dies_under_a_get_is_replaced(start):
    def handler(conn):
        conn.request()
        conn.respond(body=b"x")
        conn.request(Deadline(30))  # and then gone, without a word
        conn.reset()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        for _ in range(5):
            assert client.ask(request()).status == 200


def test_a_pooled_connection_that_dies_under_a_post_is_an_honest_502(start):
    def handler(conn):
        conn.request()
        conn.respond(body=b"x")
        conn.request(Deadline(30))
        conn.reset()
    origin = start.origin(handler)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        assert client.ask(request("/", method="POST", body=b"1")).status == 200
        assert client.ask(request("/", method="POST", body=b"2")).status == 502
    assert [r.body for r in origin.wait_requests(2)] == [b"1", b"2"], "the second was not sent twice"


# retry_on

def failing(status):
    def handler(conn):
        while True:
            conn.request(Deadline(60))
            conn.respond(status, phrase="No", body=b"from the target")
    return handler


def test_a_status_is_passed_on_unless_told_otherwise(start):
    poise = start.proxy(start.origin(failing(503)))
    response = get(poise.port)
    assert (response.status, response.body) == (503, b"from the target")


def test_a_status_may_count_as_a_failed_try(start):
    bad, good = start.origin(failing(503)), start.origin()
    poise = start.proxy(bad, good, group_retry_on=[502, 503])
    with Client(poise.port) as client:
        assert [client.ask(request()).status for _ in range(6)] == [200] * 6
        assert len(bad.requests) >= 1
        statuses = [client.ask(request("/", method="POST", body=b"x")).status for _ in range(4)]
        assert 503 in statuses, "not idempotent: passed on as it is"


def test_the_last_try_is_passed_on(start):
    poise = start.proxy(start.origin(failing(503)), start.origin(failing(503)), group_retry_on=[503])
    response = get(poise.port)
    assert (response.status, response.body) == (503, b"from the target")


def test_a_timeout_may_count_as_a_failed_try(start):
    def silent(conn):
        conn.request()
        conn.expect_end(Deadline(30))
    bad, good = start.origin(silent), start.origin()
    poise = start.proxy(bad, good, group_retry_on=["timeout"], group_response_idle="200ms")
    with Client(poise.port) as client:
        assert [client.ask(request()).status for _ in range(4)] == [200] * 4
        assert len(bad.requests) >= 1
        statuses = [client.ask(request("/", method="POST", body=b"x")).status for _ in range(2)]
        assert sorted(statuses) == [200, 504]


# max_connections and the queue

class Gate:
    """A target that answers when told, and knows how many exchanges it had at once."""

    def __init__(self, start):
        self.lock, self.now, self.most = threading.Lock(), 0, 0
        self.permits = threading.Semaphore(0)
        self.origin = start.origin(self.handler)

    def handler(self, conn):
        while True:
            asked = conn.request(Deadline(60))
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
            try:
                assert self.permits.acquire(timeout=30)
            finally:
                with self.lock:
                    self.now -= 1
            conn.respond(body=asked.target.encode())

    def open(self, count=1):
        for _ in range(count):
            self.permits.release()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_target_never_has_more_exchanges_than_its_limit(start, workers):
    gate = Gate(start)
    poise = start.proxy(gate.origin, group_connections=2, process_workers=workers)
    clients = [Client(poise.port) for _ in range(12)]
    for n, client in enumerate(clients):
        client.send(request(f"/{n}"))
    gate.origin.wait_requests(2)
    gate.open(12)
    assert sorted(client.response().text for client in clients) == sorted(f"/{n}" for n in range(12))
    assert gate.most <= 2, f"{gate.most} exchanges at once"
    for client in clients:
        client.close()


def test_who_waited_longest_is_served_first(start):
    gate = Gate(start)
    poise = start.proxy(gate.origin, group_connections=1)
    clients = []
    for n in range(5):
        clients.append(Client(poise.port))
        clients[-1].send(request(f"/{n}"))
        if n == 0:
            gate.origin.wait_requests(1)
        else:
            clients[-1].expect_silence(0.05)  # it has arrived and waits
    gate.open(5)
    for client in clients:
        client.response()
        client.close()
    assert [r.target for r in gate.origin.requests] == [f"/{n}" for n in range(5)]


def test_a_full_queue_answers_at_once(start):
    gate = Gate(start)
    poise = start.proxy(gate.origin, group_connections=1, group_queue=1)
    first, second, third = Client(poise.port), Client(poise.port), Client(poise.port)
    first.send(request("/1"))
    gate.origin.wait_requests(1)
    second.send(request("/2"))
    second.expect_silence(0.1)
    third.send(request("/3", fields=[("X-Request-Id", "probe-4")]))
    response = check_generated(third.response(), 503, request_id="probe-4")
    assert "queue" in response.text
    gate.open(2)
    assert (first.response().text, second.response().text) == ("/1", "/2")
    gate.open(1)
    assert third.ask(request("/4")).text == "/4", "the refused client's connection goes on"


def test_waiting_ends_in_time(start):
    gate = Gate(start)
    poise = start.proxy(gate.origin, group_connections=1, group_queue_timeout="200ms")
    first, second = Client(poise.port), Client(poise.port)
    first.send(request("/1"))
    gate.origin.wait_requests(1)
    second.send(request("/2"))
    response = check_generated(second.response(), (503, 504))
    assert "queue" in response.text
    gate.open(1)
    assert first.response().text == "/1"
    assert [r.target for r in gate.origin.requests] == ["/1"]


def test_a_free_target_that_failed_does_not_end_the_waiting(start):
    kept, port = dead_port()
    gate = Gate(start)
    poise = start.proxy(f"127.0.0.1:{port}", gate.origin, group_connections=1)
    first, second = Client(poise.port), Client(poise.port)
    first.send(request("/1"))
    gate.origin.wait_requests(1)
    second.send(request("/2"))
    second.expect_silence(0.1)
    gate.open(2)
    assert (first.response().text, second.response().text) == ("/1", "/2")
    kept.close()


def test_among_many_full_targets_the_free_one_is_found(start):
    full, free = [Gate(start) for _ in range(12)], start.origin()
    poise = start.proxy(*[g.origin for g in full], free, group_connections=1)
    waiting = []
    for n in range(13):  # in turn: one for each
        waiting.append(Client(poise.port))
        waiting[-1].send(request())
        eventually("it has arrived", lambda: sum(len(g.origin.requests) for g in full) + len(free.requests) == n + 1)
    with Client(poise.port) as client:
        for _ in range(5):
            assert client.ask(request()).status == 200, "one slot is free, whoever else is full"
    for gate in full:
        gate.open(4)
    for client in waiting:
        client.close()


def test_a_client_that_leaves_the_queue_is_not_served(start):
    gate = Gate(start)
    poise = start.proxy(gate.origin, group_connections=1)
    first, second, third = Client(poise.port), Client(poise.port), Client(poise.port)
    first.send(request("/1"))
    gate.origin.wait_requests(1)
    second.send(request("/2"))
    second.expect_silence(0.1)
    second.reset()
    third.send(request("/3"))
    third.expect_silence(0.1)
    gate.open(2)
    assert (first.response().text, third.response().text) == ("/1", "/3")
    assert [r.target for r in gate.origin.requests] == ["/1", "/3"]


class Narrow:
    """A target that accepts only so many connections and resets any further one, as a small database pool would."""

    def __init__(self, start, most):
        self.lock, self.most, self.open, self.opened, self.refused = threading.Lock(), most, 0, 0, 0
        self.origin = start.origin(self.handler)

    def handler(self, conn):
        with self.lock:
            self.open += 1
            self.opened += 1
            if self.open > self.most:
                self.refused += 1
        try:
            while True:
                asked = conn.request(Deadline(60))
                conn.respond(body=asked.target.encode())
        finally:
            with self.lock:
                self.open -= 1


def test_idle_pooled_connections_of_another_worker_are_not_in_the_way(start):
    """A target that accepts one connection serves clients of both workers in turn: each closes its idle one for the other."""
    narrow = Narrow(start, 1)
    poise = start.proxy(narrow.origin, group_connections=1, process_workers=2, group_passive={"consecutive_failures": 0})
    clients = [Client(poise.port) for _ in range(12)]  # they spread over both workers
    for round in range(5):
        for n, client in enumerate(clients):
            assert client.ask(request(f"/{round}/{n}")).text == f"/{round}/{n}"
            # This target's threads may learn of the last one's end after they accepted the next.
            eventually("one connection is left", lambda: narrow.open == 1)
    assert narrow.opened > 2, "clients of both workers asked, or nothing was tested"
    assert narrow.opened < 60, "and a worker that asks again uses its own"
    (samples,) = [metrics(poise)]
    assert value(samples, "poise_target_connections", target_group="pool") == 1
    for client in clients:
        client.close()


@pytest.mark.parametrize("limit", [1, 3])
def test_open_connections_stay_within_the_limit_under_load(start, limit):
    narrow = Narrow(start, limit)
    poise = start.proxy(narrow.origin, group_connections=limit, process_workers=2, group_tries=1)
    failures = []

    def load(number):
        with Client(poise.port) as client:
            for n in range(40):
                response = client.ask(request(f"/{number}/{n}"))
                if (response.status, response.text) != (200, f"/{number}/{n}"):
                    failures.append((number, n, response.status))
    threads = [threading.Thread(target=load, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert value(metrics(poise), "poise_target_connections", target_group="pool") <= limit
        threads[0].join(0.01)
    assert failures == []
    samples = metrics(poise)
    assert value(samples, "poise_target_requests_total", target_group="pool") == 400
    assert value(samples, "poise_target_group_queue_length", target_group="pool") == 0
    assert value(samples, "poise_target_in_flight_requests", target_group="pool") == 0


def queued(poise, count):
    eventually(f"{count} wait", lambda: value(metrics(poise), "poise_target_group_queue_length", target_group="pool") == count)


def test_first_come_first_served_over_workers(start):
    gate = Gate(start)
    poise = start.proxy(gate.origin, group_connections=1, process_workers=2)
    clients = [Client(poise.port) for _ in range(16)]
    for n, client in enumerate(clients):
        client.send(request(f"/{n}"))
        gate.origin.wait_requests(1) if n == 0 else queued(poise, n)
    gate.open(len(clients))
    assert [client.response().text for client in clients] == [f"/{n}" for n in range(16)]
    assert [r.target for r in gate.origin.requests] == [f"/{n}" for n in range(16)]
    assert len(gate.origin.connections) > 1, "both workers had their turn, or nothing was tested"
    for client in clients:
        client.close()


def test_newcomers_do_not_overtake_who_waits(start):
    gate = Gate(start)
    poise = start.proxy(gate.origin, group_connections=1, process_workers=2)
    clients = [Client(poise.port) for _ in range(8)]
    for n, client in enumerate(clients):
        client.send(request(f"/{n}"))
        gate.origin.wait_requests(1) if n == 0 else queued(poise, n)
    late = [Client(poise.port) for _ in range(8)]
    # Each newcomer arrives in the moment in which a slot is given back.
    for n, client in enumerate(late):
        gate.open()
        client.send(request(f"/late/{n}"))
        assert clients[n].response().text == f"/{n}"
    gate.open(len(late))
    assert sorted(client.response().text for client in late) == [f"/late/{n}" for n in range(8)]
    assert [r.target for r in gate.origin.requests][:8] == [f"/{n}" for n in range(8)]
    for client in clients + late:
        client.close()


# Kinds of targets

def test_a_unix_socket_as_target(start):
    path = str(start.folder / "target.sock")
    origin = start.origin(path=path)
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        for _ in range(3):
            assert client.ask(request()).status == 200
    assert len(origin.connections) == 1 and origin.requests[0].get("Host") == "shop.test"


def test_a_unix_socket_that_is_not_there_is_tried_elsewhere(start):
    origin = start.origin()
    poise = start.proxy(f"unix:{start.folder}/nobody.sock", origin)
    assert [get(poise.port).status for _ in range(4)] == [200] * 4


def test_a_name_as_target(start):
    origin = start.origin()
    poise = start.proxy(f"localhost:{origin.port}")
    # localhost may also be ::1, where nobody listens: all addresses are used, the refused one is left.
    assert [get(poise.port).status for _ in range(6)] == [200] * 6


def test_only_a_name_that_does_not_resolve_is_503(start):
    poise = start.proxy("nowhere.invalid:80")
    check_generated(get(poise.port), (502, 503))


def test_targets_take_turns_by_weight(start):
    origins = [start.origin() for _ in range(3)]
    poise = start.proxy(*[{"address": o.address, "weight": w} for o, w in zip(origins, (5, 1, 0))])
    with Client(poise.port) as client:
        for _ in range(60):
            assert client.ask(request()).status == 200
    assert [len(o.requests) for o in origins] == [50, 10, 0]


def test_backup_targets_take_nothing_while_others_are_usable(start):
    main, backup = start.origin(), start.origin()
    poise = start.proxy(main, {"address": backup.address, "backup": True})
    assert [get(poise.port).status for _ in range(10)] == [200] * 10
    assert len(main.requests) == 10 and len(backup.requests) == 0


def test_an_answer_names_nobody_else(start):
    """Two clients in turn, on two connections each: everybody gets the answer to their own question."""
    origin = start.origin()
    poise = start.proxy(origin, process_workers=2)

    def ask(prefix):
        with Client(poise.port) as client:
            for n in range(200):
                path = f"/{prefix}/{n}"
                if json.loads(client.ask(request(path)).body)["target"] != path:
                    wrong.append(path)
    wrong = []
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and len(origin.requests) == 1200


def test_idle_target_connections_do_not_grow_without_need(start):
    origin = start.origin()
    poise = start.proxy(origin)
    clients = [Client(poise.port) for _ in range(8)]
    for client in clients:
        client.send(request())
    for client in clients:
        client.response()
        client.close()
    most = len(origin.connections)
    assert most <= 8
    for _ in range(50):
        assert get(poise.port).status == 200
    assert len(origin.connections) == most
    eventually("the clients' connections are gone", lambda: established(poise.port) == 0)


def established(port):
    """Connections whose server side is `port` of 127.0.0.1."""
    wanted = f"{socket.ntohl(int.from_bytes(socket.inet_aton('127.0.0.1'), 'big')):08X}:{port:04X}"
    with open("/proc/net/tcp") as table:
        return sum(1 for line in table if line.split()[1] == wanted and line.split()[3] == "01")


def test_a_source_is_the_client_that_trusted_proxies_speak_for(start):
    origins = [start.origin() for _ in range(4)]
    poise = start.proxy(*origins, group_algorithm="source_hash", trusted=["127.0.0.0/28"])

    def served(peer, client):
        before = [len(o.requests) for o in origins]
        with Client(poise.port, source=peer) as connection:
            connection.ask(request("/", fields=[("X-Forwarded-For", client)]))
        return [len(o.requests) - b for o, b in zip(origins, before)].index(1)
    for n in range(8):
        assert len({served(f"127.0.0.{p}", f"6.6.6.6, 192.0.2.{n}, 127.0.0.9") for p in (1, 2, 3)}) == 1
    assert len({served("127.0.0.1", f"198.51.100.{n}") for n in range(40)}) > 1, "one proxy, many clients"
    assert len({served("127.0.0.200", f"198.51.100.{n}") for n in range(20)}) == 1, "a stranger's word counts nothing"
