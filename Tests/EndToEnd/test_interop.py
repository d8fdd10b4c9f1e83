"""What real clients get through Poise, in all four combinations of versions, is what they get from the real server itself."""
import contextlib
import hashlib
import os
import re
import subprocess

import pytest

import either
import real
from deadline import SLOW, Deadline
from real import LARGE, program
from settings import configuration, group, listener
from tls import Authority

LONG = [part for n in range(40) for part in ("-H", f"X-Long-{n}: {'v' * 150}")]
# Name → curl's arguments and the path. `{tag}` and `{date}` are those of /small.
ASKED = {
    "a small file": ["/small"],
    "a large file": ["/large"],
    "HEAD": ["-I", "/large"],
    "a missing file": ["/missing"],
    "HEAD of a missing file": ["-I", "/missing"],
    "a range": ["-r", "256-511", "/large"],
    "the last bytes": ["-r", "-1000", "/large"],
    "several ranges": ["-r", "0-9,5000000-5000009,10239990-", "/large"],
    "no such range": ["-r", "20000000-", "/large"],
    "a range of what has changed": ["-r", "0-9", "-H", 'If-Range: "other"', "/large"],
    "not modified by tag": ["-H", "If-None-Match: {tag}", "/small"],
    "not modified by date": ["-H", "If-Modified-Since: {date}", "/small"],
    "modified": ["-H", 'If-None-Match: "other"', "/small"],
    "another tag expected": ["-H", 'If-Match: "other"', "/small"],
    "40 fields of 150 bytes": [*LONG, "/small"],
    "a long query": [f"/small?{'q' * 6000}"],
    "odd characters": ["/small?a=%20%2F%3f&b[]=1&c='~!*();,"],
    "a method refused": ["-d", "x=1", "/small"],
    "OPTIONS": ["-X", "OPTIONS", "/small"],
    "an answer without a body": ["/empty"],
    "a redirection": ["/moved"],
    "trailers": ["-H", "TE: trailers", "/trailers"],
    "a body without a length": ["/trailers"],
    "an upload": ["-T", "{upload}", "/put/a"],
    "an upload that waits for 100": ["-H", "Expect: 100-continue", "-T", "{upload}", "/put/b"],
    "an upload without a length": ["-H", "Transfer-Encoding: chunked", "-T", "{upload}", "/put/c"],
    "an upload that is too large": ["-H", "Expect: 100-continue", "-T", "{upload}", "/small-uploads/a"],
    "what was uploaded": ["/put/a"],
    "removal": ["-X", "DELETE", "/put/a"],
}
# What Poise says itself, and what each answer has for itself.
OURS = {"date", "via", "connection", "keep-alive", "transfer-encoding", "alt-svc"}
LOCATIONS = """
    location = /empty { return 204; }
    location = /moved { return 301 /small?x=1; }
    location = /trailers { alias WWW/large; sub_filter_types *; sub_filter_once off; sub_filter abc def; add_trailer X-Sum 7; }
    location /put/ { dav_methods PUT DELETE; client_max_body_size 100m; }
    location /small-uploads/ { dav_methods PUT; client_max_body_size 1k; }
"""


@contextlib.contextmanager
def staged(shared):
    """{"direct" or ("http1" or "http2" towards the target): port}, and what curl needs to believe all of them."""
    authority = Authority()
    identity = authority.issue("shop.test")
    with real.nginx(shared.folder / "nginx", identity, http2=True, more=LOCATIONS) as port:
        tls = {"protocol": "HTTPS", "authority": authority.file(shared.folder), "certificate_name": "shop.test"}
        poise = shared.poise(configuration(
            [listener(v, forward=v, certificates=[identity.files(shared.folder, v)]) for v in either.VERSIONS],
            [group(v, [f"127.0.0.1:{port}"], version=v, **tls) for v in either.VERSIONS], workers=2))
        (shared.folder / "upload").write_bytes(os.urandom(3 << 20))
        yield {"direct": port} | {v: poise.port_of(v) for v in either.VERSIONS}, authority, shared.folder


@pytest.fixture(scope="module")
def stage(shared):
    with staged(shared) as stage:
        yield stage


@pytest.fixture
def fresh_stage(start):
    """Of one test: nginx ends a connection whose uploads it has refused too often, and with it the uploads of others."""
    with staged(start) as stage:
        yield stage


