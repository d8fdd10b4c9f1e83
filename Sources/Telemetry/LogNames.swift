import PoiseModel
import PoiseProxy

/// What the access log calls the objects of present and past snapshots, by the id of their counters.
///
/// An id belongs to one object for the life of the process, so a record never gets the name of another. A removed
/// object keeps its name for the records that are still under way, until `retiredMax` others were removed after it.
public struct LogNames: Sendable {
    private var names: [Int: [UInt8]] = [:]
    /// In the order of their removal.
    private var retired: [Int] = []
    private var present: Set<Int> = []
    private let retiredMax: Int

    public init(retiredMax: Int = 65_536) { self.retiredMax = retiredMax }

    /// Takes over the names of a snapshot. Cost: one look-up per listener, rule, group and target.
    public mutating func adopt(_ snapshot: ProxySnapshot) {
        var now = Set<Int>(minimumCapacity: present.count)
        for listener in snapshot.listeners {
            add(listener.counters.id, listener.settings.displayName, &now)
            for (index, counters) in listener.ruleCounters.enumerated() {
                add(counters.id, listener.ruleName(index), &now)
            }
        }
        for group in snapshot.groups {
            add(group.counters.id, group.settings.displayName, &now)
            for target in group.targets { add(target.counters.id, target.label, &now) }
        }
        retired += present.subtracting(now)
        present = now
        let excess = retired.count - retiredMax
        guard excess > 0 else { return }
        for id in retired.prefix(excess) { names[id] = nil }
        retired.removeFirst(excess)
    }

    private mutating func add(_ id: Int, _ name: String, _ now: inout Set<Int>) {
        now.insert(id)
        if names[id] == nil { names[id] = Array(name.utf8) }
    }

    func knows(_ id: Int) -> Bool { id == 0 || names[id] != nil }

    /// `nil` for id 0, and for an object that is forgotten or not known yet.
    func name(_ id: Int) -> [UInt8]? { names[id] }

    public func text(_ id: Int) -> String? { names[id].map { String(decoding: $0, as: UTF8.self) } }
}

extension Listener {
    /// As logs, metrics and status show it.
    public var displayName: String { name ?? id }
}

extension TargetGroup {
    /// As logs, metrics and status show it.
    public var displayName: String { name ?? id }
}

extension CompiledListener {
    /// - Parameter index: the number of rules for the default action.
    public func ruleName(_ index: Int) -> String {
        guard index < settings.rules.count else { return Identity.defaultRule }
        return settings.rules[index].name ?? settings.rules[index].id
    }
}
