import PoiseLoop
import PoiseModel
import PoisePlatform

/// A network and its clock, made up in this process: nothing happens but by ``runNext()``, and the same seed gives
/// the same run.
///
/// Bytes arrive late, in pieces of any size, and never out of order, lost or doubled: that is what TCP promises.
/// Connections are refused, time out, are reset, and close halfway.
public final class SimulatedNetwork {
    public var random: SeededRandom
    public let settings: NetworkSettings
    public private(set) var now = MonotonicTime.zero
    /// Bytes moved, connections made and ended: a loop that runs and runs while this stands still is spinning.
    public internal(set) var progress: UInt64 = 0

    /// Far above what a test process opens, so that a number never meets a real descriptor.
    private static let firstNumber: CInt = 20_000
    private var sockets: [SimulatedSocket?] = []
    private var listeners: [CInt: SimulatedListener] = [:]
    private var freeNumbers: [CInt] = []
    /// In order of their making; several on one address share its connections.
    private var open: [SimulatedListener] = []
    /// Addresses that swallow every packet.
    private var blackHoles: Set<SocketAddress> = []
    private var events = EventHeap()
    private var nextPort: UInt16 = 30_000

    public init(seed: UInt64, settings: NetworkSettings) {
        (random, self.settings) = (SeededRandom(seed), settings)
    }

    /// A system for one loop.
    public func makeNode(ip: IPAddress) -> SimulatedNode { SimulatedNode(network: self, ip: ip) }

    /// Descriptors in use: sockets and listeners that somebody holds, and sockets that wait to be accepted.
    public var openCount: Int { sockets.reduce(0) { $0 + ($1 == nil ? 0 : 1) } + listeners.count }

    // MARK: Time

    public var nextEventTime: MonotonicTime? { events.first }

    /// Runs the next event at its time, or at the present where that is later.
    public func runNext() {
        guard let event = events.popFirst() else { return }
        now = max(now, event.time)
        event.action()
    }

    /// Lets time pass. Events that become due run, late, with the next calls of ``runNext()``.
    public func advance(to time: MonotonicTime) { now = max(now, time) }

    public func after(_ delay: Nanoseconds, _ action: @escaping () -> Void) { events.push(now + delay, action) }

    /// A packet's or a script's delay.
    func delay() -> Nanoseconds { settings.delay(&random) }

    // MARK: Descriptors

    func socket(_ number: CInt) -> SimulatedSocket {
        let index = Int(number - Self.firstNumber)
        guard sockets.indices.contains(index), let socket = sockets[index] else {
            preconditionFailure("descriptor \(number) is not open")
        }
        return socket
    }

    func listener(_ number: CInt) -> SimulatedListener? { listeners[number] }

    /// The number freed last is used first: stale events meet new sockets.
    private func takeNumber() -> CInt {
        if let number = freeNumbers.popLast() { return number }
        sockets.append(nil)
        return Self.firstNumber + CInt(sockets.count - 1)
    }

    private func makeSocket(_ address: (ip: IPAddress, port: UInt16)) -> SimulatedSocket {
        let number = takeNumber()
        let socket = SimulatedSocket(self, number: number, address: address)
        sockets[Int(number - Self.firstNumber)] = socket
        return socket
    }

    // MARK: Connections

    /// - Parameter onConnection: `nil` for a loop, which accepts by itself.
    public func listen(on address: SocketAddress, onConnection: ((SimulatedSocket) -> Void)?) -> SimulatedListener {
        let listener = SimulatedListener(number: takeNumber(), address: address, onConnection: onConnection)
        listeners[listener.number] = listener
        open.append(listener)
        return listener
    }

    /// From now on connections to `address` are neither accepted nor refused.
    public func swallow(_ address: SocketAddress, _ isSwallowed: Bool) {
        if isSwallowed { blackHoles.insert(address) } else { blackHoles.remove(address) }
    }

