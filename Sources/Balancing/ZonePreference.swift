/// Which targets are near: what ``TieredScheduler`` needs to keep flows in their own zone.
public struct ZonePreference: Sendable, Equatable {
    /// More zones are refused: each of them has its own state of the algorithm in each tier.
    public static let zonesMax = 32

    /// Zone of each target, 0 is the own one.
    public let zones: [Int]
    /// A hash of the name of each zone, the own one first, whether it has a target or not.
    public let seeds: [UInt64]
    /// Percent of all flows of the group that arrive in the own zone, 1...100; `nil`: as many in each.
    public let trafficPercent: Int?
    /// What near targets take before flows leave the zone, in percent of the mean load; 100 or more.
    public let overloadPercent: Int

    /// Zones in all.
    public var count: Int { seeds.count }

    public init(zones: [Int], seeds: [UInt64], trafficPercent: Int? = nil, overloadPercent: Int) {
        precondition((1...Self.zonesMax).contains(seeds.count) && zones.allSatisfy(seeds.indices.contains))
        (self.zones, self.seeds) = (zones, seeds)
        (self.trafficPercent, self.overloadPercent) = (trafficPercent, overloadPercent)
    }
}
