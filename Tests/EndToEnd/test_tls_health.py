"""Health checks over TLS: what a probe asks for, and how a target that fails one is told of."""
import json

import pytest

from admin import verb
from client import get
from deadline import eventually
from origin import answer
from test_health_and_apply import CHECK
from tls import Authority, server_context

HTTPS = CHECK | {"protocol": "HTTPS"}
TLS = {k: v for k, v in CHECK.items() if k != "path"} | {"protocol": "TLS"}


@pytest.fixture(scope="module")
def authority():
    return Authority()


def behind_tls(start, *origins, authority, check, name="target.test", **settings):
    settings = {f"group_{k}": v for k, v in settings.items()}
    return start.proxy(*origins, group_protocol="HTTPS", group_certificate_name=name, group_health_check=check,
                       group_authority=authority and authority.file(start.folder), **settings)


def seen(poise, origin):
    """What `poise status` tells of a target: (state, reason, last probe)."""
    tree = json.loads(verb("status", "--output", "json", poise=poise).stdout)
    (target,) = [t for g in tree["target_groups"] for t in g["targets"] if t["address"] == origin.address]
    return target["state"], target["reason"], target["last_probe"]


def becomes(poise, origin, state, reason="none"):
    """Waits for a state and its reason; returns what the last probe saw."""
    eventually(f"{origin.address} is {state} for {reason}", lambda: seen(poise, origin)[:2] == (state, reason))
    return seen(poise, origin)[2]


def plain(conn):
    conn.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def closing(conn):
    conn.until(b"\x16\x03\x01")


@pytest.mark.parametrize("check", [HTTPS, TLS], ids=["HTTPS", "TLS"])
def test_each_cause_is_named(start, authority, check):
    good = start.origin(tls=server_context(authority.issue("target.test")))
    bad = {
        "certificate_expired": authority.issue("target.test", start=-9, end=-2),
        "certificate_not_yet_valid": authority.issue("target.test", start=2, end=9),
        "certificate_name_mismatch": authority.issue("other.test"),
        "certificate_unknown_authority": Authority("Stranger").issue("target.test"),
    }
    bad = {reason: start.origin(tls=server_context(identity)) for reason, identity in bad.items()}
    poise = behind_tls(start, good, *bad.values(), authority=authority, check=check)
    evidence = becomes(poise, good, "healthy")
    assert evidence.startswith("TLS handshake done" if check is TLS else "status 200"), evidence
    for reason, origin in bad.items():
        evidence = becomes(poise, origin, "unhealthy", reason)
        assert evidence.startswith(f"TLS: {reason} (certificate verify failed)"), evidence
        poise.wait_line(lambda line: f"target={origin.address}" in line and "to=unhealthy" in line
                        and f"reason={reason}" in line and f'evidence="TLS: {reason}' in line, reason)
        assert origin.requests == [], "nothing is said to who is not believed"
    table = verb("status", poise=poise).stdout.splitlines()
    (head,) = [line for line in table if line.startswith("pool ")]
    assert head.endswith("  TLS" if check is TLS else "  HTTPS GET /health")
    assert [get(poise.port).status for _ in range(6)] == [200] * 6


@pytest.mark.parametrize("handler, begins", [(plain, "TLS: not_tls"), (closing, "TLS: peer_closed")], ids=["plain", "closes"])
@pytest.mark.parametrize("check", [HTTPS, TLS], ids=["HTTPS", "TLS"])
def test_what_is_no_tls_is_no_answer(start, authority, check, handler, begins):
    origin = start.origin(handler)
    poise = behind_tls(start, origin, authority=authority, check=check)
    assert becomes(poise, origin, "unhealthy", "tls_failed").startswith(begins)


@pytest.mark.parametrize("check", [HTTPS, TLS], ids=["HTTPS", "TLS"])
def test_a_handshake_that_is_never_answered_times_out(start, authority, check):
    origin = start.origin(lambda conn: conn.exactly(100_000))
    poise = behind_tls(start, origin, authority=authority, check=check)
    assert becomes(poise, origin, "unhealthy", "timeout").startswith("TLS: no handshake after 5")


