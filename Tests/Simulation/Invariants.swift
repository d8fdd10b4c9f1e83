import PoiseLive
import PoiseModel

@testable import PoiseProxy

/// What must hold after every step of every worker, over all snapshots that there were; see ``World`` for the list.
///
/// Looks at counters, slots, records and the letters that workers have read, never into a worker.
final class Invariants {
    /// A target of a group, from its first snapshot to the end of the run.
    private final class TargetTrace {
        let name: String
        let counters: CounterBlock
        /// All that it ever had; `nil` among them for none.
        var limits: [TargetLimit?]
        /// Slots and connections in use when last looked at.
        var lastUse = (slots: 0, connections: 0)
        /// Exchanges sent to it so far, by worker.
        var requests: [Int]
        /// Its group spoke HTTP/2 at some time: exchanges share connections, and take no slots for them.
        var isShared = false

        init(_ target: CompiledTarget, in group: String, workers: Int) {
            name = "\(group) \(target.label)"
            (counters, limits) = (target.counters, [target.limit])
            requests = Array(repeating: 0, count: workers)
        }
    }

    private let fail: (String) -> Void
    private let workers: Int
    private var targets: [TargetTrace] = []
    /// Of ``targets``, those that anything can still happen to.
    private var active: [TargetTrace] = []
    private var snapshots: [ProxySnapshot] = []
    private var groups: [CompiledGroup] = []
    private var listeners: [CompiledListener] = []
    /// By the ids of counters: places in the lists above, groups of targets.
    private var places: [Int: Int] = [:]
    private var groupsOfTargets: [Int: Int] = [:]

    /// HTTP/2 connections to a target, per worker; `nil` where some may be going away.
    private let sharedMax: Int?

    init(_ scenario: Scenario, fail: @escaping (String) -> Void) {
        (workers, self.fail) = (scenario.workers, fail)
        let isSteady = scenario.isPerfect && !scenario.configurationChanges && scenario.goAways == 0
        sharedMax = isSteady ? scenario.targetHTTP2.connectionsMax : nil
    }

    // MARK: Snapshots

    /// From now on what `snapshot` brings is looked at, too; what it no longer has goes on being looked at.
    func add(_ snapshot: ProxySnapshot, _ hosts: [WorkerHost]) {
        for listener in snapshot.listeners where places[listener.counters.id] == nil {
            places[listener.counters.id] = listeners.count
            listeners.append(listener)
        }
        for group in snapshot.groups {
            if places[group.counters.id] == nil {
                places[group.counters.id] = groups.count
                groups.append(group)
            }
            if group.queue != nil { groups[places[group.counters.id]!] = group }
            for target in group.targets {
                defer { if group.settings.version == .http2 { targets[places[target.counters.id]!].isShared = true } }
                if let place = places[target.counters.id] {
                    if targets[place].limits.last! !== target.limit {
                        targets[place].limits.append(target.limit)
                        targets[place].lastUse = (0, 0)
                    }
                } else {
                    places[target.counters.id] = targets.count
                    groupsOfTargets[target.counters.id] = group.counters.id
                    targets.append(TargetTrace(target, in: group.settings.id, workers: workers))
                }
            }
        }
        snapshots.append(snapshot)
        chooseActive(hosts)
    }

    /// Targets of every snapshot that is in force somewhere, or will be, and those that still have something open.
    private func chooseActive(_ hosts: [WorkerHost]) {
        let oldest = hosts.map { $0.snapshots.last?.snapshot.generation ?? 0 }.min() ?? 0
        var ids = Set<Int>()
        for snapshot in snapshots.reversed().prefix(while: { $0.generation >= oldest }) {
            for group in snapshot.groups { ids.formUnion(group.targets.map(\.counters.id)) }
        }
        active = targets.filter { target in
            ids.contains(target.counters.id) || target.counters.gauge(TargetCounter.connections) != 0
                || target.counters.gauge(TargetCounter.inFlight) != 0
        }
    }

    // MARK: After each step

