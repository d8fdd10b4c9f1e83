"""Frames of HTTP/2 (RFC 9113) and field blocks (RFC 7541) as bytes, also those that no peer should send."""
import dataclasses
import struct

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 1, 1, 4, 8, 32
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR,
 REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY,
 HTTP_1_1_REQUIRED) = range(14)
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)
WINDOW = 65_535
CONNECTION_SPECIFIC = {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}


@dataclasses.dataclass
class Frame:
    kind: int
    flags: int
    stream: int
    payload: bytes

    def has(self, flag):
        return bool(self.flags & flag)


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """A frame's bytes; `length` may lie."""
    return struct.pack(">I", len(payload) if length is None else length)[1:] + bytes((kind, flags)) + struct.pack(
        ">I", stream) + payload


def code(number):
    return struct.pack(">I", number)


def settings(values=(), flags=0):
    """A SETTINGS frame of {identifier: value} or pairs, which may repeat."""
    pairs = values.items() if isinstance(values, dict) else values
    return frame(SETTINGS, flags, 0, b"".join(struct.pack(">HI", key, value) for key, value in pairs))


def fields_of(list_):
    """[(name, value)] of str or bytes, as bytes."""
    return [tuple(v if isinstance(v, bytes) else str(v).encode("latin-1") for v in pair[:2]) for pair in list_]


def block(list_):
    """A field block that needs no dynamic table and no Huffman code, whatever the fields hold. RFC 7541 6.2.2"""
    def text(data):
        return hpack.hpack.encode_integer(len(data), 7) + data
    return b"".join(b"\0" + text(name) + text(value) for name, value in fields_of(list_))


def head_of(path="/", method="GET", host="shop.test", scheme="http", fields=()):
    """The fields of a request's head; None leaves a pseudo-header out."""
    pseudo = [(":method", method), (":scheme", scheme), (":authority", host), (":path", path)]
    return [(name, value) for name, value in pseudo if value is not None] + list(fields)
