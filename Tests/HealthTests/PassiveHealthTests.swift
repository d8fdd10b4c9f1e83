import PoiseModel
import Testing

@testable import PoiseHealth

@Suite("Passive health: what traffic tells")
struct PassiveHealthTests {
    private func policy(failures: Int = 5, percent: Int? = nil) -> PassiveChecks {
        var policy = PassiveChecks()
        (policy.consecutiveFailures, policy.failurePercent) = (failures, percent)
        return policy
    }

    @Test("probes that pass end an ejection for failures in a row, n times as many for the n-th; not one for the rate")
    func endedByProbes() {
        var health = PassiveHealth(policy: PassiveChecks())
        func probe(_ succeeded: Bool, _ now: Double) -> Bool {
            health.probed(succeeded: succeeded, threshold: 2, at: at(now))
        }
        #expect(!probe(true, 0), "nothing to end")
        _ = health.eject(at: at(1))
        #expect(!probe(true, 2) && !probe(false, 3) && !probe(true, 4), "not in a row")
        #expect(probe(true, 5) && health.ejectedUntil == nil)
        #expect(!probe(true, 6), "once")
        _ = health.eject(at: at(7))
        #expect([8, 9, 10, 11].map { probe(true, $0) } == [false, false, false, true])
        _ = health.eject(for: .failureRate, at: at(12))
        #expect(!(13...30).contains { probe(true, Double($0)) })
    }

