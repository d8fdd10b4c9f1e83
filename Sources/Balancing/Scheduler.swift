import PoiseModel

/// One group's algorithm on one worker: its state, and a switch instead of a protocol value.
///
/// The algorithms are stored side by side, the unused ones empty, because a payload of an enum cannot be changed in place.
public struct Scheduler: Sendable {
    /// More targets cannot be numbered.
    public static let targetsMax = 65_535

    public let algorithm: Algorithm
    @usableFromInline var roundRobin: SmoothWeightedRoundRobin
    @usableFromInline var leastConnections: LeastConnections
    @usableFromInline var p2c: PowerOfTwoChoices
    @usableFromInline var sourceHash: Maglev

    /// - Parameters:
    ///   - identities: a 64-bit hash of each target's address; only `source_hash` looks at them, others may pass none.
    ///   - weights: effective weights of a target that is usable and warm, `EffectiveWeight.of(configured)`; tell the
    ///     rest by ``weightChanged(at:to:)``. At most ``targetsMax``.
    ///   - start: a random number of the worker's own, so that workers begin elsewhere.
    /// - Cost: `source_hash` fills a table (32 µs for 10 targets, 4 ms for 10,000): copy such a scheduler to the workers.
    public init(algorithm: Algorithm, identities: [UInt64], weights: [Int], start: UInt64) {
        precondition(weights.count <= Self.targetsMax, "targets are numbered with 16 bits")
        self.algorithm = algorithm
        roundRobin = SmoothWeightedRoundRobin(weights: algorithm == .roundRobin ? weights : [], start: start)
        leastConnections = LeastConnections(weights: algorithm == .leastConnections ? weights : [], start: start)
        p2c = PowerOfTwoChoices(weights: algorithm == .p2c ? weights : [])
        let hashed = algorithm == .sourceHash
        sourceHash = Maglev(identities: hashed ? identities : [], weights: hashed ? weights : [])
    }

    /// Chooses the target of one flow.
    ///
    /// - Parameters:
    ///   - key: what `source_hash` goes by: a hash of the client's address.
    ///   - random: 64 fresh random bits: `p2c`, and `least_connections` in groups above 128 targets.
    ///   - excluded: targets that this exchange has tried.
    /// - Returns: an index into `targets`; `nil` when each has weight 0 or is excluded.
    /// - Cost: under 1 µs at 10,000 targets, no allocation.
    @inlinable public mutating func pick(
        from targets: some TargetView, key: UInt64, random: UInt64, excluding excluded: Exclusions = Exclusions()
    ) -> Int? {
        switch algorithm {
        case .roundRobin: roundRobin.pick(from: targets, excluding: excluded)
        case .leastConnections: leastConnections.pick(from: targets, random: random, excluding: excluded)
        case .p2c: p2c.pick(from: targets, random: random, excluding: excluded)
        case .sourceHash: sourceHash.pick(from: targets, key: key, excluding: excluded)
        }
    }

    /// Tells that `index` has another effective weight, 0...65,536. Nobody else's turn changes.
    ///
    /// For health and slow start. Where the *configured* weight changes, `source_hash` needs a new scheduler: its table
    /// is made of the configured weights, and a raised weight earns no slots here.
    public mutating func weightChanged(at index: Int, to weight: Int) {
        switch algorithm {
        case .roundRobin: roundRobin.weightChanged(at: index, to: weight)
        case .leastConnections: leastConnections.weightChanged(at: index, to: weight)
        case .p2c: p2c.weightChanged(at: index, to: weight)
        case .sourceHash: break  // The table is made of the configured weights; the view tells the rest.
        }
    }
}
