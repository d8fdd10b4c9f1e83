/// `max_connections` of one target, over all workers: of exchanges in flight, and of open connections.
///
/// The two differ by connections that wait in some worker's pool. A target that accepts only so many connections must
/// not be asked for one more because the idle one belongs to another worker: that one is closed first.
public final class TargetLimit: Sendable {
    public let exchanges: SlotLimiter
    public let connections: SlotLimiter
    /// Exchanges that hold a slot and wait for an idle connection to be closed somewhere.
    public let connectionQueue = SlotQueue()

    /// As good as none; a limit nevertheless, which can be lowered while traffic goes on.
    public static let unlimited = 1 << 40

    public init(_ limit: Int) {
        exchanges = SlotLimiter(limit: limit)
        connections = SlotLimiter(limit: limit)
    }

    public var value: Int { exchanges.limit }

    public func set(_ limit: Int) {
        exchanges.setLimit(limit)
        connections.setLimit(limit)
    }
}
