import Foundation
import PoiseLive
import PoiseModel
import PoiseProxy
import Testing

@testable import PoiseTelemetry

@Suite("Status")
struct StatusTests {
    static func json(_ overview: Overview, size: Int) -> [UInt8] {
        var status = StatusJSON(overview)
        var bytes: [UInt8] = []
        while status.next(into: &bytes, size: size) {}
        return bytes
    }

    @Test("JSON is valid whatever the size of its pieces", arguments: [1, 100, 1 << 20])
    func json(size: Int) throws {
        let house = House(groups: ["a", "b"], targets: ["x:1", "y:2"])
        house.snapshot.groups[1].targets[1].counters.row(1).add(TargetCounter.requests, 8)
        house.listener.totalTime.row(0).record(nanoseconds: 1_000_000)
        let bytes = Self.json(house.overview(state: .unhealthy, reason: .dns), size: size)
        let root = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
        let process = try #require(root["process"] as? [String: Any])
        #expect(process["pid"] as? Int == 42)
        #expect(process["uptime_seconds"] as? Double == 90)
        #expect(process["started_at"] as? String == "1970-01-01T00:00:01.000Z")
        let listeners = try #require(root["listeners"] as? [[String: Any]])
        #expect(listeners[0]["addresses"] as? [String] == ["0.0.0.0:80"])
        let latency = try #require(listeners[0]["latency"] as? [String: Any])
        #expect(try #require(latency["p50"] as? Double) >= 0.001)
        let groups = try #require(root["target_groups"] as? [[String: Any]])
        #expect(groups.map { $0["name"] as? String } == ["a", "b"])
        let targets = try #require(groups[1]["targets"] as? [[String: Any]])
        #expect(targets[1]["requests"] as? Int == 8)
        #expect(targets[1]["reason"] as? String == "dns")
    }

    @Test("JSON without any listener or group is valid too")
    func empty() throws {
        let house = House()
        let overview = Overview(process: house.overview().process, listeners: [], groups: [])
        let root = try JSONSerialization.jsonObject(with: Data(Self.json(overview, size: 10))) as? [String: Any]
        #expect((root?["listeners"] as? [Any])?.isEmpty == true)
    }

    @Test("columns stand under their headings, numbers at the right")
    func table() {
        var table = TextTable(["NAME", "#COUNT", "STATE"])
        table.add([.init("a"), .init("5"), .init("healthy", .green)])
        table.add([.init("longer"), .init("12345"), .init("")])
        #expect(table.render(isColored: false) == "NAME    COUNT  STATE\na           5  healthy\nlonger  12345  \n")
        #expect(table.render(isColored: true).contains("\u{1B}[32mhealthy\u{1B}[0m"))
    }

    @Test("rates appear with the second frame")
    func rates() {
        let house = House()
        let start = MonotonicTime(nanoseconds: 1_000_000_000)
        let first = StatusTable(house.overview(), at: start)
        house.listener.counters.row(0).add(ListenerCounter.requests, 30)
        let second = StatusTable(house.overview(), at: start + .seconds(2), after: first.frame)
        func cells(_ table: StatusTable) -> [Substring] {
            table.render().split(separator: "\n").first { $0.hasPrefix("web") }!.split(separator: " ")
        }
        #expect(cells(first)[5] == "-")
        #expect(cells(second)[4] == "30")
        #expect(cells(second)[5] == "15")
    }

    @Test("what is checked, and what the last probe saw: at the end of each line, and in JSON")
    func checks() throws {
        let kinds: [(HealthCheck.Kind?, String)] = [
            (.tcp, "TCP"), (.tls, "TLS"), (.http(HTTPProbe()), "GET /"), (nil, "-"),
        ]
        for (kind, words) in kinds {
            let house = House(groups: ["a"], targets: ["x:1"], check: kind)
            var overview = house.overview(state: .unhealthy, reason: .certificateExpired)
            overview.groups[0].targets[0].lastProbe = "TLS: certificate_expired after 2 ms"
            let lines = StatusTable(overview, at: .zero).render().split(separator: "\n")
            #expect(lines.first { $0.hasPrefix("a ") }?.hasSuffix("  \(words)") == true)
            #expect(
                lines.first { $0.hasPrefix("  x:1 ") }?.hasSuffix("  TLS: certificate_expired after 2 ms") == true)
            let root = try JSONSerialization.jsonObject(with: Data(Self.json(overview, size: 100))) as? [String: Any]
            let group = try #require((root?["target_groups"] as? [[String: Any]])?.first)
            #expect(group["health_check"] as? String == (kind == nil ? nil : words))
            let target = try #require((group["targets"] as? [[String: Any]])?.first)
            #expect(target["reason"] as? String == "certificate_expired")
            #expect(target["last_probe"] as? String == "TLS: certificate_expired after 2 ms")
        }
    }

    @Test("fail-open and lost records are loud")
    func loud() {
        var overview = House().overview(state: .unhealthy, isFailOpen: true)
        var log = LogWriter.Statistics()
        (log.lostToFullRings, log.lostToFailedWrites) = (2, 3)
        overview.process.log = log
        let text = StatusTable(overview, at: .zero).render()
        #expect(text.contains("FAIL OPEN: no target of api is known to be good"))
        #expect(text.contains("access log: 5 records were lost (2 for want of room, 3 could not be written)"))
    }

    @Test(
        "spans and latencies for people",
        arguments: [
            (0, "0ms"), (999_000_000, "999ms"), (59_000_000_000, "59s"), (61_000_000_000, "1m1s"),
            (7_260_000_000_000, "2h1m"), (180_000_000_000_000, "2d2h"),
        ] as [(Int64, String)])
    func spans(nanoseconds: Int64, expected: String) {
        #expect(StatusTable.span(Nanoseconds(nanoseconds)) == expected)
    }
}
