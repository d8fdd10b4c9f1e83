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
        wasRefused = lane?.code == .refusedStream
        if failure == 0 { failure = Errno.connectionReset }
        mayHaveInput = true
        guard let exchange else { return end() }
        exchange.targetIsReady(self, .readable)
    }

    /// The connection that it waits for could not be made.
    func connectionFailed() { exchange?.targetIsReady(self, .failed) }

    override func connectFailure() -> CInt { failure }

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
            exchange?.requestWasWritten = true
            return commitMessageHead(writer, endsMessage: endsMessage, isHTTPS: pool.group.tls != nil)
        }
        waitingHead.append(writer.buffer.bytes(0, writer.end))
        loop.releaseBuffer(writer.buffer)
        headEndsMessage = endsMessage
        // Nothing of it has left yet.
        owesEnd = true
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
        let (lane, connection) = (lane, connection)
        self.connection = nil
        if let lane { lane.close(loop) } else { connection?.forget(self) ?? pool.shared.forget(self) }
    }
}
