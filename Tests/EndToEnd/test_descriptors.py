"""No descriptor is left: service goes on, nothing spins, and everything is as before once some are free."""
import os
import pathlib
import resource
import socket
import time

from admin import AdminConnection, metrics, value
from client import Client, get, request
from deadline import PATIENCE, SLOW, eventually
from settings import configuration, group, listener
from wire import Ended


def leave_descriptors(poise, count):
    """Lowers the limit of the running process so that it can open `count` more."""
    pid = poise.process.pid
    taken = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    limit = free = 0
    while free < count or limit in taken:
        free += limit not in taken
        limit += 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))


def give_descriptors(poise):
    hard = resource.prlimit(poise.process.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(poise.process.pid, resource.RLIMIT_NOFILE, (hard, hard))


def cpu(poise):
    fields = pathlib.Path(f"/proc/{poise.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_clients_wait_until_a_descriptor_is_free(start):
    poise = start.proxy(start.origin())
    watching = AdminConnection(poise.admin)

    def held():
        return value(metrics(poise, watching), "poise_listener_held_sockets")
    assert held() == 0
    kept = Client(poise.port)
    assert kept.ask(request()).status == 200
    leave_descriptors(poise, 3)
    clients = [Client(poise.port) for _ in range(20)]
    # Each that is answered makes place for the next.
    for client in clients:
        assert client.ask(request(fields=[("Connection", "close")])).status == 200
        assert kept.ask(request()).status == 200, "those inside are served"
        client.close()
    clients = [Client(poise.port) for _ in range(20)]
    eventually("accepting is on hold", held)
    poise.wait_line(lambda line: "no more connections" in line and "no descriptor is free" in line, "a word about it")
    def counted(name):
        return value(metrics(poise, watching), name)
    before, since, wake_ups = cpu(poise), time.monotonic(), counted("poise_worker_wake_ups_total")
    clients[0].expect_silence(1)
    passed = time.monotonic() - since
    assert cpu(poise) - before < 0.1 * SLOW * passed, "it spins while it cannot accept"
    assert counted("poise_worker_wake_ups_total") - wake_ups < 50 * passed
    assert kept.ask(request()).status == 200
    assert poise.text().count("no more connections") == 1, "said once, not for each attempt"
    seen = metrics(poise, watching)
    assert value(seen, "poise_listener_accept_holds_total", cause="descriptors") > 0
    assert value(seen, "poise_listener_accept_holds_total", cause="process_limit") == 0
    give_descriptors(poise)
    for client in clients:
        assert client.ask(request()).status == 200, "who waited is served"
    assert held() == 0
    watching.close()


def test_a_target_without_a_descriptor_for_it_is_not_to_blame(start):
    passive = {"consecutive_failures": 1, "ejection_time": "5m"}
    poise = start.proxy(start.origin(), start.origin(), group_passive=passive)
    with Client(poise.port) as client:
        client.send(request()[:10])
        watching = AdminConnection(poise.admin)
        eventually("it is accepted", lambda: value(metrics(poise, watching), "poise_listener_connections") == 1)
        leave_descriptors(poise, 0)
        client.send(request()[10:])
        assert client.response().status == 503
        record = poise.wait_record(reason="out_of_descriptors")
        assert record["tries"] == 1, "another target would need one as well"
        give_descriptors(poise)
        for _ in range(4):
            assert client.ask(request()).status == 200
        seen = metrics(poise, watching)
        assert value(seen, "poise_target_state", state="healthy") == 2
        assert value(seen, "poise_target_connect_failures_total") == 0
        watching.close()


def test_idle_connections_to_targets_make_place_for_others(start):
    first, second = start.origin(), start.origin()
    rules = [{"when": {"path": ["/second"]}, "forward": "second"}]
    poise = start.poise(configuration(
        [listener(rules=rules, forward="first")], [group("first", [first.address]), group("second", [second.address])]))
    with Client(poise.port) as client:
        assert client.ask(request("/")).status == 200
        leave_descriptors(poise, 0)
        assert client.ask(request("/second")).status == 200
        first.wait_connections()[0].wait_over()
        assert client.ask(request("/")).status == 200


def test_half_sent_requests_for_metrics_leave_descriptors_to_traffic(start):
    poise = start.proxy(start.origin(), process_metrics="127.0.0.1:0")
    line = poise.wait_line(lambda line: line.startswith("ready metrics="), "the metrics' address")
    port = int(line.rpartition(":")[2])
    half = request("/metrics")[:-2]
    leave_descriptors(poise, 90)
    crowd = []
    for _ in range(200):
        crowd.append(socket.create_connection(("127.0.0.1", port), PATIENCE))
        crowd[-1].send(half)
    # Accepted in order: once the last is closed, all have been seen.
    assert is_closed(crowd[-1])
    with Client(poise.port) as client:
        for _ in range(5):
            assert client.ask(request()).status == 200
    assert value(metrics(poise), "poise_listener_held_sockets") == 0
    crowd[0].send(b"\r\n")
    assert crowd[0].recv(1 << 16).startswith(b"HTTP/1.1 200"), "those inside are served"
    for half_sent in crowd:
        half_sent.close()

    def is_served():
        try:
            return get(port, "/metrics").status == 200
        except (OSError, Ended):
            return False
    eventually("the places of those who left are free", is_served)


def is_closed(connection):
    """Whether the other side ends it within the time for reading; with an answer or without."""
    try:
        while connection.recv(1 << 16):
            pass
        return True
    except TimeoutError:
        return False
    except OSError:
        return True
