import PoiseBalancing
import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseTLS

/// One worker: an event loop with its own listening sockets, its own target connections, and its own runtime of
/// every listener and group. It shares with others the snapshot, counters of which it alone writes its rows, and the
/// limits that hold over all workers.
public final class Worker {
    public let index: Int
    public let loop: EventLoop
    let events: WorkerEvents
    /// Records of ended exchanges for the log writer; `nil` with the access log off.
    let log: AccessLog?
    let limits: ProcessLimiter
    let neighbours: Neighbours
    let tls: TLSEngine
    let http2 = RawCell(HTTP2Workspace())
    private var endLimit = HTTP2EndLimit()
    /// Sessions with frames to send at the end of the wake-up.
    private let unflushed = RawTable<HTTP2Session>()
    /// How long wake-ups last that had mail or many events: so long waits whoever comes meanwhile.
    public let turns = Histogram(workers: 1)

    // Slots of the snapshot. Changed by ``Adoption`` only.
    let listeners = RawTable<ListenerRuntime?>()
    let groups = RawTable<GroupRuntime?>()
    /// A snapshot that is being taken over.
    var adoption: Adoption?
    /// What came in behind it, in order.
    var behindAdoption: [() -> Void] = []
    /// Removed, with connections that are still open.
    private var retiredListeners: [ListenerRuntime] = []
    private let idleExchanges = RawTable<Exchange>()
    /// When ``closeIdleTargets()`` found nothing.
    private var noIdleTargetsAt = MonotonicTime(nanoseconds: -1_000_000_000)
    private var sequence: RandomSequence
    private var dateSecond: Int64 = -1
    private let dateText = RawCell<[UInt8]>([])
    /// Wall clock minus monotonic clock, read again each second.
    private var wallOffset: Int64 = 0
    private var wallReadAt = MonotonicTime(nanoseconds: .min)
    /// For paths that must be normalised before they are matched.
    var pathScratch: [UInt8] = []

    public init(
        index: Int, loop: EventLoop, seed: UInt64, events: WorkerEvents, log: AccessLog?, limits: ProcessLimiter,
        neighbours: Neighbours
    ) {
        (self.index, self.loop, self.events, self.log, self.limits) = (index, loop, events, log, limits)
        self.neighbours = neighbours
        tls = TLSEngine(loop: loop)
        sequence = RandomSequence(seed: seed)
        let unflushed = self.unflushed
        loop.endOfWakeUp = {
            // Flushing may end streams, whose exchanges stage more.
            while let session = unflushed.popLast() { session.flush() }
            log?.endOfWakeUp()
        }
        let turns = self.turns.row(0)
        loop.longTurnEnded = { turns.record(nanoseconds: $0.count) }
        neighbours.join(self)
    }

    // MARK: Health

    /// Publishes what health found out about one group.
    public func setAvailability(_ availability: GroupAvailability, ofGroup slot: Int) {
        inOrder { $0.group(slot)?.setAvailability(availability) }
    }

    /// Publishes the weight of one target.
    public func setWeight(_ weight: Int32, ofTarget target: Int, inGroup slot: Int) {
        inOrder { $0.group(slot)?.setWeight(weight, of: target) }
    }

    /// An exchange elsewhere needs a connection to a target that allows no more.
    func closeIdleInTheWay(of limit: TargetLimit, inGroup slot: Int) {
        group(slot)?.pools.first { $0.target.limit === limit }?.closeIdleInTheWay()
    }

    func group(_ slot: Int) -> GroupRuntime? { slot < groups.count ? groups[slot] : nil }

    /// An HTTP/2 connection was ended for what its peer did.
    ///
    /// - Parameter peer: asked for only where control is told.
    func http2Ended(_ fault: HTTP2Fault, _ peer: () -> HTTP2End.Peer) {
        guard let untold = endLimit.take(at: loop.now) else { return }
        events.http2Ended(HTTP2End(peer(), fault, untold: untold))
    }

    // MARK: The end

    /// Takes no new connections; every response says `Connection: close`; idle connections are closed. What is left
    /// at the deadline is for ``endOverdue(by:)``.
    public func drain(deadline: MonotonicTime) {
        finishAdoption()
        for slot in listeners.indices {
            guard let listener = listeners[slot] else { continue }
            listeners[slot] = nil
            retire(listener, deadline)
        }
    }

    /// Ends the connections of removed listeners whose deadline is `moment` or earlier. Control calls it at that time.
    public func endOverdue(by moment: MonotonicTime) {
        for listener in retiredListeners where listener.deadline <= moment { listener.endAll() }
    }

    /// Ends the exchanges that still run at a target, named by its counters: its time to drain is over. Walks all
    /// connections, so that drains cost the path of a request nothing.
    public func endFlows(at target: CounterBlock) {
        forEachConnection { connection in
            connection.forEachExchange { exchange in
                if exchange.target?.pool.target.counters === target { exchange.endByDeadline() }
            }
        }
    }

