import Foundation
import Testing

@testable import PoiseTelemetry

@Suite("What tiers and zones take")
struct TierTests {
    private func overview(_ tiers: [TierFacts]) -> Overview {
        var overview = House(check: nil).overview()
        overview.groups[0].tiers = tiers
        return overview
    }

    private let tiers = [
        TierFacts(
            number: 0, share: 0.7,
            zones: [.init(name: "a", isOwn: true, share: 0.875), .init(name: "b", isOwn: false, share: 0.125)]),
        TierFacts(number: 3, share: 0.3), TierFacts(number: nil, share: 0),
    ]

    @Test("the table has a line for each tier, and is not there where nothing divides a group")
    func table() {
        let lines = StatusTable(overview(tiers), at: .zero).render().split(separator: "\n").suffix(4)
        let words = lines.map { $0.split(separator: " ").joined(separator: " ") }
        #expect(
            words == [
                "GROUP TIER TAKES OF THAT, BY ZONE", "api 0 70% a (own) 87.5%, b 12.5%", "api 3 30% -",
                "api backup 0% -",
            ])
        #expect(!StatusTable(overview([]), at: .zero).render().contains("BY ZONE"))
    }

    @Test("JSON has percents with one decimal")
    func json() throws {
        let data = Data(StatusTests.json(overview(tiers), size: 1 << 20))
        let root = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let group = try #require((root["target_groups"] as? [[String: Any]])?.first)
        let told = try #require(group["tiers"] as? [[String: Any]])
        #expect(told.map { $0["tier"] as? Int } == [0, 3, nil])
        #expect(told.map { $0["backup"] as? Bool } == [false, false, true])
        #expect(told.map { $0["percent"] as? Double } == [70, 30, 0])
        let zones = try #require(told[0]["zones"] as? [[String: Any]])
        #expect(zones.map { $0["zone"] as? String } == ["a", "b"])
        #expect(zones.map { $0["own"] as? Bool } == [true, false])
        #expect(zones.map { $0["percent"] as? Double } == [87.5, 12.5])
    }

    @Test("metrics are parts of 1, by tier and by zone of a tier")
    func metrics() {
        var metrics = MetricsText(overview(tiers))
        var bytes: [UInt8] = []
        while metrics.next(into: &bytes) {}
        let lines = Set(String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init))
        for line in [
            #"poise_target_group_tier_share{target_group="api",tier="0"} 0.7"#,
            #"poise_target_group_tier_share{target_group="api",tier="backup"} 0"#,
            #"poise_target_group_zone_share{target_group="api",tier="0",zone="a"} 0.875"#,
            #"poise_target_group_zone_share{target_group="api",tier="0",zone="b"} 0.125"#,
        ] {
            #expect(lines.contains(line), "\(line)")
        }
        #expect(!lines.contains { $0.hasPrefix("poise_target_group_zone_share") && $0.contains(#"tier="3""#) })
    }
}
