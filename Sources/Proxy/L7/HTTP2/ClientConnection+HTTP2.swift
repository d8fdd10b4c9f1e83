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
        phase = .multiplexed
        let settings = listener.compiled.settings
        let session = HTTP2Session(
            carrier: self, owner: self, role: .server, settings: HTTP2LocalSettings(settings.http2, settings.limits))
        http2 = session
        listener.counters.add(ListenerCounter.http2Connections)
        listener.counters.add(ListenerCounter.http2Open)
        waitForStreams()
        if listener.isRetired { beginGoAway() }
        session.read()
    }

    func multiplexedReady(_ readiness: Readiness) {
        guard let http2 else { return }
        if readiness.contains(.writable) {
            http2.mayWrite()
            endIfDone()
        }
        if isOpen, mayHaveInput || unreadCount > 0 { http2.read() }
    }

    // MARK: Time

    /// Without a stream the idle time runs; with one, the peer is asked for signs of life.
    private func waitForStreams() {
        guard let http2, wait != .goAway, wait != .linger else { return }
        if http2.openCount == 0 {
            wait = .idle
            armTimer(at: min(loop.now + listener.compiled.settings.timeouts.idle, ageLimit))
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
            guard http2.ping() else { return end(reset: true) }
            armTimer(at: loop.now + listener.compiled.settings.http2.pingInterval)
        case .goAway: finishGoAway()
        case .none, .head, .linger: break
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
        guard let http2 else { return }
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

    // MARK: The session's owner

    func opened(_ lane: HTTP2Lane, hasContent: Bool, refusal: Refusal?) {
        let stream = HTTP2ClientStream(connection: self, lane: lane)
        waitForStreams()
        stream.begin(hasContent: hasContent, refusing: refusal)
        if !mayContinue { beginGoAway() }
    }

    func streamClosed() {
        waitForStreams()
        endIfDone()
    }

    func termsChanged() {}

    func count(_ fault: HTTP2Fault) {
        listener.counters.add(ListenerCounter.firstMisbehaviour + Int(fault.rawValue))
    }

    func failed() {
        guard let http2 else { return }
        self.http2 = nil
        http2.dropAll()
        listener.counters.subtract(ListenerCounter.http2Open)
        finish(requestIsRead: false)
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
        streamWindowBytesMax = min(windowBytesMax, 192 * 1024)
    }
}
