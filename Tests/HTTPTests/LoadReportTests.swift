import PoiseHTTP
import Testing

@Suite("Load reports in answers (ORCA)")
struct LoadReportTests {
    /// Utilization in hundredths, rates as they are.
    private func read(_ value: String) -> [Int]? {
        let all = bytes(value)
        let report = LoadReport(all.span, ByteRange(0..<all.count))
        return report.map { [($0.utilization * 100 + 32_768) / 65_536, $0.requestRate / 1_000, $0.errorRate / 1_000] }
    }

    @Test(
        "reads what weights are made of, and passes over the rest",
        arguments: [
            (
                "TEXT cpu_utilization=0.3, mem_utilization=0.8, rps_fractional=10.0, eps=1, named_metrics.q=0.4",
                [30, 10, 1]
            ),
            ("TEXT cpu_utilization:0.7,application_utilization:0.8,rps_fractional:1000", [80, 1_000, 0]),
            ("text cpu_utilization = .5", [50, 0, 0]),
            ("TEXT application_utilization=0,cpu_utilization=0.2", [20, 0, 0]),
            ("TEXT cpu_utilization=1.25,rps=7", [125, 7, 0]), ("TEXT mem_utilization=nonsense", [0, 0, 0]),
            ("TEXT cpu_utilization=3e-1", [30, 0, 0]), ("TEXT cpu_utilization=0.30000000000000004441", [30, 0, 0]),
            (#"JSON {"cpu_utilization": 0.3, "rps_fractional": 10, "eps": 1.0}"#, [30, 10, 1]),
            (#"JSON {"cpuUtilization":0.3,"rpsFractional":10.5,"applicationUtilization":0.6}"#, [60, 10, 0]),
            (#"JSON {"named_metrics": {"cpu_utilization": 9, "a": {"}": []}}, "cpu_utilization": 0.25}"#, [25, 0, 0]),
            (#"JSON {"rps":"12","cpu_utilization":1e-2,"x":"a\"b,}"}"#, [1, 12, 0]), ("JSON {}", [0, 0, 0]),
        ])
    func reads(value: String, numbers: [Int]) { #expect(read(value) == numbers) }

    @Test(
        "refuses what is not one",
        arguments: [
            "", "TEXT", "TEXT ", "BIN abcd", "cpu_utilization=0.3", "TEXT cpu_utilization", "TEXT =1",
            "TEXT cpu_utilization=",
            "TEXT cpu_utilization=-0.1", "TEXT cpu_utilization=+1", "TEXT cpu_utilization=NaN",
            "TEXT cpu_utilization=inf",
            "TEXT cpu_utilization=0x1", "TEXT cpu_utilization=1e999", "TEXT cpu_utilization=101", "TEXT eps=1e8",
            "TEXT cpu_utilization=0.3,cpu_utilization=0.4", "TEXT cpu_utilization=.", "TEXT cpu_utilization=1e",
            "TEXT cpu_utilization=0.\(String(repeating: "1", count: 50))", "JSON", "JSON 1", "JSON {", "JSON []",
            #"JSON {"cpu_utilization"}"#, #"JSON {"cpu_utilization":}"#, #"JSON {"cpu_utilization":"#,
            #"JSON {"cpu_utilization":{}}"#, #"JSON {"cpu_utilization":0.3"#, #"JSON {"cpu_utilization":0.3} x"#,
            #"JSON {"cpu_utilization":0.3,}"#, #"JSON {"a":{"b":[}"#, #"JSON {"a":"\"#,
            #"JSON {"cpu_utilization":true}"#,
        ])
    func refuses(value: String) {
        // An empty list of values says nothing, and is well-formed.
        #expect(read(value) == nil)
    }

    @Test("no bytes crash it, and what it reads is within bounds", arguments: 1...20)
    func anyBytes(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let alphabet = bytes("TEXJSON {}[]\",:=.0123456789eE-+cpu_utilzatonrsfk\\ \t")
        for _ in 0..<2_000 {
            let count = Int.random(in: 0...60, using: &random)
            var value = bytes(Bool.random(using: &random) ? "TEXT " : "JSON {\"cpu_utilization\":")
            for _ in 0..<count { value.append(alphabet.randomElement(using: &random)!) }
            guard let report = LoadReport(value.span, ByteRange(0..<value.count)) else { continue }
            #expect((0...6_553_600).contains(report.utilization), "seed \(seed)")
            #expect((0...10_000_000_000).contains(report.requestRate), "seed \(seed)")
        }
    }

    @Test(
        "is taken out of the head, and the rest stays as it is",
        arguments: [
            ("A: 1\r\nEndpoint-Load-Metrics: TEXT cpu_utilization=0.5\r\nB: 2\r\n", "A: 1\r\nB: 2\r\n", 50),
            ("endpoint-load-metrics: junk\r\nB: 2\r\n", "B: 2\r\n", -1),
            ("A: 1\r\nendpoint-load-metrics-bin: AAAA\r\n", "A: 1\r\n", -1),
            ("endpoint-load-metrics: TEXT eps=1\r\nEndpoint-Load-Metrics: x\r\n", "", 0),
            (
                "endpoint-load-metric: TEXT cpu_utilization=0.5\r\n",
                "endpoint-load-metric: TEXT cpu_utilization=0.5\r\n", nil
            ),
        ])
    func taken(fields: String, left: String, hundredths: Int?) throws {
        let all = bytes("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\(fields)\r\n")
        var head = ResponseHead()
        let result = head.parse(all.span, from: 0, limits: HeadLimits(), requestMethod: .get)
        guard case .complete = result else { return #expect(Bool(false), "\(result)") }
        let found = head.takeLoadReport(all.span)
        #expect(found.map { $0.map { ($0.utilization * 100 + 32_768) / 65_536 } ?? -1 } == hundredths)
        var out: [UInt8] = []
        head.fields.copy(
            all.span, from: head.fieldsStart, to: head.fieldsEnd, dropping: [], dropsTwins: false, to: &out)
        #expect(latin1(out) == "Content-Length: 0\r\n" + left)
    }
}
