"""PROXY headers that Poise sends: what they say, and that a connection never speaks for another client."""
import contextlib
import socket
import subprocess

import pytest

import preamble
from admin import metrics, value, verb
from client import Client, request
from deadline import Deadline, eventually
from origin import answer, dead_port
from preamble import ALPN, AUTHORITY, CRC32C, SSL_CIPHER, SSL_VERSION, UNIQUE_ID
from real import program
from settings import configuration, group, listener
from test_health_and_apply import CHECK
from test_tls_health import becomes
from tls import Authority, client_context, server_context

ALL = {"version": "v2", "tlvs": ["ssl", "authority", "unique_id", "alpn", "crc32c"]}


def raw(conn):
    """Reads from the socket itself, so that what comes behind is left for TLS."""
    def exactly(count):
        conn.sock.settimeout(Deadline().left())
        data = b""
        while len(data) < count:
            more = conn.sock.recv(count - len(data))
            if not more:
                raise ConnectionResetError(data)
            data += more
        return data
    return exactly


def told(conn):
    """A target that expects a header on each connection."""
    conn.preamble = preamble.read(conn.exactly)
    answer(conn)


def told_before_tls(context):
    def handler(conn):
        conn.preamble = preamble.read(raw(conn))
        conn.sock = context.wrap_socket(conn.sock, server_side=True, suppress_ragged_eofs=False)
        answer(conn)
    return handler


def name(client):
    """(address, port) of a client's own end."""
    return client.sock.getsockname()[:2]


def connections(origin):
    return [conn for conn in origin.connections if conn.requests]


def open_at(origin):
    return sum(not conn.over.is_set() for conn in origin.connections)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_header_names_the_client_and_where_it_connected(start, version):
    origin = start.origin(told)
    poise = start.proxy(origin, group_proxy_protocol=version, address="127.0.0.1:0")
    with Client(poise.port, source="127.0.0.2") as client:
        for _ in range(3):
            assert client.ask(request()).status == 200
        (conn,) = origin.connections
        assert (conn.preamble.version, conn.preamble.command) == (int(version[1]), "PROXY")
        assert (conn.preamble.source, conn.preamble.destination) == (name(client), ("127.0.0.1", poise.port))
        assert len(conn.requests) == 3, "one client's requests go on on its connection"
        assert conn.preamble.fields == []


def test_header_and_request_come_in_one_piece(start):
    """A target that reads once must find both; so must one that looks for the header only in its first read."""
    first = []

    def reading(conn):
        conn.sock.settimeout(Deadline().left())
        first.append(conn.sock.recv(1 << 16))
        conn.respond(body=b"read")
    origin = start.origin(reading)
    poise = start.proxy(origin, group_proxy_protocol="v2")
    with Client(poise.port) as client:
        assert client.ask(request("/whole", "POST", body=b"content")).body == b"read"
    assert first[0].startswith(preamble.SIGNATURE) and first[0].endswith(b"\r\n\r\ncontent")


def test_clients_never_share_a_connection(start):
    """Interleaved: each target connection carries the requests of exactly the client that its header names."""
    origins = [start.origin(told) for _ in range(3)]
    poise = start.proxy(*origins, group_proxy_protocol="v2", process_workers=2)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(poise.port, source=f"127.0.0.{n + 2}")) for n in range(6)]
        for turn in range(9):
            for client in clients:
                client.send(request(f"/{name(client)[1]}/{turn}"))
            for client in clients:
                assert client.response().status == 200
        seen = [conn for origin in origins for conn in connections(origin)]
        for conn in seen:
            assert {r.target.split("/")[1] for r in conn.requests} == {str(conn.preamble.source[1])}
        assert {conn.preamble.source for conn in seen} == {name(client) for client in clients}
        assert sum(len(conn.requests) for conn in seen) == 6 * 9
        assert len(seen) <= 6 * 3, "at most one connection for each client at each target"


def test_connections_go_with_their_client(start):
    """100 clients that stay: at most 100 connections to the target; none when they have gone."""
    origin = start.origin(told)
    poise = start.proxy(origin, group_proxy_protocol="v1", process_workers=2)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(poise.port)) for _ in range(100)]
        for _ in range(3):
            for client in clients:
                client.send(request())
            for client in clients:
                assert client.response().status == 200
        assert len(origin.connections) == open_at(origin) == 100
        assert value(metrics(poise), "poise_target_connections") == 100
        clients[0].close()
        eventually("one is gone", lambda: open_at(origin) == 99)
    eventually("all are gone", lambda: open_at(origin) == 0)
    eventually("and counted", lambda: value(metrics(poise), "poise_target_connections") == 0)


