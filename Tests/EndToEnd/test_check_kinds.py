"""Checks that hold a conversation: scripts, databases, mail, nameservers, pings. Each target is taken down and comes back."""
import contextlib
import os
import pathlib
import pwd
import re
import shutil
import socket
import socketserver
import struct
import subprocess
import threading
import time

import pytest

from admin import verb
from comes_back import FAST, Address, goes_and_comes_back
from deadline import eventually
from poise import BINARY
from real import free_port, program, running
from settings import configuration, group, listener
from test_tls_health import becomes, behind_tls
from tls import Authority, server_context


def checking(start, address, **check):
    return start.proxy(address.address, group_health_check=FAST | check)


def lines_of(poise, address):
    return [line for line in poise.output("err") if "target changed" in line and f"target={address.address}" in line]


# Real servers.

def redis(folder, *options):
    return lambda port: running([program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir",
                                 str(folder), *options], port, folder / "redis.log")


def as_user(name, folder):
    """What starts a server as the user of its package, where the tests run as root; nothing else would let it."""
    if os.geteuid() != 0:
        return []
    account = pwd.getpwnam(name)
    for place in (folder, *folder.parents):
        if place.stat().st_uid == 0 and place != folder and place.stat().st_mode & 0o005 == 0:
            place.chmod(place.stat().st_mode | 0o055)
    shutil.chown(folder, account.pw_uid, account.pw_gid)
    return [program("setpriv"), f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]


def mariadb(folder, *options):
    data = folder / "data"
    user = as_user("mysql", folder)
    subprocess.run([*user, program("mariadb-install-db"), "--no-defaults", f"--datadir={data}",
                    "--auth-root-authentication-method=normal", "--skip-test-db"], check=True, capture_output=True, cwd=folder)
    return lambda port: running([*user, program("mariadbd"), "--no-defaults", f"--datadir={data}", f"--port={port}",
                                 "--bind-address=127.0.0.1", f"--socket={folder}/sock", *options], port, folder / "mariadb.log")


def postgresql(folder, authentication="scram-sha-256"):
    (tools,) = sorted(p.parent for p in pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))[-1:]
    data = folder / "data"
    user = as_user("postgres", folder)
    (folder / "password").write_text("secret\n")
    (folder / "password").chmod(0o644)
    subprocess.run([*user, str(tools / "initdb"), "-D", str(data), "-A", authentication, "-U", "postgres", "--no-sync",
                    f"--pwfile={folder}/password"], check=True, capture_output=True, cwd=folder)
    return lambda port: running([*user, str(tools / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder),
                                 "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"], port, folder / "postgresql.log")


def test_redis_answers_ping(start, tmp_path):
    goes_and_comes_back(start, redis(tmp_path), "answered", protocol="REDIS")


def test_redis_without_and_with_its_password(start, tmp_path):
    with redis(tmp_path, "--requirepass", "open sesame")(free_port()) as port:
        address = Address(port)
        poise = checking(start, address, protocol="REDIS")
        evidence = becomes(poise, address, "unhealthy", "unexpected_answer")
        assert "got '-NOAUTH Authentication required." in evidence and "needs a 'password'" in evidence
        (tmp_path / "password").write_text("open sesame\n")
        poise = checking(start, address, protocol="REDIS", password=f"file:{tmp_path}/password")
        assert "answered" in becomes(poise, address, "healthy")
        (tmp_path / "password").write_text("wrong\n")
        poise = checking(start, address, protocol="REDIS", password=f"file:{tmp_path}/password")
        assert "got '-WRONGPASS" in becomes(poise, address, "unhealthy", "unexpected_answer")
        assert "open sesame" not in poise.text()


def test_redis_by_a_script(start, tmp_path):
    script = [{"send": "PING\r\n"}, {"expect": "+PONG\r\n"}, {"send_hex": "49 4e 46 4f 0d 0a"}, {"expect_regex": r"role:(master|slave)"}]
    goes_and_comes_back(start, redis(tmp_path), "answered", protocol="SCRIPT", script=script)


def test_mariadb_shows_its_version(start, tmp_path):
    goes_and_comes_back(start, mariadb(tmp_path), "MySQL 10.", protocol="MYSQL")


