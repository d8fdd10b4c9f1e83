"""HTTP/2 towards targets: connections that clients share, windows, safe retries, and targets that break the protocol."""
import contextlib
import json
import random
import threading
import time

import pytest

import client as http1
import http2
from admin import metrics, value, verb
from client import request
from deadline import PATIENCE, Deadline, eventually
from frames import (CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR,
                    HEADERS, HTTP_1_1_REQUIRED, INITIAL_WINDOW_SIZE, INTERNAL_ERROR, MAX_CONCURRENT_STREAMS,
                    MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE, NO_ERROR, PING, PROTOCOL_ERROR, PUSH_PROMISE, REFUSED_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE,
                    block, code, frame, settings)
from generated import check_generated
from settings import configuration, group, listener
from test_health_and_apply import CHECK, reload
from tls import Authority, server_context
from wire import Ended

END = END_HEADERS | END_STREAM

LARGE = 16 << 20


def behind(start, *origins, **settings):
    return start.proxy(*origins, group_version="http2", **settings)


def scripted(*steps):
    """A handler that does one step per request: each gets the connection and the request."""
    left = list(steps)

    def handler(conn):
        while True:
            request = conn.request(Deadline(60))
            (left.pop(0) if left else fine)(conn, request)
    return handler


def fine(conn, request):
    conn.respond(request, body=b"fine")


def together(poise, count, path="/", **more):
    """So many clients that ask at once; their answers."""
    answers, failures = [], []

    def ask(n):
        try:
            answers.append(http1.get(poise.port, f"{path}{n}", **more))
        except Exception as error:
            failures.append(error)
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    return answers


def test_clients_share_a_connection(start):
    origin = start.h2_origin()
    poise = behind(start, origin)
    assert http1.get(poise.port).status == 200
    assert {a.status for a in together(poise, 40)} == {200}
    assert len(origin.connections) == 1
    assert [r.stream for r in origin.requests] == list(range(1, 2 * 41, 2))


@pytest.mark.parametrize("limited", ["by us", "by the target"])
def test_connections_are_opened_as_streams_need_them(start, limited):
    gate = threading.Semaphore(0)

    def handler(conn):
        while True:
            held = [conn.request(Deadline(60)) for _ in range(2)]
            assert gate.acquire(timeout=20)
            for request in held:
                conn.respond(request)
    own = {MAX_CONCURRENT_STREAMS: 2} if limited == "by the target" else {}
    origin = start.h2_origin(handler, own_settings=own)
    poise = behind(start, origin, group_streams=2 if limited == "by us" else None)
    clients = [http1.Client(poise.port) for _ in range(6)]
    for n, client in enumerate(clients):
        client.send(request(f"/{n}"))
        origin.wait_requests(n + 1)
    assert [len(conn.requests) for conn in origin.connections] == [2, 2, 2]
    for _ in range(3):
        gate.release()
    assert [client.response().status for client in clients] == [200] * 6
    for client in clients:
        client.close()


def test_beyond_the_limit_of_connections_requests_wait(start):
    gate = threading.Event()

    def handler(conn):
        while True:
            request = conn.request(Deadline(60))
            assert gate.wait(20)
            conn.respond(request)
    origin = start.h2_origin(handler)
    poise = behind(start, origin, group_streams=1, group_h2_connections=2)
    clients = [http1.Client(poise.port) for _ in range(4)]
    for n, client in enumerate(clients):
        client.send(request(f"/{n}"))
    origin.wait_requests(2)
    eventually("two wait", lambda: value(metrics(poise), "poise_target_group_queue_length") == 2)
    gate.set()
    assert [client.response().status for client in clients] == [200] * 4
    assert len(origin.connections) == 2
    for client in clients:
        client.close()


def held(gate):
    """A handler that answers once `gate` is open."""
    def handler(conn):
        while True:
            request = conn.request(Deadline(60))
            assert gate.wait(30)
            conn.respond(request)
    return handler


def waiting(poise):
    return value(metrics(poise), "poise_target_group_queue_length")


