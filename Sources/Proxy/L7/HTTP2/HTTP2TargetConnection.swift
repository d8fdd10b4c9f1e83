import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseTLS

/// An HTTP/2 connection to a target, which the exchanges of many clients share.
///
///     connecting --TCP, TLS--> standing --GOAWAY, age, retirement--> leaving --last stream--> closed
final class HTTP2TargetConnection: Stream, HTTP2SessionOwner {
    private enum Phase { case connecting, standing, leaving }

    private let pool: TargetPool
    private var phase = Phase.connecting
    private var session: HTTP2Session?
    /// Streams that were given a place before the connection stands.
    private let early = RawTable<HTTP2TargetStream>()
    private var servedCount = 0
    /// New streams want another connection: the settings have changed, or the target is gone.
    private var isOutdated = false
    /// What it is counted under until its end; `nil` where connections are not limited.
    private var limit: TargetLimit?
    /// GOAWAY and FIN are out; what still comes is dropped, since closing would take them back.
    private var isLingering = false

    /// Where connections are limited, one is taken for it.
    init(pool: TargetPool, worker: Worker) {
        (self.pool, limit) = (pool, pool.target.limit)
        super.init(worker: worker)
    }

    func start(_ socket: consuming FileDescriptor) {
        open(socket)
        pool.counters.add(TargetCounter.connections)
        tls = pool.newSession(worker.tls)
        canSend = false
    }

    // MARK: Streams

    var load: Int { (session?.openCount ?? 0) + early.count }
    /// New streams that it could take now.
    var room: Int { takesStreams ? (session?.streamsMax ?? pool.group.settings.http2.streamsMax) - load : 0 }
    var takesStreams: Bool { isOpen && !isOutdated && phase != .leaving && session?.takesStreams ?? true }

    /// Only while there is ``room``.
    func take(_ stream: HTTP2TargetStream) {
        stream.connection = self
        guard let session, phase == .standing else { return early.append(stream) }
        cancelTimer()
        place(stream, session)
    }

    private func place(_ stream: HTTP2TargetStream, _ session: HTTP2Session) {
        guard let lane = session.openStream() else {
            stream.failure = Errno.connectionReset
            return stream.connectionFailed()
        }
        watchOverPeer()
        stream.placed(lane, isReused: servedCount > 0)
    }

    /// A stream gave up before the connection stood.
    func forget(_ stream: HTTP2TargetStream) {
        var kept: [HTTP2TargetStream] = []
        while let other = early.popLast() { if other !== stream { kept.append(other) } }
        for other in kept.reversed() { early.append(other) }
        // Nobody waits for it any more: whether it would stand is for the next who asks.
        if early.isEmpty, phase == .connecting { end() }
    }

    func served() { servedCount += 1 }

    // MARK: Events

    override func ready(_ readiness: Readiness) {
        if !readiness.isDisjoint(with: [.readable, .peerClosed, .hungUp, .failed]) { mayHaveInput = true }
        if readiness.contains(.peerClosed) { peerClosed = true }
        if isLingering { return linger() }
        if phase == .connecting { return connect(readiness) }
        guard session?.beginTurn() ?? isOpen else { return }
        if readiness.contains(.writable) {
            canSend = true
            session?.mayWrite()
        }
        if isOpen, mayHaveInput || unreadCount > 0 { session?.read() }
    }

    private func connect(_ readiness: Readiness) {
        if let tls {
            switch tls.handshake(self) {
            case .blocked(let wantsWritable):
                if wantsWritable { watchWritable() }
            case .failed(let failure): failEarly(failure)
            case .done:
                guard tls.applicationProtocol == .http2 else {
                    return failEarly(TLSFailure(.noApplicationProtocol))
                }
                stand()
            }
            return
        }
        if !readiness.isDisjoint(with: [.failed, .hungUp]) {
            failure = takeError()
            return failEarly(nil)
        }
        if readiness.contains(.writable) { stand() }
    }

    private func stand() {
        phase = .standing
        (canSend, mayHaveInput) = (true, true)
        let session = HTTP2Session(
            carrier: self, owner: self, role: .client, settings: HTTP2LocalSettings(pool.group.settings.http2))
        self.session = session
        let first = early.indices.map { early[$0] }
        while early.popLast() != nil {}
        for stream in first where stream.isOpen {
            isOpen ? place(stream, session) : stream.connectionFailed()
        }
        if isOpen { session.read() }
    }

