extension TargetGroup {
    /// Targets that fewer than these cannot be compared with: what is unlike the others needs two others.
    public static let comparableTargetsMin = 3

    /// Whether some ordinary targets are of another tier than others.
    public var hasTiers: Bool {
        let first = targets.first { !$0.isBackup }
        return targets.contains { !$0.isBackup && $0.tier != first?.tier }
    }

    /// What has no effect with the targets that there are. Never an error: targets come and go, and must be able to.
    ///
    /// - Parameter ownZone: where this Poise stands.
    /// - Returns: warnings with paths relative to the group.
    func effectWarnings(ownZone: String?) -> [ConfigError] {
        // Of a name, only its answers tell how many targets it is.
        guard !targets.isEmpty, !targets.contains(where: \.address.isName) else { return weightWarnings() }
        return weightWarnings() + numberWarnings() + ejectionWarnings() + zoneWarnings(ownZone)
    }

    private func weightWarnings() -> [ConfigError] {
        // Tiers and zones go by the weight of their targets, whatever the algorithm does within them.
        guard !algorithm.followsWeights, !hasTiers, zonePreference.mode == .off,
            let first = targets.first(where: { $0.weight > 0 }),
            let index = targets.firstIndex(where: { $0.weight > 0 && $0.weight != first.weight })
        else { return [] }
        return [
            Self.idle(
                "targets[\(index)].weight",
                "\(algorithm.rawValue) does not go by weights, so targets with a greater one get no greater share",
                fix: "use another algorithm, such as \(algorithm == .random ? "weighted_random" : "least_connections")",
                related: "algorithm.type")
        ]
    }

    private func numberWarnings() -> [ConfigError] {
        var warnings: [ConfigError] = []
        if case .count(let count)? = minHealthy {
            let counted = targets.count { !$0.isBackup && $0.weight > 0 }
            if count > counted {
                warnings.append(
                    Self.idle(
                        "min_healthy",
                        "\(count) targets are asked for, and the group has \(counted): it is always below its minimum",
                        fix: "ask for \(max(1, counted)) or fewer, or for a share: \"50%\""))
            }
        }
        if let subsetSize {
            // Backups are a tier of their own.
            let tiers = Dictionary(grouping: targets) { $0.isBackup ? -1 : $0.tier }
            let largest = tiers.values.map(\.count).max() ?? 0
            if subsetSize >= largest {
                warnings.append(
                    Self.idle(
                        "subset", "a subset of \(subsetSize) leaves nobody out: no tier has more than \(largest)",
                        fix: "remove it: subsets are for groups of hundreds"))
            }
        }
        if !hasTiers, let index = targets.firstIndex(where: { !$0.isBackup && $0.tier > 0 }) {
            warnings.append(
                Self.idle(
                    "targets[\(index)].tier",
                    "all targets are of tier \(targets[index].tier), so there is no lower one",
                    fix: "remove it, or give other targets another tier"))
        }
        return warnings
    }

    private func ejectionWarnings() -> [ConfigError] {
        let counted = targets.count { $0.weight > 0 }
        var warnings: [ConfigError] = []
        if mitigatesAnomalies, counted < Self.comparableTargetsMin {
            warnings.append(
                Self.idle(
                    "anomaly_mitigation",
                    "anomalies are found among \(Self.comparableTargetsMin) targets or more, and the group has \(counted)",
                    fix: "remove it, or eject by failures: passive_checks: { failure_percent: 50 }"))
        }
        return warnings + comparisonWarnings(of: counted)
    }

    private func comparisonWarnings(of counted: Int) -> [ConfigError] {
        let outliers = passive.outliers
        guard outliers.isOn else { return [] }
        guard counted >= outliers.targetsMin else {
            let key = outliers.successRateFactorPercent != nil ? "success_rate_factor" : "latency_factor"
            return [
                Self.idle(
                    "passive_checks.\(key)",
                    "\(outliers.targetsMin) targets or more are compared, and the group has \(counted)",
                    fix: "remove it, or lower min_outlier_targets", related: "passive_checks.min_outlier_targets")
            ]
        }
        // One of n targets is √(n - 1) standard deviations below the mean and no more; several bad ones are nearer.
        guard let factor = outliers.successRateFactorPercent, factor * factor >= (counted - 1) * 10_000 else {
            return []
        }
        return [
            Self.idle(
                "passive_checks.success_rate_factor",
                "no target of \(counted) can be so many standard deviations below the mean",
                fix: counted >= 5 ? "lower it: 1.9 finds one of 5" : "use failure_percent: 1.9 takes 5 targets")
        ]
    }

    private func zoneWarnings(_ ownZone: String?) -> [ConfigError] {
        guard zonePreference.mode != .off, let ownZone, targets.allSatisfy({ $0.zone == ownZone }) else { return [] }
        return [
            Self.idle(
                "zone_preference", "all targets are in this zone, '\(ownZone)', so there is nothing to prefer",
                fix: "remove it, or list targets of other zones too")
        ]
    }

    private static func idle(_ path: String, _ problem: String, fix: String, related: String? = nil) -> ConfigError {
        ConfigError(code: .noEffect, path: path, problem: problem, fix: fix, related: related)
    }
}

extension TargetAddress {
    /// Whether it has to be resolved.
    public var isName: Bool { if case .name = self { true } else { false } }
}

extension ConfigError.Code {
    /// Of warnings only: it changes nothing with the targets that there are. Not told of what `defaults` says, which is for
    /// those that have a use for it.
    public static let noEffect = Self(name: "no-effect")
}
