import PoiseBalancing
import PoiseLive
import PoiseModel
import PoisePlatform
import PoiseProxy
import PoiseRouting

/// Compiles a configuration into a snapshot, reusing every object that did not change.
@ControlActor
struct SnapshotBuilder {
    let live: LiveObjects
    /// Addresses of targets that are names; a name that is missing does not resolve.
    let addresses: [String: [IPAddress]]

    /// - Returns: the snapshot; objects equal to those of the last one are the same references.
    func build(_ configuration: Configuration, generation: Int) throws(ConfigError) -> ProxySnapshot {
        var groups: [CompiledGroup] = []
        groups.reserveCapacity(configuration.targetGroups.count)
        for group in configuration.targetGroups { groups.append(compile(group)) }
        var listeners: [CompiledListener] = []
        for (index, listener) in configuration.listeners.enumerated() {
            do { listeners.append(try compile(listener)) } catch { throw error.under("listeners[\(index)]") }
        }
        return ProxySnapshot(generation: generation, listeners: listeners, groups: groups)
    }

    // MARK: Groups

    private func compile(_ group: TargetGroup) -> CompiledGroup {
        let entry = live.group(group.id)
        var targets: [CompiledTarget] = []
        for target in group.targets { targets += compile(target, of: group, entry) }
        if let old = entry.compiled, old.settings == group, old.targets.elementsEqual(targets, by: ===) { return old }
        let compiled = CompiledGroup(
            slot: entry.slot, settings: group, targets: targets, counters: entry.counters,
            totalTime: entry.totalTime, targetTime: entry.targetTime,
            queue: group.limits.connectionsMax == nil ? nil : entry.queue)
        entry.compiled = compiled
        let kept = Set(targets.map(\.address))
        for address in entry.targets.keys where !kept.contains(address) { entry.targets[address] = nil }
        return compiled
    }

    private func compile(
        _ target: Target, of group: TargetGroup, _ entry: LiveObjects.GroupEntry
    ) -> [CompiledTarget] {
        switch target.address {
        case .ip(let ip, let port):
            return [compile(.ip(ip, port: port), target, "\(target.address)", group, entry)]
        case .unix(let path):
            return [compile(.unix(path: path), target, "\(target.address)", group, entry)]
        case .name(let name, let port):
            return (addresses[name] ?? []).map { ip in
                compile(
                    .ip(ip, port: port), target, "\(TargetAddress.ip(ip, port: port))", group, entry)
            }
        }
    }

    private func compile(
        _ address: SocketAddress, _ target: Target, _ label: String, _ group: TargetGroup,
        _ entry: LiveObjects.GroupEntry
    ) -> CompiledTarget {
        let cell: LiveObjects.TargetEntry
        if let known = entry.targets[address] {
            cell = known
        } else {
            cell = LiveObjects.TargetEntry(workers: live.workers)
            entry.targets[address] = cell
        }
        if let limit = group.limits.connectionsMax {
            if let limiter = cell.limiter {
                if limiter.limit != limit { limiter.setLimit(limit) }
            } else {
                cell.limiter = SlotLimiter(limit: limit)
            }
        } else {
            cell.limiter = nil
        }
        if let old = cell.compiled, old.settings == target, old.inFlight === cell.limiter { return old }
        let text = Array(label.utf8)
        let compiled = CompiledTarget(
            address: address, settings: target, label: label, hostHeader: Self.hostHeader(of: target.address),
            identity: hash64(text.span), counters: cell.counters, inFlight: cell.limiter)
        cell.compiled = compiled
        return compiled
    }

    /// The name or address, with the port unless it is HTTP's own.
    static func hostHeader(of address: TargetAddress) -> String {
        switch address {
        case .unix: return "localhost"
        case .name(let name, let port): return port == 80 ? name : "\(name):\(port)"
        case .ip(let ip, let port):
            let host = ip.family == .v6 ? "[\(ip)]" : "\(ip)"
            return port == 80 ? host : "\(host):\(port)"
        }
    }

    // MARK: Listeners

    private func compile(_ listener: Listener) throws(ConfigError) -> CompiledListener {
        let entry = live.listener(listener.id)
        if let old = entry.compiled, old.settings == listener, usesSameSlots(old, listener) { return old }
        var actions: [CompiledAction] = []
        for (index, rule) in listener.rules.enumerated() {
            do { actions.append(try compile(rule.action)) } catch { throw error.under("rules[\(index)]") }
        }
        var fallback: CompiledAction?
        if let action = listener.defaultAction {
            do { fallback = try compile(action) } catch { throw error.under("default") }
        }
        var kept: [String: CounterBlock] = [:]
        let ids = listener.rules.map(\.id) + ["default"]
        for id in ids { kept[id] = entry.rules[id] ?? CounterBlock(workers: live.workers, width: RuleCounter.width) }
        entry.rules = kept
        let compiled = CompiledListener(
            slot: entry.slot, settings: listener, actions: actions, defaultAction: fallback,
            counters: entry.counters, ruleCounters: ids.map { kept[$0]! }, totalTime: entry.totalTime,
            targetTime: entry.targetTime)
        entry.compiled = compiled
        return compiled
    }

    /// A group that went and came back under the same name has another slot.
    private func usesSameSlots(_ compiled: CompiledListener, _ listener: Listener) -> Bool {
        let actions = listener.rules.map(\.action) + [listener.defaultAction].compactMap(\.self)
        let old = compiled.actions + [compiled.defaultAction].compactMap(\.self)
        for (action, compiled) in zip(actions, old) {
            guard case .forward(let forward) = action, case .forward(let shares) = compiled else { continue }
            guard forward.shares.map({ live.group($0.group).slot }) == shares.map(\.groupSlot) else { return false }
        }
        return true
    }

    private func compile(_ action: Action) throws(ConfigError) -> CompiledAction {
        switch action {
        case .forward(let forward):
            return .forward(
                forward.shares.map { .init(groupSlot: live.group($0.group).slot, weight: $0.weight) })
        case .redirect(let redirect): return .redirect(try RedirectTemplate(redirect))
        case .fixedResponse(let response): return .fixedResponse(response)
        }
    }
}
