import PoiseBalancing
import PoiseHealth
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseProxy
import PoiseTelemetry

/// What the admin API may see and do. Values are copies of this moment.
extension Daemon {
    /// Addresses really bound, in the order of the configuration: port 0 has become a number.
    public var listening: [(listener: String, address: String)] {
        (configuration?.listeners ?? []).flatMap { listener in
            let open = bound[listener.id] ?? []
            return listener.addresses.compactMap { address in open.first { $0.configured == address } }
                .map { (listener.displayName, $0.actual) }
        }
    }

    public var uptime: Nanoseconds { loop.now - startedAt }
    public var now: MonotonicTime { loop.now }
    public var workerCount: Int { workers.count }
    /// Client connections over all listeners.
    public var connectionCount: Int { limits.connectionCount }
    /// Access-log records, one ring per worker; empty with the log off.
    public var accessRings: [RecordRing] { workers.members.compactMap(\.ring) }
    /// Rung by the workers when a ring has got something.
    public var accessBell: Bell { workers.bell }

    /// Health of all groups, in the order of the configuration.
    public var health: [GroupStatus] {
        (snapshot?.groups ?? []).compactMap { engine.groups[$0.settings.id] }.map { record in
            var status = GroupStatus(record)
            status.answeredBy = record.availability == .backupGroup ? engine.standIn(for: record)?.id : nil
            return status
        }
    }

    /// - Parameter target: an address, be it away, or a name for all addresses that it has.
    /// - Returns: one or more.
    /// - Throws: when there is no such target.
    func status(ofTargets target: String, inGroup group: String) throws(ConfigError) -> [TargetStatus] {
        try find(target, group).map { TargetStatus($0, weight: 0) }
    }

    /// The last states of a target, oldest first; `nil` for one that is not there.
    public func history(ofTarget target: String, inGroup group: String) -> [TargetHealth.Status]? {
        guard let history = engine.target(target, in: group)?.history else { return nil }
        return (0..<history.count).map { history[$0].status }
    }

    /// What each worker says about itself.
    public func workerStatus() async -> [WorkerStatus] {
        await workers.ask {
            WorkerStatus(
                index: $0.index, connections: $0.connectionCount, wakeUps: $0.loop.wakeUps, turns: $0.turns,
                cpu: Clock.threadCPU, buffersInUse: $0.loop.buffers.outstanding)
        }
    }

    /// What tiers and zones take of the flows, by group slot: one worker's word, as all divide alike.
    func tierShares() async -> [Int: [TieredScheduler.TierShare]] {
        guard let first = workers.members.first else { return [:] }
        return await received { hand in first.post { hand($0.tierShares) } }
    }

    // MARK: Operators

    /// Takes a target out: new flows stop, those in progress may end. Idempotent.
    ///
    /// - Throws: when there is no such target.
    public func drain(target: String, inGroup group: String) throws(ConfigError) {
        for record in try find(target, group) { engine.drain(record, at: loop.now) }
        engine.drainName(target, of: try find(group), true)
    }

    public func undrain(target: String, inGroup group: String) throws(ConfigError) {
        for record in try find(target, group) { engine.undrain(record, at: loop.now) }
        engine.drainName(target, of: try find(group), false)
    }

    /// - Parameter weight: 0...256, until an apply changes what the file says or the target leaves; `nil` goes back to the file.
    ///
    /// An apply that was asked for earlier comes first: what the file says there must not undo this.
    /// - Throws: for another weight, or when there is no such target.
    public func setWeight(_ weight: Int?, target: String, inGroup group: String) async throws(ConfigError) {
        if let weight, !(0...256).contains(weight) {
            throw ConfigError(
                code: .outOfRange, path: "weight", problem: "\(weight) is outside 0...256", fix: "use 0 to 256")
        }
        await takeTurn()
        defer { giveTurn() }
        for record in try find(target, group) { engine.setWeight(weight, of: record, at: loop.now) }
    }

    /// Returns when each worker chooses by what was ordered before: whoever was told that a target is drained must not
    /// find the next request there.
    public func waitUntilInForce() async {
        engine.flush(at: loop.now)
        await workers.waitUntilAdopted()
    }

    private func find(_ target: String, _ group: String) throws(ConfigError) -> [TargetRecord] {
        let record = try find(group)
        let found = engine.targets(called: target, in: record)
        if found.isEmpty { throw record.refusal(of: target) }
        return found
    }

    private func find(_ group: String) throws(ConfigError) -> GroupRecord {
        guard let record = engine.groups[group] else {
            throw ConfigError(
                code: .unknownName, path: "group", problem: "there is no target group '\(group)'",
                fix: Suggestion.fix(for: group, among: engine.groups.keys.sorted(), noneKnown: "there is none"))
        }
        return record
    }
}

