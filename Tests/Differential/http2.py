"""Compares HPACK and the frame rules of the HTTP/2 machine with Debian's nghttp2, over a generated corpus.

HPACK: blocks that nghttp2 makes, as they are and with changed bytes, say the same to both decoders, or nothing; blocks
that Poise makes say to nghttp2 what was put in.

Frames: a client's valid conversation is read alike by both servers. One with a fault (a frame that is wrong, in a random
place) is answered with the same kind of error and the same code. Differences that are known and harmless are named in
`excused`, with the reason.

No port is used: nghttp2 is the library, called in this process.
"""

import argparse
import collections
import ctypes
import ctypes.util
import random
import subprocess
import sys

lib = ctypes.CDLL(ctypes.util.find_library("nghttp2") or "libnghttp2.so.14")


class NV(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.POINTER(ctypes.c_uint8)),
        ("value", ctypes.POINTER(ctypes.c_uint8)),
        ("namelen", ctypes.c_size_t),
        ("valuelen", ctypes.c_size_t),
        ("flags", ctypes.c_uint8),
    ]


class SettingsEntry(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int32), ("value", ctypes.c_uint32)]


class FrameHead(ctypes.Structure):
    _fields_ = [
        ("length", ctypes.c_size_t),
        ("stream", ctypes.c_int32),
        ("type", ctypes.c_uint8),
        ("flags", ctypes.c_uint8),
        ("reserved", ctypes.c_uint8),
    ]


lib.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t
lib.nghttp2_hd_inflate_hd2.argtypes = [
    ctypes.c_void_p, ctypes.POINTER(NV), ctypes.POINTER(ctypes.c_int), ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int,
]
lib.nghttp2_hd_deflate_hd.restype = ctypes.c_ssize_t
lib.nghttp2_hd_deflate_hd.argtypes = [
    ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(NV), ctypes.c_size_t,
]
lib.nghttp2_session_mem_recv.restype = ctypes.c_ssize_t
lib.nghttp2_session_mem_recv.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
lib.nghttp2_session_mem_send.restype = ctypes.c_ssize_t
lib.nghttp2_session_mem_send.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.POINTER(ctypes.c_uint8))]
lib.nghttp2_submit_settings.argtypes = [
    ctypes.c_void_p, ctypes.c_uint8, ctypes.POINTER(SettingsEntry), ctypes.c_size_t,
]


class Inflater:
    def __init__(self):
        self.handle = ctypes.c_void_p()
        assert lib.nghttp2_hd_inflate_new(ctypes.byref(self.handle)) == 0

    def fields(self, block):
        """The fields of a block; None where it is broken."""
        result, nv, flags = [], NV(), ctypes.c_int()
        while True:
            used = lib.nghttp2_hd_inflate_hd2(
                self.handle, ctypes.byref(nv), ctypes.byref(flags), block, len(block), 1
            )
            if used < 0:
                return None
            block = block[used:]
            if flags.value & 2:
                result.append((bytes(nv.name[: nv.namelen]), bytes(nv.value[: nv.valuelen])))
            if flags.value & 1:
                lib.nghttp2_hd_inflate_end_headers(self.handle)
                return result
            if not flags.value & 2 and not block:
                return None

    def __del__(self):
        lib.nghttp2_hd_inflate_del(self.handle)


class Deflater:
    def __init__(self):
        self.handle = ctypes.c_void_p()
        assert lib.nghttp2_hd_deflate_new(ctypes.byref(self.handle), 4096) == 0

    def resize(self, size):
        assert lib.nghttp2_hd_deflate_change_table_size(self.handle, size) == 0

    def block(self, fields, rng):
        array = (NV * len(fields))()
        kept = []
        for entry, (name, value) in zip(array, fields):
            for text, pointer, length in ((name, "name", "namelen"), (value, "value", "valuelen")):
                copy = (ctypes.c_uint8 * max(1, len(text))).from_buffer_copy(text or b"\0")
                kept.append(copy)
                setattr(entry, pointer, ctypes.cast(copy, ctypes.POINTER(ctypes.c_uint8)))
                setattr(entry, length, len(text))
            entry.flags = rng.random() < 0.1
        output = ctypes.create_string_buffer(65536)
        size = lib.nghttp2_hd_deflate_hd(self.handle, output, 65536, array, len(fields))
        assert size >= 0
        return output.raw[:size]

    def __del__(self):
        lib.nghttp2_hd_deflate_del(self.handle)


