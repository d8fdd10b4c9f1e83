import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePackets
import PoisePlatform
import PoiseTLS

/// A client's connection: reads requests one after another and runs one exchange at a time.
///
///     preamble --> handshake --> reading --head complete--> exchanging --answer sent--> reading | lingering | closed
///                      |            `--preface of HTTP/2--> multiplexed    `--101--> (the exchange is a tunnel) --> closed
///                      `--ALPN h2--> multiplexed
///
/// Pipelined requests wait in the input buffer, so answers are in order by construction.
final class ClientConnection: ClientStream {
    enum Phase { case preamble, handshake, reading, exchanging, lingering, multiplexed }
    /// What the one timer stands for.
    enum Wait { case none, head, idle, linger, signOfLife, goAway }

    var phase = Phase.reading
    var wait = Wait.none
    /// Holds the head that is being read, and then the exchange; `nil` between requests.
    private var exchange: Exchange?
    /// What this connection is counted by where connections per client are limited; `nil` where it is not counted.
    private var countedAddress: IPAddress?
    /// The last host that was found to belong on this connection.
    var hostThatHolds: [UInt8] = []
    /// Where it speaks HTTP/2.
    var http2: HTTP2Session?
    /// There: what `Wait.head` stands for.
    var awaitedHead: UInt32 = 0
    /// Target connections of its own; `nil` until a group wants one.
    private(set) var own: OwnConnections?
    private let openedAt: MonotonicTime
    private(set) var isOverClientLimit = false
    /// Index in the listener's list.
    var position = 0
    private(set) var requests = 0
    /// When lingering ends, whatever the client sends, and how much of that was dropped.
    private var lingersUntil = MonotonicTime.zero
    private var lingeredBytes = 0
    private var lingerBytesMax = 0
    /// In ``readRequests()``: an exchange that ends at once returns there instead of recursing.
    private var isReading = false

    init(listener: ListenerRuntime, accepting: Acceptor, accepted: Accepted) {
        openedAt = listener.worker.loop.now
        super.init(
            listener: listener, address: accepted.peer?.ip.unmapped, port: accepted.peer?.port ?? 0,
            localPort: accepting.port)
    }

    /// Reads straight away: the request is often there with the handshake's last packet.
    func start(_ socket: consuming FileDescriptor) {
        open(socket)
        listener.enter(self)
        let compiled = listener.compiled
        if compiled.settings.proxyProtocol == .required { phase = .preamble } else { identify() }
        armTimer(at: loop.now + compiled.settings.timeouts.head)
        wait = .head
        if phase == .preamble { readPreamble() } else { beginReading() }
        if isOpen { watch([.readable]) }
    }

    /// The client's address is known for good: from accept, or from the PROXY protocol.
    private func identify() {
        if let limit = listener.compiled.settings.limits.connectionsPerClientMax, let address {
            countedAddress = address
            isOverClientLimit = !worker.limits.enter(client: address, limit: limit)
            if isOverClientLimit { listener.countRefusal(.clientLimit) }
        }
        addressText = ClientAddressText(address)
        isTrusted =
            address.map { address in
                listener.compiled.settings.forwarding.trustedProxies.contains { $0.contains(address) }
            } ?? false
    }

    // MARK: Towards targets

    override var carrier: ClientConnection { self }

    /// Where the client connected to, as a PROXY header or else the socket tells; `nil` for a unix socket.
    var destination: ProxyProtocolHeader.Endpoint? {
        if let announced = announced?.destination {
            return .init(address: announced.address.unmapped, port: announced.port)
        }
        return localAddress.map { .init(address: $0.ip.unmapped, port: $0.port) }
    }

    func ownConnections() -> OwnConnections {
        if let own { return own }
        let made = OwnConnections()
        own = made
        return made
    }

    // MARK: Events

