import PoiseHealth
import PoiseLoop
import PoiseModel
import PoisePackets
import PoisePlatform
import PoiseTLS

/// The probes of one check, one after another: a machine that waits, connects, asks, judges, and waits again.
///
///     waiting ──due──> queued ──a place is free──> connecting (TCP) ──connected──────────────────────> waiting
///        ^                                     ├─> shaking (TLS, HTTPS) ──done, nothing to ask─────────> waiting
///        │                                     │      │ done
///        │                                     └─> asking (HTTP, HTTPS) ──sent──> reading ──verdict──> ending
///        └──────────────────────────── the answer is over, or its time is ────────────────────────────────┘
///
/// A script (`Probe+Script.swift`) goes between asking and reading as often as its steps say. A connection that is kept for the
/// next probe (`Probe+Reuse.swift`) stays open while the machine waits, and the next probe begins by asking.
///
/// A handshake goes on as far as the target's bytes reach and returns: its longest step verifies a chain, a fraction
/// of a millisecond.
///
/// One object per check for all of its probes, so that a probe allocates nothing but its TLS session and what HTTP/2 needs:
/// the timer stands for the next start while it waits and for the deadline while it runs.
///
/// A connection whose answer came whole is closed with RST: neither side has more to say, and a FIN of ours would
/// leave a socket in TIME_WAIT for a minute, 120,000 of them at 2,000 probes a second. See `docs/decisions/probes.md`.
final class Probe: Channel, ProbeRunner {
    enum Phase { case waiting, queued, connecting, shaking, asking, reading, ending }

    let prober: Prober
    let check: CheckRecord
    private let request: [UInt8]
    /// The PROXY header that a connection begins with; empty without one, and where it is a part of the request.
    private let introduction: [UInt8]
    private var introduced = 0
    private let matcher: ProbeMatcher?
    private let method: String
    /// Of a check by script; while a probe runs it is somewhere in its steps.
    var script: ScriptMatcher?
    /// Behind the head of the request.
    private let content: [UInt8]
    var phase = Phase.waiting
    var sent = 0
    private var answer: ProbeAnswer?
    private var buffer: Buffer?
    /// Of a check over TLS, while a probe runs or its connection is kept.
    var session: TLSSession?
    /// Of a check over HTTP/2, from its request on.
    private var stream: ProbeStream?
    /// The kernel has taken our hello: there is a connection.
    private var hasGreeted = false
    /// Bytes at the front of the buffer.
    private var filled = 0
    private(set) var startedAt = MonotonicTime.zero
    var deadline: MonotonicTime { startedAt + check.spec.check.timeout }
    /// The timer stands for a pause of the target, in a script.
    var isPausing = false
    /// The deadline has passed once; what had arrived by then is still looked at.
    private var isLate = false
    /// FIN was announced: behind a short read comes the end.
    var peerClosed = false
    /// There was a connection, whatever came of it.
    var hasConnected = false
    /// The connection is one of an earlier probe, and nothing has come on it since: where it fails, it proves nothing.
    var isKeptConnection = false
    /// The connection waits for the next probe, and is counted as one that does.
    var isCounted = false
    /// Neither side has more to say.
    var isSaidAndDone = false

    init(_ check: CheckRecord, prober: Prober) {
        (self.check, self.prober) = (check, prober)
        let header = check.spec.introduction.map(ProbeRequest.introduction) ?? []
        switch check.spec.check.kind {
        case .tcp, .tls:
            (request, content, matcher, method) = ([], [], nil, "")
            introduction = header
        case .http(let probe):
            let bytes = ProbeRequest.bytes(probe, host: check.spec.host)
            let isSeparate = check.spec.tls != nil || check.spec.usesHTTP2 || probe.reusesConnection
            // In one send with it.
            (introduction, request) = isSeparate ? (header, bytes) : ([], header + bytes)
            let pattern = probe.bodyMatches.flatMap(prober.shelf.pattern)
            (content, matcher, method) = ([], ProbeMatcher(probe, pattern: pattern), probe.method)
        case .grpc(let probe):
            request = ProbeRequest.grpc(host: check.spec.host)
            introduction = header
            (content, matcher, method) = (GRPCAnswer.request(service: probe.service), ProbeMatcher(HTTPProbe()), "POST")
        case .script(let probe):
            (request, content, matcher, method) = ([], [], nil, "")
            introduction = header
            script = prober.shelf.dialogue(probe).map { ScriptMatcher($0) }
        case .dns, .icmp, .agent, .exec, .file: preconditionFailure("others make these probes")
        }
        super.init(loop: prober.loop)
    }

