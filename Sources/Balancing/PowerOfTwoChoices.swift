/// Two targets at random, each in proportion to its weight; the one with less load for its weight takes the flow.
///
/// Random, so that workers and processes that see the same loads do not all run to the same target; two, because
/// the second choice already brings the longest queue from log n down to log log n. An idle group is
/// served in proportion to the weights. Source: Mitzenmacher, "The Power of Two Choices in Randomized Load
/// Balancing", IEEE TPDS 12 (10), 2001.
public struct PowerOfTwoChoices: Sendable {
    @usableFromInline var sampler: WeightedSampler

    /// - Parameter weights: effective weights, 0...65,536.
    public init(weights: [Int]) { sampler = WeightedSampler(weights: weights) }

    /// - Parameter random: 64 fresh random bits.
    /// - Returns: an index into `targets`; `nil` when each has weight 0 or is excluded.
    /// - Cost: constant and no allocation; a pass over the usable targets in the rare case that 16 draws in a
    ///   row hit excluded ones.
    @inlinable public func pick(
        from targets: some TargetView, random: UInt64, excluding excluded: Exclusions = Exclusions()
    ) -> Int? {
        precondition(targets.count == sampler.weights.count, "one weight per target")
        guard sampler.usableCount > 0 else { return nil }
        var random = RandomSequence(seed: random)
        let isOpen = { (index: Int) in targets.weight(at: index) > 0 && !excluded.contains(index) }

        var first = sampler.draw(&random)
        var draws = 1
        while !isOpen(first), draws < 16 {
            first = sampler.draw(&random)
            draws += 1
        }
        guard isOpen(first) else { return sampler.search(&random, where: isOpen) }

        guard let second = second(than: first, &random, where: isOpen) else { return first }
        let firstLoad = targets.load(at: first) * targets.weight(at: second)
        let secondLoad = targets.load(at: second) * targets.weight(at: first)
        return secondLoad < firstLoad ? second : first
    }

    /// Another open target: of two usable ones the other, else one of up to 8 draws.
    @inlinable func second(
        than first: Int, _ random: inout RandomSequence, where isOpen: (Int) -> Bool
    ) -> Int? {
        if sampler.usableCount <= 2 {
            for place in 0..<sampler.usableCount where Int(sampler.order[place]) != first {
                let other = Int(sampler.order[place])
                return isOpen(other) ? other : nil
            }
            return nil
        }
        for _ in 0..<8 {
            let candidate = sampler.draw(&random)
            if candidate != first, isOpen(candidate) { return candidate }
        }
        return nil
    }

    /// - Cost: constant.
    public mutating func weightChanged(at index: Int, to weight: Int) { sampler.setWeight(weight, at: index) }
}