class Asked:
    def __init__(self, stage, option, to, arguments):
        ports, authority, folder = stage
        *options, path = arguments
        head, body = folder / "head", folder / "body"
        body.unlink(missing_ok=True)
        done = subprocess.run(
            [program("curl"), "-sS", "-g", "--max-time", str(20 * SLOW), option, "--cacert", folder / "authority.pem", "--resolve",
             f"shop.test:{ports[to]}:127.0.0.1", "-D", head, "-o", body, "-w", "%{http_version}", *options,
             f"https://shop.test:{ports[to]}{path}"], capture_output=True, text=True, timeout=30 * SLOW)
        self.code, self.version, self.problem = done.returncode, done.stdout, done.stderr
        blocks = head.read_text("latin-1").replace("\r", "").strip().split("\n\n")
        # A block of trailers has no status line.
        heads = [block.split("\n") for block in blocks if block.startswith("HTTP/")]
        finals = [block for block in heads if block[0].split()[1] != "100"]
        assert len(finals) == 1, f"{len(finals)} answers: {done.stderr}"
        (final,) = finals
        self.continued = len(heads) - len(finals)
        self.status = int(final[0].split()[1])
        self.fields = sorted((n.lower(), v) for n, v in (line.split(": ", 1) for line in final[1:] if line))
        # curl -I puts the head there.
        self.body = body.read_bytes() if body.exists() and "-I" not in arguments else b""

    def get(self, name):
        return dict(self.fields).get(name)

    def comparable(self):
        """What must be the same whoever passes it on."""
        body, boundary = self.body, re.search(r"boundary=(\S+)", self.get("content-type") or "")
        fields = [(n, v) for n, v in self.fields if n not in OURS]
        if boundary:  # of several ranges: each answer has its own, of one length
            body = body.replace(boundary[1].encode(), b"BOUNDARY")
            fields = [(n, v.replace(boundary[1], "BOUNDARY")) for n, v in fields]
        return self.code, self.status, self.location(fields), len(body), hashlib.sha256(body).hexdigest()

    @staticmethod
    def location(fields):
        return [(n, re.sub(r"https://shop\.test(:\d+)?", "", v) if n == "location" else v) for n, v in fields]


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("target", either.VERSIONS)
@pytest.mark.parametrize("client, option", [("http1", "--http1.1"), ("http2", "--http2")], ids=["http1", "http2"])
def test_curl_gets_the_same(stage, client, option, target, name):
    ports, _, folder = stage
    small = Asked(stage, option, "direct", ["/small"])
    fill = {"tag": small.get("etag"), "date": small.get("last-modified"), "upload": str(folder / "upload")}
    arguments = [re.sub(r"\{(tag|date|upload)\}", lambda m: fill[m[1]], argument) for argument in ASKED[name]]
    answers = {}
    for to in ("direct", target):
        # The same state for both.
        there = folder / "nginx" / "www" / "put"
        for file in there.iterdir():
            file.unlink()
        if name in ("what was uploaded", "removal"):
            (there / "a").write_bytes(b"uploaded")
            os.utime(there / "a", (1_000_000_000, 1_000_000_000))
            there.chmod(0o777), (there / "a").chmod(0o666)
        answers[to] = Asked(stage, option, to, arguments)
        answers[to].stored = {file.name: file.read_bytes() for file in there.iterdir()}
    direct, through = answers["direct"], answers[target]
    assert through.version == {"http1": "1.1", "http2": "2"}[client], through.problem
    assert through.comparable() == direct.comparable(), through.problem
    assert through.stored == direct.stored
    assert through.get("via"), "it did pass Poise"
    if name == "an upload that waits for 100":
        # nginx says it in HTTP/1.1 only; what the target says passes, and we say nothing in its place.
        assert through.continued == (1 if target == "http1" else 0)
    if name == "a large file":
        assert through.body == LARGE


@pytest.mark.parametrize("target", either.VERSIONS)
@pytest.mark.parametrize("options", [
    ["-n2000", "-c4", "-m32"], ["-n2000", "-c8", "-m1", "-w10", "-W10"], ["-n300", "-c2", "-m10", *["-H", "x-long: " + "v" * 6000]],
    ["-n200", "-c2", "-m8", "-d", "{body}", "-H", ":method: PUT"], ["-n80", "-c2", "-m8", "-d", "{body}"], ["-n500", "-c4", "--h1"], ["-n2000", "-c4", "-m32", "--header-table-size=0"],
    ["-n2000", "-c4", "-m32", "--encoder-header-table-size=65536"]],
    ids=["streams", "tiny windows", "large fields", "uploads", "uploads answered early", "http1", "no table", "a large table"])
def test_h2load(fresh_stage, target, options):
    ports, _, folder = fresh_stage
    path = "/put/load" if ":method: PUT" in options else "/small"
    # nginx answers POST for a file at once and does not wait for what comes with it. After 8 MB of that it takes it for a
    # flood and ends the connection.
    statuses = "0 2xx, 0 3xx, {} 4xx" if "-d" in options and path == "/small" else "{} 2xx, 0 3xx, 0 4xx"
    (folder / "load").write_bytes(bytes(100_000))
    options = [option.replace("{body}", str(folder / "load")) for option in options]
    done = subprocess.run([program("h2load"), *options, f"https://127.0.0.1:{ports[target]}{path}"],
                          capture_output=True, text=True, timeout=60 * SLOW)
    count = int(options[0][2:])
    assert f"{count} done" in done.stdout and "0 errored, 0 timeout" in done.stdout, done.stdout + done.stderr
    assert f"status codes: {statuses.format(count)}, 0 5xx" in done.stdout, done.stdout


@pytest.mark.parametrize("target", either.VERSIONS)
@pytest.mark.parametrize("options", [[], ["--expect-continue"], ["--trailer=x-sum: 7", "--no-content-length"], ["--trailer=x-sum: 7"], ["-w16", "-W17"], ["-b50"], ["--no-dep"]],
                         ids=["plain", "expect", "trailer", "trailer and length", "windows", "padding", "no dependencies"])
def test_nghttp_uploads(start, target, options):
    def handler(conn):
        while True:
            asked = conn.head(Deadline(60))
            if "expect" in asked.fields:
                conn.interim(100)
            conn.finish()
            conn.respond(body=asked.body)
    origin = either.start_origin(start, target, handler)
    poise = start.proxy(origin, group_version=target, certificates=[Authority().issue("shop.test").files(start.folder)])
    upload = start.folder / "upload"
    upload.write_bytes(os.urandom(300_000))
    done = subprocess.run([program("nghttp"), "-y", *options, "-d", upload, f"https://127.0.0.1:{poise.port}/"],
                          capture_output=True, timeout=30 * SLOW)
    assert done.stdout == upload.read_bytes(), done.stderr
    (asked,) = origin.requests
    assert asked.body == upload.read_bytes()
    # A message of HTTP/1 with a length has no place for trailers.
    has_trailers = "--trailer=x-sum: 7" in options and (target == "http2" or "--no-content-length" in options)
    assert asked.trailers.get("x-sum") == ("7" if has_trailers else None)