    override func ready(_ readiness: Readiness) {
        if !readiness.isDisjoint(with: [.readable, .peerClosed, .hungUp, .failed]) { mayHaveInput = true }
        if readiness.contains(.peerClosed) { peerClosed = true }
        if readiness.contains(.writable) { canSend = true }
        switch phase {
        case .preamble: readPreamble()
        case .handshake: shakeHands()
        case .reading: readRequests()
        case .exchanging: exchange?.clientIsReady(readiness)
        case .lingering: linger()
        case .multiplexed: multiplexedReady(readiness)
        }
    }

    override func timerFired() {
        if phase == .exchanging {
            exchange?.clientTimedOut()
            return
        }
        switch wait {
        case .none: break
        case .idle where phase == .multiplexed, .head where phase == .multiplexed, .signOfLife, .goAway:
            multiplexedTimedOut()
        case .idle, .linger: end(reset: false)
        case .head:
            // The request may be here, only not read yet.
            if mayHaveInput, phase == .reading { readRequests() }
            guard isOpen, wait == .head, phase == .reading || phase == .preamble || phase == .handshake else { return }
            if let exchange, exchange.hasBegun {
                wait = .none
                phase = .exchanging
                exchange.refuse(.headTimeout)
            } else {
                if phase == .preamble { listener.countRefusal(.preamble) }
                if phase == .handshake { listener.countRefusal(.handshakeTimeout) }
                end(reset: false)
            }
        }
    }

    // MARK: TLS

    /// The client is known: TLS comes next where the listener has it, else the first request.
    private func beginReading() {
        guard let context = listener.compiled.tls else {
            phase = .reading
            return readRequests()
        }
        let session = TLSSession(server: context, engine: worker.tls)
        tls = session
        phase = .handshake
        if unreadCount > 0, let buffer = input {
            session.take(buffer.bytes(inputCursor, inputEnd))
            dropInput()
        }
        shakeHands()
    }

    private func shakeHands() {
        guard let tls else { return }
        switch tls.handshake(self) {
        case .blocked(let wantsWritable):
            if wantsWritable { watchWritable() }
        case .failed(let failure):
            listener.countHandshakeFailure(failure.reason)
            if failure.reason == .plainHTTP { return refusePlainText() }
            end(reset: false)
        case .done:
            listener.counters.add(tls.wasResumed ? ListenerCounter.resumedHandshakes : ListenerCounter.fullHandshakes)
            mayHaveInput = true
            phase = .reading
            // The time for the first head begins now.
            armTimer(at: loop.now + listener.compiled.settings.timeouts.head)
            if tls.applicationProtocol == .http2 { return multiplex() }
            readRequests()
        }
    }

    /// A client that speaks plain HTTP to the port of TLS can read an answer only in plain text.
    private func refusePlainText() {
        tls?.free()
        tls = nil
        var writer = stage(room: 512)
        let text = "400 plain_http: this port speaks HTTPS, ask with https:// instead\n"
        writer.append(text: "HTTP/1.1 400 Bad Request\r\nServer: poise\r\nDate: ")
        writer.append(worker.currentDate().span)
        writer.append(text: "\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n")
        writer.append(text: "Connection: close\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)")
        commit(writer)
        _ = flushOutput()
        finish(requestIsRead: false)
    }

    // MARK: Reading requests

    private static var requestsPerTurn: Int { 64 }

    private func readRequests() {
        guard !isReading else { return }
        isReading = true
        defer { isReading = false }
        let last = requests + Self.requestsPerTurn
        while phase == .reading, isOpen {
            // Answers of our own return here at once: a client that has always more must not hold the others up.
            if requests >= last { return again() }
            if unreadCount > 0 {
                guard parseHead() else { continue }
            }
            guard mayHaveInput else { return waitForRequest() }
            if inputStart == inputCursor, inputCursor == inputEnd { (inputStart, inputCursor, inputEnd) = (0, 0, 0) }
            switch fill() {
            case .bytes: continue
            case .blocked: return waitForRequest()
            case .full:
                // A head that began behind another request, or one larger than a standard buffer.
                let distance = compactInput(large: inputStart == 0)
                exchange?.shiftHead(by: distance)
            case .endOfStream, .failed:
                return end(reset: false)
            }
        }
    }

