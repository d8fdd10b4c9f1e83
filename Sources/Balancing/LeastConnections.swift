/// The target that would have the fewest flows for its weight, the new one included: least (load + 1) / weight.
///
/// Up to ``exactTargetsMax`` targets all are compared, and equals take turns. Above, the best of
/// ``choices`` random ones, drawn in proportion to their weights, is taken: a scan costs
/// about 1 ns per target, and a heap is wrong as soon as other workers write. The chance that none of 16 belongs to the
/// least loaded q of the group's weight is (1 - q)^16: 18 % for a tenth, 1 % for a quarter. When flows come and
/// never end, the fullest target stays within 2 flows of the mean of 10,000 equal ones (a test checks that).
public struct LeastConnections: Sendable {
    /// Groups up to this size are compared as a whole.
    public static let exactTargetsMax = 128
    /// How many targets a pick of a larger group compares.
    public static let choices = 16

    @usableFromInline let count: Int
    /// Where the next comparison begins: one after the last choice, so that equals take turns.
    @usableFromInline var turn: Int
    /// `nil` in a small group.
    @usableFromInline var sampler: WeightedSampler?

    /// - Parameters:
    ///   - weights: effective weights, 0...65,536.
    ///   - start: the first of equals.
    public init(weights: [Int], start: UInt64 = 0) {
        count = weights.count
        turn = weights.isEmpty ? 0 : Int(start % UInt64(weights.count))
        sampler = weights.count > Self.exactTargetsMax ? WeightedSampler(weights: weights) : nil
    }

    /// - Parameter random: 64 fresh random bits; a small group needs none.
    /// - Returns: an index into `targets`; `nil` when each has weight 0 or is excluded.
    /// - Cost: one step per target up to 128 targets, constant above; no allocation.
    @inlinable public mutating func pick(
        from targets: some TargetView, random: UInt64, excluding excluded: Exclusions = Exclusions()
    ) -> Int? {
        precondition(targets.count == count, "one weight per target")
        var best = Best()
        guard sampler == nil else {
            guard sampler!.usableCount > 0 else { return nil }
            var random = RandomSequence(seed: random)
            for _ in 0..<Self.choices { best.consider(sampler!.draw(&random), of: targets, excluding: excluded) }
            if best.index >= 0 { return best.index }
            return sampler!.search(&random) { targets.weight(at: $0) > 0 && !excluded.contains($0) }
        }
        for index in turn..<count { best.consider(index, of: targets, excluding: excluded) }
        for index in 0..<turn { best.consider(index, of: targets, excluding: excluded) }
        guard best.index >= 0 else { return nil }
        turn = best.index + 1 == count ? 0 : best.index + 1
        return best.index
    }

    /// - Cost: constant.
    public mutating func weightChanged(at index: Int, to weight: Int) { sampler?.setWeight(weight, at: index) }

    /// The least (load + 1) / weight so far; of equals, the first.
    @usableFromInline struct Best {
        @usableFromInline var index = -1
        @usableFromInline var load = 0
        @usableFromInline var weight = 1
        @inlinable init() {}

        @inlinable mutating func consider(_ index: Int, of targets: some TargetView, excluding excluded: Exclusions) {
            let weight = targets.weight(at: index)
            guard weight > 0 else { return }
            let load = targets.load(at: index) + 1
            // Cross multiplication: 2^16 times any load that fits a machine is far below 2^63.
            guard self.index < 0 || load * self.weight < self.load * weight else { return }
            guard !excluded.contains(index) else { return }
            (self.index, self.load, self.weight) = (index, load, weight)
        }
    }
}
