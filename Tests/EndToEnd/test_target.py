"""`poise target`: says who it is and what it received, and misbehaves exactly as told."""
import http.client
import json
import os
import pathlib
import resource
import socket
import subprocess
import threading
import time

import pytest

from deadline import PATIENCE, SLOW, eventually
from poise import BINARY


@pytest.fixture
def target(start):
    """Starts one with these options and returns it; `port` is where it listens."""
    def begin(*options, listen=("127.0.0.1:0",)):
        arguments = ["target", *options]
        for address in listen:
            arguments += ["--listen", address]
        return start.poise("", arguments=arguments)
    return begin


def ask(process, path="/", method="GET", body=None, fields=None):
    """One request over a new connection: status, fields, content."""
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, fields or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def raw(process):
    return socket.create_connection(("127.0.0.1", process.port), timeout=PATIENCE)


def received(connection):
    """Everything until the end; whether the end was a reset."""
    data = b""
    try:
        while chunk := connection.recv(65536):
            data += chunk
    except ConnectionResetError:
        return data, True
    return data, False


def alphabet(count):
    return (b"abcdefghijklmnopqrstuvwxyz" * (count // 26 + 1))[:count]


def test_says_who_it_is_and_what_it_received(target):
    process = target("--name", "one")
    with raw(process) as connection:
        local = "%s:%d" % connection.getsockname()
        connection.sendall(b"POST /a%20b?c=d HTTP/1.1\r\nHost: shop.test\r\nX-B: \xfc\"\r\nx-a: 1\r\nX-B: 2\r\n"
                           b"Content-Length: 5\r\nConnection: close\r\n\r\nhello")
        data, _ = received(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n") and b"Content-Type: application/json" in head
    assert json.loads(body) == {
        "name": "one", "method": "POST", "path": "/a%20b", "query": "c=d", "body_bytes": 5, "client": local,
        "requests": 1,
        "fields": [["Host", "shop.test"], ["X-B", "\ufffd\""], ["x-a", "1"], ["X-B", "2"], ["Content-Length", "5"],
                   ["Connection", "close"]],
    }
    assert json.loads(ask(process)[2])["requests"] == 2


def test_listens_on_several_addresses_and_a_unix_socket_and_says_so(start):
    path = start.folder / "t.sock"
    process = start.poise("", arguments=["target", "--listen", "127.0.0.1:0", "--listen=[::1]:0", "--unix", str(path)])
    addresses = process.addresses["target"]
    assert [host for host, _ in addresses] == ["127.0.0.1", "::1", str(path)]
    assert process.output("out")[-1] == "ready"
    for family, address in ((socket.AF_INET, addresses[0]), (socket.AF_INET6, addresses[1]),
                            (socket.AF_UNIX, str(path))):
        with socket.socket(family) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(address)
            connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            assert received(connection)[0].endswith(b"healthy\n")
    process.stop()
    assert not path.exists()


@pytest.mark.parametrize("status", [200, 204, 301, 404, 503, 599])
def test_answers_with_the_status_asked_for(target, status):
    assert ask(target(), f"/status/{status}")[0] == status


@pytest.mark.parametrize("path", ["/status/99", "/status/600", "/status/x", "/status", "/bytes/-1", "/slow?ms=x"])
def test_a_number_that_is_none_is_the_clients_fault(target, path):
    assert ask(target(), path)[0] == 400


def test_sends_bytes_with_their_length_and_in_chunks(target):
    process = target()
    status, fields, body = ask(process, "/bytes/1000000")
    assert (status, fields["Content-Length"], body) == (200, "1000000", alphabet(1000000))
    status, fields, body = ask(process, "/chunked/10?size=3")
    assert (fields["Transfer-Encoding"], body) == ("chunked", b"abc" * 10)
    assert ask(process, "/bytes/10", method="HEAD")[1]["Content-Length"] == "10"


def test_events_come_as_they_happen(target):
    process = target()
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=PATIENCE)
    began = time.monotonic()
    connection.request("GET", "/sse?count=2&ms=1000")
    answer = connection.getresponse()
    assert answer.readline() == b"id: 0\n"
    assert time.monotonic() - began < 0.9, "the first event waited for the second"
    rest = answer.read()
    assert rest == b"data: event 0\n\nid: 1\ndata: event 1\n\n"
    assert time.monotonic() - began >= 1.0
    connection.close()


@pytest.mark.parametrize("path, sent, is_reset", [
    ("/cut?after=10", 10, False), ("/cut", None, False), ("/reset?after=10", 10, True), ("/reset", None, True),
])
def test_breaks_off_where_it_is_told(target, path, sent, is_reset):
    with raw(target()) as connection:
        connection.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
        if sent is None:
            assert received(connection) == (b"", is_reset)
            return
        data, ended_by_reset = received(connection)
        assert ended_by_reset == is_reset
        # A reset may take bytes with it that were not read yet.
        if not is_reset:
            assert b"Content-Length: 1010\r\n" in data and data.endswith(b"\r\n\r\n" + alphabet(sent))


def test_echoes_content_as_it_comes(target):
    process = target()
    content = os.urandom(3_000_000)
    assert ask(process, "/echo", "POST", content)[2] == content
    with raw(process) as connection:
        connection.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        data = b""
        while not data.endswith(b"3\r\none\r\n"):
            data += connection.recv(4096)
        connection.sendall(b"3\r\ntwo\r\n0\r\n\r\n")
        while not data.endswith(b"3\r\ntwo\r\n0\r\n\r\n"):
            data += connection.recv(4096)


def test_health_is_switched_and_may_start_bad(target):
    process = target()
    assert ask(process, "/health")[0] == 200
    ask(process, "/fail?on=1")
    assert ask(process, "/health")[0] == 503 and ask(process, "/")[0] == 200
    ask(process, "/fail?on=0")
    assert ask(process, "/health")[0] == 200
    assert ask(target("--unhealthy"), "/health")[0] == 503


def test_is_late_fails_and_cuts_by_option(target):
    began = time.monotonic()
    assert ask(target("--delay", "200ms"))[0] == 200
    assert time.monotonic() - began >= 0.2
    assert ask(target("--fail=1"))[0] == 503
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        ask(target("--cut", "1.0"))
    began = time.monotonic()
    assert ask(target(), "/slow?ms=150")[0] == 200
    assert time.monotonic() - began >= 0.15


def timed(process, count):
    """`count` requests at a time: when each was answered, and its status."""
    began, ends = time.monotonic(), []

    def one():
        status = ask(process)[0]
        ends.append((time.monotonic() - began, status))
    clients = [threading.Thread(target=one) for _ in range(count)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return sorted(ends)


def test_works_on_so_many_at_a_time(target):
    ends = timed(target("--delay", "100ms", "--concurrency", "2"), 6)
    assert [status for _, status in ends] == [200] * 6
    # Three rounds of two.
    assert all(end >= 0.1 * (1 + place // 2) for place, (end, _) in enumerate(ends)), ends
    assert timed(target("--delay", "100ms"), 6)[-1][0] < 0.3 + SLOW, "without a limit nobody waits"


def test_what_fails_at_once_does_not_wait(target):
    process = target("--delay", "3s", "--concurrency", "1", "--fail", "1", "--fail-at-once")
    ends = timed(process, 4)
    assert [status for _, status in ends] == [503] * 4 and ends[-1][0] < 3


def test_delays_are_exponential(target):
    process = target("--delay", "20ms", "--delay-distribution", "exponential")
    times = []
    for _ in range(10):
        times += [end for end, _ in timed(process, 20)]
    times.sort()
    # 200 times with a mean of 20 ms: one below 10 ms, one above 55 (all but 2 in a million), 4.5 standard deviations at most.
    assert times[0] < 0.010 + 0.01 * (SLOW - 1) and times[-1] >= 0.055, (times[0], times[-1])
    assert sum(times) / len(times) >= 0.02 * (1 - 4.5 / 200 ** 0.5)


def test_hangs_without_harm_to_others_and_dies_without_an_answer(target):
    process = target()
    with raw(process) as hanging, raw(process) as dying:
        hanging.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        hanging.settimeout(0.2)
        with pytest.raises(TimeoutError):
            hanging.recv(1)
        assert ask(process)[0] == 200
        dying.sendall(b"GET /die HTTP/1.1\r\nHost: x\r\n\r\n")
        assert received(dying)[0] == b""
    assert process.wait_exit() == 1
    process.stop = lambda: None  # It has ended, and not with 0.


def test_is_one_thread_whatever_it_does(target):
    """Everything runs on the loop: the concurrency pool has no thread, not even after concurrent work."""
    process = target("--delay", "5ms")
    tasks = pathlib.Path(f"/proc/{process.process.pid}/task")
    clients = [threading.Thread(target=lambda: [ask(process, "/chunked/3?ms=1") for _ in range(10)]) for _ in range(8)]
    for client in clients:
        client.start()
    counts = set()
    while any(client.is_alive() for client in clients):
        counts.add(len(list(tasks.iterdir())))
    for client in clients:
        client.join()
    assert counts == {1}


def test_serves_again_after_its_descriptors_were_used_up(target):
    process = target()
    pid = process.process.pid
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (24, 24))

    def cpu():
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    connections = [raw(process) for _ in range(60)]
    try:
        def descriptors():
            return len(os.listdir(f"/proc/{pid}/fd"))
        eventually("the limit is reached", lambda: descriptors() == 24)
        before = cpu()
        connections[-1].settimeout(0.5)
        with pytest.raises(TimeoutError):
            connections[-1].recv(1)
        assert cpu() - before < 0.1 * SLOW, "it spins while it cannot accept"
    finally:
        for connection in connections:
            connection.close()
    assert ask(process)[0] == 200


@pytest.mark.parametrize("arguments, problem, fix", [
    ([], "nowhere to listen", "--listen 127.0.0.1:7001"),
    (["--lisen", "x"], "no option --lisen", "did you mean '--listen'?"),
    (["--listen"], "--listen has no value", "write --listen ADDRESS"),
    (["--listen", "localhost:80"], "not an address to listen on", "IP address"),
    (["--listen", ":0", "--name", "a", "--name", "b"], "--name is given twice", "keep one"),
    (["--listen", ":0", "--delay", "200"], "'200' has no unit", "200ms"),
    (["--listen", ":0", "--fail", "2"], "not a share", "0 to 1"),
    (["--listen", ":0", "--concurrency", "0"], "'0' is not a number from 1", "--concurrency 4"),
    (["--listen", ":0", "--delay", "1s", "--delay-distribution", "exponental"], "no 'exponental'", "did you mean 'exponential'?"),
    (["--listen", ":0", "--delay-distribution", "fixed"], "there is no delay", "--delay 50ms"),
    (["--listen", ":0", "--fail-at-once"], "nothing fails", "--fail 0.1"),
    (["--listen", ":0", "--unhealthy=yes"], "--unhealthy takes no value", "--unhealthy alone"),
    (["--listen", ":0", "more"], "'more' is one argument too many", "options only"),
])
def test_a_wrong_command_line_is_refused_with_a_hint(arguments, problem, fix):
    done = subprocess.run([BINARY, "target", *arguments], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2 and done.stdout == ""
    line, hint = done.stderr.splitlines()
    assert line.startswith("poise target: ") and problem in line
    assert hint.startswith("help: ") and fix in hint


@pytest.mark.parametrize("arguments, status, text", [
    ([], 2, "usage: poise VERB"), (["--help"], 0, "usage: poise VERB"), (["version"], 0, "poise 0."),
    (["--version"], 0, "poise 0."), (["targte"], 2, "did you mean 'target'?"), (["target", "--help"], 0, "--unhealthy"),
])
def test_the_command_line_helps(arguments, status, text):
    done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == status
    assert text in (done.stdout if status == 0 else done.stderr)


def test_an_address_that_is_taken_is_said(target):
    process = target()
    done = subprocess.run([BINARY, "target", "--listen", f"127.0.0.1:{process.port}"], capture_output=True, text=True,
                          timeout=PATIENCE)
    assert done.returncode == 1
    assert done.stderr == f"poise target: cannot listen on 127.0.0.1:{process.port}: Address already in use\n"
