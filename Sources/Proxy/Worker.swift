import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform

/// One worker: an event loop with its own listening sockets, its own target connections, and its own runtime of
/// every listener and group. It shares with others only the snapshot and the counters that it alone writes.
public final class Worker {
    public let index: Int
    public let loop: EventLoop
    let events: WorkerEvents
    /// Records of ended exchanges for the log writer; `nil` with the access log off.
    let log: AccessLog?
    let limits: ProcessLimiter

    private(set) var listeners: [ListenerRuntime?] = []
    private(set) var groups: [GroupRuntime?] = []
    private var idleExchanges: [Exchange] = []
    private var randomState: UInt64
    private var dateSecond: Int64 = -1
    private(set) var dateText: [UInt8] = Array(repeating: 0x20, count: HTTPDate.byteCount)
    /// Wall clock minus monotonic clock, read again each second.
    private var wallOffset: Int64 = 0
    private var wallReadAt = MonotonicTime(nanoseconds: .min)
    /// For paths that must be normalised before they are matched.
    var pathScratch: [UInt8] = []
    private var isDraining = false

    public init(
        index: Int, loop: EventLoop, seed: UInt64, events: WorkerEvents, log: AccessLog?, limits: ProcessLimiter
    ) {
        (self.index, self.loop, self.events, self.log, self.limits) = (index, loop, events, log, limits)
        randomState = seed
        loop.endOfWakeUp = { [unowned self] in self.log?.endOfWakeUp() }
    }

    // MARK: Configuration

    /// Takes a snapshot over: new objects appear, changed ones are replaced, removed ones drain.
    ///
    /// - Parameters:
    ///   - sockets: listening sockets of listeners that are new, by listener slot.
    ///   - availability: of groups that are new or changed, by group slot.
    public func adopt(
        _ snapshot: ProxySnapshot, sockets: [ListenerSockets], availability: [Int: GroupAvailability]
    ) {
        adoptGroups(snapshot.groups, availability)
        adoptListeners(snapshot.listeners, sockets)
    }

    private func adoptGroups(_ compiled: [CompiledGroup], _ availability: [Int: GroupAvailability]) {
        var kept = Set<Int>(minimumCapacity: compiled.count)
        for group in compiled {
            kept.insert(group.slot)
            while groups.count <= group.slot { groups.append(nil) }
            if let runtime = groups[group.slot] {
                if runtime.compiled !== group { runtime.replace(with: group, availability[group.slot]) }
            } else {
                groups[group.slot] = GroupRuntime(worker: self, compiled: group, availability[group.slot])
            }
        }
        for slot in groups.indices where groups[slot] != nil && !kept.contains(slot) {
            groups[slot]?.retire()
            groups[slot] = nil
        }
    }

    private func adoptListeners(_ compiled: [CompiledListener], _ sockets: [ListenerSockets]) {
        var kept = Set<Int>(minimumCapacity: compiled.count)
        for listener in compiled {
            kept.insert(listener.slot)
            while listeners.count <= listener.slot { listeners.append(nil) }
            if let runtime = listeners[listener.slot] {
                if runtime.compiled !== listener { runtime.replace(with: listener) }
            } else {
                listeners[listener.slot] = ListenerRuntime(worker: self, compiled: listener)
            }
        }
        for entry in sockets {
            for descriptor in entry.descriptors {
                listeners[entry.slot]?.listen(FileDescriptor(adopting: descriptor))
            }
        }
        for slot in listeners.indices where listeners[slot] != nil && !kept.contains(slot) {
            listeners[slot]?.retire()
            listeners[slot] = nil
        }
    }

    /// Publishes what health found out about one group.
    public func setAvailability(_ availability: GroupAvailability, ofGroup slot: Int) {
        guard slot < groups.count else { return }
        groups[slot]?.setAvailability(availability)
    }

    /// Publishes the weight of one target.
    public func setWeight(_ weight: Int32, ofTarget target: Int, inGroup slot: Int) {
        guard slot < groups.count else { return }
        groups[slot]?.setWeight(weight, of: target)
    }

    /// Takes no new connections; every response says `Connection: close`; idle connections are closed.
    public func drain() {
        isDraining = true
        for listener in listeners { listener?.retire() }
    }

    /// Client connections that are still open, tunnels included.
    public var connectionCount: Int { listeners.reduce(0) { $0 + ($1?.connectionCount ?? 0) } + retiredConnections }
    /// Connections of listeners that are gone.
    var retiredConnections = 0

    /// Closes everything at once.
    public func closeAll() {
        for listener in listeners { listener?.closeAll() }
        for group in groups { group?.retire() }
    }

    // MARK: What connections use

    func takeExchange() -> Exchange { idleExchanges.popLast() ?? Exchange(worker: self) }

    func giveBack(_ exchange: Exchange) {
        if idleExchanges.count < 1024 { idleExchanges.append(exchange) }
    }

    /// SplitMix64: statistics, not secrets. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number
    /// generators", 2014.
    func random() -> UInt64 {
        randomState &+= 0x9E37_79B9_7F4A_7C15
        var mixed = randomState
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// Nanoseconds since 1970 at this wake-up.
    var wallTime: Int64 {
        if loop.now >= wallReadAt + .seconds(1) {
            wallOffset = Clock.wall - loop.now.nanoseconds
            wallReadAt = loop.now
        }
        return loop.now.nanoseconds + wallOffset
    }

    /// `Date` of this second, as IMF-fixdate.
    func currentDate() -> [UInt8] {
        let second = wallTime / 1_000_000_000
        if second != dateSecond {
            dateSecond = second
            dateText.removeAll(keepingCapacity: true)
            HTTPDate.append(unixSeconds: second, to: &dateText)
        }
        return dateText
    }
}

@available(*, unavailable)
extension Worker: Sendable {}

/// Listening sockets for one listener on one worker. Whoever adopts them owns the descriptors.
public struct ListenerSockets: Sendable {
    public let slot: Int
    public let descriptors: [CInt]
    public init(slot: Int, descriptors: [CInt]) { (self.slot, self.descriptors) = (slot, descriptors) }
}

/// What a worker tells control. Called on the worker's thread; must only post.
public struct WorkerEvents: Sendable {
    /// `count` failures in a row at a target, seen by one worker.
    public var targetFailed: @Sendable (_ groupSlot: Int, _ target: Int, _ identity: UInt64, _ count: Int) -> Void
    public init(
        targetFailed: @escaping @Sendable (_ groupSlot: Int, _ target: Int, _ identity: UInt64, _ count: Int) -> Void
    ) {
        self.targetFailed = targetFailed
    }
}
