"""What Poise tells a target about the client, and whom it believes."""
import re
import socket

import pytest

from client import Client, request
from deadline import PATIENCE
from settings import configuration, listener


def told(start, fields=(), source=None, host="shop.test", **settings):
    """The one request as the target got it."""
    origin = start.origin()
    poise = start.proxy(origin, **settings)
    with Client(poise.port, source=source) as client:
        assert client.ask(request("/", fields=fields, host=host)).status == 200
    (got,) = origin.requests
    got.listener = poise.port
    return got


def test_the_client_is_named(start):
    got = told(start, source="127.0.0.9")
    assert got.get("X-Forwarded-For") == "127.0.0.9"
    assert got.get("X-Forwarded-Proto") == "http"
    assert got.get("X-Forwarded-Port") == str(got.listener)
    assert "Forwarded" not in got.fields and "X-Amzn-Trace-Id" not in got.fields


def test_what_a_stranger_claims_is_replaced(start):
    got = told(start, fields=[("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-For", "5.6.7.8"), ("x-forwarded-proto", "https"),
                              ("X-Forwarded-Port", "443"), ("Forwarded", "for=1.2.3.4")])
    assert got.get("X-Forwarded-For") == "127.0.0.1"
    assert got.get("X-Forwarded-Proto") == "http"
    assert got.get("X-Forwarded-Port") == str(got.listener)
    assert "Forwarded" not in got.fields
    assert b"1.2.3.4" not in got.raw and b"5.6.7.8" not in got.raw


