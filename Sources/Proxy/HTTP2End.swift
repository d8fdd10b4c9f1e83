import PoiseHTTP
import PoiseModel

/// An HTTP/2 connection that Poise ended for what its peer did or did not do.
public struct HTTP2End: Sendable {
    public enum Peer: Sendable, Hashable {
        /// By the listener's name; a client of a unix socket has no address.
        case client(listener: String, IPAddress?)
        /// By the group's name, and the address that was configured or resolved.
        case target(group: String, String)
    }

    public let peer: Peer
    public let fault: HTTP2Fault
    /// Others of the same worker that were not told of, since the last one that was.
    public let untold: Int

    public init(_ peer: Peer, _ fault: HTTP2Fault, untold: Int = 0) {
        (self.peer, self.fault, self.untold) = (peer, fault, untold)
    }
}

/// How often a worker tells of ends: an attack is many of them, and control has other work.
struct HTTP2EndLimit {
    private var second = MonotonicTime.zero
    private var told = 0
    private var untold = 0

    private static var perSecond: Int { 10 }

    /// - Returns: how many were passed over in silence until now; `nil` where this one is, too.
    mutating func take(at now: MonotonicTime) -> Int? {
        if now >= second + .seconds(1) { (second, told) = (now, 0) }
        guard told < Self.perSecond else {
            untold += 1
            return nil
        }
        told += 1
        defer { untold = 0 }
        return untold
    }
}