    /// - Parameter weights: in force on `host` before the step.
    func check(after host: WorkerHost, weights: [Int: Int32], hosts: [WorkerHost]) {
        let hasMail = hosts.contains(where: \.hasMail)
        for target in active {
            let requests = Int(target.counters.row(host.index).load(TargetCounter.requests))
            if requests > target.requests[host.index] {
                target.requests[host.index] = requests
                let id = target.counters.id
                if weights[id] ?? 0 == 0, host.weights[id] ?? 0 == 0 { fail("\(target.name) was used with weight 0") }
            }
            checkSlots(target, hasMail: hasMail)
            let open = Int(truncatingIfNeeded: target.counters.row(host.index).load(TargetCounter.connections))
            if target.isShared, let sharedMax, open > sharedMax {
                fail("\(target.name) has \(open) HTTP/2 connections of worker \(host.index), not \(sharedMax)")
            }
        }
        for listener in listeners {
            let multiplexed = listener.counters.gauge(ListenerCounter.http2Open)
            if multiplexed < 0 || multiplexed > listener.counters.gauge(ListenerCounter.connections) {
                fail("\(multiplexed) HTTP/2 connections are open")
            }
        }
        let inFlight = listeners.reduce(0) { $0 + $1.counters.gauge(ListenerCounter.inFlight) }
        let begun = listeners.reduce(0) { $0 + $1.counters.gauge(ListenerCounter.requests) }
        let ended = hosts.reduce(0) { $0 + $1.records }
        if inFlight < 0 || begun != inFlight + ended {
            fail("\(begun) exchanges began, \(inFlight) are in flight, \(ended) have ended")
        }
        for group in groups {
            for gauge in [GroupCounter.inFlight, GroupCounter.queued] where group.counters.gauge(gauge) < 0 {
                fail("the gauge \(gauge) of \(group.settings.id) is below 0")
            }
        }
    }

    private func checkSlots(_ target: TargetTrace, hasMail: Bool) {
        let inFlight = target.counters.gauge(TargetCounter.inFlight)
        let connections = target.counters.gauge(TargetCounter.connections)
        if inFlight < 0 { fail("\(target.name) has \(inFlight) exchanges in flight") }
        if connections < 0 { fail("\(target.name) has \(connections) connections") }
        guard let limit = target.limits.last! else { return }
        let (slots, opened) = (limit.exchanges.inUse, limit.connections.inUse)
        // What was taken above a lowered limit stays taken, but nothing is added to it.
        if slots > max(limit.value, target.lastUse.slots) {
            fail("\(target.name) has \(slots) of \(limit.value) slots")
        }
        if opened > max(limit.value, target.lastUse.connections) {
            fail("\(target.name) has \(opened) of \(limit.value) connections")
        }
        target.lastUse = (slots, opened)
        // Under another limit, or under none, others were counted.
        guard target.limits.count == 1 else { return }
        for (what, taken, used) in [("slots", slots, inFlight), ("connections", opened, connections)]
        where what == "slots" || !target.isShared {
            // The rest is in letters to waiters.
            if taken < used || taken > used && !hasMail {
                fail("\(target.name) has \(taken) \(what) in use for \(used)")
            }
        }
    }

    // MARK: Records

    /// The rule that a record tells is the first that matched in a snapshot that was in force when its exchange began,
    /// and its group and target are of that rule.
    func check(_ record: AccessRecord, _ path: String, of host: WorkerHost) {
        guard record.rule != 0, let place = places[record.listener] else {
            if places[record.listener] == nil { fail("a record of the listener \(record.listener)") }
            return
        }
        let listenerID = listeners[place].counters.id
        // Cut to whole microseconds.
        let latest = MonotonicTime(nanoseconds: host.loop.now.nanoseconds - Int64(record.totalMicroseconds) * 1000)
        let earliest = MonotonicTime(nanoseconds: latest.nanoseconds - 1000)
        let inForce = host.snapshots.indices.filter { index in
            let end = index + 1 < host.snapshots.count ? host.snapshots[index + 1].since : .distantFuture
            return host.snapshots[index].since <= latest && end >= earliest
        }
        let isExpected = inForce.contains { index in
            // A listener that is gone goes on with what it had.
            for entry in host.snapshots[...index].reversed() {
                guard let listener = entry.snapshot.listeners.first(where: { $0.counters.id == listenerID }) else {
                    continue
                }
                return matches(record, path, listener, in: entry.snapshot, of: host)
            }
            return false
        }
        if !isExpected {
            fail("\(path) was led by the rule \(record.rule) to the group \(record.group), target \(record.target)")
        }
        if record.target != 0, groupsOfTargets[record.target] != record.group {
            fail("\(path) was sent to a target of another group")
        }
    }

