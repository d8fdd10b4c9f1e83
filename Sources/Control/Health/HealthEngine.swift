import PoiseBalancing
import PoiseHealth
import PoiseLive
import PoiseModel
import PoisePlatform
import PoiseProxy

/// The one place that knows how targets are: probes, traffic and operators report here, workers are told what follows.
///
/// The decisions are those of the room Health; this ties them to groups, targets and snapshots. No clock, no socket and
/// no loop: times and random numbers are handed in, orders and events handed out.
///
/// Invariants:
/// 1. Orders refer to the snapshot adopted last. Whoever posts them to a worker posts them after that snapshot, so an
///    index or a slot never means another target.
/// 2. A record lives as long as its group and address do: state, history, ejections and slow start survive an apply.
/// 3. What changes between two calls of ``flush(at:)`` leaves as one order per group.
final class HealthEngine {
    private(set) var groups: [String: GroupRecord] = [:]
    /// Removed from their group, with flows in progress.
    private(set) var leaving: [TargetRecord] = []
    let checks: CheckTable
    private var dirty: [GroupRecord] = []
    var traffic = TrafficDesk()
    var climb = Climb()
    var overrideEnds = OverrideEnds()
    var blindFiles = BlindFiles()
    private var groupsBySlot: [Int: GroupRecord] = [:]
    /// Some group goes by the health of another one.
    var hasFollowers = false
    /// Groups whose table is made of other weights than there are now.
    var staleTables: Set<String> = []
    private let order: ([HealthOrder]) -> Void
    let observe: (HealthEvent) -> Void
    let random: () -> UInt64

    /// - Parameters:
    ///   - order: takes what the workers must do, in order.
    ///   - observe: told of every change, for log and metrics.
    ///   - random: 64 fresh random bits per call, for the phases of checks.
    init(
        prober: any Probing, random: @escaping () -> UInt64, order: @escaping ([HealthOrder]) -> Void,
        observe: @escaping (HealthEvent) -> Void
    ) {
        (self.random, self.order, self.observe) = (random, order, observe)
        checks = CheckTable(prober: prober)
    }

    // MARK: Snapshots

    /// Takes over the groups of a snapshot that is being committed.
    ///
    /// - Parameter unresolved: names without an address, by group id.
    /// - Returns: for the workers, together with the snapshot: the availability of each group that is new or changed.
    func adopt(
        _ snapshot: ProxySnapshot, unresolved: [String: [UnresolvedName]] = [:], at now: MonotonicTime
    ) -> [Int: GroupAvailability] {
        flush(at: now)
        unlinkFollowers()
        let used = Self.slotsInUse(of: snapshot)
        let tracked = Set(snapshot.groups.compactMap(\.settings.trackedGroup))
        var changed: [GroupRecord] = []
        var kept: [String: GroupRecord] = [:]
        kept.reserveCapacity(snapshot.groups.count)
        groupsBySlot.removeAll(keepingCapacity: true)
        for compiled in snapshot.groups {
            let id = compiled.settings.id
            let names = unresolved[id] ?? []
            let record: GroupRecord
            if let known = groups[id] {
                record = known
                if known.compiled !== compiled {
                    replace(known, with: compiled, at: now)
                    changed.append(known)
                }
            } else {
                record = GroupRecord(compiled, at: now)
                record.isUsed = used.contains(compiled.slot) || tracked.contains(id)
                record.targets = compiled.targets.map { newTarget($0, in: record, arrival: .withGroup, at: now) }
                changed.append(record)
            }
            setUsed(used.contains(compiled.slot) || tracked.contains(id), record, at: now)
            setUnresolved(names, of: record, at: now)
            trustUnjudged(of: record, at: now)
            kept[id] = record
            groupsBySlot[compiled.slot] = record
        }
        for (id, record) in groups where kept[id] == nil {
            forgetWords(of: record)
            for target in record.targets { remove(target, at: now) }
        }
        groups = kept
        staleTables = staleTables.filter { kept[$0] != nil }
        blindFiles.keepUsed()
        if !tracked.isEmpty || hasFollowers { linkFollowers(at: now) }
        var availability: [Int: GroupAvailability] = [:]
        for record in changed {
            _ = evaluate(record)
            availability[record.compiled.slot] = record.published
        }
        flush(at: now)
        tellOverrideEnds()
        return availability
    }

