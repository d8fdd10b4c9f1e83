"""TLS towards targets: who they are is verified, and what fails is told."""
import re

import pytest

from admin import metrics, value
from client import Client, get, request
from deadline import Deadline, eventually
from generated import check_generated
from test_health_and_apply import CHECK
from tls import Authority, client_context, server_context

# What names a failed verification in answers, in states and in logs.
UNVERIFIED = re.compile(r"tls|certificate|verif|untrusted")


@pytest.fixture(scope="module")
def authority():
    return Authority()


def behind_tls(start, *origins, authority=None, name="target.test", **settings):
    settings = {f"group_{k}": v for k, v in settings.items()}
    if authority:
        settings["group_authority"] = authority.file(start.folder)
    return start.proxy(*origins, group_protocol="HTTPS", group_certificate_name=name, **settings)


def refused(poise):
    """A 502 that says that the target is not who it should be."""
    response = get(poise.port)
    check_generated(response, 502)
    assert UNVERIFIED.search(response.text), response.text
    return response


@pytest.mark.parametrize("kind", ["ec", "rsa"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_verified_target_answers(start, authority, kind, version):
    origin = start.origin(tls=server_context(authority.issue("target.test", kind=kind), version=version))
    poise = behind_tls(start, origin, authority=authority)
    with Client(poise.port) as client:
        for n in range(3):
            assert client.ask(request(f"/{n}", method="POST", body=b"x" * 100_000)).status == 200
    assert len(origin.connections) == 1, "it is pooled"
    assert origin.connections[0].sock.version() == f"TLSv{version}"
    assert origin.connections[0].sock.asked_name == "target.test"
    assert origin.connections[0].sock.selected_alpn_protocol() == "http/1.1"


def test_an_address_is_verified_as_one(start, authority):
    origin = start.origin(tls=server_context(authority.issue("127.0.0.1")))
    poise = behind_tls(start, origin, authority=authority, name=None)
    assert get(poise.port).status == 200
    assert origin.connections[0].sock.asked_name is None, "an address is no server name"


def test_the_name_asked_for_may_be_another(start, authority):
    origin = start.origin(tls=server_context(authority.issue("target.test")))
    poise = behind_tls(start, origin, authority=authority, server_name="front.test")
    assert get(poise.port).status == 200
    assert origin.connections[0].sock.asked_name == "front.test"


def test_an_intermediate_authority_that_the_target_brings(start, authority):
    origin = start.origin(tls=server_context(Authority("Below", above=authority).issue("target.test")))
    assert get(behind_tls(start, origin, authority=authority).port).status == 200


@pytest.mark.parametrize("what", ["stranger", "self-signed", "name", "expired", "not yet", "system"])
def test_a_target_that_is_not_verified_is_not_asked(start, authority, what):
    by, more, names = authority, {}, ["target.test"]
    if what == "stranger":
        by = Authority("Stranger")
    elif what == "self-signed":
        by = Authority("target.test")
    elif what == "name":
        names = ["other.test"]
    elif what == "expired":
        more = {"start": -9, "end": -2}
    elif what == "not yet":
        more = {"start": 2, "end": 9}
    origin = start.origin(tls=server_context(by.issue(*names, **more)))
    poise = behind_tls(start, origin, authority=None if what == "system" else authority)
    refused(poise)
    assert origin.requests == []
    assert len(origin.wait_handshake_errors(1)) >= 1, "the target hears it by an alert"


def test_verification_may_be_turned_off(start):
    origin = start.origin(tls=server_context(Authority("Stranger").issue("other.test", start=-9, end=-2)))
    assert get(behind_tls(start, origin, verify=False).port).status == 200


def test_the_other_target_answers_instead(start, authority):
    bad = start.origin(tls=server_context(Authority("Stranger").issue("target.test")))
    good = start.origin(tls=server_context(authority.issue("target.test")))
    poise = behind_tls(start, bad, good, authority=authority)
    with Client(poise.port) as client:
        for n in range(6):
            assert client.ask(request("/", method="POST", body=b"never sent to the wrong one")).status == 200
    assert bad.requests == [] and len(good.requests) == 6


def test_a_target_without_tls_is_a_failure(start, authority):
    origin = start.origin(lambda conn: conn.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    check_generated(get(behind_tls(start, origin, authority=authority).port), 502)


def test_a_target_that_never_finishes_its_handshake_times_out(start, authority):
    origin = start.origin(lambda conn: conn.exactly(100_000, Deadline(20)))
    poise = behind_tls(start, origin, authority=authority, connect="500ms")
    check_generated(get(poise.port), (502, 504))


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_client_certificate_is_shown(start, authority, version):
    ours = authority.issue("poise.test")
    origin = start.origin(tls=server_context(authority.issue("target.test"), clients=authority, version=version))
    poise = behind_tls(start, origin, authority=authority, certificate=ours.files(start.folder))
    assert get(poise.port).status == 200
    shown = origin.connections[0].sock.getpeercert()
    assert shown["serialNumber"].lstrip("0") == f"{ours.serial:X}"
    without = behind_tls(start, origin, authority=authority)
    check_generated(get(without.port), 502)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("http", ["http1", "http2"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_target_that_wants_another_certificate_is_passed_over(start, authority, version, http, method):
    """With TLS 1.3 it says so only after our side is done: nothing was processed all the same."""
    alpn = ["h2"] if http == "http2" else ["http/1.1"]
    make = start.h2_origin if http == "http2" else start.origin
    strict, open_to_all = (make(tls=server_context(authority.issue("target.test"), alpn, version=version, clients=clients))
                           for clients in (authority, None))
    poise = behind_tls(start, strict, open_to_all, authority=authority, version=http)
    body = b"x" if method == "POST" else None
    assert [get(poise.port, method=method, body=body).status for _ in range(4)] == [200] * 4
    samples = metrics(poise)
    assert value(samples, "poise_target_connect_failures_total", target=strict.address) >= 1
    assert value(samples, "poise_target_failures_total") == 0
    alone = behind_tls(start, strict, authority=authority, version=http)
    check_generated(get(alone.port, "/alone", method=method, body=body), 502)
    assert alone.wait_record(path="/alone")["reason"] == "target_handshake"


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_sessions_resume_per_target(start, authority, version):
    def one_answer(conn):
        conn.request()
        conn.respond(fields=[("Connection", "close")])
    origins = [start.origin(one_answer, tls=server_context(authority.issue("target.test"), version=version)) for _ in range(2)]
    poise = behind_tls(start, *origins, authority=authority)
    for _ in range(6):
        assert get(poise.port).status == 200
    for origin in origins:
        reused = [conn.resumed for conn in origin.wait_connections(3)]
        assert reused == [False, True, True]


def test_both_sides_speak_tls(start, authority):
    origin = start.origin(tls=server_context(authority.issue("target.test")))
    poise = behind_tls(start, origin, authority=authority)
    front = start.proxy(f"127.0.0.1:{poise.port}", certificates=[authority.issue("shop.test").files(start.folder)])
    body = bytes(range(256)) * 20_000
    with Client(front.port, tls=client_context(authority), server_name="shop.test") as client:
        assert client.ask(request(method="POST", body=body)).status == 200
    assert origin.requests[0].body == body


def test_an_answer_that_tls_cuts_is_no_whole_answer(start, authority):
    """Without length only the end ends it, and over TLS only one with close_notify. RFC 9112 9.8"""
    def handler(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        conn.close() if conn.number else conn.cut()
    origin = start.origin(handler, tls=server_context(authority.issue("target.test")))
    poise = behind_tls(start, origin, authority=authority)
    with Client(poise.port) as client, pytest.raises(Exception) as end:
        client.send(request())
        client.response()
    assert "ended by" in str(end.value)
    assert get(poise.port).body == b"half"


# Health

@pytest.mark.parametrize("check", [CHECK, CHECK | {"protocol": "HTTPS"}, {k: v for k, v in CHECK.items() if k != "path"} | {"protocol": "TLS"}],
                         ids=["by the group", "HTTPS", "TLS"])
def test_health_checks_over_tls(start, authority, check):
    good = start.origin(tls=server_context(authority.issue("target.test")))
    bad = start.origin(tls=server_context(Authority("Stranger").issue("target.test")))
    poise = behind_tls(start, good, bad, authority=authority, health_check=check)
    state = lambda origin, state: value(metrics(poise), "poise_target_state", target=origin.address, state=state)
    eventually("the good one is healthy", lambda: state(good, "healthy") == 1)
    eventually("the other is not", lambda: state(bad, "unhealthy") == 1)
    line = poise.wait_line(lambda line: f"target={bad.address}" in line and "to=unhealthy" in line, "that it is not")
    assert UNVERIFIED.search(line), line
    assert [get(poise.port).status for _ in range(4)] == [200] * 4
