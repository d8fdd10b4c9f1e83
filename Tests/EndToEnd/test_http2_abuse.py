"""Clients that abuse HTTP/2: which error ends them, what is counted, what memory and work it takes, and who is spared."""
import contextlib
import threading
import time

import pytest

import http2
from admin import metrics, value
from deadline import SLOW, Deadline, eventually
from frames import (CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, INITIAL_WINDOW_SIZE, PING, PREFACE,
                    PRIORITY, PROTOCOL_ERROR, RST_STREAM, SETTINGS, SETTINGS_TIMEOUT, STREAM_CLOSED, WINDOW_UPDATE,
                    block, code, frame, head_of, settings)
from wire import Ended, WireError

MB = 1_000_000
GET, POST = block(head_of("/")), block(head_of("/", method="POST"))
# What a connection may get rid of before it is ended, and what the process may grow by meanwhile.
TAKEN, GROWN = 16 * MB, 20 * MB


def opened(stream, fields=GET, end=True):
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, fields)


def streams(make):
    """`make(stream)` for one stream after the other, many at once."""
    stream = 1
    while True:
        yield b"".join(make(s) for s in range(stream, stream + 400, 2))
        stream += 400


def again(piece, opening=b""):
    if opening:
        yield opening
    while True:
        yield piece * max(1, 16_384 // len(piece))


# name: (what is sent, the errors that may end it, the reason that is counted)
FLOODS = {
    "rapid reset": (lambda: streams(lambda s: opened(s) + frame(RST_STREAM, 0, s, code(CANCEL))), ENHANCE_YOUR_CALM, "rapid_reset"),
    "made you reset: windows that grow by 0": (
        lambda: streams(lambda s: opened(s) + frame(WINDOW_UPDATE, 0, s, code(0))), ENHANCE_YOUR_CALM, "made_you_reset"),
    "made you reset: windows that overflow": (
        lambda: streams(lambda s: opened(s) + frame(WINDOW_UPDATE, 0, s, code(0x7FFFFFFF))), ENHANCE_YOUR_CALM, "made_you_reset"),
    "made you reset: DATA behind the end": (
        lambda: streams(lambda s: opened(s) + frame(DATA, END_STREAM, s, b"x")), ENHANCE_YOUR_CALM, "made_you_reset"),
    "made you reset: HEADERS behind the end": (
        lambda: streams(lambda s: opened(s) + opened(s)), (ENHANCE_YOUR_CALM, STREAM_CLOSED), None),
    "made you reset: lengths that are not kept": (
        lambda: streams(lambda s: opened(s, block(head_of("/", "POST", fields=[("content-length", 1)])), False)
                        + frame(DATA, END_STREAM, s, b"xx")), ENHANCE_YOUR_CALM, "made_you_reset"),
    "made you reset: malformed requests": (
        lambda: streams(lambda s: opened(s, block(head_of("/", fields=[("connection", "close")])))), ENHANCE_YOUR_CALM, "made_you_reset"),
    "streams beyond the limit": (
        lambda: streams(lambda s: opened(s, POST, False)), ENHANCE_YOUR_CALM, "refused_streams"),
    "CONTINUATION without bytes": (
        lambda: again(frame(CONTINUATION, 0, 1), frame(HEADERS, END_STREAM, 1, GET)), ENHANCE_YOUR_CALM, "continuation_flood"),
    "CONTINUATION with bytes": (
        lambda: again(frame(CONTINUATION, 0, 1, block([("a", "b")])), frame(HEADERS, END_STREAM, 1, GET)), ENHANCE_YOUR_CALM, "continuation_flood"),
    "large CONTINUATION": (
        lambda: again(frame(CONTINUATION, 0, 1, block([("a", "b" * 16_000)])), frame(HEADERS, END_STREAM, 1, GET)),
        ENHANCE_YOUR_CALM, "block_too_large"),
    "endless trailers": (
        lambda: again(frame(CONTINUATION, 0, 1, block([("a", "b")])), opened(1, POST, False) + frame(HEADERS, END_STREAM, 1)),
        ENHANCE_YOUR_CALM, "continuation_flood"),
    "SETTINGS": (lambda: again(settings({INITIAL_WINDOW_SIZE: 65_535})), ENHANCE_YOUR_CALM, "settings_flood"),
    "SETTINGS without anything": (lambda: again(settings()), ENHANCE_YOUR_CALM, "settings_flood"),
    "SETTINGS that move all windows": (
        lambda: again(settings({INITIAL_WINDOW_SIZE: 1}) + settings({INITIAL_WINDOW_SIZE: 1 << 20}),
                      b"".join(opened(s, POST, False) for s in range(1, 199, 2))), ENHANCE_YOUR_CALM, "settings_flood"),
    "PING": (lambda: again(frame(PING, 0, 0, b"attacker")), ENHANCE_YOUR_CALM, "ping_flood"),
    "PRIORITY": (lambda: again(frame(PRIORITY, 0, 1, bytes(5))), ENHANCE_YOUR_CALM, "priority_flood"),
    "DATA without bytes": (lambda: again(frame(DATA, 0, 1), opened(1, POST, False)), ENHANCE_YOUR_CALM, "empty_data"),
    "DATA of padding alone": (lambda: again(frame(DATA, 8, 1, b"\x00"), opened(1, POST, False)), ENHANCE_YOUR_CALM, "empty_data"),
    "WINDOW_UPDATE of the connection": (lambda: again(frame(WINDOW_UPDATE, 0, 0, code(1))), ENHANCE_YOUR_CALM, "window_update_flood"),
    "WINDOW_UPDATE of streams that are gone": (
        lambda: again(frame(WINDOW_UPDATE, 0, 1, code(1)), opened(1) + frame(RST_STREAM, 0, 1, code(CANCEL))),
        ENHANCE_YOUR_CALM, "window_update_flood"),
    "frames that nobody defined": (lambda: again(frame(0x42, 0, 0)), ENHANCE_YOUR_CALM, "unknown_frame_flood"),
}


class Flood:
    """Sends pieces until the server ends the connection, or `most` bytes are gone; reads all the while.

    Behind the first piece it waits until `content` bytes of DATA have come.
    """

    def __init__(self, port, pieces, most=4 * TAKEN, reads=True, content=0):
        self.sent, self.over = 0, threading.Event()
        with http2.Client(port) as self.client:
            self.client.acknowledges = self.client.replenishes = False
            self.client.opened = range(1, 1 << 31, 2)
            self.client.window = self.client.initial = 1 << 30  # what the flood opens is not known here
            reader = threading.Thread(target=self._read, daemon=True)
            if reads:
                reader.start()
            try:
                for piece in pieces:
                    if self.over.is_set() or self.sent >= most:
                        break
                    self.client.sock.sendall(piece)
                    self.sent += len(piece)
                    if self.sent == len(piece) and content:
                        eventually("the answers have begun", lambda: self.content() >= content or self.over.is_set())
            except OSError:
                pass
            if reads:
                reader.join(20 * SLOW)
        self.error = self.client.goaways[-1][1] if self.client.goaways else None

    def content(self):
        return sum(length for kind, _, _, length in self.client.frames if kind == DATA)

    def _read(self):
        try:
            while True:
                self.client.read(Deadline(20))
        except (Ended, OSError, WireError):
            self.over.set()


@pytest.fixture
def attacked(start):
    def handler(conn):
        while True:
            conn.finish(conn.head(Deadline(60)), Deadline(60))
            conn.respond(body=b"x" * 100)
    origin = start.origin(handler)
    poise = start.proxy(origin)
    assert http2.get(poise.port).status == 200
    return poise, origin


def ended(poise, reason=None):
    labels = {"reason": reason} if reason else {}
    return value(metrics(poise), "poise_listener_http2_connections_ended_total", **labels)


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_ended(attacked, name):
    poise, origin = attacked
    make, errors, reason = FLOODS[name]
    before = poise.memory()
    flood = Flood(poise.port, make())
    assert flood.error in ((errors,) if isinstance(errors, int) else errors), (
        f"ended with {flood.error} after {flood.sent} bytes, last frames {flood.client.frames[-5:]}")
    assert flood.sent < TAKEN + 8 * MB, "and early; what the kernel's buffers take comes on top"
    assert poise.memory("VmHWM") - before < GROWN
    assert len(origin.requests) < 2000, "little of it reached a target"
    eventually("it is counted", lambda: ended(poise, reason) == 1)
    line = poise.wait_line(lambda line: "was ended for what its client did" in line, "a word about it")
    assert line.startswith("poise: warning: ") and " listener=web client=127.0.0.1 " in line
    assert f" reason={reason or ''}" in line and ' explanation="it ' in line
    assert http2.get(poise.port).status == 200


@pytest.mark.parametrize("name", ["PING", "SETTINGS", "rapid reset"])
def test_a_flood_that_does_not_read_its_answers_is_kept_small(attacked, name):
    poise, _ = attacked
    before = poise.memory()
    Flood(poise.port, FLOODS[name][0](), reads=False)
    assert poise.memory("VmHWM") - before < GROWN
    assert http2.get(poise.port).status == 200


def test_others_are_served_meanwhile(attacked):
    poise, _ = attacked
    over, slowest = threading.Event(), 0.0

    def attack(name):
        while not over.is_set():
            Flood(poise.port, FLOODS[name][0]())
    attackers = [threading.Thread(target=attack, args=(name,)) for name in ("rapid reset", "PING", "CONTINUATION without bytes", "SETTINGS")]
    for attacker in attackers:
        attacker.start()
    try:
        for _ in range(30):
            began = time.monotonic()
            assert http2.get(poise.port).status == 200
            slowest = max(slowest, time.monotonic() - began)
    finally:
        over.set()
        for attacker in attackers:
            attacker.join()
    # Attackers and we share an interpreter; the figure itself is for `make bench`.
    assert slowest < 2 * SLOW


# Field blocks that are larger than they look

LARGE = b"\x40\x01a\x7f\xa1\x1e" + b"v" * 4000  # into the table, where index 62 then is it


@pytest.mark.parametrize("fields", [
    GET + LARGE + b"\xbe" * 12_000, GET + b"\x90" * 16_000, GET + block([(f"x{n}", "") for n in range(1_500)]),
], ids=["48 MB in 12 KB", "16,000 fields", "1,500 names"])
def test_a_field_bomb_is_refused_at_little_cost(attacked, fields):
    poise, origin = attacked
    before, requests = poise.memory(), len(origin.requests)
    with http2.Client(poise.port) as client:
        began = time.monotonic()
        try:
            assert client.response(client.begin(encoded=fields, end=True)).status == 431
            assert client.ask().status == 200, "the table is what both think it is"
            requests += 1
        except (http2.GoneAway, http2.StreamReset) as end:
            assert end.error in (ENHANCE_YOUR_CALM, PROTOCOL_ERROR)
        assert time.monotonic() - began < 2 * SLOW
    assert poise.memory("VmHWM") - before < 8 * MB
    assert len(origin.requests) == requests


def test_many_field_bombs_are_ended(attacked):
    poise, origin = attacked
    before = poise.memory()
    flood = Flood(poise.port, (opened(s, GET + (LARGE if s == 1 else b"") + b"\xbe" * 12_000) for s in range(1, 1 << 20, 2)))
    assert flood.error == ENHANCE_YOUR_CALM and flood.sent < TAKEN
    assert poise.memory("VmHWM") - before < GROWN
    assert len(origin.requests) == 1


def test_a_hundred_thousand_fields(attacked):
    poise, origin = attacked
    before = poise.memory()
    with http2.Client(poise.port) as client:
        try:
            stream = client.begin(encoded=GET + b"\x90" * 100_000, end=True)
            assert client.response(stream).status == 431
        except (http2.GoneAway, Ended):
            assert client.goaways and client.goaways[-1][1] == ENHANCE_YOUR_CALM
    assert poise.memory("VmHWM") - before < 8 * MB
    assert len(origin.requests) == 1


# Slowness

@pytest.mark.parametrize("window", [0, 1, 65_535])
def test_windows_that_stay_shut_hold_little_and_end(start, window):
    """A hundred answers that cannot leave: each holds its request's head and one small buffer, 32 KiB each, at most."""
    def handler(conn):
        conn.head()
        conn.respond(body=bytes(4 * MB))
    origin = start.origin(handler)
    poise = start.proxy(origin, body_rate_grace="1s", body_rate="10KiB")
    assert http2.get(poise.port).status == 200  # that its answers are large is known now
    before = poise.memory()
    with http2.Client(poise.port, own_settings={INITIAL_WINDOW_SIZE: window}) as client:
        client.replenishes = False
        held = [client.request() for _ in range(100)]
        origin.wait_requests(101, complete=False, seconds=20)
        client.read_until(lambda: all(s in client.messages for s in held), Deadline(20), "all heads")
        client.ping()
        assert poise.memory() - before < 9 * MB
        # And they are given up after a while, each.
        client.read_until(lambda: all(client.messages[s].reset is not None for s in held), Deadline(20), "the end of all")
        assert client.goaways == []
    seen = metrics(poise)
    assert value(seen, "poise_listener_ended_requests_total", reason="client_too_slow") == 100
    assert value(seen, "poise_listener_in_flight_requests") == 0


def test_an_error_that_nobody_takes_is_given_up_too(start):
    poise = start.proxy("127.0.0.1:1", body_rate_grace="1s", body_rate="10KiB")
    with http2.Client(poise.port, own_settings={INITIAL_WINDOW_SIZE: 0}) as client:
        held = [client.request() for _ in range(100)]
        client.read_until(lambda: all(s in client.messages for s in held), Deadline(20), "all heads")
        assert {client.messages[s].head.status for s in held} <= {502, 503}
        client.read_until(lambda: all(client.messages[s].reset is not None for s in held), Deadline(20), "the end of all")
        assert client.goaways == []
    assert value(metrics(poise), "poise_listener_ended_requests_total", reason="client_too_slow") == 100


# Where a hundred streams are open and wait with their windows of 1 byte.
DRIPS = {
    "of streams": b"".join(frame(WINDOW_UPDATE, 0, s, code(1)) for s in range(1, 199, 2)) + frame(WINDOW_UPDATE, 0, 0, code(100)),
    "of the connection": frame(WINDOW_UPDATE, 0, 0, code(1)) * 100,
}


@pytest.mark.parametrize("which", DRIPS)
def test_windows_that_open_byte_by_byte_are_ended(start, which):
    """CVE-2019-9511: each update of 13 bytes makes a frame for one byte. It costs patience, and little else."""
    poise = start.proxy(start.origin(lambda conn: conn.respond(body=bytes(4 * MB)) if conn.request() else None))
    window, content = (1, 99) if which == "of streams" else (1 << 20, 65_535)
    opening = settings({INITIAL_WINDOW_SIZE: window}) + b"".join(opened(s) for s in range(1, 199, 2))
    flood = Flood(poise.port, again(DRIPS[which], opening), most=TAKEN, content=content)
    assert flood.error == ENHANCE_YOUR_CALM, f"ended with {flood.error} after {flood.sent} bytes"
    assert ended(poise, "window_update_flood") == ended(poise) == 1
    assert flood.content() > content, "windows that were used up and then opened"
    assert value(metrics(poise), "poise_listener_in_flight_requests") == 0
    assert http2.get(poise.port).status == 200


def test_windows_that_open_in_one_breath_are_used_by_one_frame(start):
    poise = start.proxy(start.origin(lambda conn: conn.respond(body=bytes(1000)) if conn.request() else None))
    with http2.Client(poise.port, own_settings={INITIAL_WINDOW_SIZE: 0}) as client:
        stream = client.request()
        client.head(stream)
        client.replenishes = False
        client.send(frame(WINDOW_UPDATE, 0, stream, code(1)) * 100)
        client.messages[stream].window += 100
        client.read_until(lambda: len(client.messages[stream].body) == 100, what="all that the window allows")
        assert [length for kind, _, _, length in client.frames if kind == DATA] == [100]
        client.give_back(900, stream)
        assert len(client.response(stream).body) == 1000


def test_who_reads_by_small_windows_is_no_attacker(start):
    """Windows of 64 bytes are paid for by half, as windows of 256 and more are wholly: 100 KB by them is no abuse."""
    poise = start.proxy(start.origin(lambda conn: conn.respond(body=bytes(100_000)) if conn.request() else None))
    with http2.Client(poise.port, own_settings={INITIAL_WINDOW_SIZE: 64}) as client:
        assert client.ask().body == bytes(100_000)
        assert client.goaways == []


@pytest.mark.parametrize("drips", [False, True], ids=["silence", "a frame now and then"])
@pytest.mark.parametrize("busy", [False, True], ids=["alone", "beside a stream"])
def test_a_head_that_never_ends_is_given_up(start, drips, busy):
    over = threading.Event()
    origin = start.origin(lambda conn: (conn.head(), over.wait(20)))
    poise = start.proxy(origin, head="500ms")
    try:
        with http2.Client(poise.port) as client:
            if busy:
                client.begin(end=True)
                origin.wait_requests(complete=False)
            stream, began = client.new_stream(), time.monotonic()
            client.frame(HEADERS, END_STREAM, stream, GET)
            while not client.goaways and time.monotonic() < began + 10:
                if drips:
                    client.frame(CONTINUATION, 0, stream, b"\x82")
                with contextlib.suppress(AssertionError, TimeoutError):
                    client.read_until(lambda: client.goaways, Deadline(0.1), "GOAWAY")
            assert client.goaways[-1][1] == ENHANCE_YOUR_CALM
            assert 0.4 < time.monotonic() - began < 2 * SLOW
            assert client.expect_end(Deadline(10)) == "fin"
    finally:
        over.set()
    assert ended(poise, "head_timeout") == ended(poise) == 1


@pytest.mark.parametrize("opening", [PREFACE, PREFACE + frame(SETTINGS, 0, 0, bytes(6))[:5]], ids=["no SETTINGS", "half of them"])
def test_settings_that_never_come_are_given_up(start, opening):
    poise = start.proxy(start.origin(), head="500ms")
    with http2.Client(poise.port, greets=False) as client:
        client.acknowledges = False
        client.send(opening)
        client.read_until(lambda: client.goaways, Deadline(10), "GOAWAY")
        assert client.goaways[-1] == (0, SETTINGS_TIMEOUT)
        assert client.expect_end(Deadline(10)) == "fin"
    assert ended(poise, "settings_timeout") == ended(poise) == 1


def test_a_preface_that_never_comes_is_given_up(start):
    poise = start.proxy(start.origin(), head="500ms")
    with http2.Client(poise.port, greets=False) as client:
        client.send(PREFACE[:-2])
        assert client.expect_end(Deadline(10)) == "fin"
    assert value(metrics(poise), "poise_listener_http2_connections_total") == 0


def test_a_request_that_is_taken_back_in_the_same_breath_reaches_nobody(attacked):
    poise, origin = attacked
    with http2.Client(poise.port) as client:
        taken = [client.new_stream() for _ in range(60)]
        client.send(b"".join(opened(s) + frame(RST_STREAM, 0, s, code(CANCEL)) for s in taken))
        assert client.ask().status == 200
    assert len(origin.requests) == 2 and len(origin.connections) <= 2
    assert value(metrics(poise), "poise_listener_requests_total") == 2


def test_faults_of_streams_are_counted_apart(attacked):
    poise, _ = attacked
    with http2.Client(poise.port) as client:
        with pytest.raises(http2.StreamReset):
            client.response(client.begin(encoded=block(head_of("/", fields=[("te", "gzip")])), end=True))
        assert client.ask().status == 200
        seen = metrics(poise)
        assert value(seen, "poise_listener_http2_stream_faults_total", fault="bad_te") == 1
        assert value(seen, "poise_listener_http2_connections") == 1
        assert value(seen, "poise_listener_http2_connections_total") == 2
    assert ended(poise) == 0


def test_an_attack_by_many_connections_is_told_of_once(attacked):
    poise, _ = attacked
    for _ in range(8):  # ten in a second are told of
        with http2.Client(poise.port) as client:
            client.send(frame(DATA, 0, 1, b"x"))
            client.expect_goaway(PROTOCOL_ERROR)
    with http2.Client(poise.port) as client:
        client.send(frame(PING, 0, 1, bytes(8)))
        client.expect_goaway(PROTOCOL_ERROR)
    told = lambda: [line for line in poise.output() if "was ended for what its client did" in line]
    eventually("both are told of", lambda: len(told()) == 2)
    assert told()[0].endswith('reason=idle_stream explanation="it sent a frame for a stream that was never opened"')
    assert " reason=bad_stream_id " in told()[1] and told()[1].endswith(" left_out=7")
    assert ended(poise, "idle_stream") == 8 and ended(poise, "bad_stream_id") == 1


def test_who_goes_silent_is_not_told_of(start):
    """Clients that lose their network are no news; a target that does is."""
    poise = start.proxy(start.origin(lambda conn: (conn.request(), conn.expect_end(Deadline(30)))), ping_interval="200ms")
    with http2.Client(poise.port) as client:
        client.request()
        client.acknowledges = False
        with contextlib.suppress(Ended, OSError):
            client.read_until(lambda: False, Deadline(20))
    assert ended(poise, "ping_timeout") == 1
    assert "was ended" not in poise.text()


@pytest.mark.parametrize("broken, metric", [
    (frame(DATA, 0, 9, b"x"), "poise_target_http2_connections_ended_total"),
    (frame(HEADERS, END_HEADERS | END_STREAM, 1, block([(":status", "200"), ("te", "x")])), "poise_target_http2_stream_faults_total"),
], ids=["connection", "stream"])
def test_faults_of_targets_are_counted(start, broken, metric):
    def handler(conn):
        conn.request()
        conn.send(broken)
        with contextlib.suppress(WireError):
            conn.expect_end(Deadline(20))
    poise = start.proxy(start.h2_origin(handler), group_version="http2")
    assert http2.get(poise.port).status == 502
    assert value(metrics(poise), metric) == 1
    if "connections" in metric:
        line = poise.wait_line(lambda line: "was ended for what its target did" in line, "a word about it")
        assert " group=pool target=127.0.0.1:" in line and " reason=idle_stream " in line
    else:
        assert "was ended" not in poise.text()


# Who is spared

def test_who_asks_a_lot_is_no_attacker(attacked):
    poise, origin = attacked
    with http2.Client(poise.port) as client:
        for round in range(40):
            held = [client.request() for _ in range(50)]
            for stream in held:
                assert client.response(stream).status == 200
        assert client.goaways == []


def test_who_gives_up_now_and_then_is_no_attacker(attacked):
    """A browser whose user leaves a page: many streams end at once, once in a while."""
    poise, origin = attacked
    with http2.Client(poise.port) as client:
        for _ in range(3):
            held = [client.request() for _ in range(60)]
            for stream in held[:30]:
                client.reset_stream(stream)
            for stream in held[30:]:
                assert client.response(stream).status == 200
        assert client.ask().status == 200 and client.goaways == []


def test_who_gives_back_every_piece_is_no_attacker(start):
    """Two WINDOW_UPDATE for each frame of DATA, as simple clients do, and a PING now and then."""
    poise = start.proxy(start.origin(lambda conn: conn.respond(body=bytes(8 << 20)) if conn.request() else None))
    with http2.Client(poise.port) as client:
        client.replenishes = False
        stream = client.request()
        client.head(stream)
        while not client.messages[stream].ended:
            found = client.read()
            if found.kind == DATA and found.payload:
                client.give_back(len(found.payload))
                client.give_back(len(found.payload), stream)
        client.owed.clear()
        for _ in range(20):
            client.ping()
        assert len(client.messages[stream].body) == 8 << 20 and client.goaways == []


def test_who_sends_small_pieces_is_no_attacker(attacked):
    poise, origin = attacked
    with http2.Client(poise.port) as client:
        stream = client.begin(method="POST")
        for _ in range(3000):
            client.data(stream, b"x")
        client.data(stream, b"", end=True)
        assert client.response(stream).status == 200 and client.goaways == []
    assert len(origin.requests[-1].body) == 3000


def test_priorities_of_old_clients_are_no_attack(attacked):
    poise, _ = attacked
    with http2.Client(poise.port) as client:
        for stream in range(3, 13, 2):
            client.frame(PRIORITY, 0, stream, bytes(5))
        for _ in range(100):
            client.frame(PRIORITY, 0, client.next, bytes(5))
            assert client.ask().status == 200
        assert client.goaways == []
