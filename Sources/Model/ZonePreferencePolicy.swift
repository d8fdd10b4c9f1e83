/// Whether targets in this Poise's own zone are preferred, and how far.
public struct ZonePreferencePolicy: Sendable, Hashable {
    public enum Mode: String, Sendable, CaseIterable {
        /// Zones do not count.
        case off
        /// The own zone first, and others for what its targets cannot take.
        case ownZone = "own_zone"
    }
    public var mode = Mode.off
    /// Percent of all requests of the group, over all Poise, that arrive in this zone, 1...100; `nil`: as many in each zone.
    public var trafficPercent: Int?
    /// What the zone's targets take before requests leave it, in percent of the mean load of all targets; 100 or more.
    public var overloadPercent = 120
    public init() {}
}
