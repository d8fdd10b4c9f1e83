"""Either end of an HTTP/2 connection: frames out as told, frames in checked against RFC 9113 and added up."""
import collections
import struct

import hpack

from deadline import Deadline
from frames import (ACK, CANCEL, CONNECTION_SPECIFIC, CONTINUATION, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM, GOAWAY,
                    HAS_PRIORITY, HEADER_TABLE_SIZE, HEADERS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, NO_ERROR, PADDED, PING,
                    PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW, WINDOW_UPDATE, Frame, code, fields_of, frame, settings)
from wire import TOKEN, VALUE, Ended, Fields, Stream, WireError


class StreamReset(Exception):
    """The peer reset the stream where a message was expected."""

    def __init__(self, stream, error):
        super().__init__(f"stream {stream} reset with error {error}")
        self.stream, self.error = stream, error


class GoneAway(Exception):
    """The peer ended the connection by GOAWAY, and this stream with it."""

    def __init__(self, last, error):
        super().__init__(f"GOAWAY with error {error}, last stream {last}")
        self.last, self.error = last, error


class Message:
    """One direction of a stream, as far as it has arrived."""

    def __init__(self, window):
        self.interim, self.head, self.trailers = [], None, None
        self.body, self.ended, self.reset = bytearray(), False, None
        # What the peer may still send, and the sizes of its DATA.
        self.window, self.pieces = window, []