@pytest.mark.parametrize("count, kept", [(12, 12), (32, 32), (36, 32)])
def test_connections_to_many_targets_in_turn_are_kept_up_to_a_bound(start, count, kept):
    origins = [start.origin(told) for _ in range(count)]
    poise = start.proxy(*origins, group_proxy_protocol="v2", group_health_check="off")
    with Client(poise.port) as client:
        for _ in range(6 * count):
            assert client.ask(request()).status == 200
        eventually("the bound", lambda: sum(open_at(origin) for origin in origins) == kept)
    opened = sum(len(connections(origin)) for origin in origins)
    if count == kept:
        assert opened == count, "each is used again"
    else:
        assert opened < 4 * count, "beyond the bound most are"


def test_a_trusted_proxys_clients_are_told_apart(start):
    """One connection of a proxy in front carries the requests of many: each header is that of its own client."""
    origin = start.origin(told)
    poise = start.proxy(origin, group_proxy_protocol="v2", trusted=["127.0.0.0/8"])
    with Client(poise.port) as client:
        for address in ["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.1", "192.0.2.2"]:
            assert client.ask(request(f"/{address}", fields=[("X-Forwarded-For", address)])).status == 200
        assert client.ask(request("/own")).status == 200
        seen = {conn.preamble.source: [r.target for r in conn.requests] for conn in origin.connections}
        assert seen == {("192.0.2.1", 0): ["/192.0.2.1"] * 3, ("192.0.2.2", 0): ["/192.0.2.2"] * 2, name(client): ["/own"]}


def test_what_came_with_a_header_goes_on_in_one(start):
    origin = start.origin(told)
    poise = start.proxy(origin, proxy_protocol="required", group_proxy_protocol="v2")
    with Client(poise.port) as client:
        client.send(preamble.v2())
        assert client.ask(request()).status == 200
    with Client(poise.port) as client:
        client.send(preamble.v2(command=0))
        assert client.ask(request()).status == 200
        first, second = origin.connections
        assert (first.preamble.source, first.preamble.destination) == (("192.0.2.7", 4711), ("198.51.100.1", 443))
        assert (second.preamble.source, second.preamble.destination) == (name(client), ("127.0.0.1", poise.port))


def test_one_family_for_both_addresses(start):
    """A client of IPv4 at a socket of both families is one of IPv4; one that a header says came to an IPv6 address from an
    IPv4 one is written as the specification asks for: both as IPv6."""
    origin = start.origin(told)
    poise = start.poise(configuration(
        [listener("both", address=":0", forward="pool"),
         listener("told", forward="pool", trusted=["::1/128"], address="[::1]:0")],
        [group("pool", [origin.address], proxy_protocol="v1")]))
    with Client(poise.port_of("both")) as client:
        assert client.ask(request()).status == 200
        assert origin.connections[0].preamble.source == name(client)
    with Client(("::1", poise.port_of("told"))) as client:
        assert client.ask(request(fields=[("X-Forwarded-For", "192.0.2.9")])).status == 200
    mixed = origin.connections[1].preamble
    assert (mixed.source, mixed.destination) == (("::ffff:192.0.2.9", 0), ("::1", poise.port_of("told")))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_client_of_a_unix_socket(start, version):
    origin, path = start.origin(told), f"{start.folder}/web.sock"
    start.proxy(origin, address=f"unix:{path}", group_proxy_protocol=version)
    for _ in range(2):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            sock.sendall(request(fields=[("Connection", "close")]))
            while sock.recv(4096):
                pass
    for conn in origin.connections:
        if version == "v1":
            assert conn.preamble.raw == b"PROXY UNKNOWN\r\n"
        else:
            found = conn.preamble
            assert (found.command, found.family, found.source, found.destination) == ("PROXY", 0x31, "", path)