def test_who_is_asked_and_how(start, authority):
    shaken = []

    def handler(conn):
        shaken.append((conn.sock.asked_name, conn.sock.selected_alpn_protocol(), conn.sock.session_reused))
        answer(conn)
    origin = start.origin(handler, tls=server_context(authority.issue("target.test"), alpn=("h2", "http/1.1")))
    poise = behind_tls(start, origin, authority=authority, check=HTTPS, server_name="front.test")
    becomes(poise, origin, "healthy")
    request = origin.wait_requests(2)[1]
    assert request.target == "/health" and request.get("Host") == origin.address
    # Each probe sees the certificate: none resumes a session.
    assert shaken[:2] == [("front.test", "http/1.1", False)] * 2


def test_an_address_is_verified_as_one(start, authority):
    origin = start.origin(tls=server_context(authority.issue("127.0.0.1")))
    other = start.origin(tls=server_context(authority.issue("127.0.0.2")))
    poise = behind_tls(start, origin, other, authority=authority, check=HTTPS, name=None)
    becomes(poise, origin, "healthy")
    becomes(poise, other, "unhealthy", "certificate_name_mismatch")
    assert origin.connections[0].sock.asked_name is None


def test_verification_may_be_turned_off(start):
    origin = start.origin(tls=server_context(Authority("Stranger").issue("other.test", start=-9, end=-2)))
    becomes(behind_tls(start, origin, authority=None, check=HTTPS, verify=False), origin, "healthy")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_client_certificate_is_shown(start, authority, version):
    ours = authority.issue("poise.test")
    origin = start.origin(tls=server_context(authority.issue("target.test"), clients=authority, version=version))
    poise = behind_tls(start, origin, authority=authority, check=HTTPS, certificate=ours.files(start.folder))
    becomes(poise, origin, "healthy")
    without = behind_tls(start, origin, authority=authority, check=HTTPS)
    evidence = becomes(without, origin, "unhealthy", "tls_failed")
    # TLS 1.2 has no alert of its own for this.
    cause = "our_certificate_refused" if version == "1.3" else "handshake_failure"
    assert evidence.startswith(f"TLS: {cause}"), evidence


def test_a_target_that_gets_another_certificate(start, authority):
    origin = start.origin(tls=server_context(authority.issue("target.test")))
    poise = behind_tls(start, origin, authority=authority, check=HTTPS)
    becomes(poise, origin, "healthy")
    origin.tls = server_context(authority.issue("target.test", start=-9, end=-2))
    becomes(poise, origin, "unhealthy", "certificate_expired")
    origin.tls = server_context(authority.issue("target.test"))
    becomes(poise, origin, "healthy")


def test_targets_of_http2(start, authority):
    """Agreed to or not: with a request behind it or without."""
    good = start.h2_origin(tls=server_context(authority.issue("target.test"), alpn=("h2", "http/1.1")))
    old = start.origin(tls=server_context(authority.issue("target.test"), alpn=("http/1.1",)))
    for check, evidence in [(TLS, "TLS handshake done"), (HTTPS, "status 200")]:
        poise = behind_tls(start, good, old, authority=authority, check=check, version="http2")
        assert becomes(poise, good, "healthy").startswith(evidence)
        assert becomes(poise, old, "unhealthy", "tls_failed").startswith("TLS: the target did not agree to h2")
    request = good.requests[0]
    assert (request.scheme, request.target, request.host) == ("https", "/health", good.address)


def test_without_a_word_a_certificate_is_looked_at(start, authority):
    """The default check of a group of protocol HTTPS: what traffic would refuse is no healthy target."""
    often = {k: v for k, v in TLS.items() if k != "protocol"}
    good = start.origin(tls=server_context(authority.issue("target.test")))
    bad = start.origin(tls=server_context(authority.issue("target.test", start=-9, end=-2)))
    poise = behind_tls(start, good, bad, authority=authority, check=often)
    assert becomes(poise, good, "healthy").startswith("TLS handshake done")
    becomes(poise, bad, "unhealthy", "certificate_expired")


@pytest.mark.parametrize("check, words", [(HTTPS, "HTTPS GET /health every 1s"), (TLS, "TLS every 1s")], ids=["HTTPS", "TLS"])
def test_check_names_the_kind(start, authority, check, words):
    poise = behind_tls(start, "127.0.0.1:9", authority=authority, check=check)
    checked = verb("check", poise.file)
    assert checked.returncode == 0 and words in checked.stdout, checked.stdout + checked.stderr
