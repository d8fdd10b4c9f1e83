import PoiseHTTP
import PoiseLoop
import PoiseModel

/// Where a stream meets its HTTP/2 connection: what has come for it and was not taken yet, and its place there.
///
/// Heads come and go in the form of HTTP/1, content as it is, so that a stream reads like a connection that carries one
/// message in each direction. What came waits in one pooled buffer: the windows that were granted bound it.
final class HTTP2Lane {
    /// `nil` once the stream is closed, or its connection.
    private(set) var session: HTTP2Session?
    /// The stream's place in the session's tables.
    let slot: Int
    private var waiting: Buffer?
    private var waitingStart = 0
    private var waitingEnd = 0
    /// Of what waits, bytes of heads, which no window counts.
    private var waitingHeadBytes = 0
    /// The peer's message is complete once the rest is taken.
    private(set) var peerHasEnded = false
    /// The peer, or its connection, gave the stream up.
    private(set) var wasReset = false
    private(set) var trailers: [UInt8] = []

    /// Who reads and writes here; `nil` before the stream is made, and once it is closed.
    var stream: (any HTTP2Stream)?
    /// Its stream waits for room.
    var isWaiting = false
    /// Its window grew, which its stream has not been told of.
    var isWidened = false
    /// Something came that its stream has not been told of.
    var hasNews = false
    /// The stream is gone and the peer may not know yet: what still comes is dropped.
    private(set) var isDraining = false
    var drained = 0
    var drainsUntil = MonotonicTime.zero
    /// It is in the session's list of those that wait, or did.
    var isListed = false
    /// Field lines that end our message.
    var trailersToSend: [UInt8] = []
    /// Names of the last head that came that must not be indexed on the next hop either. RFC 7541 §7.1.3
    var neverIndexed: UInt64 = 0
    /// What the peer reset the stream with.
    private(set) var code = HTTP2ErrorCode.noError

    init(session: HTTP2Session, slot: Int) { (self.session, self.slot) = (session, slot) }

    var hasWaiting: Bool { waitingEnd > waitingStart }
    /// The peer's message is whole, and all of it was taken.
    var isEmptyForGood: Bool { peerHasEnded && !hasWaiting && !wasReset }
    /// A fill would find something.
    var mayHaveInput: Bool { hasWaiting || peerHasEnded || wasReset }

    // MARK: From the connection

    /// The head that was read last, in the form of HTTP/1.
    func takeHead(of workspace: borrowing HTTP2Workspace, _ loop: EventLoop) {
        let text = workspace.headText
        // What the limits let through is less than a large buffer holds.
        if append(text, loop) { waitingHeadBytes += text.count }
        neverIndexed = workspace.neverIndexed
    }

    /// The field lines that were read last; the message ends with them.
    func takeTrailers(of workspace: borrowing HTTP2Workspace) {
        let text = workspace.headText
        var lines: [UInt8] = []
        // Without the blank line.
        lines.append(text.extracting(0..<max(0, text.count - 2)))
        end(trailers: lines)
    }

    /// - Returns: false, with nothing appended, where more waits than a large buffer holds. Windows keep that from happening.
    func append(_ bytes: Span<UInt8>, _ loop: EventLoop) -> Bool {
        guard !bytes.isEmpty else { return true }
        guard waitingEnd - waitingStart + bytes.count <= BufferPool.largeBytes else { return false }
        let buffer = room(bytes.count, loop)
        buffer.write(bytes, at: waitingEnd)
        waitingEnd += bytes.count
        return true
    }

    private func room(_ count: Int, _ loop: EventLoop) -> Buffer {
        guard let old = waiting else {
            let buffer = count <= BufferPool.standardBytes ? loop.takeStandardBuffer() : loop.takeLargeBuffer()
            (waiting, waitingStart, waitingEnd) = (buffer, 0, 0)
            return buffer
        }
        if old.capacity - waitingEnd >= count { return old }
        let unread = waitingEnd - waitingStart
        if old.capacity - unread >= count {
            old.move(waitingStart, waitingEnd, to: old, at: 0)
            (waitingStart, waitingEnd) = (0, unread)
            return old
        }
        let larger = loop.takeLargeBuffer()
        old.move(waitingStart, waitingEnd, to: larger, at: 0)
        loop.releaseBuffer(old)
        (waiting, waitingStart, waitingEnd) = (larger, 0, unread)
        return larger
    }

    func end(trailers: [UInt8] = []) {
        peerHasEnded = true
        self.trailers = trailers
    }

    /// The peer gave up, or the connection ended: what waits is lost with it.
    func reset(_ code: HTTP2ErrorCode, _ loop: EventLoop) {
        (wasReset, self.code) = (true, code)
        close(loop)
    }

    // MARK: To the stream

    /// Moves what waits into the stream's input, by its buffer where the stream holds none.
    func fill(_ stream: Stream) -> Stream.Fill {
        let loop = stream.loop
        if wasReset {
            stream.mayHaveInput = false
            return .failed
        }
        guard let buffer = waiting, hasWaiting else {
            stream.mayHaveInput = false
            guard peerHasEnded else { return .blocked }
            stream.peerClosed = true
            return .endOfStream
        }
        let count: Int
        if let input = stream.input {
            count = min(input.capacity - stream.inputEnd, waitingEnd - waitingStart)
            guard count > 0 else { return .full }
            buffer.move(waitingStart, waitingStart + count, to: input, at: stream.inputEnd)
            waitingStart += count
            stream.inputEnd += count
        } else {
            count = waitingEnd - waitingStart
            (stream.input, waiting) = (buffer, nil)
            (stream.inputStart, stream.inputCursor, stream.inputEnd) = (waitingStart, waitingStart, waitingEnd)
            (waitingStart, waitingEnd) = (0, 0)
        }
        // Heads come before content.
        let ofHeads = min(waitingHeadBytes, count)
        waitingHeadBytes -= ofHeads
        if !hasWaiting { drop(loop) }
        stream.mayHaveInput = mayHaveInput
        if count > ofHeads { session?.consumed(slot, count - ofHeads) }
        return .bytes
    }

    private func drop(_ loop: EventLoop) {
        if let buffer = waiting { loop.releaseBuffer(buffer) }
        (waiting, waitingStart, waitingEnd, waitingHeadBytes) = (nil, 0, 0, 0)
    }

    /// Our message is whole, the peer's is not wanted any more.
    func drain(_ loop: EventLoop) {
        guard let session, !peerHasEnded else { return close(loop) }
        let unread = max(0, waitingEnd - waitingStart - waitingHeadBytes)
        drop(loop)
        stream = nil
        isWaiting = false
        isDraining = true
        session.beganDraining(self, unread: unread)
    }

    /// Our side is done with the stream: its slot is given back, and with it what waits.
    func close(_ loop: EventLoop) {
        drop(loop)
        stream = nil
        leaveSession()
    }

    /// The slot is given back; what waits is still here for the stream.
    func leaveSession() {
        isWaiting = false
        guard let session else { return }
        self.session = nil
        session.release(slot)
    }
}
