import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePackets
import PoisePlatform
import PoiseTLS

/// A connection to a target: carries one exchange at a time, or waits in its pool for the next.
final class TargetConnection: TargetStream {
    var poolPosition = 0
    /// TLS comes before the first request.
    private var isShakingHands = false
    private(set) var isPooled = false
    /// What it is counted under until its end; `nil` where connections are not limited.
    private(set) var limit: TargetLimit?
    /// Who alone may use it again: the client whom its PROXY header names; `nil` for a connection without one.
    private(set) var owner: OwnConnections?
    /// Whom the header names.
    private(set) var introducedSource: ProxyProtocolHeader.Endpoint?
    /// The settings that the header was made by.
    private(set) var introductionEpoch = 0
    /// Of the header, where TLS comes behind it: what the kernel has not taken yet.
    private var introduction: [UInt8] = []

    /// Where connections are limited, one is taken for it.
    init(pool: TargetPool, worker: Worker) {
        limit = pool.target.limit
        super.init(pool: pool, worker: worker)
    }

    /// Starts to connect. Bytes may be sent at once: on fast paths the handshake is over before this returns.
    func start(_ socket: consuming FileDescriptor, for exchange: Exchange) {
        self.exchange = exchange
        open(socket)
        if let session = pool.newSession(worker.tls) {
            tls = session
            (isShakingHands, canSend) = (true, false)
        }
        pool.counters.add(TargetCounter.connections)
    }

    /// The header comes before anything else: before the handshake, or in one send with the first request.
    func introduce(_ header: [UInt8], of source: ProxyProtocolHeader.Endpoint?, keptBy owner: OwnConnections) {
        (self.owner, introducedSource, introductionEpoch) = (owner, source, pool.introductionEpoch)
        guard tls == nil else { return introduction = header }
        var writer = stage(room: header.count)
        writer.append(header.span)
        commit(writer)
    }

    func attach(_ exchange: Exchange) {
        self.exchange = exchange
        sentBytes = 0
        isReused = true
        pool.counters.add(TargetCounter.reuses)
    }

    /// Back into the pool, or closed.
    override func detach(reusable: Bool) {
        exchange = nil
        if reusable, isOpen, !peerClosed, unreadCount == 0, !hasOutput, isDrained {
            dropInput()
            releaseOutput()
            pool.put(self)
        } else {
            end()
        }
    }

    /// Whether nothing more is to be read. An event may have come for bytes that were read before it was delivered, so
    /// the socket is asked where that is in doubt: closing instead cost every second connection of bulk traffic.
    private var isDrained: Bool { !mayHaveInput || fill() == .blocked }

    override func end(reset: Bool = false) {
        exchange = nil
        guard isOpen else { return }
        closeConnection(reset: reset)
        pool.counters.subtract(TargetCounter.connections)
        giveBackLimit()
    }

    /// Once closed, or never opened.
    func giveBackLimit() {
        guard let limit else { return }
        self.limit = nil
        limit.connectionQueue.pass(limit.connections)
    }

    /// How long it may stay idle: the setting, or less where the target says so.
    func idleTime(_ setting: Nanoseconds) -> Nanoseconds { announcedIdle.map { min($0, setting) } ?? setting }

    func enterPool(until deadline: MonotonicTime) {
        isPooled = true
        armTimer(at: deadline)
    }

    /// Out of its pool, and closed.
    func closeIdle() {
        pool.remove(self)
        leavePool()
        end()
    }

    func leavePool() {
        isPooled = false
        cancelTimer()
    }

    // MARK: Events

    override func ready(_ readiness: Readiness) {
        if isPooled {
            guard !staysIdle(readiness) else { return }
            // Whatever an idle connection has to say, it cannot carry another request.
            return closeIdle()
        }
        if isShakingHands { return shakeHands(readiness) }
        if !readiness.isDisjoint(with: [.readable, .peerClosed, .hungUp, .failed]) { mayHaveInput = true }
        if readiness.contains(.peerClosed) { peerClosed = true }
        if readiness.contains(.writable) { canSend = true }
        guard let exchange else { return end() }
        exchange.targetIsReady(self, readiness)
    }

    override func fill(large: Bool = false) -> Fill {
        let result = super.fill(large: large)
        // With TLS 1.3 the target looks at our certificate after we are done: its refusal is the first thing it says.
        if result == .failed, !isReused, let cause = tls?.failure, cause.reason == .ourCertificateRefused {
            handshakeFailure = cause
        }
        return result
    }

    private func shakeHands(_ readiness: Readiness) {
        guard let tls, let exchange else { return end() }
        if !introduction.isEmpty {
            switch sendIntroduction() {
            case .done: break
            case .blocked: return
            case .failed: return exchange.targetIsReady(self, .failed)
            }
        }
        switch tls.handshake(self) {
        case .blocked(let wantsWritable):
            if wantsWritable { watchWritable() }
        case .failed(let failure):
            // A refused connection shows itself at the first send.
            if let code = failure.errno { self.failure = code } else { handshakeFailure = failure }
            exchange.targetIsReady(self, .failed)
        case .done:
            isShakingHands = false
            (canSend, mayHaveInput) = (true, true)
            exchange.targetIsReady(self, .writable)
        }
    }

    /// In plain text, past the session.
    private func sendIntroduction() -> Flush {
        while !introduction.isEmpty {
            let rest = introduction
            let result = send(rest.span)
            if let code = result.failure {
                failure = code
                return .failed
            }
            if result.isBlocked {
                watchWritable()
                return .blocked
            }
            introduction.removeFirst(result.count)
        }
        return .done
    }

    /// Whether an event of an idle connection says nothing new: that it may send, or that there are bytes, which were
    /// read before the event was delivered.
    private func staysIdle(_ readiness: Readiness) -> Bool {
        guard readiness.isDisjoint(with: [.peerClosed, .hungUp, .failed]) else { return false }
        if readiness.contains(.writable) { canSend = true }
        guard readiness.contains(.readable) else { return true }
        mayHaveInput = true
        defer { dropInput() }
        return fill() == .blocked
    }

    override func timerFired() {
        if isPooled { return closeIdle() }
        exchange?.targetTimedOut()
    }
}
