"""Start and end of the process as its operator sees them."""
import os
import pathlib
import re
import signal
import socket
import threading

import pytest

from client import Client, get, request
from deadline import Deadline
from poise import ROOT, Poise
from settings import configuration, group, listener
from wire import Ended


def test_the_ready_lines_name_what_is_bound(start):
    origin = start.origin()
    poise = start.poise(configuration(
        [listener("one", forward="g"), listener("two", forward="g", address=["127.0.0.1:0", "[::1]:0"])],
        [group("g", [origin.address])]))
    assert sorted(poise.addresses) == ["one", "two"]
    assert [host for host, _ in poise.addresses["two"]] == ["127.0.0.1", "::1"]
    for name in ("one", "two"):
        for address in poise.addresses[name]:
            assert get(address).status == 200


def test_the_short_form(start):
    origin = start.origin()
    other = start.origin()
    poise = start.poise("", arguments=["run", "--listen", "127.0.0.1:0", "--to", f"{origin.address},{other.address}"])
    assert [get(poise.port).status for _ in range(40)] == [200] * 40
    assert len(origin.requests) >= 10 and len(other.requests) >= 10


def refuses(start, text, *words):
    """The process does not start: exit status not 0, and a message with these words."""
    process = start.poise(text, wait=False)
    status = process.wait_exit()
    start.running.remove(process)
    assert status in (1, 3), f"{status}\n{process.text()}"
    assert "ready" not in process.output()
    for word in words:
        assert word in process.text(), f"no {word!r} in:\n{process.text()}"


