"""Certificates that are renewed while clients come and go."""
import os
import re
import threading

import pytest

import either
from admin import metrics, value, verb
from client import Client, request
from deadline import Deadline, eventually
from test_tls_clients import certificate_for, connect, secure
from tls import Authority, client_context, replace, shown

SECONDS = 60


class Clients:
    """New connections one after another, and one that stays; counts answers and keeps what failed."""

    def __init__(self, port, authority, threads=3, version="http1"):
        self.port, self.version = port, version
        self.context = client_context(authority, [{"http1": "http/1.1", "http2": "h2"}[version]])
        self.over, self.answered, self.failures = threading.Event(), 0, []
        self.lock = threading.Lock()
        # The certificates that were seen on connections, by their serial numbers.
        self.seen = set()
        work = [self._come_and_go] * threads + [self._stay]
        self.threads = [threading.Thread(target=self._guard, args=(each,), daemon=True) for each in work]
        for thread in self.threads:
            thread.start()

    def _guard(self, work):
        try:
            work()
        except Exception as error:  # whatever it is, it is a request that was lost
            self.failures.append(error)

    def _ask(self, client):
        assert client.ask("/").status == 200
        with self.lock:
            self.answered += 1

    def _connect(self):
        client = either.Client(self.version, self.port, tls=self.context, server_name="shop.test")
        with self.lock:
            self.seen.add(shown(client.raw).serial_number)
        return client

    def _come_and_go(self):
        while not self.over.is_set():
            with self._connect() as client:
                self._ask(client)

    def _stay(self):
        with self._connect() as client:
            while not self.over.is_set():
                self._ask(client)

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in self.threads)


def test_renewal_under_load_loses_no_request(start):
    authority = Authority()
    identity = authority.issue("shop.test")
    files = identity.files(start.folder, "shop")
    poise = secure(start, authority, files, process_workers=2)
    clients = Clients(poise.port, authority)
    for _ in range(10):
        before = clients.answered
        identity = authority.issue("shop.test")
        identity.replace(files)
        assert verb("reload", poise=poise).returncode == 0
        # `reload` returns once every worker shows it.
        assert certificate_for(poise, "shop.test") == identity.certificate
        eventually("clients go on", lambda: clients.answered > before + 20)
    clients.stop()
    assert clients.failures == [] and clients.answered > 200
    assert poise.text().count("a certificate was renewed") == 10
    assert not any("handshake_failures" in name for name, _ in metrics(poise))


@pytest.mark.soak
@pytest.mark.timeout(SECONDS * 4)
def test_a_minute_of_renewals_loses_no_request(start):
    authority = Authority()
    identities = [authority.issue("shop.test")]
    files = identities[0].files(start.folder, "shop")
    poise = secure(start, authority, files, process_workers=2)
    crowds = [Clients(poise.port, authority, threads=2, version=version) for version in either.VERSIONS]
    end, early = Deadline(SECONDS), None
    while not end.passed():
        before = [clients.answered for clients in crowds]
        identities.append(authority.issue("shop.test", kind="rsa" if len(identities) % 2 else "ec"))
        identities[-1].replace(files)
        # Every other one is found by the watch.
        if len(identities) % 2:
            assert verb("reload", poise=poise).returncode == 0
        eventually("it is shown", lambda: certificate_for(poise, "shop.test") == identities[-1].certificate, 20)
        for clients, count in zip(crowds, before):
            eventually("clients go on", lambda: clients.answered > count + 20, 20)
        early = early or (poise.memory() if len(identities) > 10 else None)
    for clients in crowds:
        clients.stop()
        assert clients.failures == [], clients.failures[:3]
        # All of them but for those that lasted shorter than a connection.
        assert len(clients.seen) > len(identities) // 2 and clients.answered > 2000, (len(clients.seen), clients.answered)
    print(f"figures: {len(identities) - 1} renewals, {[clients.answered for clients in crowds]} requests,"
          f" memory {early >> 10} KiB early, {poise.memory() >> 10} KiB late")
    assert poise.memory() - early < 8 << 20, "the longer, the more memory"
    assert not any("handshake_failures" in name for name, _ in metrics(poise))


def test_a_reload_refuses_what_the_watch_would_keep(start):
    authority = Authority()
    identity = authority.issue("shop.test")
    files = identity.files(start.folder, "shop")
    poise = secure(start, authority, files)
    replace(files["key"], b"-----BEGIN PRIVATE KEY-----\nhalf")
    refused = verb("reload", poise=poise)
    # The place of the key in the configuration, and what is wrong with its file.
    assert refused.returncode == 3 and "private key" in refused.stderr, refused.stderr
    number, column = re.search(rf"{poise.file}:(\d+):(\d+): error: .*private key", refused.stderr).groups()
    assert poise.file.read_text().splitlines()[int(number) - 1][int(column) - 1:] == files["key"]
    with connect(poise, authority) as client:
        assert client.ask(request()).status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_files_that_a_lesser_user_cannot_read_are_said_at_the_start(start):
    authority = Authority()
    start.folder.chmod(0o755)
    files = authority.issue("shop.test", end=90).files(start.folder, "shop")
    os.chmod(files["certificate"], 0o644)
    os.chmod(files["key"], 0o600)
    poise = secure(start, authority, files, process_user="nobody")
    # Root has read it: it serves. The next one it may not read: the old one goes on, and the log says why.
    poise.wait_line(lambda line: "process.user may not read their files" in line and files["key"] in line, "a warning")
    before = certificate_for(poise, "shop.test")
    authority.issue("shop.test", end=90).replace(files)
    os.chmod(files["certificate"], 0o644)
    poise.wait_line(lambda line: "is kept" in line and "Permission denied" in line, "that the old one is kept", 15)
    assert certificate_for(poise, "shop.test") == before


def test_handshakes_are_counted_by_kind_and_failures_by_reason(start):
    authority = Authority()
    poise = secure(start, authority)
    context = client_context(authority)
    with Client(poise.port, tls=context, server_name="shop.test") as client:
        assert client.ask(request()).status == 200
        session = client.sock.session
    with Client(poise.port, tls=context, server_name="shop.test", session=session) as client:
        assert client.ask(request()).status == 200
    with Client(poise.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        assert client.response().status == 400

    def count(name, **labels):
        return value(metrics(poise), name, listener="web", **labels)
    assert count("poise_listener_tls_handshakes_total", kind="full") == 1
    assert count("poise_listener_tls_handshakes_total", kind="resumed") == 1
    assert count("poise_listener_tls_handshake_failures_total", reason="plain_http") == 1
