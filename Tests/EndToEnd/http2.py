"""HTTP/2 on both ends of a connection: a client and a target that send any frames and read strictly.

    client = Client(poise.port)                      # prior knowledge; or tls=client_context(authority, ["h2"])
    response = client.ask("/path")                   # well-behaved: windows, acknowledgements, fields as they must be
    stream = client.begin("/path", method="POST")    # a stream that stays open
    client.frame(RST_STREAM, 0, stream, code(CANCEL))  # and anything else, as bytes

    def handler(conn):                               # a target, like origin.py's: one thread per connection
        request = conn.request()
        conn.respond(request, body=b"hello")
    origin = Origin(handler)

What the peer sends is checked against RFC 9113 as it is read: lengths, windows, states of streams, fields. Field blocks
are coded by `hpack` (PyPI), frames by frames.py; http2_peer.py is what both ends have in common. Every wait has a deadline.
"""
import contextlib
import dataclasses
import json
import re
import socket
import ssl
import threading

import client as http1
import origin as http1_origin
from client import Response
from deadline import Deadline
from frames import PREFACE, head_of
from http2_peer import GoneAway, Message, Peer, StreamReset
from wire import Ended, Fields, WireError

__all__ = ["Client", "Connection", "GoneAway", "Message", "Origin", "Peer", "Request", "StreamReset", "answer", "get"]


class Client(Peer):
    """A connection to a listener, by prior knowledge or, with `tls` (a context that offers h2), by ALPN."""

    def __init__(self, where, own_settings=(), tls=None, server_name=None, greets=True, **more):
        plain = http1.Client(where, tls=tls, server_name=server_name, **more)
        if tls and plain.sock.selected_alpn_protocol() != "h2":
            plain.close()
            raise WireError(f"ALPN agreed upon {plain.sock.selected_alpn_protocol()}")
        super().__init__(plain.sock, own_settings)
        self.scheme, self.next = "https" if tls else "http", 1
        if greets:
            self.send(PREFACE)
            self.announce(dict(own_settings))
            self.read_until(lambda: self.got_settings, what="SETTINGS")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def new_stream(self):
        """The number of a stream that is about to be opened by hand."""
        stream, self.next = self.next, self.next + 2
        self.opened.add(stream)
        return stream

    def begin(self, path="/", method="GET", host="shop.test", fields=(), end=False, head=None, encoded=None):
        """Opens a stream; `head` replaces all fields, `encoded` their bytes. Returns its number."""
        stream = self.new_stream()
        self.headers(stream, head_of(path, method, host, self.scheme, fields) if head is None else head, end, encoded)
        return stream

    def request(self, path="/", method="GET", body=None, trailers=None, fields=(), length=True, **more):
        """A whole request; a body brings its content-length unless `length` is False."""
        if body is not None and length:
            fields = [*fields, ("content-length", len(body))]
        stream = self.begin(path, method, fields=fields, end=body is None and trailers is None, **more)
        if body is not None:
            self.data(stream, body, end=trailers is None)
        if trailers is not None:
            self.headers(stream, trailers, end=True)
        return stream

    def head(self, stream, deadline=None):
        """The final head of an answer, as soon as it is there."""
        def there():
            message = self.messages.get(stream)
            if message is None or message.head is None:
                self._check_alive(stream)
                return None
            return message
        message = self.read_until(there, deadline, f"the head of stream {stream}")
        message.head.interim = message.interim
        return message.head

    def response(self, stream, deadline=None):
        """A whole answer."""
        deadline = deadline or Deadline()
        response = self.head(stream, deadline)

        def whole():
            message = self.messages[stream]
            if not message.ended:
                self._check_alive(stream)
            return message.ended
        self.read_until(whole, deadline, f"the end of stream {stream}")
        message = self.messages[stream]
        response.body, response.trailers = bytes(message.body), message.trailers or Fields()
        return response

    def ask(self, path="/", **more):
        return self.response(self.request(path, **more))

    def _take_head(self, stream, message, pseudo, fields, end):
        if set(pseudo) != {b":status"} or not re.fullmatch(rb"[1-5][0-9]{2}", pseudo[b":status"]):
            raise WireError(f"not the head of an answer; 8.3.2: {pseudo}")
        response = Response(int(pseudo[b":status"]), 2, "", fields)
        if response.status == 101:
            raise WireError("101 in HTTP/2; 8.6")
        if response.status < 200:
            if end:
                raise WireError("an interim head that ends the stream; 8.1")
            message.interim.append(response)
        else:
            message.head = response


def get(where, path="/", tls=None, server_name=None, **more):
    """One request on a connection of its own."""
    with Client(where, tls=tls, server_name=server_name) as client:
        return client.ask(path, **more)


# Targets


@dataclasses.dataclass
class Request:
    stream: int
    method: str
    target: str
    host: str
    scheme: str
    fields: Fields
    body: bytes = b""
    trailers: Fields = dataclasses.field(default_factory=Fields)
    complete: bool = False

    def get(self, name):
        return self.fields.get(name)


