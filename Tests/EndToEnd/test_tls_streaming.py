"""Bodies that are larger than all memory, over TLS and HTTP/2 on both sides: every byte arrives, next to nothing is held."""
import zlib

import pytest

import http2
from deadline import SLOW, Deadline
from http2_peer import Message
from tls import Authority, client_context, server_context

MiB = 1 << 20
BLOCK = bytes(range(256)) * 4096
# Seconds without an end in sight: the 10 GiB take minutes.
WAIT = 1800
SIZES = [pytest.param(256 * MiB, id="256 MiB", marks=pytest.mark.timeout(120)),
         pytest.param(10 << 30, id="10 GiB", marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]


class Digest:
    """A body that is counted and summed instead of kept."""

    def __init__(self, begun=b""):
        self.count, self.sum = len(begun), zlib.crc32(begun)

    def __iadd__(self, piece):
        self.count += len(piece)
        self.sum = zlib.crc32(piece, self.sum)
        return self

    def __len__(self):
        return self.count

    def __bytes__(self):
        return b""


def watched(peer, stream):
    """From here on the body of this stream is summed, and frames are not noted."""
    message: Message = peer.messages[stream]
    message.body, message.pieces, peer.frames = Digest(bytes(message.body)), Unnoted(), Unnoted()
    return message.body


class Unnoted(list):
    def append(self, _):
        pass


def send(peer, stream, total):
    deadline = Deadline(WAIT)
    for at in range(0, total, len(BLOCK)):
        peer.data(stream, BLOCK, end=at + len(BLOCK) == total, deadline=deadline)


def expected(total):
    digest = Digest()
    for _ in range(total // len(BLOCK)):
        digest += BLOCK
    return digest


@pytest.fixture
def both(start):
    """(poise, client, origin) of one connection of HTTP/2 over TLS on each side, warm: it has carried bodies both ways."""
    authority = Authority()
    sums = []

    def handler(conn):
        while True:
            asked = conn.head(Deadline(WAIT))
            if asked.target == "/down":
                total = int(asked.get("x-total"))
                conn.begin(asked, fields=[("content-length", total)])
                send(conn, asked.stream, total)
            else:
                sums.append(watched(conn, asked.stream))
                conn.finish(asked, Deadline(WAIT))
                conn.respond(asked)
    origin = start.h2_origin(handler, tls=server_context(authority.issue("target.test"), ["h2"]))
    poise = start.proxy(origin, certificates=[authority.issue("shop.test").files(start.folder)], group_version="http2",
                        group_protocol="HTTPS", group_authority=authority.file(start.folder),
                        group_certificate_name="target.test")
    with http2.Client(poise.port, tls=client_context(authority, ["h2"]), server_name="shop.test") as client:
        for _ in range(2):
            download(client, 16 * MiB)
            upload(client, 16 * MiB)
        sums.clear()
        yield poise, client, sums
    assert len(origin.connections) == 1


def download(client, total):
    stream = client.begin("/down", fields=[("x-total", total)], end=True)
    assert client.head(stream).status == 200
    digest = watched(client, stream)
    client.read_until(lambda: client.messages[stream].ended, Deadline(WAIT), "the end of the body")
    return digest


def upload(client, total):
    stream = client.begin("/up", method="POST", fields=[("content-length", total)])
    send(client, stream, total)
    assert client.response(stream, Deadline(60)).status == 200


@pytest.mark.parametrize("total", SIZES)
@pytest.mark.parametrize("way", ["down", "up"])
def test_a_large_body_passes_through_little_memory(both, way, total):
    poise, client, sums = both
    before = poise.memory("VmHWM")
    if way == "down":
        digest = download(client, total)
    else:
        upload(client, total)
        (digest,) = sums
    wanted = expected(total)
    assert (digest.count, digest.sum) == (total, wanted.sum)
    grown = poise.memory("VmHWM") - before
    print(f"figures: {way} {total // MiB} MiB, grown {grown // 1024} KiB")
    # What both windows hold (1 MiB each unless told otherwise) was there after the warming up, or comes now.
    assert grown < 3 * MiB


def test_a_reader_that_stalls_holds_back_the_target(start, both):
    """All of 64 MiB is on its way, and the client takes a window of it: the rest waits at the target, not in the middle."""
    poise, client, _ = both
    before = poise.memory()
    client.replenishes = False
    stream = client.begin("/down", fields=[("x-total", 64 * MiB)], end=True)
    client.head(stream)
    digest = watched(client, stream)
    client.read_until(lambda: client.window == 0 or client.messages[stream].window == 0, what="a window that is used up")
    client.expect_silence(0.5 * SLOW)
    assert poise.memory() - before < 3 * MiB
    client.resume()
    client.read_until(lambda: client.messages[stream].ended, Deadline(60), "the end of the body")
    assert digest.count == 64 * MiB and digest.sum == expected(64 * MiB).sum