    private func matches(
        _ record: AccessRecord, _ path: String, _ listener: CompiledListener, in snapshot: ProxySnapshot,
        of host: WorkerHost
    ) -> Bool {
        let rules = listener.settings.rules
        let rule = rules.firstIndex { rule in
            guard case .path(let globs)? = rule.conditions.first else { return true }
            return globs.contains { path.hasSuffix(String($0.pattern.last!)) }
        }
        guard listener.ruleCounters[rule ?? rules.count].id == record.rule else { return false }
        guard record.group != 0 else { return true }
        let action = rule.map { listener.actions[$0] } ?? listener.defaultAction
        guard case .forward(let shares)? = action else { return false }
        let slots = Set(shares.map(\.groupSlot))
        return snapshot.groups.contains { slots.contains($0.slot) && $0.counters.id == record.group }
            || isBackup(record.group, of: snapshot.groups.filter { slots.contains($0.slot) }.map(\.settings.id), host)
    }

    /// By the chains of any snapshot: a later one may have come between two tries.
    private func isBackup(_ group: Int, of names: [String], _ host: WorkerHost) -> Bool {
        var (reached, rest) = (Set(names), names)
        let all = host.snapshots.flatMap(\.snapshot.groups)
        while let name = rest.popLast() {
            for backup in all where backup.settings.id == name {
                if let next = backup.settings.backupGroup, reached.insert(next).inserted { rest.append(next) }
            }
        }
        return places[group].map { reached.contains(groups[$0].settings.id) } ?? false
    }

    // MARK: At the end

    /// Soon after the last disturbance: no connection waits in a pool for a target that no snapshot has any more.
    func checkRemovedKeepNothing() {
        let ids = Set(snapshots.last!.groups.flatMap { $0.targets.map(\.counters.id) })
        for target in targets where !ids.contains(target.counters.id) {
            let open = target.counters.gauge(TargetCounter.connections)
            let busy = target.counters.gauge(TargetCounter.inFlight)
            let idle = target.isShared && busy > 0 ? 0 : open - busy
            if idle > 0 { fail("\(target.name) is gone, and \(idle) connections to it are kept") }
        }
    }

    func checkNothingIsLeft() {
        for listener in listeners {
            if listener.counters.gauge(ListenerCounter.inFlight) != 0 { fail("exchanges are in flight for ever") }
            if listener.counters.gauge(ListenerCounter.connections) != 0 { fail("connections are counted for ever") }
            if listener.counters.gauge(ListenerCounter.http2Open) != 0 { fail("HTTP/2 connections stay open for ever") }
        }
        for group in groups {
            if group.counters.gauge(GroupCounter.inFlight) != 0 { fail("\(group.settings.id) is in flight for ever") }
            if group.counters.gauge(GroupCounter.queued) != 0 || group.queue.map({ $0.count != 0 }) ?? false {
                fail("the queue of \(group.settings.id) is not empty")
            }
        }
        for group in snapshots.last?.groups ?? [] {
            guard let flows = group.partFlows else { continue }
            for part in 0..<flows.width where flows.gauge(part) != 0 {
                fail("part \(part) of \(group.settings.id) has \(flows.gauge(part)) flows for ever")
            }
        }
        for target in targets {
            if target.counters.gauge(TargetCounter.inFlight) != 0 { fail("\(target.name) is busy for ever") }
            if target.counters.gauge(TargetCounter.connections) != 0 { fail("\(target.name) is connected for ever") }
            for limit in target.limits.compactMap(\.self)
            where limit.exchanges.inUse + limit.connections.inUse != 0 || !limit.connectionQueue.isEmpty {
                fail("\(target.name) has slots in use for ever")
            }
        }
    }
}
