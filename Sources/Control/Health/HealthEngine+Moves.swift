import PoiseHealth
import PoiseModel

/// Targets that take the place of others: what nobody knows yet is not missing.
extension HealthEngine {
    /// After targets came or went: where no other target of the group can serve, those that nobody has judged yet take traffic until their
    /// first result, as if they had come with their group.
    func trustUnjudged(of group: GroupRecord, at now: MonotonicTime) {
        guard !group.targets.contains(where: \.isUsable) else { return }
        for target in group.targets where target.health.status.state == .initial {
            for check in target.checks { check.state.trustUntilFirstResult() }
            guard let verdict = Self.verdict(of: target.checks, in: group) else { continue }
            note(target.health.checked(verdict, at: now), target, at: now, evidence: .configuration)
        }
    }
}

extension GroupRecord {
    /// Ordinary targets with a weight of which no result has told yet how they are, and that take no traffic until one does.
    var unjudged: Int {
        targets.count { $0.isCounted && $0.health.status.state == .initial && !$0.health.isUsable }
    }
}
