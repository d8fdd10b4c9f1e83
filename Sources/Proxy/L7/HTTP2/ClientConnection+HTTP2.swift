import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel

/// A client's connection once it speaks HTTP/2: by ALPN, or by prior knowledge.
extension ClientConnection: HTTP2SessionOwner {
    /// Whether the first bytes are the preface of HTTP/2 with prior knowledge; `nil`: they are not. RFC 9113 §3.3
    ///
    /// - Returns: false while there are too few of them to tell.
    func beginsWithPreface() -> Bool? {
        guard let buffer = input else { return nil }
        let unread = buffer.bytes(inputCursor, inputEnd)
        let count = min(unread.count, Self.preface.count)
        for index in 0..<count where unread[index] != Self.preface[index] { return nil }
        return count == Self.preface.count
    }

    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    func multiplex() {
        (phase, wait) = (.multiplexed, .none)
        let settings = listener.compiled.settings
        let session = HTTP2Session(
            carrier: self, owner: self, role: .server, settings: HTTP2LocalSettings(settings.http2, settings.limits))
        http2 = session
        listener.counters.add(ListenerCounter.http2Connections)
        listener.counters.add(ListenerCounter.http2Open)
        waitForPeer()
        if listener.isRetired { beginGoAway() }
        session.read()
        waitForPeer()
    }

    func multiplexedReady(_ readiness: Readiness) {
        guard let http2, http2.beginTurn() else { return }
        if readiness.contains(.writable) {
            http2.mayWrite()
            endIfDone()
        }
        if isOpen, mayHaveInput || unreadCount > 0 { http2.read() }
        waitForPeer()
    }

    // MARK: Time

    /// A head that has begun must end in time. Without a stream the idle time runs; with one, the peer is asked for signs
    /// of life.
    private func waitForPeer() {
        guard let http2, wait != .goAway, wait != .linger else { return }
        if let head = http2.awaitedHead {
            // As long as it is the same one, its time runs on.
            guard wait != .head || awaitedHead != head else { return }
            (wait, awaitedHead) = (.head, head)
            armTimer(at: loop.now + listener.compiled.settings.timeouts.head)
        } else if http2.openCount == 0 {
            guard wait != .idle else { return }
            wait = .idle
            armTimer(at: min(idleLimit, ageLimit))
        } else if wait != .signOfLife {
            let interval = listener.compiled.settings.http2.pingInterval
            wait = .signOfLife
            interval > .zero ? armTimer(at: min(loop.now + interval, ageLimit)) : cancelTimer()
        }
    }

    func multiplexedTimedOut() {
        guard let http2 else { return }
        switch wait {
        case .idle: beginGoAway()
        case .signOfLife:
            // What has arrived counts, however late we come to read it.
            if mayHaveInput { http2.read() }
            guard isOpen, wait == .signOfLife else { return }
            guard mayContinue else { return beginGoAway() }
            guard http2.ping() else {
                countEnd(.pingTimeout)
                return end(reset: true)
            }
            armTimer(at: loop.now + listener.compiled.settings.http2.pingInterval)
        case .goAway: finishGoAway()
        case .head:
            if mayHaveInput { http2.read() }
            waitForPeer()
            // Anything but the same head has set the timer anew.
            guard isOpen, self.http2 != nil, wait == .head, !isTimerArmed else { return }
            awaitedHead == 0
                ? http2.fail(.settingsTimeout, .settingsTimeout) : http2.fail(.enhanceYourCalm, .headTimeout)
        case .none, .linger: break
        }
    }

    // MARK: The end

    private static var goAwayStep: Nanoseconds { .seconds(1) }

    /// Says that the end comes, and takes what is on its way already. RFC 9113 §6.8
    func beginGoAway() {
        guard let http2, wait != .goAway, !http2.isClosing else { return }
        http2.goAway(final: false)
        wait = .goAway
        armTimer(at: loop.now + Self.goAwayStep)
    }

    private func finishGoAway() {
        guard let http2, !http2.isClosing else { return }
        http2.goAway(final: true)
        endIfDone()
    }

    private func endIfDone() {
        guard let http2, http2.isClosing, http2.openCount == 0 else { return }
        http2.flush()
        guard isOpen, self.http2 != nil else { return }
        guard http2.stagedCount == 0, !hasOutput else {
            // Its last bytes are waited for as long as a client that lingers.
            wait = .linger
            return armTimer(at: loop.now + Self.lingerTime)
        }
        self.http2 = nil
        listener.counters.subtract(ListenerCounter.http2Open)
        finish(requestIsRead: false)
    }

    // MARK: Other hosts

    /// Whether a request for this host came by a connection that was made for another one, with another certificate: a
    /// client may use one for all hosts that its certificate names, and not more. RFC 9110 §15.5.20
    func misdirects(_ host: Span<UInt8>) -> Bool {
        guard let tls else { return false }
        if host.count == hostThatHolds.count {
            var isKnown = true
            for index in 0..<host.count where host[index] != hostThatHolds[index] { isKnown = false }
            if isKnown { return false }
        }
        var name: [UInt8] = []
        name.append(host)
        guard tls.holds(forHost: String(decoding: name, as: UTF8.self)) else { return true }
        hostThatHolds = name
        return false
    }

    // MARK: The session's owner

    func opened(_ lane: HTTP2Lane, hasContent: Bool, refusal: Refusal?) {
        let stream = HTTP2ClientStream(connection: self, lane: lane)
        waitForPeer()
        stream.begin(hasContent: hasContent, refusing: refusal)
        if !mayContinue || isOverClientLimit { beginGoAway() }
    }

    func streamClosed() {
        waitForPeer()
        endIfDone()
    }

    func crossedEnd() {
        if wait == .goAway { finishGoAway() }
    }

    func termsChanged() {}

    func count(_ fault: HTTP2Fault) {
        listener.counters.add(ListenerCounter.firstHTTP2Fault + Int(fault.rawValue))
    }

    private func countEnd(_ fault: HTTP2Fault) {
        listener.counters.add(ListenerCounter.firstHTTP2End + Int(fault.rawValue))
    }

    func failed(_ fault: HTTP2Fault) {
        guard let http2 else { return }
        countEnd(fault)
        worker.http2Ended(fault) { .client(listener: listener.name, address) }
        self.http2 = nil
        http2.dropAll()
        listener.counters.subtract(ListenerCounter.http2Open)
        finish(requestIsRead: false, isPatient: false)
    }

    func disconnected() { end(reset: false) }
}

extension HTTP2LocalSettings {
    init(_ http2: HTTP2Settings, _ limits: ClientLimits) {
        self.init()
        streamsMax = http2.streamsMax
        windowBytesMax = http2.windowBytesMax
        headListBytesMax = limits.headBytesMax
        fieldCountMax = limits.fieldCountMax
        // A stream's content waits in one large buffer, behind its head.
        streamWindowBytesMax = max(65_535, min(windowBytesMax, 224 * 1024 - limits.headBytesMax))
    }
}
