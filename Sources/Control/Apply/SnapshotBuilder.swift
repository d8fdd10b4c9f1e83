import PoiseBalancing
import PoiseLive
import PoiseModel
import PoisePlatform
import PoiseProxy
import PoiseRouting

/// Compiles a configuration into a snapshot, reusing every object that did not change.
///
/// Works on a copy of the live objects. Whoever commits takes ``live`` over and calls ``takeEffect()``.
struct SnapshotBuilder: Sendable {
    private(set) var live: LiveObjects
    /// Addresses of targets that are names; a name that is missing does not resolve.
    let addresses: [String: [IPAddress]]
    /// Listeners that share no address with their former selves.
    let moved: Set<String>
    let contexts: TLSContexts
    let tableWeights: TableWeights
    /// What the host is called, for a configuration that does not name the node.
    private let hostName: String
    private var place = NodePlace()
    private var limits: [(TargetLimit, Int)] = []

    /// - Parameter contexts: one for each listener and group that speaks TLS.
    init(
        live: LiveObjects, addresses: [String: [IPAddress]] = [:], moved: Set<String> = [],
        contexts: TLSContexts = TLSContexts(), tableWeights: TableWeights = TableWeights(),
        hostName: String = HostName.current
    ) {
        (self.tableWeights, self.hostName) = (tableWeights, hostName)
        (self.live, self.addresses, self.moved, self.contexts) = (live, addresses, moved, contexts)
    }

    /// - Returns: the snapshot; objects equal to those of the last one are the same references.
    mutating func build(_ configuration: Configuration, generation: Int) throws(ConfigError) -> ProxySnapshot {
        let process = configuration.process
        place = NodePlace(zone: process.zone, node: process.node ?? hostName)
        // Before any is compiled: groups name each other.
        for group in configuration.targetGroups where live.groups[group.id] == nil {
            live.groups[group.id] = live.newGroup()
        }
        var groups: [CompiledGroup] = []
        groups.reserveCapacity(configuration.targetGroups.count)
        for (index, group) in configuration.targetGroups.enumerated() {
            do { groups.append(try compile(group)) } catch { throw error.under("target_groups[\(index)]") }
        }
        var listeners: [CompiledListener] = []
        for (index, listener) in configuration.listeners.enumerated() {
            do { listeners.append(try compile(listener)) } catch { throw error.under("listeners[\(index)]") }
        }
        live.keepOnly(
            listeners: Set(configuration.listeners.map(\.id)), groups: Set(configuration.targetGroups.map(\.id)))
        return ProxySnapshot(generation: generation, listeners: listeners, groups: groups)
    }

    /// What changes in place, and therefore only at the commit.
    func takeEffect() { for (limit, value) in limits { limit.set(value) } }

    // MARK: Groups

    private mutating func compile(_ group: TargetGroup) throws(ConfigError) -> CompiledGroup {
        var entry = live.groups[group.id] ?? live.newGroup()
        let hasNames = group.targets.contains { if case .name = $0.address { true } else { false } }
        let tls = contexts.groups[group.id]
        let place = self.place.asSeen(by: group)
        let backupSlot = group.backupGroup.map { slot(ofGroup: $0) }
        let old = entry.compiled.flatMap {
            $0.settings == group && $0.tls === tls && $0.place == place && $0.backupSlot == backupSlot
                && $0.tableWeights == tableWeights.weights(of: group, $0.targets) ? $0 : nil
        }
        if let old, !hasNames { return old }
        let known = entry.targets
        entry.targets = [:]
        var targets: [CompiledTarget] = []
        targets.reserveCapacity(group.targets.count)
        for target in group.targets {
            for (address, label) in places(of: target) where entry.targets[address] == nil {
                var cell = known[address] ?? LiveObjects.TargetEntry(workers: live.workers)
                targets.append(compile(address, target, label, group, &cell))
                entry.targets[address] = cell
            }
        }
        // Names may have more addresses than the configuration has targets. No table is made of so many.
        guard targets.count <= TargetGroup.targetsMax else { throw group.tooManyTargets(targets.count) }
        if let old, old.targets.elementsEqual(targets, by: ===) { return old }
        let compiled = CompiledGroup(
            slot: entry.slot, settings: group, targets: targets, tls: tls, counters: entry.counters,
            totalTime: entry.totalTime, targetTime: entry.targetTime,
            queue: group.limits.connectionsMax == nil && !group.hasAgents && group.version == .http1
                ? nil : entry.queue,
            place: place, backupSlot: backupSlot, tableWeights: tableWeights.weights(of: group, targets))
        entry.compiled = compiled
        live.groups[group.id] = entry
        return compiled
    }

    private func places(of target: Target) -> [(SocketAddress, label: String)] {
        switch target.address {
        case .ip(let ip, let port): [(.ip(ip, port: port), "\(target.address)")]
        case .unix(let path): [(.unix(path: path), "\(target.address)")]
        case .name(let name, let port):
            (addresses[name] ?? []).map { (.ip($0, port: port), "\(TargetAddress.ip($0, port: port))") }
        }
    }

