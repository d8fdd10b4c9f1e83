import PoiseBalancing
import PoiseLive
import PoiseModel
import PoisePlatform
import PoiseRouting
import PoiseTLS

/// One immutable compiled configuration of the data plane: built by control, adopted by each worker.
///
/// Listeners and groups carry a slot: their place in every worker's tables, the same over all snapshots in which
/// the object lives. An unchanged object is the same reference in both snapshots, and a worker leaves it alone.
public final class ProxySnapshot: Sendable {
    public let generation: Int
    public let listeners: [CompiledListener]
    public let groups: [CompiledGroup]

    public init(generation: Int, listeners: [CompiledListener], groups: [CompiledGroup]) {
        (self.generation, self.listeners, self.groups) = (generation, listeners, groups)
    }
}

/// A listener with everything that a request needs worked out beforehand.
public final class CompiledListener: Sendable {
    public let slot: Int
    public let settings: Listener
    public let routes: RouteTable
    /// One per rule, in order.
    public let actions: [CompiledAction]
    /// `nil`: 404, `no_rule`.
    public let defaultAction: CompiledAction?
    /// `nil` for plain text. A renewed certificate is another one.
    public let tls: TLSServerContext?
    /// `Strict-Transport-Security` with its line end, empty without.
    public let strictTransportLine: [UInt8]
    public let counters: CounterBlock
    /// One per rule, then one for the default action.
    public let ruleCounters: [CounterBlock]
    /// From the end of the request's head to the end of the response.
    public let totalTime: Histogram
    /// From the choice of the target, the last one where there were several, to the end of its answer's head.
    public let targetTime: Histogram
    /// The idle time of client connections is spread by this much around the setting.
    public let idleJitterPercent: Int64 = 10

    public init(
        slot: Int, settings: Listener, actions: [CompiledAction], defaultAction: CompiledAction?,
        tls: TLSServerContext? = nil, counters: CounterBlock, ruleCounters: [CounterBlock], totalTime: Histogram,
        targetTime: Histogram
    ) {
        precondition(actions.count == settings.rules.count && ruleCounters.count == actions.count + 1)
        self.slot = slot
        self.settings = settings
        self.tls = tls
        strictTransportLine = settings.tls?.strictTransport.map { Self.line($0) } ?? []
        routes = RouteTable(rules: settings.rules)
        (self.actions, self.defaultAction) = (actions, defaultAction)
        (self.counters, self.ruleCounters) = (counters, ruleCounters)
        (self.totalTime, self.targetTime) = (totalTime, targetTime)
    }

    /// One per rule, then one for the default action.
    var soleGroups: [Int] { (actions + [defaultAction]).map { $0?.soleGroup ?? -1 } }

    private static func line(_ policy: StrictTransport) -> [UInt8] {
        let scope = policy.includesSubdomains ? "; includeSubDomains" : ""
        let preload = policy.preload ? "; preload" : ""
        let seconds = policy.maxAge.count / 1_000_000_000
        return Array("Strict-Transport-Security: max-age=\(seconds)\(scope)\(preload)\r\n".utf8)
    }
}

public enum CompiledAction: Sendable {
    /// Slots of groups, and their weights.
    case forward([Share])
    case redirect(RedirectTemplate)
    case fixedResponse(FixedResponse)

    public struct Share: Sendable, Equatable {
        public let groupSlot: Int
        public let weight: Int
        public init(groupSlot: Int, weight: Int) { (self.groupSlot, self.weight) = (groupSlot, weight) }
    }

    /// The slot of the only group; `nil` where there are several, or none gets anything.
    var soleGroup: Int? {
        guard case .forward(let shares) = self, shares.count == 1, shares[0].weight > 0 else { return nil }
        return shares[0].groupSlot
    }
}

/// A target group whose names are resolved.
public final class CompiledGroup: Sendable {
    public let slot: Int
    public let settings: TargetGroup
    public let targets: [CompiledTarget]
    /// `nil` for plain text.
    public let tls: TLSClientContext?
    public let counters: CounterBlock
    public let totalTime: Histogram
    public let targetTime: Histogram
    /// Waiting exchanges of a group with `max_connections` or with shared connections; `nil` where nobody ever waits.
    public let queue: SlotQueue?
    /// The tables of a group that goes by keys, made once for all workers; `nil` for another algorithm.
    let keyed: TieredScheduler?
    /// Effective weights that the tables are made of, one per target. Empty where they are the
    /// configured ones.
    public let tableWeights: [Int]
    /// Flows of each part of the group; `nil` where no bound asks for them, or there is one part only.
    let partFlows: CounterBlock?
    /// What `hash` goes by; `nil` for another algorithm.
    let hashKey: HashKey?
    /// What of this Poise's place decides which targets are used.
    public let place: NodePlace
    /// `nil` where zones do not count.
    let preference: ZonePreference?
    /// `nil` where all targets are in use.
    public let subset: TargetSubset?
    /// Where each target comes when any will do, lower ones first.
    let ranks: [Int]
    /// The group that answers when this one has no usable target.
    public let backupSlot: Int?

