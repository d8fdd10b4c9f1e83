import PoiseHTTP
import PoiseLive
import PoiseModel
import PoiseProxy
import PoiseTLS
import Testing

@testable import PoiseTelemetry

@Suite("Prometheus text")
struct MetricsTests {
    static func text(_ overview: Overview, piece: Int = 32 * 1024) -> (text: String, pieces: Int, largest: Int) {
        var metrics = MetricsText(overview)
        var (all, piece_, pieces, largest): ([UInt8], [UInt8], Int, Int) = ([], [], 0, 0)
        while metrics.next(into: &piece_, size: piece) {
            all += piece_
            largest = max(largest, piece_.count)
            pieces += 1
            piece_.removeAll(keepingCapacity: true)
        }
        return (String(decoding: all, as: UTF8.self), pieces, largest)
    }

    @Test("counters of all workers are summed, under the labels of their object")
    func counters() {
        let house = House()
        for worker in 0..<2 { house.listener.counters.row(worker).add(ListenerCounter.requests, 20) }
        house.listener.counters.row(1).add(ListenerCounter.status2xx + 3, 4)
        house.listener.counters.row(0).add(ListenerCounter.firstReason + Int(EndReason.noRule.rawValue), 6)
        house.listener.counters.row(0).add(ListenerCounter.firstRefusal + Int(Refusal.Reason.bareLF.rawValue), 9)
        house.listener.counters.row(1).add(ListenerCounter.firstHTTP2End + Int(HTTP2Fault.rapidReset.rawValue), 2)
        house.listener.counters.row(0).add(ListenerCounter.firstHTTP2Fault + Int(HTTP2Fault.badTE.rawValue), 3)
        house.listener.counters.row(0).add(ListenerCounter.http2Connections, 8)
        house.snapshot.groups[0].targets[0].counters.row(0).add(TargetCounter.http2Ends, 4)
        house.listener.ruleCounters[0].row(0).add(RuleCounter.requests, 5)
        house.snapshot.groups[0].targets[0].counters.row(1).add(TargetCounter.bytesFromTarget, 77)
        let lines = Set(
            Self.text(house.overview(state: .unhealthy, reason: .timeout, isFailOpen: true)).text.split(separator: "\n")
                .map(String.init))
        for line in [
            #"poise_build_info{version="1.2.3"} 1"#, "poise_start_time_seconds 1",
            "poise_config_applied_time_seconds 2.5",
            #"poise_listener_requests_total{listener="web"} 40"#,
            #"poise_listener_responses_total{listener="web",code="5xx"} 4"#,
            #"poise_listener_responses_total{listener="web",code="2xx"} 0"#,
            #"poise_listener_ended_requests_total{listener="web",reason="no_rule"} 6"#,
            #"poise_listener_refused_messages_total{listener="web",reason="bare_lf"} 9"#,
            #"poise_listener_http2_connections{listener="web"} 0"#,
            #"poise_listener_http2_connections_total{listener="web"} 8"#,
            #"poise_listener_http2_connections_ended_total{listener="web",reason="rapid_reset"} 2"#,
            #"poise_listener_http2_stream_faults_total{listener="web",fault="bad_te"} 3"#,
            #"poise_target_http2_connections_ended_total{target_group="api",target="10.0.0.1:80"} 4"#,
            #"poise_target_http2_stream_faults_total{target_group="api",target="10.0.0.1:80"} 0"#,
            #"poise_rule_requests_total{listener="web",rule="api"} 5"#,
            #"poise_target_received_bytes_total{target_group="api",target="10.0.0.1:80"} 77"#,
            #"poise_target_state{target_group="api",target="10.0.0.1:80",state="unhealthy",reason="timeout"} 1"#,
            #"poise_target_group_fail_open{target_group="api"} 1"#,
            #"poise_target_group_targets{target_group="api",state="unhealthy"} 1"#,
            #"poise_target_group_health_transitions_total{target_group="api"} 5"#,
            #"poise_target_health_transitions_total{target_group="api",target="10.0.0.1:80"} 2"#,
            #"poise_target_weight{target_group="api",target="10.0.0.1:80"} 3"#,
        ] {
            #expect(lines.contains(line), "\(line)")
        }
        #expect(!lines.contains { $0.contains("reason=\"client_aborted\"") }, "what never happened is left out")
    }

    @Test("there is a counter for each reason, and none for two")
    func width() {
        #expect(Refusal.Reason.allCases.allSatisfy { $0.rawValue < ListenerCounter.refusalCount })
        #expect(EndReason.allCases.allSatisfy { $0.rawValue < ListenerCounter.reasonCount })
        #expect(HTTP2Fault.allCases.allSatisfy { $0.rawValue < ListenerCounter.http2FaultCount })
        #expect(TLSFailure.Reason.allCases.count <= ListenerCounter.handshakeFailureCount)
        #expect(ConnectionRefusal.allCases.count <= ListenerCounter.connectionRefusalCount)
        #expect(AcceptHold.allCases.count <= ListenerCounter.holdCount)
        #expect(max(TargetCounter.http2Ends, TargetCounter.http2Faults) < TargetCounter.width)
        #expect(Set(HTTP2Fault.allCases.map(\.name)).count == HTTP2Fault.allCases.count)
    }

