import PoiseModel

/// What one tier of a group takes of its flows right now, and its zones of that.
public struct TierFacts: Sendable, Equatable {
    public struct Zone: Sendable, Equatable {
        public var name: String
        public var isOwn: Bool
        /// Of what the tier takes, 0...1.
        public var share: Double

        public init(name: String, isOwn: Bool, share: Double) {
            (self.name, self.isOwn, self.share) = (name, isOwn, share)
        }
    }

    /// 0...15; `nil` for the backups.
    public var number: Int?
    /// Of the group's flows, 0...1.
    public var share: Double
    /// The own one first; empty where zones do not count.
    public var zones: [Zone]

    public init(number: Int?, share: Double, zones: [Zone] = []) {
        (self.number, self.share, self.zones) = (number, share, zones)
    }

    var name: String { number.map { "\($0)" } ?? "backup" }

    /// With one decimal where it has one.
    static func percent(_ share: Double) -> Double { (share * 1000).rounded() / 10 }

    static func text(_ share: Double) -> String {
        let tenths = Int((share * 1000).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)%" : "\(tenths / 10).\(tenths % 10)%"
    }
}

extension StatusJSON {
    static func tiers(_ tiers: [TierFacts], _ json: inout JSONText<[UInt8]>) {
        json.key("tiers")
        json.beginArray()
        for tier in tiers {
            json.beginObject()
            json.key("tier")
            if let number = tier.number { json.number(number) } else { json.null() }
            json.member("backup", tier.number == nil)
            json.key("percent")
            json.number(TierFacts.percent(tier.share))
            json.key("zones")
            json.beginArray()
            for zone in tier.zones {
                json.beginObject()
                json.member("zone", zone.name)
                json.member("own", zone.isOwn)
                json.key("percent")
                json.number(TierFacts.percent(zone.share))
                json.endObject()
            }
            json.endArray()
            json.endObject()
        }
        json.endArray()
    }
}

extension StatusTable {
    /// Who takes how much; empty where no group is divided.
    static func tiers(_ groups: [Overview.GroupFacts], isColored: Bool) -> String {
        var table = TextTable(["GROUP", "TIER", "#TAKES", "OF THAT, BY ZONE"])
        for group in groups {
            for tier in group.tiers {
                let zones = tier.zones.map {
                    "\(harmless($0.name))\($0.isOwn ? " (own)" : "") \(TierFacts.text($0.share))"
                }
                table.add([
                    .init(harmless(group.compiled.settings.displayName)), .init(tier.name),
                    .init(TierFacts.text(tier.share)), .init(zones.isEmpty ? "-" : zones.joined(separator: ", ")),
                ])
            }
        }
        return groups.contains { !$0.tiers.isEmpty } ? "\n" + table.render(isColored: isColored) : ""
    }
}

extension MetricFamily {
    static let tiers: [MetricFamily] = [
        MetricFamily(
            name: "poise_target_group_tier_share", kind: .gauge,
            help:
                "What a tier takes of the group's requests now: 1 is all. Groups of one tier without zones have none.",
            subject: .group
        ) { objects, index, writer in
            for tier in objects.group(index).tiers {
                writer.begin()
                objects.label(.group, index, &writer)
                writer.label("tier", tier.name)
                writer.value(.nanoseconds(Int64(tier.share * 1e9)))
            }
        },
        MetricFamily(
            name: "poise_target_group_zone_share", kind: .gauge,
            help: "What a zone takes of the requests of its tier now: 1 is all.", subject: .group
        ) { objects, index, writer in
            for tier in objects.group(index).tiers {
                for zone in tier.zones {
                    writer.begin()
                    objects.label(.group, index, &writer)
                    writer.label("tier", tier.name)
                    writer.label("zone", zone.name)
                    writer.value(.nanoseconds(Int64(zone.share * 1e9)))
                }
            }
        },
    ]
}
