import PoiseHealth
import PoiseLive
import PoiseModel
import PoiseProxy

/// The storage in which groups are compared, one after the other.
struct TrafficDesk {
    var group = GroupTraffic()
    var outliers: [GroupTraffic.Outlier] = []
    private var lastLook: MonotonicTime?
    /// A second has passed since the last look; ticks may come more often.
    private(set) var isDue = false

    mutating func begin(at now: MonotonicTime) {
        isDue = lastLook.map { now - $0 >= .milliseconds(900) } ?? true
        if isDue { lastLook = now }
    }

    mutating func sweep(_ checks: OutlierChecks) { group.sweep(checks, into: &outliers) }
}

/// What traffic and the targets' own words leave of weights, and who is out of line.
extension HealthEngine {
    // MARK: Agents

    /// A target's agent has spoken: its weight is this part of the configured one until it says something else. In groups of
    /// every algorithm; an operator's weight takes the place of the configured one.
    ///
    /// - Parameters:
    ///   - weightPercent: 0 takes no new flows, above 100 takes more; at most 25,600.
    ///   - validFor: how long it holds without another report: some of the agent's intervals.
    func reported(
        weightPercent: Int, of target: TargetRecord, validFor: Nanoseconds, at now: MonotonicTime
    ) {
        let agent = AgentWeight(percent: max(0, min(25_600, weightPercent)), expiresAt: now + validFor)
        defer { target.agent = agent }
        guard agent.percent != target.agent?.percent ?? 100 else { return }
        target.agent = agent
        markDirty(target.group)
        tellWeight(of: target, .agent)
    }

    /// There is no report any more: all of the weight again.
    func endReports(of target: TargetRecord) {
        guard let agent = target.agent else { return }
        target.agent = nil
        guard agent.percent != 100 else { return }
        markDirty(target.group)
        tellWeight(of: target, target.traffic.cause)
    }

    // MARK: Traffic

    /// Compares the targets of a group, once a second. Anomalies are looked for in every group that has enough targets for
    /// it, the rest where a setting asks.
    func watchTraffic(of group: GroupRecord, at now: MonotonicTime) {
        guard traffic.isDue else { return }
        let settings = group.settings
        let rules = GroupTraffic.Rules(
            adapts: settings.algorithm == .adaptive, mitigates: settings.mitigatesAnomalies)
        let outliers = settings.passive.outliers
        guard rules.adapts || rules.mitigates || outliers.isOn || group.targets.count >= GroupTraffic.targetsMin else {
            return forgetTraffic(of: group)
        }
        traffic.group.targets.removeAll(keepingCapacity: true)
        for target in group.targets {
            (target.traffic.isUsable, target.traffic.weight) = (target.isUsable, target.fullWeight)
            if let counters = target.compiled?.counters {
                target.traffic.observe(counters.traffic(withReports: rules.adapts), at: now)
            }
            traffic.group.targets.append(target.traffic)
        }
        traffic.group.step(rules, at: now)
        let sweeps = group.sweptAt.map { now - $0 >= settings.passive.window } ?? true
        if outliers.isOn, sweeps { traffic.sweep(outliers) }
        for (index, target) in group.targets.enumerated() { take(traffic.group.targets[index], of: target, rules) }
        guard outliers.isOn else { return group.sweptAt = nil }
        guard sweeps else { return }
        // What was counted before the first sweep began is of no length that anybody knows.
        let isFirst = group.sweptAt == nil
        group.sweptAt = now
        guard !isFirst else { return }
        ejectOutliers(of: group, at: now)
    }

