import PoiseBalancing
import PoiseLive

/// Where a group has nobody left for a request, its backup group goes on with it, by its own settings.
extension Exchange {
    /// - Returns: false where no backup group has a usable target; nothing has changed then.
    func changeToBackupGroup() -> Bool {
        guard let group, let next = worker.backup(of: group) else { return false }
        group.counters.subtract(GroupCounter.inFlight)
        group.counters.add(GroupCounter.handedOn)
        self.group = next
        next.counters.add(GroupCounter.requests)
        next.counters.add(GroupCounter.inFlight)
        next.retryBudget.value.requestBegan(at: now)
        // Indices and places in a queue are the other group's.
        (targetIndex, targetID, excluded) = (-1, 0, Exclusions())
        (keptPlace, queuedUntil) = (nil, .zero)
        return true
    }
}

extension Worker {
    /// The first in a chain of backup groups that has a usable target of its own.
    ///
    /// Whoever only fails open is passed over: nobody knows better of its targets than of those of the group that asks.
    func backup(of group: GroupRuntime) -> GroupRuntime? {
        var here = group
        // Between two snapshots chains of both may make a circle.
        for _ in 0..<groups.count {
            guard let slot = here.compiled.backupSlot, let next = self.group(slot) else { return nil }
            if next.isServing { return next }
            here = next
        }
        return nil
    }

    /// Whether requests for the group reach a target that is known to be good.
    func serves(_ slot: Int) -> Bool { group(slot).map { $0.isServing || backup(of: $0) != nil } ?? false }
}
