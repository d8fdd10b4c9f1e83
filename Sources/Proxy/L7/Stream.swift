import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseTLS

/// One side of an exchange: its unread input and its staged output, both in pooled buffers.
///
/// An HTTP/1 connection is itself a stream, one for all its exchanges, and moves bytes by its socket. A stream of an
/// HTTP/2 connection has no socket: it overrides how bytes come and go, and everything above sees the same.
///
/// Input is `start ..< cursor ..< end`: what is kept for a retry, then what is unread. Output is what must leave
/// before anything else: heads, chunk framing, small bodies. Large bodies never enter it: they go out of the other
/// side's input. Idle connections hold no buffer.
class Stream: Channel {
    enum Fill { case bytes, blocked, full, endOfStream, failed }
    enum Flush { case done, blocked, failed }

    final let worker: Worker

    final var input: Buffer?
    final var inputStart = 0
    final var inputCursor = 0
    final var inputEnd = 0
    /// A receive may find something: set by an event, cleared by a short read.
    final var mayHaveInput = true
    /// FIN was announced: after the last bytes comes the end.
    final var peerClosed = false

    final var output: Buffer?
    final var outputStart = 0
    final var outputEnd = 0
    /// Cleared when the kernel refused bytes; set by an event.
    final var canSend = true
    /// Bytes that the kernel has taken; a target's connection counts anew for each exchange.
    final var sentBytes = 0
    /// Of them, those that have reached the peer's kernel: what it has read, and what its receive buffer holds. The own
    /// send buffer may hold megabytes that a slow reader takes minutes for.
    var deliveredBytes: Int { sentBytes - unacknowledgedBytes }
    /// The errno that ended the connection, 0 before.
    final var failure: CInt = 0
    /// Between the buffers and the socket; `nil` for plain text.
    final var tls: TLSSession?
    /// Heads, ends and trailers of messages are framed by the stream itself: HTTP/2. Bodies go in as they are.
    final let framesMessages: Bool
    /// A message was begun whose end must still be told; only where ``framesMessages``.
    final var owesEnd = false

    init(worker: Worker, framesMessages: Bool = false) {
        (self.worker, self.framesMessages) = (worker, framesMessages)
        super.init(loop: worker.loop)
    }

    // MARK: Input

    final var unreadCount: Int { inputEnd - inputCursor }

    /// One receive behind what is there.
    ///
    /// - Parameter large: take a large buffer when a new one is needed.
    func fill(large: Bool = false) -> Fill {
        if input == nil {
            input = large ? loop.takeLargeBuffer() : loop.takeStandardBuffer()
            (inputStart, inputCursor, inputEnd) = (0, 0, 0)
        }
        let buffer = input!
        let room = buffer.capacity - inputEnd
        guard room > 0 else { return .full }
        let result =
            tls == nil
            ? receive(into: buffer, inputEnd, buffer.capacity)
            : tls!.receive(self, into: buffer, inputEnd, buffer.capacity)
        let count = result.count
        if count > 0 {
            inputEnd += count
            // A short read has drained the socket; after FIN one more read brings the end.
            if count < room, !peerClosed { mayHaveInput = tls?.mayHaveMore ?? false }
            return .bytes
        }
        mayHaveInput = false
        if result.isBlocked { return .blocked }
        if let code = result.failure {
            failure = code
            return .failed
        }
        peerClosed = true
        // A reset is told once. Where a send was told, the bytes that it took away are missing in front of this end;
        // a broken pipe comes after a FIN, and nothing is missing.
        return failure == 0 || failure == Errno.brokenPipe ? .endOfStream : .failed
    }

