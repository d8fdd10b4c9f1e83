import PoiseLive
import PoiseModel
import PoisePlatform

/// Limits over all workers: client connections in total, and per client address where a listener asks for it.
public final class ProcessLimiter: Sendable {
    private let connections = SharedWord()
    private let connectionsMax = SharedWord()
    private let perClient = Lock<[IPAddress: Int]>([:])

    public init(connectionsMax: Int) { self.connectionsMax.value = UInt64(connectionsMax) }

    public var connectionCount: Int { Int(connections.value) }
    public var limit: Int { Int(connectionsMax.value) }
    public func setConnectionsMax(_ limit: Int) { connectionsMax.value = UInt64(limit) }

    func enter() -> Bool {
        if connections.add(1) < connectionsMax.value { return true }
        connections.add(-1)
        return false
    }

    func leave() { connections.add(-1) }

    /// Counts a connection of `client`; also beyond the limit, so that each `enter` has its `leave`.
    ///
    /// - Returns: whether it is within `limit`.
    func enter(client: IPAddress, limit: Int) -> Bool {
        perClient.withLock { counts in
            counts[client, default: 0] += 1
            return counts[client]! <= limit
        }
    }

    func leave(client: IPAddress) {
        perClient.withLock { counts in
            guard let count = counts[client] else { return }
            counts[client] = count > 1 ? count - 1 : nil
        }
    }
}
