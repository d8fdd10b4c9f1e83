import PoiseHealth
import PoiseModel

/// Turns changes of health into the events that hooks hear, each exactly once.
///
/// Invariants:
/// 1. `target_up` follows a `target_down` of the same target, and `target_down` follows none or an up: another reason
///    for the same state is no event, nor is the first success after the start.
/// 2. A group's events alternate in the same way, beginning with the bad one.
/// 3. What an operator does to a target (drain, removal) is no event; a target that was down before it was drained is
///    up when it comes back healthy. So is one that was down when its name lost the address, once it is back and healthy.
struct EventFilter: Sendable {
    struct Target: Hashable, Sendable {
        var group: String
        var label: String
    }

    private var down: Set<Target> = []
    /// Who answered for them instead when that was told.
    private var downGroups: [String: Availability] = [:]
    private var belowMinimum: Set<String> = []

    /// How much is remembered: only what is bad.
    var count: Int { down.count + downGroups.count + belowMinimum.count }

    mutating func event(_ change: HealthTransition) -> NotifyEvent? {
        let target = Target(group: change.group, label: change.target)
        switch change.to.state {
        case .unhealthy: return down.insert(target).inserted ? .targetDown : nil
        case .healthy: return down.remove(target) == nil ? nil : .targetUp
        case .initial: return nil
        case .draining, .unused:
            // It has left its group, and will not come back as the same one unless its name has the address again.
            if change.to.reason == .deregistration, !change.mayReturn { down.remove(target) }
            return nil
        }
    }

    /// - Parameter isUsed: whether some rule leads to the group. Nobody misses one that no rule leads to.
    mutating func event(_ availability: Availability, of group: String, isUsed: Bool) -> NotifyEvent? {
        switch availability {
        case .ordinary, .backup: downGroups.removeValue(forKey: group) == nil ? nil : .groupUp
        // Its own targets are down, whoever answers instead.
        case .backupGroup, .sorry, .failOpen, .none: isUsed ? noteDown(group, availability) : nil
        }
    }

    private mutating func noteDown(_ group: String, _ availability: Availability) -> NotifyEvent? {
        guard downGroups[group] == nil else { return nil }
        downGroups[group] = availability
        return .groupDown
    }

    /// Who was told to answer for a group that is down; `nil` of one that is up. What has changed since then was no event.
    func toldAvailability(of group: String) -> Availability? { downGroups[group] }

    mutating func event(isBelowMinimum: Bool, of group: String) -> NotifyEvent? {
        if isBelowMinimum { return belowMinimum.insert(group).inserted ? .groupBelowMinimum : nil }
        return belowMinimum.remove(group) == nil ? nil : .groupMinimumMet
    }

    /// Forgets a target that will not come back.
    mutating func forget(_ target: Target) { down.remove(target) }

    /// Forgets targets that are gone.
    mutating func keep(where isKnown: (Target) -> Bool) { down = down.filter(isKnown) }

    /// Forgets groups that are gone.
    mutating func keep(groups: Set<String>) {
        downGroups = downGroups.filter { groups.contains($0.key) }
        belowMinimum.formIntersection(groups)
    }
}

extension Availability {
    /// As hooks and the health log say it.
    var name: String {
        switch self {
        case .ordinary: "ordinary"
        case .backup: "backup"
        case .backupGroup: "backup_group"
        case .sorry: "sorry"
        case .failOpen: "fail_open"
        case .none: "none"
        }
    }
}