    /// Client connections that are still open, tunnels included.
    public var connectionCount: Int {
        (listeners.indices.compactMap { listeners[$0] } + retiredListeners).reduce(0) { $0 + $1.connectionCount }
    }

    /// Closes everything at once, also what a drain that began before has given more time.
    public func closeAll() {
        drain(deadline: loop.now)
        endOverdue(by: .distantFuture)
        for slot in groups.indices { groups[slot]?.retire() }
        neighbours.leave(index)
    }

    func retire(_ listener: ListenerRuntime, _ deadline: MonotonicTime) {
        listener.retire(deadline: deadline)
        if listener.connectionCount > 0 { retiredListeners.append(listener) }
    }

    /// The last connection of a removed listener is gone.
    func forget(_ listener: ListenerRuntime) { retiredListeners.removeAll { $0 === listener } }

    func forEachConnection(_ body: (ClientConnection) -> Void) {
        for slot in listeners.indices { listeners[slot]?.forEachConnection(body) }
        for listener in retiredListeners { listener.forEachConnection(body) }
    }

    // MARK: What connections use

    /// Starts a connection to a target. Where no descriptor is left, idle ones are closed for it.
    func connect(to address: SocketAddress) throws(SystemError) -> FileDescriptor {
        do { return try loop.connect(to: address) } catch {
            guard Errno.isShortage(error.code) else { throw error }
            neighbours.post(from: index) { $0.closeIdleTargets() }
            guard closeIdleTargets() else { throw error }
        }
        return try loop.connect(to: address)
    }

    /// Descriptors are needed for other things.
    ///
    /// - Returns: whether there were any.
    @discardableResult
    func closeIdleTargets() -> Bool {
        // A walk over all pools: not for each of thousands of requests that find none.
        guard loop.now >= noIdleTargetsAt + .milliseconds(100) else { return false }
        var foundAny = false
        for slot in groups.indices {
            for pool in groups[slot]?.pools ?? [] where pool.closeIdle() { foundAny = true }
        }
        if !foundAny { noIdleTargetsAt = loop.now }
        return foundAny
    }

    func flushAtEndOfWakeUp(_ session: HTTP2Session) { unflushed.append(session) }

    func takeExchange() -> Exchange { idleExchanges.popLast() ?? Exchange(worker: self) }

    func giveBack(_ exchange: Exchange) {
        if idleExchanges.count < 1024 { idleExchanges.append(exchange) }
    }

    /// Statistics, not secrets.
    func random() -> UInt64 {
        // Copied out and back: a call on the property in place would make each access to it a checked one.
        var sequence = self.sequence
        defer { self.sequence = sequence }
        return sequence.next()
    }

    /// Nanoseconds since 1970 at this wake-up.
    var wallTime: Int64 {
        if loop.now >= wallReadAt + .seconds(1) {
            wallOffset = loop.wallClock - loop.now.nanoseconds
            wallReadAt = loop.now
        }
        return loop.now.nanoseconds + wallOffset
    }

    /// `Date` of this second, as IMF-fixdate.
    func currentDate() -> [UInt8] {
        let second = wallTime / 1_000_000_000
        if second != dateSecond {
            dateSecond = second
            dateText.value.removeAll(keepingCapacity: true)
            HTTPDate.append(unixSeconds: second, to: &dateText.value)
        }
        return dateText.value
    }
}

@available(*, unavailable)
extension Worker: Sendable {}

/// One listening socket for one worker. Whoever adopts it owns the descriptor.
public struct ListenerSocket: Sendable {
    public let slot: Int
    /// Names the address that it listens on, to close it by.
    public let id: Int
    public let descriptor: CInt
    public init(slot: Int, id: Int, descriptor: CInt) { (self.slot, self.id, self.descriptor) = (slot, id, descriptor) }
}

/// What a worker tells control. Called on the worker's thread; must only post.
public struct WorkerEvents: Sendable {
    /// `count` failures in a row at a target, seen by one worker.
    public var targetFailed: @Sendable (_ groupSlot: Int, _ target: Int, _ identity: UInt64, _ count: Int) -> Void
    /// A listener takes no new connections for a moment.
    public var acceptHeld: @Sendable (_ listener: String, _ hold: AcceptHold, _ code: CInt) -> Void = { _, _, _ in }
    /// Of a few in each second: ``HTTP2End/untold`` counts the others.
    public var http2Ended: @Sendable (HTTP2End) -> Void = { _ in }
    public init(
        targetFailed: @escaping @Sendable (_ groupSlot: Int, _ target: Int, _ identity: UInt64, _ count: Int) -> Void
    ) {
        self.targetFailed = targetFailed
    }
}
