import PoiseModel

/// One group's algorithm on one worker: its state, and a switch instead of a protocol value.
///
/// The algorithms are stored side by side, the unused ones empty, because a payload of an enum cannot be changed in place.
public struct Scheduler: Sendable {
    /// More targets cannot be numbered.
    public static let targetsMax = TargetGroup.targetsMax

    public let algorithm: Algorithm
    @usableFromInline var roundRobin: SmoothWeightedRoundRobin
    @usableFromInline var leastLoad: LeastLoad
    @usableFromInline var firstFree: FirstFree
    @usableFromInline var randomChoices: RandomChoices
    @usableFromInline var keyed: KeyedChoice

    /// - Parameters:
    ///   - identities: a 64-bit hash of each target's address; only those by key look at them, others may pass none.
    ///   - weights: effective weights of a target that is usable and warm, `EffectiveWeight.of(configured)`; tell the
    ///     rest by ``weightChanged(at:to:)``. At most ``targetsMax``.
    ///   - flowsMax: of each target, for `first`; `nil`: no limit.
    ///   - start: a random number of the worker's own, so that workers begin elsewhere.
    /// - Cost: those by key fill a table (Maglev 4 ms for 10,000 targets, a ring 100): control makes such a scheduler, and
    ///   workers copy it.
    public init(
        algorithm: Algorithm, options: AlgorithmOptions = AlgorithmOptions(), identities: [UInt64], weights: [Int],
        flowsMax: Int? = nil, start: UInt64
    ) {
        precondition(weights.count <= Self.targetsMax, "targets are numbered with 16 bits")
        self.algorithm = algorithm
        roundRobin = SmoothWeightedRoundRobin(weights: algorithm == .roundRobin ? weights : [], start: start)
        leastLoad =
            switch algorithm {
            case .leastConnections, .leastOutstandingRequests:
                LeastLoad(.flows, weights: weights, start: start)
            case .sed: LeastLoad(.expectedDelay, weights: weights, start: start)
            case .nq: LeastLoad(.neverQueue, weights: weights, start: start)
            case .leastTime: LeastLoad(.answerTime, weights: weights, start: start)
            case .roundRobin, .first, .random, .weightedRandom, .p2c, .adaptive, .hash, .sourceHash:
                LeastLoad(.flows, weights: [])
            }
        randomChoices =
            switch algorithm {
            case .random: RandomChoices(alike: weights)
            case .weightedRandom: RandomChoices(weights: weights, choices: 1)
            case .p2c: RandomChoices(weights: weights, choices: options.choices)
            case .adaptive: RandomChoices(weights: weights, choices: 2)
            case .roundRobin, .leastConnections, .leastOutstandingRequests, .sed, .nq, .leastTime, .first,
                .hash,
                .sourceHash:
                RandomChoices(weights: [], choices: 1)
            }
        firstFree = FirstFree(count: algorithm == .first ? weights.count : 0, flowsMax: flowsMax ?? .max)
        let isKeyed = algorithm.isKeyed
        keyed = KeyedChoice(
            options.table, identities: isKeyed ? identities : [], weights: isKeyed ? weights : [],
            boundPercent: options.boundedLoadPercent)
    }

    /// Chooses the target of one flow.
    ///
    /// - Parameters:
    ///   - key: what `source_hash` and `hash` go by: a hash of what identifies the client.
    ///   - random: 64 fresh random bits: the random algorithms, and those by load in groups above 128 targets.
    ///   - excluded: targets that this exchange has tried.
    /// - Returns: an index into `targets`; `nil` when each has weight 0 or is excluded.
    /// - Cost: under 1 µs at 10,000 targets, no allocation.
    @inlinable public mutating func pick(
        from targets: some TargetView, key: UInt64, random: UInt64, excluding excluded: Exclusions = Exclusions()
    ) -> Int? {
        switch algorithm {
        case .roundRobin: roundRobin.pick(from: targets, excluding: excluded)
        case .leastConnections, .leastOutstandingRequests, .sed, .nq, .leastTime:
            leastLoad.pick(from: targets, random: random, excluding: excluded)
        case .first: firstFree.pick(from: targets, excluding: excluded)
        case .random, .weightedRandom, .p2c, .adaptive:
            randomChoices.pick(from: targets, random: random, excluding: excluded)
        case .hash, .sourceHash: keyed.pick(from: targets, key: key, excluding: excluded)
        }
    }

    /// Tells that `index` has another effective weight, 0...65,536. Nobody else's turn changes.
    ///
    /// For health, slow start and lowered weights. Above the weights that they were made of, Maglev and ring need a new
    /// scheduler: a raised weight earns no slots here.
    public mutating func weightChanged(at index: Int, to weight: Int) {
        switch algorithm {
        case .roundRobin: roundRobin.weightChanged(at: index, to: weight)
        case .leastConnections, .leastOutstandingRequests, .sed, .nq, .leastTime:
            leastLoad.weightChanged(at: index, to: weight)
        case .first: break  // The view tells who is closed.
        case .random, .weightedRandom, .p2c, .adaptive: randomChoices.weightChanged(at: index, to: weight)
        case .hash, .sourceHash: keyed.weightChanged(at: index, to: weight)
        }
    }
}