def test_fields_tell_about_tls_and_the_first_request(start):
    authority, origin = Authority(), start.origin(told)
    shop = authority.issue("shop.test")
    poise = start.poise(configuration(
        [listener("tls", forward="pool", certificates=[shop.files(start.folder)]), listener("plain", forward="pool")],
        [group("pool", [origin.address], proxy_protocol=ALL)]))
    context = client_context(authority)
    with Client(poise.port_of("tls"), tls=context, server_name="shop.test") as client:
        for _ in range(2):
            assert client.ask(request()).status == 200
        found, seen = origin.connections[0].preamble, client.sock
        flags, verify, inner = found.ssl
        assert (flags, verify != 0) == (1, True), "over TLS, and without a certificate"
        assert inner == {SSL_VERSION: seen.version().encode(), SSL_CIPHER: seen.cipher()[0].encode()}
        assert (found.field(AUTHORITY), found.field(ALPN)) == (b"shop.test", b"http/1.1")
        ids = [r.get("X-Request-Id") for r in origin.connections[0].requests]
        assert found.field(UNIQUE_ID).decode() == ids[0] != ids[1]
        poise.wait_record(request_id=ids[0])
        assert found.field(CRC32C) is not None, "and preamble.read has found it to be right"
    with Client(poise.port_of("plain")) as client:
        assert client.ask(request(fields=[("X-Request-Id", "my-own-id")])).status == 200
    found = origin.connections[1].preamble
    assert (found.ssl, found.field(AUTHORITY), found.field(UNIQUE_ID)) == (None, None, b"my-own-id")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_header_comes_before_the_handshake(start, version):
    authority = Authority()
    origin = start.origin(told_before_tls(server_context(authority.issue("target.test"))))
    poise = start.proxy(origin, group_proxy_protocol=version, group_protocol="HTTPS", group_certificate_name="target.test",
                        group_authority=authority.file(start.folder))
    for _ in range(2):
        with Client(poise.port) as client:
            for _ in range(2):
                assert client.ask(request("/over-tls", "POST", body=b"x" * 100)).status == 200
            assert origin.connections[-1].preamble.source == name(client)
    assert [len(conn.requests) for conn in origin.connections] == [2, 2]


def test_another_target_is_told_again(start):
    refusing, port = dead_port()
    with refusing:
        origin = start.origin(told)
        poise = start.proxy(f"127.0.0.1:{port}", origin, group_proxy_protocol="v2")
        with Client(poise.port) as client:
            for _ in range(4):
                assert client.ask(request()).status == 200
            (conn,) = origin.connections
            assert (conn.preamble.source, len(conn.requests)) == (name(client), 4)


def test_a_connection_that_the_target_closed_is_opened_anew_with_its_header(start):
    def once(conn):
        conn.preamble = preamble.read(conn.exactly)
        conn.request()
        conn.respond(body=b"once")
        conn.half_close()
    origin = start.origin(once)
    poise = start.proxy(origin, group_proxy_protocol="v2")
    with Client(poise.port) as client:
        for count in range(1, 5):
            assert client.ask(request()).body == b"once"
            assert len(origin.connections) == count
        assert {conn.preamble.source for conn in origin.connections} == {name(client)}


def test_a_limit_of_connections_is_not_held_by_who_is_idle(start):
    """Two clients keep the only two connections; a third gets one of them closed, and not an error."""
    origin = start.origin(told)
    poise = start.proxy(origin, group_proxy_protocol="v2", group_connections=2, process_workers=2)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(poise.port)) for _ in range(6)]
        for _ in range(4):
            for client in clients:
                assert client.ask(request(f"/{name(client)[1]}")).status == 200
                assert value(metrics(poise), "poise_target_connections") <= 2
        eventually("two are left", lambda: open_at(origin) == 2)
        for conn in connections(origin):
            assert {r.target for r in conn.requests} == {f"/{conn.preamble.source[1]}"}


def test_a_change_of_the_setting_holds_for_what_is_kept(start):
    kinds = []

    def either(conn):
        conn.fill(Deadline())
        kinds.append(conn.buffer[:6])
        if conn.buffer.startswith((b"PROXY ", preamble.SIGNATURE[:6])):
            preamble.read(conn.exactly)
        answer(conn)
    origin = start.origin(either)

    def text(setting):
        return configuration([listener(forward="pool")], [group("pool", [origin.address], proxy_protocol=setting)])
    poise = start.poise(text("off"))
    with Client(poise.port) as client:
        for setting, first in [("off", b"GET / "), ("v1", b"PROXY "), ("v2", preamble.SIGNATURE[:6]), ("off", b"GET / ")]:
            poise.file.write_text(text(setting))
            done = verb("apply", str(poise.file), poise=poise)
            assert done.returncode == 0, done.stderr
            for _ in range(2):
                assert client.ask(request()).status == 200
            assert kinds[-1] == first
    assert len(kinds) == 4


def test_streams_of_one_http2_client_are_one_client(start):
    """curl: two requests at once, then two more, on one connection; all of them its own, and gone with it."""
    authority, origin = Authority(), start.origin(told)
    poise = start.proxy(origin, group_proxy_protocol="v2", certificates=[authority.issue("shop.test").files(start.folder)])
    url = f"https://shop.test:{poise.port}/"
    done = subprocess.run(
        [program("curl"), "-sS", "--http2", "--parallel", "--cacert", authority.file(start.folder), "--resolve",
         f"shop.test:{poise.port}:127.0.0.1", "-w", "%{http_version} %{local_port}\\n"]
        + [part for n in range(4) for part in ("-o", "/dev/null", f"{url}{n}")],
        capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.split("\n") if line]
    assert {version for version, _ in lines} == {"2"}
    ports = {int(port) for _, port in lines}
    assert {conn.preamble.source[1] for conn in origin.connections} == ports
    assert sum(len(conn.requests) for conn in origin.connections) == 4
    eventually("its connections have gone with it", lambda: open_at(origin) == 0)