class Peer(Stream):
    """Either end of a connection: frames in and out, and what they add up to."""

    is_client = True

    def __init__(self, sock, own_settings=()):
        super().__init__(sock)
        self.own = {MAX_FRAME_SIZE: 16_384} | dict(own_settings)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.theirs = {INITIAL_WINDOW_SIZE: WINDOW, MAX_FRAME_SIZE: 16_384, HEADER_TABLE_SIZE: 4096}
        self.got_settings = False
        # What this end announced and the peer has not acknowledged: it may not know of it yet. 6.5.3
        self.announced, self.initial = [], WINDOW
        self.messages, self.frames, self.goaways, self.pongs = {}, [], [], []
        # Windows: how much this end may send, and how much the peer may.
        self.credit = collections.defaultdict(lambda: self.theirs[INITIAL_WINDOW_SIZE])
        self.credit[0] = self.window = WINDOW
        # Bytes read and not yet given back: that is done once half of a window is used up, and not while `replenishes` is
        # False. `acknowledges`: settings and pings.
        self.owed = collections.Counter()
        self.replenishes, self.acknowledges = True, True
        # Streams that this end opened.
        self.opened = set()

    # Out

    def frame(self, kind, flags=0, stream=0, payload=b"", length=None):
        self.send(frame(kind, flags, stream, payload, length))

    def headers(self, stream, fields, end=False, encoded=None):
        """A field block in as many frames as it needs."""
        data = self.encoder.encode(fields_of(fields)) if encoded is None else encoded
        size = self.theirs[MAX_FRAME_SIZE]
        pieces = [data[at:at + size] for at in range(0, len(data), size)] or [b""]
        out = b""
        for number, piece in enumerate(pieces):
            flags = (END_STREAM if end and number == 0 else 0) | (END_HEADERS if number == len(pieces) - 1 else 0)
            out += frame(HEADERS if number == 0 else CONTINUATION, flags, stream, piece)
        self.send(out)

    def data(self, stream, body, end=False, deadline=None):
        """A body within the peer's windows: waits for more where they are used up."""
        deadline, at = deadline or Deadline(), 0
        while True:
            room = max(0, min(self.credit[0], self.credit[stream], self.theirs[MAX_FRAME_SIZE]))
            piece = body[at:at + room]
            if piece or not body[at:]:
                at += len(piece)
                self.credit[0] -= len(piece)
                self.credit[stream] -= len(piece)
                last = at == len(body)
                self.frame(DATA, END_STREAM if end and last else 0, stream, piece)
                if last:
                    return
            else:
                self._check_alive(stream)
                self.read(deadline)

    def announce(self, values):
        """SETTINGS that are taken into account once the peer has acknowledged them."""
        self.own.update(values)
        self.announced.append(dict(values))
        self.send(settings(values))

    def reset_stream(self, stream, error=CANCEL):
        self.frame(RST_STREAM, 0, stream, code(error))

    def goaway(self, last=0, error=NO_ERROR, debug=b""):
        self.frame(GOAWAY, 0, 0, code(last) + code(error) + debug)

    def window_update(self, stream, more):
        self.frame(WINDOW_UPDATE, 0, stream, code(more))

    def ping(self, data=b"12345678", deadline=None):
        """Waits for the answer to a PING: what was sent before has been read then."""
        count = len(self.pongs)
        self.frame(PING, 0, 0, data)
        self.read_until(lambda: len(self.pongs) > count, deadline, "the answer to a PING")
        if self.pongs[-1] != data:
            raise WireError(f"PING answered with {self.pongs[-1]!r}")

    # In

    def read(self, deadline=None):
        """The next frame, taken into account."""
        deadline = deadline or Deadline()
        length, kind, flags, stream = struct.unpack(">IBBI", b"\0" + self.exactly(9, deadline))
        if length > self.own[MAX_FRAME_SIZE]:
            raise WireError(f"a frame of {length} bytes; 6.5.2")
        if stream >> 31:
            raise WireError("a reserved bit is set; 4.1")
        found = Frame(kind, flags, stream, self.exactly(length, deadline))
        self.frames.append((found.kind, found.flags, found.stream, length))
        if not self.got_settings and (kind != SETTINGS or flags & ACK):
            raise WireError(f"{found} where SETTINGS come first; 3.4")
        handler = {DATA: self._data, HEADERS: self._headers, RST_STREAM: self._reset, SETTINGS: self._settings,
                   PING: self._ping, GOAWAY: self._goaway, WINDOW_UPDATE: self._window_update}.get(kind)
        if kind in (PUSH_PROMISE, CONTINUATION):
            raise WireError(f"an unexpected frame: {found}")
        if handler:
            handler(found, deadline)
        return found

    def read_until(self, condition, deadline=None, what="what is waited for"):
        deadline = deadline or Deadline()
        try:
            while not (value := condition()):
                self.read(deadline)
            return value
        except TimeoutError as error:
            raise AssertionError(f"not within the deadline: {what}; frames so far {self.frames[-20:]}") from error

    def _message(self, found):
        stream = found.stream
        ours = (stream % 2 == 1) == self.is_client
        if stream == 0 or (ours and stream not in self.opened) or (self.is_client and not ours):
            raise WireError(f"{found.kind} on stream {stream}, which nobody opened; 5.1")
        message = self.messages.get(stream)
        if message is None:
            if not ours and (found.kind != HEADERS or stream < max(self.messages, default=0)):
                raise WireError(f"{found.kind} on idle stream {stream}; 5.1")
            message = self.messages[stream] = Message(self.initial)
        if message.ended or message.reset is not None:
            raise WireError(f"{found.kind} on stream {stream}, which the peer had ended; 5.1")
        return message

    @staticmethod
    def _unpadded(found):
        if not found.has(PADDED):
            return found.payload
        padding = found.payload[0]
        if padding >= len(found.payload):
            raise WireError("padding longer than the frame; 6.1")
        return found.payload[1:len(found.payload) - padding]

    def _data(self, found, deadline):
        message = self._message(found)
        if message.head is None or message.trailers is not None:
            raise WireError(f"DATA on stream {found.stream} before its head or after its trailers; 8.1")
        size = len(found.payload)
        message.window -= size
        self.window -= size
        if message.window < 0 or self.window < 0:
            raise WireError(f"DATA beyond the window of stream {found.stream}; 6.9")
        piece = self._unpadded(found)
        message.body += piece
        message.pieces.append(len(piece))
        if found.has(END_STREAM):
            self._end(found.stream, message)
        for stream, window in ((0, WINDOW), (found.stream, self.initial)):
            if stream == 0 or not message.ended:
                self.owed[stream] += size
                if self.replenishes and 2 * self.owed[stream] >= window:
                    self.give_back(self.owed.pop(stream), stream)

    def resume(self):
        """Gives back what was held, and goes on giving back."""
        self.replenishes = True
        for stream, size in list(self.owed.items()):
            if stream == 0 or not self.messages[stream].ended:
                self.give_back(size, stream)
        self.owed.clear()

    def give_back(self, size, stream=0):
        """Lets the peer send so much more."""
        if size == 0:
            return
        if stream:
            self.messages[stream].window += size
        else:
            self.window += size
        try:
            self.window_update(stream, size)
        except (ConnectionError, Ended):
            pass  # it has sent everything and is gone

    def _headers(self, found, deadline):
        message = self._message(found)
        data = self._unpadded(found)
        if found.has(HAS_PRIORITY):
            data = data[5:]
        end, more = found.has(END_STREAM), found
        while not more.has(END_HEADERS):
            length, kind, flags, stream = struct.unpack(">IBBI", b"\0" + self.exactly(9, deadline))
            if kind != CONTINUATION or stream != found.stream or length > self.own[MAX_FRAME_SIZE]:
                raise WireError(f"a field block interrupted by a frame of kind {kind}; 6.2")
            more = Frame(kind, flags, stream, self.exactly(length, deadline))
            data += more.payload
        try:
            list_ = [(bytes(n), bytes(v)) for n, v in self.decoder.decode(data, raw=True)]
        except hpack.HPACKError as error:
            raise WireError(f"a field block that cannot be decoded: {error!r}") from error
        self._take_fields(found.stream, message, list_, end)
        if end:
            self._end(found.stream, message)

    def _take_fields(self, stream, message, list_, end):
        pseudo, fields = {}, Fields()
        for name, value in list_:
            if name.startswith(b":"):
                if fields or name in pseudo:
                    raise WireError(f"{name!r} twice, or behind a field; 8.3: {list_}")
                pseudo[name] = value
                continue
            if not TOKEN.match(name) or name != name.lower() or not VALUE.match(value):
                raise WireError(f"not a field: {name!r}: {value!r}; 8.2.1")
            if name in CONNECTION_SPECIFIC or (name == b"te" and value != b"trailers"):
                raise WireError(f"a connection-specific field: {name!r}; 8.2.2")
            fields.append((name, value))
        if message.head is not None:
            if pseudo or not end:
                raise WireError(f"trailers with pseudo-headers, or without an end; 8.1: {list_}")
            message.trailers = fields
            return
        self._take_head(stream, message, pseudo, fields, end)

    def _end(self, stream, message):
        message.ended = True
        length = message.head.fields.get("content-length") if message.head else None
        if length is not None and message.body and int(length) != len(message.body):
            raise WireError(f"{len(message.body)} bytes of DATA where content-length says {length}; 8.1.1")

    def _reset(self, found, deadline):
        message = self.messages.get(found.stream)
        if len(found.payload) != 4 or (message is None and found.stream not in self.opened):
            raise WireError(f"not a reset of an open stream: {found}; 6.4")
        message = message or self.messages.setdefault(found.stream, Message(0))
        message.reset = struct.unpack(">I", found.payload)[0]

    def _settings(self, found, deadline):
        if found.stream or (found.has(ACK) and found.payload) or len(found.payload) % 6:
            raise WireError(f"not SETTINGS: {found}; 6.5")
        if found.has(ACK):
            if self.announced:
                self._apply(self.announced.pop(0))
            return
        self.got_settings = True
        for key, value in struct.iter_unpack(">HI", found.payload):
            if (key == ENABLE_PUSH and value > (0 if self.is_client else 1)) or (
                    key == INITIAL_WINDOW_SIZE and value >> 31) or (
                    key == MAX_FRAME_SIZE and not 16_384 <= value < 1 << 24):
                raise WireError(f"setting {key} = {value}; 6.5.2")
            if key == INITIAL_WINDOW_SIZE:
                for stream in [s for s in self.credit if s]:
                    self.credit[stream] += value - self.theirs[INITIAL_WINDOW_SIZE]
            if key == HEADER_TABLE_SIZE:
                self.encoder.header_table_size = min(value, 4096)
            self.theirs[key] = value
        if self.acknowledges:
            self.frame(SETTINGS, ACK)

    def _apply(self, values):
        """The peer has acknowledged them: from here on it keeps to them."""
        if INITIAL_WINDOW_SIZE in values:
            for message in self.messages.values():
                message.window += values[INITIAL_WINDOW_SIZE] - self.initial
            self.initial = values[INITIAL_WINDOW_SIZE]
        if HEADER_TABLE_SIZE in values:
            self.decoder.max_allowed_table_size = values[HEADER_TABLE_SIZE]

    def _ping(self, found, deadline):
        if found.stream or len(found.payload) != 8:
            raise WireError(f"not a PING: {found}; 6.7")
        if found.has(ACK):
            self.pongs.append(found.payload)
        elif self.acknowledges:
            self.frame(PING, ACK, 0, found.payload)

    def _goaway(self, found, deadline):
        if found.stream or len(found.payload) < 8:
            raise WireError(f"not a GOAWAY: {found}; 6.8")
        last, error = struct.unpack(">II", found.payload[:8])
        if self.goaways and last > self.goaways[-1][0]:
            raise WireError("a GOAWAY that takes back what another said; 6.8")
        self.goaways.append((last, error))

    def _window_update(self, found, deadline):
        if len(found.payload) != 4 or not (more := struct.unpack(">I", found.payload)[0]) or more >> 31:
            raise WireError(f"not a WINDOW_UPDATE: {found}; 6.9")
        self.credit[found.stream] += more
        if self.credit[found.stream] >> 31:
            raise WireError(f"the window of stream {found.stream} overflows; 6.9.1")

    def _check_alive(self, stream):
        message = self.messages.get(stream)
        if message is not None and message.reset is not None and not message.ended:
            raise StreamReset(stream, message.reset)
        if self.goaways and (self.goaways[-1][1] or stream > self.goaways[-1][0]) and not (message and message.ended):
            raise GoneAway(*self.goaways[-1])

    def expect_end(self, deadline=None):
        """The peer ends the connection, and opens and sends nothing more before it. Returns "fin", "reset" or "cut"."""
        deadline = deadline or Deadline()
        try:
            while (found := self.read(deadline)).kind not in (DATA, HEADERS):
                pass
        except Ended as end:
            if end.got:
                raise WireError(f"half a frame before the end: {end.got!r}") from end
            self.how = end.how
            return end.how
        raise WireError(f"{found} instead of the end")

    # What a peer that misbehaves gets

    def expect_goaway(self, error, deadline=None):
        """The connection ends with this error (one or several), and really ends. Returns (last stream, error)."""
        errors = (error,) if isinstance(error, int) else error
        deadline = deadline or Deadline()
        try:
            self.read_until(lambda: any(e for _, e in self.goaways), deadline, f"GOAWAY with one of {errors}")
            assert self.goaways[-1][1] in errors, f"GOAWAY with error {self.goaways[-1][1]}, expected {errors}"
            while True:
                self.read(deadline)
        except Ended as end:
            # A reset may overtake a GOAWAY that is still unread; one that was read came first.
            assert self.goaways and self.goaways[-1][1] in errors, f"ended by {end.how} with {self.goaways}, expected {errors}"
        return self.goaways[-1]

    def expect_reset(self, stream, error, deadline=None):
        """The stream ends with this error (one or several), and the connection goes on."""
        errors = (error,) if isinstance(error, int) else error
        message = lambda: self.messages.get(stream)
        self.read_until(lambda: message() is not None and message().reset is not None, deadline,
                        f"a reset of stream {stream} with one of {errors}")
        assert message().reset in errors, f"reset with error {message().reset}, expected {errors}"
        self.ping()
