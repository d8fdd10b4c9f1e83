import PoiseHTTP
import PoiseHealth
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseTLS

/// Probes on the control loop, without a task per probe: a machine each, and a bound on how many run at once.
final class Prober: Probing {
    let loop: EventLoop
    /// Probes under way at once; the others wait for a place, first come first served.
    let runningMax: Int
    private(set) var running = 0
    /// Connections that wait for their next probe (`reuse_connection`). Each takes a place too, and half of them at most: the
    /// probes of others must go on.
    private(set) var kept = 0
    private var keptMax: Int { runningMax / 2 }
    private var queue: [(probe: any ProbeRunner, since: MonotonicTime)] = []
    private var queueHead = 0
    /// How probes wait for places.
    private(set) var delays = StartDelays()
    /// Told of a probe that waited for a place longer than its interval, and how long.
    var late: (Nanoseconds) -> Void = { _ in }
    private var isStarting = false
    private var idleAnswers: [ProbeAnswer] = []
    /// Made with the first probe over TLS.
    private(set) lazy var engine = TLSEngine(loop: loop)
    /// What the connections of all probes over HTTP/2 share, about 40 KiB; made with the first of them.
    private(set) lazy var http2 = RawCell(HTTP2Workspace())
    /// What checks with the same words share.
    let shelf = ProbeShelf()
    /// By family; each is there from the first check that needs it on.
    private(set) var pings: [IPAddress.Family: PingChannel] = [:]
    private(set) lazy var files = FileDesk(loop: loop)
    /// Runs the programs of checks.
    let commands: CommandRunner
    /// Takes the results.
    var report: (CheckRecord, ProbeResult, MonotonicTime) -> Void = { _, _, _ in }

    /// - Parameters:
    ///   - runningMax: descriptors that probes may use.
    ///   - commands: runs the programs of checks; shared with whoever else runs some.
    init(loop: EventLoop, runningMax: Int = 512, commands: CommandRunner? = nil) {
        (self.loop, self.runningMax) = (loop, max(1, runningMax))
        self.commands = commands ?? CommandRunner(loop: loop)
    }

    func begin(_ check: CheckRecord) {
        let runner = runner(of: check)
        check.runner = runner
        runner.schedule()
    }

    private func runner(of check: CheckRecord) -> any ProbeRunner {
        switch check.spec.check.kind {
        case .tcp, .tls, .http, .grpc, .script: Probe(check, prober: self)
        case .dns(let probe): DNSRunner(check, probe, prober: self)
        case .icmp: PingRunner(check, prober: self)
        case .agent: AgentRunner(check, prober: self)
        case .exec: ExecRunner(check, prober: self)
        case .file: FileRunner(check, prober: self)
        }
    }

    func hurry(_ check: CheckRecord) { (check.runner as? any ProbeRunner)?.hurry() }

    func end(_ check: CheckRecord) {
        (check.runner as? any ProbeRunner)?.stop()
        check.runner = nil
        // A probe that was under way has no result: whoever takes the check up again begins with a new one.
        if check.state.nextProbe == nil { check.state.probeAbandoned(at: loop.now) }
    }

    // MARK: Called by probes

    /// When a check's next probe starts: together with the others of its ``gatheredMax``, in one wake-up, which costs
    /// less than a wake-up each. Early and not late. The steps count from the interval's multiples, so that a check is early
    /// by the same amount each time and its interval stays what it is.
    func start(of check: CheckRecord) -> MonotonicTime {
        guard let due = check.state.nextProbe, due > loop.now else { return loop.now }
        let interval = max(1, check.spec.check.interval.count)
        let step = max(1, interval / max(64, interval / Self.gatheredMax.count + 1))
        return max(loop.now, MonotonicTime(nanoseconds: due.nanoseconds - due.nanoseconds % interval % step))
    }

    /// 64 of 10,000 checks every 5 s: what they send is no burst, and control is at it for 4 ms.
    private static var gatheredMax: Nanoseconds { .milliseconds(32) }

    func due(_ probe: any ProbeRunner) {
        probe.enqueue()
        queue.append((probe, loop.now))
        startQueued()
    }

    /// A place is free.
    func left() {
        running -= 1
        startQueued()
    }

    /// - Returns: whether there is a place for one more connection that is kept; it is taken then.
    func keep() -> Bool {
        guard kept < keptMax else { return false }
        kept += 1
        return true
    }

    /// A kept connection is gone, or in use: its place is free, or counted as that of a probe.
    func keptEnded() {
        kept -= 1
        startQueued()
    }

    /// Probes that are due and wait for a place. Counts them.
    var waiting: Int { queue[queueHead...].count { $0.probe.isWaitingForPlace } }

    func ended(_ check: CheckRecord, _ result: ProbeResult, at now: MonotonicTime) { report(check, result, now) }

    func takeAnswer(_ matcher: ProbeMatcher, method: String) -> ProbeAnswer {
        let answer = idleAnswers.popLast() ?? ProbeAnswer()
        answer.begin(matcher, method: method)
        return answer
    }

    func giveBack(_ answer: ProbeAnswer) { idleAnswers.append(answer) }

    /// The socket of all echo requests to addresses of `family`; opened with the first of them and kept.
    func ping(_ family: IPAddress.Family) throws(SystemError) -> PingChannel {
        if let known = pings[family] { return known }
        let channel = try PingChannel(family, loop: loop)
        pings[family] = channel
        return channel
    }

    /// Before the loop goes.
    func closePings() {
        for channel in pings.values { channel.close() }
        pings = [:]
    }

    /// One at a time: a probe that ends at once comes back here through ``left()``.
    private func startQueued() {
        guard !isStarting else { return }
        isStarting = true
        while queueHead < queue.count {
            let (probe, since) = queue[queueHead]
            // A probe whose connection is kept has its place already.
            guard running + kept < runningMax || (probe as? Probe)?.isCounted == true else { break }
            queueHead += 1
            guard probe.isWaitingForPlace else { continue }
            running += 1
            let delay = loop.now - since
            if delays.started(after: delay, interval: probe.check.spec.check.interval) { late(delay) }
            probe.run()
        }
        isStarting = false
        if queueHead == queue.count || queueHead > 1024 {
            queue.removeFirst(queueHead)
            queueHead = 0
        }
    }
}
