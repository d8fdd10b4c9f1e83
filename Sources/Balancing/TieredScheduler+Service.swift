/// Which tiers take flows now, and where a flow goes whose target is full.
///
/// A full target is not an ill one. Lower tiers and backups take what others are not healthy enough for, and are no reserve for
/// busy times: whoever sizes them for failures would lose both at once.
extension TieredScheduler {
    /// As ``pick(from:key:random:excluding:)``, for a flow that `full` would have taken if it had room: another target of its
    /// tier, of whatever zone, then one of another tier that takes flows now.
    ///
    /// - Parameter excluded: `full` too.
    /// - Returns: `nil` when none of these is left; backups and tiers that take nothing are not asked.
    @inlinable public mutating func pick(
        insteadOf full: Int, from targets: some TargetView, key: UInt64, random: UInt64, excluding excluded: Exclusions
    ) -> Int? {
        guard !parts.isEmpty else {
            return single.pick(from: targets, key: key, random: random, excluding: excluded)
        }
        let own = tier(of: full)
        if let target = pick(in: own, from: targets, key: key, random: random, excluding: excluded) { return target }
        for tier in 0..<parts.count / zoneCount where tier != own && takesFlows(tier: tier) {
            if let target = pick(in: tier, from: targets, key: key, random: random, excluding: excluded) {
                return target
            }
        }
        return nil
    }

    /// Tiers that take flows now: of the ordinary ones those with a share, or that of the backups while no other has a usable
    /// target.
    public struct Service: Sendable, Equatable {
        /// A bit per tier, of which there are 17 at most.
        @usableFromInline let tiers: UInt32
        @usableFromInline init(tiers: UInt32) { self.tiers = tiers }
    }

    public var service: Service {
        guard !parts.isEmpty else { return Service(tiers: .max) }
        var tiers: UInt32 = 0
        for tier in 0..<parts.count / zoneCount where takesFlows(tier: tier) { tiers |= 1 << UInt32(tier) }
        return Service(tiers: tiers)
    }

    /// Whether the tier of `target` is among these. Whether `target` itself is usable does not count.
    @inlinable public func isIn(_ service: Service, _ target: Int) -> Bool {
        parts.isEmpty || service.tiers >> UInt32(tier(of: target)) & 1 == 1
    }

    @inlinable func tier(of target: Int) -> Int { Int(partOf[target]) / zoneCount }

    @usableFromInline func takesFlows(tier: Int) -> Bool {
        guard hasUsable(tier: tier) else { return false }
        guard tier < ordinaryCount else { return !(0..<ordinaryCount).contains { hasUsable(tier: $0) } }
        return ordinaryCount == 1 || spill.schedule.shares[tier] > 0
    }

    private func hasUsable(tier: Int) -> Bool {
        parts[tier * zoneCount..<(tier + 1) * zoneCount].contains { $0.usable > 0 }
    }

    // MARK: Parts

    /// Tiers times zones, backups being a tier; 1 where neither divides the targets.
    public var partCount: Int { max(1, parts.count) }
    /// Which part has the target, 0..<``partCount``.
    public func part(of target: Int) -> Int { parts.isEmpty ? 0 : Int(partOf[target]) }

    // MARK: Shares

    /// What a tier takes of the group's flows, and its zones of what the tier takes; 0...1 each.
    public struct TierShare: Sendable, Equatable {
        public var share: Double
        /// The own zone first; empty where zones do not count.
        public var zones: [Double]
        public init(share: Double, zones: [Double] = []) { (self.share, self.zones) = (share, zones) }
    }

    /// Tier by tier, that of the backups last where there are any; the shares of those that take flows add up to 1. Empty
    /// where neither tiers nor zones nor backups divide the targets.
    public var tierShares: [TierShare] {
        (0..<parts.count / zoneCount).map { tier in
            guard takesFlows(tier: tier) else {
                return TierShare(share: 0, zones: Array(repeating: 0, count: zones.isEmpty ? 0 : zoneCount))
            }
            let isDivided = tier < ordinaryCount && ordinaryCount > 1
            let share = isDivided ? Self.part(spill.schedule.shares[tier], of: spill.schedule.total) : 1
            guard !zones.isEmpty else { return TierShare(share: share) }
            let divided = zones[tier].schedule
            return TierShare(share: share, zones: divided.shares.map { Self.part($0, of: divided.total) })
        }
    }

    private static func part(_ share: Int, of total: Int) -> Double { total > 0 ? Double(share) / Double(total) : 0 }
}
