import PoiseHealth
import PoiseLoop
import PoiseModel

/// What the probes of one check have in common, whatever they do: waiting for the next start and for a place.
///
///     waiting ──due──> queued ──a place is free──> running ──finish, or stop──> waiting
///
/// A subclass begins in ``begin()``, ends with ``finish(_:_:)``, and gives back in ``release()`` what a probe under way holds.
/// The timer stands for the next start while it waits and for the deadline while it runs.
class WaitingProbe: Channel, ProbeRunner {
    private enum Phase { case waiting, queued, running }

    let prober: Prober
    let check: CheckRecord
    private var phase = Phase.waiting
    private var startedAt = MonotonicTime.zero
    /// The deadline has passed once; what had arrived by then is still looked at.
    private var isLate = false
    final var isRunning: Bool { phase == .running }
    final var deadline: MonotonicTime { startedAt + check.spec.check.timeout }

    init(_ check: CheckRecord, prober: Prober) {
        (self.check, self.prober) = (check, prober)
        super.init(loop: prober.loop)
    }

    // MARK: For subclasses

    /// Whether it takes one of the places of probes with sockets.
    var needsPlace: Bool { true }
    /// Starts one probe; may finish it at once.
    func begin() { preconditionFailure("a subclass begins its probes") }
    /// The deadline has passed, and what came in while the loop was busy was looked at.
    func timeIsUp() { finish(.failed(.timeout), .noAnswer) }
    /// Called once at the end of each probe, whatever it came to.
    func release() { close() }

    final func finish(_ outcome: ProbeResult.Outcome, _ detail: ProbeResult.Detail) {
        guard isRunning else { return }
        let result = ProbeResult(outcome, detail, startedAt: startedAt, duration: loop.now - startedAt)
        prober.ended(check, result, at: loop.now)
        // Whoever was told may have stopped it.
        guard isRunning else { return }
        phase = .waiting
        release()
        schedule()
        if needsPlace { prober.left() }
    }

    /// For a failed call on its socket.
    final func finish(failedWith code: CInt) {
        let (outcome, detail) = ProbeResult.failure(code)
        finish(outcome, detail)
    }

    // MARK: ProbeRunner

    final var isWaitingForPlace: Bool { phase == .queued }
    final func enqueue() { phase = .queued }

    final func schedule() {
        phase = .waiting
        armTimer(at: prober.start(of: check))
    }

    final func hurry() { if phase == .waiting { schedule() } }

    final func run() {
        (phase, startedAt, isLate) = (.running, loop.now, false)
        check.state.probeStarted(at: loop.now)
        armTimer(at: deadline)
        begin()
    }

    final func stop() {
        let wasRunning = isRunning
        phase = .waiting
        if wasRunning { release() }
        releaseTimer()
        if wasRunning, needsPlace { prober.left() }
    }

    final override func timerFired() {
        switch phase {
        case .waiting: if needsPlace { prober.due(self) } else { run() }
        case .queued: break
        case .running:
            // The events of this moment are dispatched before it fires again.
            guard isLate else {
                isLate = true
                return armTimer(at: loop.now)
            }
            timeIsUp()
        }
    }
}
