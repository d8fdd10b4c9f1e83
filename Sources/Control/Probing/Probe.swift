import PoiseHealth
import PoiseLoop
import PoiseModel
import PoisePlatform

/// The probes of one check, one after another: a machine that waits, connects, asks, judges, and waits again.
///
///     waiting ──due──> queued ──a place is free──> connecting (TCP) ──connected──> waiting
///        ^                                     └─> asking (HTTP) ──sent──> reading ──verdict──> ending
///        └──────────────────────────── the answer is over, or its time is ────────────────────────┘
///
/// One object per check for all of its probes, so that a probe allocates nothing: the timer stands for the next start
/// while it waits and for the deadline while it runs.
///
/// A connection whose answer came whole is closed with RST: neither side has more to say, and a FIN of ours would
/// leave a socket in TIME_WAIT for a minute, 120,000 of them at 2,000 probes a second. See `docs/decisions/probes.md`.
final class Probe: Channel {
    private enum Phase { case waiting, queued, connecting, asking, reading, ending }

    private let prober: Prober
    private let check: CheckRecord
    private let request: [UInt8]
    private let matcher: ProbeMatcher?
    private let method: String
    private var phase = Phase.waiting
    private var sent = 0
    private var answer: ProbeAnswer?
    private var buffer: Buffer?
    /// Bytes at the front of the buffer.
    private var filled = 0
    private var startedAt = MonotonicTime.zero
    /// The deadline has passed once; what had arrived by then is still looked at.
    private var isLate = false
    /// FIN was announced: behind a short read comes the end.
    private var peerClosed = false

    init(_ check: CheckRecord, prober: Prober) {
        (self.check, self.prober) = (check, prober)
        switch check.spec.check.kind {
        case .tcp, .tls: (request, matcher, method) = ([], nil, "")
        case .http(let probe):
            request = ProbeRequest.bytes(probe, host: check.spec.host)
            (matcher, method) = (ProbeMatcher(probe), probe.method)
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

    /// No more probes; one that is under way is dropped.
    func stop() {
        let wasRunning = phase != .waiting && phase != .queued
        phase = .waiting
        release()
        releaseTimer()
        if wasRunning { prober.left() }
    }

    // MARK: Running

    /// Starts one probe; it may be over when this returns.
    func run() {
        startedAt = loop.now
        (sent, filled, isLate, peerClosed) = (0, 0, false, false)
        check.state.probeStarted(at: loop.now)
        phase = matcher == nil ? .connecting : .asking
        // Plain text is no answer to the question whether a target speaks TLS.
        guard !check.spec.check.kind.isSecure else { return fail(Errno.protocolNotSupported) }
        do {
            open(try loop.connect(to: check.spec.address, forOneRequest: phase == .asking))
        } catch {
            return fail(error.code)
        }
        armTimer(at: loop.now + check.spec.check.timeout)
        if phase == .asking { ask() }
        if isOpen { watch(phase == .reading ? [.readable] : [.readable, .writable]) }
    }

    override func ready(_ readiness: Readiness) {
        if !readiness.isDisjoint(with: [.peerClosed, .hungUp]) { peerClosed = true }
        switch phase {
        case .waiting, .queued: break
        case .connecting:
            let code = takeError()
            if code != 0 { return fail(code) }
            if readiness.contains(.writable) { report(.succeeded, .connected) }
        case .asking: ask()
        case .reading, .ending: read()
        }
    }

    override func timerFired() {
        switch phase {
        case .waiting: prober.due(self)
        case .queued: break
        case .connecting, .asking, .reading:
            // What came in while the loop was busy counts: the events of this moment are dispatched before it fires again.
            if phase != .connecting { ready([.readable, .writable]) }
            guard isOpen, phase != .ending else { return }
            guard isLate else {
                isLate = true
                return armTimer(at: loop.now)
            }
            report(.failed(.timeout), phase == .reading ? .noAnswer : .noConnection)
        case .ending: over()
        }
    }

    private func ask() {
        let request = self.request
        while sent < request.count {
            let result = send(request.span.extracting(droppingFirst: sent))
            if let code = result.failure { return fail(code) }
            if result.isBlocked { return }
            sent += result.count
        }
        phase = .reading
    }

    private func read() {
        while isOpen {
            let buffer = self.buffer ?? loop.buffers.takeStandard()
            self.buffer = buffer
            let answer = self.answer ?? prober.takeAnswer(matcher!, method: method)
            self.answer = answer
            let room = buffer.capacity - filled
            let result = receive(into: buffer, filled, buffer.capacity)
            if result.isBlocked { return }
            if let code = result.failure { return phase == .ending ? over() : fail(code) }
            let progress: ProbeAnswer.Progress
            if result.isEndOfStream {
                progress = answer.endOfStream()
            } else {
                progress = answer.read(buffer, end: filled + result.count)
                filled = answer.kept
            }
            if phase == .reading, case .decided(let outcome, let detail) = progress {
                phase = .ending
                report(outcome, detail)
            }
            if phase == .ending, answer.isComplete { return over() }
            // A short read has drained the socket; the next event tells of more.
            if result.count < room, !peerClosed { return }
        }
    }

    // MARK: Ending

    private func fail(_ code: CInt) {
        switch code {
        case Errno.connectionRefused: report(.failed(.connectionRefused), .system(code))
        case Errno.timedOut: report(.failed(.timeout), .system(code))
        case Errno.tooManyFiles, Errno.tooManyFilesInSystem, Errno.noBuffers, Errno.noMemory,
            Errno.addressNotAvailable:
            report(.abandoned, .system(code))
        default: report(.failed(.connectionFailed), .system(code))
        }
    }

    private func report(_ outcome: ProbeResult.Outcome, _ detail: ProbeResult.Detail) {
        prober.ended(
            check, ProbeResult(outcome, detail, startedAt: startedAt, duration: loop.now - startedAt), at: loop.now)
        if phase != .ending, phase != .waiting { over() }
    }

    private func over() {
        guard phase != .waiting else { return }
        if answer?.isWhole == true { reset() }
        release()
        schedule()
        prober.left()
    }

    private func release() {
        if let buffer { loop.buffers.release(buffer) }
        if let answer { prober.giveBack(answer) }
        (buffer, answer) = (nil, nil)
        close()
    }
}
