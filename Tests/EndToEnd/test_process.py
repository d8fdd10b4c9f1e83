"""Start and end of the process as its operator sees them."""
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from admin import verb
from client import Client, get, request
from deadline import PATIENCE, SLOW, Deadline, eventually
from poise import BINARY, ROOT, Poise
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


def test_a_failed_start_waits_for_nobody(start):
    """The time between the message, which is the last thing to do, and the end of the process."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        process = start.poise(configuration([listener(address=address, forward=["127.0.0.1:1"])]), wait=False)
        process.wait_line(lambda line: "in use" in line, "why it does not start")
        assert process.wait_exit(1.5 * SLOW) == 1
        start.running.remove(process)


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


def wait_for(path, word):
    deadline = Deadline()
    while not (path.exists() and word in path.read_text()):
        assert not deadline.passed(), f"no {word} in {path}"
        threading.Event().wait(0.01)


@pytest.fixture
def nobody(start):
    """A folder of its own for a Poise that becomes another user: others may enter, only root may write."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    start.folder.chmod(0o755)
    folder = start.folder / "logs"
    folder.mkdir(0o755)
    return folder


def as_nobody(start, path):
    return start.proxy(start.origin(), process_access_log=str(path), process_access_format="json", process_user="nobody")


def test_the_log_of_another_user_is_opened_again(start, nobody):
    user = pwd.getpwnam("nobody").pw_uid
    os.chown(nobody, user, -1)
    path = nobody / "access.log"
    poise = as_nobody(start, path)
    assert path.stat().st_uid == user
    get(poise.port, "/before")
    wait_for(path, "/before")
    # Without a rename: the same file is opened with lesser rights.
    poise.signal(signal.SIGUSR1)
    get(poise.port, "/between")
    wait_for(path, "/between")
    path.rename(f"{path}.1")
    poise.signal(signal.SIGUSR1)
    eventually("a new file", path.exists)
    get(poise.port, "/after")
    wait_for(path, "/after")
    assert "warning" not in poise.text() and "cannot open" not in poise.text(), poise.text()


def test_what_another_user_may_not_open_is_said_at_the_start(start, nobody):
    path = nobody / "access.log"
    poise = as_nobody(start, path)
    assert warnings(poise) == [f"USR1 cannot make the access log anew: process.user may not write into its folder "
                               f"file={path} user=nobody"]
    poise.file.chmod(0o600)
    again = start.poise("", arguments=["run", str(poise.file)])
    assert warnings(again)[1:] == [f"the configuration cannot be reloaded: process.user may not read it "
                                   f"file={poise.file} user=nobody"]


def warnings(poise):
    # `ready` comes by another pipe than the warnings before it: all is read once the process has ended.
    poise.stop()
    return [line.partition("warning: ")[2] for line in poise.output() if "warning: " in line]


@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_root_gives_away_no_file_that_a_link_leads_to(start, nobody, make):
    """Whoever owns the log's folder could otherwise be given any file of the machine."""
    user = pwd.getpwnam("nobody").pw_uid
    secret = start.folder / "secret"
    secret.write_text("")
    secret.chmod(0o600)
    os.chown(nobody, user, -1)
    path = nobody / "access.log"
    make(secret, path)
    poise = as_nobody(start, path)
    assert secret.stat().st_uid == 0
    assert warnings(poise) == [
        f"USR1 cannot open the access log again: process.user may not write it file={path} user=nobody"]


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


def traced(folder, *arguments):
    """What a verb asked of the network: (its end, the system calls)."""
    log = folder / "calls"
    # A process that is traced already cannot look for leaks.
    options = f"{os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"
    done = subprocess.run(["strace", "-f", "-qq", "-e", "trace=network", "-o", log, BINARY, *map(str, arguments)],
                          capture_output=True, text=True, timeout=PATIENCE * 2, stdin=subprocess.DEVNULL,
                          env=os.environ | {"POISE_ADMIN": str(folder / "nobody.sock"), "ASAN_OPTIONS": options})
    calls = [line for line in log.read_text().splitlines() if re.match(r"\d+ +\w+\(", line)]
    return done, calls


EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.yaml"))
assert EXAMPLES, "no test for an example that is not there"


@pytest.mark.parametrize("example", EXAMPLES)
def test_check_accepts_every_example_offline(tmp_path, example):
    done, calls = traced(tmp_path, "check", ROOT / "examples" / example)
    assert done.returncode == 0 and calls == [], done.stderr


def test_check_asks_nobody_for_a_name_or_an_address(tmp_path):
    """A name that nobody has, an address that is taken, a user and a unix socket that are not there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        web = listener(address=f"127.0.0.1:{taken.getsockname()[1]}", forward="pool")
        targets = ["nowhere.invalid:80", f"unix:{tmp_path}/nobody.sock", "127.0.0.1:1"]
        (tmp_path / "poise.yaml").write_text(configuration(
            [web], [group("pool", targets, health_check={"path": "/health"})], user="nobody-at-all"))
        done, calls = traced(tmp_path, "check", tmp_path / "poise.yaml")
        assert done.returncode == 0 and calls == [], done.stderr
        # The same eyes see what another verb asks.
        done, calls = traced(tmp_path, "status")
        assert done.returncode != 0 and any(" socket(" in call for call in calls) and any("connect(" in call for call in calls)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_the_process_becomes_its_user_once_it_listens(start):
    nobody = pwd.getpwnam("nobody")
    start.folder.chmod(0o755)
    poise = start.proxy(start.origin(), process_user="nobody", process_workers=2)
    tasks = sorted(pathlib.Path(f"/proc/{poise.process.pid}/task").iterdir())
    assert len(tasks) >= 3, "two workers and control"
    for task in tasks:
        facts = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
        assert facts["Uid"].split() == [str(nobody.pw_uid)] * 4
        assert facts["Gid"].split() == [str(nobody.pw_gid)] * 4
        assert set(facts["Groups"].split()) == {str(n) for n in os.getgrouplist("nobody", nobody.pw_gid)}
        assert int(facts["CapEff"], 16) == 0
    assert get(poise.port).status == 200
    assert verb("status", poise=poise).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_a_user_that_is_not_there_is_no_reason_to_stay_root(start):
    refuses(start, configuration([listener(forward=["127.0.0.1:1"])], user="nobody-at-all"), "poise.yaml:",
            "cannot become 'nobody-at-all'", "help: ")


@pytest.mark.parametrize("place", ["a path", "an abstract name"])
def test_the_service_manager_hears_when_it_serves(start, place):
    path = str(start.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path if place == "a path" else "\0" + path)
        manager.settimeout(PATIENCE)

        def told():
            return dict(line.split("=", 1) for line in manager.recv(4096).decode().splitlines())
        origin = start.origin()
        text = configuration([listener(forward="pool")], [group("pool", [origin.address])])
        poise = start.poise(text, environment={"NOTIFY_SOCKET": path if place == "a path" else "@" + path}, wait=False)
        assert told() == {"READY": "1", "MAINPID": str(poise.process.pid)}
        assert get(poise.wait_ready().port).status == 200
        poise.signal(signal.SIGHUP)
        reloading = told()
        assert reloading["RELOADING"] == "1" and int(reloading["MONOTONIC_USEC"]) <= time.monotonic() * 1e6
        assert told() == {"READY": "1"}
        poise.wait_line(lambda line: "configuration applied by=reload" in line, "the change")
    poise.stop()


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
