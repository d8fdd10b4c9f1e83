import PoiseBalancing
import PoiseConfig
import PoiseHealth
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseProxy

/// The running Poise: workers, the configuration in force, and everything that watches over them.
///
/// `start` → any number of `apply`, one at a time → `drain` → `stop`. See the extensions for each.
@ControlActor
public final class Daemon {
    let loop: EventLoop
    let workers = WorkerPool()
    let limits: ProcessLimiter
    /// How many descriptors the process may have.
    let descriptors: Int
    let prober: Prober
    let engine: HealthEngine
    let names: NameResolver
    /// For hooks and checks that are programs.
    public let commands: CommandRunner
    let hub: NotifyHub
    let webhooks: WebhookSender
    /// Takes every change of health; `nil` with the health log off.
    public var healthLog: HealthLog?
    /// What a file on this machine's disk says of commands; see ``CommandAuthority``.
    public internal(set) var commandAuthority = CommandAuthority()
    let shelf = CertificateShelf()
    /// Warns of certificates before they end.
    var expiry = ExpiryWatch()
    var heap = HeapWatch()
    /// Looks at the files of certificates, and at the heap, now and then.
    let watcher: LoopTimer
    let certificateInterval: Nanoseconds
    let ticker: LoopTimer
    /// For targets in slow start.
    let stepper: LoopTimer
    private var stepperDue: MonotonicTime?
    /// Tables that follow weights.
    var renewal = TableRenewal()
    let renewalTimer: LoopTimer
    var waitingForTables: [CheckedContinuation<Void, Never>] = []
    /// Told what happens to Poise itself: start, apply, transitions, fail-open.
    let log: (OperationalEvent) -> Void
    /// Told of each snapshot before the workers can adopt it; for names in the access log.
    public var snapshotObserver: ((ProxySnapshot) -> Void)?
    /// Told of every change of health; for metrics.
    public var healthObserver: ((HealthEvent) -> Void)?

    var live: LiveObjects
    /// Sockets at the workers, by listener id.
    var bound: [String: [ListenerBinder.Bound]] = [:]
    var nextSocketID = 0
    var endings: [LoopTimer] = []

    /// Counts applies, those for changed names and for tables of other weights included.
    public internal(set) var generation = 0
    public internal(set) var configuration: Configuration?
    /// Where each value of `configuration` was written.
    public internal(set) var origins = Origins()
    public internal(set) var snapshot: ProxySnapshot?
    public let startedAt: MonotonicTime
    public internal(set) var isStopping = false

    // One apply at a time.
    var isApplying = false
    var waitingForTurn: [CheckedContinuation<Void, Never>] = []
    /// A drain that need not wait any more.
    var isCutShort = false
    /// Whoever waits for the end of ``drain()``.
    var drainWaiter: CheckedContinuation<Void, Never>?
    /// ``endDrain()`` was called, maybe before anybody waited.
    var isToldToEnd = false

