import PoiseModel

extension SettingsTable {
    /// Which of a group's targets this Poise uses, and who answers when it has none.
    static var placesOfTargetGroup: [Setting<TargetGroup>] {
        [
            .choice(
                "zone_preference", "mode", at: \.zonePreference.mode, attribute: "load_balancing.cross_zone.enabled",
                "own_zone: targets of process.zone first, others for what these cannot take ([rule](algorithms.md#zones))."
            ),
            .integer(
                "zone_preference", "traffic_percent", at: \.zonePreference.trafficPercent, in: 1...100, unset: "auto",
                "Percent of all requests of the group, over all Poise, that arrive in this zone; auto: as many in each."
            ).only { $0.zonePreference.mode != .off },
            .integer(
                "zone_preference", "overload", at: \.zonePreference.overloadPercent, in: 100...10_000,
                "What the zone's targets take before requests leave it, in percent of the mean load of all targets."
            ).only { $0.zonePreference.mode != .off },
            .integer(
                "subset", at: \.subsetSize, in: 1...65_535, unset: "off",
                "Use only so many targets per tier, others on each Poise ([how many](algorithms.md#subsets))."),
            .text(
                "backup_group", at: \.backupGroup, form: "the name of a target group", unset: "none",
                "Answers when no target of this group is usable, with its own settings; may have one itself.",
                check: TextForm.groupName),
        ]
    }
}

extension TextForm {
    /// A zone or a node: what machines and providers are called.
    static func placeName(_ text: String) throws(ConfigError) {
        let isGood =
            (1...63).contains(text.utf8.count) && text != "none" && text != "auto"
            && text.utf8.allSatisfy { isLetterOrDigit($0) || $0 == 0x5F || $0 == 0x2D || $0 == 0x2E }
        try require(isGood, "'\(text)' is not a name", fix: "use 1 to 63 of a-z, A-Z, 0-9, '-', '_' and '.'")
    }
}
