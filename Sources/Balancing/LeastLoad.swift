/// The target with the least load for its weight; what counts as load is a ``Rule``.
///
/// Up to ``exactTargetsMax`` targets (32 by ``Rule/answerTime``) all are compared, and equals take turns in proportion to their weights, by
/// ``CreditSchedule``. Above, the best of ``choices`` random ones, drawn in proportion to their weights, is taken: a scan
/// costs about 1 ns per target, and a heap is wrong as soon as other workers write. The chance that none of 16 belongs to
/// the least loaded q of the group's weight is (1 - q)^16: 18 % for a tenth, 1 % for a quarter. When flows come and
/// never end, the fullest target stays within 2 flows of the mean of 10,000 equal ones (a test checks that).
public struct LeastLoad: Sendable {
    public enum Rule: Sendable {
        /// flows / weight: weighted least connections. An idle group is served in proportion to the weights.
        /// Source: nginx's `least_conn`; LVS's `wlc`, which takes the first of equals.
        case flows
        /// (flows + 1) / weight, the flow to come included: shortest expected delay. While few flows run, the heaviest
        /// targets take them all. Source: ipvsadm(8) `sed`; Weinrib and Shenker, "Greed is not enough", INFOCOM 1988.
        case expectedDelay
        /// An idle target whatever its weight; where none is idle, ``expectedDelay``.
        /// Source: ipvsadm(8) `nq`; HAProxy's `leastconn` compares the same.
        case neverQueue
        /// (flows + 1) × answer time / weight, by ``PeakAverage``. A target that never answered gets one flow at once, and
        /// another when it has. Source: Finagle's and Linkerd's peak EWMA; Traefik's `leasttime`; nginx's `least_time`.
        case answerTime

        /// What is divided by the weight; below 2^45.
        @inlinable func load(of index: Int, in targets: some TargetView) -> Int {
            let flows = targets.load(at: index)
            switch self {
            case .flows: return flows
            case .expectedDelay: return flows + 1
            case .neverQueue: return flows == 0 ? 0 : flows + 1
            case .answerTime:
                guard let time = targets.answerTime(at: index) else { return flows == 0 ? 0 : 1 << 44 + flows }
                return min(flows + 1, 1 << 17) * min(time, PeakAverage.microsecondsMax)
            }
        }

        /// Answer times cost more to read than flows do.
        @usableFromInline var exactTargetsMax: Int { self == .answerTime ? 32 : LeastLoad.exactTargetsMax }
    }

    /// Groups up to this size are compared as a whole.
    public static let exactTargetsMax = 128
    /// How many targets a pick of a larger group compares.
    public static let choices = 16
    /// How many more ``Rule/neverQueue`` looks at, in turn, where all of these are busy.
    public static let idleSearchMax = 128

    @usableFromInline let rule: Rule
    @usableFromInline let count: Int
    /// Whose turn it is among equals; without entries in a large group.
    @usableFromInline var turns: CreditSchedule
    /// `nil` in a small group.
    @usableFromInline var sampler: WeightedSampler?
    /// Where the next search for an idle target goes on.
    @usableFromInline var idleCursor = 0

    /// - Parameters:
    ///   - weights: effective weights, 0...65,536.
    ///   - start: how far into their turns equals begin; with equal weights the first is target `start % count`.
    public init(_ rule: Rule, weights: [Int], start: UInt64 = 0) {
        self.rule = rule
        count = weights.count
        guard count <= rule.exactTargetsMax else {
            turns = CreditSchedule(shares: [])
            sampler = WeightedSampler(weights: weights)
            idleCursor = Int(start % UInt64(count))
            return
        }
        turns = CreditSchedule(shares: weights)
        guard count > 0 else { return }
        for _ in 0..<start % UInt64(count) { _ = turns.pick(where: { _ in true }) }
    }

    /// - Parameter random: 64 fresh random bits; a small group needs none.
    /// - Returns: an index into `targets`; `nil` when each has weight 0 or is excluded.
    /// - Cost: one step per target up to 128 targets, two where there are equals; constant above. No allocation.
    @inlinable public mutating func pick(
        from targets: some TargetView, random: UInt64, excluding excluded: Exclusions = Exclusions()
    ) -> Int? {
        precondition(targets.count == count, "one weight per target")
        guard sampler == nil else { return sample(targets, random: random, excluding: excluded) }
        var best = Best(rule)
        for index in 0..<count { best.consider(index, of: targets, excluding: excluded) }
        guard best.index >= 0 else { return nil }
        guard best.equals > 1 else { return best.index }
        let turn = turns.pick { best.isEqual($0, of: targets) && !excluded.contains($0) }
        // Other workers may have given all of them a flow since they were compared.
        return turn ?? best.index
    }

    @inlinable mutating func sample(
        _ targets: some TargetView, random: UInt64, excluding excluded: Exclusions
    ) -> Int? {
        guard sampler!.usableCount > 0 else { return nil }
        var random = RandomSequence(seed: random)
        var best = Best(rule)
        for _ in 0..<Self.choices { best.consider(sampler!.draw(&random), of: targets, excluding: excluded) }
        if rule == .neverQueue, best.load > 0 || best.index < 0 {
            for _ in 0..<Self.idleSearchMax {
                let index = idleCursor
                idleCursor = index + 1 == count ? 0 : index + 1
                if targets.weight(at: index) > 0, targets.load(at: index) == 0, !excluded.contains(index) {
                    return index
                }
            }
        }
        if best.index >= 0 { return best.index }
        return sampler!.search(&random) { targets.weight(at: $0) > 0 && !excluded.contains($0) }
    }

    /// - Cost: constant in a large group, a pass over the targets in a small one.
    public mutating func weightChanged(at index: Int, to weight: Int) {
        if sampler == nil { turns.setShare(weight, at: index) } else { sampler!.setWeight(weight, at: index) }
    }

    /// The least load / weight so far; of equals, the first.
    @usableFromInline struct Best {
        @usableFromInline let rule: Rule
        @usableFromInline var index = -1
        @usableFromInline var load = 0
        @usableFromInline var weight = 1
        @usableFromInline var equals = 0
        @inlinable init(_ rule: Rule) { self.rule = rule }

        @inlinable mutating func consider(_ index: Int, of targets: some TargetView, excluding excluded: Exclusions) {
            let weight = targets.weight(at: index)
            guard weight > 0 else { return }
            let load = rule.load(of: index, in: targets)
            if self.index >= 0 {
                // Cross multiplication: 2^16 times any load is below 2^63.
                let (mine, best) = (load * self.weight, self.load * weight)
                guard mine <= best, !excluded.contains(index) else { return }
                guard mine < best else { return equals += 1 }
            } else if excluded.contains(index) {
                return
            }
            (self.index, self.load, self.weight, equals) = (index, load, weight, 1)
        }

        @inlinable func isEqual(_ index: Int, of targets: some TargetView) -> Bool {
            let weight = targets.weight(at: index)
            return weight > 0 && rule.load(of: index, in: targets) * self.weight == load * weight
        }
    }
}