    /// Moves what is unread to the front of its buffer, or of a larger one.
    ///
    /// - Returns: how far all positions moved (0 or negative).
    final func compactInput(large: Bool = false) -> Int {
        guard let buffer = input else { return 0 }
        let distance = -inputStart
        if large, buffer.capacity < BufferPool.largeBytes {
            let bigger = loop.takeLargeBuffer()
            buffer.move(inputStart, inputEnd, to: bigger, at: 0)
            loop.releaseBuffer(buffer)
            input = bigger
        } else if inputStart > 0 {
            buffer.move(inputStart, inputEnd, to: buffer, at: 0)
        }
        inputStart = 0
        inputCursor += distance
        inputEnd += distance
        return distance
    }

    /// Goes on in another buffer with what is unread.
    ///
    /// - Returns: the old buffer, which is the caller's now.
    final func continueInput(large: Bool) -> Buffer {
        let old = input!
        let next = large ? loop.takeLargeBuffer() : loop.takeStandardBuffer()
        old.move(inputCursor, inputEnd, to: next, at: 0)
        (inputStart, inputCursor, inputEnd) = (0, 0, inputEnd - inputCursor)
        input = next
        return old
    }

    /// Returns the buffer when nothing unread is in it.
    final func releaseInputIfEmpty() {
        guard inputCursor == inputEnd, let buffer = input else { return }
        input = nil
        loop.releaseBuffer(buffer)
    }

    final func dropInput() {
        if let buffer = input { loop.releaseBuffer(buffer) }
        input = nil
        (inputStart, inputCursor, inputEnd) = (0, 0, 0)
    }

    // MARK: Output

    final var hasOutput: Bool { outputEnd > outputStart || hasUnsentRecords }

    /// Encrypted bytes that the kernel has not taken.
    private final var hasUnsentRecords: Bool { tls != nil && tls!.hasUnsent }

    /// The peer's bytes ended without saying that this is all: only TLS can tell. RFC 9112 §9.8
    final var isTruncated: Bool { tls?.isTruncated ?? false }

    /// A writer behind what is staged; give it back with ``commit(_:)``.
    ///
    /// - Parameter room: bytes that must fit.
    final func stage(room: Int) -> BufferWriter {
        if output == nil {
            output = room <= BufferPool.standardBytes ? loop.takeStandardBuffer() : loop.takeLargeBuffer()
            (outputStart, outputEnd) = (0, 0)
        } else if output!.capacity - outputEnd < room {
            makeOutputRoom(room)
        }
        return BufferWriter(output!, at: outputEnd)
    }

    private final func makeOutputRoom(_ room: Int) {
        let buffer = output!
        let staged = outputEnd - outputStart
        if buffer.capacity - staged >= room {
            buffer.move(outputStart, outputEnd, to: buffer, at: 0)
        } else {
            let bigger = loop.takeLargeBuffer()
            buffer.move(outputStart, outputEnd, to: bigger, at: 0)
            loop.releaseBuffer(buffer)
            output = bigger
        }
        (outputStart, outputEnd) = (0, staged)
    }

    final func commit(_ writer: BufferWriter) {
        precondition(!writer.overflowed, "staged more than was asked room for")
        outputEnd = writer.end
    }

    /// A writer for a head, in the form of HTTP/1; give it back with ``commitHead(_:endsMessage:)``.
    func stageHead(room: Int) -> BufferWriter { stage(room: room) }

    /// - Parameter endsMessage: no content follows. An interim answer does not end its message.
    func commitHead(_ writer: BufferWriter, endsMessage: Bool) { commit(writer) }

    /// Fields of the head that came, and of the one that goes, that no hop may index. RFC 7541 §7.1.3
    var receivedNeverIndexed: UInt64 { 0 }
    final var neverIndexedNext: UInt64 = 0

    /// What must leave before anything else, in bytes.
    var stagedCount: Int { outputEnd - outputStart }

    /// How much of a body would be taken at once, as far as the peer tells beforehand: an HTTP/2 peer's windows do.
    var sendRoom: Int { .max }

    /// Whether what is read for this side may fill a large buffer: whoever is waited for holds a standard one at most.
    final var takesLargePieces: Bool { sendRoom >= BufferPool.largeBytes }

