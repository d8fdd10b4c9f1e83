"""Headless Chromium as a client: a page with many images, over one connection of HTTP/2, while its certificate is renewed."""
import base64
import contextlib
import hashlib
import json
import pathlib
import struct
import subprocess
import threading
import zlib

import pytest
from cryptography.hazmat.primitives import serialization

from admin import metrics, value, verb
from deadline import Deadline
from real import program, soak_tool
from test_tls_clients import certificate_for, secure
from tls import Authority

pytestmark = [pytest.mark.soak, pytest.mark.timeout(120)]
IMAGES = 100


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# One pixel, and something behind it so that each image takes several frames.
PIXEL = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
         + chunk(b"IDAT", zlib.compress(b"\0\xff")) + chunk(b"teXt", b"x" * 40_000) + chunk(b"IEND", b""))


def site(conn):
    """/N: a page whose images no other page shares."""
    while True:
        asked = conn.request(Deadline(60))
        if asked.target.endswith(".png"):
            conn.respond(body=PIXEL, fields=[("Content-Type", "image/png")])
        else:
            images = "".join(f'<img src="{asked.target}/{n}.png">' for n in range(IMAGES))
            page = f"<!doctype html><link rel=icon href=data:,><title>{asked.target}</title>{images}"
            conn.respond(body=page.encode(), fields=[("Content-Type", "text/html")])


def key_of(identity):
    """A key by which Chromium can be told to believe it."""
    public = identity.key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(public).digest()).decode()


@contextlib.contextmanager
def browser(start, identities, urls):
    with open(start.folder / "browser", "w+b") as said, subprocess.Popen(
            [soak_tool("python"), pathlib.Path(__file__).with_name("browser.py"), program("chromium"),
             ",".join(map(key_of, identities)), *urls], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said) as process:
        def page():
            watch = threading.Timer(60, process.terminate)
            watch.start()
            line = process.stdout.readline()
            watch.cancel()
            said.seek(0)
            assert line, f"the browser ended: {said.read().decode()}"
            return json.loads(line)

        def go_on():
            process.stdin.write(b"\n")
            process.stdin.flush()
        try:
            yield page, go_on
            assert process.wait(30) == 0
        finally:
            process.terminate()


def test_a_page_of_a_hundred_images_and_a_renewed_certificate(start):
    authority, origin = Authority(), start.origin(site)
    first, second = authority.issue("shop.test"), authority.issue("shop.test", "new.shop.test")
    files = first.files(start.folder, "shop")
    poise = secure(start, authority, files, origin=origin)

    def count():
        return value(metrics(poise), "poise_listener_accepted_connections_total", listener="web")
    urls = [f"https://{host}:{poise.port}/{n}" for n, host in enumerate(("shop.test", "shop.test", "new.shop.test"))]
    before = count()
    with browser(start, [first, second], urls) as (page, go_on):
        pages, opened = [page()], [count() - before]
        second.replace(files)
        assert verb("reload", poise=poise).returncode == 0
        assert certificate_for(poise, "shop.test") == second.certificate
        before = count()
        for _ in urls[1:]:
            go_on()
            pages.append(page())
            opened.append(count() - before)
            before = count()
    for seen in pages:
        assert (seen["status"], seen["loaded"], len(seen["entries"])) == (200, IMAGES, IMAGES + 1)
        assert {entry["protocol"] for entry in seen["entries"]} == {"h2"}
        assert {entry["status"] for entry in seen["entries"]} == {200}
    # Kept through the renewal; only a name that the old certificate does not have needs the new one.
    assert opened == [1, 0, 1]
    assert len(origin.requests) == 3 * (IMAGES + 1)