    private static func slotsInUse(of snapshot: ProxySnapshot) -> Set<Int> {
        var slots: Set<Int> = []
        for listener in snapshot.listeners {
            for case .forward(let shares) in listener.actions { slots.formUnion(shares.map(\.groupSlot)) }
            if case .forward(let shares)? = listener.defaultAction { slots.formUnion(shares.map(\.groupSlot)) }
        }
        return withBackups(slots, in: snapshot)
    }

    private func replace(_ record: GroupRecord, with compiled: CompiledGroup, at now: MonotonicTime) {
        var old: [SocketAddress: TargetRecord] = [:]
        let before = record.targets
        for target in before { if let compiled = target.compiled { old[compiled.address] = target } }
        let arrival: ActiveCheck.Arrival = record.targets.isEmpty ? .withGroup : .joining
        let settings = compiled.settings
        let policyChanged = settings.passive != record.settings.passive
        (record.compiled, record.settings) = (compiled, settings)
        reviewAbsent(of: record)
        record.targets = compiled.targets.map { target in
            guard let known = old.removeValue(forKey: target.address) else {
                return newTarget(target, in: record, arrival: arrival, at: now)
            }
            if known.compiled?.settings.weight != target.settings.weight {
                endOverride(of: known, configured: target.settings.weight)
            }
            known.compiled = target
            if policyChanged { known.passive.policyChanged(to: settings.passive) }
            if settings.slowStart.count <= 0 { known.ramp = nil }
            recheck(known, at: now)
            heedAgents(of: known, at: now)
            return known
        }
        leave(before.filter { target in target.compiled.map { old[$0.address] === target } ?? false }, at: now)
    }

    private func newTarget(
        _ compiled: CompiledTarget, in group: GroupRecord, arrival: ActiveCheck.Arrival, at now: MonotonicTime
    ) -> TargetRecord {
        let own = newChecks(of: compiled, in: group, arrival: arrival, at: now)
        let verdict = Self.verdict(of: own, in: group)
        // What other groups' checks know already is news of this target, and so is what a tracked group will tell.
        let isAsked = verdict != nil || group.settings.trackedGroup != nil
        let record = TargetRecord(
            group: group, label: compiled.label, compiled: compiled,
            health: TargetHealth(verdict: isAsked ? .initial(takesTraffic: arrival == .withGroup) : nil, at: now))
        resume(record, at: now)
        // Before anything is known of it: nobody misses a target of a group that no rule leads to.
        if !group.isUsed { note(record.health.groupUnused(at: now), record, at: now, evidence: .configuration) }
        checks.use(own, by: record)
        heedFlags(of: record, at: now)
        if let verdict {
            note(record.health.checked(verdict, at: now), record, at: now, evidence: .configuration)
        }
        heedAgents(of: record, at: now)
        if arrival == .joining, record.health.isUsable { startRamp(of: record, at: now) }
        return record
    }

    private func setUsed(_ isUsed: Bool, _ record: GroupRecord, at now: MonotonicTime) {
        guard record.isUsed != isUsed || !isUsed else { return }
        record.isUsed = isUsed
        for target in record.targets + record.names {
            if !isUsed {
                note(target.health.groupUnused(at: now), target, at: now, evidence: .configuration)
            } else if target.health.status.reason == .noTraffic {
                askAnew(target, takesTraffic: true, at: now, evidence: .configuration)
                note(target.health.undrain(at: now), target, at: now, evidence: .configuration)
            }
            checks.updateProbing(target)
        }
    }

    /// A target that its group no longer has: flows in progress may end until the deadline.
    func remove(_ target: TargetRecord, at now: MonotonicTime) {
        checks.release(target)
        _ = target.drain.flowsChanged(to: target.flows)
        note(target.health.drain(.deregistration, at: now), target, at: now, evidence: .configuration)
        switch target.drain.deregister(at: now, delay: target.group.settings.deregistrationDelay) {
        case .reportUnused(let flows): drained(target, cutting: flows, at: now)
        case .none where !target.isDraining: drained(target, cutting: 0, at: now)
        case .none, .startTimer, .cancelTimer:
            target.formerGroup = target.group
            leaving.append(target)
        }
    }

    // MARK: Traffic

    /// A worker saw `count` failures in a row.
    ///
    /// - Parameter identity: the target's; what index it has now is looked up.
    func targetFailed(groupSlot: Int, identity: UInt64, count: Int, at now: MonotonicTime) {
        guard let group = groupsBySlot[groupSlot],
            let target = group.targets.first(where: { $0.compiled?.identity == identity }),
            group.settings.passive.consecutiveFailures > 0, count >= group.settings.passive.consecutiveFailures
        else { return }
        eject(target, .consecutiveFailures, at: now, evidence: .failuresInRow(UInt32(clamping: count)))
    }