def test_whoever_closes_while_waiting_for_a_place_waits_no_more(start):
    gate = threading.Event()
    origin = start.h2_origin(held(gate))
    poise = behind(start, origin, group_streams=1, group_h2_connections=1)
    busy, leaving, patient, closed = clients = [http1.Client(poise.port) for _ in range(4)]
    busy.send(request("/busy"))
    origin.wait_requests(1)
    leaving.send(request("/leaving"))
    patient.send(request("/patient"))
    eventually("two wait", lambda: waiting(poise) == 2)
    leaving.half_close()
    eventually("one has left", lambda: waiting(poise) == 1)
    closed.send(request("/closed"))
    closed.half_close()
    assert leaving.response().status == closed.response().status == 503
    assert waiting(poise) == 1 and value(metrics(poise), "poise_listener_client_aborts_total") == 2
    gate.set()
    assert busy.response().status == patient.response().status == 200
    assert len(origin.requests) == 2
    for client in clients:
        client.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_queue_is_one_for_all_targets_and_workers(start, workers):
    gate = threading.Event()
    origins = [start.h2_origin(held(gate)) for _ in range(2)]
    poise = behind(start, *origins, group_streams=1, group_h2_connections=1, group_queue=3, process_workers=workers)
    clients = [http1.Client(poise.port) for _ in range(24)]
    for n, client in enumerate(clients):
        client.send(request(f"/{n}"))
    refused = lambda: value(metrics(poise), "poise_target_group_queue_overflows_total")
    eventually("all have arrived", lambda: sum(len(o.requests) for o in origins) + waiting(poise) + refused() == 24)
    assert waiting(poise) == 3
    served = sum(len(origin.requests) for origin in origins) + 3
    gate.set()
    statuses = [client.response().status for client in clients]
    assert statuses.count(200) == served and statuses.count(503) == 24 - served == refused()
    assert waiting(poise) == 0
    for client in clients:
        client.close()


def test_the_time_in_the_queue_is_one_for_all_tries(start):
    """It runs from the first wait on, and not anew at the next target."""
    gates = [threading.Event(), threading.Event()]

    def handler(gate):
        def run(conn):
            request = conn.request(Deadline(60))
            assert gate.wait(30)
            conn.respond(request)
            conn.reset_stream(conn.request(Deadline(60)).stream, INTERNAL_ERROR)
            conn.expect_end(Deadline(60))
        return run
    origins = [start.h2_origin(handler(gate)) for gate in gates]
    poise = behind(start, *origins, group_streams=1, group_h2_connections=1, group_queue_timeout="1s")
    with http1.Client(poise.port) as one, http1.Client(poise.port) as two, http1.Client(poise.port) as three:
        one.send(request("/one"))
        eventually("the first has arrived", lambda: sum(len(o.requests) for o in origins) == 1)
        first = 0 if origins[0].requests else 1
        two.send(request("/two"))
        origins[1 - first].wait_requests(1)
        begun = time.monotonic()
        three.send(request("/three"))
        three.expect_silence(0.7)
        gates[first].set()
        check_generated(three.response(), 503)
        assert 0.9 < time.monotonic() - begun < 1.5
        assert len(origins[first].requests) == 2, "its first try was over by then"
        gates[1 - first].set()
        assert (one.response().status, two.response().status) == (200, 200)
    assert poise.wait_record(path="/three")["reason"] == "queue_timeout"


@pytest.mark.parametrize("queue", [None, 0])
def test_connections_of_all_workers_count(start, queue):
    """As with HTTP/1: one that is idle in another worker is closed for who needs it, whatever the queue's bound."""
    origin = start.h2_origin()
    poise = behind(start, origin, group_connections=1, group_queue=queue, process_workers=3)
    for _ in range(40):
        assert http1.get(poise.port).status == 200
        assert value(metrics(poise), "poise_target_connections") <= 1
    assert len(origin.connections) > 1, "several workers took part"


@pytest.mark.parametrize("kept", [0, 1])
def test_idle_connections_are_kept_up_to_a_limit(start, kept):
    gate = threading.Event()
    origin = start.h2_origin(held(gate))
    poise = behind(start, origin, group_streams=1, group_idle_connections=kept)
    clients = [http1.Client(poise.port) for _ in range(4)]
    for n, client in enumerate(clients):
        client.send(request(f"/{n}"))
        origin.wait_requests(n + 1)
    gate.set()
    assert [client.response().status for client in clients] == [200] * 4
    eventually("the others are closed", lambda: value(metrics(poise), "poise_target_connections") == kept)
    assert http1.get(poise.port).status == 200
    assert len(origin.connections) == 4 + (1 - kept)