    public func connect(to address: SocketAddress, from ip: IPAddress) throws(SystemError) -> SimulatedSocket {
        let isKnown = open.contains { $0.address == address }
        // Over loopback the answer is often there before connect(2) returns.
        let isInstant = random.chance(percent: settings.instantConnectPercent)
        if !isKnown, isInstant, !blackHoles.contains(address) {
            progress += 1
            throw SystemError(call: "connect", code: Errno.connectionRefused)
        }
        nextPort = nextPort == .max ? 30_000 : nextPort + 1
        let socket = makeSocket((ip, nextPort))
        socket.isConnecting = true
        progress += 1
        if isInstant {
            finishConnect(socket, address)
        } else {
            after(delay()) { [self] in finishConnect(socket, address) }
        }
        return socket
    }

    private func finishConnect(_ socket: SimulatedSocket, _ address: SocketAddress) {
        guard !socket.isClosed else { return }
        guard !blackHoles.contains(address) else {
            // What Linux comes to after its retransmissions.
            return after(.seconds(130)) {
                if !socket.isClosed, socket.isConnecting { self.fail(socket, Errno.timedOut) }
            }
        }
        let candidates = open.filter { $0.address == address }
        guard !candidates.isEmpty else { return fail(socket, Errno.connectionRefused) }
        let listener = random.pick(candidates)
        guard case .ip(let ip, let port) = address else { return fail(socket, Errno.connectionRefused) }
        let other = makeSocket((ip, port))
        (socket.peer, other.peer) = (other, socket)
        socket.isConnecting = false
        progress += 1
        if let onConnection = listener.onConnection {
            after(delay()) { if !other.isClosed { onConnection(other) } }
        } else {
            listener.waiting.append(other)
            listener.wake()
        }
        socket.wake()
    }

    private func fail(_ socket: SimulatedSocket, _ code: CInt) {
        (socket.isConnecting, socket.wasReset, socket.error) = (false, true, code)
        progress += 1
        socket.wake()
    }

    // MARK: Delivery

    /// Sees to it that what `socket` has sent goes on its way.
    func scheduleDelivery(from socket: SimulatedSocket) {
        guard !socket.deliveryIsDue, let peer = socket.peer, !socket.wasReset else { return }
        let hasBytes = !socket.outbox.isEmpty && (peer.isClosed || peer.inbox.count < peer.inboxMax)
        let hasEnd = socket.outbox.isEmpty && socket.hasShutdown && !socket.finHasLeft
        guard hasBytes || hasEnd else { return }
        socket.deliveryIsDue = true
        after(delay()) { [self] in
            socket.deliveryIsDue = false
            deliver(from: socket)
        }
    }

    private func deliver(from socket: SimulatedSocket) {
        guard let peer = socket.peer, !socket.wasReset else { return }
        progress += 1
        let hadBytes = !socket.outbox.isEmpty
        if hadBytes {
            guard !peer.isClosed else {
                // Data for a socket that its program has closed is answered with a reset.
                socket.outbox.removeAll()
                if !peer.wasReset { abort(peer, socket) }
                return
            }
            move(socket, to: peer)
            peer.wake()
            if socket.wantsSpace, socket.hasRoom {
                socket.wantsSpace = false
                if !socket.isClosed { socket.wake() }
            }
        }
        // FIN comes with the last bytes or on its own.
        if socket.outbox.isEmpty, socket.hasShutdown, !socket.finHasLeft, !hadBytes || random.chance(percent: 50) {
            socket.finHasLeft = true
            if !peer.isClosed {
                peer.peerHasFinished = true
                peer.wake()
            }
            forgetIfDone(socket)
        }
        scheduleDelivery(from: socket)
    }

    private func move(_ socket: SimulatedSocket, to peer: SimulatedSocket) {
        let count = min(socket.outbox.count, peer.inboxMax - peer.inbox.count)
        guard count > 0 else { return }
        let piece = random.chance(percent: settings.splitPercent) ? random.pick(1...count) : count
        socket.outbox.move(piece, to: &peer.inbox)
    }

