"""Targets that accept a connection and then say nothing, at each depth of their protocols: 502 or 504 in time, no leak, unhealthy."""
import os
import re
import threading
import time

import pytest

import client as http1
import http2
from admin import metrics, value
from client import request
from deadline import SLOW, Deadline, eventually
from frames import PREFACE
from generated import check_generated
from test_health_and_apply import CHECK
from test_tls_health import becomes
from tls import Authority, client_context, server_context

LIMIT = 0.5  # seconds


def mute(conn):
    """Reads whatever comes, and says nothing until it is left alone."""
    while True:
        conn.fill(Deadline(60))
        conn.buffer = b""


def never_greets(conn):
    # A health check's request is one of HTTP/1.1.
    if conn.sock.selected_alpn_protocol() == "h2":
        assert conn.exactly(len(PREFACE)) == PREFACE
    mute(conn)


# What the target does still do, and what the group says of it.
DEPTHS = {
    "accepts": (False, {}, mute),
    "accepts, TLS": (False, {"protocol": "HTTPS"}, mute),
    "accepts, HTTP/2": (False, {"version": "http2"}, mute),
    "accepts, TLS and HTTP/2": (False, {"protocol": "HTTPS", "version": "http2"}, mute),
    "shakes hands": (True, {"protocol": "HTTPS"}, mute),
    "shakes hands, no SETTINGS": (True, {"protocol": "HTTPS", "version": "http2"}, never_greets),
}


@pytest.fixture(scope="module")
def authority():
    return Authority()


def behind(start, authority, depth, beside=False, **more):
    """(the silent target, a Poise in front of it, and `beside` it one that answers)."""
    shakes, group, handler = DEPTHS[depth]
    tls = server_context(authority.issue("target.test"), ["h2"] if "version" in group else ["http/1.1"])
    origin = start.origin(handler, tls=tls if shakes else None)
    others = [(start.h2_origin if "version" in group else start.origin)(tls=tls if "protocol" in group else None)] if beside else []
    if "protocol" in group:
        group = group | {"authority": authority.file(start.folder), "certificate_name": "target.test"}
    settings = {f"group_{name}": setting for name, setting in (group | more).items()}
    return origin, start.proxy(origin, *others, group_connect=f"{int(LIMIT * 1000)}ms", group_response_idle=f"{int(LIMIT * 1000)}ms", group_tries=1,
                               certificates=[authority.issue("shop.test").files(start.folder)], **settings)


@pytest.mark.parametrize("depth", DEPTHS)
def test_answers_come_in_time_and_nothing_stays(start, authority, depth):
    origin, poise = behind(start, authority, depth)
    plain = tls_clients(authority)
    descriptors = f"/proc/{poise.process.pid}/fd"

    def crowd():
        """20 requests over HTTP/1.1 and 20 over one connection of HTTP/2, all at once: their answers and the longest wait."""
        answers, failures, started = [], [], time.monotonic()

        def one():
            try:
                with http1.Client(poise.port, tls=plain["http/1.1"], server_name="shop.test") as client:
                    answers.append(client.ask(request(method="POST", body=b"x" * 10_000)))
            except Exception as error:
                failures.append(error)

        def shared():
            try:
                with http2.Client(poise.port, tls=plain["h2"], server_name="shop.test") as client:
                    streams = [client.request(f"/{n}") for n in range(20)]
                    answers.extend(client.response(stream) for stream in streams)
            except Exception as error:
                failures.append(error)
        threads = [threading.Thread(target=work) for work in [one] * 20 + [shared]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == [], failures[:3]
        return answers, time.monotonic() - started

    def left():
        samples = metrics(poise)
        return [value(samples, name, **labels) for name, labels in (
            ("poise_listener_connections", {"listener": "web"}), ("poise_target_in_flight_requests", {"target_group": "pool"}),
            ("poise_target_group_queue_length", {"target_group": "pool"}))]
    crowd()
    eventually("nobody is left", lambda: left() == [0, 0, 0])
    warm, before = poise.memory(), len(os.listdir(descriptors))
    for _ in range(3):
        answers, took = crowd()
        assert len(answers) == 40
        for answer in answers:
            check_generated(answer, (502, 504))
        # Both limits, one after the other, at most.
        assert LIMIT * 0.8 < took < (2 * LIMIT + 1.5) * SLOW, took
    eventually("nobody is left", lambda: left() == [0, 0, 0])
    eventually("descriptors are closed", lambda: len(os.listdir(descriptors)) <= before)
    assert poise.memory() - warm < 2 << 20
    for conn in origin.wait_connections():
        assert conn.wait_over() in ("fin", "reset", "cut", "handshake"), "left open towards the target"


def tls_clients(authority):
    return {alpn: client_context(authority, [alpn]) for alpn in ("http/1.1", "h2")}


@pytest.mark.parametrize("depth", DEPTHS)
def test_health_checks_find_it(start, authority, depth):
    origin, poise = behind(start, authority, depth, health_check=CHECK)
    evidence = becomes(poise, origin, "unhealthy", "timeout")
    assert re.search(r"no (answer|handshake) after [56]\d\d ms", evidence), evidence
    with http1.Client(poise.port, tls=tls_clients(authority)["http/1.1"], server_name="shop.test") as client:
        # No healthy target: fail-open asks it all the same, and it says nothing still.
        check_generated(client.ask(request()), (502, 503, 504))


@pytest.mark.parametrize("depth", DEPTHS)
def test_passive_checks_find_it(start, authority, depth):
    # The last target of a group is not ejected, so there is another.
    origin, poise = behind(start, authority, depth, passive={"consecutive_failures": 3}, beside=True)
    with http1.Client(poise.port, tls=tls_clients(authority)["http/1.1"], server_name="shop.test") as client:
        answers = [client.ask(request()) for _ in range(6)]
        assert sorted(answer.status for answer in answers) == [200] * 3 + [504] * 3
        poise.wait_line(lambda line: f"target={origin.address}" in line and "reason=consecutive_failures" in line, "that it is ejected")
        assert [client.ask(request()).status for _ in range(4)] == [200] * 4
