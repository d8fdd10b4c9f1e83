import Foundation
import PoiseHealth
import Testing

@testable import PoiseTelemetry

@Suite("What is left of a target's weight")
struct ShareTests {
    private func overview(_ share: ShareFacts) -> Overview {
        var overview = House(check: nil).overview()
        overview.groups[0].targets[0].share = share
        overview.groups[0].targets[0].effectiveWeight = 3 * 256
        return overview
    }

    @Test(
        "status says how much and why",
        arguments: [
            (ShareFacts(), "3", "none", nil as String?, false),
            (
                ShareFacts(percent: 15, cause: .latency, isAnomalous: false), "3 x15% latency", "latency", "normal",
                false
            ),
            (ShareFacts(percent: 250, cause: .agent), "3 x250% agent", "agent", nil, false),
            (ShareFacts(isAnomalous: true), "3 anomalous", "none", "anomalous", false),
            (
                ShareFacts(percent: 10, cause: .anomaly, isAnomalous: true, isMitigated: true), "3 x10% anomaly",
                "anomaly",
                "anomalous", true
            ),
            (
                ShareFacts(percent: 40, cause: .load, isAnomalous: true, isMitigated: true), "3 x40% orca anomalous",
                "orca", "anomalous", false
            ),
        ])
    func status(share: ShareFacts, cell: String, cause: String, anomaly: String?, isMitigated: Bool) throws {
        let overview = overview(share)
        let table = StatusTable(overview, at: .zero).render()
        let row = try #require(table.split(separator: "\n").first { $0.contains("  10.0.0.1:80 ") })
        #expect(row.contains(" \(cell) "), "\(row)")
        let json = Data(StatusTests.json(overview, size: 1 << 20))
        let root = try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
        let groups = try #require(root["target_groups"] as? [[String: Any]])
        let target = try #require((groups[0]["targets"] as? [[String: Any]])?.first)
        #expect(target["weight_percent"] as? Int == share.percent)
        #expect(target["weight_cause"] as? String == cause)
        #expect(target["anomaly"] as? String == anomaly)
        #expect(target["mitigation_in_effect"] as? Bool == isMitigated)
    }

    @Test("the metric is a factor")
    func metric() {
        var metrics = MetricsText(overview(ShareFacts(percent: 15, cause: .errors, isAnomalous: true)))
        var bytes: [UInt8] = []
        while metrics.next(into: &bytes) {}
        let lines = Set(String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init))
        #expect(lines.contains(#"poise_target_weight_factor{target_group="api",target="10.0.0.1:80"} 0.15"#))
        #expect(lines.contains(#"poise_target_anomalous{target_group="api",target="10.0.0.1:80"} 1"#))
    }
}
