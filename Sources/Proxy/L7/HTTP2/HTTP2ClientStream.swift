import PoiseHTTP
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseTLS

/// One stream of a client's HTTP/2 connection: one exchange.
final class HTTP2ClientStream: ClientStream, HTTP2Stream {
    private let connection: ClientConnection
    private(set) var lane: HTTP2Lane?
    /// `nil` once its answer is over.
    private(set) var exchange: Exchange?

    init(connection: ClientConnection, lane: HTTP2Lane) {
        (self.connection, self.lane) = (connection, lane)
        super.init(
            listener: connection.listener, address: connection.address, port: connection.port,
            localPort: connection.localPort, framesMessages: true)
        (addressText, isTrusted, announced) = (connection.addressText, connection.isTrusted, connection.announced)
        openWithoutSocket()
        lane.stream = self
    }

    /// Its request's head has come and waits in the lane, maybe with more behind it.
    ///
    /// - Parameter hasContent: the message goes on behind its head.
    func begin(hasContent: Bool, refusing reason: Refusal? = nil) {
        let exchange = worker.takeExchange()
        exchange.reset(client: self, listener: listener)
        self.exchange = exchange
        if let reason { return exchange.refuse(.refusedRequest, reason) }
        guard fill(large: false) == .bytes, let buffer = input else {
            return exchange.refuse(.refusedRequest, Refusal(.badRequestLine))
        }
        switch exchange.parseHead(buffer, from: inputStart, to: inputEnd) {
        case .complete:
            inputCursor = exchange.head.headEnd
            exchange.endHead(hasContent: hasContent)
            let host = exchange.head.host
            if connection.misdirects(buffer.bytes(host.start, host.end)) { return exchange.refuse(.misdirected) }
            connection.isOverClientLimit ? exchange.refuse(.tooManyConnections) : exchange.begin()
        case .refused(let refusal): exchange.refuse(.refusedRequest, refusal)
        case .needMore: exchange.refuse(.refusedRequest, Refusal(.badRequestLine))
        }
    }

    // MARK: From the connection

    override func ready(_ readiness: Readiness) { exchange?.clientIsReady(readiness) }

    override func timerFired() { exchange?.clientTimedOut() }

    func visitExchange(_ body: (Exchange) -> Void) {
        if let exchange { body(exchange) }
    }

    func inputCame() {
        mayHaveInput = true
        exchange?.clientIsReady(.readable)
    }

    func mayWrite() {
        canSend = true
        exchange?.clientIsReady(.writable)
    }

    func peerReset() {
        if failure == 0 { failure = Errno.connectionReset }
        canSend = false
        mayHaveInput = false
        guard let exchange else { return }
        self.exchange = nil
        exchange.clientVanished()
        closeStream()
    }

    // MARK: To the connection

    override var carrier: ClientConnection { connection }
    override var security: TLSSession? { connection.tls }
    override var mayContinue: Bool { connection.mayContinue }
    override var deliveredBytes: Int { sentBytes }
    override var stagedCount: Int { outputEnd - outputStart + (lane?.session?.stagedCount ?? 0) }
    override var sendRoom: Int { messageRoom }
    override var receivedTrailers: [UInt8] { lane?.trailers ?? [] }
    override var messageHasEnded: Bool { lane?.isEmptyForGood ?? false }
    override var receivedNeverIndexed: UInt64 { lane?.neverIndexed ?? 0 }

    override func fill(large: Bool) -> Fill { lane?.fill(self) ?? .failed }
    override func stageHead(room: Int) -> BufferWriter { messageHeadWriter(room: room) }
    override func commitHead(_ writer: BufferWriter, endsMessage: Bool) {
        commitMessageHead(writer, endsMessage: endsMessage)
    }
    override func stageTrailers(_ lines: Span<UInt8>) { lane?.trailersToSend.append(lines) }
    override func send(
        _ body: Buffer?, _ start: Int, _ end: Int, mayCopy: Bool, isLast: Bool
    ) -> (count: Int, flush: Flush) { sendMessage(body, start, end, isLast: isLast) }
    override func flushOutput() -> Flush { flushMessage() }

    // MARK: The end of the exchange

    override func exchangeEnded(keepAlive: Bool, requestIsRead: Bool) {
        exchange = nil
        closeStream(drains: !requestIsRead)
    }

    override func exchangeAbandoned(reset: Bool) {
        exchange = nil
        if failure == 0 { lane?.session?.reset(lane!.slot, reset ? .internalError : .cancel) }
        closeStream()
    }

    private func closeStream(drains: Bool = false) {
        guard isOpen else { return }
        dropInput()
        releaseOutput()
        close()
        // Last: the connection may end with it.
        drains ? lane?.drain(loop) : lane?.close(loop)
    }
}