    /// - Parameters:
    ///   - log: takes operational messages.
    ///   - lookup: resolves a name, blocking, on a thread of its own.
    ///   - certificateInterval: how often the files of certificates are looked at.
    ///   - version: what webhooks are told of Poise.
    public init(
        log: @escaping (OperationalEvent) -> Void,
        lookup: @escaping @Sendable (String) -> Resolver.Answer = { Resolver.addresses(of: $0) },
        certificateInterval: Nanoseconds = .seconds(5), version: String = "test"
    ) {
        let loop = ControlActor.loop
        descriptors = ProcessLimits.raiseDescriptorLimit()
        let probesMax = Self.probesMax(descriptors)
        let workers = self.workers
        commands = CommandRunner(loop: loop)
        let prober = Prober(loop: loop, runningMax: probesMax, commands: commands)
        let relay = HealthRelay()
        (self.loop, self.prober, self.log) = (loop, prober, log)
        startedAt = loop.now
        live = LiveObjects(workers: 1)
        limits = ProcessLimiter(connectionsMax: Self.connectionsMax(descriptors))
        names = NameResolver(loop: loop, lookup: lookup)
        let names = self.names
        let shelf = self.shelf
        webhooks = WebhookSender(
            loop: loop, version: version, addresses: { names.entries[$0]?.addresses ?? [] },
            authorities: { shelf.authorities(of: $0) })
        (ticker, stepper, renewalTimer) = (LoopTimer(loop: loop), LoopTimer(loop: loop), LoopTimer(loop: loop))
        (watcher, self.certificateInterval) = (LoopTimer(loop: loop), certificateInterval)
        // For the phases of checks, which are no secret.
        var generator = RandomSequence(seed: SystemRandom.word)
        engine = HealthEngine(
            prober: prober, random: { generator.next() }, order: { workers.post($0) }, observe: { relay.hold($0) })
        let engine = self.engine
        hub = NotifyHub(
            tools: .init(
                loop: loop, runner: commands, webhooks: webhooks, random: { generator.next() }, log: log),
            group: { engine.groups[$0] })
        relay.observe = { [unowned self] in observed($0) }
        prober.report = { check, result, now in engine.probeEnded(check, result, at: now) }
        let lateness = LateProbeReport(log)
        prober.late = { [unowned prober] delay in
            lateness.late(by: delay, places: prober.runningMax, waiting: prober.waiting, at: loop.now)
        }
        // The loop may outlive this.
        loop.endOfWakeUp = { [weak self] in
            engine.flush(at: loop.now)
            relay.tell()
            self?.lookAtTables()
            self?.awaitSteps()
        }
        renewalTimer.fired = { [unowned self] in act(renewal.rested()) }
        names.changed = { [unowned self] in namesChanged() }
        names.problemChanged = { name, problem, kept in
            if let problem, kept == 0 { engine.nameFailed(name, problem, at: loop.now) }
            log(
                problem.map {
                    OperationalEvent(
                        .warning, "a name does not resolve",
                        [("name", name), ("reason", $0), ("addresses kept", "\(kept)")])
                } ?? OperationalEvent(.info, "a name resolves again", [("name", name)]))
        }
        ticker.fired = { [unowned self] in tick() }
        // The steps are taken at the end of the wake-up, as all that follows from changes.
        stepper.fired = { [unowned self] in stepperDue = nil }
    }

    /// Each exchange needs two descriptors; some are for files, listeners, and the admin socket.
    static func connectionsMax(_ descriptors: Int) -> Int { max(16, (descriptors - 100 - probesMax(descriptors)) / 2) }
    /// At most a quarter of the descriptors; from 2,048 on at least 512, since as many targets may hang at once, and an eighth.
    nonisolated static func probesMax(_ descriptors: Int) -> Int {
        min(16_384, max(8, min(descriptors / 4, max(512, descriptors / 8))))
    }

    /// 256 bytes hold a record of usual length; `nil` without a log.
    static func ringBytes(_ logs: LogSettings) -> Int? { logs.access == .off ? nil : logs.accessRingRecords * 256 }

    /// Binds, starts the workers, and serves.
    ///
    /// - Parameter beforeDroppingRights: runs with the rights of the start, before `process.user` takes effect.
    /// - Returns: warnings about certificates and other files of TLS, for people; those of the text are the proposal's.
    /// - Throws: what the operator must put right; nothing serves then.
    @discardableResult
    public func start(
        _ proposal: Proposal,
        beforeDroppingRights: (@ControlActor () async throws(ApplyRefusal) -> Void)? = nil
    ) async throws(ApplyRefusal) -> String {
        let process = proposal.configuration.process
        if process.user != nil, !ProcessLimits.isRoot {
            throw refusal(
                .system,
                ConfigError(
                    code: .conflict, path: "process.user", problem: "only root can become another user",
                    fix: "start Poise as root, or remove process.user"), proposal.origins)
        }
        let count = process.workers ?? ProcessLimits.processorCount
        live = LiveObjects(workers: count)
        let mailbox = loop.mailbox
        let desk = LoopBound((engine: engine, loop: loop), on: loop)
        var events = WorkerEvents { slot, _, identity, count in
            mailbox.post {
                let (engine, loop) = desk.open()
                engine.targetFailed(groupSlot: slot, identity: identity, count: count, at: loop.now)
            }
        }
        let speaker = LoopBound((report: AcceptHoldReport(log), loop: loop), on: loop)
        events.acceptHeld = { listener, hold, code in
            mailbox.post {
                let (report, loop) = speaker.open()
                report.held(listener, hold, code: code, at: loop.now)
            }
        }
        let witness = LoopBound((report: HTTP2EndReport(log), loop: loop), on: loop)
        events.http2Ended = { end in
            mailbox.post {
                let (report, loop) = witness.open()
                report.ended(end, at: loop.now)
            }
        }
        do {
            try await workers.start(
                count: count, ringBytes: Self.ringBytes(proposal.configuration.logs), limits: limits,
                events: events)
        } catch {
            throw refusal(
                .system,
                ConfigError(
                    code: .invalid, path: "process.workers", problem: "cannot start workers: \(error)",
                    fix: "lower process.workers"), proposal.origins)
        }
        let summary = try await apply(proposal, by: "start")
        try await beforeDroppingRights?()
        try become(process.user, proposal.origins)
        commandAuthority = CommandAuthority(proposal.configuration)
        // Not before: a command must not have the rights of the start.
        commands.open()
        ticker.set(loop.now + HealthEngine.tickInterval)
        watchCertificates()
        return String(summary.warnings.dropFirst(proposal.warnings.count).dropLast())
    }

