"""TLS towards clients: names and certificates, versions, ALPN, resumption, renewal, and what else an HTTPS listener says."""
import os
import pathlib
import signal
import ssl
import subprocess

import pytest

import http2
from admin import metrics, verb
from client import Client, request
from deadline import Deadline, eventually
from frames import NO_ERROR
from generated import check_generated
from real import program
from settings import configuration, group, listener
from test_health_and_apply import reload
from tls import Authority, client_context, replace, shown
from wire import Ended


@pytest.fixture(scope="module")
def authority():
    return Authority()


def secure(start, authority, *identities, origin=None, **settings):
    """A listener with these certificates (identities, or what the configuration says) in front of one target."""
    identities = identities or (authority.issue("shop.test"),)
    certificates = [i if isinstance(i, (str, dict)) else i.files(start.folder) for i in identities]
    return start.proxy(origin or start.origin(), certificates=certificates, **settings)


def connect(poise, authority, name="shop.test", session=None, **offer):
    return Client(poise.port, tls=client_context(authority, **offer), server_name=name, session=session)


def certificate_for(poise, name, **offer):
    """The certificate that a client sees which asks for `name` (None: for nobody) and believes anybody."""
    with connect(poise, None, name, **offer) as client:
        return shown(client)


# Requests

@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_requests_over_tls(start, authority, version):
    origin = start.origin()
    poise = secure(start, authority, origin=origin)
    with connect(poise, authority, version=version) as client:
        assert client.sock.version() == f"TLSv{version}"
        for n in range(3):
            assert client.ask(request(f"/{n}", method="POST", body=b"x" * 50_000)).status == 200
        assert client.ask(request(fields=[("Connection", "close")])).status == 200
        assert client.expect_end() == "fin", "close_notify comes before the end"
    first = origin.requests[0]
    assert (first.get("X-Forwarded-Proto"), first.get("X-Forwarded-Port")) == ("https", str(poise.port))
    assert len(origin.connections) == 1


def test_large_bodies_both_ways(start, authority):
    body = os.urandom(20 << 20)

    def echo(conn):
        conn.respond(body=conn.request(Deadline(60)).body)
    poise = secure(start, authority, origin=start.origin(echo))
    with connect(poise, authority) as client:
        client.send(request(method="POST", body=body))
        assert client.response("POST", Deadline(60)).body == body


def test_a_request_may_arrive_one_byte_per_record(start, authority):
    poise = secure(start, authority)
    with connect(poise, authority) as client:
        for byte in request("/slowly"):
            client.send(bytes((byte,)))
        assert b"/slowly" in client.response().body


def test_the_certificate_comes_with_its_chain(start, authority):
    below = Authority("Below", above=authority)
    poise = secure(start, authority, below.issue("shop.test"))
    with connect(poise, authority) as client:  # which knows only the one above
        assert client.ask(request()).status == 200


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_bundle_and_an_encrypted_key(start, authority, kind):
    one, two = authority.issue("one.test", kind=kind), authority.issue("two.test", kind=kind)
    poise = secure(start, authority, one.bundle(start.folder), two.files(start.folder, "two", passphrase="open it"))
    for identity, name in ((one, "one.test"), (two, "two.test")):
        with connect(poise, authority, name) as client:
            assert shown(client) == identity.certificate
            assert client.ask(request(host=name)).status == 200


# Names

def test_the_certificate_follows_the_name(start, authority):
    first, exact, wildcard = (authority.issue(*names) for names in (
        ("first.test",), ("a.shop.test", "other.test"), ("*.shop.test", "shop.test")))
    poise = secure(start, authority, first, exact, wildcard)
    for name, identity in {
        "first.test": first, "a.shop.test": exact, "A.Shop.TEST": exact, "other.test": exact, "b.shop.test": wildcard,
        "shop.test": wildcard, "c.b.shop.test": first, "a.shop.test.": exact, "b.shop.test.": wildcard, "xshop.test": first, "unknown.test": first, None: first,
    }.items():
        assert certificate_for(poise, name) == identity.certificate, name


