import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform

/// One stream of an HTTP/2 connection to a target: one try of one exchange.
///
///     waiting --place in a connection that stands--> open --> closed
///
/// While it waits, its head is kept as text and its content stays where it is.
final class HTTP2TargetStream: TargetStream, HTTP2Stream {
    /// `nil` while it waits.
    private(set) var lane: HTTP2Lane?
    /// The connection that it has a place in, or will have.
    var connection: HTTP2TargetConnection?
    /// All connections are full: the exchange stands in a queue.
    var waitsForPlace = false
    private var waitingHead: [UInt8] = []
    private var waitingTrailers: [UInt8] = []
    private var headEndsMessage = false

    init(pool: TargetPool, worker: Worker) {
        super.init(pool: pool, worker: worker, framesMessages: true)
        canSend = false
        openWithoutSocket()
    }

    /// It has its place now: what was said meanwhile is sent.
    func placed(_ lane: HTTP2Lane, isReused: Bool) {
        self.lane = lane
        lane.stream = self
        lane.trailersToSend = waitingTrailers
        self.isReused = isReused
        canSend = true
        guard !waitingHead.isEmpty else {
            exchange?.markConnected(self)
            return
        }
        guard !isBeyondPeer(waitingHead.span) else {
            exchange?.targetIsReady(self, .writable)
            return
        }
        var writer = messageHeadWriter(room: waitingHead.count)
        writer.append(waitingHead.span)
        waitingHead = []
        commitMessageHead(writer, endsMessage: headEndsMessage, isHTTPS: pool.group.tls != nil)
        exchange?.requestWasWritten = true
        // The connection stands: from here on an answer is waited for.
        exchange?.targetIsReady(self, .writable)
    }

    /// A connection has room, or will: from here on it is that which is waited for.
    func leftQueue() { exchange?.leftQueue(of: self) }

    // MARK: From the connection

    override func ready(_ readiness: Readiness) { exchange?.targetIsReady(self, readiness) }

    override func timerFired() { exchange?.targetTimedOut() }

    func visitExchange(_ body: (Exchange) -> Void) {}

    func inputCame() {
        mayHaveInput = true
        exchange?.targetIsReady(self, .readable)
    }

    func mayWrite() {
        canSend = true
        exchange?.targetIsReady(self, .writable)
    }

    func peerReset() {
        if let lane {
            (isBlamed, brokeConnection) = (lane.isBlamed, lane.connectionError != nil)
            wasRefused = lane.code == .refusedStream && !isBlamed
            answerRefusal = lane.fault.flatMap { Refusal(malformed: $0) }
        }
        if let failure = connection?.lateHandshakeFailure { handshakeFailure = failure }
        if failure == 0 { failure = Errno.connectionReset }
        mayHaveInput = true
        guard let exchange else { return end() }
        exchange.targetIsReady(self, .readable)
    }

    /// The connection that it waits for could not be made.
    func connectionFailed() { exchange?.targetIsReady(self, .failed) }

    override func connectFailure() -> CInt { failure }

    /// The end of a connection is one failure, whatever number of streams it takes along; and none where the target says
    /// that the client is at fault. Where it says so of everybody, health checks tell.
    override func takeFailure() -> Bool {
        guard let lane, lane.endedWithConnection, let connection else { return true }
        if let error = lane.connectionError, error != .internalError { return false }
        return connection.takeFailure()
    }

    // MARK: To the connection

    override var stagedCount: Int { outputEnd - outputStart }
    override var sendRoom: Int { messageRoom }
    override var receivedTrailers: [UInt8] { lane?.trailers ?? [] }
    override var messageHasEnded: Bool { lane?.isEmptyForGood ?? false }
    override var receivedNeverIndexed: UInt64 { lane?.neverIndexed ?? 0 }

    override func fill(large: Bool) -> Fill {
        guard let lane else {
            mayHaveInput = false
            return .blocked
        }
        return lane.fill(self)
    }

    override func stageHead(room: Int) -> BufferWriter { messageHeadWriter(room: room) }

    override func commitHead(_ writer: BufferWriter, endsMessage: Bool) {
        guard lane == nil else {
            guard !isBeyondPeer(writer.buffer.bytes(0, writer.end)) else { return loop.releaseBuffer(writer.buffer) }
            exchange?.requestWasWritten = true
            return commitMessageHead(writer, endsMessage: endsMessage, isHTTPS: pool.group.tls != nil)
        }
        waitingHead.append(writer.buffer.bytes(0, writer.end))
        loop.releaseBuffer(writer.buffer)
        headEndsMessage = endsMessage
        // Nothing of it has left yet.
        owesEnd = true
    }

    /// A target may end the connection, which others share, for a head that is larger than it said it takes.
    private func isBeyondPeer(_ head: Span<UInt8>) -> Bool {
        headIsTooLarge = lane?.session?.machine.value.isBeyondPeer(head) ?? false
        return headIsTooLarge
    }

    override func stageTrailers(_ lines: Span<UInt8>) {
        if let lane { lane.trailersToSend.append(lines) } else { waitingTrailers.append(lines) }
    }

    override func send(
        _ body: Buffer?, _ start: Int, _ end: Int, mayCopy: Bool, isLast: Bool
    ) -> (count: Int, flush: Flush) { sendMessage(body, start, end, isLast: isLast) }

    override func flushOutput() -> Flush { flushMessage() }

    // MARK: The end of the exchange

    override func detach(reusable: Bool) {
        connection?.served()
        end()
    }

    override func end(reset: Bool = false) {
        exchange = nil
        guard isOpen else { return }
        dropInput()
        releaseOutput()
        close()
        if let lane { lane.close(loop) } else { connection?.forget(self) ?? pool.shared.forget(self) }
    }
}
