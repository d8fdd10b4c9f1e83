"""The PROXY protocol between Poise, HAProxy and nginx, each in front of and behind Poise."""
import contextlib
import os
import socket

import pytest

import real
from admin import metrics, value
from client import Client, get, request
from deadline import eventually
from real import free_port, program
from settings import configuration, group, listener
from test_health_and_apply import CHECK
from test_proxy_protocol_to_targets import ALL
from test_tls_health import becomes
from tls import Authority, client_context

STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"


def haproxy(start, text, port, name="haproxy"):
    folder = start.folder / name
    folder.mkdir()
    (folder / "cfg").write_text(
        "global\n  maxconn 200\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n"
        + text)
    return real.running([program("haproxy"), "-db", "-f", folder / "cfg"], port, folder / "log")


def nginx(start, http="", stream=""):
    """nginx with one server on a free port, PORT in `http` or `stream`."""
    folder, port = start.folder / "nginx", free_port()
    folder.mkdir()
    temporary = " ".join(f"{k}_temp_path {folder}/{k};" for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    text = f"daemon off; pid {folder}/pid; error_log {folder}/error; events {{ worker_connections 256; }}\n"
    if http:
        text += f"http {{ access_log off; {temporary} {http} }}\n"
    if stream:
        load = f"load_module {STREAM_MODULE};\n" if os.path.exists(STREAM_MODULE) else ""
        text = load + text + f"stream {{ {stream} }}\n"
    (folder / "conf").write_text(text.replace("PORT", str(port)))
    return real.running([program("nginx"), "-p", folder, "-e", folder / "error", "-c", folder / "conf"], port, folder / "error")


class At:
    """A target of a test that is another program."""

    def __init__(self, port):
        self.address = f"127.0.0.1:{port}"


def passes_its_check(poise, port):
    assert becomes(poise, At(port), "healthy").startswith("status 200")


# What HAProxy took the header to say.
SEEN = "%[src] %[src_port] %[dst] %[dst_port] authority=%[fc_pp_authority] id=%[fc_pp_unique_id]"


@pytest.mark.parametrize("setting", ["v1", "v2", ALL], ids=["v1", "v2", "v2 with fields"])
def test_haproxy_reads_what_poise_writes(start, setting):
    authority, port = Authority(), free_port()
    text = f"""frontend f
  bind 127.0.0.1:{port} accept-proxy
  http-request return status 200 content-type text/plain lf-string "{SEEN}"
"""
    with haproxy(start, text, port):
        poise = start.poise(configuration(
            [listener("plain", forward="pool"),
             listener("tls", forward="pool", certificates=[authority.issue("shop.test").files(start.folder)])],
            [group("pool", [f"127.0.0.1:{port}"], proxy_protocol=setting, health_check=CHECK)]))
        passes_its_check(poise, port)
        for name, tls in (("plain", None), ("tls", client_context(authority))):
            with Client(poise.port_of(name), tls=tls, server_name=tls and "shop.test", source="127.0.0.3") as client:
                own = client.sock.getsockname()[1]
                first = f"127.0.0.3 {own} 127.0.0.1 {poise.port_of(name)}"
                fields = [("X-Request-Id", "of-the-first")]
                for _ in range(3):
                    answer = client.ask(request(fields=fields)).body.decode()
                    has = setting is ALL
                    named = "shop.test" if has and tls else ""
                    assert answer == f"{first} authority={named} id={'of-the-first' if has else ''}"
                    fields = [("X-Request-Id", "of-another")]


@pytest.mark.parametrize("setting", ["v1", "v2", ALL], ids=["v1", "v2", "v2 with fields"])
def test_nginx_reads_what_poise_writes(start, setting):
    said = "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port"
    with nginx(start, f'server {{ listen 127.0.0.1:PORT proxy_protocol; location / {{ return 200 "{said}"; }} }}') as port:
        poise = start.proxy(f"127.0.0.1:{port}", group_proxy_protocol=setting, group_health_check=CHECK)
        passes_its_check(poise, port)
        for source in ("127.0.0.3", "127.0.0.4"):
            with Client(poise.port, source=source) as client:
                for _ in range(3):
                    own = client.sock.getsockname()[1]
                    assert client.ask(request()).body.decode() == f"{source} {own} 127.0.0.1 {poise.port}"


def test_nginx_that_expects_no_header_is_told_apart(start):
    with nginx(start, "server { listen 127.0.0.1:PORT; location / { return 200; } }") as port:
        poise = start.proxy(f"127.0.0.1:{port}", group_proxy_protocol="v2", group_health_check=CHECK)
        evidence = becomes(poise, At(port), "unhealthy", "response_mismatch")
        assert evidence.startswith("status 400 ") and evidence.endswith("PROXY v2 header: does the target expect one?")


@pytest.mark.parametrize("words", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"])
def test_poise_reads_what_haproxy_writes(start, words):
    origin = start.origin()
    poise = start.proxy(origin, proxy_protocol="required")
    port = free_port()
    text = f"""frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  server s 127.0.0.1:{poise.port} {words} check inter 100ms
"""
    with haproxy(start, text, port):
        for source in ("127.0.0.3", "127.0.0.4"):
            with Client(port, source=source) as client:
                assert client.ask(request()).status == 200
            assert origin.requests[-1].get("X-Forwarded-For") == source
        # Its checks say LOCAL or UNKNOWN, and leave.
        before = value(metrics(poise), "poise_listener_accepted_connections_total")
        eventually("several checks", lambda: value(metrics(poise), "poise_listener_accepted_connections_total") > before + 3)
    assert value(metrics(poise), "poise_listener_refused_connections_total", reason="preamble") == 0


def test_the_log_tells_what_haproxy_knew_of_the_client(start):
    authority = Authority()
    poise = start.proxy(start.origin(), proxy_protocol="required")
    port, files = free_port(), authority.issue("shop.test").bundle(start.folder)
    text = f"""frontend f
  bind 127.0.0.1:{port} ssl crt {files} ca-file {authority.file(start.folder)} verify optional alpn http/1.1
  unique-id-format from-%ci
  default_backend b
backend b
  server s 127.0.0.1:{poise.port} send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,cert-key,cert-sig,authority,unique-id,crc32c
"""
    with haproxy(start, text, port):
        for path, identity in (("/known", authority.issue("ann")), ("/unknown", None)):
            context = client_context(authority, identity=identity)
            with Client(port, tls=context, server_name="shop.test", source="127.0.0.3") as client:
                assert client.ask(request(path)).status == 200
                version, cipher = client.sock.version(), client.sock.cipher()[0]
            record = poise.wait_record(path=path)
            assert record["client"] == "127.0.0.3"
            told = record["proxy_protocol"]
            assert (told["authority"], told["unique_id"], told["alpn"]) == ("shop.test", "from-127.0.0.3", "http/1.1")
            assert (told["tls"], told["tls_cipher"]) == (version, cipher)
            assert told["tls_signature_algorithm"].startswith("ecdsa") or "ECDSA" in told["tls_signature_algorithm"].upper()
            if identity:
                assert (told["client_certificate"], told["client_name"]) == ("verified", "ann")
            else:
                assert told["client_certificate"] == "none" and "client_name" not in told


def test_poise_reads_what_nginx_writes(start):
    origin = start.origin()
    poise = start.proxy(origin, proxy_protocol="required")
    with nginx(start, stream=f"server {{ listen 127.0.0.1:PORT; proxy_pass 127.0.0.1:{poise.port}; proxy_protocol on; }}") as port:
        for source in ("127.0.0.3", "127.0.0.4"):
            with Client(port, source=source) as client:
                assert [client.ask(request()).status for _ in range(2)] == [200, 200]
            assert origin.requests[-1].get("X-Forwarded-For") == source


def test_poise_behind_poise(start):
    """What one says the other logs; and the client is the same for the last target."""
    authority, origin = Authority(), start.origin()
    behind = start.proxy(origin, proxy_protocol="required")
    front = start.proxy(f"127.0.0.1:{behind.port}", group_proxy_protocol=ALL, group_health_check=CHECK,
                        certificates=[authority.issue("shop.test").files(start.folder)])
    passes_its_check(front, behind.port)
    with Client(front.port, tls=client_context(authority), server_name="shop.test", source="127.0.0.3") as client:
        assert client.ask(request("/through")).status == 200
        version, cipher = client.sock.version(), client.sock.cipher()[0]
    first, second = front.wait_record(path="/through"), behind.wait_record(path="/through")
    assert second["client"] == "127.0.0.3"
    assert second["proxy_protocol"] == {
        "authority": "shop.test", "alpn": "http/1.1", "unique_id": first["request_id"], "tls": version, "tls_cipher": cipher,
        "client_certificate": "none"}
    assert "proxy_protocol" not in first