    private func eject(_ target: TargetRecord, _ reason: TargetReason, at now: MonotonicTime, evidence: Evidence) {
        guard target.passive.ejectedUntil == nil else { return }
        let tier = target.group.targets.filter { $0.isBackup == target.isBackup }
        guard
            EjectionBudget.allows(
                targets: tier.count, usable: tier.count { $0.isUsable },
                ejected: tier.count { $0.passive.ejectedUntil != nil },
                percentMax: target.group.settings.passive.ejectedPercentMax)
        else { return }
        _ = target.passive.eject(for: reason, at: now)
        target.ejectedBy = evidence
        note(target.health.ejected(reason, at: now), target, at: now, evidence: evidence)
    }

    // MARK: Operators

    /// New flows stop, those in progress may end within the group's `deregistration_delay`. Idempotent.
    func drain(_ target: TargetRecord, at now: MonotonicTime) {
        guard !target.mayReturn else { return target.isDrainedOnReturn = true }
        _ = target.drain.flowsChanged(to: target.flows)
        note(target.health.drain(.drainedByOperator, at: now), target, at: now, evidence: .operatorAction)
        if case .reportUnused(let flows) = target.drain.deregister(
            at: now, delay: target.group.settings.deregistrationDelay)
        {
            drained(target, cutting: flows, at: now)
        }
        checks.updateProbing(target)
    }

    /// Back into service. Where nobody probed it meanwhile, it takes flows from its first good probe on, which is due at once.
    func undrain(_ target: TargetRecord, at now: MonotonicTime) {
        guard !target.mayReturn else { return target.isDrainedOnReturn = false }
        _ = target.drain.register()
        askAnew(target, takesTraffic: false, at: now, evidence: .operatorAction)
        note(target.health.undrain(at: now), target, at: now, evidence: .operatorAction)
        if !target.group.isUsed { note(target.health.groupUnused(at: now), target, at: now, evidence: .configuration) }
        checks.updateProbing(target)
    }

    /// - Parameter weight: 0...256; `nil` goes back to the configured one.
    func setWeight(_ weight: Int?, of target: TargetRecord, at now: MonotonicTime) {
        target.operatorWeight = weight
        markDirty(target.group)
    }

    /// - Parameters:
    ///   - group: its identity, which is its name where it has one.
    ///   - target: as status shows it.
    func target(_ target: String, in group: String) -> TargetRecord? {
        groups[group]?.targets.first { $0.label == target }
    }

    private func drained(_ target: TargetRecord, cutting flows: Int, at now: MonotonicTime) {
        let evidence = flows > 0 ? Evidence.flowsCut(UInt32(clamping: flows)) : .lastFlowEnded
        note(target.health.drained(at: now), target, at: now, evidence: evidence)
        if flows > 0, let counters = target.compiled?.counters { order([.endFlows(counters)]) }
    }

    // MARK: Time

    /// How often ``tick(at:)`` wants to be called.
    static let tickInterval = Nanoseconds.seconds(1)

    /// Looks at what changes by time alone: failure rates, ends of ejections, drains.
    func tick(at now: MonotonicTime) {
        traffic.begin(at: now)
        for group in groups.values where group.watchesForIdleness || group.settings.trackedGroup != nil {
            countRequests(of: group, at: now)
        }
        for group in groups.values {
            let passive = group.settings.passive
            let samples = passive.consecutiveFailures > 0 || passive.failurePercent != nil
            for target in group.targets {
                if samples { sample(target, at: now) }
                if target.passive.returnIfDue(at: now) {
                    note(target.health.returned(at: now), target, at: now, evidence: .timeIsOver)
                }
                if target.isDraining { watchDrain(target, at: now) }
                if let agent = target.agent, agent.hasExpired(at: now) { endReports(of: target) }
            }
            if group.watchesForIdleness { watchForIdleness(group, at: now) }
            watchTraffic(of: group, at: now)
        }
        for target in leaving { watchDrain(target, at: now) }
        leaving.removeAll { target in
            guard !target.isDraining else { return false }
            target.formerGroup = nil
            return true
        }
        flush(at: now)
    }