    /// - Returns: true when more bytes are needed.
    private func parseHead() -> Bool {
        if requests == 0, exchange == nil, tls == nil, let preface = beginsWithPreface() {
            if preface { multiplex() }
            return true
        }
        let exchange = self.exchange ?? takeExchange()
        // Bound first: a span of an optional property's value makes the optimiser fail.
        guard let buffer = input else { return true }
        let result = exchange.parseHead(buffer, from: inputStart, to: inputEnd)
        switch result {
        case .needMore:
            return true
        case .complete:
            inputCursor = exchange.head.headEnd
            wait = .none
            cancelTimer()
            phase = .exchanging
            requests += 1
            if isOverClientLimit { exchange.refuse(.tooManyConnections) } else { exchange.begin() }
            return false
        case .refused(let refusal):
            wait = .none
            cancelTimer()
            phase = .exchanging
            exchange.refuse(.refusedRequest, refusal)
            return false
        }
    }

    private func takeExchange() -> Exchange {
        let exchange = worker.takeExchange()
        exchange.reset(client: self, listener: listener)
        self.exchange = exchange
        return exchange
    }

    /// Nothing more to read now: the head's deadline runs from its first byte, else the idle time.
    private func waitForRequest() {
        if let exchange, exchange.hasBegun {
            if wait != .head {
                wait = .head
                armTimer(at: loop.now + listener.compiled.settings.timeouts.head)
            }
            return
        }
        if let exchange, unreadCount == 0 {
            self.exchange = nil
            exchange.release()
        }
        releaseInputIfEmpty()
        guard wait != .idle, requests > 0 else { return }
        wait = .idle
        armTimer(at: idleLimit)
    }

    /// When a connection that falls idle now is closed. Varied, so that those of one moment do not end in one.
    var idleLimit: MonotonicTime {
        let idle = listener.compiled.settings.timeouts.idle
        let spread = idle.count / 100 * listener.compiled.idleJitterPercent
        let jitter = spread > 0 ? Int64(worker.random() % UInt64(2 * spread + 1)) - spread : 0
        return loop.now + idle + Nanoseconds(jitter)
    }

    // MARK: The end of an exchange

    override func exchangeEnded(keepAlive: Bool, requestIsRead: Bool) {
        exchange = nil
        guard keepAlive, isOpen else { return finish(requestIsRead: requestIsRead) }
        phase = .reading
        inputStart = inputCursor
        if isReading { return }
        if unreadCount > 0 || mayHaveInput { readRequests() } else { waitForRequest() }
    }

    override func exchangeAbandoned(reset: Bool) {
        exchange = nil
        end(reset: reset)
    }

    override var mayContinue: Bool { !listener.isRetired && loop.now < ageLimit }

    /// No request is taken after this time.
    var ageLimit: MonotonicTime { openedAt + listener.compiled.settings.timeouts.connectionAge }

    /// FIN first, then read and drop what the client still sends: closing with unread bytes would send RST, which
    /// takes the answer back from a client that has not read it yet. RFC 9112 §9.6
    ///
    /// - Parameter isPatient: false for a client that misbehaved: it gets a moment to read why.
    func finish(requestIsRead: Bool, isPatient: Bool = true) {
        guard isOpen else { return }
        // No request comes any more.
        own?.close()
        let isDrained = requestIsRead && unreadCount == 0 && !mayHaveInput
        dropInput()
        guard !isDrained else { return end(reset: false) }
        phase = .lingering
        wait = .linger
        tls?.sendCloseNotify(self)
        shutdownWrite()
        lingersUntil =
            loop.now + (listener.isRetired || !isPatient ? Self.lingerTimeOfImpatient : Self.lingerTime)
        lingerBytesMax = isPatient ? 256 << 20 : 1 << 20
        waitForEnd()
        linger()
    }