    @Test("a histogram is cumulative, ends with +Inf, and its count is that of +Inf")
    func histogram() throws {
        let house = House()
        let row = house.listener.totalTime.row(0)
        for nanoseconds in [1_000, 32_767, 32_768, 70_000, 5_000_000, 900_000_000_000] as [Int64] {
            row.record(nanoseconds: nanoseconds)
        }
        let name = "poise_listener_request_duration_seconds"
        let lines = Self.text(house.overview()).text.split(separator: "\n").filter { $0.hasPrefix(name) }
        let buckets = lines.filter { $0.contains("_bucket") }
        let counts = try buckets.map { try #require(Int($0.split(separator: " ").last!)) }
        #expect(counts == counts.sorted())
        #expect(buckets.last == #"poise_listener_request_duration_seconds_bucket{listener="web",le="+Inf"} 6"#)
        #expect(buckets.first == #"poise_listener_request_duration_seconds_bucket{listener="web",le="0.000032768"} 2"#)
        #expect(lines.contains(#"poise_listener_request_duration_seconds_bucket{listener="web",le="0.000131072"} 4"#))
        #expect(lines.contains(#"poise_listener_request_duration_seconds_count{listener="web"} 6"#))
        #expect(lines.contains(#"poise_listener_request_duration_seconds_sum{listener="web"} 900.005136535"#))
        // Bounds are whole octaves of the histogram's own buckets, so no count is guessed.
        let bounds = buckets.dropLast().compactMap { line in
            Double(line.split(separator: "\"")[3]).map { Int(($0 * 1e9).rounded()) }
        }
        #expect(bounds == (15...37).map { 1 << $0 })
    }

    @Test("each worker's wake-ups are a histogram of their own")
    func turns() {
        var overview = House().overview()
        overview.process.turns = (0..<2).map { _ in Histogram(workers: 1) }
        overview.process.turns[1].row(0).record(nanoseconds: 15_000_000)
        overview.process.turns[1].row(0).record(nanoseconds: 17_000_000)
        let lines = Set(Self.text(overview).text.split(separator: "\n").map(String.init))
        for line in [
            #"_bucket{worker="0",le="+Inf"} 0"#, #"_bucket{worker="1",le="0.008388608"} 0"#,
            #"_bucket{worker="1",le="0.016777216"} 1"#, #"_count{worker="1"} 2"#, #"_sum{worker="1"} 0.032"#,
        ] {
            #expect(lines.contains("poise_worker_turn_duration_seconds" + line), "\(line)")
        }
    }

    @Test("every metric has one HELP and one TYPE, before its samples, which stand together")
    func families() {
        let text = Self.text(House(groups: ["a", "b"], targets: ["x:1", "y:2"]).overview()).text
        var types: [String: String] = [:]
        var current = ""
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 3).map(String.init)
            if line.hasPrefix("# HELP") {
                #expect(types[words[2]] == nil && words.count == 4 && !words[3].isEmpty)
                current = words[2]
            } else if line.hasPrefix("# TYPE") {
                #expect(words[2] == current)
                types[current] = words[3]
            } else {
                let name = String(line.prefix { $0 != "{" && $0 != " " })
                let isPart = ["_bucket", "_sum", "_count"].contains { name == current + $0 }
                #expect(types[current] == "histogram" ? isPart : name == current, "\(line)")
                #expect(types[current] != "counter" || name.hasSuffix("_total"))
            }
        }
        #expect(types.count == MetricsText.families.count)
    }

    @Test("labels are escaped")
    func escaping() {
        let house = House(rules: ["host in [\"a\\b\"]\n"])
        #expect(
            Self.text(house.overview()).text
                .contains(#"poise_rule_requests_total{listener="web",rule="host in [\"a\\b\"]\n"} 0"#))
    }

    @Test("ten thousand targets come in small pieces, the same text as in one")
    func pieces() {
        let house = House(groups: ["big"], targets: (0..<10_000).map { "10.0.\($0 / 250).\($0 % 250):80" })
        let small = Self.text(house.overview())
        #expect(small.pieces > 100)
        #expect(small.largest < 40 * 1024)
        #expect(small.text == Self.text(house.overview(), piece: .max).text)
    }

    @Test("every reason has a counter of its own")
    func reasons() {
        #expect(EndReason.allCases.allSatisfy { Int($0.rawValue) < ListenerCounter.reasonCount })
        #expect(AcceptHold.allCases.allSatisfy { $0.rawValue < ListenerCounter.holdCount })
        #expect(ConnectionRefusal.allCases.allSatisfy { $0.rawValue < ListenerCounter.connectionRefusalCount })
        #expect(Refusal.Reason.allCases.allSatisfy { Int($0.rawValue) < ListenerCounter.refusalCount })
    }
}