    /// Due, and not stopped since.
    var isWaitingForPlace: Bool { phase == .queued }
    func enqueue() { phase = .queued }

    /// Waits for the next start.
    func schedule() {
        phase = .waiting
        armTimer(at: prober.start(of: check))
    }

    /// The next start is earlier than it was.
    func hurry() { if phase == .waiting { schedule() } }

    /// No more probes; one that is under way is dropped.
    func stop() {
        let wasRunning = phase != .waiting && phase != .queued
        // Neither side has more to say on a connection that was kept.
        if !wasRunning { reset() }
        phase = .waiting
        release()
        releaseTimer()
        if wasRunning { prober.left() }
    }

    // MARK: Running

    /// Starts one probe; it may be over when this returns.
    func run() {
        startedAt = loop.now
        isLate = false
        check.state.probeStarted(at: loop.now)
        if isOpen { return askAgain() }
        begin()
    }

    /// From a new connection on.
    func begin() {
        (introduced, sent, filled, peerClosed, hasGreeted) = (0, 0, 0, false, false)
        (hasConnected, isSaidAndDone, isPausing) = (false, false, false)
        let tls = check.spec.tls
        let first = script?.begin()
        phase =
            tls != nil ? .shaking : first == .hear ? .reading : matcher == nil && first == nil ? .connecting : .asking
        // Plain text is no answer to the question whether a target speaks TLS.
        guard tls != nil || !check.spec.check.kind.isSecure else { return fail(Errno.protocolNotSupported) }
        do {
            open(try loop.connect(to: check.spec.address, forOneRequest: phase == .asking || phase == .shaking))
        } catch {
            return fail(error.code)
        }
        armTimer(at: deadline)
        if let tls {
            session = TLSSession(client: tls.context, peer: tls.peer, engine: prober.engine)
            shake()
        } else if phase == .asking {
            ask()
        }
        // Over HTTP/2 there is more to say than the request.
        if isOpen, phase != .waiting {
            watch(phase == .reading && stream == nil && script == nil ? [.readable] : [.readable, .writable])
        }
    }

    override func ready(_ readiness: Readiness) {
        if !readiness.isDisjoint(with: [.peerClosed, .hungUp]) { peerClosed = true }
        if readiness == .writable { hasConnected = true }
        switch phase {
        case .waiting, .queued: lookAtKeptConnection()
        case .connecting:
            let code = takeError()
            if code != 0 { return fail(code) }
            if readiness.contains(.writable), introduce() { report(.succeeded, .connected) }
        case .shaking: shake()
        case .asking:
            ask()
            // It came before our request had left, and is told of once.
            if phase == .reading, !readiness.isDisjoint(with: [.readable, .peerClosed, .hungUp]) { read() }
        case .reading, .ending:
            // A script that begins by listening.
            guard introduce() else { return }
            if stream != nil { reply() }
            read()
        }
    }

    override func timerFired() {
        switch phase {
        case .waiting: prober.due(self)
        case .queued: break
        case .connecting, .shaking, .asking, .reading:
            if pauseIsOver() { return }
            // What came in while the loop was busy counts: the events of this moment are dispatched before it fires again.
            if phase != .connecting { ready([.readable, .writable]) }
            guard isOpen, phase != .ending else { return }
            guard isLate else {
                isLate = true
                return armTimer(at: loop.now)
            }
            if searchAgain(), !isOpen || phase == .ending { return }
            if let (reason, detail) = lateScript { return report(.failed(reason), detail) }
            report(.failed(.timeout), missing)
        case .ending: if !pauseIsOver() { over() }
        }
    }