class Server:
    """A server session of nghttp2: what it reads as heads, and what it sends that says no."""

    HEADER = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(FrameHead), ctypes.POINTER(ctypes.c_uint8), ctypes.c_size_t,
        ctypes.POINTER(ctypes.c_uint8), ctypes.c_size_t, ctypes.c_uint8, ctypes.c_void_p,
    )
    FRAME = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(FrameHead), ctypes.c_void_p)

    def __init__(self):
        self.heads = []
        self.pending = collections.defaultdict(list)
        callbacks = ctypes.c_void_p()
        assert lib.nghttp2_session_callbacks_new(ctypes.byref(callbacks)) == 0

        def on_header(_, frame, name, name_count, value, value_count, flags, data):
            self.pending[frame[0].stream].append((bytes(name[:name_count]), bytes(value[:value_count])))
            return 0

        def on_frame(_, frame, data):
            if frame[0].type == 1:
                self.heads.append((frame[0].stream, self.pending.pop(frame[0].stream, [])))
            return 0

        self.keep = (self.HEADER(on_header), self.FRAME(on_frame))
        lib.nghttp2_session_callbacks_set_on_header_callback(callbacks, self.keep[0])
        lib.nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, self.keep[1])
        self.handle = ctypes.c_void_p()
        assert lib.nghttp2_session_server_new(ctypes.byref(self.handle), callbacks, None) == 0
        lib.nghttp2_session_callbacks_del(callbacks)
        entries = (SettingsEntry * 1)(SettingsEntry(3, 100))
        assert lib.nghttp2_submit_settings(self.handle, 0, entries, 1) == 0

    def send(self):
        result = b""
        while True:
            data = ctypes.POINTER(ctypes.c_uint8)()
            count = lib.nghttp2_session_mem_send(self.handle, ctypes.byref(data))
            if count <= 0:
                return result
            result += bytes(data[:count])

    def read(self, data):
        """Frame by frame, as answers come in between; the refusals in order."""
        sent = self.send()
        data = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + data
        lib.nghttp2_session_mem_recv(self.handle, data[:24], 24)
        rest = data[24:]
        while rest:
            count = min(len(rest), 9 + int.from_bytes(rest[:3], "big"))
            if lib.nghttp2_session_mem_recv(self.handle, rest[:count], count) < 0:
                break
            rest = rest[count:]
            sent += self.send()
        sent += self.send()
        refusals = []
        while len(sent) >= 9:
            count = int.from_bytes(sent[:3], "big")
            stream, payload = int.from_bytes(sent[5:9], "big"), sent[9 : 9 + count]
            if sent[3] == 3:
                refusals.append(("reset", stream, int.from_bytes(payload, "big")))
            if sent[3] == 7:
                refusals.append(("closed", int.from_bytes(payload[4:8], "big")))
            sent = sent[9 + count :]
        return refusals

    def __del__(self):
        lib.nghttp2_session_del(self.handle)