    /// Field lines of a trailer section for the end of the message; only where ``framesMessages``.
    func stageTrailers(_ lines: Span<UInt8>) {}

    /// Field lines that came behind the content, in the form of HTTP/1; only where ``framesMessages``.
    var receivedTrailers: [UInt8] { [] }

    /// The peer's message is whole, and what is not yet taken of it is in the input; only where ``framesMessages``.
    var messageHasEnded: Bool { false }

    /// Free bytes behind what is staged.
    final var outputRoom: Int { output.map { $0.capacity - outputEnd } ?? BufferPool.standardBytes }

    /// Sends what is staged, then `start..<end` of `body`; one call where the kernel takes all.
    ///
    /// - Parameters:
    ///   - mayCopy: a small body may move into the output, and counts as gone out then.
    ///   - isLast: the message ends with these bytes.
    /// - Returns: how many of the body's bytes went out, and whether everything did.
    func send(
        _ body: Buffer?, _ start: Int, _ end: Int, mayCopy: Bool = true, isLast: Bool = false
    ) -> (count: Int, flush: Flush) {
        var position = start
        while true {
            let result: IOResult
            let staged = outputEnd - outputStart
            let offered = staged + (end - position)
            if staged > 0, let output {
                if position < end, let body {
                    if mayCopy, end - position <= Self.copyMax, end - position <= output.capacity - outputEnd {
                        // One plain send of a copy is cheaper than a gathering one.
                        output.write(body.bytes(position, end), at: outputEnd)
                        outputEnd += end - position
                        position = end
                        continue
                    }
                    result =
                        tls?.send(self, output, outputStart, outputEnd, then: body, position, end)
                        ?? send(output, outputStart, outputEnd, then: body, position, end)
                } else {
                    result =
                        tls?.send(self, output, outputStart, outputEnd) ?? send(output, outputStart, outputEnd)
                }
            } else if position < end, let body {
                result = tls?.send(self, body, position, end) ?? send(body, position, end)
            } else {
                releaseOutput()
                return (position - start, tls == nil ? .done : flushRecords())
            }
            let count = result.count
            if count > 0 {
                sentBytes += count
                let fromStaged = min(count, staged)
                outputStart += fromStaged
                position += count - fromStaged
                if count == offered { continue }
                // A short send: the socket is full, the event will tell.
                canSend = false
                watchWritable()
                if staged > 0, !hasOutput { releaseOutput() }
                return (position - start, .blocked)
            }
            if result.isBlocked {
                canSend = false
                watchWritable()
                return (position - start, .blocked)
            }
            failure = result.failure ?? Errno.brokenPipe
            return (position - start, .failed)
        }
    }

    /// What TLS has encrypted goes to the kernel.
    private final func flushRecords() -> Flush {
        guard let tls, tls.hasUnsent else { return .done }
        switch tls.flush(self) {
        case .done: return .done
        case .blocked:
            canSend = false
            watchWritable()
            return .blocked
        case .failed:
            failure = tls.failure?.errno ?? Errno.brokenPipe
            return .failed
        }
    }

    /// Bodies up to this size are copied behind the head.
    private static var copyMax: Int { 8 * 1024 }

    func flushOutput() -> Flush {
        guard hasOutput else { return .done }
        guard canSend else { return .blocked }
        return send(nil, 0, 0).flush
    }

    final func releaseOutput() {
        if let buffer = output { loop.releaseBuffer(buffer) }
        output = nil
        (outputStart, outputEnd) = (0, 0)
    }

    /// Closes and gives everything back.
    final func closeConnection(reset: Bool = false) {
        dropInput()
        releaseOutput()
        if let tls {
            if !reset { tls.sendCloseNotify(self) }
            tls.free()
            self.tls = nil
        }
        if reset { self.reset() } else { close() }
    }
}
