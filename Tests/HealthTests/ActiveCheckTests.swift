import PoiseHealth
import PoiseModel
import Testing

@Suite("Active check: from probe results to a verdict")
struct ActiveCheckTests {
    private func policy(rise: Int, fall: Int) -> ProbePolicy {
        var check = HealthCheck()
        (check.healthyThreshold, check.unhealthyThreshold) = (rise, fall)
        return ProbePolicy(check)
    }

    /// `S` success, `F` failure; the verdict after each as `i`, `h` or `u`.
    private func run(_ results: String, _ check: inout ActiveCheck) -> String {
        var verdicts = ""
        for (index, result) in results.enumerated() {
            let before = check.verdict
            let now = at(Double(index + 1) * 10)
            check.probeStarted(at: now)
            let changed =
                result == "S"
                ? check.probeSucceeded(at: now, random: 0)
                : check.probeFailed(.timeout, at: now, random: 0)
            #expect(changed == (check.verdict != before))
            switch check.verdict {
            case .initial: verdicts += "i"
            case .healthy: verdicts += "h"
            case .unhealthy(let reason):
                #expect(reason == .timeout)
                verdicts += "u"
            }
        }
        return verdicts
    }

    @Test(
        "a whole group's first result decides at once; one that joins waits for a success",
        arguments: [
            ("S", ActiveCheck.Arrival.withGroup, "h"),
            ("F", .withGroup, "u"),
            ("FSS", .withGroup, "uuh"),
            ("FSFSS", .withGroup, "uuuuh"),
            ("SFFF", .withGroup, "hhhu"),
            ("SFFSFFF", .withGroup, "hhhhhhu"),
            ("S", .joining, "h"),
            ("FFS", .joining, "iih"),
            ("FFF", .joining, "iiu"),
            ("FFFSS", .joining, "iiuuh"),
            ("FFSFFF", .joining, "iihhhu"),
        ])
    func sequences(results: String, arrival: ActiveCheck.Arrival, verdicts: String) {
        var check = ActiveCheck(policy: policy(rise: 2, fall: 3), arrival: arrival, at: at(0))
        #expect(check.verdict == .initial(takesTraffic: arrival == .withGroup))
        #expect(run(results, &check) == verdicts)
    }

    /// What the verdict must be, found by looking back over the results instead of counting.
    private func oracle(_ results: [Character], rise: Int, fall: Int, arrival: ActiveCheck.Arrival) -> String {
        var state: Character = "i"
        var verdicts = ""
        for end in 1...results.count {
            func last(_ count: Int, are result: Character) -> Bool {
                end >= count && results[(end - count)..<end].allSatisfy { $0 == result }
            }
            if state == "i", results[end - 1] == "S" {
                state = "h"
            } else if state == "i", arrival == .withGroup || last(fall, are: "F") {
                state = "u"
            } else if state == "h", last(fall, are: "F") {
                state = "u"
            } else if state == "u", last(rise, are: "S") {
                state = "h"
            }
            verdicts.append(state)
        }
        return verdicts
    }

    @Test(
        "agrees with an oracle on every sequence of up to 10 results, and a verdict lasts as long as its threshold",
        arguments: 1...3, 1...3)
    func exhaustive(rise: Int, fall: Int) {
        for arrival in [ActiveCheck.Arrival.withGroup, .joining] {
            // Every sequence of 10 holds every shorter one as its beginning.
            for bits in 0..<1 << 10 {
                let results = (0..<10).map { bits >> $0 & 1 == 1 ? Character("S") : "F" }
                var check = ActiveCheck(policy: policy(rise: rise, fall: fall), arrival: arrival, at: at(0))
                let verdicts = run(String(results), &check)
                guard verdicts == oracle(results, rise: rise, fall: fall, arrival: arrival) else {
                    Issue.record("rise \(rise), fall \(fall), \(arrival), \(String(results)): \(verdicts)")
                    return
                }
                let flaps = zip(verdicts, verdicts.dropFirst()).count { $0 != $1 && $0 != "i" }
                #expect(flaps * min(rise, fall) <= 9)
            }
        }
    }

    @Test("does not flap while results alternate")
    func alternating() {
        var check = ActiveCheck(policy: policy(rise: 2, fall: 2), arrival: .withGroup, at: at(0))
        #expect(run(String(repeating: "SF", count: 500), &check) == String(repeating: "h", count: 1_000))
    }

    @Test("an unhealthy target tells its latest reason")
    func reasons() {
        var check = ActiveCheck(policy: policy(rise: 2, fall: 1), arrival: .joining, at: at(0))
        #expect(check.probeFailed(.timeout, at: at(1), random: 0) == true)
        #expect(check.probeFailed(.timeout, at: at(2), random: 0) == false)
        #expect(check.probeFailed(.connectionRefused, at: at(3), random: 0) == true)
        #expect(check.verdict == .unhealthy(.connectionRefused))
        #expect(check.probeSucceeded(at: at(4), random: 0) == false)
        #expect(check.verdict == .unhealthy(.connectionRefused))
    }

