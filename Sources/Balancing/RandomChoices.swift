/// Targets at random, each in proportion to its weight; of several, the one with the least load for its weight.
///
/// One choice is plain weighted random. Two bring the longest queue from log n down to log log n, and each further one
/// gains less; random, so that workers and processes that see the same loads do not all run to the same target. An idle
/// group is served in proportion to the weights. Source: Mitzenmacher, "The Power of Two Choices in Randomized Load
/// Balancing", IEEE TPDS 12 (10), 2001; HAProxy's `random(draws)`.
public struct RandomChoices: Sendable {
    public static let choicesMax = 16

    @usableFromInline let choices: Int
    @usableFromInline var sampler: WeightedSampler
    /// Where weights must not count: what each target has when it is warm. Else empty.
    private let full: [Int32]

    /// - Parameters:
    ///   - weights: effective weights, 0...65,536.
    ///   - choices: 1...``choicesMax``.
    public init(weights: [Int], choices: Int) {
        precondition((1...Self.choicesMax).contains(choices))
        (self.choices, full) = (choices, [])
        sampler = WeightedSampler(weights: weights)
    }

    /// One choice, and every target that has a weight is as likely as the others.
    ///
    /// A target that is later told to have less than its weight here (slow start, an operator's weight) is less likely in
    /// the same proportion; more than its weight does not count.
    public init(alike weights: [Int]) {
        (choices, full) = (1, weights.map { Int32($0) })
        sampler = WeightedSampler(weights: weights.map { $0 > 0 ? EffectiveWeight.max : 0 })
    }

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

        var best = sampler.draw(&random)
        var draws = 1
        while !isOpen(best), draws < 16 {
            best = sampler.draw(&random)
            draws += 1
        }
        guard isOpen(best) else { return sampler.search(&random, where: isOpen) }
        guard choices > 1 else { return best }

        var (load, weight) = (targets.load(at: best), targets.weight(at: best))
        func consider(_ candidate: Int) {
            let (otherLoad, otherWeight) = (targets.load(at: candidate), targets.weight(at: candidate))
            // The weight may have become 0 since `isOpen`.
            if otherLoad * weight < load * otherWeight, otherWeight > 0 {
                (best, load, weight) = (candidate, otherLoad, otherWeight)
            }
        }
        if sampler.usableCount <= choices {
            for place in 0..<sampler.usableCount {
                let candidate = Int(sampler.order[place])
                if candidate != best, isOpen(candidate) { consider(candidate) }
            }
        } else {
            for _ in 1..<choices {
                if let candidate = another(than: best, &random, where: isOpen) { consider(candidate) }
            }
        }
        return best
    }

    /// Another open target, of up to 8 draws.
    @inlinable func another(
        than best: Int, _ random: inout RandomSequence, where isOpen: (Int) -> Bool
    ) -> Int? {
        for _ in 0..<8 {
            let candidate = sampler.draw(&random)
            if candidate != best, isOpen(candidate) { return candidate }
        }
        return nil
    }

    /// - Cost: constant.
    public mutating func weightChanged(at index: Int, to weight: Int) {
        guard !full.isEmpty else { return sampler.setWeight(weight, at: index) }
        let whole = Int(full[index])
        // A target without a configured weight that is given one counts as a whole one.
        let share = whole == 0 || weight >= whole ? EffectiveWeight.max : EffectiveWeight.max * weight / whole
        sampler.setWeight(weight == 0 ? 0 : max(1, share), at: index)
    }
}
