import PoiseHTTP
import PoiseLoop

/// What both kinds of HTTP/2 streams do alike. How a stream's bytes come and go is its lane's and its session's affair.
protocol HTTP2Stream: Stream {
    /// `nil` before it has a place.
    var lane: HTTP2Lane? { get }
    /// Bytes, the end or trailers have come for it.
    func inputCame()
    /// A window or the connection has room again.
    func mayWrite()
    /// The peer gave the stream up, or the connection is gone.
    func peerReset()
    /// Calls `body` with the exchange that is in progress, on a client's stream.
    func visitExchange(_ body: (Exchange) -> Void)
}

extension HTTP2Stream {
    /// Heads never wait: they are encoded in the order in which they leave.
    ///
    /// - Parameter isHTTPS: a request's scheme.
    func commitMessageHead(_ writer: BufferWriter, endsMessage: Bool, isHTTPS: Bool = false) {
        precondition(!writer.overflowed, "staged more than was asked room for")
        defer { loop.releaseBuffer(writer.buffer) }
        guard let lane, let session = lane.session else { return }
        session.sendHead(
            lane, writer.buffer.bytes(0, writer.end), endsMessage: endsMessage, isHTTPS: isHTTPS,
            neverIndexed: neverIndexedNext)
        owesEnd = !endsMessage
    }

    /// A place for a head until it is encoded, which is at once.
    func messageHeadWriter(room: Int) -> BufferWriter {
        BufferWriter(room <= BufferPool.standardBytes ? loop.takeStandardBuffer() : loop.takeLargeBuffer(), at: 0)
    }

    /// None before it has a place.
    var messageRoom: Int { lane.flatMap { $0.session?.contentRoom($0) } ?? 0 }

    /// Staged content first, then `start..<end` of `body`, as far as windows and the connection's output have room.
    func sendMessage(
        _ body: Buffer?, _ start: Int, _ end: Int, isLast: Bool
    ) -> (count: Int, flush: Flush) {
        guard let lane, let session = lane.session else { return (0, .failed) }
        if outputEnd > outputStart, let output {
            let isAll = isLast && start == end
            let count = session.sendContent(lane, output, outputStart, outputEnd, ends: isAll)
            outputStart += count
            sentBytes += count
            guard outputStart == outputEnd else { return (0, blocked()) }
            releaseOutput()
            if isAll { return ended() }
        }
        var position = start
        if position < end, let body {
            position += session.sendContent(lane, body, position, end, ends: isLast)
            sentBytes += position - start
            guard position == end else { return (position - start, blocked()) }
            if isLast { owesEnd = false }
            return (position - start, .done)
        }
        if isLast, owesEnd {
            session.sendEnd(lane)
            return ended()
        }
        return (0, .done)
    }

    private func ended() -> (count: Int, flush: Flush) {
        owesEnd = false
        return (0, .done)
    }

    private func blocked() -> Flush {
        canSend = false
        if let lane { lane.session?.waitForRoom(lane) }
        return .blocked
    }

    /// Generated answers end with what is staged.
    func flushMessage() -> Flush {
        guard lane?.session != nil else { return .failed }
        guard outputEnd > outputStart else { return .done }
        guard canSend else { return .blocked }
        return sendMessage(nil, 0, 0, isLast: true).flush
    }
}