    /// As many as may go of each tier, the worst first. Counts each tier once: in a large group many may be out.
    private func ejectOutliers(of group: GroupRecord, at now: MonotonicTime) {
        guard !traffic.outliers.isEmpty else { return }
        for isBackup in [false, true] {
            let tier = group.targets.filter { $0.isBackup == isBackup }
            var usable = tier.count { $0.isUsable }
            var ejected = tier.count { $0.passive.ejectedUntil != nil }
            for outlier in traffic.outliers {
                let target = group.targets[outlier.index]
                guard target.isBackup == isBackup, target.passive.ejectedUntil == nil else { continue }
                guard
                    EjectionBudget.allows(
                        targets: tier.count, usable: usable, ejected: ejected,
                        percentMax: group.settings.passive.ejectedPercentMax)
                else { break }
                (usable, ejected) = (usable - 1, ejected + 1)
                _ = target.passive.eject(for: outlier.reason, at: now)
                let evidence = Evidence.outlier(
                    percentOfLimit: UInt32(clamping: Int64(min(outlier.excess, 1e6) * 100)))
                target.ejectedBy = evidence
                note(target.health.ejected(outlier.reason, at: now), target, at: now, evidence: evidence)
            }
        }
    }

    private func take(_ new: TargetTraffic, of target: TargetRecord, _ rules: GroupTraffic.Rules) {
        let old = target.traffic
        target.traffic = new
        if old.isAnomalous != new.isAnomalous {
            tell(new.isAnomalous ? .anomalous(isMitigated: rules.mitigates) : .normal, of: target)
        }
        guard old.share != new.share else { return }
        markDirty(target.group)
        tellWeight(of: target, new.cause)
    }

    /// The group compares no more: whole weights for all.
    private func forgetTraffic(of group: GroupRecord) {
        group.sweptAt = nil
        for target in group.targets where target.traffic.share != TargetTraffic.wholeShare {
            target.traffic = TargetTraffic()
            markDirty(group)
            tellWeight(of: target, .none)
        }
    }

    // MARK: Events

    private func tellWeight(of target: TargetRecord, _ cause: ShareCause) {
        let percent = target.weightPercent
        if target.isLowered, percent >= TargetRecord.restoredPercent {
            target.isLowered = false
            tell(.restored, of: target)
        } else if !target.isLowered, percent < TargetRecord.loweredPercent {
            target.isLowered = true
            tell(.lowered(cause), of: target)
        }
    }

    private func tell(_ what: WeightEvent.What, of target: TargetRecord) {
        observe(
            .weight(
                WeightEvent(
                    group: target.group.id, target: target.label, what: what, percent: target.weightPercent)))
    }
}

extension TargetRecord {
    /// Below the first, the log says so; from the second on, that it is over.
    static let loweredPercent = 50
    static let restoredPercent = 75

    /// What the agent and traffic leave of the configured weight, in percent; above 100 where the agent asks for more.
    var weightPercent: Int { (agent?.percent ?? 100) * traffic.share / TargetTraffic.wholeShare }

    /// Why it is not 100.
    var weightCause: ShareCause {
        if traffic.share < TargetTraffic.wholeShare { return traffic.cause }
        return agent.map { $0.percent == 100 ? .none : .agent } ?? .none
    }

    /// ``fullWeight`` without what traffic takes of it: 0...65,536.
    var sharedWeight: Int {
        let weight = fullWeight
        return weight == 0 ? 0 : max(1, weight * traffic.share / TargetTraffic.wholeShare)
    }
}

extension CounterBlock {
    /// - Parameter withReports: those of load too; only groups that go by them have any.
    func traffic(withReports: Bool) -> TrafficCounts {
        func count(_ index: Int) -> Int { Int(truncatingIfNeeded: sum(index)) }
        var counts = TrafficCounts()
        counts.serverErrors = count(TargetCounter.status2xx + 3)
        counts.answers = (0..<3).reduce(counts.serverErrors) { $0 &+ count(TargetCounter.status2xx + $1) }
        counts.failures = count(TargetCounter.connectFailures) &+ count(TargetCounter.failures)
        counts.microseconds = count(TargetCounter.answerMicroseconds)
        guard withReports else { return counts }
        counts.reports = count(TargetCounter.loadReports)
        counts.utilization = count(TargetCounter.loadUtilization)
        counts.requestRate = count(TargetCounter.loadRequestRate)
        counts.errorRate = count(TargetCounter.loadErrorRate)
        return counts
    }
}
