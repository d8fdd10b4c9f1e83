"""Checks without a room of their own in the other tests: their targets go and come back, and hooks hear of it once each.

Those of databases, mail and nameservers are in test_check_kinds.py.
"""
import contextlib

import pytest

from agent import Agent
from comes_back import goes_and_comes_back
from origin import Origin
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
                        down_when="missing", healthy=None, unhealthy=None)