    /// What did not come in time.
    var missing: ProbeResult.Detail {
        switch phase {
        case .shaking where hasGreeted: .noHandshake
        case .asking where session != nil: .noAnswer
        case .waiting, .queued, .connecting, .shaking, .asking: .noConnection
        case .reading, .ending: .noAnswer
        }
    }

    private func shake() {
        guard let session, let tls = check.spec.tls, introduce() else { return }
        switch session.handshake(self) {
        case .blocked(let wantsWritable): hasGreeted = hasGreeted || !wantsWritable
        case .failed(let failure): fail(failure)
        case .done:
            guard tls.accepts(session.applicationProtocol) else { return report(.failed(.tlsFailed), .noHTTP2) }
            hasConnected = true
            if let first = script?.begin() { return follow(first) }
            guard matcher != nil else { return report(.succeeded, .handshake) }
            phase = .asking
            ask()
        }
    }

    /// In plain text, past any session.
    ///
    /// - Returns: whether all of it has left; where not, it goes on with the next event, or the probe has failed.
    private func introduce() -> Bool {
        let bytes = introduction
        while introduced < bytes.count {
            let result = send(bytes.span.extracting(droppingFirst: introduced))
            if let code = result.failure {
                fail(code)
                return false
            }
            if result.isBlocked { return false }
            introduced += result.count
        }
        return true
    }

    func ask() {
        guard introduce() else { return }
        if check.spec.usesHTTP2, stream == nil {
            stream = ProbeStream(request, content: content, isHTTPS: session != nil, workspace: prober.http2)
        }
        switch flush() {
        case .blocked: return
        case .failed(let failure, let code): return fail(failure, code)
        case .done: phase = .reading
        }
        if let next = script?.said() { return follow(next) }
        // What came along with the end of the handshake raises no event: a refusal of our certificate, or a FIN.
        if let session, session.mayHaveMore || peerClosed { read() }
    }

    /// Says what HTTP/2 has to say besides the request. Whether it arrives is seen by what comes back.
    private func reply() {
        guard let stream, !stream.output.isEmpty else { return }
        if case .failed = flush() { stream.output = [] }
    }

    enum Flush {
        case done, blocked
        case failed(TLSFailure?, CInt)
    }

    /// Sends what has not left yet: the request, and over HTTP/2 whatever else there is.
    func flush() -> Flush {
        let bytes = stream?.output ?? script?.words ?? request
        if let session {
            // The request leaves with the client's last word of the handshake, in one send.
            let buffer = loop.buffers.takeStandard()
            defer { loop.buffers.release(buffer) }
            while sent < bytes.count {
                let count = min(bytes.count - sent, buffer.capacity)
                buffer.write(bytes.span.extracting(sent..<sent + count), at: 0)
                let result = session.send(self, buffer, 0, count)
                if let code = result.failure { return .failed(session.failure, code) }
                sent += result.count
                // The kernel refused: it will be writable.
                if result.count < count { return .blocked }
            }
            switch session.flush(self) {
            case .done: break
            case .blocked: return .blocked
            case .failed: return .failed(session.failure, Errno.connectionReset)
            }
        } else {
            while sent < bytes.count {
                let result = send(bytes.span.extracting(droppingFirst: sent))
                if let code = result.failure { return .failed(nil, code) }
                if result.isBlocked { return .blocked }
                sent += result.count
            }
        }
        if let stream {
            stream.output.removeAll(keepingCapacity: true)
            sent = 0
        }
        return .done
    }