    private func sample(_ target: TargetRecord, at now: MonotonicTime) {
        guard let counters = target.compiled?.counters else { return }
        let successes = max(target.seenSuccesses, counters.targetSuccesses)
        let failures = counters.targetFailures
        let (succeeded, failed) = (successes - target.seenSuccesses, failures - target.seenFailures)
        guard succeeded | failed != 0 else { return }
        (target.seenSuccesses, target.seenFailures) = (successes, failures)
        // An answer that was cut short is in both: begun, and failed.
        if let reason = target.passive.record(successes: succeeded, failures: failed, at: now) {
            let passive = target.passive
            let evidence: Evidence =
                if reason == .failureRate, let (failures, exchanges) = passive.failuresInWindow {
                    .failures(UInt32(clamping: failures), of: UInt32(clamping: exchanges))
                } else {
                    .failuresInRow(UInt32(clamping: passive.failuresInARow))
                }
            eject(target, reason, at: now, evidence: evidence)
        }
    }

    private func watchDrain(_ target: TargetRecord, at now: MonotonicTime) {
        var action = target.drain.flowsChanged(to: target.flows)
        if action == .none { action = target.drain.timerFired(at: now) }
        if case .reportUnused(let flows) = action { drained(target, cutting: flows, at: now) }
    }

    // MARK: What follows

    /// - Parameter cause: what brought the change about.
    func note(
        _ change: TargetHealth.Change?, _ target: TargetRecord, at now: MonotonicTime, evidence cause: Evidence
    ) {
        guard let change else { return }
        markDirty(target.group)
        if !target.followers.isEmpty { tellFollowers(of: target, at: now, evidence: cause) }
        if change.becameUsable { startRamp(of: target, at: now) }
        if !change.isUsable { target.ramp = nil }
        if change.to.state == .healthy { welcomeNames(of: target.group, at: now) }
        if change.isNews { tell(target, change.from, change.to, target.evidence(for: change.to, cause: cause)) }
    }

    /// Remembers a change and has everybody told.
    func tell(
        _ target: TargetRecord, _ from: TargetHealth.Status, _ to: TargetHealth.Status, _ evidence: Evidence
    ) {
        target.history.append(HistoryEntry(to, after: from, evidence: evidence))
        target.transitions += 1
        target.group.transitions += 1
        observe(
            .transition(
                HealthTransition(
                    group: target.group.id, target: target.label, from: from, to: to, evidence: evidence.text,
                    mayReturn: target.mayReturn)))
    }

    func markDirty(_ group: GroupRecord) {
        guard !group.isDirty else { return }
        group.isDirty = true
        dirty.append(group)
    }

    /// Orders what follows from all changes since the last call, and from steps of slow start that are due: to be called at
    /// ``Climb/nextStep``, too.
    func flush(at now: MonotonicTime) {
        stepRamps(at: now)
        guard !dirty.isEmpty else { return }
        var orders: [HealthOrder] = []
        // Who is a backup for others makes these dirty in turn.
        while !dirty.isEmpty {
            let groups = dirty
            dirty.removeAll(keepingCapacity: true)
            for group in groups where self.groups[group.id] === group {
                if let change = evaluate(group) { orders.append(change) }
            }
        }
        if !orders.isEmpty { order(orders) }
    }

    /// Works out the weights in force and remembers them as published.
    ///
    /// - Returns: the difference; `nil` when there is none.
    private func evaluate(_ group: GroupRecord) -> HealthOrder? {
        group.isDirty = false
        var (ordinary, backup, candidates) = (0, 0, 0)
        for target in group.targets where target.fullWeight > 0 {
            if target.health.isUsable { if target.isBackup { backup += 1 } else { ordinary += 1 } }
            if target.health.takesFailOpen { candidates += 1 }
        }
        let availability = Availability(
            ordinaryUsable: ordinary, backupUsable: backup, backupGroupUsable: standIn(for: group) != nil,
            failOpenCandidates: candidates, failOpen: group.settings.failOpen,
            hasSorryResponse: group.settings.sorryResponse != nil)
        let before = group.published
        group.published = published(group, availability)
        if availability != group.availability {
            let wasServing = group.availability.isServing
            group.availability = availability
            if availability.isServing != wasServing { for group in groupsBehind(group) { markDirty(group) } }
        }
        noteAvailability(of: group)
        noteMinimum(of: group, usable: ordinary)
        noteTable(of: group)
        let slot = group.compiled.slot
        let weights = group.published.weights
        guard before.weights.count == weights.count, before.isFailOpen == group.published.isFailOpen,
            before.standing == group.published.standing
        else {
            return .availability(slot: slot, group.published)
        }
        let changes = weights.indices.filter { weights[$0] != before.weights[$0] }
        return changes.isEmpty ? nil : .weights(slot: slot, changes.map { ($0, weights[$0]) })
    }
}