    private func become(_ user: String?, _ origins: Origins) throws(ApplyRefusal) {
        guard let user else { return }
        do { try ProcessLimits.become(user: user) } catch {
            throw refusal(
                .system,
                ConfigError(
                    code: .invalid, path: "process.user", problem: "cannot become '\(user)': \(error.reason)",
                    fix: "name a user that this machine has"), origins)
        }
    }

    // MARK: Events

    private func tick() {
        engine.tick(at: loop.now)
        names.tick(at: loop.now)
        ticker.set(loop.now + HealthEngine.tickInterval)
    }

    private func awaitSteps() {
        guard let next = engine.climb.nextStep, next != stepperDue else { return }
        stepperDue = next
        stepper.set(next)
    }

    private func observed(_ event: HealthEvent) {
        healthObserver?(event)
        healthLog?.write(event)
        hub.observed(event)
        switch event {
        case .minimum(let group, let isMet):
            let record = engine.groups[group]
            log(
                OperationalEvent(
                    isMet ? .info : .warning,
                    isMet ? "enough targets are usable again" : "fewer targets are usable than min_healthy",
                    [
                        ("group", group), ("usable", "\(record?.targets.count { $0.isUsable } ?? 0)"),
                        ("minimum", record?.minimum.map { "\($0)" } ?? "none"),
                    ]))
        case .transition(let change):
            let isBad = change.to.state == .unhealthy
            var fields = [
                ("group", change.group), ("target", change.target), ("from", change.from.state.name),
                ("to", change.to.state.name), ("reason", change.to.reason.name),
            ]
            if let evidence = change.evidence { fields.append(("evidence", evidence)) }
            log(OperationalEvent(isBad ? .warning : .info, "target changed", fields.map { ($0.0, $0.1) }))
        case .availability(let group, let from, let to):
            switch to {
            case .failOpen:
                log(OperationalEvent(.error, "no target is usable: fail-open sends to all", [("group", group)]))
            case .none, .sorry:
                log(OperationalEvent(.error, "no target is usable", [("group", group), ("answers", "\(to)")]))
            case .backupGroup:
                let by = engine.groups[group].flatMap { engine.standIn(for: $0) }?.id ?? ""
                log(OperationalEvent(.warning, "a backup group takes over", [("group", group), ("by", by)]))
            case .backup: log(OperationalEvent(.warning, "backup targets take over", [("group", group)]))
            case .ordinary:
                log(OperationalEvent(.info, "ordinary targets serve again", [("group", group), ("after", "\(from)")]))
            }
        case .weight(let event): log(event.report)
        case .forgotten(let target): log(target.report)
        case .overridesEnded(let ends): for line in ends.report { log(line) }
        case .flagFile(let path, let problem):
            let word = "nobody can tell whether a flag file is there"
            log(
                problem.map { OperationalEvent(.warning, word, [("path", path), ("error", $0)]) }
                    ?? OperationalEvent(.info, "a flag file can be looked at again", [("path", path)]))
        }
    }

    private func namesChanged() {
        ControlActor.shared.executor.start { [self] in await applyNames() }
    }
}

/// Between the engine, which is made first, and the daemon, which it tells.
///
/// Holds events back until the orders of the same wake-up are posted: whoever reads that a target is unhealthy and then
/// connects is not sent there any more.
private final class HealthRelay {
    var observe: (HealthEvent) -> Void = { _ in }
    private var held: [HealthEvent] = []

    func hold(_ event: HealthEvent) { held.append(event) }

    func tell() {
        guard !held.isEmpty else { return }
        let events = held
        held.removeAll()
        for event in events { observe(event) }
    }
}
