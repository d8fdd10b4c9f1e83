import PoiseHealth
import PoiseLive
import PoiseModel
import PoisePlatform
import PoiseProxy
import PoiseSimulation

@testable import PoiseControl

/// Control without its sockets and threads: the real builder of snapshots and the real health engine, in the
/// simulation's time. It hands workers their letters in the order in which the daemon does.
final class SimulatedControl: Probing {
    private unowned let world: World
    private var network: SimulatedNetwork { world.network }
    private var live: LiveObjects
    private(set) var engine: HealthEngine!
    private(set) var snapshot: ProxySnapshot?
    private var generation = 0
    private var nextSocketID = 0
    /// Of one event, in the end sorted: the engine walks dictionaries.
    private var orders: [HealthOrder] = []
    private var isStopped = false
    /// When a target in slow start takes its next step.
    private var stepDue: MonotonicTime?
    /// Targets of groups that are in use, by group and address, and since when.
    private var knownSince: [String: MonotonicTime] = [:]

    init(_ world: World) {
        self.world = world
        live = LiveObjects(workers: world.scenario.workers)
        engine = HealthEngine(
            prober: self, random: { [unowned world] in world.random.next() },
            order: { [unowned self] in orders += $0 },
            observe: { [unowned world] event in
                switch event {
                case .transition(let change):
                    world.trace("\(change.group) \(change.target) is \(change.to.state.name), \(change.to.reason.name)")
                case .availability(let group, _, let to): world.trace("\(group) is answered by \(to)")
                case .minimum(let group, let isMet):
                    world.trace("\(group) has \(isMet ? "enough" : "too few") usable targets")
                case .weight(let event):
                    world.trace("\(event.group) \(event.target) has \(event.percent) % of its weight")
                case .forgotten(let target): world.trace("\(target.group) \(target.target) is forgotten")
                case .overridesEnded(let ends): world.trace("\(ends.count) weights of operators ended")
                case .flagFile(let path, let problem): world.trace("\(path): \(problem ?? "can be looked at")")
                }
            })
    }

    func start() { tick() }

    /// No probe, no tick and no order any more.
    func stop() { isStopped = true }

    // MARK: Apply

    func apply(_ configuration: Configuration) {
        let errors = configuration.validate()
        guard errors.isEmpty else { return world.fail("the simulation's configuration is refused: \(errors)") }
        var builder = SnapshotBuilder(live: live)
        let snapshot: ProxySnapshot
        do throws(ConfigError) {
            snapshot = try builder.build(configuration, generation: generation + 1)
        } catch {
            return world.fail("the simulation's configuration is not built: \(error)")
        }
        let before = self.snapshot
        (live, self.snapshot, generation) = (builder.live, snapshot, snapshot.generation)
        builder.takeEffect()
        world.watch(snapshot)
        let availability = engine.adopt(snapshot, at: network.now)
        let deadline = network.now + configuration.process.shutdownDeadline
        let old = Set(before?.listeners.map(\.settings.id) ?? [])
        let fresh = snapshot.listeners.filter { !old.contains($0.settings.id) }
        // What health has said before goes before, what it says from now on goes behind.
        post()
        for host in world.hosts {
            let sockets = fresh.map { listener in
                let address = listener.settings.id == "front" ? Setup.frontAddress : Setup.sideAddress
                return ListenerSocket(
                    slot: listener.slot, id: nextSocketID,
                    descriptor: network.listen(on: address, onConnection: nil).number)
            }
            nextSocketID += 1
            host.adopt(snapshot, sockets, deadline: deadline, availability)
        }
        if !old.isSubset(of: snapshot.listeners.map(\.settings.id)) {
            network.after(configuration.process.shutdownDeadline) { [unowned self] in
                for host in world.hosts { host.post { $0.endOverdue(by: deadline) } }
            }
        }
        noteMembers()
    }

    // MARK: Health

    /// Workers saw targets fail.
    func handle(_ reports: [FailureReports.Report]) {
        guard !reports.isEmpty, !isStopped else { return }
        for report in reports {
            engine.targetFailed(
                groupSlot: report.slot, identity: report.identity, count: report.count, at: network.now)
        }
        flush()
    }

    /// What an operator does: drains a target, takes it back, weighs it.
    func disturb() {
        guard let group = engine.groups.values.min(by: { $0.id < $1.id }) else { return }
        let target = world.random.pick(group.targets)
        switch world.random.pick(0...3) {
        case 0: engine.drain(target, at: network.now)
        case 1: engine.setWeight(world.random.pick([0, 1, 200]), of: target, at: network.now)
        default: undo(target)
        }
        flush()
    }

    private func undo(_ target: TargetRecord) {
        engine.undrain(target, at: network.now)
        engine.setWeight(nil, of: target, at: network.now)
    }

    /// Whatever operators did is undone.
    func calmDown() {
        for group in engine.groups.values.sorted(by: { $0.id < $1.id }) { for target in group.targets { undo(target) } }
        flush()
    }

