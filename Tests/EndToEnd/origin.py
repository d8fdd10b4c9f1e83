"""A target whose behaviour a test scripts, connection by connection.

    def handler(conn):            # runs in a thread of its own for each connection that Poise makes
        first = conn.request()
        conn.respond(body=b"hello")
        conn.expect_end()

    origin = Origin(handler)      # or no handler: `answer`, which tells what it received until the peer leaves
"""
import dataclasses
import errno
import json
import os
import socket
import ssl
import threading
import traceback

from deadline import Deadline
from wire import REQUEST_LINE, Ended, Fields, Stream, WireError, content_length, is_chunked


@dataclasses.dataclass
class Request:
    method: str
    target: str
    minor: int
    fields: Fields
    # The head exactly as it arrived.
    raw: bytes
    body: bytes = b""
    trailers: Fields = dataclasses.field(default_factory=Fields)
    chunks: list | None = None
    # Whether the body has arrived whole.
    complete: bool = False

    def get(self, name):
        return self.fields.get(name)


class Connection(Stream):
    """One connection that Poise made. Requests are noted as soon as their head is whole."""

    def __init__(self, origin, sock, number):
        super().__init__(sock)
        self.origin, self.number = origin, number
        self.requests = []
        # How the connection ended, once its handler has returned: "fin", "reset", "cut" (see wire.py), "handshake" or
        # "handler".
        self.how = None
        # Whether TLS resumed a session; None without TLS. Told here: a socket that is closed knows no more.
        self.resumed = None
        self.over = threading.Event()

    def head(self, deadline=None):
        """The next request's head; its body is still to be read."""
        raw = self.until(b"\r\n\r\n", deadline)
        scratch = Stream(None)
        scratch.buffer = raw
        line = scratch.line()
        match = REQUEST_LINE.match(line)
        if not match:
            raise WireError(f"not a request line: {line!r}")
        fields = scratch.fields()
        request = Request(match[1].decode(), match[2].decode(), int(match[3]), fields, raw)
        if len(fields.all("Host")) != 1:
            raise WireError(f"a request without exactly one Host: {raw!r}")
        content_length(fields), is_chunked(fields)
        with self.origin.changed:
            self.requests.append(request)
            self.origin.changed.notify_all()
        return request

    def finish(self, request, deadline=None):
        """Reads the body that belongs to `request`."""
        length = content_length(request.fields)
        if is_chunked(request.fields):
            request.body, request.trailers, request.chunks = self.chunked(deadline)
        elif length:
            request.body = self.exactly(length, deadline)
        with self.origin.changed:
            request.complete = True
            self.origin.changed.notify_all()
        return request

    def request(self, deadline=None):
        return self.finish(self.head(deadline), deadline)

    def respond(self, status=200, fields=(), body=b"", phrase="OK", version="1.1", length=True):
        """A well-formed response with its Content-Length (unless `length` is False)."""
        lines = [f"HTTP/{version} {status} {phrase}".encode()]
        lines += [f if isinstance(f, bytes) else f"{f[0]}: {f[1]}".encode("latin-1") for f in fields]
        if length:
            lines.append(b"Content-Length: %d" % len(body))
        self.send(b"\r\n".join(lines) + b"\r\n\r\n" + body)

    def expect_end(self, deadline=None):
        self.how = super().expect_end(deadline)
        return self.how

    def wait_over(self, seconds=None):
        """Waits until the handler is done; returns how the connection ended."""
        assert self.over.wait(Deadline(seconds).left()), "the connection to the target is still open"
        return self.how


def answer(conn, name=None):
    """Answers each request with what it was, as JSON, until the peer leaves."""
    while True:
        request = conn.request(Deadline(600))
        body = b"" if request.method == "HEAD" else describe(request, conn, name)
        conn.respond(body=body, fields=[("Content-Type", "application/json")])


def describe(request, conn, name=None):
    return json.dumps({
        "name": name, "connection": conn.number, "method": request.method, "target": request.target,
        "body": request.body.decode("latin-1")}).encode()