def test_an_address_that_is_taken(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refuses(start, configuration([listener(address=address, forward=["127.0.0.1:1"])]), address, "in use")


def test_an_address_that_another_poise_has(start):
    origin = start.origin()
    first = start.proxy(origin)
    address = f"127.0.0.1:{first.port}"
    refuses(start, configuration([listener(address=address, forward=["127.0.0.1:1"])]), address, "in use")
    assert [get(first.port).status for _ in range(10)] == [200] * 10, "the first has all of the traffic"


def test_an_access_log_that_cannot_be_written(start):
    folder = start.folder / "missing"
    refuses(start, configuration([listener(forward=["127.0.0.1:1"])], access_log=f"{folder}/access.log"),
            str(folder), "access.log")


def test_a_wrong_file_says_where(start):
    text = configuration([listener(forward="nobody")])
    refuses(start, text, "poise.yaml:", "nobody")


def test_term_ends_an_idle_process_at_once(start):
    poise = start.proxy(start.origin(), process_shutdown_deadline="20s")
    with Client(poise.port) as client:
        assert client.ask(request()).status == 200  # and stays, idle
        poise.stop()


def test_term_lets_an_exchange_finish_and_takes_no_other(start):
    go = threading.Event()

    def handler(conn):
        conn.request()
        assert go.wait(20)
        conn.respond(body=b"finished")
    origin = start.origin(handler)
    poise = start.proxy(origin, process_shutdown_deadline="20s")
    with Client(poise.port) as client:
        client.send(request())
        origin.wait_requests()
        poise.signal(signal.SIGTERM)
        # Said when all workers drain; `stopping` comes before they know.
        poise.wait_line(lambda line: "waiting for connections" in line, "whom it waits for")
        go.set()
        response = client.response()
        assert response.body == b"finished" and "close" in response.fields.tokens("Connection")
        client.expect_end()
    assert poise.wait_exit() == 0
    with pytest.raises(ConnectionRefusedError):
        Client(poise.port)


def hangs(conn):
    conn.request()
    conn.expect_end(Deadline(60))


def test_the_shutdown_deadline_ends_what_does_not_end(start):
    origin = start.origin(hangs)
    poise = start.proxy(origin, process_shutdown_deadline="300ms")
    with Client(poise.port) as client:
        client.send(request())
        origin.wait_requests()
        poise.stop()
        with pytest.raises(Ended):
            client.response()


def test_a_second_term_ends_at_once(start):
    origin = start.origin(hangs)
    poise = start.proxy(origin, process_shutdown_deadline="60s")
    with Client(poise.port) as client:
        client.send(request())
        origin.wait_requests()
        before = len(poise.output())
        poise.signal(signal.SIGTERM)
        poise.wait_line(lambda line: line in poise.output()[before:], "what it waits for")
        poise.signal(signal.SIGTERM)
        poise.wait_exit()
    start.running.remove(poise)


def test_the_access_log_tells_what_happened(start):
    origin = start.origin()
    poise = start.proxy(origin)
    with Client(poise.port) as client:
        client.ask(request("/seen?x=1", host="shop.test:80"))
        client.ask(request("/also", method="HEAD"))
    record = poise.wait_record(method="GET", status=200)
    assert record["host"] == "shop.test:80" or record["host"] == "shop.test"
    assert record["path"].startswith("/seen") and origin.address in str(record["target"])
    assert poise.wait_record(method="HEAD")["status"] == 200


def test_usr1_opens_the_log_again(start):
    path = start.folder / "access.log"
    poise = start.proxy(start.origin(), process_access_log=str(path), process_access_format="json")
    get(poise.port, "/before")
    wait_for(path, "/before")
    path.rename(f"{path}.1")
    poise.signal(signal.SIGUSR1)
    for _ in range(500):
        get(poise.port, "/after")
        if path.exists() and "/after" in path.read_text():
            break
    assert "/after" in path.read_text() and "/before" in pathlib.Path(f"{path}.1").read_text()


def wait_for(path, word):
    deadline = Deadline()
    while not (path.exists() and word in path.read_text()):
        assert not deadline.passed(), f"no {word} in {path}"
        threading.Event().wait(0.01)


def test_hup_applies_the_file_again(start):
    one, two = start.origin(), start.origin()
    poise = start.proxy(one)
    with Client(poise.port) as client:
        assert client.ask(request()).status == 200
        poise.file.write_text(poise.file.read_text().replace(one.address, two.address))
        poise.signal(signal.SIGHUP)
        for _ in range(1000):
            assert client.ask(request()).status == 200, "the connection outlives the change"
            if two.requests:
                break
    assert two.requests


def test_hup_with_a_wrong_file_changes_nothing(start):
    origin = start.origin()
    poise = start.proxy(origin)
    poise.file.write_text("listeners: [nonsense")
    before = len(poise.output())
    poise.signal(signal.SIGHUP)
    poise.wait_line(lambda line: "poise.yaml:" in line and line in poise.output()[before:], "the file's error")
    assert get(poise.port).status == 200


def test_no_thread_belongs_to_the_concurrency_pool(start):
    poise = start.proxy(start.origin(), process_workers=2)
    get(poise.port)
    names = [pathlib.Path(f"/proc/{poise.process.pid}/task/{t}/comm").read_text().strip()
             for t in os.listdir(f"/proc/{poise.process.pid}/task")]
    assert not [n for n in names if re.search(r"cooperative|swift|dispatch", n, re.I)], names
    assert len(names) <= 16


def test_examples_are_valid(start):
    """Every example of the repository passes `poise check`, offline."""
    examples = sorted((ROOT / "examples").glob("*.yaml"))
    assert examples
    for example in examples:
        process = Poise(start.folder, "", arguments=["check", str(example)])
        assert process.wait_exit() == 0, f"{example}:\n{process.text()}"


@pytest.mark.parametrize("text, words", [
    (None, "the file has more than 16MiB [too-large]"),
    ("include: /dev/zero\n", "the file '/dev/zero' has more than 16MiB [too-large]"),
    ("listeners: [{ address: ':80', fixed_response: { body: 'file:/dev/zero' } }]\n",
     "the file of 'file:/dev/zero' has more than 1MiB [too-large]"),
], ids=["main", "include", "value"])
def test_a_file_beyond_its_bound_is_told_with_the_bound(start, tmp_path, text, words):
    path = "/dev/zero"
    if text is not None:
        path = tmp_path / "poise.yaml"
        path.write_text(text)
    process = Poise(start.folder, "", arguments=["check", str(path)])
    assert process.wait_exit() == 3
    assert words in process.text() and "permissions" not in process.text()


@pytest.mark.parametrize("arguments, status, hint", [
    (["run"], 2, "poise run FILE"), (["check"], 2, "poise check FILE"), (["status", "--output", "x"], 2, "write --output json"),
    (["weight"], 2, "poise weight"), (["serve"], 2, "use one of: run"),
    (["run", "--listen", ":0"], 2, "add --to 127.0.0.1:7001"),
    (["run", "--listen", "127.0.0.1:0", "--to", ""], 3, "write it as in 10.0.0.11:8080"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_fix_stands_behind_one_word(start, arguments, status, hint):
    process = Poise(start.folder, "", arguments=arguments)
    assert process.wait_exit() == status
    last = process.text().splitlines()[-1]
    assert last.startswith("help: ") and hint in last