# Checks

@pytest.mark.parametrize("kind", ["TCP", "HTTP", "TLS", "HTTPS"])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_checks_speak_for_poise_itself(start, version, kind):
    authority, check = Authority(), CHECK | {"protocol": kind}
    if kind in ("TCP", "TLS"):
        del check["path"]
    settings = {}
    origin = start.origin(told)
    if kind in ("TLS", "HTTPS"):
        context = server_context(authority.issue("target.test"))

        def handler(conn):
            conn.preamble = preamble.read(raw(conn))
            with contextlib.suppress(OSError):
                conn.sock = context.wrap_socket(conn.sock, server_side=True, suppress_ragged_eofs=False)
                answer(conn)
        origin = start.origin(handler)
        settings = {"group_protocol": "HTTPS", "group_certificate_name": "target.test",
                    "group_authority": authority.file(start.folder)}
    poise = start.proxy(origin, group_proxy_protocol=version, group_health_check=check, **settings)
    assert "PROXY" not in becomes(poise, origin, "healthy")
    origin.connections[0].over.wait(Deadline().left())
    expected = b"PROXY UNKNOWN\r\n" if version == "v1" else preamble.SIGNATURE + b"\x20\0\0\0"
    assert origin.connections[0].preamble.raw == expected
    with Client(poise.port) as client:
        assert client.ask(request()).status == 200


def test_a_check_on_a_port_of_its_own_is_sent_without(start):
    origin, checks = start.origin(told), start.origin(answer)
    poise = start.proxy(origin, group_proxy_protocol="v2", group_health_check=CHECK | {"port": checks.port})
    becomes(poise, origin, "healthy")
    assert checks.requests[0].target == "/health" and origin.connections == []


def bad_request(conn):
    """As a web server takes a header that it does not expect."""
    line = conn.until(b"\n")
    if not line.startswith((b"GET", b"POST")):
        conn.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return
    conn.respond()


def closing(conn):
    conn.until(b"\n")


@pytest.mark.parametrize("handler, seen", [(bad_request, "status 400"), (closing, "closed before")], ids=["400", "closes"])
def test_a_target_that_expects_no_header_is_unhealthy_for_a_reason_that_helps(start, handler, seen):
    origin = start.origin(handler)
    poise = start.proxy(origin, group_proxy_protocol="v1", group_health_check=CHECK)
    evidence = becomes(poise, origin, "unhealthy", "response_mismatch" if handler is bad_request else "connection_failed")
    asks = ", behind a PROXY v1 header: does the target expect one?"
    assert evidence.endswith(asks), evidence
    poise.wait_line(lambda line: "to=unhealthy" in line and f'{asks}"' in line, "the question in the log")
    assert seen in evidence or "reset" in evidence, evidence


@pytest.mark.parametrize("handler, seen", [
    (lambda conn: (conn.until(b"\n"), conn.send(b"-ERR unknown command 'PROXY'\r\n")), "-ERR unknown command"),
    (closing, "the end of the connection"),
], ids=["complains", "closes"])
def test_a_script_asks_the_same_of_who_answers_the_header(start, handler, seen):
    origin = start.origin(handler)
    check = {name: value for name, value in CHECK.items() if name != "path"} | {"protocol": "REDIS"}
    poise = start.proxy(origin, group_proxy_protocol="v1", group_health_check=check)
    reason = "unexpected_answer" if "ERR" in seen else "connection_failed"
    evidence = becomes(poise, origin, "unhealthy", reason)
    assert seen in evidence and evidence.endswith(", behind a PROXY v1 header: does the target expect one?"), evidence


def test_groups_with_and_without_a_header_are_probed_apart(start):
    """One address in two groups: what the one needs the other must not get."""
    kinds = []

    def handler(conn):
        conn.fill(Deadline())
        kinds.append(conn.buffer[:5])
    origin = start.origin(handler)
    check = CHECK | {"protocol": "TCP"}
    del check["path"]
    start.poise(configuration(
        [listener(name, forward=name) for name in ("with", "without")],
        [group("with", [origin.address], proxy_protocol="v1", health_check=check),
         group("without", [origin.address], health_check=CHECK)]))
    eventually("both are probed", lambda: {b"PROXY", b"GET /"} <= set(kinds))