def test_of_a_pair_the_one_that_the_client_can_use(start, authority):
    ec, rsa = authority.issue("shop.test"), authority.issue("shop.test", kind="rsa")
    poise = secure(start, authority, ec, rsa)
    offers = {"ECDHE-RSA-AES128-GCM-SHA256": rsa, "ECDHE-ECDSA-AES128-GCM-SHA256": ec,
              # "intermediate" leaves the order to the client, which knows what it is fast at.
              "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256": ec,
              "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256": rsa}
    for ciphers, identity in offers.items():
        assert certificate_for(poise, "shop.test", version="1.2", ciphers=ciphers) == identity.certificate, ciphers
    assert certificate_for(poise, "shop.test", version="1.3") == ec.certificate
    done = subprocess.run(
        [program("openssl"), "s_client", "-connect", f"127.0.0.1:{poise.port}", "-servername", "shop.test", "-tls1_3",
         "-sigalgs", "rsa_pss_rsae_sha256"], input="", capture_output=True, text=True, timeout=20)
    assert "Peer signature type: RSA-PSS" in done.stdout, done.stdout + done.stderr


# Versions

@pytest.mark.parametrize("policy, version, ciphers, agreed", [
    (None, "1.2", "ECDHE-ECDSA-AES128-GCM-SHA256", True), (None, "1.2", "ECDHE-ECDSA-CHACHA20-POLY1305", True),
    (None, "1.2", "ECDHE-ECDSA-AES128-SHA256", False), (None, "1.3", None, True),
    ("modern", "1.3", None, True), ("modern", "1.2", None, False),
    ("old", "1.2", "ECDHE-ECDSA-AES128-SHA", True),
    ("ELBSecurityPolicy-TLS13-1-2-Res-2021-06", "1.2", "ECDHE-ECDSA-AES128-GCM-SHA256", True),
    ("ELBSecurityPolicy-TLS13-1-2-Res-2021-06", "1.2", "ECDHE-ECDSA-AES128-SHA256", False),
    ("ELBSecurityPolicy-TLS13-1-2-2021-06", "1.2", "ECDHE-ECDSA-AES128-SHA256", True),
    ("ELBSecurityPolicy-TLS13-1-3-2021-06", "1.3", None, True),
    ("ELBSecurityPolicy-TLS13-1-3-2021-06", "1.2", None, False),
])
def test_policies(start, authority, policy, version, ciphers, agreed):
    poise = secure(start, authority, policy=policy)
    if agreed:
        with connect(poise, authority, version=version, ciphers=ciphers) as client:
            assert client.ask(request()).status == 200
            assert ciphers is None or client.sock.cipher()[0] == ciphers
    else:
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE|PROTOCOL_VERSION"):
            connect(poise, authority, version=version, ciphers=ciphers)
    with connect(poise, authority) as client:
        assert client.ask(request()).status == 200, "others are served"


