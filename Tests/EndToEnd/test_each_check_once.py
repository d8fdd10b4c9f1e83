"""Checks without a room of their own in the other tests: their targets go and come back, and hooks hear of it once each.

Those of databases, mail and nameservers are in test_check_kinds.py.
"""
import contextlib
import os
import subprocess

import pytest

from agent import Agent
from comes_back import goes_and_comes_back
from deadline import eventually
from origin import Origin
from poise import BINARY
from test_grpc_checks import Server
from tls import Authority, server_context


@contextlib.contextmanager
def ending(server):
    try:
        yield server
    finally:
        server.end()


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.mark.parametrize("protocol, good", [("TCP", "connected"), ("HTTP", "status 200")])
def test_in_plain_text(start, protocol, good):
    goes_and_comes_back(start, lambda port: contextlib.closing(Origin(port=port)), good, protocol=protocol)


@pytest.mark.parametrize("protocol, good", [("TLS", "TLS handshake done"), ("HTTPS", "status 200")])
def test_over_tls(start, authority, protocol, good):
    context = server_context(authority.issue("target.test"))
    settings = {"group_protocol": "HTTPS", "group_certificate_name": "target.test", "group_authority": authority.file(start.folder)}
    goes_and_comes_back(start, lambda port: contextlib.closing(Origin(port=port, tls=context)), good, protocol=protocol, settings=settings)


def test_grpc(start):
    goes_and_comes_back(start, lambda port: ending(Server(port=port)), "SERVING", protocol="GRPC")


def test_an_agents_word(start):
    with ending(Agent("down # for repair\n")) as agent:
        @contextlib.contextmanager
        def up(port):
            agent.line = "up ready 100%\n"
            yield
            agent.line = "down # for repair\n"
        goes_and_comes_back(start, up, "agent: 100% up ready", "agent: down # for repair", "agent_down", protocol="AGENT",
                            port=agent.port, healthy=None, unhealthy=None)


@pytest.fixture
def sign(start):
    """A context in which a file exists."""
    file = start.folder / "sign"

    @contextlib.contextmanager
    def there(port):
        file.touch()
        yield
        file.unlink()
    there.file = file
    return there


def test_a_command(start, sign):
    goes_and_comes_back(start, sign, "exit status 0", "exit status 1", "command_failed", protocol="EXEC",
                        command=["/usr/bin/test", "-e", str(sign.file)])


def test_a_file(start, sign):
    goes_and_comes_back(start, sign, "exists", "does not exist", "maintenance_file", protocol="FILE", file=str(sign.file),
                        down_when="missing", healthy=None, unhealthy=None, edge_interval=None)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a network of its own")
def test_an_echo(start, monkeypatch):
    """In a network of its own, where an address can be taken away."""
    with subprocess.Popen(["unshare", "--net", "sleep", "60"]) as holder:
        def network(of):
            return os.readlink(f"/proc/{of}/ns/net")
        eventually("another network", lambda: network(holder.pid) != network("self"))
        inside = ["nsenter", f"--target={holder.pid}", "--net"]
        program = start.folder / "inside"
        program.write_text(f"#!/bin/sh\nexec {' '.join(inside)} '{BINARY}' \"$@\"\n")
        program.chmod(0o755)
        monkeypatch.setattr("poise.BINARY", str(program))

        @contextlib.contextmanager
        def there(port):
            subprocess.run([*inside, "ip", "address", "add", "10.99.0.1/32", "dev", "lo"], check=True)
            yield
            subprocess.run([*inside, "ip", "address", "delete", "10.99.0.1/32", "dev", "lo"], check=True)
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        try:
            goes_and_comes_back(start, there, "echo reply", "Network is unreachable", "connection_failed", host="10.99.0.1",
                                protocol="ICMP")
        finally:
            holder.terminate()
