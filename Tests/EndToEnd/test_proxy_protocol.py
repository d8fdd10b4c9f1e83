"""PROXY protocol, versions 1 and 2: required or off, never guessed."""
import socket
import struct

import pytest

import preamble
from admin import metrics, value
from client import Client, request
from deadline import eventually
from wire import Ended

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command=1, family=0x11, payload=None, version=2):
    if payload is None:
        payload = socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1") + struct.pack("!HH", 4711, 443)
    return SIGNATURE + bytes([version << 4 | command, family]) + struct.pack("!H", len(payload)) + payload


V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + socket.inet_pton(socket.AF_INET6, "2001:db8::1") \
    + struct.pack("!HH", 4711, 443)

GOOD = {
    "v1 TCP4": (b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n", "192.0.2.7"),
    "v1 TCP6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", "2001:db8::7"),
    "v1 UNKNOWN": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    "v1 UNKNOWN with addresses": (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "127.0.0.1"),
    "v2 IPv4": (v2(), "192.0.2.7"),
    "v2 IPv6": (v2(family=0x21, payload=V6), "2001:db8::7"),
    # Datagrams are no TCP: what they say of addresses is for others.
    "v2 UDP over IPv4": (v2(family=0x12), "127.0.0.1"),
    "v2 UDP over IPv6": (v2(family=0x22, payload=V6), "127.0.0.1"),
    "v2 LOCAL": (v2(command=0, family=0, payload=b""), "127.0.0.1"),
    "v2 LOCAL with addresses": (v2(command=0), "127.0.0.1"),
    "v2 with fields after the addresses": (
        v2(payload=v2()[16:] + b"\x05\x00\x03abc" + b"\x04\x00\x02\0\0"), "192.0.2.7"),
    # Without addresses the block holds fields only, as HAProxy writes it for families it has no layout for.
    "v2 unspecified": (v2(family=0, payload=b"\x05\x00\x03abc"), "127.0.0.1"),
}
BAD = {
    "no header": b"",
    "v1 lower case": b"proxy TCP4 192.0.2.7 198.51.100.1 4711 443\r\n",
    "v1 bare LF": b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\n",
    "v1 without an end": b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443" + b" " * 200,
    "v1 bad address": b"PROXY TCP4 192.0.2.777 198.51.100.1 4711 443\r\n",
    "v1 wrong family": b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 443\r\n",
    "v1 bad port": b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 65536\r\n",
    "v1 leading zeros": b"PROXY TCP4 192.0.2.7 198.51.100.1 04711 443\r\n",
    "v1 missing port": b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
    "v1 too many words": b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443 1\r\n",
    "v1 two spaces": b"PROXY TCP4  192.0.2.7 198.51.100.1 4711 443\r\n",
    "v1 TCP5": b"PROXY TCP5 192.0.2.7 198.51.100.1 4711 443\r\n",
    "v2 version 3": v2(version=3),
    "v2 command 2": v2(command=2),
    "v2 too short for its family": v2(payload=b"\1\2\3\4"),
    "v2 unspecified with half a field": v2(family=0, payload=b"\1\2\3"),
    "v2 length without an end": SIGNATURE + b"\x21\x11\xff\xff" + b"x" * 70000,
    "v2 signature broken": SIGNATURE[:-1] + b"\r" + v2()[12:],
}


def refusals(poise):
    return value(metrics(poise), "poise_listener_refused_connections_total", reason="preamble")


@pytest.fixture(scope="module")
def required(shared):
    origin = shared.origin()
    return shared.proxy(origin, proxy_protocol="required", head="500ms"), origin


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("whole", [True, False], ids=["at once", "in pieces"])
def test_the_header_names_the_client(required, name, whole):
    poise, origin = required
    header, client_address = GOOD[name]
    data = header + request("/" + name.replace(" ", "-"))
    with Client(poise.port) as client:
        if whole:
            client.send(data)
        else:
            for index in range(0, len(data), 7):
                client.send(data[index:index + 7])
        assert client.response().status == 200
        assert client.ask(request("/again")).status == 200, "the header comes once per connection"
    seen = origin.requests[-2:]
    assert [r.get("X-Forwarded-For") for r in seen] == [client_address] * 2


@pytest.mark.parametrize("name", BAD)
def test_without_a_good_header_nothing_is_served(required, name):
    nothing_is_served_after(required, BAD[name])


