"""A raw HTTP/1.1 client: it sends any bytes, and reads responses strictly."""
import dataclasses
import socket

from deadline import Deadline
from wire import STATUS_LINE, Ended, Fields, Stream, WireError, content_length, is_chunked


@dataclasses.dataclass
class Response:
    status: int
    minor: int
    phrase: str
    fields: Fields
    body: bytes = b""
    trailers: Fields = dataclasses.field(default_factory=Fields)
    # Sizes of the chunks; None when the body was not chunked.
    chunks: list | None = None
    # Interim responses (1xx) that came before.
    interim: list = dataclasses.field(default_factory=list)
    # Whether only the end of the connection ended the body.
    until_close: bool = False

    def get(self, name):
        return self.fields.get(name)

    @property
    def text(self):
        return self.body.decode()


class Client(Stream):
    """One connection to a listener: `Client(port)`, or an address and the source to come from.

    `tls` is an SSL context; `server_name` is sent as SNI and looked for in the certificate, `session` is resumed.
    """

    def __init__(self, where, source=None, receive_buffer=None, tls=None, server_name=None, session=None):
        address = ("127.0.0.1", where) if isinstance(where, int) else where
        sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            sock.bind((source, 0))
        sock.settimeout(Deadline().left())
        sock.connect(address)
        if tls:
            try:
                # A connection that ends without close_notify is one that was cut: RFC 8446 6.1
                sock = tls.wrap_socket(sock, server_hostname=server_name, session=session, suppress_ragged_eofs=False)
            except BaseException:
                sock.close()
                raise
        super().__init__(sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def head(self, deadline=None):
        """A status line and its fields."""
        line = self.line(deadline)
        match = STATUS_LINE.match(line)
        if not match:
            raise WireError(f"not a status line: {line!r}")
        return Response(int(match[2]), int(match[1]), match[3].decode("latin-1"), self.fields(deadline))

    def response(self, to="GET", deadline=None):
        """The next final response; `to` is the method it answers."""
        deadline = deadline or Deadline()
        interim = []
        while (response := self.head(deadline)).status < 200 and response.status != 101:
            if "Content-Length" in response.fields or "Transfer-Encoding" in response.fields:
                raise WireError(f"framing fields in a {response.status}: {response.fields}")
            interim.append(response)
        response.interim = interim
        self.body(response, to, deadline)
        return response

    def body(self, response, to="GET", deadline=None):
        """Reads the body that belongs to `response`."""
        deadline = deadline or Deadline()
        length, chunked = content_length(response.fields), is_chunked(response.fields)
        if response.status in (101, 204) and (length is not None or chunked):
            raise WireError(f"framing fields in a {response.status}: {response.fields}")
        if to == "HEAD" or response.status in (101, 204, 304):
            return
        if chunked:
            if response.minor == 0:
                raise WireError("chunked in an HTTP/1.0 response")
            response.body, response.trailers, response.chunks = self.chunked(deadline)
        elif length is not None:
            response.body = self.exactly(length, deadline)
        else:
            response.body, response.until_close = self.to_end(deadline), True

    def ask(self, request, to=None):
        """Sends one request and reads its response."""
        self.send(request)
        return self.response(to or request.split(b" ", 1)[0].decode("latin-1"))


def request(path="/", method="GET", host="shop.test", fields=(), body=None, version="1.1"):
    """A well-formed request. `fields` are (name, value) or b"Name: value"; a body brings its Content-Length."""
    lines = [f"{method} {path} HTTP/{version}".encode("latin-1")]
    if host is not None:
        lines.append(b"Host: " + host.encode())
    for field in fields:
        lines.append(field if isinstance(field, bytes) else f"{field[0]}: {field[1]}".encode("latin-1"))
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def get(where, path="/", **more):
    """One request on a connection of its own."""
    with Client(where) as client:
        return client.ask(request(path, **more))


__all__ = ["Client", "Ended", "Response", "WireError", "get", "request"]