/// A target group as it is now.
public struct GroupStatus: Sendable {
    public var id: String
    /// Who answers for it.
    public var availability: Availability
    /// Some rule leads to it.
    public var isUsed: Bool
    /// Changes of state of all its targets so far.
    public var transitions: Int
    /// Counters and histograms hang here.
    public var compiled: CompiledGroup
    /// Resolved targets in the order of `compiled.targets`, then names without an address.
    public var targets: [TargetStatus]
    /// The backup group that answers for it.
    public var answeredBy: String?

    init(_ record: GroupRecord) {
        (id, availability, isUsed) = (record.id, record.availability, record.isUsed)
        (transitions, compiled) = (record.transitions, record.compiled)
        targets = record.targets.enumerated().map { index, target in
            var status = TargetStatus(target, weight: record.published.weights[index])
            // Who is unhealthy is not left out by the subset; who has weight 0 is out of use all the same.
            status.isInUse = record.inUse.isEmpty || record.inUse[index] || !target.health.isUsable
            return status
        }
        targets += record.unresolved.map { TargetStatus($0, weight: 0) }
    }
}

/// A target as it is now.
public struct TargetStatus: Sendable {
    public var label: String
    public var status: TargetHealth.Status
    /// Changes of its state so far.
    public var transitions: Int
    /// Takes new flows.
    public var isUsable: Bool
    /// Configured or an operator's, 0...256.
    public var weight: Int
    /// An operator's.
    public var isWeightOverridden: Bool
    /// In force at the workers, in 256ths: lower during slow start, 0 when out.
    public var effectiveWeight: Int32
    public var isBackup: Bool
    /// In the order of the group's settings; empty without active checks.
    public var checks: [CheckStatus]
    /// What reports and traffic leave of the weight, in percent, and why.
    public var weightPercent: Int
    public var weightCause: ShareCause
    /// Its errors are unlike the others'; `nil` in a group that cannot tell.
    public var isAnomalous: Bool?
    /// False where this Poise's subset leaves it out.
    public var isInUse = true
    /// What its agent says of weight and limit; `nil` without an agent.
    public var agent: AgentFacts?
    public var ejectedUntil: MonotonicTime?
    /// Flows that are left at this time are cut; `nil` unless draining.
    public var drainsUntil: MonotonicTime?
    /// `nil`: a name without an address.
    public var compiled: CompiledTarget?

    /// What the last probe saw: of several checks, of the first that fails, else of the first.
    public var lastProbe: String? {
        let telling = checks.first { if case .unhealthy = $0.verdict { true } else { false } } ?? checks.first
        guard let telling, let evidence = telling.lastProbe?.evidence else { return nil }
        return checks.count > 1 ? "\(telling.check.summary): \(evidence)" : evidence
    }

    init(_ record: TargetRecord, weight effective: Int32) {
        (label, status, isUsable) = (record.label, record.health.status, record.isUsable)
        transitions = record.transitions
        weight = record.operatorWeight ?? record.settings?.weight ?? 0
        isWeightOverridden = record.operatorWeight != nil
        (effectiveWeight, isBackup) = (effective, record.isBackup)
        checks = record.checks.map { CheckStatus($0) }
        (weightPercent, weightCause) = (record.weightPercent, record.weightCause)
        isAnomalous = record.group.targets.count >= GroupTraffic.targetsMin ? record.traffic.isAnomalous : nil
        agent = AgentFacts(record)
        (ejectedUntil, drainsUntil, compiled) = (record.passive.ejectedUntil, record.drain.deadline, record.compiled)
    }
}

/// An active check of a target as it is now.
public struct CheckStatus: Sendable {
    /// What is probed and how.
    public var check: HealthCheck
    public var verdict: ActiveCheck.Verdict
    /// `nil` before the first one has ended.
    public var lastProbe: ProbeResult?
    /// `nil` while one is under way.
    public var nextProbe: MonotonicTime?

    init(_ record: CheckRecord) {
        (check, verdict) = (record.spec.check, record.state.verdict)
        (lastProbe, nextProbe) = (record.lastResult, record.state.nextProbe)
    }
}

/// What a worker says about itself.
public struct WorkerStatus: Sendable {
    public var index: Int
    /// Client connections.
    public var connections: Int
    public var wakeUps: UInt64
    /// How long they last.
    public var turns: Histogram
    /// CPU time of its thread.
    public var cpu: Nanoseconds
    /// Pooled buffers handed out.
    public var buffersInUse: Int
}
