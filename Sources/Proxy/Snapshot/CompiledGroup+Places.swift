import PoiseBalancing
import PoiseModel

/// Zones and subsets in numbers.
extension CompiledGroup {
    /// - Returns: `nil` where zones do not count.
    static func preference(
        of settings: TargetGroup, _ targets: [CompiledTarget], at place: NodePlace
    ) -> ZonePreference? {
        guard settings.zonePreference.mode != .off, let own = place.zone else { return nil }
        let names = zoneNames(of: settings, own: own)
        let numbers = Dictionary(zip(names, 0...), uniquingKeysWith: { first, _ in first })
        return ZonePreference(
            zones: targets.map { $0.settings.zone.flatMap { numbers[$0] } ?? 0 },
            seeds: names.map { hash64(Array($0.utf8).span) },
            trafficPercent: settings.zonePreference.trafficPercent,
            overloadPercent: settings.zonePreference.overloadPercent)
    }

    /// As configured: a name without an address has its zone, too.
    private static func zoneNames(of settings: TargetGroup, own: String) -> [String] {
        [own] + Set(settings.targets.compactMap(\.zone)).subtracting([own]).sorted()
    }

    /// In the order of their numbers, the own one first; empty where zones do not count.
    public var zoneNames: [String] {
        guard preference != nil, let own = place.zone else { return [] }
        return Self.zoneNames(of: settings, own: own)
    }

    /// Of tiers that are not of backups, rising.
    public var tierNumbers: [Int] { Set(targets.map(\.settings).filter { !$0.isBackup }.map(\.tier)).sorted() }

    /// - Returns: `nil` where all targets are in use.
    static func subset(
        of settings: TargetGroup, _ targets: [CompiledTarget], _ preference: ZonePreference?, at place: NodePlace
    ) -> TargetSubset? {
        settings.subsetSize.map { size in
            TargetSubset(
                size: size, node: hash64(Array(place.node.utf8).span), identities: targets.map(\.identity),
                tiers: targets.map { $0.settings.isBackup ? Int.max : $0.settings.tier },
                zones: preference?.zones ?? [])
        }
    }

    /// Tiers or zones divide the flows by the whole group, of which a subset leaves out some.
    public var dividesByStanding: Bool {
        subset != nil && (preference != nil || targets.contains { $0.settings.tier != targets[0].settings.tier })
    }

    /// Where each target comes when any will do: tiers in order, the own zone first in each, backups last.
    static func ranks(_ targets: [CompiledTarget], _ preference: ZonePreference?) -> [Int] {
        targets.indices.map { index in
            let target = targets[index].settings
            let isFar = preference.map { $0.zones[index] != 0 } ?? false
            return (target.isBackup ? 16 : target.tier) * 2 + (isFar ? 1 : 0)
        }
    }
}

extension GroupAvailability {
    /// What the weight of a target would be if the subset left nobody out.
    func standing(of target: Int) -> Int { Int(standing.isEmpty ? weights[target] : standing[target]) }
}