def test_connections_of_all_workers_count_under_load(start):
    lock, now, most = threading.Lock(), [0], [0]

    def answer(conn, request):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.002)  # as a target that has to work
        with lock:
            now[0] -= 1
        conn.respond(request)
    origin = start.h2_origin(lambda conn: [answer(conn, conn.request(Deadline(60))) for _ in iter(int, 1)])
    poise = behind(start, origin, group_connections=2, group_queue_timeout="30s", process_workers=3)
    statuses, seen, over = [], [], threading.Event()

    def ask():
        for _ in range(20):
            statuses.append(http1.get(poise.port).status)

    def look():
        while not over.is_set():
            seen.append(value(metrics(poise), "poise_target_connections"))
    threads, watch = [threading.Thread(target=ask) for _ in range(12)], threading.Thread(target=look)
    for thread in (watch, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    watch.join()
    assert statuses == [200] * 240 and most[0] <= 2 and max(seen) <= 2
    assert waiting(poise) == 0


def test_no_place_is_lost_with_those_who_give_up(start):
    """Clients leave while they wait, while they are served, and while targets end connections: all places come back."""
    def handler(conn):
        for n in range(7):
            request = conn.request(Deadline(60))
            time.sleep(0.001 * (n % 3))
            if n == 5:
                conn.reset_stream(request.stream, INTERNAL_ERROR)
            else:
                conn.respond(request)
        conn.goaway(0x7FFFFFFF)
    origin = start.h2_origin(handler)
    poise = behind(start, origin, group_connections=2, group_streams=2, process_workers=3, group_queue_timeout="20s")

    def come_and_go(seed):
        rng = random.Random(seed)
        for _ in range(25):
            with http2.Client(poise.port) as client:
                streams = [client.begin(f"/{n}", end=True) for n in range(rng.randrange(1, 5))]
                for stream in streams:
                    with contextlib.suppress(http2.StreamReset, Ended):
                        if rng.random() < 0.5:
                            client.response(stream, Deadline(30))
                        elif rng.random() < 0.5:
                            client.reset_stream(stream)
    threads = [threading.Thread(target=come_and_go, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually("nobody is left", lambda: value(metrics(poise), "poise_target_in_flight_requests") == waiting(poise) == 0)
    assert value(metrics(poise), "poise_target_connections") <= 2
    assert {http1.get(poise.port).status for _ in range(20)} <= {200, 502}, "a place is found at once"
    assert value(metrics(poise), "poise_target_group_queue_timeouts_total") == 0


@pytest.mark.parametrize("before, after", [(None, 1), (1, None), (1, 3)])
def test_a_limit_of_connections_that_changes(start, before, after):
    gate = threading.Event()
    origin = start.h2_origin(held(gate))
    text = lambda limit: configuration(
        [listener(forward="pool")], [group("pool", [origin.address], version="http2", streams=1, h2_connections=4, connections=limit)])
    poise = start.poise(text(before))
    clients = [http1.Client(poise.port) for _ in range(6)]
    for n, client in enumerate(clients):
        client.send(request(f"/{n}"))
    eventually("all have arrived", lambda: len(origin.requests) + waiting(poise) == 6)
    assert len(origin.requests) == (before or 4)
    reload(poise, text(after))
    if before == 1:
        origin.wait_requests(after or 4)
    gate.set()
    assert [client.response().status for client in clients] == [200] * 6
    for _ in range(10):
        assert http1.get(poise.port).status == 200
    eventually("the limit holds", lambda: value(metrics(poise), "poise_target_connections") <= (after or 4))
    assert waiting(poise) == 0


def test_streams_are_balanced_over_targets(start):
    one, two = start.h2_origin(), start.h2_origin()
    poise = behind(start, one, two)
    assert {a.status for a in together(poise, 20)} == {200}
    assert (len(one.requests), len(two.requests)) == (10, 10)


def test_over_tls_by_alpn(start):
    authority = Authority()
    origin = start.h2_origin(tls=server_context(authority.issue("target.test"), ["h2"]))
    more = {"group_protocol": "HTTPS", "group_authority": authority.file(start.folder), "group_certificate_name": "target.test"}
    poise = behind(start, origin, **more)
    assert http1.get(poise.port, method="POST", body=b"x" * 100_000).status == 200
    assert origin.requests[0].scheme == "https" and len(origin.requests[0].body) == 100_000
    old = start.origin(tls=server_context(authority.issue("target.test"), ["http/1.1"]))
    check_generated(http1.get(behind(start, old, **more).port), 502)


# Windows of the target

@pytest.mark.parametrize("window", [1, 7, 1000])
def test_small_windows_of_a_target(start, window):
    origin = start.h2_origin(own_settings={INITIAL_WINDOW_SIZE: window})
    poise = behind(start, origin)
    assert http1.get(poise.port).status == 200  # our side knows the window now
    body = bytes(range(256)) * (1 if window == 1 else 100)
    assert http1.get(poise.port, method="POST", body=body).status == 200
    assert origin.requests[1].body == body


def test_a_stalled_stream_holds_back_no_other(start):
    def handler(conn):
        if conn.number:
            return scripted()(conn)
        conn.replenishes = False
        first = conn.head(Deadline(60))
        conn.window_update(0, 1 << 20)
        conn.window += 1 << 20
        for _ in range(5):
            conn.respond(conn.request())
        conn.resume()
        conn.finish(first)
        conn.respond(first)
    origin = start.h2_origin(handler)
    poise = behind(start, origin)
    with http1.Client(poise.port) as slow:
        slow.send(request(method="POST", body=bytes(200_000)))
        origin.wait_requests(complete=False)
        for _ in range(5):
            assert http1.get(poise.port).status == 200
        assert slow.response("POST").status == 200
    assert len(origin.connections) == 1


@pytest.mark.parametrize("stalled", [4, 30])
def test_answers_that_nobody_reads_leave_the_others_their_windows(start, stalled):
    """5.2.2: they fill the windows of their streams, and not the connection's."""
    def handler(conn):
        streams = [conn.head(Deadline(60)).stream for _ in range(stalled)]
        for stream in streams:
            conn.headers(stream, [(":status", "200"), ("content-length", LARGE)])
        left, settled = dict.fromkeys(streams, LARGE), False
        while not settled:
            for stream in streams:
                while (room := min(conn.credit[0], conn.credit[stream], left[stream], 16_384)) > 0:
                    conn.data(stream, bytes(room))
                    left[stream] -= room
            try:
                conn.read(Deadline(0.5))
            except TimeoutError:
                settled = True
        assert all(left.values()), "somebody reads"
        filled.set()
        while True:
            conn.respond(conn.request(Deadline(60)), body=bytes(100_000))
    filled = threading.Event()
    poise = behind(start, start.h2_origin(handler), group_h2_connections=1, body_rate="0B")
    slow = [http1.Client(poise.port, receive_buffer=4096) for _ in range(stalled)]
    for client in slow:
        client.send(request("/large"))
    for client in slow:
        client.until(b"\r\n\r\n")
    assert filled.wait(30)
    for _ in range(10):
        assert len(http1.get(poise.port, "/small").body) == 100_000
    for client in slow:
        client.close()


# Retries

def refuse(conn, request):
    conn.reset_stream(request.stream, REFUSED_STREAM)


def test_a_refused_stream_is_tried_again(start):
    origin = start.h2_origin(scripted(refuse, refuse))
    poise = behind(start, origin)
    assert http1.get(poise.port, method="POST", body=b"again").body == b"fine", "it was not processed: safe for every method"
    assert [r.body for r in origin.requests if r.complete][-1] == b"again"
    assert len(origin.requests) in (2, 3)


def test_a_refused_stream_is_tried_at_another_target(start):
    bad, good = start.h2_origin(scripted(*[refuse] * 50)), start.h2_origin(scripted())
    poise = behind(start, bad, good)
    assert [http1.get(poise.port, method="POST", body=b"x").status for _ in range(6)] == [200] * 6


def test_requests_beyond_a_goaway_are_tried_again(start):
    """The target names the last stream it serves; those behind it were not processed. RFC 9113 6.8"""
    def handler(conn):
        if conn.number:
            return scripted()(conn)
        first, second, third = (conn.request(Deadline(60)) for _ in range(3))
        conn.goaway(first.stream)
        conn.respond(first, body=b"first")
        conn.expect_end(Deadline(30))
    origin = start.h2_origin(handler)
    poise = behind(start, origin)
    answers = together(poise, 3, method="POST", body=b"x")
    assert sorted(a.body for a in answers) == [b"fine", b"fine", b"first"]
    assert len(origin.connections) == 2


POISON = "/poison"


def ending(error, last, done):
    """A handler that gives the whole connection up where it meets POISON, and answers downloads in halves."""
    def handler(conn):
        def rest(request):
            assert done.wait(30)
            conn.data(request.stream, b"half", end=True)
        while True:
            request = conn.request(Deadline(60))
            if request.target == POISON:
                conn.goaway({"it": request.stream, "those before": max(0, request.stream - 2), "none": 0x7FFFFFFF}[last], error)
                return
            if request.target == "/download":
                conn.begin(request, 200, [("content-length", 8)])
                conn.data(request.stream, b"half")
                threading.Thread(target=rest, args=(request,), daemon=True).start()
            else:
                conn.respond(request, body=b"fine")
    return handler


@pytest.mark.parametrize("last", ["it", "those before", "none"])
@pytest.mark.parametrize("error", [ENHANCE_YOUR_CALM, PROTOCOL_ERROR])
def test_a_request_that_ends_a_connection_is_asked_once(start, error, last):
    """Others share connections: it must not take down one after the other, nor a healthy target with them."""
    done = threading.Event()
    origins = [start.h2_origin(ending(error, last, done)) for _ in range(2)]
    poise = behind(start, *origins, group_tries=3, group_passive={"consecutive_failures": 2, "ejection_time": "5m"})
    with http1.Client(poise.port) as download:
        download.send(request("/download"))
        eventually("the download has begun", lambda: sum(len(o.requests) for o in origins) == 1)
        used = 0 if origins[0].requests else 1
        # Past the target that serves the download, as the next one in turn.
        check_generated(http1.get(poise.port, POISON), 502)
        assert sum(r.target == POISON for o in origins for r in o.requests) == 1
        assert len(origins[used].connections) == 1
        done.set()
        assert download.response().body == b"halfhalf"
    assert poise.wait_record(path=POISON)["tries"] == 1
    for _ in range(6):
        assert http1.get(poise.port, POISON).status == 502
    assert value(metrics(poise), "poise_target_state", state="unhealthy") == 0, "the client is at fault, and not the targets"


def test_a_connection_that_ends_with_an_error_is_one_failure(start):
    gate = threading.Event()

    def handler(conn):
        for request in [conn.request(Deadline(60)) for _ in range(4)]:
            conn.begin(request, 200, [("content-length", 8)])
            conn.data(request.stream, b"half")
        assert gate.wait(30)
        conn.goaway(request.stream, INTERNAL_ERROR)
    origin = start.h2_origin(handler)
    poise = behind(start, origin, start.h2_origin(), group_algorithm="first", group_connections=50,
                   group_passive={"consecutive_failures": 3, "ejection_time": "5m"})
    clients = [http1.Client(poise.port) for _ in range(4)]
    for client in clients:
        client.send(request())
    origin.wait_requests(4)
    gate.set()
    for client in clients:
        with pytest.raises(http1.Ended):
            client.response()
        client.close()
    assert value(metrics(poise), "poise_target_failures_total", target=origin.address) == 4
    assert value(metrics(poise), "poise_target_state", state="unhealthy") == 0


def test_bystanders_of_an_error_are_tried_again_once(start):
    """Those behind the last stream that a target names were not processed; that one may be what it did not bear."""
    def handler(conn):
        if conn.number:
            return scripted()(conn)
        first, *_ = [conn.request(Deadline(60)) for _ in range(3)]
        conn.goaway(first.stream, PROTOCOL_ERROR)
    origin = start.h2_origin(handler)
    poise = behind(start, origin, start.h2_origin(), group_algorithm="first", group_connections=50, group_tries=3)
    answers = together(poise, 3)
    assert sorted(a.status for a in answers) == [200, 200, 502]
    assert len(origin.connections) == 2


def test_a_head_beyond_what_a_target_takes_is_not_sent(start):
    """SETTINGS_MAX_HEADER_LIST_SIZE, RFC 9113 6.5.2: the connection is left alone."""
    origin = start.h2_origin(own_settings={MAX_HEADER_LIST_SIZE: 4000})
    poise = behind(start, origin)
    assert http1.get(poise.port).status == 200  # our side knows the limit now
    response = http1.get(poise.port, "/large", fields=[("Cookie", "a=" + "x" * 4000)])
    check_generated(response, 431)
    record = poise.wait_record(path="/large")
    assert (record["reason"], record["refusal"]) == ("refused_request", "head_too_large")
    assert http1.get(poise.port, "/small", fields=[("Cookie", "a=" + "x" * 3000)]).status == 200
    assert [r.target for r in origin.requests] == ["/", "/small"] and len(origin.connections) == 1
    assert value(metrics(poise), "poise_target_failures_total") == 0


def test_tries_that_a_target_refused_are_counted(start):
    origin = start.h2_origin(scripted(refuse))
    poise = behind(start, origin)
    assert http1.get(poise.port, "/twice").status == 200
    assert poise.wait_record(path="/twice")["tries"] == 2
    samples = metrics(poise)
    assert [value(samples, f"poise_{name}_total") for name in (
        "target_group_tries", "target_group_retries", "target_requests", "target_retries", "target_failures",
        "target_group_retries_refused_by_budget")] == [2, 1, 2, 1, 0, 0]


def test_a_goaway_that_refuses_nothing_is_no_failure(start):
    def handler(conn):
        for _ in range(3):
            request = conn.request(Deadline(60))
            conn.goaway(0x7FFFFFFF)
            conn.respond(request, body=b"%d" % conn.number)
            conn.expect_end(Deadline(30))
            return
    origin = start.h2_origin(handler)
    poise = behind(start, origin)
    assert [http1.get(poise.port, method="POST", body=b"x").body for _ in range(3)] == [b"0", b"1", b"2"]


@pytest.mark.parametrize("method, tried", [("GET", 2), ("POST", 1)])
def test_a_reset_before_the_answer_is_tried_again_where_that_is_safe(start, method, tried):
    resets = [lambda conn, request: conn.reset_stream(request.stream, INTERNAL_ERROR)]
    turn = threading.Lock()

    def once(conn, request):
        with turn:
            act = resets.pop() if resets else lambda conn, request: conn.respond(request, body=b"fine")
        act(conn, request)
    one, two = start.h2_origin(scripted(once)), start.h2_origin(scripted(once))
    poise = behind(start, one, two)
    response = http1.get(poise.port, method=method, body=b"x" if method == "POST" else None)
    assert response.status == (200 if tried == 2 else 502)
    assert len(one.requests) + len(two.requests) == tried


def test_a_reset_in_the_answer_breaks_only_that_answer(start):
    def half(conn, request):
        conn.begin(request, 200, [("content-length", 10)])
        conn.data(request.stream, b"half")
        conn.reset_stream(request.stream, INTERNAL_ERROR)
    origin = start.h2_origin(scripted(half))
    poise = behind(start, origin)
    with pytest.raises(http1.Ended):
        http1.get(poise.port)
    assert http1.get(poise.port).body == b"fine"
    assert len(origin.connections) == 1


def test_an_early_answer_ends_the_upload(start):
    """8.1: a whole answer, then RST_STREAM with NO_ERROR; the client sees the answer."""
    def handler(conn):
        request = conn.head(Deadline(60))
        conn.begin(request, 413, [("content-length", 0)], end=True)
        conn.reset_stream(request.stream, 0)
        conn.respond(conn.request(Deadline(60)), body=b"next")
    origin = start.h2_origin(handler)
    poise = behind(start, origin)
    with http2.Client(poise.port) as client:
        stream = client.begin(method="POST")
        assert client.response(stream).status == 413
        assert client.ask().body == b"next"
    assert len(origin.connections) == 1


def test_http_1_1_required_is_an_answer(start):
    poise = behind(start, start.h2_origin(scripted(*[lambda c, r: c.reset_stream(r.stream, HTTP_1_1_REQUIRED)] * 4)))
    check_generated(http1.get(poise.port), 502)


# Targets that break the protocol: the client gets a 502, the target its error, and the next connection serves.

OK = block([(":status", 200)])


def head(fields, flags=END):
    return lambda stream: frame(HEADERS, flags, stream, fields)


BROKEN = {
    "4.2 a frame larger than announced": (lambda s: frame(DATA, 0, s, bytes(16_385)), FRAME_SIZE_ERROR),
    "4.3 a field block that cannot be decoded": (head(b"\xff\xff\xff\xff\xff\xff\xff"), 9),
    "5.1 HEADERS on a stream that nobody opened": (lambda s: frame(HEADERS, END, s + 2, OK), (PROTOCOL_ERROR, STREAM_CLOSED)),
    "5.1.1 a stream that the target opens": (lambda s: frame(HEADERS, END, 2, OK), PROTOCOL_ERROR),
    "6.1 DATA on stream 0": (lambda s: frame(DATA, 0, 0, b"x"), PROTOCOL_ERROR),
    "6.2 an interrupted field block": (lambda s: frame(HEADERS, 0, s, OK) + frame(PING, 0, 0, bytes(8)), PROTOCOL_ERROR),
    "6.5 SETTINGS on a stream": (lambda s: frame(SETTINGS, 0, s), PROTOCOL_ERROR),
    "6.5.2 a window of 2^31": (lambda s: settings({INITIAL_WINDOW_SIZE: 1 << 31}), FLOW_CONTROL_ERROR),
    "6.5.2 a frame size of 1": (lambda s: settings({MAX_FRAME_SIZE: 1}), PROTOCOL_ERROR),
    "6.5.2 a server that sets ENABLE_PUSH": (lambda s: settings({2: 1}), PROTOCOL_ERROR),
    "6.6 a push that nobody allowed": (lambda s: frame(PUSH_PROMISE, END_HEADERS, s, code(2) + OK), PROTOCOL_ERROR),
    "6.9.1 a window that overflows": (lambda s: frame(WINDOW_UPDATE, 0, 0, code(0x7FFFFFFF)), FLOW_CONTROL_ERROR),
    "6.10 CONTINUATION alone": (lambda s: frame(CONTINUATION, END_HEADERS, s, OK), PROTOCOL_ERROR),
    "6.9 DATA beyond the window": (
        lambda s: frame(HEADERS, END_HEADERS, s, OK) + b"".join(frame(DATA, 0, s, bytes(16_384)) for _ in range(2000)), FLOW_CONTROL_ERROR),
    "a head without an end": (
        lambda s: frame(HEADERS, 0, s, OK) + frame(CONTINUATION, 0, s, block([("a", "b" * 8000)])) * 200, (ENHANCE_YOUR_CALM, PROTOCOL_ERROR)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_target_that_breaks_the_protocol_is_told(start, name):
    make, errors = BROKEN[name]
    errors = (errors,) if isinstance(errors, int) else errors
    seen = []

    def handler(conn):
        if conn.number:
            return scripted()(conn)
        request = conn.request(Deadline(60))
        conn.acknowledges = False
        try:
            conn.send(make(request.stream))
            # What concerns a stream alone may end that alone.
            told = lambda: conn.goaways or conn.messages.get(request.stream) and conn.messages[request.stream].reset
            conn.read_until(told, Deadline(10), "GOAWAY or RST_STREAM")
        finally:
            message = conn.messages.get(request.stream)
            seen.extend(conn.goaways or ([(request.stream, message.reset)] if message and message.reset else []))
    origin = start.h2_origin(handler)
    poise = behind(start, origin, group_tries=1)
    with http1.Client(poise.port) as client:
        client.send(request(method="POST", body=b"x"))
        # Who reads makes room: no window is too small then.
        if "beyond" in name:
            origin.wait_connections(1)[0].wait_over(PATIENCE * 3)
        try:
            assert client.response("POST").status == 502
        except http1.Ended:
            assert "window" in name, "only there an answer had begun"
    origin.connections[0].wait_over(PATIENCE * 3)
    assert seen and seen[-1][1] in errors, f"told {seen}"
    assert http1.get(poise.port).body == b"fine"


MALFORMED = {
    "no :status": block([("a", "b")]), ":status twice": OK + OK, ":status of 2 digits": block([(":status", "20")]),
    ":status 101": block([(":status", "101")]), "a pseudo-header of requests": OK + block([(":path", "/")]),
    "a pseudo-header behind a field": block([("a", "b"), (":status", 200)]), "a name in upper case": OK + block([("Upper", "a")]),
    "connection": OK + block([("connection", "close")]), "transfer-encoding": OK + block([("transfer-encoding", "chunked")]),
    "a line in a value": OK + block([("a", "b\r\nset-cookie: c=d")]), "NUL in a value": OK + block([("a", b"b\0")]),
    "an empty name": OK + block([("", "a")]), "two lengths": OK + block([("content-length", 0), ("content-length", 1)]),
    "a length, and the end": OK + block([("content-length", 5)]), "an interim answer that ends": block([(":status", 103)]),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_answer_reaches_nobody(start, name):
    errors = []

    def handler(conn):
        request = conn.request(Deadline(60))
        conn.headers(request.stream, [], end=True, encoded=MALFORMED[name])
        # The stream had ended, so that there may be nothing left to reset: the connection goes on.
        conn.respond(conn.request(Deadline(60)), body=b"fine")
        message = conn.messages[request.stream]
        errors.append(message.reset)
    origin = start.h2_origin(handler)
    poise = behind(start, origin, group_tries=1)
    response = http1.get(poise.port, "/malformed")
    check_generated(response, 502)
    record = poise.wait_record(path="/malformed")
    assert record["reason"] == "refused_answer" and record["refusal"], "as with HTTP/1, and told what is wrong"
    assert http1.get(poise.port).body == b"fine"
    assert errors in ([], [None], [PROTOCOL_ERROR], [CANCEL])
    assert len(origin.connections) == 1


def test_a_target_that_is_none_of_http2(start):
    def old(conn):
        conn.until(b"SM\r\n\r\n")
        conn.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    check_generated(http1.get(behind(start, start.origin(old)).port), 502)


def test_a_target_that_says_nothing_times_out(start):
    silent = start.origin(lambda conn: conn.exactly(1 << 20, Deadline(20)))
    check_generated(http1.get(behind(start, silent, group_connect="500ms", group_response_idle="500ms").port), (502, 504))


def test_a_silent_target_is_asked_for_a_sign_of_life(start):
    pinged = threading.Event()

    def handler(conn):
        conn.acknowledges = False
        conn.request(Deadline(60))
        conn.read_until(lambda: any(f[0] == PING for f in conn.frames), Deadline(20), "a PING")
        pinged.set()
        try:
            conn.read_until(lambda: False, Deadline(20))
        except http1.Ended:
            pass
    poise = behind(start, start.h2_origin(handler), group_ping_interval="200ms", group_tries=1)
    response = http1.get(poise.port, method="POST", body=b"x")
    assert pinged.is_set() and response.status in (502, 504)


def test_a_flood_of_a_target_ends_its_connection(start):
    seen = []

    def handler(conn):
        if conn.number:
            return scripted()(conn)
        conn.acknowledges = False
        conn.request(Deadline(60))
        try:
            for _ in range(2000):
                conn.send(frame(PING, 0, 0, bytes(8)) * 500)
        except OSError:
            pass
        try:
            conn.read_until(lambda: conn.goaways, Deadline(10))
        except http1.Ended:
            pass
        seen.extend(conn.goaways)
    poise = behind(start, start.h2_origin(handler), group_tries=1)
    assert http1.get(poise.port, method="POST", body=b"x").status == 502
    assert http1.get(poise.port).body == b"fine"


def test_idle_connections_go_away_in_order(start):
    ends = []

    def handler(conn):
        conn.respond(conn.request(Deadline(60)))
        ends.append(conn.expect_end(Deadline(20)))
        ends.append(conn.goaways)
    origin = start.h2_origin(handler)
    poise = behind(start, origin, group_keep_alive_idle="300ms")
    assert http1.get(poise.port).status == 200
    origin.connections[0].wait_over()
    assert ends[0] == "fin" and ends[1] and ends[1][-1][1] == 0


def test_health_checks_speak_http2(start):
    def unhealthy(conn):
        while True:
            conn.respond(conn.request(Deadline(60)), 503)
    good, bad = start.h2_origin(), start.h2_origin(unhealthy)
    poise = behind(start, good, bad, group_health_check=CHECK)
    state = lambda origin, state: value(metrics(poise), "poise_target_state", target=origin.address, state=state)
    eventually("the good one is healthy", lambda: state(good, "healthy") == 1)
    eventually("the other is not", lambda: state(bad, "unhealthy") == 1)
    assert good.requests[0].target == "/health"


def checked(start, *origins, **check):
    """A group behind HTTP checks, and what the last one of an unhealthy target saw."""
    poise = behind(start, *origins, group_health_check=CHECK | check)

    def becomes(origin, state):
        def reached():
            tree = json.loads(verb("status", "--output", "json", poise=poise).stdout)
            (target,) = [t for g in tree["target_groups"] for t in g["targets"] if t["address"] == origin.address]
            return target["state"] == state and (target["reason"], target["last_probe"])
        return eventually(f"{origin.address} is {state}", reached)
    return becomes


def test_what_a_health_check_says(start):
    seen = []

    def handler(conn):
        request = conn.request(Deadline(60))
        conn.begin(request, 103, [("link", "</a>")])
        conn.begin(request, 200)
        # More than a window at once.
        for _ in range(70):
            conn.data(request.stream, bytes(1000))
        conn.data(request.stream, b"sound")
        conn.headers(request.stream, [("x-sum", "6")], end=True)
        try:
            conn.read_until(lambda: conn.goaways, Deadline(10), "GOAWAY")
        finally:
            seen.extend(conn.goaways)
    origin = start.h2_origin(handler)
    reason, evidence = checked(start, origin, body_contains="sound", headers={"X-Probe": "1"})(origin, "unhealthy")
    assert reason == "body_mismatch", "only 64 KiB are looked at"
    request = origin.requests[0]
    assert (request.scheme, request.method, request.host, request.get("x-probe")) == ("http", "GET", origin.address, "1")
    assert request.get("connection") is None and request.stream == 1
    eventually("GOAWAY is read", lambda: seen)
    assert seen[0][1] == 0


BAD_HEALTH = {
    "reset": (lambda conn, request: conn.reset_stream(request.stream, INTERNAL_ERROR),
              "connection_failed", "HTTP/2: the target reset the stream: internal_error"),
    "goaway": (lambda conn, request: conn.goaway(0, ENHANCE_YOUR_CALM),
               "connection_failed", "HTTP/2: the target sent GOAWAY: enhance_your_calm"),
    "malformed": (lambda conn, request: conn.headers(request.stream, [("a", "b")], end=True),
                  "malformed_response", "HTTP/2: missing_pseudo_field"),
    "fault": (lambda conn, request: conn.send(frame(WINDOW_UPDATE, 0, 0, code(0x7FFFFFFF))),
              "malformed_response", "HTTP/2: window_overflow"),
    "cut": (lambda conn, request: conn.begin(request, 200, [("content-length", 9)]), "malformed_response", "closed before"),
}


@pytest.mark.parametrize("name", BAD_HEALTH)
def test_a_health_check_that_breaks_names_the_cause(start, name):
    act, reason, words = BAD_HEALTH[name]

    def handler(conn):
        act(conn, conn.request(Deadline(60)))
    origin = start.h2_origin(handler)
    seen, evidence = checked(start, origin, **{"body_contains": "x"} if name == "cut" else {})(origin, "unhealthy")
    assert seen == reason and evidence.startswith(words), (seen, evidence)


def test_a_target_of_http_1_fails_the_check(start):
    def plain(conn):
        conn.until(b"SM\r\n\r\n")
        conn.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    origin = start.origin(plain)
    reason, evidence = checked(start, origin)(origin, "unhealthy")
    assert reason == "malformed_response" and evidence.startswith("HTTP/2: the target answers in HTTP/1 ")

@pytest.mark.parametrize("served", [0, 1])
def test_a_target_that_refuses_everything_is_not_asked_for_ever(start, served):
    def handler(conn):
        for _ in range(served):
            conn.respond(conn.request(Deadline(60)))
        for _ in range(100):
            conn.reset_stream(conn.request(Deadline(60)).stream, REFUSED_STREAM)
    origin = start.h2_origin(handler)
    poise = behind(start, origin)
    for _ in range(served):
        assert http1.get(poise.port).status == 200
    assert http1.get(poise.port).status == 502
    assert len(origin.requests) <= served + 5
