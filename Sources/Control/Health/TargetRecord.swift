import PoiseBalancing
import PoiseHealth
import PoiseLive
import PoiseModel
import PoiseProxy

/// One target of one group, as control knows it: its state from every side. Lives as long as group and address do,
/// whatever snapshots come and go.
final class TargetRecord {
    unowned let group: GroupRecord
    /// ``group`` while this drains after its removal: the group may be gone before its last flow is.
    var formerGroup: GroupRecord?
    let label: String
    /// `nil`: a name without any address.
    var compiled: CompiledTarget?
    /// What the configuration says of a name without any address.
    var named: Target?
    var settings: Target? { compiled?.settings ?? named }
    var health: TargetHealth
    var passive: PassiveHealth
    var drain = DrainMachine()
    /// In the order of the group's settings.
    var checks: [CheckRecord] = []
    /// What all its agents say together; `nil` without one.
    var agentWord: AgentWord?
    /// Targets of groups that go by the health of this one's group.
    var followers: [TargetRecord] = []
    /// Whose health it goes by.
    weak var leader: TargetRecord?
    /// Of the last ejection.
    var ejectedBy: Evidence?
    var history = HistoryRing<HistoryEntry>()
    /// State changes since it is in its group.
    var transitions = 0
    /// Set by an operator; lasts until it is cleared, an apply changes the configured weight, or the target goes.
    var operatorWeight: Int?
    /// Its name may have the address again, see ``AbsentTargets``.
    var mayReturn = false
    /// While it is away: an operator wants no new flows there.
    var isDrainedOnReturn = false
    /// What its agent said last.
    var agent: AgentWeight?
    /// How it answers, and what that leaves of its weight.
    var traffic = TargetTraffic()
    /// The log knows that it has much less than its weight.
    var isLowered = false
    /// `nil`: not in slow start, or not any more.
    var ramp: Ramp?
    /// It is in the engine's list of those in slow start.
    var isClimbing = false
    /// What the counters said when they were last looked at.
    var seenSuccesses = 0
    var seenFailures = 0

    init(group: GroupRecord, label: String, compiled: CompiledTarget?, health: TargetHealth) {
        (self.group, self.label, self.compiled, self.health) = (group, label, compiled, health)
        passive = PassiveHealth(policy: group.settings.passive)
        history.append(HistoryEntry(health.status))
        if let counters = compiled?.counters {
            seenSuccesses = counters.targetSuccesses
            seenFailures = counters.targetFailures
        }
    }

    var isBackup: Bool { settings?.isBackup ?? false }
    /// Configured, or an operator's, as its agent will have it: 0...65,536.
    var fullWeight: Int {
        let weight = EffectiveWeight.of(operatorWeight ?? settings?.weight ?? 0)
        return agent?.applied(to: weight) ?? weight
    }
    var isUsable: Bool { fullWeight > 0 && health.isUsable }
    var flows: Int { max(0, compiled?.counters.gauge(TargetCounter.inFlight) ?? 0) }
    var isDraining: Bool { drain.deadline != nil }

    /// 0...65,536: what workers are told.
    func weightInForce(_ availability: Availability) -> Int {
        switch availability {
        case .ordinary, .backup:
            guard isUsable else { return 0 }
            guard let ramp else { return sharedWeight }
            return SlowStart.effectiveWeight(
                sharedWeight, healthyFor: ramp.elapsed, duration: group.settings.slowStart,
                aggressionPercent: group.settings.slowStartAggressionPercent)
        case .failOpen: return health.takesFailOpen ? fullWeight : 0
        case .backupGroup, .sorry, .none: return 0
        }
    }
}

/// One target group, as control knows it.
final class GroupRecord {
    let id: String
    var settings: TargetGroup
    var compiled: CompiledGroup
    /// In the order of `compiled.targets`: the index is the one that workers use.
    var targets: [TargetRecord] = []
    /// Names without an address.
    var unresolved: [TargetRecord] = []
    /// Names that had none, and have addresses now of which none is healthy yet.
    var returning: [TargetRecord] = []
    var names: [TargetRecord] { unresolved + returning }
    /// Addresses that names had, and may have again.
    var absent = AbsentTargets()
    /// Names whose later addresses an operator wants drained.
    var drainedNames: Set<String> = []
    var availability = Availability.ordinary
    /// What was told of it last.
    var toldAvailability = Availability.ordinary
    /// What the workers were told last.
    var published = GroupAvailability(weights: [])
    /// Fewer targets are usable than `min_healthy` asks for.
    var isBelowMinimum = false
    /// The running comparison for outliers began here.
    var sweptAt: MonotonicTime?
    /// Which targets this Poise uses; empty where that is all.
    var inUse: [Bool] = []
    /// Some rule leads here.
    var isUsed = true
    var isDirty = true
    /// State changes of all its targets since it exists.
    var transitions = 0
    /// Some check of its targets is rarer while no request comes.
    var watchesForIdleness: Bool { settings.healthChecks.parts.contains { $0.check.idleInterval != nil } }
    /// When its requests were last seen to grow, and how many there were.
    var lastRequestAt: MonotonicTime
    var seenRequests: UInt64

    init(_ compiled: CompiledGroup, at now: MonotonicTime) {
        (id, settings, self.compiled) = (compiled.settings.id, compiled.settings, compiled)
        (lastRequestAt, seenRequests) = (now, compiled.counters.sum(GroupCounter.requests))
    }
}

/// What passive checks make of a target's counters.
extension CounterBlock {
    /// Answers that speak for the target. An answer with 502, 503 or 504 is subtracted at its head and added at its
    /// end: this may fall for a while.
    var targetSuccesses: Int {
        let answers = (0..<4).reduce(0) { $0 &+ sum(TargetCounter.status2xx + $1) }
        return Int(truncatingIfNeeded: answers &- sum(TargetCounter.unavailableAnswers))
    }
    /// Tries that failed at a target, and answers that say that it cannot do its work.
    var targetFailures: Int {
        let tries = sum(TargetCounter.connectFailures) &+ sum(TargetCounter.failures)
        return Int(truncatingIfNeeded: tries &+ sum(TargetCounter.unavailableAnswers))
    }
}