    /// As nginx: long enough for an upload whose sender looks for the answer only then.
    static var lingerTime: Nanoseconds { .seconds(30) }
    /// Nobody waits longer for a listener that is gone, for the end of the process, or for an attacker.
    private static var lingerTimeOfImpatient: Nanoseconds { .seconds(2) }
    /// Without a byte.
    private static var lingerSilence: Nanoseconds { .seconds(5) }

    private func waitForEnd() { armTimer(at: min(loop.now + Self.lingerSilence, lingersUntil)) }

    private func linger() {
        var budget = 16
        let before = lingeredBytes
        while mayHaveInput, budget > 0, isOpen {
            budget -= 1
            switch fill(large: true) {
            case .bytes:
                lingeredBytes += inputEnd
                (inputStart, inputCursor, inputEnd) = (0, 0, 0)
            case .blocked: break
            case .full, .endOfStream, .failed: return end(reset: false)
            }
        }
        guard lingeredBytes <= lingerBytesMax else { return end(reset: false) }
        if lingeredBytes > before { waitForEnd() }
        if mayHaveInput { again() } else { dropInput() }
    }

    /// Closes for good. The exchange, if any, has ended already.
    func end(reset: Bool) {
        guard isOpen else { return }
        if let exchange {
            self.exchange = nil
            exchange.clientVanished()
        }
        if let http2 {
            self.http2 = nil
            http2.dropAll()
            listener.counters.subtract(ListenerCounter.http2Open)
        }
        guard isOpen else { return }
        own?.close()
        closeConnection(reset: reset)
        listener.leave(self)
        if let countedAddress {
            worker.limits.leave(client: countedAddress)
        }
    }

    /// The exchange whose answer is not over; `nil` while a request is awaited or read.
    private var exchangeInProgress: Exchange? { phase == .exchanging ? exchange : nil }

    /// Calls `body` with each exchange whose answer is not over.
    func forEachExchange(_ body: (Exchange) -> Void) {
        if let exchangeInProgress { body(exchangeInProgress) }
        http2?.forEachExchange(body)
    }

    /// The listener has had its time to drain: whatever is in progress is cut.
    func endByDeadline() {
        exchangeInProgress?.endByDeadline()
        http2?.forEachExchange { $0.endByDeadline() }
        http2?.flush()
        end(reset: false)
    }

    /// The listener is gone: an idle connection closes, a busy one ends with its answer.
    func listenerRetired() {
        if phase == .reading, exchange == nil || exchange?.hasBegun == false {
            // What has arrived is still answered.
            if mayHaveInput { readRequests() }
            if isOpen, phase == .reading, exchange == nil { end(reset: false) }
        }
        if phase == .multiplexed { beginGoAway() }
        if phase == .lingering {
            lingersUntil = min(lingersUntil, loop.now + Self.lingerTimeOfImpatient)
            waitForEnd()
        }
    }

    // MARK: PROXY protocol

    /// The header must come first and whole; it names the client. Anything else ends the connection.
    private func readPreamble() {
        while isOpen, phase == .preamble {
            if unreadCount > 0, let buffer = input {
                switch ProxyProtocolHeader.parse(buffer.bytes(inputCursor, inputEnd)) {
                case .complete(let header, let consumed):
                    inputCursor += consumed
                    inputStart = inputCursor
                    if let endpoints = header.streamEndpoints {
                        address = endpoints.source.address.unmapped
                        port = endpoints.source.port
                        localPort = endpoints.destination.port
                    }
                    announced = AnnouncedClient(header)
                    identify()
                    return beginReading()
                case .refused: return refusePreamble()
                case .needMore: break
                }
            }
            guard mayHaveInput else { return }
            switch fill() {
            case .bytes: continue
            case .blocked: return
            case .full: return refusePreamble()
            case .endOfStream, .failed: return end(reset: false)
            }
        }
    }

    private func refusePreamble() {
        listener.countRefusal(.preamble)
        end(reset: true)
    }
}
