"""A strict reader of HTTP/1.1 messages, shared by the test client and the test origin.

It accepts the grammar of RFC 9110 and RFC 9112 as a sender must write it, and nothing of what a recipient may forgive.
"""
import contextlib
import errno
import re
import socket
import ssl

from deadline import Deadline

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?\Z")
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2}) ([\t \x21-\x7e\x80-\xff]*)\Z")
REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/1\.([01])\Z")


class WireError(AssertionError):
    """The peer broke the protocol."""


class Ended(Exception):
    """The peer ended the connection where a message was expected.

    `how` is "fin" or "reset"; with TLS "fin" comes with a close_notify, and "cut" is an end without one.
    """

    def __init__(self, how, got=b""):
        super().__init__(f"connection ended by {how} after {len(got)} bytes: {got[:200]!r}")
        self.how, self.got = how, got


class Fields(list):
    """Header or trailer fields in order: (name, value) as bytes."""

    def all(self, name):
        return [v.decode("latin-1") for n, v in self if n.lower() == name.lower().encode()]

    def get(self, name):
        """The value of a field that must not come twice; None when it is absent."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def tokens(self, name):
        """The elements of a list field, lower case."""
        return [t.strip().lower() for v in self.all(name) for t in v.split(",") if t.strip()]

    def __contains__(self, name):
        return bool(self.all(name)) if isinstance(name, str) else super().__contains__(name)


class Stream:
    """A connected socket with a read buffer; every wait has a deadline."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        # All bytes that ever arrived: what a test about leaks looks at.
        self.seen = bytearray()

    def fill(self, deadline):
        """Reads once more. Raises Ended at the end, TimeoutError at the deadline."""
        self.sock.settimeout(max(0.001, deadline.left()))
        try:
            data = self.sock.recv(262144)
        except ConnectionError as error:
            raise Ended("reset", self.buffer) from error
        except ssl.SSLEOFError as error:
            raise Ended("cut", self.buffer) from error
        if not data:
            raise Ended("fin", self.buffer)
        self.buffer += data
        if len(self.seen) < 1 << 20:
            self.seen += data

    def exactly(self, count, deadline=None):
        deadline = deadline or Deadline()
        # Joined once: a body of many MiB that grows by each read keeps the other threads of the test from running.
        whole = bytearray()
        while len(whole) + len(self.buffer) < count:
            whole += self.buffer
            self.buffer = b""
            try:
                self.fill(deadline)
            except Ended as ended:
                raise Ended(ended.how, bytes(whole)) from ended
        left = count - len(whole)
        data, self.buffer = bytes(whole) + self.buffer[:left], self.buffer[left:]
        return data

    def until(self, mark, deadline=None, limit=1 << 20):
        deadline = deadline or Deadline()
        start = 0
        while (at := self.buffer.find(mark, start)) < 0:
            if len(self.buffer) > limit:
                raise WireError(f"no {mark!r} within {limit} bytes")
            start = max(0, len(self.buffer) - len(mark))
            self.fill(deadline)
        data, self.buffer = self.buffer[: at + len(mark)], self.buffer[at + len(mark):]
        return data

    def line(self, deadline=None):
        line = self.until(b"\r\n", deadline)[:-2]
        if b"\r" in line or b"\n" in line:
            raise WireError(f"bare CR or LF in {line!r}")
        return line

    def fields(self, deadline=None):
        """Field lines up to the empty line."""
        found = Fields()
        while line := self.line(deadline):
            name, colon, value = line.partition(b":")
            value = value.strip(b" \t")
            if not colon or not TOKEN.match(name) or not VALUE.match(value):
                raise WireError(f"not a field line: {line!r}")
            found.append((name, value))
        return found

    def chunk(self, deadline=None):
        """One chunk's data; None for the last chunk (its trailers are still to be read)."""
        line = self.line(deadline)
        if not re.fullmatch(rb"[0-9A-Fa-f]+", line):
            raise WireError(f"not a bare chunk size (extensions are dropped on the way): {line!r}")
        size = int(line, 16)
        if size == 0:
            return None
        data = self.exactly(size, deadline)
        if self.exactly(2, deadline) != b"\r\n":
            raise WireError("no CRLF after a chunk")
        return data

    def chunked(self, deadline=None):
        """(body, trailers, sizes of the chunks)"""
        body, sizes = bytearray(), []
        while (data := self.chunk(deadline)) is not None:
            body += data
            sizes.append(len(data))
        return bytes(body), self.fields(deadline), sizes

    def to_end(self, deadline=None):
        """Everything until FIN. Raises Ended("reset") on a reset."""
        deadline = deadline or Deadline()
        try:
            while True:
                self.fill(deadline)
        except Ended as end:
            if end.how != "fin":
                raise
        data, self.buffer = self.buffer, b""
        return data

    def expect_end(self, deadline=None):
        """The peer ends the connection, and sends nothing more before it. Returns "fin" or "reset"."""
        try:
            self.fill(deadline or Deadline())
        except Ended as end:
            if end.got:
                raise WireError(f"bytes before the end: {end.got[:300]!r}") from end
            return end.how
        raise WireError(f"bytes instead of the end: {self.buffer[:300]!r}")

    def expect_silence(self, seconds):
        """Nothing arrives, and the connection does not end, for this long."""
        if self.buffer:
            raise WireError(f"bytes instead of silence: {self.buffer[:300]!r}")
        try:
            self.fill(Deadline(seconds))
        except TimeoutError:
            return
        raise WireError(f"bytes instead of silence: {self.buffer[:300]!r}")

    def send(self, data):
        self.sock.settimeout(Deadline().left())
        self.sock.sendall(data)

    def half_close(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise
            # The peer has reset the connection meanwhile.
            raise Ended("reset", self.buffer) from error

    def reset(self):
        """Ends with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.sock.close()

    def close(self):
        """Ends with FIN; with TLS a close_notify goes before it."""
        if isinstance(self.sock, ssl.SSLSocket):
            # Without waiting for the peer's own.
            with contextlib.suppress(OSError, ValueError):
                self.sock.settimeout(0)
                self.sock.unwrap()
        self.sock.close()

    def cut(self):
        """Ends with FIN and, with TLS, without a close_notify."""
        self.sock.close()


def content_length(fields):
    """The one valid Content-Length; None when absent."""
    value = fields.get("Content-Length")
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]+", value):
        raise WireError(f"Content-Length: {value!r}")
    if "Transfer-Encoding" in fields:
        raise WireError("Content-Length together with Transfer-Encoding")
    return int(value)


def is_chunked(fields):
    value = fields.get("Transfer-Encoding")
    if value is None:
        return False
    if value.lower() != "chunked":
        raise WireError(f"Transfer-Encoding: {value!r}")
    return True
