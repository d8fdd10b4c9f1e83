import PoiseHealth
import PoiseModel
import Testing

@Suite("Several checks of one target")
struct CombinedChecksTests {
    /// `h` healthy, `u` unhealthy, `i` initial and without traffic, `I` initial with traffic.
    private static func verdict(_ letter: Character) -> ActiveCheck.Verdict {
        switch letter {
        case "h": .healthy
        case "u": .unhealthy(.timeout)
        case "i": .initial(takesTraffic: false)
        default: .initial(takesTraffic: true)
        }
    }

    private func combined(_ letters: String, _ weights: [Int], _ need: HealthChecks.Need) -> ActiveCheck.Verdict? {
        let checks = HealthChecks(weights.map { HealthChecks.Part(HealthCheck(), weight: $0) }, need: need)
        return CombinedChecks.verdict(
            of: zip(letters, weights).map { (Self.verdict($0), $1) }, need: checks.weightNeeded)
    }

    @Test(
        "two checks, by every rule",
        arguments: [
            ("hh", "h", "h"), ("hu", "u", "h"), ("uh", "u", "h"), ("uu", "u", "u"), ("hi", "i", "h"), ("hI", "I", "h"),
            ("ui", "u", "i"), ("uI", "u", "I"), ("ii", "i", "i"), ("iI", "i", "I"), ("II", "I", "I"),
        ])
    func two(letters: String, all: Character, any: Character) {
        #expect(combined(letters, [1, 1], .all) == Self.verdict(all))
        #expect(combined(letters, [1, 1], .any) == Self.verdict(any))
    }

    @Test(
        "weights add up",
        arguments: [
            ("hhh", 3, "h"), ("huu", 2, "h"), ("uhh", 2, "h"), ("uhu", 2, "u"), ("uhi", 2, "i"), ("uhI", 2, "I"),
            ("huu", 3, "u"), ("hiu", 3, "i"), ("huh", 3, "h"), ("iii", 4, "i"),
        ])
    func weights(letters: String, need: Int, verdict: Character) {
        #expect(combined(letters, [2, 1, 1], .weight(need)) == Self.verdict(verdict))
    }

    @Test("no check says nothing, and the first failing one says why")
    func edges() {
        #expect(combined("", [], .all) == nil)
        let verdicts: [(ActiveCheck.Verdict, Int)] = [(.healthy, 1), (.unhealthy(.dns), 1), (.unhealthy(.timeout), 1)]
        #expect(CombinedChecks.verdict(of: verdicts.map { ($0.0, $0.1) }, need: 3) == .unhealthy(.dns))
    }

    @Test(
        "a dead target is out when so many checks have noticed that the rest is not enough",
        arguments: [(HealthChecks.Need.all, 4), (.any, 30), (.weight(2), 16), (.weight(4), 4), (.weight(3), 4)]
            as [(HealthChecks.Need, Int64)])
    func detection(need: HealthChecks.Need, seconds: Int64) {
        func check(_ seconds: Int64) -> HealthCheck {
            var check = HealthCheck()
            (check.interval, check.timeout) = (.seconds(seconds - 1), .seconds(1))
            (check.edgeInterval, check.unhealthyThreshold) = (.seconds(1), 1)
            return check
        }
        let checks = HealthChecks(
            [.init(check(30), weight: 1), .init(check(4), weight: 2), .init(check(16), weight: 1)], need: need)
        #expect(checks.detectionTimeMax == .seconds(seconds))
        #expect(checks.idleDetectionTimeMax == nil)
    }
}