def test_mariadb_logs_the_user_in_and_tells_why_not(start, tmp_path):
    with mariadb(tmp_path, "--max-connections=10")(free_port()) as port:
        address = Address(port)
        sql = [program("mariadb"), "--no-defaults", "-h", "127.0.0.1", "-P", str(port), "-u", "root"]
        subprocess.run([*sql, "-e", "CREATE USER probe@'127.0.0.1', probe@localhost"], check=True)
        poise = checking(start, address, protocol="MYSQL", user="probe")
        becomes(poise, address, "healthy")
        before = int(subprocess.check_output([*sql, "-N", "-e", "SHOW GLOBAL STATUS LIKE 'Aborted_c%'"], text=True).split()[-1])
        time.sleep(1)
        after = int(subprocess.check_output([*sql, "-N", "-e", "SHOW GLOBAL STATUS LIKE 'Aborted_c%'"], text=True).split()[-1])
        assert before == after, "a login that ends in order is no aborted connection"
        other = checking(start, address, protocol="MYSQL", user="nobody-of-that-name")
        assert "error 1045: Access denied for user" in becomes(other, address, "unhealthy", "unexpected_answer")
        other.stop()
        # No place is left: the greeting is an error then.
        sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(14)]
        assert "error 1040: Too many connections" in becomes(poise, address, "unhealthy", "unexpected_answer")
        for sock in sockets:
            sock.close()
        becomes(poise, address, "healthy")


def test_postgresql_asks_for_a_password(start, tmp_path):
    goes_and_comes_back(start, postgresql(tmp_path), "answered", protocol="POSTGRESQL", user="postgres")


def test_postgresql_tells_who_it_does_not_know(start, tmp_path):
    with postgresql(tmp_path, "trust")(free_port()) as port:
        address = Address(port)
        poise = checking(start, address, protocol="POSTGRESQL", user="nobody")
        evidence = becomes(poise, address, "unhealthy", "unexpected_answer")
        assert "28000: role" in evidence and "nobody" in evidence
        poise = checking(start, address, protocol="POSTGRESQL")
        becomes(poise, address, "healthy")


def nginx(folder, body):
    conf = folder / "nginx.conf"

    def run(port):
        conf.write_text(f"""daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{ access_log {folder}/access.log; keepalive_requests 3;
server {{ listen 127.0.0.1:{port}; location / {{ add_header C $connection; return 200 "{body}"; }} }} }}
""")
        return running([program("nginx"), "-c", str(conf), "-p", str(folder), "-e", "stderr"], port, folder / "nginx.log")
    return run


def test_the_body_matches_a_pattern(start, tmp_path):
    pattern = r"^status: (ok|degraded); load [0-9]+$"
    goes_and_comes_back(start, nginx(tmp_path, "status: ok; load 17"), "status 200", protocol="HTTP", path="/", body_matches=pattern)
    with nginx(tmp_path, "status: broken; load 17")(free_port()) as port:
        address = Address(port)
        poise = checking(start, address, protocol="HTTP", body_matches=pattern)
        assert "body without the expected text" in becomes(poise, address, "unhealthy", "body_mismatch")


def test_a_pattern_that_would_never_end_is_given_up(start):
    body = b"a" * 40_000 + b"!"
    origin = start.origin(lambda conn: (conn.request(), conn.respond(body=body)))
    poise = checking(start, Address(origin.port), protocol="HTTP", body_matches="^(a+)+$")
    assert "given up after too many steps" in becomes(poise, Address(origin.port), "unhealthy", "body_mismatch")


def test_a_connection_serves_several_probes_and_its_end_is_no_failure(start, tmp_path):
    with nginx(tmp_path, "fine")(free_port()) as port:
        address = Address(port)
        poise = checking(start, address, protocol="HTTP", interval="100ms", timeout="100ms", reuse_connection=True)
        becomes(poise, address, "healthy")
        log = tmp_path / "access.log"
        eventually("a dozen probes", lambda: len(log.read_text().splitlines()) >= 12)
        assert len(lines_of(poise, address)) == 1, "nginx closes behind every third request"
        with socket.create_connection(("127.0.0.1", port)) as probe:
            probe.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            number = int(probe.recv(4096).split(b"\r\nC: ")[1].split(b"\r\n")[0])
        count = len(log.read_text().splitlines())
        assert number <= count / 3 + 3, f"{number} connections for {count} probes"
    assert "Connection re" in becomes(poise, address, "unhealthy", "connection_refused")


