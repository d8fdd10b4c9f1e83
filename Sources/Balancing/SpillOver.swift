/// How much of the traffic each priority tier takes: the first as long as it can, the next ones what is left.
///
/// A tier can take the part of its weight that is usable (see ``TierHealth``), times the overprovisioning factor, and no more than
/// all. With a factor of 1.4 a tier takes everything until more than 28 % of its weight are gone. Where all tiers together
/// cannot take everything, each takes in proportion to what it can. Source: Envoy, "Priority levels".
@usableFromInline struct SpillOver: Sendable {
    /// What all shares add up to, unless no tier can take all that is left.
    static let whole = 1 << 16

    private let percent: Int
    /// What the targets of each tier add up to, usable or not.
    private var full: [Int]
    /// What those add up to that are usable.
    private var usable: [Int]
    @usableFromInline var schedule: CreditSchedule

    /// - Parameters:
    ///   - full: per tier, what the configured weights add up to; all are usable.
    ///   - percent: of overprovisioning, 100 or more.
    init(full: [Int], percent: Int) {
        (self.percent, self.full, usable) = (percent, full, full)
        schedule = CreditSchedule(shares: full.map { _ in 0 })
        divide()
    }

    /// - Parameters:
    ///   - weight: how much more is usable.
    ///   - whole: how much more there is, usable or not.
    mutating func change(_ tier: Int, by weight: Int, whole: Int = 0) {
        guard weight != 0 || whole != 0 else { return }
        usable[tier] += weight
        full[tier] += whole
        divide()
    }

    private mutating func divide() {
        var left = Self.whole
        for tier in full.indices {
            let health =
                full[tier] == 0 ? 0 : min(Self.whole, Self.whole * percent / 100 * usable[tier] / full[tier])
            // A usable target counts for something, however small it is.
            let share = min(left, usable[tier] > 0 ? max(1, health) : 0)
            left -= share
            schedule.setShare(share, at: tier)
        }
    }

    /// - Returns: `nil` when no tier can take anything.
    @inlinable mutating func next() -> Int? { schedule.pick { _ in true } }

    /// The tier of a key: the same one while shares do not change, and when a share shrinks for the keys it keeps.
    @inlinable func tier(of key: UInt64) -> Int? {
        guard schedule.total > 0 else { return nil }
        let bits = mix64(key ^ 0x7469_6572_0000_0006)
        var point = scaled(UInt32(truncatingIfNeeded: bits >> 32), below: schedule.total)
        for tier in schedule.shares.indices {
            if point < schedule.shares[tier] { return tier }
            point -= schedule.shares[tier]
        }
        return nil
    }
}
