import PoiseBalancing
import PoiseProxy
import PoiseTelemetry

extension TierFacts {
    /// - Parameter shares: as a worker has them, of the same snapshot or of one shortly before it.
    /// - Returns: empty where neither tiers nor zones nor backups divide the targets.
    static func list(_ group: CompiledGroup, _ shares: [TieredScheduler.TierShare]) -> [TierFacts] {
        let numbers: [Int?] = group.tierNumbers + (group.targets.contains { $0.settings.isBackup } ? [nil] : [])
        let names = group.zoneNames
        guard numbers.count == shares.count, shares.allSatisfy({ $0.zones.count == names.count }) else { return [] }
        return zip(numbers, shares).map { number, tier in
            TierFacts(
                number: number, share: tier.share,
                zones: zip(names, tier.zones).enumerated().map { place, zone in
                    Zone(name: zone.0, isOwn: place == 0, share: zone.1)
                })
        }
    }
}