    private func tick() {
        guard !isStopped else { return }
        engine.tick(at: network.now)
        flush()
        checkTheDead()
        network.after(HealthEngine.tickInterval) { [weak self] in self?.tick() }
    }

    private func flush() {
        engine.flush(at: network.now)
        post()
        guard let next = engine.climb.nextStep, next != stepDue, !isStopped else { return }
        stepDue = next
        network.after(next - network.now) { [weak self] in
            guard let self, stepDue == next else { return }
            flush()
        }
    }

    private func post() {
        guard !orders.isEmpty else { return }
        let sorted = orders.enumerated().sorted { ($0.element.sortKey, $0.offset) < ($1.element.sortKey, $1.offset) }
            .map(\.element)
        orders = []
        world.trace("orders \(sorted.map(\.words).joined(separator: "; "))")
        for host in world.hosts { host.post(sorted) }
    }

    // MARK: Probing

    func begin(_ check: CheckRecord) {
        let run = ProbeRun()
        check.runner = run
        schedule(check, run)
    }

    func hurry(_ check: CheckRecord) {}

    func end(_ check: CheckRecord) {
        (check.runner as? ProbeRun)?.isStopped = true
        check.runner = nil
        if check.state.nextProbe == nil { check.state.probeAbandoned(at: network.now) }
    }

    private final class ProbeRun { var isStopped = false }

    private func schedule(_ check: CheckRecord, _ run: ProbeRun) {
        let wait = max(.zero, (check.state.nextProbe ?? network.now) - network.now)
        network.after(wait) { [weak self] in
            guard let self, !run.isStopped, !isStopped else { return }
            let started = network.now
            check.state.probeStarted(at: started)
            let timeout = check.spec.check.timeout
            let isHeard = world.isAlive(check.spec.address)
            // A dead target refuses, or says nothing at all.
            let time =
                isHeard || world.random.chance(percent: 50) ? timeout / Int64(world.random.pick(2...50)) : timeout
            network.after(time) { [weak self] in
                guard let self, !run.isStopped, !isStopped else { return }
                let isGood = isHeard && world.isAlive(check.spec.address)
                let outcome: ProbeResult.Outcome =
                    isGood ? .succeeded : .failed(time == timeout ? .timeout : .connectionRefused)
                engine.probeEnded(
                    check, ProbeResult(outcome, .connected, startedAt: started, duration: time), at: network.now)
                flush()
                if !run.isStopped { schedule(check, run) }
            }
        }
    }

    // MARK: Invariants

    private func noteMembers() {
        var members: [String: MonotonicTime] = [:]
        for group in engine.groups.values where group.isUsed {
            for target in group.targets {
                let key = "\(group.id) \(target.label)"
                members[key] = knownSince[key] ?? world.patientTime
            }
        }
        knownSince = members
    }

    /// A target that has been dead for as long as checks may take to find out gets nothing, unless fail-open.
    private func checkTheDead() {
        guard let longest = world.scenario.healthCheck?.detectionTimeMax else { return }
        for group in engine.groups.values where group.availability != .failOpen {
            for (index, target) in group.targets.enumerated() where group.published.weights[index] > 0 {
                guard let address = target.compiled?.address, let dead = world.deadSince(address),
                    let known = knownSince["\(group.id) \(target.label)"]
                else { continue }
                let span = world.patientTime - max(dead, known)
                if span > longest + .milliseconds(100) {
                    world.fail("\(group.id) uses \(target.label), dead for \(span.milliseconds) ms")
                }
            }
        }
    }

    /// Long after the last disturbance all targets are back.
    func checkAllAreBack() {
        for group in engine.groups.values {
            for target in group.targets where target.fullWeight > 0 && !target.isUsable {
                world.fail("\(group.id) leaves out \(target.label) for ever: \(target.health.status.reason.name)")
            }
            let hasOrdinary = group.targets.contains { !$0.isBackup && $0.fullWeight > 0 }
            if group.availability != (hasOrdinary ? .ordinary : .backup) {
                world.fail("\(group.id) is answered by \(group.availability) for ever")
            }
            // And that is what the workers go by, once they have read it.
            for host in world.hosts where !host.hasMail {
                for (index, target) in group.compiled.targets.enumerated()
                where host.weight(of: target) != group.published.weights[index] {
                    world.fail("worker \(host.index) has another weight of \(target.label) than was published")
                }
            }
        }
    }
}

extension HealthOrder {
    fileprivate var sortKey: Int {
        switch self {
        case .weights(let slot, _), .availability(let slot, _): slot
        case .endFlows(let counters): 1 << 32 + counters.id
        }
    }

    fileprivate var words: String {
        switch self {
        case .weights(let slot, let changes):
            "group \(slot) " + changes.map { "\($0.target): \($0.weight)" }.joined(separator: " ")
        case .availability(let slot, let value):
            "group \(slot) \(value.weights)\(value.isFailOpen ? " fail-open" : "")"
        case .endFlows: "end flows"
        }
    }
}
