import PoiseLoop
import PoiseModel
import PoisePlatform

/// The probes of one check, one after another.
protocol ProbeRunner: AnyObject {
    /// Due, and not stopped since.
    var isWaitingForPlace: Bool { get }
    func enqueue()
    /// Waits for the next start.
    func schedule()
    /// The next start is earlier than it was.
    func hurry()
    /// Starts one probe; it may be over when this returns.
    func run()
    /// No more probes; one that is under way is dropped.
    func stop()
}

/// What every probe has that is no conversation over a connection: it waits, has its turn, and reports once.
///
///     waiting ──due──> queued ──a place is free──> running ──report──> waiting
///
/// A subclass says what happens while it runs. The timer stands for the next start, and for the deadline while it runs.
class SimpleRunner: Channel, ProbeRunner {
    private enum Phase { case waiting, queued, running }

    final let prober: Prober
    final let check: CheckRecord
    private final var phase = Phase.waiting
    private final var startedAt = MonotonicTime.zero
    /// The deadline has passed once; what had arrived by then is still looked at.
    private final var isLate = false

    init(_ check: CheckRecord, prober: Prober) {
        (self.check, self.prober) = (check, prober)
        super.init(loop: prober.loop)
    }

    // MARK: For subclasses

    /// Begins one probe. It ends by ``report(_:_:)``, at once or later.
    func start() {}
    /// What did not come in time.
    func late() -> (TargetReason, ProbeResult.Detail) { (.timeout, .noAnswer) }
    /// The probe is over: gives back what it holds.
    func finish() {}

    final var isRunning: Bool { phase == .running }
    final var deadline: MonotonicTime { startedAt + check.spec.check.timeout }

    /// The probe is over. Nothing where it is already.
    final func report(_ outcome: ProbeResult.Outcome, _ detail: ProbeResult.Detail) {
        guard phase == .running else { return }
        phase = .waiting
        finish()
        close()
        prober.ended(
            check, ProbeResult(outcome, detail, startedAt: startedAt, duration: loop.now - startedAt), at: loop.now)
        // Whoever took the result may have ended the check.
        if check.runner === self { schedule() }
        prober.left()
    }

    final func fail(_ code: CInt) {
        let (outcome, detail) = ProbeResult.failure(code)
        report(outcome, detail)
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
        (startedAt, isLate) = (loop.now, false)
        phase = .running
        check.state.probeStarted(at: loop.now)
        start()
        if phase == .running { armTimer(at: deadline) }
    }

    final func stop() {
        let wasRunning = phase == .running
        phase = .waiting
        if wasRunning { finish() }
        close()
        releaseTimer()
        if wasRunning { prober.left() }
    }

    final override func timerFired() {
        switch phase {
        case .waiting: prober.due(self)
        case .queued: break
        case .running:
            // What came in while the loop was busy counts: the events of this moment are dispatched before it fires again.
            guard isLate else {
                isLate = true
                return armTimer(at: loop.now)
            }
            let (reason, detail) = late()
            report(.failed(reason), detail)
        }
    }
}

extension ProbeResult {
    /// What a failed call on a probe's socket amounts to.
    static func failure(_ code: CInt) -> (Outcome, Detail) {
        switch code {
        case Errno.connectionRefused: (.failed(.connectionRefused), .system(code))
        case Errno.timedOut: (.failed(.timeout), .system(code))
        case Errno.tooManyFiles, Errno.tooManyFilesInSystem, Errno.noBuffers, Errno.noMemory,
            Errno.addressNotAvailable:
            (.abandoned, .system(code))
        default: (.failed(.connectionFailed), .system(code))
        }
    }
}