class Origin:
    """Listens on a free port of 127.0.0.1 unless told otherwise, or on a unix socket, until `close`.

    `tls` is an SSL context that every connection shakes hands with first; one that fails is no error of the test, but
    is told in `handshake_errors`.
    """

    connection = Connection

    def __init__(self, handler=answer, path=None, backlog=512, host="127.0.0.1", port=0, tls=None):
        self.handler, self.tls = handler, tls
        self.handshake_errors = []
        self.path, self.host = path, host
        self.connections = []
        # What went wrong in handlers, beyond a connection that ended: the fixture fails the test with it.
        self.errors = []
        self.changed = threading.Condition()
        self.listening = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        if not path:  # One may come back to its port while connections of its past life linger.
            self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.bind(path or (host, port))
        self.listening.listen(backlog)
        self.port = None if path else self.listening.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    @property
    def address(self):
        return f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"

    @property
    def requests(self):
        """Every request whose head has arrived, in the order of connections."""
        with self.changed:
            return [r for c in self.connections for r in c.requests]

    @property
    def bytes_seen(self):
        return b"".join(bytes(c.seen) for c in list(self.connections))

    def wait_requests(self, count=1, complete=True, seconds=None):
        """Waits for this many requests (whole ones) and returns all of them."""
        def there():
            found = [r for c in self.connections for r in c.requests if r.complete or not complete]
            return found if len(found) >= count else None
        with self.changed:
            assert self.changed.wait_for(there, Deadline(seconds).left()), (
                f"{len(there() or [])} requests at the target, expected {count}")
            return there()

    def wait_connections(self, count=1, seconds=None):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.connections) >= count, Deadline(seconds).left()), (
                f"{len(self.connections)} connections at the target, expected {count}")
            return list(self.connections)

    def close(self):
        try:
            self.listening.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listening.close()
        self.thread.join()
        for conn in self.connections:
            try:
                # Below TLS, whose own shutdown belongs to the handler's thread.
                socket.socket.shutdown(conn.sock, socket.SHUT_RDWR)
            except OSError:
                pass
        for conn in self.connections:
            conn.over.wait(Deadline().left())
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)

    def _accept(self):
        while True:
            try:
                sock, _ = self.listening.accept()
            except OSError:
                return
            if sock.family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.changed:
                conn = self.connection(self, sock, len(self.connections))
                self.connections.append(conn)
                self.changed.notify_all()
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        how = None
        try:
            if self.tls and not self._shake_hands(conn):
                how = "handshake"
                return
            self.handler(conn)
        except Ended as end:
            how = end.how
        except ConnectionError:
            how = "reset"
        except ssl.SSLEOFError:
            how = "cut"  # while it was written to
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                how = "reset"  # the peer was quicker
            elif not self.listening._closed:
                self.errors.append(f"connection {conn.number}: {error!r}")
        except Exception:
            self.errors.append(f"connection {conn.number}: {traceback.format_exc()}")
        finally:
            conn.close()
            with self.changed:
                conn.how = how or conn.how or "handler"
                conn.over.set()
                self.changed.notify_all()


    def _shake_hands(self, conn):
        try:
            conn.sock.settimeout(Deadline().left())
            conn.sock = self.tls.wrap_socket(conn.sock, server_side=True, suppress_ragged_eofs=False)
            conn.resumed = conn.sock.session_reused
            return True
        except OSError as error:  # of which an SSLError is one
            with self.changed:
                self.handshake_errors.append(error)
                self.changed.notify_all()
            return False

    def wait_handshake_errors(self, count=1, seconds=None):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.handshake_errors) >= count, Deadline(seconds).left()), (
                f"{len(self.handshake_errors)} handshakes failed, expected {count}")
            return list(self.handshake_errors)


def dead_port():
    """(socket, port): a port of 127.0.0.1 that refuses connections for as long as the socket is kept."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]


def black_hole():
    """(sockets, port): a port of 127.0.0.1 where connecting neither succeeds nor fails: its backlog is full."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    kept = [listening]
    for _ in range(8):
        sock = socket.socket()
        sock.settimeout(0.2)
        kept.append(sock)
        try:
            sock.connect(listening.getsockname())
        except TimeoutError:
            return kept, listening.getsockname()[1]
    raise AssertionError("the backlog does not fill up")
