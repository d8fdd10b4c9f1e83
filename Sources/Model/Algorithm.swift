/// How a target is chosen.
public enum Algorithm: String, Sendable, CaseIterable {
    case roundRobin = "round_robin"
    /// The fewest flows for the weight.
    case leastConnections = "least_connections"
    /// The same for HTTP, where a flow is a request; ELBv2's name.
    case leastOutstandingRequests = "least_outstanding_requests"
    /// The fewest flows for the weight, the new one included.
    case sed
    /// An idle target, else `sed`.
    case nq
    /// The least flows × answer time for the weight.
    case leastTime = "least_time"
    /// The first in order that has room.
    case first
    /// Without regard to weights.
    case random
    case weightedRandom = "weighted_random"
    /// The least loaded of some that are drawn at random.
    case p2c
    /// As `leastConnections`, with weights that follow what targets report, or how they answer.
    case adaptive
    /// By the client's address.
    case sourceHash = "source_hash"
    /// By parts of the request.
    case hash

    /// Whether a key decides, and not turns, loads or chance.
    public var isKeyed: Bool { self == .sourceHash || self == .hash }
    /// Whether a target with less weight than the others gets less.
    public var followsWeights: Bool { self != .random && self != .first }
}

/// How a key finds its target.
public enum HashTable: String, Sendable, CaseIterable { case maglev, ring, rendezvous }

/// What algorithms can be told.
public struct AlgorithmOptions: Sendable, Hashable {
    /// `p2c`: how many targets are drawn, 2...16.
    public var choices = 2
    /// By key: how it finds its target.
    public var table = HashTable.maglev
    /// By key: the flows that a target may have, in percent of its share of the group's; above 100. `nil`: no bound.
    public var boundedLoadPercent: Int?
    /// `hash`: what makes the key, at least one part.
    public var key: [HashKeyPart] = []
    public init() {}
}