    /// The owner lets go. Unread bytes, or linger 0, make it a reset; else FIN behind what was sent.
    func close(_ socket: SimulatedSocket) {
        guard !socket.isClosed else { return }
        socket.isClosed = true
        (socket.isWatched, socket.onChange) = (false, nil)
        progress += 1
        sockets[Int(socket.number - Self.firstNumber)] = nil
        freeNumbers.append(socket.number)
        guard let peer = socket.peer, !socket.wasReset else { return forgetIfDone(socket) }
        if socket.resetsOnClose || !socket.inbox.isEmpty {
            abort(socket, peer)
        } else {
            socket.hasShutdown = true
            // What the peer still sends is answered with a reset once it arrives.
            scheduleDelivery(from: socket)
            scheduleDelivery(from: peer)
        }
        socket.inbox.removeAll()
    }

    /// Some of what was under way arrives, then the reset does; the rest is lost.
    private func abort(_ socket: SimulatedSocket, _ peer: SimulatedSocket) {
        let mayArrive = random.chance(percent: 50)
        socket.wasReset = true
        after(delay()) { [self] in
            if mayArrive, !peer.isClosed, !peer.wasReset { move(socket, to: peer) }
            socket.outbox.removeAll()
            arriveReset(at: peer)
        }
    }

    private func arriveReset(at socket: SimulatedSocket) {
        guard !socket.wasReset else { return }
        socket.wasReset = true
        socket.outbox.removeAll()
        progress += 1
        guard !socket.isClosed else { return forgetIfDone(socket) }
        socket.error = socket.peerHasFinished ? Errno.brokenPipe : Errno.connectionReset
        socket.wake()
    }

    /// Breaks the cycle of two ends that are through.
    private func forgetIfDone(_ socket: SimulatedSocket) {
        guard let peer = socket.peer, socket.isClosed, peer.isClosed else { return }
        (socket.peer, peer.peer) = (nil, nil)
    }

    public func close(_ listener: SimulatedListener) {
        guard !listener.isClosed else { return }
        listener.isClosed = true
        listener.isWatched = false
        listeners[listener.number] = nil
        freeNumbers.append(listener.number)
        open.removeAll { $0 === listener }
        for socket in listener.waiting {
            socket.resetsOnClose = true
            close(socket)
        }
        listener.waiting = []
    }
}

/// How unkind the network is.
public struct NetworkSettings: Sendable {
    /// Most delays are shorter; in nanoseconds.
    public var delayMax = Nanoseconds.milliseconds(2)
    /// A delay of up to a hundred times ``delayMax``, this often.
    public var longDelayPercent = 2
    /// Deliveries that arrive in pieces of any size.
    public var splitPercent = 30
    /// Sends of which the kernel takes only a part although there is room.
    public var shortSendPercent = 10
    /// Connects that are over before they return.
    public var instantConnectPercent = 50
    /// Buffers per direction hold between ``bufferBytesMin`` and this, the small ones often.
    public var bufferBytesMax = 200_000
    public var bufferBytesMin = 1

    public init() {}

    func delay(_ random: inout SeededRandom) -> Nanoseconds {
        let most = random.chance(percent: longDelayPercent) ? delayMax.count * 100 : delayMax.count
        return Nanoseconds(Int64(random.pick(0...Int(most))))
    }

    func bufferBytes(_ random: inout SeededRandom) -> Int {
        bufferBytesMin + random.size(upTo: bufferBytesMax - bufferBytesMin)
    }
}

/// Events by time, and by order of their making among those of one time.
struct EventHeap {
    struct Event {
        let time: MonotonicTime
        let order: UInt64
        let action: () -> Void
        func isBefore(_ other: Event) -> Bool { time == other.time ? order < other.order : time < other.time }
    }

    private var heap: [Event] = []
    private var nextOrder: UInt64 = 0

    var first: MonotonicTime? { heap.first?.time }

    mutating func push(_ time: MonotonicTime, _ action: @escaping () -> Void) {
        heap.append(Event(time: time, order: nextOrder, action: action))
        nextOrder += 1
        var index = heap.count - 1
        while index > 0, heap[index].isBefore(heap[(index - 1) / 2]) {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    mutating func popFirst() -> Event? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count {
                if heap[child].isBefore(heap[least]) { least = child }
            }
            guard least != index else { return first }
            heap.swapAt(index, least)
            index = least
        }
    }
}