def poise(driver, mode, lines):
    output = subprocess.run([driver, mode], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    return [line.split("\t") if line else [] for line in output.stdout.split("\n")][: len(lines)]


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


SETTINGS = frame(4, 0, 0)


def head_fields(rng, method=None):
    method = method or rng.choice([b"GET", b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"PATCH"])
    fields = [
        (b":method", method),
        (b":scheme", rng.choice([b"http", b"https"])),
        (b":path", rng.choice([b"/", b"/index.html", b"/a/b?c=d", b"/%41~;x=(1)", b"/" + b"p" * rng.randrange(300)])),
        (b":authority", rng.choice([b"a.test", b"b.test:8080", b"[::1]:1", b"127.0.0.1"])),
    ]
    rng.shuffle(fields)
    for _ in range(rng.randrange(8)):
        name = rng.choice(
            [b"accept", b"cookie", b"user-agent", b"x-a", b"x_b", b"x-%d" % rng.randrange(40), b"authorization",
             b"accept-encoding", b"referer", b"a" * rng.randrange(1, 150)]
        )
        value = rng.choice(
            [b"", b"1", b"a, b", bytes(rng.choice(b"abc ABC019-~{}\xe9\xff") for _ in range(rng.randrange(90))).strip(),
             b"gzip, deflate", b"v%d" % rng.randrange(5), b"x" * rng.randrange(400)]
        )
        fields.append((name, value))
    return fields


def as_text(fields):
    """The HTTP/1.1 head that Poise makes of fields."""
    values = dict(fields[::-1])
    text = b"%s %s HTTP/1.1\r\nHost: %s\r\n" % (values[b":method"], values[b":path"], values[b":authority"])
    crumbs = []
    for name, value in fields:
        if name == b"cookie":
            crumbs += [value] if value else []
        elif not name.startswith(b":"):
            text += name + b": " + value + b"\r\n"
    if crumbs:
        text += b"cookie: " + b"; ".join(crumbs) + b"\r\n"
    return text + b"\r\n"


def check_blocks(rng, count, driver, problem, tally):
    """nghttp2's blocks, ten to a connection, the last one with changed bytes in half of the cases."""
    cases = []
    for _ in range(count):
        deflater, blocks, expected = Deflater(), [], []
        for _ in range(rng.randrange(1, 8)):
            if rng.random() < 0.1:
                deflater.resize(rng.choice([0, 100, 500, 4096]))
            fields = head_fields(rng)
            blocks.append(deflater.block(fields, rng))
            expected.append(fields)
        if rng.random() < 0.5:
            last = bytearray(blocks[-1])
            for _ in range(rng.randrange(1, 4)):
                change = rng.randrange(3)
                if change == 0 or not last:
                    last.insert(rng.randrange(len(last) + 1), rng.choice([0, 0x20, 0x3F, 0x40, 0x7F, 0x80, 0xBE, 0xFF]))
                elif change == 1:
                    last[rng.randrange(len(last))] = rng.randrange(256)
                else:
                    del last[rng.randrange(len(last))]
            blocks[-1], expected[-1] = bytes(last), None
        cases.append((blocks, expected))
    lines = [
        (SETTINGS + b"".join(frame(1, 5, 2 * i + 1, block) for i, block in enumerate(blocks))).hex()
        for blocks, _ in cases
    ]
    for (blocks, expected), ours in zip(cases, poise(driver, "h2-read", lines)):
        inflater = Inflater()
        theirs = [inflater.fields(block) for block in blocks]
        heads = {int(part.split(" ")[1]): bytes.fromhex(part.split(" ")[3]) for part in ours if part.startswith("head")}
        is_broken = "closed 9" in ours
        for index, fields in enumerate(expected):
            stream = 2 * index + 1
            if fields is not None:
                tally["blocks"] += 1
                if theirs[index] != fields or heads.get(stream) != as_text(fields):
                    problem(f"block {blocks[index].hex()}: {heads.get(stream)!r}, wanted {as_text(fields)!r}")
            elif (theirs[index] is None) != is_broken:
                problem(f"changed block after {index}: ours {ours[-1:]}, nghttp2 {theirs[index]}: {blocks[-1].hex()}")
            elif is_broken:
                tally["broken by both"] += 1
            elif stream in heads:
                # What Poise took is a head, so both see the same fields.
                tally["changed, still a head"] += 1
                lines = [line for line in heads[stream].split(b"\r\n")[1:] if not line.lower().startswith((b"host", b"cookie"))]
                wanted = [n + b": " + v for n, v in theirs[index] if not n.startswith(b":") and n not in (b"host", b"cookie")]
                if lines[:-2] != wanted:
                    problem(f"changed block: {lines}, nghttp2 {wanted}")
            else:
                tally["changed, malformed"] += 1


def check_encoder(rng, count, driver, problem, tally):
    cases = []
    for _ in range(count):
        pool = [head_fields(rng) for _ in range(3)]
        heads = [rng.choice(pool) if rng.random() < 0.7 else head_fields(rng) for _ in range(rng.randrange(1, 12))]
        cases.append(heads)
    lines = [" ".join(as_text(fields).hex() for fields in heads) for heads in cases]
    for heads, blocks in zip(cases, poise(driver, "h2-write", lines)):
        inflater = Inflater()
        for fields, block in zip(heads, blocks):
            read = inflater.fields(bytes.fromhex(block)) if block != "refused" else None
            values = dict(fields[::-1])
            text = as_text(fields).split(b"\r\n")[2:-2]
            wanted = [(b":method", values[b":method"]), (b":scheme", b"http"), (b":path", values[b":path"]),
                      (b":authority", values[b":authority"])]
            wanted += [tuple(line.split(b": ", 1)) for line in text]
            tally["own blocks"] += 1
            if read != wanted:
                problem(f"own block {block}: nghttp2 reads {read}, wanted {wanted}")


# Frames


def plain(fields):
    """A block that needs no table."""
    return b"".join(bytes([0, len(name)]) + name + bytes([len(value)]) + value for name, value in fields)


GET = plain([(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a")])
POST = plain([(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a")])


def conversation(rng):
    """A valid one: frames with what each leaves open."""
    frames, stream, open_streams = [SETTINGS, frame(4, 1, 0)], 1, []
    for _ in range(rng.randrange(1, 14)):
        choice = rng.randrange(10)
        if choice < 3 or not open_streams:
            has_body = rng.random() < 0.6
            block = POST if has_body else GET
            flags = 0 if has_body else 1
            if rng.random() < 0.3:
                cuts = sorted(rng.randrange(len(block) + 1) for _ in range(2))
                frames.append(
                    frame(1, flags, stream, block[: cuts[0]]) + frame(9, 0, stream, block[cuts[0] : cuts[1]])
                    + frame(9, 4, stream, block[cuts[1] :])
                )
            elif rng.random() < 0.3:
                padding = rng.randrange(20)
                frames.append(frame(1, flags | 12, stream, bytes([padding]) + block + bytes(padding)))
            else:
                frames.append(frame(1, flags | 4, stream, block))
            if has_body:
                open_streams.append(stream)
            stream += 2
        elif choice < 6:
            which = rng.choice(open_streams)
            ends = rng.random() < 0.4
            data = bytes(rng.randrange(1, 300))
            if rng.random() < 0.3:
                padding = rng.randrange(9)
                frames.append(frame(0, 8 | ends, which, bytes([padding]) + data + bytes(padding)))
            else:
                frames.append(frame(0, ends, which, data))
            if ends:
                open_streams.remove(which)
        elif choice == 6:
            frames.append(frame(6, 0, 0, bytes(8)))
        elif choice == 7:
            frames.append(frame(8, 0, rng.choice([0] + open_streams), rng.randrange(1, 1000).to_bytes(4, "big")))
        elif choice == 8:
            which = rng.choice(open_streams)
            frames.append(frame(1, 5, which, plain([(b"x-sum", b"1")])))
            open_streams.remove(which)
        else:
            frames.append(frame(4, 0, 0, b"".join(rng.sample(
                [b"\0\1\0\0\1\0", b"\0\3\0\0\0\5", b"\0\4\0\0\7\0", b"\0\5\0\0\x40\0", b"\0\6\0\0\x40\0"], 2))))
    return frames, open_streams, stream


def faults(open_streams, stream):
    """Frames that are wrong after a valid conversation: a name, the bytes."""
    some = open_streams[0] if open_streams else None
    rows = [
        ("DATA on 0", frame(0, 0, 0, b"x")),
        ("HEADERS on 0", frame(1, 5, 0, GET)),
        ("HEADERS on an even stream", frame(1, 5, 2, GET)),
        ("DATA on idle", frame(0, 0, stream + 20, b"x")),
        ("RST_STREAM on idle", frame(3, 0, stream + 20, bytes(4))),
        ("RST_STREAM on 0", frame(3, 0, 0, bytes(4))),
        ("RST_STREAM of 3 bytes", frame(3, 0, 1, bytes(3))),
        ("SETTINGS on a stream", frame(4, 0, 1)),
        ("SETTINGS of 5 bytes", frame(4, 0, 0, bytes(5))),
        ("SETTINGS ACK with bytes", frame(4, 1, 0, bytes(6))),
        ("ENABLE_PUSH 2", frame(4, 0, 0, b"\0\2\0\0\0\2")),
        ("INITIAL_WINDOW_SIZE 2^31", frame(4, 0, 0, b"\0\4\x80\0\0\0")),
        ("MAX_FRAME_SIZE 1", frame(4, 0, 0, b"\0\5\0\0\0\1")),
        ("PUSH_PROMISE", frame(5, 4, 1, b"\0\0\0\2" + GET)),
        ("PING on a stream", frame(6, 0, 1, bytes(8))),
        ("PING of 7 bytes", frame(6, 0, 0, bytes(7))),
        ("GOAWAY on a stream", frame(7, 0, 1, bytes(8))),
        ("WINDOW_UPDATE of 3 bytes", frame(8, 0, 0, bytes(3))),
        ("WINDOW_UPDATE of 0", frame(8, 0, 0, bytes(4))),
        ("WINDOW_UPDATE overflow", frame(8, 0, 0, b"\x7f\xff\xff\xff")),
        ("WINDOW_UPDATE on idle", frame(8, 0, stream + 20, b"\0\0\0\1")),
        ("CONTINUATION alone", frame(9, 4, 1, b"")),
        ("PING inside of a block", frame(1, 1, stream, GET[:5]) + frame(6, 0, 0, bytes(8))),
        ("CONTINUATION of another", frame(1, 1, stream, GET[:5]) + frame(9, 4, stream + 2, GET[5:])),
        ("frame too large", frame(0, 0, stream, bytes(16385))),
        ("HEADERS with too much padding", frame(1, 13, stream, bytes([255]) + GET)),
        ("broken block", frame(1, 5, stream, b"\x80")),
    ]
    names = [
        ("no method", [(b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a")]),
        ("no path", [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a")]),
        ("two paths", [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":path", b"/"), (b":authority", b"a")]),
        ("unknown pseudo", [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":x", b"y")]),
        ("pseudo behind", [(b":method", b"GET"), (b"x", b"y"), (b":scheme", b"http"), (b":path", b"/")]),
        ("status", [(b":status", b"200")]),
    ]
    base = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a")]
    for name, value in [
        (b"Upper", b"x"), (b"connection", b"close"), (b"keep-alive", b"1"), (b"proxy-connection", b"x"),
        (b"transfer-encoding", b"chunked"), (b"upgrade", b"x"), (b"te", b"gzip"), (b"content-length", b"x"),
        (b"x", b"a\nb"), (b"x", b"a\0b"), (b"a b", b"c"), (b"content-length", b"3"),
    ]:
        names.append((f"field {name!r} {value!r}", base + [(name, value)]))
    rows += [("head: " + name, frame(1, 5, stream, plain(fields))) for name, fields in names]
    if some:
        rows += [
            ("WINDOW_UPDATE of 0 on a stream", frame(8, 0, some, bytes(4))),
            ("WINDOW_UPDATE overflow on a stream", frame(8, 0, some, b"\x7f\xff\xff\xff")),
            ("padding as long as DATA", frame(0, 8, some, b"\2\1")),
            ("trailers without end", frame(1, 4, some, plain([(b"x", b"y")]))),
            ("pseudo in trailers", frame(1, 5, some, plain([(b":path", b"/")]))),
            ("DATA behind the end", frame(0, 1, some, b"x") + frame(0, 1, some, b"x")),
            ("HEADERS behind the end", frame(0, 1, some, b"x") + frame(1, 5, some, plain([(b"x", b"y")]))),
            ("DATA behind RST_STREAM", frame(3, 0, some, bytes(4)) + frame(0, 0, some, b"x")),
        ]
    return rows


# Where RFC 9113 has an error of the stream, and nghttp2 ends the connection with the same code, as §5.4.2 lets it.
excused = {
    "WINDOW_UPDATE of 0 on a stream": "a stream error in §6.9",
    "DATA behind the end": "a stream error in §5.1 (half-closed) and §6.1",
    "HEADERS behind the end": "a stream error in §5.1 (half-closed)",
    "DATA behind RST_STREAM": "a stream error in §6.1",
}


def check_frames(rng, count, driver, problem, tally):
    cases = []
    for _ in range(count):
        frames, open_streams, stream = conversation(rng)
        name, fault = None, b""
        if rng.random() < 0.7:
            name, fault = rng.choice(faults(open_streams, stream))
        cases.append((name, b"".join(frames) + fault))
    excuses = collections.Counter()
    for (name, data), parts in zip(cases, poise(driver, "h2-read", [data.hex() for _, data in cases])):
        server = Server()
        theirs = server.read(data)
        ours = []
        for part in parts:
            words = part.split(" ")
            if words[0] in ("reset", "closed"):
                ours.append((words[0], *map(int, words[1:])))
        our_heads = sum(part.startswith(("head", "trailers")) for part in parts)
        if name is None:
            tally["conversations"] += 1
            if ours or theirs or our_heads != len(server.heads):
                problem(f"valid: ours {ours} {our_heads} heads, nghttp2 {theirs} {len(server.heads)}: {data.hex()}")
            continue
        tally["faults"] += 1
        if not ours:
            problem(f"{name}: nobody minds here, nghttp2 {theirs}: {data.hex()}")
        elif ours != theirs:
            reason = excused.get(name)
            if reason and [(kind, code) for kind, *_, code in ours + theirs] == [
                ("reset", theirs[-1][-1]), ("closed", theirs[-1][-1])
            ]:
                excuses[f"{name}: {reason}"] += 1
            else:
                problem(f"{name}: ours {ours}, nghttp2 {theirs}: {data.hex()}")
    return excuses


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--driver", required=True, help="the built codec-driver")
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments.add_argument("--count", type=int, default=1500)
    options = arguments.parse_args()
    print(f"seed {options.seed}, {options.count} connections of each kind")
    rng = random.Random(options.seed)
    problems, tally = [], collections.Counter()
    check_blocks(rng, options.count, options.driver, problems.append, tally)
    check_encoder(rng, options.count, options.driver, problems.append, tally)
    excuses = check_frames(rng, options.count, options.driver, problems.append, tally)
    print(", ".join(f"{key} {value}" for key, value in sorted(tally.items())))
    for reason, number in sorted(excuses.items()):
        print(f"excused {number} times: {reason}")
    for text in problems[:20]:
        print(text[:1500])
    print(f"{len(problems)} problems; --seed {options.seed} makes the same again")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
