import PoiseLoop
import PoiseModel
import PoisePlatform

/// One end of a TCP connection, with the rules of Linux as far as a program can see them: what recv, send and epoll
/// say after a FIN, a reset, a refused connect, with full and half-full buffers.
///
/// Its owner is a loop (through ``SimulatedNode``) or a script, which hears of every change by ``onChange`` and
/// uses ``read(_:)``, ``write(_:)``, ``close()``, ``reset()`` and ``shutdownWrite()``.
public final class SimulatedSocket {
    public let number: CInt
    unowned let network: SimulatedNetwork
    /// Set once the handshake is over; the other end may have been closed since.
    var peer: SimulatedSocket?
    /// Where this end would be reached, for the peer's address.
    let address: (ip: IPAddress, port: UInt16)

    /// Arrived, not yet received.
    var inbox = ByteQueue()
    /// Sent, not yet arrived.
    var outbox = ByteQueue()
    let inboxMax: Int
    let outboxMax: Int
    var isConnecting = false
    /// FIN was asked for; it leaves behind the last byte.
    var hasShutdown = false
    var finHasLeft = false
    var peerHasFinished = false
    var wasReset = false
    var error: CInt = 0
    public internal(set) var isClosed = false
    var resetsOnClose = false
    /// SOCK_NOSPACE: somebody was told that there is no room, and wants to hear of it.
    var wantsSpace = false
    var deliveryIsDue = false

    // What epoll knows.
    var node: SimulatedNode?
    var token: UInt64 = 0
    var interest: Readiness = []
    var isWatched = false
    var isListed = false

    /// Called, after a moment, when anything changed; the owner then looks. Scripts only.
    public var onChange: (() -> Void)?
    var changeIsDue = false

    init(_ network: SimulatedNetwork, number: CInt, address: (ip: IPAddress, port: UInt16)) {
        (self.network, self.number, self.address) = (network, number, address)
        inboxMax = network.settings.bufferBytes(&network.random)
        outboxMax = network.settings.bufferBytes(&network.random)
    }

    // MARK: What a script uses

    public enum ReadResult: Equatable {
        case bytes([UInt8])
        case blocked
        case end
        case failed(CInt)
    }

    /// The handshake is over, and neither side has given up.
    public var isConnected: Bool { !isConnecting && peer != nil && !wasReset && !isClosed }
    public var unsentCount: Int { outbox.count }

    public func read(_ max: Int = 1 << 16) -> ReadResult {
        var bytes = [UInt8](repeating: 0, count: max)
        let result = unsafe bytes.withUnsafeMutableBytes { unsafe receive($0.baseAddress!, $0.count) }
        if result.count > 0 { return .bytes(Array(bytes.prefix(result.count))) }
        if result.isEndOfStream { return .end }
        return result.failure.map { .failed($0) } ?? .blocked
    }

    /// - Returns: how many were taken; `nil` when the connection is broken.
    public func write(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard !bytes.isEmpty else { return 0 }
        let result = unsafe bytes.withUnsafeBytes { unsafe send($0.baseAddress!, $0.count) }
        return result.failure == nil ? result.count : nil
    }

    public func close() { network.close(self) }
    public func reset() {
        resetsOnClose = true
        network.close(self)
    }

    public func shutdownWrite() {
        guard !hasShutdown, !wasReset, !isClosed else { return }
        hasShutdown = true
        network.progress += 1
        network.scheduleDelivery(from: self)
        // Both directions are closed now if the peer's was: that is an edge.
        if peerHasFinished { wake() }
    }

    // MARK: System calls

    func receive(_ bytes: UnsafeMutableRawPointer, _ room: Int) -> IOResult {
        precondition(!isClosed, "receive on a closed descriptor")
        if !inbox.isEmpty {
            let count = unsafe inbox.take(into: bytes, room)
            network.progress += 1
            if let peer { network.scheduleDelivery(from: peer) }
            return .bytes(count)
        }
        if peerHasFinished { return .endOfStream }
        if error != 0 { return .failed(takeError()) }
        if wasReset { return .endOfStream }
        return .wouldBlock
    }

    func send(_ bytes: UnsafeRawPointer, _ wanted: Int) -> IOResult {
        precondition(!isClosed, "send on a closed descriptor")
        if error != 0 { return .failed(takeError()) }
        if wasReset || hasShutdown { return .failed(Errno.brokenPipe) }
        let room = outboxMax - outbox.count
        guard !isConnecting, room > 0 else {
            wantsSpace = true
            return .wouldBlock
        }
        var count = min(room, wanted)
        if network.random.chance(percent: network.settings.shortSendPercent) {
            count = network.random.pick(1...count)
        }
        if count < wanted { wantsSpace = true }
        unsafe outbox.append(UnsafeRawBufferPointer(start: bytes, count: count))
        network.progress += 1
        network.scheduleDelivery(from: self)
        return .bytes(count)
    }

    func takeError() -> CInt {
        defer { error = 0 }
        return error
    }

    // MARK: Readiness

    /// What poll(2) would say now. Source: `tcp_poll` of Linux.
    func mask() -> Readiness {
        var mask: Readiness = []
        if wasReset || (peerHasFinished && hasShutdown) { mask.insert(.hungUp) }
        if wasReset || peerHasFinished { mask.formUnion([.readable, .peerClosed]) }
        if error != 0 { mask.insert(.failed) }
        guard !isConnecting else { return mask }
        if !inbox.isEmpty { mask.insert(.readable) }
        if wasReset || hasShutdown || hasRoom {
            mask.insert(.writable)
        } else {
            wantsSpace = true
        }
        return mask
    }

    /// At least a third is free: `sk_stream_is_writeable`.
    var hasRoom: Bool { (outboxMax - outbox.count) * 3 >= outboxMax }

    /// Something changed: epoll lists the descriptor, a script is called.
    func wake() {
        if isWatched, !isListed {
            isListed = true
            node?.list(self)
        }
        if onChange != nil, !changeIsDue {
            changeIsDue = true
            network.after(network.delay()) { [self] in
                changeIsDue = false
                if !isClosed { onChange?() }
            }
        }
    }
}
