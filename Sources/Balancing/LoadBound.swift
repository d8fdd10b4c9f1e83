/// Bounded load: no target is given a flow that would bring it above its share of the flows times a factor.
///
/// With `total` flows in the group and weights that add up to W, a target of weight w takes another one while it has
/// fewer than percent / 100 × (total + 1) × w / W. As the factor is above 1, some usable target is always below that.
/// Source: Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads", SODA 2018; HAProxy's
/// `hash-balance-factor`.
@usableFromInline struct LoadBound: Sendable {
    /// 0: no bound.
    @usableFromInline let percent: Int
    /// What the weights in force add up to.
    @usableFromInline var totalWeight: Int

    @usableFromInline init(percent: Int?, weights: [Int]) {
        self.percent = percent ?? 0
        totalWeight = weights.reduce(0, +)
    }

    @inlinable func limit(for targets: some TargetView) -> Limit {
        guard percent > 0 else { return Limit(perFlow: 0, allowed: 1) }
        return Limit(
            perFlow: UInt128(100 * totalWeight), allowed: UInt128(percent) * UInt128(targets.totalLoad + 1))
    }

    /// The bound at one moment, in 128 bits: flows, weights and percents are more than 64 together.
    @usableFromInline struct Limit {
        @usableFromInline let perFlow: UInt128
        @usableFromInline let allowed: UInt128
        @inlinable init(perFlow: UInt128, allowed: UInt128) { (self.perFlow, self.allowed) = (perFlow, allowed) }
        @inlinable var isOn: Bool { perFlow > 0 }
        @inlinable func admits(load: Int, weight: Int) -> Bool {
            perFlow == 0 || UInt128(load) * perFlow < allowed * UInt128(weight)
        }
    }
}
