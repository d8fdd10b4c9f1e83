import PoiseHealth
import PoiseModel
import Testing

@Suite("The line of an agent, as HAProxy's agent-check has it")
struct AgentReportTests {
    private static func report(_ change: (inout AgentReport) -> Void) -> AgentReport {
        var report = AgentReport()
        change(&report)
        return report
    }

    private static func parse(_ line: [UInt8]) -> AgentReport { AgentReport(parsing: line.span) }

    @Test(
        "reads every word, in any case, order and with any divider",
        arguments: [
            ("", report { _ in }), ("   \t,,", report { _ in }),
            ("75%", report { $0.weightPercent = 75 }), ("0%", report { $0.weightPercent = 0 }),
            (
                "999999999999999999999999%",
                report { ($0.weightPercent, $0.weightWord) = (25_600, "999999999999999999999999%") }
            ),
            ("25600% maxconn:10000000", report { ($0.weightPercent, $0.connectionsMax) = (25_600, 10_000_000) }),
            ("99999% 5%", report { $0.weightPercent = 5 }),
            ("maxconn:30", report { $0.connectionsMax = 30 }), ("MaxConn:0", report { $0.connectionsMax = 0 }),
            (
                "maxconn:99999999999999999999",
                report { ($0.connectionsMax, $0.connectionsWord) = (10_000_000, "maxconn:99999999999999999999") }
            ),
            ("up", report { $0.health = .up }), ("DOWN", report { $0.health = .down }),
            ("fail", report { $0.health = .fail }), ("Stopped", report { $0.health = .stopped }),
            ("ready", report { $0.administration = .ready }), ("drain", report { $0.administration = .drain }),
            ("MAINT", report { $0.administration = .maint }),
            (
                "75% up maxconn:30",
                report { ($0.weightPercent, $0.health, $0.connectionsMax) = (75, .up, 30) }
            ),
            (
                ",ready\t20%, ,up ",
                report { ($0.weightPercent, $0.health, $0.administration) = (20, .up, .ready) }
            ),
            ("down up", report { $0.health = .up }), ("10% 20%", report { $0.weightPercent = 20 }),
            ("down # disk full", report { ($0.health, $0.remark) = (.down, "disk full") }),
            ("down #", report { $0.health = .down }),
            ("#up", report { $0.remark = "up" }), ("down#x", report { $0.unknownWord = "down#x" }),
            ("# \u{1}\u{7F}é", report { $0.remark = "????" }),
        ])
    func reads(line: String, report: AgentReport) {
        #expect(Self.parse(Array(line.utf8)) == report)
    }

    @Test(
        "passes over what means nothing, and keeps the first such word",
        arguments: [
            "-5%", "+5%", "%", "5", "5%%", "7 5%x", "maxconn:", "maxconn:-1", "maxconn:3x", "maxconn 3", "upp", "u",
            "Ready!",
            "\u{0}up", "75.5%", "0x10%",
        ])
    func refuses(word: String) {
        let report = Self.parse(Array("drain \(word)".utf8))
        #expect(report.administration == .drain && report.unknownWord != nil)
        #expect(report.health == nil && report.weightPercent == nil && report.connectionsMax == nil)
    }

    @Test("texts of an agent are bounded and printable")
    func bounded() throws {
        let long = String(repeating: "é", count: 500)
        let word = try #require(Self.parse(Array(long.utf8)).unknownWord)
        #expect(word == String(repeating: "?", count: AgentReport.textBytesMax))
        #expect(Self.parse(Array("# \(long)".utf8)).remark.utf8.count == AgentReport.textBytesMax)
    }