    func read() {
        if script != nil { return listen() }
        var turn = ReadTurn()
        while isOpen {
            guard turn.goesOn else { return again() }
            // Goes on when the kernel has taken some.
            if let stream, stream.output.count - sent > ProbeStream.outputBytesMax { return }
            let buffer = self.buffer ?? loop.buffers.takeStandard()
            self.buffer = buffer
            let answer = self.answer ?? takeAnswer()
            let room = buffer.capacity - filled
            let result =
                session?.receive(self, into: buffer, filled, buffer.capacity)
                ?? receive(into: buffer, filled, buffer.capacity)
            turn.took(result.count)
            if result.isBlocked {
                // Records without content (tickets) are nothing to us, and behind them may be more.
                guard let session, session.mayHaveMore || peerClosed, !session.hasUnsent else { return }
                continue
            }
            if let code = result.failure {
                if phase == .ending { return over() }
                // Many end a connection like that behind their last word.
                guard let code = stream?.goAway else { return fail(session?.failure, code) }
                return report(.failed(.connectionFailed), .goAway(code))
            }
            let progress = take(buffer, result, answer)
            if result.count > 0 { isKeptConnection = false }
            if phase == .reading, case .decided(let outcome, let detail) = progress {
                phase = .ending
                report(outcome, detail)
            }
            if phase == .ending, answer.isComplete { return over() }
            reply()
            // A short read has drained the socket; the next event tells of more.
            if session.map({ !$0.mayHaveMore }) ?? (result.count < room), !peerClosed { return }
        }
    }

    private func takeAnswer() -> ProbeAnswer {
        let answer = prober.takeAnswer(matcher!, method: method)
        if case .grpc(let probe) = check.spec.check.kind { answer.expect(codes: probe.codes) }
        self.answer = answer
        return answer
    }

    /// What came, or the end.
    private func take(_ buffer: Buffer, _ result: IOResult, _ answer: ProbeAnswer) -> ProbeAnswer.Progress {
        if result.isEndOfStream {
            return stream?.endOfStream(answer) ?? answer.endOfStream(isTruncated: session?.isTruncated ?? false)
        }
        let end = filled + result.count
        let progress = stream?.read(buffer, end: end, now: loop.now, into: answer) ?? answer.read(buffer, end: end)
        filled = stream?.kept ?? answer.kept
        return progress
    }

    // MARK: Ending

    private func fail(_ code: CInt) {
        let (outcome, detail) = ProbeResult.failure(code)
        report(outcome, detail)
    }

    private func fail(_ failure: TLSFailure) {
        if let code = failure.errno { return fail(code) }
        report(.failed(TargetReason(failure.reason)), .tls(failure))
    }

    /// A failure of the session, or of the socket under it.
    func fail(_ failure: TLSFailure?, _ code: CInt) {
        if let failure { fail(failure) } else { fail(code) }
    }

    func report(_ outcome: ProbeResult.Outcome, _ detail: ProbeResult.Detail) {
        if isKeptConnection, case .failed(let reason) = outcome, reason != .timeout { return startOver() }
        var result = ProbeResult(outcome, detail, startedAt: startedAt, duration: loop.now - startedAt)
        result.introduction = check.spec.introduction
        prober.ended(check, result, at: loop.now)
        if phase != .ending, phase != .waiting { over() }
    }

    func over() {
        guard phase != .waiting else { return }
        if answer?.leavesConnection == true, keepConnection() { return }
        if let stream {
            stream.close()
            reply()
        }
        if answer?.isWhole == true || isSaidAndDone { reset() } else { session?.sendCloseNotify(self) }
        release()
        schedule()
        prober.left()
    }

    /// Closes, and gives everything back.
    func release() {
        giveBackBuffers()
        session?.free()
        (session, stream) = (nil, nil)
        isKeptConnection = false
        script?.end()
        close()
        // Behind the close: a free place may start this very probe.
        stopCounting()
    }

    func giveBackBuffers() {
        if let buffer { loop.buffers.release(buffer) }
        if let answer { prober.giveBack(answer) }
        (buffer, answer, filled) = (nil, nil, 0)
    }
}
