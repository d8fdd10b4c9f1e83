"""PROXY headers, read and written without Poise: what its own are compared with."""
import dataclasses
import socket
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID, SSL, NETNS = 1, 2, 3, 4, 5, 0x20, 0x30
SSL_VERSION, SSL_CN, SSL_CIPHER, SSL_SIG_ALG, SSL_KEY_ALG = range(0x21, 0x26)


@dataclasses.dataclass
class Preamble:
    version: int
    # "PROXY", or "LOCAL"; "UNKNOWN" of version 1.
    command: str
    source: tuple | None = None
    destination: tuple | None = None
    # Version 2: what the byte of family and transport says.
    family: int = 0
    fields: list = dataclasses.field(default_factory=list)
    raw: bytes = b""

    def field(self, kind):
        """The value of a field that must not come twice; None when it is absent."""
        found = [value for k, value in self.fields if k == kind]
        assert len(found) <= 1, self.fields
        return found[0] if found else None

    @property
    def ssl(self):
        """(flags, verify, {sub-type: value})"""
        value = self.field(SSL)
        return value and (value[0], struct.unpack("!I", value[1:5])[0], dict(fields(value[5:])))


def fields(data):
    """[(type, value)]; they must fill `data` exactly."""
    found = []
    while data:
        kind, size = struct.unpack("!BH", data[:3])
        assert len(data) >= 3 + size, data
        found.append((kind, data[3:3 + size]))
        data = data[3 + size:]
    return found


def field(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def crc32c(data):
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def read(exactly):
    """One header, by a function that returns exactly so many bytes: not one more is read."""
    raw = exactly(13)
    if not raw.startswith(SIGNATURE):
        assert raw.startswith(b"PROXY "), raw
        while not raw.endswith(b"\r\n"):
            raw += exactly(1)
            assert len(raw) <= 107, raw
        words = raw[:-2].decode("ascii").split(" ")
        if words[1] == "UNKNOWN":
            return Preamble(1, "UNKNOWN", raw=raw)
        _, kind, source, destination, source_port, destination_port = words
        for address in (source, destination):
            socket.inet_pton({"TCP4": socket.AF_INET, "TCP6": socket.AF_INET6}[kind], address)
        return Preamble(1, "PROXY", (source, int(source_port)), (destination, int(destination_port)), raw=raw)
    raw += exactly(3)
    command, family, size = struct.unpack("!BBH", raw[12:16])
    assert command >> 4 == 2 and command & 15 <= 1, command
    block = exactly(size)
    raw += block
    found = Preamble(2, "PROXY" if command & 15 else "LOCAL", family=family, raw=raw)
    width = {0: 0, 1: 4, 2: 16, 3: 108}[family >> 4]
    if width in (4, 16):
        kind = socket.AF_INET if width == 4 else socket.AF_INET6
        ports = struct.unpack("!HH", block[2 * width:2 * width + 4])
        found.source, found.destination = [
            (socket.inet_ntop(kind, block[n * width:(n + 1) * width]), ports[n]) for n in (0, 1)]
    elif width:
        found.source, found.destination = [block[n * width:(n + 1) * width].rstrip(b"\0").decode() for n in (0, 1)]
    found.fields = fields(block[2 * width + (4 if width in (4, 16) else 0):])
    if (stated := found.field(CRC32C)) is not None:
        at = raw.rindex(field(CRC32C, stated)) + 3
        assert crc32c(raw[:at] + bytes(4) + raw[at + 4:]) == struct.unpack("!I", stated)[0], "CRC32C"
    return found


def v2(more=b"", command=1, source=("192.0.2.7", 4711), destination=("198.51.100.1", 443), checksum=False):
    """A header of version 2 over IPv4, with `more` behind its addresses."""
    block = b"".join(socket.inet_aton(a) for a, _ in (source, destination))
    block += struct.pack("!HH", source[1], destination[1]) + more
    size = len(block) + (7 if checksum else 0)
    raw = SIGNATURE + bytes([0x20 | command, 0x11]) + struct.pack("!H", size) + block
    if checksum:
        raw += field(CRC32C, struct.pack("!I", crc32c(raw + field(CRC32C, bytes(4)))))
    return raw
