"""Clients that abuse TLS: handshakes that never end, floods of them, records and messages that must not be."""
import contextlib
import socket
import ssl
import subprocess
import threading

import pytest

from admin import metrics, value
from client import Client, request
from deadline import Deadline, eventually
from real import program
from test_tls_clients import authority, connect, secure  # noqa: F401 (a fixture)
from tls import client_context
from wire import Ended

MB = 1_000_000


def record(kind, payload, length=None):
    return bytes((kind, 3, 3)) + (len(payload) if length is None else length).to_bytes(2, "big") + payload


def hello(body):
    """A handshake message ClientHello of these bytes, in records."""
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"".join(record(22, message[i:i + 16_384]) for i in range(0, len(message), 16_384))


def real_hello(authority):
    """What a client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = client_context(authority).wrap_bio(incoming, outgoing, server_hostname="shop.test")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


def raw(client, data):
    """Below TLS."""
    socket.socket.sendall(client.sock, data)


def ended(client, seconds=10):
    try:
        client.to_end(Deadline(seconds))
    except Ended:
        pass


# Handshakes

@pytest.mark.parametrize("opening", ["nothing", "a byte", "half a hello", "a hello", "a large hello"])
def test_handshakes_that_never_end_hold_little_and_are_given_up(start, authority, opening):
    poise = secure(start, authority, head="1s")
    with connect(poise, authority) as neighbour:
        assert neighbour.ask(request()).status == 200
        before = poise.memory()
        whole = real_hello(authority)
        # OpenSSL takes a ClientHello of up to 131,396 bytes.
        data = {"nothing": b"", "a byte": whole[:1], "half a hello": whole[:100], "a hello": whole,
                "a large hello": hello(b"\x03\x03" + bytes(120_000))[:-1]}[opening]
        held = [Client(poise.port) for _ in range(100)]
        try:
            for client in held:
                client.send(data)
            assert neighbour.ask(request()).status == 200, "others are served"
            for client in held:
                ended(client)
        finally:
            for client in held:
                client.close()
        assert poise.memory("VmHWM") - before < (24 if opening == "a large hello" else 8) * MB
        seen = metrics(poise)
        given_up = value(seen, "poise_listener_refused_connections_total", reason="handshake_timeout")
        failed = value(seen, "poise_listener_tls_handshake_failures_total")
        assert (given_up, failed) == (100, 0)
        assert value(seen, "poise_listener_connections") == 1
        assert neighbour.ask(request()).status == 200


def test_a_handshake_in_drops_has_the_same_time(start, authority):
    poise = secure(start, authority, head="500ms")
    data = real_hello(authority)
    with Client(poise.port) as client:
        over, deadline = threading.Event(), Deadline(10)

        def drip():
            for byte in data:
                if over.wait(0.05):
                    break
                try:
                    client.send(bytes((byte,)))
                except OSError:
                    break
        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            ended(client)
        finally:
            over.set()
            dripping.join()
        assert deadline.left() > 8, "not as long as it drips: that would be over 10 s"
    assert value(metrics(poise), "poise_listener_refused_connections_total", reason="handshake_timeout") == 1


def test_a_flood_of_handshakes_leaves_others_served(start, authority):
    """Each begins a handshake, makes the server sign, and is gone."""
    poise = secure(start, authority)
    data, over = real_hello(authority), threading.Event()

    def flood():
        while not over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", poise.port), 5) as sock:
                    sock.sendall(data)
                    sock.recv(1)
            except OSError:
                pass
    before = poise.memory()
    attackers = [threading.Thread(target=flood) for _ in range(4)]
    for attacker in attackers:
        attacker.start()
    try:
        for _ in range(30):
            with connect(poise, authority) as client:
                assert client.ask(request()).status == 200
    finally:
        over.set()
        for attacker in attackers:
            attacker.join()
    eventually("all are gone", lambda: value(metrics(poise), "poise_listener_connections") == 0)
    assert value(metrics(poise), "poise_listener_tls_handshake_failures_total") > 10
    assert poise.memory() - before < 10 * MB


# Records

OVERSIZE = {
    "a record above 2^14 + 256": record(23, bytes(18_433)),
    "a record whose length is 2^16 - 1": record(23, bytes(1000), 65_535),
    "a record that does not decrypt": record(23, bytes(1000)),
    "an empty record": record(23, b""),
    "a record of no known kind": record(99, b"x"),
    "a handshake in plain text": record(22, b"\x01\x00\x00\x01\x00"),
}


@pytest.mark.parametrize("name", OVERSIZE)
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_records_that_must_not_be_end_their_connection(start, authority, name, version):
    origin = start.origin()
    poise = secure(start, authority, origin=origin)
    with connect(poise, authority) as neighbour, connect(poise, authority, version=version) as client:
        assert client.ask(request()).status == 200
        raw(client, OVERSIZE[name] * 3)
        # The alert comes first; its text is OpenSSL's affair.
        with pytest.raises((OSError, Ended)):
            while True:
                client.fill(Deadline(10))
        assert neighbour.ask(request()).status == 200
    assert len(origin.requests) == 2


@pytest.mark.parametrize("command, version", [("R", "-tls1_2"), ("K", "-tls1_3"), ("k", "-tls1_3")],
                         ids=["renegotiation", "key updates that ask for ours", "key updates"])
def test_floods_of_handshake_messages_on_a_connection(start, authority, command, version):
    """s_client sends one for each line that is this letter."""
    poise = secure(start, authority)
    with connect(poise, authority) as neighbour:
        assert neighbour.ask(request()).status == 200
        # What a worker's first connections take for good is not the flood's.
        for _ in range(8):
            with connect(poise, authority) as other:
                assert other.ask(request()).status == 200
        before = poise.memory()
        tool = subprocess.Popen(
            [program("openssl"), "s_client", "-connect", f"127.0.0.1:{poise.port}", "-servername", "shop.test", version],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(200):
                tool.stdin.write(command.encode() + b"\n")
                tool.stdin.flush()
                assert neighbour.ask(request()).status == 200
        except BrokenPipeError:
            pass
        finally:
            tool.kill()
            tool.wait()
            # What it did not take any more is flushed here.
            with contextlib.suppress(BrokenPipeError):
                tool.stdin.close()
        assert poise.memory() - before < 4 * MB
        assert neighbour.ask(request()).status == 200
