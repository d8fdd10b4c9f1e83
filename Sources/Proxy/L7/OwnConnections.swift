import PoiseLoop
import PoiseModel
import PoisePackets

/// Idle connections to targets that began with a PROXY header for this one client connection.
///
/// The header speaks for all that follows on a connection, so nobody else's request may use it. They lie here beside
/// their pool, which closes them as it does others (their idle time, the target's health, a changed setting, a shortage
/// of descriptors, a limit that somebody waits at); they are closed when the client has gone.
///
/// Invariants: what is kept here is open, idle and in its pool's list, and nowhere else; after ``close()`` nothing is kept.
final class OwnConnections {
    /// The one that was used last is at the end.
    private let idle = RawTable<TargetConnection>(capacity: OwnConnections.countMax)
    private var isClosed = false

    /// Requests of one client that go to more targets than this in turn, or that come at once in greater number (HTTP/2),
    /// open some connections anew. The bound of what one client can make Poise hold open at its targets.
    static var countMax: Int { 32 }

    /// One that went to this target and named this client; it has left both lists.
    ///
    /// - Parameter source: whom its header named; it may differ where a trusted proxy speaks for many.
    func take(from pool: TargetPool, for source: ProxyProtocolHeader.Endpoint?) -> TargetConnection? {
        for index in idle.indices.reversed() {
            let connection = idle[index]
            guard connection.pool === pool, connection.introducedSource == source else { continue }
            pool.remove(connection)
            connection.leavePool()
            return connection
        }
        return nil
    }

    /// Where there are too many, one goes by lot. If it were the one that was used least recently, a client whose requests go
    /// round one target more than there is room for would never find one again; so it finds most.
    ///
    /// - Parameter lot: 64 random bits.
    /// - Returns: false where it is not kept: the client has gone.
    func keep(_ connection: TargetConnection, lot: UInt64) -> Bool {
        guard !isClosed else { return false }
        if idle.count == Self.countMax { idle[Int(lot % UInt64(Self.countMax))].closeIdle() }
        idle.append(connection)
        return true
    }

    /// The pool has taken it out.
    func forget(_ connection: TargetConnection) {
        var later: [TargetConnection] = []
        while let last = idle.popLast(), last !== connection { later.append(last) }
        for connection in later.reversed() { idle.append(connection) }
    }

    /// The client has gone, or asks no more.
    func close() {
        isClosed = true
        while !idle.isEmpty { idle[idle.count - 1].closeIdle() }
    }
}
