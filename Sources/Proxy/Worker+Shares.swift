import PoiseBalancing

extension Worker {
    /// What tiers and zones take of the flows of each group that is divided by them, by group slot: the same on every worker that
    /// was told the same.
    public var tierShares: [Int: [TieredScheduler.TierShare]] {
        var shares: [Int: [TieredScheduler.TierShare]] = [:]
        for slot in groups.indices {
            if let tiers = groups[slot]?.tierShares, !tiers.isEmpty { shares[slot] = tiers }
        }
        return shares
    }
}
