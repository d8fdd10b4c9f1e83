/// Smooth weighted round robin: weights 5/1/1 give a a b a c a a, not a a a a a b c.
///
/// Up to ``exactTargetsMax`` targets the order is nginx's, computed per target. Above, targets of one weight
/// share a ring and the same arithmetic picks the ring (``WeightRings``): the order differs, the properties stay:
/// over a period (the sum of the weights divided by their common divisor) a target is chosen exactly as
/// often as its weight says, and at any moment less than one pick more than its fair share. Why less than one: only a
/// ring with positive credit is chosen, so a ring has less than one pick too many; of m members that took n turns
/// one has at most (n + m - 1) / m. Targets of equal weight take turns in the order of their indices in both.
///
/// A changed weight moves nobody else: each target stays as far ahead of or behind its share as it was.
public struct SmoothWeightedRoundRobin: Sendable {
    /// Groups up to this size are scheduled target by target.
    public static let exactTargetsMax = 64

    /// One entry per target; empty in a large group.
    @usableFromInline var exact: CreditSchedule
    /// No place in a small group.
    @usableFromInline var rings: WeightRings

    /// - Parameters:
    ///   - weights: effective weights, 0...65,536; or the 0...999 of a forward's groups. Any scale will do.
    ///   - start: how far into the order to begin, so that each worker begins elsewhere. With equal weights
    ///     the first pick is target `start % count`.
    public init(weights: [Int], start: UInt64 = 0) {
        guard weights.count <= Self.exactTargetsMax else {
            exact = CreditSchedule(shares: [])
            rings = WeightRings(weights: weights, start: start)
            return
        }
        exact = CreditSchedule(shares: weights)
        rings = WeightRings(weights: [], start: 0)
        let divisor = weights.reduce(0, greatestCommonDivisor)
        guard divisor > 0 else { return }
        let period = exact.total / divisor
        // 64 picks are a full period of every group of equals, and elsewhere enough.
        for _ in 0..<start % UInt64(min(period, Self.exactTargetsMax)) { _ = exact.pick(where: { _ in true }) }
    }

    @inlinable var count: Int { exact.shares.count + rings.places.count }

    /// - Returns: an index into `targets`; `nil` when each has weight 0 or is excluded.
    /// - Cost: one step per target up to 64 targets, above one per different weight; no allocation.
    @inlinable public mutating func pick(
        from targets: some TargetView, excluding excluded: Exclusions = Exclusions()
    ) -> Int? {
        precondition(targets.count == count, "one weight per target")
        return pick { targets.weight(at: $0) > 0 && !excluded.contains($0) }
    }

    /// The choice between groups of a forward: nothing but the weights counts.
    @inlinable public mutating func pick() -> Int? { pick(where: { _ in true }) }

    @inlinable mutating func pick(where isOpen: (Int) -> Bool) -> Int? {
        rings.places.isEmpty ? exact.pick(where: isOpen) : rings.pick(where: isOpen)
    }

    /// - Cost: as a pick.
    public mutating func weightChanged(at index: Int, to weight: Int) {
        if rings.places.isEmpty {
            exact.setShare(weight, at: index)
        } else {
            rings.setWeight(weight, at: index)
        }
    }
}

private func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
    var (a, b) = (a, b)
    while b != 0 { (a, b) = (b, a % b) }
    return a
}
