"""Checks of gRPC: real servers by grpcio, and targets that are none."""
import concurrent.futures

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from deadline import eventually
from test_agents import becomes, targets
from test_tls_health import plain
from tls import Authority

CHECK = {"protocol": "GRPC", "interval": "200ms", "edge_interval": "50ms", "timeout": "150ms", "healthy": 1, "unhealthy": 1}
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Server:
    """A gRPC server with the health service, or with another servicer of it, or with none."""

    def __init__(self, servicer=None, credentials=None, port=0):
        self.health = health.HealthServicer() if servicer is None else servicer
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        if self.health:
            health_pb2_grpc.add_HealthServicer_to_server(self.health, self.server)
        where = f"127.0.0.1:{port}"
        self.port = (self.server.add_secure_port(where, credentials) if credentials
                     else self.server.add_insecure_port(where))
        self.server.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def end(self):
        self.server.stop(None).wait()


@pytest.fixture
def server():
    servers = []

    def make(*arguments, **more):
        servers.append(Server(*arguments, **more))
        return servers[-1]
    yield make
    for one in servers:
        one.end()


class Scripted(health_pb2_grpc.HealthServicer):
    """Answers as `act(request, context)` does."""

    def __init__(self, act):
        self.act, self.calls = act, []

    def Check(self, request, context):
        self.calls.append((request.service, dict(context.invocation_metadata())))
        return self.act(request, context)


def proxy(start, server, **check):
    return start.proxy(server.address, group_health_check=CHECK | check)


def test_the_whole_server_and_one_service(start, server):
    one = server()
    one.health.set("shop.Cart", NOT_SERVING)
    whole, cart, nobody = proxy(start, one), proxy(start, one, grpc_service="shop.Cart"), proxy(
        start, one, grpc_service="shop.Nobody")
    assert becomes(whole, one, "healthy").startswith("SERVING after ")
    assert becomes(cart, one, "unhealthy", "not_serving").startswith("NOT_SERVING after ")
    evidence = becomes(nobody, one, "unhealthy", "response_mismatch")
    assert evidence.startswith("grpc-status 5 NOT_FOUND"), evidence
    one.health.set("shop.Cart", SERVING)
    becomes(cart, one, "healthy")
    one.health.set("", NOT_SERVING)
    line = becomes(whole, one, "unhealthy", "not_serving")
    assert line.startswith("NOT_SERVING")
    whole.wait_line(lambda line: "reason=not_serving" in line and 'evidence="NOT_SERVING' in line, "the line")
    one.health.set("", SERVING)
    becomes(whole, one, "healthy")
    assert targets(whole)[one.address]["health_transitions"] == 3


def test_taken_down_and_brought_back(start, server):
    one = server()
    poise = proxy(start, one)
    becomes(poise, one, "healthy")
    one.end()
    assert becomes(poise, one, "unhealthy", "connection_refused").startswith("Connection refused")
    again = server(port=one.port)
    becomes(poise, again, "healthy")


@pytest.mark.parametrize("act, reason, evidence", [
    (lambda r, c: c.abort(grpc.StatusCode.UNAVAILABLE, "the database: ✓\n is away" + "!" * 500), "response_mismatch",
     "grpc-status 14 UNAVAILABLE: the database: ???? is away!!!"),
    (lambda r, c: c.abort(grpc.StatusCode.UNIMPLEMENTED, ""), "response_mismatch", "grpc-status 12 UNIMPLEMENTED after "),
    (lambda r, c: health_pb2.HealthCheckResponse(status=3), "not_serving", "SERVICE_UNKNOWN after "),
    (lambda r, c: health_pb2.HealthCheckResponse(), "not_serving", "UNKNOWN after "),
], ids=["UNAVAILABLE", "UNIMPLEMENTED", "SERVICE_UNKNOWN", "UNKNOWN"])
def test_each_answer_is_named(start, server, act, reason, evidence):
    one = server(Scripted(act))
    seen = becomes(proxy(start, one), one, "unhealthy", reason)
    assert seen.startswith(evidence) and len(seen) < 300, seen
    service, fields = one.health.calls[0]
    assert service == "" and fields["user-agent"] == "Poise-HealthChecker/1"


def test_a_server_without_the_service(start, server):
    one = server(servicer=False)
    assert becomes(proxy(start, one), one, "unhealthy", "response_mismatch").startswith("grpc-status 12 UNIMPLEMENTED")
    becomes(proxy(start, one, grpc_codes="0,12"), one, "healthy")


def test_a_server_that_does_not_answer(start, server):
    import threading
    over = threading.Event()

    cancelled = threading.Event()

    def wait(request, context):
        context.add_callback(cancelled.set)
        over.wait(10)
        return health_pb2.HealthCheckResponse(status=1)
    one = server(Scripted(wait))
    assert becomes(proxy(start, one), one, "unhealthy", "timeout").startswith("no answer after ")
    assert cancelled.wait(5), "who is not waited for any more is told so"
    over.set()


def test_over_tls(start, server):
    authority = Authority()
    files = authority.issue("target.test").files(start.folder)
    read = {name: open(path, "rb").read() for name, path in files.items()}
    one = server(credentials=grpc.ssl_server_credentials([(read["key"], read["certificate"])]))
    # Of version http1 too: a call is HTTP/2 whatever the traffic is.
    for version in "http2", "http1":
        poise = start.proxy(one.address, group_health_check=CHECK, group_protocol="HTTPS", group_version=version,
                            group_certificate_name="target.test", group_authority=authority.file(start.folder))
        assert becomes(poise, one, "healthy").startswith("SERVING")
    one.health.set("", NOT_SERVING)
    becomes(poise, one, "unhealthy", "not_serving")


def test_targets_that_speak_no_grpc(start):
    old, new = start.origin(plain), start.h2_origin()
    evidence = becomes(proxy(start, old), old, "unhealthy", "malformed_response")
    assert evidence.startswith("HTTP/2: the target answers in HTTP/1"), evidence
    evidence = becomes(proxy(start, new), new, "unhealthy", "response_mismatch")
    assert evidence.startswith("not gRPC: "), evidence