    /// - Parameters:
    ///   - place: of this Poise, as ``NodePlace/asSeen(by:)``.
    ///   - tableWeights: one per target; empty for the configured ones.
    /// - Cost: where the algorithm goes by keys, milliseconds for thousands of targets.
    public init(
        slot: Int, settings: TargetGroup, targets: [CompiledTarget], tls: TLSClientContext? = nil,
        counters: CounterBlock, totalTime: Histogram, targetTime: Histogram, queue: SlotQueue?,
        place: NodePlace = NodePlace(), backupSlot: Int? = nil, tableWeights: [Int] = []
    ) {
        precondition(tableWeights.isEmpty || tableWeights.count == targets.count, "one weight per target")
        self.tls = tls
        self.tableWeights = tableWeights
        (self.place, self.backupSlot) = (place, backupSlot)
        preference = Self.preference(of: settings, targets, at: place)
        subset = Self.subset(of: settings, targets, preference, at: place)
        ranks = Self.ranks(targets, preference)
        (self.slot, self.settings, self.targets, self.counters) = (slot, settings, targets, counters)
        (self.totalTime, self.targetTime, self.queue) = (totalTime, targetTime, queue)
        hashKey = settings.algorithm == .hash ? HashKey(settings.algorithmOptions.key) : nil
        let tables =
            settings.algorithm.isKeyed
            ? Self.scheduler(for: settings, targets, preference, weights: tableWeights, start: 0) : nil
        let parts = settings.algorithmOptions.boundedLoadPercent == nil ? 1 : tables?.partCount ?? 1
        partFlows = parts > 1 ? CounterBlock(workers: counters.workers, width: parts) : nil
        keyed = tables
    }

    /// In the state of configured weights; `start` is of no use to an algorithm by key.
    func scheduler(start: UInt64) -> TieredScheduler {
        keyed ?? Self.scheduler(for: settings, targets, preference, start: start)
    }

    private static func scheduler(
        for settings: TargetGroup, _ targets: [CompiledTarget], _ preference: ZonePreference?, weights: [Int] = [],
        start: UInt64
    ) -> TieredScheduler {
        TieredScheduler(
            algorithm: settings.algorithm, options: settings.algorithmOptions, identities: targets.map(\.identity),
            weights: weights.isEmpty ? targets.map { EffectiveWeight.of($0.settings.weight) } : weights,
            isBackup: targets.map(\.settings.isBackup), tiers: targets.map(\.settings.tier),
            overprovisioningPercent: settings.overprovisioningPercent, preference: preference,
            flowsMax: settings.limits.connectionsMax, start: start)
    }
}

/// One address of a group.
public final class CompiledTarget: Sendable {
    public let address: SocketAddress
    /// As configured; a name's addresses all carry it.
    public let settings: Target
    /// `10.0.0.1:8080`, as logs and metrics show it.
    public let label: String
    /// What `Host` is with `host_header: target`.
    public let hostHeader: String
    /// `nil` where the group speaks plain text.
    public let tlsName: TLSName?
    /// Equal for equal addresses on every machine.
    public let identity: UInt64
    public let counters: CounterBlock
    /// `nil` without `max_connections`.
    public let limit: TargetLimit?

    public init(
        address: SocketAddress, settings: Target, label: String, hostHeader: String, tlsName: TLSName? = nil,
        identity: UInt64, counters: CounterBlock, limit: TargetLimit?
    ) {
        self.tlsName = tlsName
        (self.address, self.settings, self.label, self.hostHeader) = (address, settings, label, hostHeader)
        (self.identity, self.counters, self.limit) = (identity, counters, limit)
    }
}

/// What health has to say about a group: which targets take new flows, and what to do when none can.
///
/// Control publishes the whole value or single changes; workers only pick by the weights.
public struct GroupAvailability: Sendable, Equatable {
    /// Effective weights as ``EffectiveWeight``, one per target; 0 takes no new flows.
    public var weights: [Int32]
    /// What they would be if the subset left nobody out: tiers and zones share the flows by these. Empty: the same.
    public var standing: [Int32] = []
    /// Weights are those of fail-open: no target is known to be good.
    public var isFailOpen = false

    public init(weights: [Int32], standing: [Int32] = [], isFailOpen: Bool = false) {
        (self.weights, self.standing, self.isFailOpen) = (weights, standing, isFailOpen)
    }
}