class Connection(Peer):
    """One connection that Poise made. Requests are noted as soon as their head is whole."""

    is_client = False

    def __init__(self, origin, sock, number):
        super().__init__(sock, origin.own_settings)
        self.origin, self.number = origin, number
        self.requests, self.taken = [], set()
        self.how, self.over = None, threading.Event()

    def greet(self, deadline=None):
        """Reads the preface and sends SETTINGS."""
        if (first := self.exactly(len(PREFACE), deadline)) != PREFACE:
            raise WireError(f"not the preface: {first!r}; 3.4")
        self.announce(self.origin.own_settings)
        self.read_until(lambda: self.got_settings, deadline, "SETTINGS")

    def _take_head(self, stream, message, pseudo, fields, end):
        needed = {b":method", b":path", b":scheme"}
        if not needed <= set(pseudo) or set(pseudo) - needed - {b":authority"} or not pseudo[b":path"]:
            raise WireError(f"not the head of a request; 8.3.1: {pseudo}")
        if "host" in fields and b":authority" in pseudo and fields.get("host") != pseudo[b":authority"].decode():
            raise WireError(f"host and :authority differ; 8.3.1: {pseudo} {fields}")
        host = pseudo.get(b":authority", b"").decode() or fields.get("host")
        if not host:
            raise WireError(f"a request without a host: {pseudo} {fields}")
        message.head = Request(stream, pseudo[b":method"].decode(), pseudo[b":path"].decode(), host,
                               pseudo[b":scheme"].decode(), fields)
        with self.origin.changed:
            self.requests.append(message.head)
            self.origin.changed.notify_all()

    def _end(self, stream, message):
        super()._end(stream, message)
        self._update(message)
        with self.origin.changed:
            message.head.complete = True
            self.origin.changed.notify_all()

    @staticmethod
    def _update(message):
        message.head.body, message.head.trailers = bytes(message.body), message.trailers or Fields()

    def head(self, deadline=None):
        """The next request that nobody has taken yet; its body is still to come."""
        def there():
            return next((r for r in self.requests if r.stream not in self.taken), None)
        request = self.read_until(there, deadline, "a request")
        self.taken.add(request.stream)
        return request

    def finish(self, request, deadline=None):
        """Reads the body that belongs to `request`."""
        def whole():
            if (error := self.messages[request.stream].reset) is not None:
                raise StreamReset(request.stream, error)
            return request.complete
        self.read_until(whole, deadline, f"the end of request {request.stream}")
        return request

    def request(self, deadline=None):
        return self.finish(self.head(deadline), deadline)

    def wait_reset(self, request, deadline=None):
        """The error that the other end resets the stream with."""
        message = self.messages[request.stream]
        self.read_until(lambda: message.reset is not None, deadline, f"a reset of stream {request.stream}")
        return message.reset

    def begin(self, request, status=200, fields=(), end=False):
        """The head of an answer, or an interim one."""
        self.headers(request.stream, [(":status", status), *fields], end)

    def respond(self, request, status=200, fields=(), body=b"", trailers=None, length=True):
        """A well-formed answer with its content-length (unless `length` is False)."""
        if length:
            fields = [*fields, ("content-length", len(body))]
        self.begin(request, status, fields, end=not body and trailers is None)
        if body:
            self.data(request.stream, body, end=trailers is None)
        if trailers is not None:
            self.headers(request.stream, trailers, end=True)

    def linger(self):
        """Ends the connection so that what was sent arrives: a close with unread bytes would be a reset."""
        with contextlib.suppress(Ended, OSError, ValueError):
            if isinstance(self.sock, ssl.SSLSocket):
                self.sock.settimeout(0)
                with contextlib.suppress(ssl.SSLWantReadError):
                    self.sock.unwrap()
            socket.socket.shutdown(self.sock, socket.SHUT_WR)
            deadline = Deadline(1)
            socket.socket.settimeout(self.sock, deadline.left())
            while socket.socket.recv(self.sock, 1 << 18) and not deadline.passed():
                pass

    wait_over = http1_origin.Connection.wait_over


def answer(conn, name=None):
    """Answers each request with what it was, as JSON, until the peer leaves."""
    while True:
        request = conn.request(Deadline(600))
        body = b"" if request.method == "HEAD" else json.dumps({
            "name": name, "connection": conn.number, "stream": request.stream, "method": request.method,
            "target": request.target, "body": request.body.decode("latin-1")}).encode()
        conn.respond(request, body=body, fields=[("content-type", "application/json")])


class Origin(http1_origin.Origin):
    """A target that speaks HTTP/2: by prior knowledge, or with `tls` by ALPN. Handlers get a greeted connection."""

    connection = Connection

    def __init__(self, handler=answer, own_settings=(), **more):
        self.own_settings = dict(own_settings)

        def greeted(conn):
            if more.get("tls") and conn.sock.selected_alpn_protocol() != "h2":
                raise WireError(f"ALPN agreed upon {conn.sock.selected_alpn_protocol()}")
            conn.greet()
            handler(conn)
            conn.linger()
        super().__init__(greeted, **more)