@pytest.mark.parametrize("fields, chain", [
    ([("X-Forwarded-For", "9.9.9.9")], "9.9.9.9, 127.0.0.5"),
    ([("X-Forwarded-For", "6.6.6.6, 9.9.9.9, 127.0.0.7")], "6.6.6.6, 9.9.9.9, 127.0.0.7, 127.0.0.5"),
    ([("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "9.9.9.9")], "6.6.6.6, 9.9.9.9, 127.0.0.5"),
    ([], "127.0.0.5"),
])
def test_a_trusted_peer_is_believed(start, fields, chain):
    got = told(start, source="127.0.0.5", trusted=["127.0.0.0/28"],
               fields=fields + [("X-Forwarded-Proto", "https"), ("X-Forwarded-Port", "443")])
    assert re.sub(r"\s*,\s*", ", ", ", ".join(got.fields.all("X-Forwarded-For"))) == chain
    assert (got.get("X-Forwarded-Proto"), got.get("X-Forwarded-Port")) == ("https", "443")


def test_a_peer_outside_the_trusted_ranges_is_not(start):
    got = told(start, source="127.0.0.16", trusted=["127.0.0.0/28"], fields=[("X-Forwarded-For", "9.9.9.9")])
    assert got.get("X-Forwarded-For") == "127.0.0.16"


@pytest.mark.parametrize("chain, client", [
    ("9.9.9.9", "9.9.9.9"),
    ("6.6.6.6, 9.9.9.9, 127.0.0.7", "9.9.9.9"),
    ("6.6.6.6, nonsense, 127.0.0.7", "127.0.0.7"),
    ("127.0.0.3, 127.0.0.4", "127.0.0.3"),
])
def test_the_client_is_the_rightmost_untrusted_address(start, chain, client):
    origin = start.origin()
    poise = start.proxy(origin, trusted=["127.0.0.0/28"])
    with Client(poise.port) as connection:
        connection.ask(request("/", fields=[("X-Forwarded-For", chain)]))
    assert poise.wait_record(path="/")["client"].rsplit(":", 1)[0].strip("[]") in (client, client.rsplit(":", 1)[0])


def test_x_forwarded_off_adds_nothing_and_passes_nothing_forged(start):
    got = told(start, x_forwarded=False, fields=[("X-Forwarded-For", "1.2.3.4")])
    assert "X-Forwarded-For" not in got.fields and "X-Forwarded-Proto" not in got.fields


def test_forwarded_by_option(start):
    got = told(start, source="127.0.0.9", forwarded=True)
    pairs = dict(p.strip().lower().split("=", 1) for p in got.get("Forwarded").split(";"))
    assert pairs["for"].strip('"').split(":")[0] == "127.0.0.9" and pairs["proto"] == "http"
    assert pairs.get("host", "shop.test").strip('"') == "shop.test"


def test_forwarded_of_a_trusted_peer_goes_on(start):
    got = told(start, trusted=["127.0.0.1/32"], forwarded=True, fields=[("Forwarded", 'for="[2001:db8::1]:4711"')])
    value = ", ".join(got.fields.all("Forwarded"))
    assert value.startswith('for="[2001:db8::1]:4711",') and "for=127.0.0.1" in value


# Identifiers

def test_a_request_id_is_made(start):
    origin = start.origin()
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        for _ in range(50):
            client.ask(request())
    made = [r.get("X-Request-Id") for r in origin.requests]
    assert len(set(made)) == 50
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{16,128}", i) for i in made), made[0]


@pytest.mark.parametrize("value", ["a", "probe-1", "0123456789abcdef" * 8, "A_b.c-d:e/f"])
def test_a_harmless_request_id_is_kept(start, value):
    assert told(start, fields=[("X-Request-Id", value)]).get("X-Request-Id") == value


@pytest.mark.parametrize("value", ["", "a" * 129, "a b", 'a"b', "a<b>", "a\\b", "gr\xfc\xdfe", "a\tb"])
def test_a_harmful_request_id_is_replaced(start, value):
    got = told(start, fields=[("X-Request-Id", value)])
    assert got.get("X-Request-Id") not in (value, "")


def test_two_request_ids_become_one(start):
    got = told(start, fields=[("X-Request-Id", "one"), ("X-Request-Id", "two")])
    assert len(got.fields.all("X-Request-Id")) == 1


def test_a_trusted_peers_request_id_is_kept(start):
    got = told(start, trusted=["127.0.0.1/32"], fields=[("X-Request-Id", "from the edge")])
    assert got.get("X-Request-Id") == "from the edge"


def test_no_request_id_when_it_is_off(start):
    assert "X-Request-Id" not in told(start, request_id=False).fields


def test_an_amazon_trace_id_by_option(start):
    got = told(start, amazon_trace_id=True)
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", got.get("X-Amzn-Trace-Id"))


@pytest.mark.parametrize("sent, kept", [
    ("Root=1-67891233-abcdef012345678912345678", True),
    ("Root=1-67891233-abcdef012345678912345678;CalledFrom=app", True),
    ("x" * 129, False),
    ('Root=1-67891233-"abcdef', False),
])
def test_an_amazon_trace_id_of_the_client(start, sent, kept):
    got = told(start, amazon_trace_id=True, fields=[("X-Amzn-Trace-Id", sent)]).get("X-Amzn-Trace-Id")
    assert (sent in got) == kept and "Root=1-" in got


# Twins with underscores: many targets fold "_" and "-" into one variable.

@pytest.mark.parametrize("name", [
    "X_Forwarded_For", "X-Forwarded_For", "x_forwarded_proto", "X_Forwarded_Port", "X_Request_Id", "X_Amzn_Trace_Id",
    "X_Forwarded_Host",
])
def test_underscore_twins_are_dropped(start, name):
    got = told(start, fields=[(name, "forged"), ("My_Field", "stays")])
    assert b"forged" not in got.raw and got.get("My_Field") == "stays"


@pytest.mark.parametrize("name", ["Content_Length", "Transfer_Encoding", "Host_"])
def test_other_underscores_do_not_frame(start, name):
    got = told(start, fields=[(name, "chunked")])
    assert got.method == "GET" and "Transfer-Encoding" not in got.fields and "Content-Length" not in got.fields


def test_a_client_of_a_unix_socket_has_no_address_to_forward(start):
    origin = start.origin()
    path = start.folder / "web.sock"
    poise = start.poise(configuration([listener(address=f"unix:{path}", forward=[origin.address])]))
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(path))
        client.sendall(b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"
    seen = origin.wait_requests()[0]
    assert seen.get("X-Forwarded-For") is None and seen.get("X-Forwarded-Port") is None
    assert seen.get("X-Forwarded-Proto") == "http"
    assert poise.wait_record(status=200)["client"] is None