    @Test("failures in a row eject, and a success breaks the row")
    func consecutive() {
        var health = PassiveHealth(policy: policy())
        for _ in 0..<4 { #expect(health.failed(at: at(1)) == nil) }
        health.succeeded(at: at(1))
        for _ in 0..<4 { #expect(health.failed(at: at(2)) == nil) }
        #expect(health.failed(at: at(3)) == .consecutiveFailures)
        #expect(health.failed(at: at(3)) == .consecutiveFailures, "asks again until it is ejected")
        #expect(health.eject(at: at(4)) == at(34))
        #expect(health.failed(at: at(5)) == nil, "what was on its way proves nothing new")
        #expect(health.eject(at: at(9)) == at(34), "ejecting twice changes nothing")
    }

    @Test("0 turns failures in a row off")
    func off() {
        var health = PassiveHealth(policy: policy(failures: 0))
        for _ in 0..<1_000 { #expect(health.failed(at: at(1)) == nil) }
    }

    @Test("reports of several exchanges count like single ones; a success among them breaks the row")
    func reports() {
        var health = PassiveHealth(policy: policy())
        #expect(health.record(successes: 0, failures: 3, at: at(1)) == nil)
        #expect(health.record(successes: 1, failures: 4, at: at(1)) == nil)
        #expect(health.record(successes: 0, failures: 4, at: at(1)) == nil)
        #expect(health.record(successes: 0, failures: 0, at: at(1)) == nil)
        #expect(health.record(successes: 0, failures: 1, at: at(1)) == .consecutiveFailures)
    }

    @Test(
        "a share of failures ejects once there is enough to judge by",
        arguments: [
            (10, 9, nil), (9, 10, TargetReason.failureRate), (10, 10, .failureRate), (11, 10, nil), (0, 19, nil),
        ])
    func rate(successes: Int, failures: Int, expected: TargetReason?) {
        var health = PassiveHealth(policy: policy(failures: 0, percent: 50))
        for _ in 0..<successes { health.succeeded(at: at(1)) }
        var reasons: [TargetReason?] = []
        for _ in 0..<failures { reasons.append(health.failed(at: at(2))) }
        #expect(reasons.last! == (successes + failures >= 20 ? expected : nil))
        if successes + failures >= 20 { #expect(reasons.dropLast().allSatisfy { $0 == nil }) }
    }

    @Test("what has left the window no longer counts")
    func window() {
        var health = PassiveHealth(policy: policy(failures: 0, percent: 50))
        for _ in 0..<19 { #expect(health.failed(at: at(0.5)) == nil) }
        #expect(health.failed(at: at(10.5)) == nil, "alone in the window")
        for _ in 0..<18 { #expect(health.failed(at: at(11)) == nil) }
        #expect(health.failed(at: at(12)) == .failureRate)
    }

    @Test("the n-th ejection in a row lasts n times as long, up to the longest; quiet takes one off per ejection time")
    func growth() {
        var health = PassiveHealth(policy: policy())
        var now = 0.0
        for expected in [30.0, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300] {
            #expect(health.eject(at: at(now)) == at(now + expected))
            #expect(health.returnIfDue(at: at(now + expected - 0.001)) == false)
            now += expected
            #expect(health.returnIfDue(at: at(now)) == true)
            #expect(health.returnIfDue(at: at(now)) == false, "once")
        }
        now += 8 * 30 + 1  // ten in a row, less eight: the third comes next
        #expect(health.eject(at: at(now)) == at(now + 90))
        now += 90
        #expect(health.returnIfDue(at: at(now)) == true)
        now += 10_000
        #expect(health.eject(at: at(now)) == at(now + 30))
    }

    @Test("a returned target begins with a clean sheet, even when the window is longer than the ejection")
    func clean() {
        var short = policy(failures: 5, percent: 50)
        short.ejectionTime = .seconds(1)
        var health = PassiveHealth(policy: short)
        for _ in 0..<30 { _ = health.failed(at: at(1)) }
        #expect(health.eject(at: at(1)) == at(2))
        #expect(health.returnIfDue(at: at(2)) == true)
        for _ in 0..<4 { #expect(health.failed(at: at(2)) == nil) }
        #expect(health.failed(at: at(2)) == .consecutiveFailures)
    }

    @Test("a changed policy keeps the row of failures and a running ejection")
    func policyChange() {
        var health = PassiveHealth(policy: policy())
        for _ in 0..<4 { _ = health.failed(at: at(1)) }
        health.policyChanged(to: policy(failures: 6, percent: 90))
        #expect(health.failed(at: at(1)) == nil)
        #expect(health.failed(at: at(1)) == .consecutiveFailures)
        _ = health.eject(at: at(2))
        health.policyChanged(to: policy(failures: 0))
        #expect(health.ejectedUntil == at(32))
    }

    @Test(
        "the budget: the first of two always, the last usable one never, then up to the share",
        arguments: [
            (1, 1, 0, 50, false),
            (2, 2, 0, 50, true),
            (2, 2, 0, 10, true),
            (2, 1, 1, 50, false),
            (2, 1, 0, 50, false),
            (4, 3, 1, 50, true),
            (4, 2, 2, 50, false),
            (5, 4, 1, 50, true),
            (5, 3, 2, 50, false),
            (10, 9, 1, 10, false),
            (10, 9, 1, 20, true),
            (3, 2, 1, 100, true),
            (3, 1, 2, 100, false),
            (2, 2, 0, 0, false),
        ])
    func budget(targets: Int, usable: Int, ejected: Int, percent: Int, allowed: Bool) {
        #expect(
            EjectionBudget.allows(targets: targets, usable: usable, ejected: ejected, percentMax: percent) == allowed)
    }

    @Test("sliding counts agree with a list of events", arguments: [UInt64](1...10))
    func sliding(seed: UInt64) {
        var random = Seeded(seed)
        var counts = SlidingCounts(window: .seconds(10))
        var events: [(second: Int64, first: Int, second2: Int)] = []
        var now = 0.0
        for _ in 0..<500 {
            now += Double.random(in: 0...(Bool.random(using: &random) ? 0.3 : 12), using: &random)
            let (first, second) = (Int.random(in: 0...3, using: &random), Int.random(in: 0...3, using: &random))
            counts.add(first: first, second: second, at: at(now))
            events.append((Int64(now), first, second))
            let inside = events.filter { $0.second > Int64(now) - 10 }
            #expect(counts.first == inside.reduce(0) { $0 + $1.first }, "seed \(seed)")
            #expect(counts.second == inside.reduce(0) { $0 + $1.second2 }, "seed \(seed)")
        }
    }
}