# Servers made by hand.

class Lines(socketserver.ThreadingTCPServer):
    """Sends a greeting, then answers line by line."""
    allow_reuse_address, daemon_threads = True, True

    def __init__(self, port, greeting, answers):
        self.said = []
        said = self.said

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                self.wfile.write(greeting)
                for line in self.rfile:
                    said.append(line)
                    word = line.split()[0].upper() if line.split() else b""
                    if word not in answers:
                        return
                    self.wfile.write(answers[word])
        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


EHLO = {b"EHLO": b"250-mail.test\r\n250-SIZE 1000\r\n250 HELP\r\n"}


def test_smtp_is_greeted_and_left_in_order(start):
    servers = []

    def server(port):
        servers.append(Lines(port, b"220-mail.test\r\n220 ready\r\n", EHLO))
        return servers[-1]
    goes_and_comes_back(start, server, "answered", protocol="SMTP", helo="lb.test")
    assert servers[0].said[:2] == [b"EHLO lb.test\r\n", b"QUIT\r\n"]


@pytest.mark.parametrize("protocol, greeting, answers, evidence", [
    ("SMTP", b"421 too busy\r\n", {}, "expected a reply 220, got '421 too busy\\r\\n'"),
    ("SMTP", b"220 ready\r\n", {b"EHLO": b"550-no\r\n550 never\r\n"}, "expected a reply 250, got '550-no"),
    ("FTP", b"530 no\r\n", {}, "expected a reply 220, got '530 no"),
    ("IMAP", b"* BYE over\r\n", {}, "expected '* OK', got '* BYE over"),
    ("POP3", b"-ERR locked\r\n", {}, "expected '+OK', got '-ERR locked"),
    ("MEMCACHED", b"", {b"VERSION": b"ERROR\r\n"}, "expected 'VERSION', got 'ERROR"),
    ("REDIS", b"", {b"*1": b"", b"$4": b"", b"PING": b"-LOADING Redis is loading the dataset in memory\r\n"}, "got '-LOADING Redis is loading"),
    ("POSTGRESQL", b"E\0\0\0\x31SFATAL\0C57P03\0Mthe database system is starting up\0\0", {}, "57P03: the database system is starting up"),
    ("MYSQL", b"\x45\0\0\0\xff\x69\x04Host '10.0.0.1' is blocked because of many connection errors; unblock", {},
     "error 1129: Host \\'10.0.0.1\\' is blocked"),
    ("MYSQL", b"SSH-2.0-OpenSSH\r\n", {}, "expected a greeting of MySQL, got 'SSH-2.0-OpenSSH"),
])
def test_what_a_server_says_instead_is_told(start, protocol, greeting, answers, evidence):
    if protocol == "POSTGRESQL":
        greeting = b"E" + struct.pack(">I", len(greeting) - 1) + greeting[5:]
    if protocol == "MYSQL" and greeting[3:5] == b"\0\xff":
        greeting = bytes([len(greeting) - 4]) + greeting[1:]
    with Lines(0, greeting, answers) as server:
        address = Address(server.server_address[1])
        poise = checking(start, address, protocol=protocol)
        assert evidence in becomes(poise, address, "unhealthy", "unexpected_answer")


@pytest.mark.parametrize("protocol, greeting, answers", [
    ("FTP", b"220 hello\r\n", {b"QUIT": b"221 bye\r\n"}), ("IMAP", b"* OK ready\r\n", {}), ("POP3", b"+OK\r\n", {}),
    ("MEMCACHED", b"", {b"VERSION": b"VERSION 1.6.18\r\n"}),
])
def test_other_protocols_are_known_too(start, protocol, greeting, answers):
    goes_and_comes_back(start, lambda port: Lines(port, greeting, answers), "answered", protocol=protocol)


def serving(handler):
    """A TCP server that does `handler(socket)` for each connection."""
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            with contextlib.suppress(OSError):
                handler(self.request)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads = True, True
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


def endless(sock):
    while True:
        sock.sendall(b"la" * 1000)