    @Test("the first probe is due at once, and none while one is under way")
    func first() {
        var check = ActiveCheck(policy: policy(rise: 2, fall: 3), arrival: .joining, at: at(7))
        #expect(check.nextProbe == at(7))
        check.probeStarted(at: at(7.5))
        #expect(check.nextProbe == nil)
    }

    /// Starts the next probe when it is due, or `late` seconds after; it ends `took` seconds later.
    ///
    /// - Returns: seconds from its start to the next one's.
    private func probe(
        _ check: inout ActiveCheck, succeeds: Bool = true, late: Double = 0, took: Double = 0.01,
        random: UInt64 = 1 << 63
    ) throws -> Double {
        let start = try #require(check.nextProbe) + Nanoseconds(Int64(late * 1e9))
        check.probeStarted(at: start)
        let end = start + Nanoseconds(Int64(took * 1e9))
        _ =
            succeeds
            ? check.probeSucceeded(at: end, random: random) : check.probeFailed(.timeout, at: end, random: random)
        return Double((try #require(check.nextProbe) - start).count) / 1e9
    }

    @Test(
        "after its first interval a check keeps its phase: regular intervals are what the policy says, to the nanosecond"
    )
    func phase() throws {
        var check = ActiveCheck(policy: policy(rise: 2, fall: 3), arrival: .withGroup, at: at(3))
        #expect(abs(try probe(&check, random: 1 << 62) - 1.25) < 1e-5, "cut at random")
        for random in [UInt64.min, 1 << 62, .max] { #expect(try probe(&check, random: random) == 5) }
        #expect(try probe(&check, succeeds: false) == 1)
        #expect(abs(try probe(&check, succeeds: false, took: 2) - 2) < 1e-6, "not before the last one has ended")
        #expect(try probe(&check, succeeds: false, took: 2) == 5, "unhealthy, and the result says so too")
        #expect(try probe(&check) == 1)
        #expect(try probe(&check) == 5)
    }

    @Test("a probe that starts late is followed by a shorter interval, so that the mean is the interval")
    func late() throws {
        var check = ActiveCheck(policy: policy(rise: 2, fall: 3), arrival: .withGroup, at: at(0))
        _ = try probe(&check)
        let first = try #require(check.nextProbe)
        for late in [0.008, 0.3, 4.5, 0, 0.1] { #expect(abs(try probe(&check, late: late) - (5 - late)) < 1e-6) }
        #expect(try #require(check.nextProbe) - first == .seconds(25))
    }

    @Test(
        "the first regular interval is cut evenly",
        arguments: [(UInt64.max, 5.0), (1 << 63, 2.5), (1 << 62, 1.25), (0, 0.0)])
    func firstInterval(random: UInt64, expected: Double) throws {
        var check = ActiveCheck(policy: policy(rise: 2, fall: 3), arrival: .withGroup, at: at(0))
        #expect(abs(try probe(&check, took: 0, random: random) - expected) < 0.001)
    }

    @Test("checks that were all held up for longer than their interval do not stay together")
    func stall() throws {
        var check = ActiveCheck(policy: policy(rise: 2, fall: 3), arrival: .withGroup, at: at(0))
        _ = try probe(&check)
        #expect(abs(try probe(&check, late: 20, random: 1 << 62) - 1.25) < 0.001)
        #expect(try probe(&check, random: 1 << 62) == 5)
    }

    @Test("another interval gives each check another phase, within the new interval; other changes leave the phase")
    func otherInterval() throws {
        var check = ActiveCheck(policy: policy(rise: 2, fall: 3), arrival: .withGroup, at: at(0))
        _ = try probe(&check)
        check.policyChanged(to: policy(rise: 3, fall: 4), at: at(2.6))
        #expect(try probe(&check, random: 1 << 62) == 5)
        var longer = policy(rise: 3, fall: 4)
        longer.interval = .seconds(8)
        check.policyChanged(to: longer, at: at(8))
        #expect(abs(try probe(&check, random: 1 << 62) - 2) < 0.001)
        #expect(try probe(&check, random: 1 << 62) == 8)
    }

    @Test("a dead target is found within the time that the policy promises", arguments: [UInt64](1...50))
    func detection(seed: UInt64) {
        var random = Seeded(seed)
        var settings = HealthCheck()
        settings.unhealthyThreshold = Int.random(in: 1...4, using: &random)
        settings.timeout = .milliseconds(Int64.random(in: 100...5_000, using: &random))
        settings.edgeInterval = .milliseconds(Int64.random(in: 100...5_000, using: &random))
        var check = ActiveCheck(policy: ProbePolicy(settings), arrival: .withGroup, at: at(0))
        let death = at(100)
        var now = at(0)
        while check.verdict != .unhealthy(.timeout) {
            now = check.nextProbe!
            check.probeStarted(at: now)
            if now < death {
                _ = check.probeSucceeded(at: now, random: random.next())
            } else {
                now = now + settings.timeout
                _ = check.probeFailed(.timeout, at: now, random: random.next())
            }
        }
        #expect(now - death <= settings.detectionTimeMax, "seed \(seed)")
    }

    @Test("a changed policy keeps the verdict and counts from the next result on")
    func policyChange() {
        var check = ActiveCheck(policy: policy(rise: 2, fall: 3), arrival: .withGroup, at: at(0))
        #expect(run("SFF", &check) == "hhh")
        check.policyChanged(to: policy(rise: 2, fall: 5), at: at(31))
        #expect(run("FF", &check) == "hh")
        check.policyChanged(to: policy(rise: 3, fall: 1), at: at(60))
        #expect(check.verdict == .healthy)
        #expect(run("FSSS", &check) == "uuuh")

        var slow = HealthCheck()
        slow.interval = .seconds(300)
        var patient = ActiveCheck(policy: ProbePolicy(slow), arrival: .withGroup, at: at(0))
        patient.probeStarted(at: at(0))
        _ = patient.probeSucceeded(at: at(0), random: .max)
        #expect(patient.nextProbe == at(300))
        patient.policyChanged(to: policy(rise: 2, fall: 3), at: at(2))
        #expect(patient.nextProbe == at(5))
        patient.policyChanged(to: ProbePolicy(slow), at: at(3))
        #expect(patient.nextProbe == at(5), "a longer interval does not put off what is due")
    }

    @Test("an abandoned probe proves nothing and is due again after the edge interval")
    func abandoned() {
        var check = ActiveCheck(policy: policy(rise: 2, fall: 1), arrival: .joining, at: at(0))
        check.probeStarted(at: at(3))
        check.probeAbandoned(at: at(3.1))
        #expect(check.verdict == .initial(takesTraffic: false))
        #expect(check.nextProbe == at(4))
    }

    @Test("a check that is turned on leaves the target healthy until failures say otherwise")
    func turnedOn() {
        var check = ActiveCheck(healthyWith: policy(rise: 2, fall: 3), at: at(5))
        #expect(check.verdict == .healthy)
        #expect(check.nextProbe == at(5))
        #expect(run("FFF", &check) == "hhu")
    }

    @Test("without requests a healthy target is probed at the longer interval, and within the short one when they come")
    func idle() {
        var settings = HealthCheck()
        (settings.interval, settings.idleInterval) = (.seconds(5), .seconds(60))
        (settings.edgeInterval, settings.unhealthyThreshold) = (.seconds(1), 2)
        var check = ActiveCheck(policy: ProbePolicy(settings), arrival: .withGroup, at: at(0))
        func probe(_ now: Double, good: Bool = true) {
            check.probeStarted(at: at(now))
            _ =
                good
                ? check.probeSucceeded(at: at(now), random: .max)
                : check.probeFailed(.timeout, at: at(now), random: .max)
        }
        probe(0)
        #expect(check.nextProbe == at(5))
        var isHurried = check.idleChanged(to: true, at: at(4), random: 0)
        #expect(!isHurried, "what is due stays")
        probe(5)
        #expect(check.nextProbe == at(65))
        // A failure is followed at once, idle or not.
        probe(65, good: false)
        #expect(check.nextProbe == at(66))
        probe(66)
        #expect(check.nextProbe == at(126))
        let half = UInt64(1) << 63
        isHurried = check.idleChanged(to: false, at: at(70), random: half)
        #expect(isHurried)
        #expect(check.nextProbe == at(72.5))
        isHurried = check.idleChanged(to: false, at: at(71), random: half)
        #expect(!isHurried, "it is told once")
        probe(72.5)
        #expect(check.nextProbe == at(77.5))
        // Nobody is spared because nobody asks: an unhealthy target is looked at as often as ever.
        probe(77.5, good: false)
        probe(78.5, good: false)
        #expect(check.verdict == .unhealthy(.timeout))
        _ = check.idleChanged(to: true, at: at(79), random: 0)
        probe(83.5, good: false)
        #expect(check.nextProbe == at(88.5))
    }

    @Test("a probe that learnt nothing changes no verdict, and ends the wait for a first one")
    func learntNothing() {
        let policy = ProbePolicy(HealthCheck())
        var joining = ActiveCheck(policy: policy, arrival: .joining, at: at(0))
        joining.probeStarted(at: at(0))
        var changed = joining.probeLearntNothing(at: at(0), random: .max)
        #expect(changed && joining.verdict == .healthy && joining.nextProbe == at(5))
        var down = ActiveCheck(policy: policy, arrival: .withGroup, at: at(0))
        down.probeStarted(at: at(0))
        _ = down.probeFailed(.agentDown, at: at(0), random: 0)
        for _ in 0..<5 {
            let now = down.nextProbe!
            down.probeStarted(at: now)
            changed = down.probeLearntNothing(at: now, random: 0)
            #expect(!changed && down.verdict == .unhealthy(.agentDown))
        }
    }
}