def test_a_client_cannot_renegotiate(start, authority):
    poise = secure(start, authority)
    with subprocess.Popen(
            [program("openssl"), "s_client", "-connect", f"127.0.0.1:{poise.port}", "-servername", "shop.test", "-tls1_2"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout:
            if line.startswith("    Extended master secret"):
                break
        process.stdin.write("R\n")
        process.stdin.flush()
        rest = process.stdout.read()
        assert process.wait(20) != 0
    assert "no renegotiation" in rest or "unexpected message" in rest or "alert" in rest, rest


# ALPN

BOTH, OTHER_WAY = ("h2", "http/1.1"), ("http/1.1", "h2")


@pytest.mark.parametrize("policy, offered, agreed", [
    (None, BOTH, "h2"), (None, OTHER_WAY, "h2"), (None, ("http/1.1",), "http/1.1"), (None, (), None),
    (None, ("http/1.0",), "http/1.0"), (None, ("http/1.0", "http/1.1"), "http/1.1"), (None, ("http/1.0", "h2"), "h2"),
    ("HTTP1Only", ("http/1.0",), "http/1.0"), ("HTTP2Optional", ("http/1.0",), "http/1.0"),
    ("HTTP2Only", ("http/1.0",), "refused"),
    ("HTTP1Only", BOTH, "http/1.1"), ("HTTP1Only", ("h2",), "refused"), ("HTTP1Only", (), None),
    ("HTTP2Only", OTHER_WAY, "h2"), ("HTTP2Only", ("http/1.1",), "refused"),
    ("HTTP2Optional", BOTH, "http/1.1"), ("HTTP2Optional", ("h2",), "h2"),
    ("HTTP2Preferred", OTHER_WAY, "h2"), ("HTTP2Preferred", ("http/1.1",), "http/1.1"),
    ("HTTP2Preferred", ("spdy/3",), "refused"),
    ("None", BOTH, None), ("None", (), None),
])
def test_alpn_policies(start, authority, policy, offered, agreed):
    poise = secure(start, authority, alpn=policy)
    if agreed == "refused":
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            connect(poise, authority, alpn=offered)
        return
    with connect(poise, authority, alpn=offered) as client:
        assert client.sock.selected_alpn_protocol() == agreed
        if agreed != "h2":
            assert client.ask(request()).status == 200
    if agreed == "h2":
        with http2.Client(poise.port, tls=client_context(authority, offered), server_name="shop.test") as client:
            assert client.ask().status == 200


# Resumption

def resumes(poise, authority, version, before):
    """Whether a client that brings the session of an earlier connection is recognised; the session it has then."""
    context = before[0] if before else client_context(authority, version=version)
    with Client(poise.port, tls=context, server_name="shop.test", session=before and before[1]) as client:
        assert client.ask(request()).status == 200  # TLS 1.3: tickets come with the answer
        return client.sock.session_reused, (context, client.sock.session)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_sessions_resume_also_after_an_apply(start, authority, version):
    origin, identity = start.origin(), authority.issue("shop.test")
    files = [identity.files(start.folder)]
    text = lambda **more: configuration([listener(certificates=files, forward="pool", **more)], [group("pool", [origin.address])])
    poise = start.poise(text())
    new, session = resumes(poise, authority, version, None)
    assert not new and session[1].has_ticket
    again, session = resumes(poise, authority, version, session)
    assert again
    reload(poise, text(idle="60s"))
    again, session = resumes(poise, authority, version, session)
    assert again, "ticket keys are kept over an apply"


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_processes_resume_each_others_sessions_with_one_key_file(start, authority, version):
    identity, keys = authority.issue("shop.test"), start.folder / "tickets"
    keys.write_bytes(os.urandom(48))
    one, two = (secure(start, authority, identity, ticket_keys=str(keys)) for _ in range(2))
    stranger = secure(start, authority, identity)
    _, session = resumes(one, authority, version, None)
    assert resumes(two, authority, version, session)[0]
    assert not resumes(stranger, authority, version, session)[0]


def test_early_data_is_off(start, authority):
    poise = secure(start, authority)
    ticket = start.folder / "session"
    command = [program("openssl"), "s_client", "-connect", f"127.0.0.1:{poise.port}", "-servername", "shop.test", "-tls1_3"]
    done = subprocess.run([*command, "-sess_out", ticket, "-ign_eof"], capture_output=True, text=True, timeout=20,
                          input="GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
    assert " 200 " in done.stdout and ticket.exists(), done.stdout + done.stderr
    assert "Max Early Data: 0" in done.stdout


# Host and certificate

def test_a_host_of_another_certificate_is_misdirected(start, authority):
    poise = secure(start, authority, authority.issue("a.test", "*.shop.test"), authority.issue("b.test"))
    with http2.Client(poise.port, tls=client_context(authority, ["h2"]), server_name="a.test") as client:
        assert client.ask(host="a.test").status == 200
        assert client.ask(host="x.shop.test").status == 200, "the same certificate is for it"
        check_generated(client.ask(host="b.test"), 421)
        assert client.ask(host="a.test").status == 200, "the connection goes on"


@pytest.mark.parametrize("host", ["a.test.", "x.shop.test.", "A.Test."])
@pytest.mark.parametrize("asked", ["a.test", "a.test."])
def test_a_fully_qualified_host_is_the_same_one(start, authority, asked, host):
    poise = secure(start, authority, authority.issue("other.test"), authority.issue("a.test", "*.shop.test"))
    with http2.Client(poise.port, tls=client_context(None, ["h2"]), server_name=asked) as client:
        assert client.ask(host=host).status == 200
        check_generated(client.ask(host="other.test."), 421)


def test_of_a_pair_the_certificate_that_was_shown_says_which_hosts_there_are(start, authority):
    ec, rsa = authority.issue("e.test", "f.test"), authority.issue("e.test", "g.test", kind="rsa")
    poise = secure(start, authority, authority.issue("other.test"), ec, rsa)
    for ciphers, hosts in {"ECDHE-ECDSA-AES128-GCM-SHA256": {"f.test": 200, "g.test": 421},
                           "ECDHE-RSA-AES128-GCM-SHA256": {"f.test": 421, "g.test": 200}}.items():
        tls = client_context(authority, ["h2"], version="1.2", ciphers=ciphers)
        with http2.Client(poise.port, tls=tls, server_name="e.test") as client:
            for host, status in {"e.test": 200, **hosts, "other.test": 421}.items():
                assert client.ask(host=host).status == status, (ciphers, host)
    with http2.Client(poise.port, tls=client_context(authority, ["h2"]), server_name="f.test") as client:
        assert client.ask(host="e.test").status == 200, "which would be shown the same one"


# Fields

def test_strict_transport_security(start, authority):
    poise = secure(start, authority, strict_transport={"max_age": "365d", "include_subdomains": True},
                   rules=[{"when": {"path": ["/own"]}, "fixed_response": {"status": 200}}])
    with connect(poise, authority) as client:
        for path in ("/", "/own"):
            assert client.ask(request(path)).get("Strict-Transport-Security") == "max-age=31536000; includeSubDomains"


def test_version_and_cipher_for_the_target(start, authority):
    forged = [("X-Amzn-Tls-Version", "forged"), ("X-Amzn-Tls-Cipher-Suite", "forged")]
    origin = start.origin()
    on, off = (secure(start, authority, origin=origin, version_and_cipher=value) for value in (True, None))
    for version, ciphers, name in (("1.2", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"), ("1.3", None, None)):
        with connect(on, authority, version=version, ciphers=ciphers) as client:
            assert client.ask(request(fields=forged)).status == 200
            name = name or client.sock.cipher()[0]
        told = origin.requests[-1]
        assert told.get("X-Amzn-Tls-Version") == f"TLSv{version}" and told.get("X-Amzn-Tls-Cipher-Suite") == name
    with connect(off, authority) as client:
        answer = client.ask(request())
    assert answer.get("Strict-Transport-Security") is None
    assert "X-Amzn-Tls-Version" not in origin.wait_requests(3)[-1].fields


# What is no TLS

@pytest.mark.parametrize("text", [request(), b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\n\r\nhello",
                                  b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\r\n" + request(), b"\n\nOPTIONS * HTTP/1.1\r\n\r\n",
                                  request(method="get"), request(method="Patch")],
                         ids=["GET", "POST", "preface", "after an empty line", "after bare ends of line", "small", "mixed"])
def test_plain_http_is_told_so_in_plain_text(start, authority, text):
    origin = start.origin()
    poise = secure(start, authority, origin=origin)
    with Client(poise.port) as client:
        client.send(text)
        response = client.response()
        check_generated(response, 400)
        assert response.get("Content-Type").startswith("text/plain") and "HTTPS" in response.text
        assert client.expect_end() == "fin"
    assert origin.connections == []


@pytest.mark.parametrize("data", [b"\x00" * 100, b"\x16\x03\x01\xff\xff" + b"\x01" * 1000, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03",
                                  b"SSH-2.0-x\r\n"], ids=["zeros", "oversize", "broken hello", "ssh"])
def test_what_is_neither_ends_without_harm(start, authority, data):
    poise = secure(start, authority)
    with connect(poise, authority) as neighbour:
        for _ in range(50):
            with Client(poise.port) as client:
                client.send(data)
                client.half_close()
                try:
                    client.to_end()
                except Ended:
                    pass
        assert neighbour.ask(request()).status == 200


def test_a_slow_handshake_is_ended(start, authority):
    poise = secure(start, authority, head="500ms")
    with Client(poise.port) as silent, Client(poise.port) as half:
        half.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        for client in (silent, half):
            try:
                client.to_end(Deadline(10))
            except Ended:
                pass
    with connect(poise, authority) as client:
        assert client.ask(request()).status == 200


# Renewal

def test_a_renewed_certificate_serves_the_next_handshake(start, authority):
    old, new, newest = (authority.issue("shop.test") for _ in range(3))
    files = old.files(start.folder, "shop")
    poise = secure(start, authority, files)
    sees = lambda identity: lambda: certificate_for(poise, "shop.test") == identity.certificate
    with connect(poise, authority) as kept:
        assert kept.ask(request()).status == 200 and sees(old)()
        new.replace(files)
        eventually("the new certificate is served", sees(new), 10)
        assert kept.ask(request()).status == 200, "no connection is touched"
        # One that is broken keeps the old, and says so.
        replace(files["certificate"], b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
        poise.wait_line(lambda line: files["certificate"] in line and "kept" in line, "that the old one is kept", 10)
        assert sees(new)()
        # The key of another does not fit.
        replace(files["certificate"], newest.chain_pem)
        assert sees(new)()
        newest.replace(files)
        eventually("the newest certificate is served", sees(newest), 10)
        assert kept.ask(request()).status == 200


def test_an_apply_reads_new_certificates_and_touches_no_connection(start, authority):
    origin, one, two = start.origin(), authority.issue("one.test"), authority.issue("two.test")
    text = lambda *i: configuration([listener(certificates=[x.files(start.folder) for x in i], forward="pool")],
                                    [group("pool", [origin.address])])
    poise = start.poise(text(one))
    with connect(poise, authority, "one.test") as kept:
        assert kept.ask(request()).status == 200
        reload(poise, text(one, two))
        assert certificate_for(poise, "two.test") == two.certificate
        reload(poise, text(two))
        assert certificate_for(poise, "one.test") == two.certificate
        assert kept.ask(request()).status == 200


def test_expiry_is_a_metric(start, authority):
    identity = authority.issue("shop.test", end=3)
    poise = secure(start, authority, identity)
    with connect(poise, authority) as client:
        assert client.ask(request()).status == 200
    wanted = identity.certificate.not_valid_after_utc.timestamp()
    assert any("certificate" in name and value == wanted for (name, _), value in metrics(poise).items())
    assert any("shop.test" in line and "expire" in line for line in poise.output("err")), "and a warning when it is near"


# Check

def problem(start, certificates, status=3):
    text = configuration([listener(certificates=certificates, forward="pool")], [group("pool", ["127.0.0.1:1"])])
    path = start.folder / "checked.yaml"
    path.write_text(text)
    done = verb("check", path)
    assert done.returncode == status, done.stdout + done.stderr
    return (done.stdout + done.stderr).lower()


def test_check_reads_certificates(start, authority):
    good, other = authority.issue("shop.test"), authority.issue("other.test")
    files = good.files(start.folder, "good")
    problem(start, [files], status=0)
    mixed = dict(files, key=other.files(start.folder, "other")["key"])
    assert "key" in problem(start, [mixed])
    assert "missing.pem" in problem(start, [dict(files, certificate=str(start.folder / "missing.pem"))])
    below = Authority("Below", above=authority).issue("shop.test")
    turned = below.files(start.folder, "turned")
    certificates = below.chain_pem.split(b"-----END CERTIFICATE-----\n")
    replace(turned["certificate"], b"-----END CERTIFICATE-----\n".join(reversed(certificates[:2])) + b"-----END CERTIFICATE-----\n")
    assert "turned" in problem(start, [turned])
    locked = good.files(start.folder, "locked", passphrase="right")
    pathlib.Path(locked["passphrase_file"]).write_text("wrong\n")
    assert "passphrase" in problem(start, [locked])
    expired = authority.issue("shop.test", start=-9, end=-2).files(start.folder, "expired")
    assert "expired" in problem(start, [expired], status=0), "a warning: renewal may be on its way"


# The demo

def test_run_with_a_self_signed_certificate(start):
    origin = start.origin()
    poise = start.poise("", arguments=["run", "--listen", "127.0.0.1:0", "--to", origin.address, "--tls", "self-signed"])
    with connect(poise, None, "localhost") as client:
        assert client.ask(request()).status == 200
    with http2.Client(poise.port, tls=client_context(None, ["h2"])) as client:
        assert client.ask().status == 200


# The end

def test_term_ends_tls_connections_in_order(start, authority):
    poise = secure(start, authority)
    with connect(poise, authority) as idle, http2.Client(
            poise.port, tls=client_context(authority, ["h2"]), server_name="shop.test") as second:
        assert idle.ask(request()).status == 200 and second.ask().status == 200
        poise.signal(signal.SIGTERM)
        assert idle.expect_end() == "fin"
        second.read_until(lambda: second.goaways and second.goaways[-1] == (1, NO_ERROR))
        assert second.expect_end() == "fin"


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_five_thousand_certificates(start, authority):
    shared = authority.issue("one.test").key
    issued = [authority.issue(f"n{n}.test", key=shared) for n in range(5000)]
    files = [identity.files(start.folder, f"n{n}") for n, identity in enumerate(issued)]
    poise = secure(start, authority, *files)
    for n in (0, 2500, 4999):
        assert certificate_for(poise, f"n{n}.test") == issued[n].certificate