def slowly(sock):
    for byte in b"nothing of that" * 100:
        sock.sendall(bytes([byte]))
        time.sleep(0.01)


@pytest.mark.parametrize("handler, reason, evidence", [
    (endless, "unexpected_answer", "got 16384 bytes without it, beginning with 'lalala"),
    (slowly, "unexpected_answer", "expected 'ready', got 'nothing"),
    (lambda sock: None, "connection_failed", "got nothing and the end of the connection"),
    (lambda sock: sock.sendall(b"bye"), "connection_failed", "got 'bye' and the end of the connection"),
    (lambda sock: time.sleep(5), "timeout", "expected 'ready', got nothing"),
    (lambda sock: (sock.sendall(bytes(range(256))), time.sleep(5)), "unexpected_answer", r"got '\x00\x01"),
], ids=["endless", "slow", "closing", "leaving", "silent", "binary"])
def test_bad_company_is_bounded_and_named(start, handler, reason, evidence):
    server = serving(handler)
    address = Address(server.server_address[1])
    poise = checking(start, address, protocol="SCRIPT", script=[{"expect": "ready"}])
    assert evidence in becomes(poise, address, "unhealthy", reason)
    assert becomes(poise, address, "unhealthy", reason).startswith("step 1: expected 'ready', got")
    server.shutdown()
    server.server_close()


def test_what_a_target_says_byte_by_byte_is_searched_when_it_pauses(start):
    """Not with each byte, and not at the end of the time only: there is another step behind it."""
    def dripping(sock):
        for byte in b"-" * 150 + b"\nready> ":
            sock.sendall(bytes([byte]))
            time.sleep(0.001)
        if sock.recv(100) == b"status\n":
            sock.sendall(b"workers: 3")
        time.sleep(5)
    server = serving(dripping)
    address = Address(server.server_address[1])
    script = [{"expect_regex": "ready> $"}, {"send": "status\n"}, {"expect_regex": "[1-9]$"}]
    poise = checking(start, address, protocol="SCRIPT", script=script, interval="5s", timeout="4s")
    after, = re.findall(r"answered after (\d+) ms", becomes(poise, address, "healthy"))
    assert int(after) < 3000
    server.shutdown()
    server.server_close()


def test_a_script_over_tls(start):
    authority = Authority()

    def status(conn):
        conn.send(b"READY\r\n")
        conn.until(b"STATUS\r\n")
        conn.send(b"workers: 3\r\n")

    script = [{"expect": "READY"}, {"send": "STATUS\r\n"}, {"expect_regex": "^workers: [1-9]"}]
    check = FAST | {"protocol": "SCRIPT", "tls": True, "script": script}
    good = start.origin(status, tls=server_context(authority.issue("target.test")))
    bad = start.origin(status, tls=server_context(Authority("Stranger").issue("target.test")))
    poise = behind_tls(start, good, bad, authority=authority, check=check)
    assert "answered" in becomes(poise, good, "healthy")
    assert "TLS: certificate_unknown_authority" in becomes(poise, bad, "unhealthy", "certificate_unknown_authority")
    assert "SCRIPT of 3 steps over TLS" in verb("status", poise=poise).stdout


# A nameserver.

class Nameserver:
    """Answers each question with `addresses`; over UDP truncated where `truncates`. `code` is the answer's."""

    def __init__(self, port=0, addresses=("10.0.0.1",), code=0, truncates=False, stranger=False):
        self.addresses, self.code, self.truncates, self.stranger, self.over_tcp = addresses, code, truncates, stranger, 0
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for _ in range(50):
            try:
                self.udp.bind(("127.0.0.1", port))
                self.tcp.bind(("127.0.0.1", self.udp.getsockname()[1]))
                break
            except OSError:
                if port:
                    raise
                self.udp.close()
                self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.tcp.listen()
        self.port = self.udp.getsockname()[1]
        for work in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=work, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in (self.udp, self.tcp):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def answer(self, query, truncated=False):
        question = query[12:]
        addresses = [] if truncated or self.code else self.addresses
        flags = 0x8180 | self.code | (0x0200 if truncated else 0)
        records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(a) for a in addresses)
        return query[:2] + struct.pack(">HHHHH", flags, 1, len(addresses), 0, 0) + question + records

    def serve_udp(self):
        with contextlib.suppress(OSError):
            while True:
                query, peer = self.udp.recvfrom(600)
                if not peer:
                    return  # it is shut down
                if self.stranger:
                    # Another id, another question, an empty datagram, another source: none is an answer.
                    other = bytes([query[0] ^ 1]) + query[1:]
                    self.udp.sendto(self.answer(other), peer)
                    self.udp.sendto(self.answer(query.replace(b"\x03www", b"\x03ftp")), peer)
                    self.udp.sendto(b"", peer)
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
                        elsewhere.sendto(self.answer(query), peer)
                    continue
                self.udp.sendto(self.answer(query, self.truncates), peer)

    def serve_tcp(self):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self.tcp.accept()
                with conn, contextlib.suppress(OSError):
                    self.over_tcp += 1
                    query = conn.recv(600)[2:]
                    answer = self.answer(query)
                    message = struct.pack(">H", len(answer)) + answer
                    for byte in message:
                        conn.sendall(bytes([byte]))