    @Test(
        "a figure beyond its bound is quoted as it came, beside what it is taken as",
        arguments: [
            ("maxconn:99999999999999999999", "maxconn:99999999999999999999 (taken as 10000000)"),
            ("30000% up", "30000% (taken as 25600%) up"), ("25600% maxconn:10000000", "25600% maxconn:10000000"),
            (
                "maxconn:" + String(repeating: "9", count: 900),
                "maxconn:\(String(repeating: "9", count: 72)) (taken as 10000000)"
            ),
        ])
    func quotes(line: String, text: String) { #expect(Self.parse(Array(line.utf8)).text == text) }

    @Test("what it understood, said again, is understood the same")
    func roundTrip() {
        for health in [AgentReport.Health?.none] + AgentReport.Health.allCases.map(\.self) {
            for administration in [AgentReport.Administration?.none] + AgentReport.Administration.allCases.map(\.self) {
                for figure in [nil, 0, 1, 256, AgentReport.weightPercentMax] {
                    let report = Self.report {
                        ($0.health, $0.administration, $0.weightPercent) = (health, administration, figure)
                        ($0.connectionsMax, $0.remark) = (figure, figure == 1 ? "why not" : "")
                    }
                    #expect(Self.parse(Array(report.text.utf8)) == report)
                }
            }
        }
    }

    @Test("any bytes: no trap, figures within bounds, texts printable", arguments: 1...8)
    func mutations(seed: UInt64) {
        var random = Seeded(seed)
        let seeds = ["75% up maxconn:30 ready # x", "drain,maint\tdown fail", "stopped 0% maxconn:0", ""]
        for _ in 0..<4000 {
            var line = Array(seeds.randomElement(using: &random)!.utf8)
            for _ in 0..<Int.random(in: 0...6, using: &random) {
                let byte = UInt8.random(in: 0...255, using: &random)
                switch Int.random(in: 0...2, using: &random) {
                case 0: line.insert(byte, at: Int.random(in: 0...line.count, using: &random))
                case 1 where !line.isEmpty: line[Int.random(in: 0..<line.count, using: &random)] = byte
                case 2 where !line.isEmpty: line.remove(at: Int.random(in: 0..<line.count, using: &random))
                default: break
                }
            }
            let report = Self.parse(line)
            #expect(
                report.weightPercent.map { (0...AgentReport.weightPercentMax).contains($0) } ?? true, "seed \(seed)")
            #expect(report.connectionsMax.map { (0...AgentReport.connectionsMaxMax).contains($0) } ?? true)
            for text in [report.remark, report.unknownWord ?? ""] {
                #expect(text.utf8.count <= AgentReport.textBytesMax)
                #expect(text.utf8.allSatisfy { (0x20...0x7E).contains($0) }, "seed \(seed): \(line)")
            }
        }
    }
}

@Suite("What an agent's reports add up to")
struct AgentWordTests {
    private static func word(_ lines: String...) -> AgentWord {
        var word = AgentWord()
        for line in lines {
            let bytes = Array(line.utf8)
            word.heard(AgentReport(parsing: bytes.span))
        }
        return word
    }

    @Test("what a line leaves out stays as it was")
    func keeps() {
        let word = Self.word("50% maxconn:9 down drain", "up", "maint", "60%")
        #expect(!word.isDown && word.pause == .agentMaintenance)
        #expect(word.weightPercent == 60 && word.connectionsMax == 9)
        #expect(Self.word("maxconn:9", "maxconn:0").connectionsMax == nil)
        #expect(Self.word("down", "ready 100%").isDown)
        #expect(Self.word("drain", "up").pause == .agentDrain)
        #expect(Self.word("drain", "ready").pause == nil)
    }

    @Test("silence forgets the figures, and nothing that takes a target out")
    func silence() {
        var word = Self.word("50% maxconn:9 down maint")
        word.wasSilent(limit: 3)
        word.wasSilent(limit: 3)
        #expect(word.weightPercent == 50 && word.connectionsMax == 9 && word.silentProbes == 2)
        word.wasSilent(limit: 3)
        word.wasSilent(limit: 3)
        #expect(word.weightPercent == nil && word.connectionsMax == nil && word.silentProbes == 3)
        #expect(word.isDown && word.pause == .agentMaintenance)
        let bytes = Array("nonsense".utf8)
        word.heard(AgentReport(parsing: bytes.span))
        #expect(word.silentProbes == 3)
        let up = Array("up".utf8)
        word.heard(AgentReport(parsing: up.span))
        #expect(!word.isDown && word.silentProbes == 0 && word.weightPercent == nil)
    }

    @Test(
        "of several agents the worst counts",
        arguments: [
            ("50% ready", "80% drain", false, TargetReason.agentDrain, 50),
            ("80% maint", "drain 70%", false, .agentMaintenance, 70), ("down", "up", true, nil, nil),
            ("up 30%", "up", false, nil, 30),
        ])
    func several(first: String, second: String, isDown: Bool, pause: TargetReason?, percent: Int?) {
        for (a, b) in [(first, second), (second, first)] {
            let both = Self.word(a).together(with: Self.word(b))
            #expect(both.isDown == isDown && both.pause == pause && both.weightPercent == percent)
        }
    }
}