def nothing_is_served_after(required, header):
    poise, origin = required
    before, refused = len(origin.requests), refusals(poise)
    with Client(poise.port) as client:
        try:
            client.send(header + request("/never"))
        except ConnectionError:
            pass
        try:
            answer = client.to_end()
        except Ended:
            answer = b""
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert len(origin.requests) == before
    assert refusals(poise) == refused + 1


def test_a_header_that_does_not_come_is_not_waited_for(required):
    poise, _ = required
    before = refusals(poise)
    with Client(poise.port) as client:
        client.send(b"PROXY TCP4 ")
        try:
            client.to_end()
        except Ended:
            pass
    assert refusals(poise) == before + 1


def test_a_peer_that_says_nothing_and_leaves_is_not_refused(required):
    """As balancers in front of us do when they check that we are there."""
    poise, _ = required
    before = refusals(poise)
    Client(poise.port).close()
    eventually("it is gone", lambda: value(metrics(poise), "poise_listener_connections") == 0)
    assert refusals(poise) == before


def test_a_trusted_range_is_about_the_peer_that_speaks_to_us(start):
    """The address in the header is the client's: what it claims itself is not believed."""
    origin = start.origin()
    poise = start.proxy(origin, proxy_protocol="required")
    with Client(poise.port) as client:
        client.ask(GOOD["v1 TCP4"][0] + request("/", fields=[("X-Forwarded-For", "1.1.1.1")]), "GET")
    assert origin.requests[0].get("X-Forwarded-For") == "192.0.2.7"


BLOCK = v2()[16:]


@pytest.mark.parametrize("more", [
    preamble.field(preamble.UNIQUE_ID, b"x" * 129), preamble.field(preamble.SSL, b"\1\0\0\0"),
    preamble.field(preamble.SSL, b"\1\0\0\0\0\x21\0\x09TLSv1.3"), preamble.field(preamble.AUTHORITY, b"a.test") * 2,
    preamble.field(preamble.CRC32C, bytes(4)), b"\2\0\xffa.test", b"\2\0"],
    ids=["long id", "short ssl", "ssl cut", "two names", "wrong sum", "cut", "half"])
def test_fields_that_cannot_be_are_refused(required, more):
    nothing_is_served_after(required, v2(payload=BLOCK + more))


def test_fields_are_told_by_the_access_log(start):
    poise = start.proxy(start.origin(), proxy_protocol="required")
    tls = b"\7\0\0\0\0" + preamble.field(preamble.SSL_VERSION, b"TLSv1.3") + preamble.field(preamble.SSL_CN, "Ann\n".encode())
    more = (preamble.field(preamble.AUTHORITY, b"shop.test") + preamble.field(preamble.UNIQUE_ID, b"f-1") + preamble.field(preamble.SSL, tls)
            + preamble.field(0xEA, b"\1vpce-08d2bf15fac5001c9") + preamble.field(0xEE, b"\1\x78\x56\x34\x12")
            + preamble.field(0xE0, b"\0\0\0\0\0\0\1\0") + preamble.field(0xF0, b"whatever"))
    with Client(poise.port) as client:
        client.send(preamble.v2(more, checksum=True))
        for path in ("/first", "/second"):
            assert client.ask(request(path)).status == 200
    with Client(poise.port) as client:
        client.send(preamble.v2() + request("/plain"))
        assert client.response().status == 200
    for path in ("/first", "/second"):
        assert poise.wait_record(path=path)["proxy_protocol"] == {
            "authority": "shop.test", "unique_id": "f-1", "tls": "TLSv1.3", "client_certificate": "verified",
            "client_name": "Ann\n", "aws_vpce_id": "vpce-08d2bf15fac5001c9", "azure_link_id": "305419896",
            "gcp_psc_connection_id": "256"}
    assert "proxy_protocol" not in poise.wait_record(path="/plain")


def test_connections_per_client_are_those_of_the_announced_client(start):
    poise = start.proxy(start.origin(), proxy_protocol="required", connections_per_client=1)

    def connect(address):
        client = Client(poise.port)
        client.send(f"PROXY TCP4 {address} 10.9.9.9 40000 80\r\n".encode() + request("/"))
        return client
    with connect("10.0.0.1") as first, connect("10.0.0.2") as second, connect("10.0.0.1") as third:
        assert first.response("GET").status == 200
        assert second.response("GET").status == 200
        assert third.response("GET").status == 429
