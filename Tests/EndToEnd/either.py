"""The same words for clients and targets of HTTP/1.1 and of HTTP/2, for tests that say the same about both."""
import client as http1
import http2
import origin as http1_origin
from client import Response
from deadline import Deadline

VERSIONS = ["http1", "http2"]


class Client:
    """One request at a time on one connection, whole or in pieces."""

    def __init__(self, version, where, **more):
        self.version = version
        self.raw = http1.Client(where, **more) if version == "http1" else http2.Client(where, **more)
        self.stream, self.method, self.chunked = None, None, False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.raw.close()

    def begin(self, path="/", method="GET", fields=(), length=None, end=False, trailers=False, host="shop.test"):
        """The head; what follows is `data` unless it is the end."""
        self.method = method
        fields = [*fields, *([("content-length", length)] if length is not None else [])]
        if self.version == "http2":
            self.stream = self.raw.begin(path, method, host, fields, end)
            return
        self.chunked = not end and length is None
        if self.chunked:
            fields.append(("Transfer-Encoding", "chunked"))
        self.raw.send(http1.request(path, method, host, fields))

    def data(self, body, end=False, trailers=None, deadline=None):
        if self.version == "http2":
            if body or (end and trailers is None):
                self.raw.data(self.stream, body, end and trailers is None, deadline)
            if trailers is not None:
                self.raw.headers(self.stream, trailers, end=True)
            return
        self.raw.send(b"%x\r\n%s\r\n" % (len(body), body) if self.chunked and body else body)
        if end and self.chunked:
            lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in trailers or ())
            self.raw.send(b"0\r\n" + lines + b"\r\n")

    def ask(self, path="/", method="GET", body=None, trailers=None, fields=(), length=True, **more):
        """A whole exchange; without `length` a body's size is not told beforehand."""
        alone = body is None and trailers is None
        self.begin(path, method, fields, len(body) if body is not None and length and trailers is None else None, alone, **more)
        if not alone:
            self.data(body or b"", True, trailers)
        return self.response()

    def response(self, deadline=None):
        if self.version == "http1":
            return self.raw.response(self.method, deadline)
        return self.raw.response(self.stream, deadline)

    def head(self, deadline=None) -> Response:
        """The head of the answer, interim ones before it skipped; its body is still to come."""
        if self.version == "http2":
            return self.raw.head(self.stream, deadline)
        while (head := self.raw.head(deadline)).status < 200:
            pass
        return head

    def abort(self):
        """Gives the request up."""
        self.raw.reset_stream(self.stream) if self.version == "http2" else self.raw.reset()


def start_origin(start, version, handler, **more):
    """A target whose handler gets `Exchanges`: the same calls for both versions."""
    if version == "http1":
        return start.origin(lambda conn: handler(Exchanges(conn)), **more)
    return start.h2_origin(lambda conn: handler(Exchanges(conn)), **more)


class Exchanges:
    """One connection to a target."""

    def __init__(self, conn):
        self.conn, self.version = conn, "http1" if isinstance(conn, http1_origin.Connection) else "http2"
        self.current = None

    def head(self, deadline=None):
        self.current = self.conn.head(deadline or Deadline(60))
        return self.current

    def finish(self, deadline=None):
        return self.conn.finish(self.current, deadline)

    def request(self, deadline=None):
        self.head(deadline)
        return self.finish(deadline)

    def interim(self, status, fields=()):
        if self.version == "http2":
            self.conn.begin(self.current, status, fields)
        else:
            self.conn.respond(status, fields, length=False, phrase="Interim")

    def begin(self, status=200, fields=(), length=None, end=False):
        """The head of an answer; without `length` its size is not told."""
        fields = [*fields, *([("content-length", length)] if length is not None else [])]
        if self.version == "http2":
            self.conn.begin(self.current, status, fields, end)
            return
        self.chunked = length is None and not end
        if self.chunked:
            fields.append(("Transfer-Encoding", "chunked"))
        self.conn.respond(status, fields, length=False)

    def data(self, body, end=False, trailers=None, deadline=None):
        if self.version == "http2":
            if body or (end and trailers is None):
                self.conn.data(self.current.stream, body, end and trailers is None, deadline)
            if trailers is not None:
                self.conn.headers(self.current.stream, trailers, end=True)
            return
        self.conn.sock.settimeout((deadline or Deadline()).left())
        self.conn.sock.sendall(b"%x\r\n%s\r\n" % (len(body), body) if self.chunked and body else body)
        if end and self.chunked:
            lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in trailers or ())
            self.conn.send(b"0\r\n" + lines + b"\r\n")

    def respond(self, status=200, fields=(), body=b"", trailers=None, length=True):
        self.begin(status, fields, len(body) if length and trailers is None else None)
        self.data(body, True, trailers)

    def break_off(self):
        """Ends the exchange in its middle, as this version does it."""
        if self.version == "http2":
            self.conn.reset_stream(self.current.stream, 2)
        else:
            self.conn.reset()

    def wait_given_up(self, deadline=None):
        """The other end gives the exchange up."""
        if self.version == "http2":
            return self.conn.wait_reset(self.current, deadline)
        return self.conn.expect_end(deadline)


def serve(conn, answer):
    """Answers requests until the peer leaves: `answer(conn, request)`."""
    while True:
        answer(conn, conn.request())
