/// What only shows when groups, the process and each other are looked at together: zones, subsets, backup groups.
extension Configuration {
    /// Zones that targets of one group may be in, this Poise's own included.
    public static let zonesMax = 32

    /// - Parameter index: of a group.
    /// - Returns: errors with paths relative to the group.
    func placeErrors(ofGroup index: Int) -> [ConfigError] {
        let group = targetGroups[index]
        return zoneErrors(group) + subsetErrors(group) + backupGroupErrors(group)
    }

    private func zoneErrors(_ group: TargetGroup) -> [ConfigError] {
        guard group.zonePreference.mode != .off else { return [] }
        guard let own = process.zone else {
            return [
                ConfigError(
                    code: .missing, path: "zone_preference",
                    problem: "a preference for the own zone needs to know which zone that is",
                    fix: "say it for each Poise: process: { zone: a }, or zone: ${ZONE}")
            ]
        }
        if let index = group.targets.firstIndex(where: { $0.zone == nil }) {
            let isNone = group.targets.allSatisfy { $0.zone == nil }
            return [
                ConfigError(
                    code: .missing, path: isNone ? "zone_preference" : "targets[\(index)]",
                    problem: isNone
                        ? "zones are preferred, and no target of the group has one"
                        : "\(group.targets[index].address) has no zone, in a group that prefers zones",
                    fix: "write where it stands: { address: \(group.targets[index].address), zone: \(own) }",
                    related: isNone ? nil : "zone_preference")
            ]
        }
        let zones = Set(group.targets.compactMap(\.zone)).union([own])
        guard zones.count > Self.zonesMax else { return [] }
        return [
            ConfigError(
                code: .outOfRange, path: "zone_preference", problem: "the group has targets in \(zones.count) zones",
                fix: "use at most \(Self.zonesMax): larger zones, or groups of their own")
        ]
    }

    private func subsetErrors(_ group: TargetGroup) -> [ConfigError] {
        guard group.subsetSize != nil else { return [] }
        let name = group.algorithm.rawValue
        if group.algorithm.isKeyed {
            return [
                ConfigError(
                    code: .conflict, path: "subset",
                    problem:
                        "\(name) sends a key to the same target from everywhere, and each Poise has another subset",
                    fix: "remove the subset, or choose by load: algorithm: p2c", related: "algorithm")
            ]
        }
        if group.algorithm == .first {
            return [
                ConfigError(
                    code: .conflict, path: "subset",
                    problem: "first fills targets in the order of the file, and a subset has an order of its own",
                    fix: "remove the subset, or choose by load: algorithm: p2c", related: "algorithm")
            ]
        }
        return []
    }

    private func backupGroupErrors(_ group: TargetGroup) -> [ConfigError] {
        guard let next = group.backupGroup else { return [] }
        let names = targetGroups.compactMap(\.name)
        guard names.contains(next) else {
            return [
                ConfigError(
                    code: .unknownName, path: "backup_group", problem: "no target group is called '\(next)'",
                    fix: Suggestion.fix(
                        for: next, among: names.filter { $0 != group.name }, noneKnown: "add one"))
            ]
        }
        var chain = [group.id]
        var here = next
        while !chain.contains(here) {
            chain.append(here)
            guard let further = targetGroups.first(where: { $0.name == here })?.backupGroup else { return [] }
            here = further
        }
        // Told once, at the first in the file; whoever only leads to a circle is not part of what is wrong.
        guard here == group.id, targetGroups.first(where: { chain.contains($0.id) })?.id == group.id else { return [] }
        let way = (chain + [here]).map { "'\($0)'" }.joined(separator: " -> ")
        return [
            ConfigError(
                code: .conflict, path: "backup_group",
                problem: chain.count == 1
                    ? "'\(here)' is its own backup" : "backup groups go round in a circle: \(way)",
                fix: "let the last of them have none")
        ]
    }

    /// - Returns: warnings with paths relative to the group.
    func placeWarnings(ofGroup index: Int) -> [ConfigError] {
        let group = targetGroups[index]
        var warnings: [ConfigError] = []
        if group.zonePreference.mode != .off, let own = process.zone, !group.targets.contains(where: { $0.zone == own })
        {
            warnings.append(
                ConfigError(
                    code: .unused, path: "zone_preference",
                    problem: "no target of '\(group.id)' is in this zone, '\(own)': all requests leave it",
                    fix: Suggestion.fix(for: own, among: Set(group.targets.compactMap(\.zone)).sorted(), noneKnown: ""))
            )
        }
        return warnings
    }

    /// Groups that a listener leads to, by themselves or as a backup of such a group.
    func usedGroups() -> Set<String> {
        var used: Set<String> = []
        for listener in listeners {
            for case .forward(let forward) in listener.rules.map(\.action) + [listener.defaultAction].compactMap({ $0 })
            {
                used.formUnion(forward.shares.map(\.group))
            }
        }
        let backups = Dictionary(
            targetGroups.compactMap { group in group.backupGroup.map { (group.id, $0) } },
            uniquingKeysWith: { first, _ in first })
        var rest = Array(used)
        while let group = rest.popLast() {
            if let backup = backups[group], used.insert(backup).inserted { rest.append(backup) }
        }
        return used
    }
}
