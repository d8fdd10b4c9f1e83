import PoiseLoop
import PoiseModel
import PoisePlatform

/// What one loop sees of the network: its descriptors, and an edge-triggered epoll over them.
///
/// As in Linux, a change puts a descriptor on the list, once; taking it from the list tells the state of that
/// moment, and nothing if it is not of interest any more.
public final class SimulatedNode: SimulatedSystem {
    public let network: SimulatedNetwork
    /// What peers see as this machine's address.
    public let ip: IPAddress
    private var listed: [Listed] = []
    private var taken: [Listed] = []

    enum Listed {
        case socket(SimulatedSocket)
        case listener(SimulatedListener)
    }

    init(network: SimulatedNetwork, ip: IPAddress) { (self.network, self.ip) = (network, ip) }

    /// Whether a step would find an event.
    public var hasEvents: Bool { !listed.isEmpty }

    func list(_ socket: SimulatedSocket) { listed.append(.socket(socket)) }
    func list(_ listener: SimulatedListener) { listed.append(.listener(listener)) }

    /// What epoll_wait returns: the oldest of the list, at most `max`.
    public func takeEvents(max: Int = .max) -> [(token: UInt64, readiness: Readiness)] {
        swap(&listed, &taken)
        var events: [(token: UInt64, readiness: Readiness)] = []
        for entry in taken {
            guard events.count < max else {
                listed.append(entry)
                continue
            }
            switch entry {
            case .socket(let socket):
                socket.isListed = false
                guard socket.isWatched else { continue }
                let mask = socket.mask().intersection(socket.interest.union([.failed, .hungUp]))
                if !mask.isEmpty { events.append((socket.token, mask)) }
            case .listener(let listener):
                listener.isListed = false
                if listener.isWatched, !listener.waiting.isEmpty { events.append((listener.token, .readable)) }
            }
        }
        taken.removeAll(keepingCapacity: true)
        return events
    }

    // MARK: SimulatedSystem

    public func receive(_ descriptor: CInt, _ bytes: UnsafeMutableRawPointer, _ count: Int) -> IOResult {
        unsafe network.socket(descriptor).receive(bytes, count)
    }

    public func send(_ descriptor: CInt, _ bytes: UnsafeRawPointer, _ count: Int) -> IOResult {
        unsafe network.socket(descriptor).send(bytes, count)
    }

    public func watch(_ descriptor: CInt, _ interest: Readiness, token: UInt64, again: Bool) {
        if let listener = network.listener(descriptor) {
            (listener.node, listener.token, listener.isWatched) = (self, token, true)
            if !listener.waiting.isEmpty { listener.wake() }
            return
        }
        let socket = network.socket(descriptor)
        precondition(socket.isWatched == again, again ? "ENOENT from epoll_ctl" : "EEXIST from epoll_ctl")
        (socket.node, socket.token, socket.interest, socket.isWatched) = (self, token, interest, true)
        // epoll_ctl looks at once: what is ready already is an event.
        if !socket.mask().intersection(interest.union([.failed, .hungUp])).isEmpty { socket.wake() }
    }

    public func close(_ descriptor: CInt) {
        if let listener = network.listener(descriptor) { return network.close(listener) }
        network.close(network.socket(descriptor))
    }

    public func resetOnClose(_ descriptor: CInt) { network.socket(descriptor).resetsOnClose = true }
    public func shutdownWrite(_ descriptor: CInt) { network.socket(descriptor).shutdownWrite() }
    public func takeError(_ descriptor: CInt) -> CInt { network.socket(descriptor).takeError() }

    public func connect(to address: SocketAddress) throws(SystemError) -> CInt {
        try network.connect(to: address, from: ip).number
    }

    public func accept(_ descriptor: CInt) -> Accepted? {
        guard let listener = network.listener(descriptor), !listener.waiting.isEmpty else { return nil }
        let socket = listener.waiting.removeFirst()
        network.progress += 1
        return Accepted(descriptor: socket.number, peer: socket.peer?.address)
    }

    public func listen(on address: SocketAddress) throws(SystemError) -> CInt {
        network.listen(on: address, onConnection: nil).number
    }
}

/// A listening socket: of a loop, with its queue, or of a script, which is called with each connection.
public final class SimulatedListener {
    public let number: CInt
    let address: SocketAddress
    let onConnection: ((SimulatedSocket) -> Void)?
    var waiting: [SimulatedSocket] = []
    var node: SimulatedNode?
    var token: UInt64 = 0
    var isWatched = false
    var isListed = false
    var isClosed = false

    init(number: CInt, address: SocketAddress, onConnection: ((SimulatedSocket) -> Void)?) {
        (self.number, self.address, self.onConnection) = (number, address, onConnection)
    }

    func wake() {
        guard isWatched, !isListed else { return }
        isListed = true
        node?.list(self)
    }
}
