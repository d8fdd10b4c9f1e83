import PoiseModel

extension HealthEngine {
    /// Tells who answers for a group, where that is somebody else than was told last.
    func noteAvailability(of group: GroupRecord) {
        // Nobody misses the targets of a group that no rule leads to, and its return with them is no news.
        guard group.isUsed, !group.awaitsNames, group.availability != group.toldAvailability else { return }
        observe(.availability(group: group.id, from: group.toldAvailability, to: group.availability))
        group.toldAvailability = group.availability
    }

    /// Tells when a group falls below its `min_healthy`, and when it has enough again.
    ///
    /// - Parameter usable: ordinary targets with a weight that take new flows.
    func noteMinimum(of group: GroupRecord, usable: Int) {
        // Nobody misses the targets of a group that no rule leads to.
        let minimum = group.isUsed ? group.minimum : nil
        let isBelow = minimum.map { usable < $0 } ?? false
        guard isBelow != group.isBelowMinimum, !(isBelow && group.awaitsNames) else { return }
        // Whom nobody has judged yet may be well: results will show it.
        if isBelow, let minimum, usable + group.unjudged >= minimum { return }
        group.isBelowMinimum = isBelow
        observe(.minimum(group: group.id, isMet: !isBelow))
    }
}

extension GroupRecord {
    /// Ordinary targets with a weight: those of which `min_healthy` asks for a number or a share.
    var countedTargets: Int { targets.count(where: \.isCounted) + unresolved.count(where: \.isCounted) }

    /// How many should be usable; `nil` where nobody asks.
    var minimum: Int? { settings.minHealthy?.count(of: countedTargets) }
}

extension TargetRecord {
    var isCounted: Bool { !isBackup && fullWeight > 0 }
}
