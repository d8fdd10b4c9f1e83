import PoiseHealth
import PoiseModel
import PoiseProxy

/// Subsets and backup groups: which targets, and which groups, answer for a group.
extension HealthEngine {
    /// What workers are told: of a subset's group, weights of those that are in it.
    func published(_ group: GroupRecord, _ availability: Availability) -> GroupAvailability {
        var weights = group.targets.map { Int32($0.weightInForce(availability)) }
        guard let subset = group.compiled.subset else {
            group.inUse = []
            return GroupAvailability(weights: weights, isFailOpen: availability == .failOpen)
        }
        var inUse = Array(repeating: false, count: weights.count)
        subset.forEachMember(where: { weights[$0] > 0 }, { inUse[$0] = true })
        let standing = group.compiled.dividesByStanding ? weights : []
        for target in weights.indices where !inUse[target] { weights[target] = 0 }
        group.inUse = inUse
        return GroupAvailability(weights: weights, standing: standing, isFailOpen: availability == .failOpen)
    }

    /// The group that answers while `group` has no usable target: the first of the chain that has one.
    func standIn(for group: GroupRecord) -> GroupRecord? {
        var here = group
        // No longer chain is possible; a circle is refused before.
        for _ in 0..<groups.count {
            guard let name = here.settings.backupGroup, let next = groups[name] else { return nil }
            if next.targets.contains(where: \.isUsable) { return next }
            here = next
        }
        return nil
    }

    /// Those that `group` is the backup of.
    func groupsBehind(_ group: GroupRecord) -> [GroupRecord] {
        groups.values.filter { $0.settings.backupGroup == group.id }.sorted { $0.id < $1.id }
    }

    /// What is a backup of a group in use is in use.
    static func withBackups(_ slots: Set<Int>, in snapshot: ProxySnapshot) -> Set<Int> {
        var backups: [Int: Int] = [:]
        for group in snapshot.groups { backups[group.slot] = group.backupSlot }
        var (used, rest) = (slots, Array(slots))
        while let slot = rest.popLast() {
            if let backup = backups[slot], used.insert(backup).inserted { rest.append(backup) }
        }
        return used
    }
}