DNS = {"protocol": "DNS", "query": "www.shop.test"}


def test_a_nameserver_goes_and_comes_back(start):
    goes_and_comes_back(start, lambda port: Nameserver(port), "1 record", **DNS)


@pytest.mark.parametrize("server, check, state, reason, evidence", [
    ({}, {"answer": "10.0.0.1"}, "healthy", "none", "1 record"),
    ({"addresses": ("10.0.0.2", "10.0.0.3")}, {"answer": "10.0.0.1"}, "unhealthy", "unexpected_answer", "expected 10.0.0.1, got 10.0.0.2, 10.0.0.3"),
    ({"code": 3}, {}, "unhealthy", "unexpected_answer", "NXDOMAIN"),
    ({"code": 2}, {}, "unhealthy", "unexpected_answer", "SERVFAIL"),
    ({}, {"record": "MX"}, "unhealthy", "unexpected_answer", "NOERROR without a record of that type"),
    ({"stranger": True}, {}, "unhealthy", "timeout", "no answer"),
    ({"truncates": True}, {}, "healthy", "none", "1 record"),
    ({}, {"transport": "tcp"}, "healthy", "none", "1 record"),
], ids=["the-address", "other-addresses", "nxdomain", "servfail", "no-such-record", "strangers", "truncated", "tcp"])
def test_what_a_nameserver_says(start, server, check, state, reason, evidence):
    with Nameserver(**server) as nameserver:
        address = Address(nameserver.port)
        poise = checking(start, address, **DNS, **check)
        assert evidence in becomes(poise, address, state, reason)
        assert (nameserver.over_tcp > 0) == ("truncates" in server or "transport" in check)


# Pings.

def may_ping():
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP):
            return True
    return False


@pytest.mark.skipif(not may_ping(), reason="neither net.ipv4.ping_group_range nor CAP_NET_RAW allows a ping")
def test_pings_loopback(start):
    poise = start.proxy("127.0.0.1:1", "127.0.0.77:1", "[::1]:1", group_health_check=FAST | {"protocol": "ICMP"})
    for host in ("127.0.0.1:1", "127.0.0.77:1", "[::1]:1"):
        address = Address(1)
        address.address = host
        assert becomes(poise, address, "healthy").startswith("echo reply after ")
    assert "ICMP" in verb("status", poise=poise).stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to have fewer rights than it")
def test_without_the_right_to_ping_the_configuration_is_refused(tmp_path):
    text = configuration(listeners=[listener(forward="web")], groups=[group("web", ["127.0.0.1:1"], health_check=FAST | {"protocol": "ICMP"})])
    file = tmp_path / "poise.yaml"
    file.write_text(text)
    for place in (tmp_path, *tmp_path.parents):
        if place.stat().st_mode & 0o005 == 0:
            place.chmod(place.stat().st_mode | 0o055)
    # A network of its own, as a new one lets nobody ping.
    done = subprocess.run(["unshare", "--net", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BINARY, "run", str(file)],
                          capture_output=True, text=True, timeout=20, env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)})
    assert done.returncode != 0
    assert "ping" in done.stderr and "net.ipv4.ping_group_range" in done.stderr and "CAP_NET_RAW" in done.stderr
    assert f"{file}:" in done.stderr, "the line of the setting is named"
