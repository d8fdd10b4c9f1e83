"""`poise target --tls`: the same target over HTTPS, and groups with `protocol: HTTPS` in front of it."""
import http.client
import json
import socket
import ssl
import subprocess

import pytest

from client import get
from deadline import PATIENCE
from poise import BINARY
from test_target import alphabet
from tls import Authority, client_context


@pytest.fixture
def target(start):
    """Starts one with these options and returns it."""
    return lambda *options: start.poise("", arguments=["target", "--listen", "127.0.0.1:0", *options])


def unverified():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def connect(process, context=None, name="localhost"):
    """A TLS connection that tells a missing close_notify."""
    plain = socket.create_connection(("127.0.0.1", process.port), timeout=PATIENCE)
    return (context or unverified()).wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=False)


def received(connection):
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    return data


def test_answers_over_tls_with_a_certificate_of_its_own(target):
    process = target("--tls", "self-signed", "--name", "one")
    connection = http.client.HTTPSConnection("127.0.0.1", process.port, timeout=PATIENCE, context=unverified())
    for number in (1, 2):
        connection.request("GET", "/a")
        assert json.loads(connection.getresponse().read())["requests"] == number
    connection.request("GET", "/bytes/1000000")
    assert connection.getresponse().read() == alphabet(1000000)
    assert connection.sock.version() == "TLSv1.3"
    connection.request("POST", "/echo", alphabet(300_000))
    assert connection.getresponse().read() == alphabet(300_000)
    connection.close()


def test_a_client_that_reads_slowly_gets_all(target):
    process = target("--tls", "self-signed")
    with connect(process) as connection:
        connection.sendall(b"GET /bytes/8000000 HTTP/1.0\r\n\r\n")
        connection.settimeout(PATIENCE)
        data = bytearray()
        while chunk := connection.recv(4096):
            data += chunk
    assert data.partition(b"\r\n\r\n")[2] == alphabet(8_000_000)


def test_an_end_is_said_and_a_cut_is_not(target):
    process = target("--tls", "self-signed")
    with connect(process) as connection:
        connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert received(connection).endswith(b"healthy\n")
    with connect(process) as connection:
        connection.sendall(b"GET /cut?after=100 HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises(ssl.SSLEOFError):
            received(connection)


def test_plain_http_is_told_what_the_port_speaks_and_anything_else_is_closed(target):
    process = target("--tls", "self-signed")
    with socket.create_connection(("127.0.0.1", process.port), timeout=PATIENCE) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n") and answer.endswith(b"this port speaks HTTPS\n")
    with socket.create_connection(("127.0.0.1", process.port), timeout=PATIENCE) as connection:
        connection.sendall(b"\x00\x01\x02\x03\x04\x05\x06")
        try:
            assert received(connection) == b""
        except ConnectionResetError:
            pass


def test_shows_the_certificates_of_files_by_name(start, target):
    authority = Authority()
    shop, other = authority.issue("shop.test"), authority.issue("other.test", kind="rsa")
    files = shop.files(start.folder)
    process = target("--tls", f"{files['certificate']},{files['key']}", "--tls", str(other.bundle(start.folder)))
    for name in ("shop.test", "other.test"):
        with connect(process, client_context(authority), name) as connection:
            connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            assert received(connection).endswith(b"healthy\n")


def test_a_group_with_https_in_front_of_it(start, target):
    processes = [target("--tls", "self-signed", "--name", name) for name in ("one", "two")]
    poise = start.poise(f"""
version: 1
listeners:
  - name: web
    address: "127.0.0.1:0"
    protocol: HTTP
    default: {{ forward: shop }}
target_groups:
  - name: shop
    protocol: HTTPS
    tls: {{ verify: false }}
    health_check: {{ path: /health, interval: 1s }}
    targets: [{", ".join(f'"127.0.0.1:{process.port}"' for process in processes)}]
""")
    names = set()
    for _ in range(4):
        names.add(json.loads(get(poise.port, "/x").body)["name"])
    assert names == {"one", "two"}


@pytest.mark.parametrize("value, problem, fix", [
    ("nowhere.pem", "the file 'nowhere.pem' cannot be read: No such file or directory", "check the path"),
    ("a.pem,b.pem,c.pem", "names no certificate", "--tls self-signed"),
    ("", "names no certificate", "--tls self-signed"),
    (__file__, "there is no PEM block 'CERTIFICATE'", "name a PEM file"),
])
def test_a_certificate_that_cannot_be_shown_is_refused_with_a_hint(value, problem, fix):
    done = subprocess.run([BINARY, "target", "--listen", ":0", "--tls", value], capture_output=True, text=True,
                          timeout=PATIENCE)
    assert done.returncode == 2 and done.stdout == ""
    line, hint = done.stderr.splitlines()
    assert line.startswith("poise target: --tls") and problem in line
    assert hint.startswith("help: ") and fix in hint