    private mutating func compile(
        _ address: SocketAddress, _ target: Target, _ label: String, _ group: TargetGroup,
        _ cell: inout LiveObjects.TargetEntry
    ) -> CompiledTarget {
        if let value = group.limits.connectionsMax ?? (group.hasAgents ? TargetLimit.unlimited : nil) {
            if let limit = cell.limit {
                // As configured, that is: an agent's figure stays until it says another.
                if cell.configuredLimit != value { limits.append((limit, value)) }
            } else {
                cell.limit = TargetLimit(value)
            }
            cell.configuredLimit = value
        } else {
            cell.limit = nil
        }
        let hostHeader = Self.hostHeader(of: target.address, isSecure: group.tls != nil)
        let tlsName = group.tls.map { TLSName($0, for: target.address) }
        if let old = cell.compiled, old.settings == target, old.limit === cell.limit, old.hostHeader == hostHeader,
            old.tlsName == tlsName
        {
            return old
        }
        let text = Array(label.utf8)
        let compiled = CompiledTarget(
            address: address, settings: target, label: label, hostHeader: hostHeader, tlsName: tlsName,
            identity: hash64(text.span), counters: cell.counters, limit: cell.limit)
        cell.compiled = compiled
        return compiled
    }

    /// The name or address, with the port unless it is the protocol's own. RFC 9110 §4.2.1, §4.2.2
    static func hostHeader(of address: TargetAddress, isSecure: Bool = false) -> String {
        let own: UInt16 = isSecure ? 443 : 80
        switch address {
        case .unix: return "localhost"
        case .name(let name, let port): return port == own ? name : "\(name):\(port)"
        case .ip(let ip, let port):
            let host = ip.family == .v6 ? "[\(ip)]" : "\(ip)"
            return port == own ? host : "\(host):\(port)"
        }
    }

    // MARK: Listeners

    private mutating func compile(_ listener: Listener) throws(ConfigError) -> CompiledListener {
        var entry = live.listeners[listener.id] ?? live.newListener()
        if moved.contains(listener.id) { live.move(&entry) }
        let tls = contexts.listeners[listener.id]
        if let old = entry.compiled, old.tls === tls, old.settings == listener, usesSameSlots(old, listener) {
            return old
        }
        var actions: [CompiledAction] = []
        for (index, rule) in listener.rules.enumerated() {
            do { actions.append(try compile(rule.action)) } catch { throw error.under("rules[\(index)]") }
        }
        var fallback: CompiledAction?
        if let action = listener.defaultAction {
            do { fallback = try compile(action) } catch { throw error.under("default") }
        }
        var kept: [String: CounterBlock] = [:]
        let ids = listener.rules.map(\.id) + [Identity.defaultRule]
        for id in ids { kept[id] = entry.rules[id] ?? CounterBlock(workers: live.workers, width: RuleCounter.width) }
        entry.rules = kept
        let compiled = CompiledListener(
            slot: entry.slot, settings: listener, actions: actions, defaultAction: fallback,
            tls: tls, counters: entry.counters, ruleCounters: ids.map { kept[$0]! }, totalTime: entry.totalTime,
            targetTime: entry.targetTime)
        entry.compiled = compiled
        live.listeners[listener.id] = entry
        return compiled
    }

    private func slot(ofGroup id: String) -> Int {
        // Groups are compiled first, and a configuration that refers to none is refused before.
        guard let entry = live.groups[id] else { preconditionFailure("no group '\(id)'") }
        return entry.slot
    }

    /// A group that went and came back under the same name has another slot.
    private func usesSameSlots(_ compiled: CompiledListener, _ listener: Listener) -> Bool {
        let actions = listener.rules.map(\.action) + [listener.defaultAction].compactMap(\.self)
        let old = compiled.actions + [compiled.defaultAction].compactMap(\.self)
        for (action, compiled) in zip(actions, old) {
            guard case .forward(let forward) = action, case .forward(let shares) = compiled else { continue }
            guard forward.shares.map({ slot(ofGroup: $0.group) }) == shares.map(\.groupSlot) else { return false }
        }
        return true
    }

    private func compile(_ action: Action) throws(ConfigError) -> CompiledAction {
        switch action {
        case .forward(let forward):
            return .forward(
                forward.shares.map { .init(groupSlot: slot(ofGroup: $0.group), weight: $0.weight) })
        case .redirect(let redirect): return .redirect(try RedirectTemplate(redirect))
        case .fixedResponse(let response): return .fixedResponse(response)
        }
    }
}

/// What a builder has made, or why it could not.
struct CompiledSnapshot: Sendable {
    /// With the live objects of the result.
    let builder: SnapshotBuilder
    let result: Result<ProxySnapshot, ConfigError>
}