    /// The connection does not come to stand: so say all who wait for it.
    private func failEarly(_ cause: TLSFailure?) {
        let first = early.indices.map { early[$0] }
        while early.popLast() != nil {}
        if let code = cause?.errno { failure = code }
        let code = failure
        end()
        for stream in first {
            stream.failure = code
            if cause?.errno == nil { stream.handshakeFailure = cause }
            stream.connectionFailed()
        }
    }

    // MARK: Time

    /// With streams open the target is asked for signs of life, without any the idle time runs.
    private func watchOverPeer() {
        let interval = pool.group.settings.http2.pingInterval
        if !isTimerArmed, interval > .zero { armTimer(at: loop.now + interval) }
    }

    override func timerFired() {
        if isLingering { return end() }
        guard let session else { return }
        if session.openCount == 0 { return closeGracefully() }
        if mayHaveInput { session.read() }
        guard isOpen else { return }
        guard session.ping() else {
            countEnd(.pingTimeout)
            return end(reset: true)
        }
        watchOverPeer()
    }

    // MARK: The end

    func retire() {
        isOutdated = true
        if load == 0 { closeGracefully() }
    }

    func closeGracefully() {
        if let session {
            phase = .leaving
            session.goAway(final: true)
            session.flush()
        }
        end()
    }

    private func end(reset: Bool = false) {
        guard isOpen else { return }
        phase = .leaving
        pool.shared.remove(self)
        let session = session
        self.session = nil
        closeConnection(reset: reset)
        pool.counters.subtract(TargetCounter.connections)
        session?.dropAll()
        giveBackLimit()
        pool.shared.goOn(pool)
    }

    /// Once closed, or never opened.
    func giveBackLimit() {
        guard let limit else { return }
        self.limit = nil
        limit.connectionQueue.pass(limit.connections)
    }

    // MARK: The session's owner

    func opened(_ lane: HTTP2Lane, hasContent: Bool, refusal: Refusal?) {
        // A server opens no streams: the machine has refused it.
    }

    func streamClosed() {
        guard let session, isOpen else { return }
        if session.openCount == 0 {
            // Who has never said a word is not kept for the next, nor is anybody where no next one comes: a try may
            // have begun after its target was taken out, or the last one that waited for HTTP/2.
            let hasNext = !pool.isRetired && pool.group.settings.version == .http2
            if !takesStreams || !hasNext || session.awaitedHead == 0 || isInTheWay || isTooMany {
                return closeGracefully()
            }
            armTimer(at: loop.now + pool.group.settings.timeouts.keepAliveIdle)
        }
        pool.shared.goOn(pool)
    }

    /// Somebody else needs a connection, and nobody here this one.
    private var isInTheWay: Bool { pool.isInTheWay && pool.shared.waitingCount == 0 }

    /// More idle ones than are kept.
    private var isTooMany: Bool {
        pool.shared.waitingCount == 0 && pool.shared.idleCount > pool.group.settings.limits.idleConnectionsMax
    }

    func crossedEnd() {}

    func termsChanged() {
        guard let session else { return }
        if !session.takesStreams, session.openCount == 0 { return closeGracefully() }
        pool.shared.goOn(pool)
    }

    func count(_ fault: HTTP2Fault) { pool.counters.add(TargetCounter.http2Faults) }

    private func countEnd(_ fault: HTTP2Fault) {
        pool.counters.add(TargetCounter.http2Ends)
        worker.http2Ended(fault) {
            .target(group: pool.group.settings.name ?? pool.group.settings.id, pool.target.label)
        }
    }

    func failed(_ fault: HTTP2Fault) {
        countEnd(fault)
        (phase, isLingering) = (.leaving, true)
        pool.shared.remove(self)
        let session = session
        self.session = nil
        session?.dropAll()
        guard isOpen else { return }
        shutdownWrite()
        armTimer(at: loop.now + .seconds(1))
        pool.shared.goOn(pool)
        again()
    }

    private func linger() {
        for _ in 0..<16 where isOpen && mayHaveInput {
            (inputStart, inputCursor, inputEnd) = (0, 0, 0)
            switch fill() {
            case .bytes, .blocked: break
            case .full, .endOfStream, .failed: return end()
            }
        }
        mayHaveInput ? again() : dropInput()
    }

    func disconnected() { end() }
}

extension HTTP2LocalSettings {
    /// Towards targets.
    init(_ http2: HTTP2Settings) {
        self.init()
        streamsMax = http2.streamsMax
        windowBytesMax = http2.windowBytesMax
        streamWindowBytesMax = min(windowBytesMax, 192 * 1024)
    }
}
