import PoiseHealth
import PoiseLive
import PoiseModel
import PoisePlatform
import PoiseProxy
import Testing

@testable import PoiseControl

typealias Bench = HealthBench

/// Two failures make unhealthy, two successes healthy.
private func quick(_ group: inout TargetGroup) {
    group.healthCheck?.unhealthyThreshold = 2
    group.healthCheck?.healthyThreshold = 2
}

@Suite("The health engine")
struct HealthEngineTests {
    @Test("a target is taken out after its failures, put back after its successes, and everybody hears why")
    func outAndIn() throws {
        let bench = Bench()
        try bench.apply(configuration([group("a", [target(1), target(2, weight: 3)], quick)]))
        #expect(bench.weights(of: "a") == [256, 768], "initial targets take traffic at the start")
        bench.probe(1, 1)
        bench.probe(2, 1)
        bench.probe(1, .responseMismatch, 2)
        #expect(bench.weights(of: "a") == [256, 768])
        bench.probe(1, .responseMismatch, 3)
        #expect(bench.weights(of: "a") == [0, 768])
        #expect(bench.state(1) == .init(state: .unhealthy, reason: .responseMismatch, since: at(3)))
        let last = try #require(bench.transitions.last)
        #expect((last.group, last.target, last.evidence) == ("a", label(1), "status 503 after 3 ms"))
        #expect((last.from.state, last.to.since) == (.healthy, at(3)))
        bench.probe(1, 4)
        #expect(bench.weights(of: "a") == [0, 768])
        bench.probe(1, 5)
        #expect(bench.weights(of: "a") == [256, 768])
        let history = bench.engine.target(label(1), in: "a")!.history
        let entries = (0..<history.count).map { history[$0] }
        #expect(entries.map(\.status.state) == [.initial, .healthy, .unhealthy, .healthy])
        #expect(entries.map(\.previousState) == [.initial, .initial, .healthy, .unhealthy])
        #expect(
            entries.map(\.evidence.text)
                == [nil, "status 200 after 3 ms", "status 503 after 3 ms", "status 200 after 3 ms"])
    }

    @Test("a group that falls below its minimum is told of once, and once when it has enough or nobody asks any more")
    func minimum() throws {
        let bench = Bench()
        let half: (inout TargetGroup) -> Void = {
            quick(&$0)
            $0.minHealthy = .percent(50)
        }
        // Backups and targets without weight do not count: half of two is one.
        let targets = [target(1), target(2), target(3, backup: true), target(4, weight: 0)]
        try bench.apply(configuration([group("a", targets, half)]))
        #expect(bench.minimum == [])
        for last in 1...4 { bench.probe(last, .timeout, 1) }
        #expect(bench.minimum == [false])
        bench.probe(3, 2)
        bench.probe(3, 3)
        #expect(bench.minimum == [false], "a backup is no help")
        bench.probe(2, 4)
        bench.probe(2, 5)
        #expect(bench.minimum == [false, true])
        bench.probe(2, .timeout, 6)
        bench.probe(2, .timeout, 7)
        #expect(bench.minimum == [false, true, false])
        try bench.apply(configuration([group("a", targets, quick)]), 8)
        #expect(bench.minimum == [false, true, false, true])
    }

    /// Two checks of each target: at its own port, and at 9000.
    private func two(_ need: HealthChecks.Need) -> (inout TargetGroup) -> Void {
        { group in
            quick(&group)
            var other = group.healthCheck!
            other.port = 9000
            group.healthChecks = HealthChecks([.init(group.healthCheck!), .init(other, weight: 2)], need: need)
        }
    }

    @Test("several checks: all must pass, or one is enough; the one that tips it is the evidence")
    func severalChecks() throws {
        let bench = Bench()
        try bench.apply(
            configuration([group("a", [target(1)], two(.all)), group("b", [target(1), target(2)], two(.any))]))
        #expect(bench.running.count == 4, "groups share their checks")
        for now in [1.0, 2] {
            for target in 1...2 { for port in [80, 9000] { bench.probe(target, nil, now, port: UInt16(port)) } }
        }
        #expect(bench.state(1)?.state == .healthy && bench.state(1, in: "b")?.state == .healthy)
        for now in [3.0, 4] { bench.probe(1, .timeout, now, port: 9000) }
        #expect(bench.state(1) == .init(state: .unhealthy, reason: .timeout, since: at(4)))
        #expect(bench.transitions.last?.evidence == "TCP at port 9000: status 503 after 3 ms")
        #expect(bench.state(1, in: "b")?.state == .healthy)
        for now in [5.0, 6] { bench.probe(1, .connectionRefused, now) }
        #expect(bench.state(1, in: "b") == .init(state: .unhealthy, reason: .connectionRefused, since: at(6)))
        for now in [7.0, 8] { bench.probe(1, nil, now, port: 9000) }
        #expect(bench.state(1, in: "b")?.state == .healthy)
        #expect(bench.state(1) == .init(state: .unhealthy, reason: .connectionRefused, since: at(6)))
    }

    @Test("a check that is added does not vouch for a dead target; one that goes is stopped; the rule may change alone")
    func changedChecks() throws {
        let bench = Bench()
        try bench.apply(configuration([group("a", [target(1), target(2)], quick)]))
        for now in [1.0, 2] { bench.probe(1, .timeout, now) }
        for now in [1.0, 2] { bench.probe(2, now) }
        try bench.apply(configuration([group("a", [target(1), target(2)], two(.any))]), 3)
        #expect(bench.state(1)?.state != .healthy, "nobody has seen it alive")
        #expect(bench.state(2)?.state == .healthy)
        #expect(bench.running.count == 4)
        bench.probe(1, nil, 4, port: 9000)
        #expect(bench.state(1)?.state == .healthy)
        try bench.apply(configuration([group("a", [target(1), target(2)], two(.all))]), 5)
        #expect(bench.state(1) == .init(state: .unhealthy, reason: .timeout, since: at(5)))
        try bench.apply(configuration([group("a", [target(1), target(2)], quick)]), 6)
        #expect(bench.running.count == 2 && bench.running.allSatisfy { $0.spec.check.port == nil })
    }

    @Test("a group goes by another one's health, ejections and maintenance included, along a chain and over applies")
    func tracking() throws {
        let bench = Bench()
        func groups(_ order: [Int]) -> Configuration {
            configuration([
                group("c", order.map { target($0) }) { ($0.healthCheck, $0.trackedGroup) = (nil, "b") },
                group("a", order.map { target($0) }, quick),
                group("b", order.map { target($0, port: 443) }) { ($0.healthCheck, $0.trackedGroup) = (nil, "a") },
            ])
        }
        func state(_ last: Int, _ group: String) -> TargetHealth.Status? {
            bench.engine.target("127.0.0.\(last):\(group == "b" ? 443 : 80)", in: group)?.health.status
        }
        try bench.apply(groups([1, 2]))
        #expect(bench.running.count == 2, "only one group probes")
        for group in ["a", "b", "c"] { #expect(state(1, group)?.state == .initial) }
        bench.probe(1, 1)
        bench.probe(2, 1)
        for group in ["a", "b", "c"] { #expect(state(1, group)?.state == .healthy, "\(group)") }
        for now in [2.0, 3] { bench.probe(1, .responseMismatch, now) }
        for group in ["a", "b", "c"] {
            #expect(state(1, group) == .init(state: .unhealthy, reason: .responseMismatch, since: at(3)))
            #expect(bench.weights(of: group) == [0, 256])
        }
        #expect(bench.transitions.count { $0.to.reason == .responseMismatch && $0.evidence != nil } == 3)
        try bench.apply(groups([2, 1]), 4)
        for group in ["a", "b", "c"] { #expect(bench.weights(of: group) == [256, 0]) }
        for now in [5.0, 6] { bench.probe(1, now) }
        #expect(state(1, "c")?.state == .healthy)
        bench.engine.drain(bench.engine.target(label(2), in: "a")!, at: at(7))
        #expect(state(2, "b") == .init(state: .draining, reason: .drainedByOperator, since: at(7)))
        bench.engine.undrain(bench.engine.target(label(2), in: "a")!, at: at(8))
        #expect(state(2, "b")?.state == .initial)
        bench.probe(2, 9)
        #expect(state(2, "b")?.state == .healthy && state(2, "c")?.state == .healthy)
    }

    @Test("a group without requests is probed less often, and at once again when they come")
    func idle() throws {
        let bench = Bench()
        try bench.apply(
            configuration([
                group("a", [target(1)]) {
                    $0.healthCheck?.interval = .seconds(5)
                    $0.healthCheck?.idleInterval = .seconds(60)
                }
            ]))
        let check = try #require(bench.running.first)
        bench.probe(1, 1)
        bench.engine.tick(at: at(4))
        #expect(!check.state.isIdle)
        bench.engine.tick(at: at(5))
        #expect(check.state.isIdle)
        bench.probe(1, 6)
        #expect(check.state.nextProbe! > at(6))
        bench.engine.groups["a"]!.compiled.counters.row(0).add(GroupCounter.requests, 1)
        bench.probe(1, 6)
        bench.engine.tick(at: at(7))
        #expect(!check.state.isIdle)
    }

    @Test("groups with the same address and policy share one check; another policy is another check")
    func sharedChecks() throws {
        let bench = Bench()
        try bench.apply(
            configuration([
                group("a", [target(1), target(2)], quick), group("b", [target(1), target(2)], quick),
                group("c", [target(1), target(2)]) { $0.healthCheck?.interval = .seconds(9) },
            ]))
        #expect(bench.running.count == 4)
        bench.probe(1, .timeout, 1)
        #expect(["a", "b", "c"].map { bench.state(1, in: $0)?.state } == [.unhealthy, .unhealthy, .unhealthy])
        #expect(bench.weights(of: "b") == [0, 256])
        try bench.apply(configuration([group("b", [target(1), target(2)], quick)]), 2)
        #expect(bench.running.count == 2 && bench.begun == 4, "the shared ones went on")
    }

    @Test(
        "none usable: fail-open with the configured weights, loud; never: none; sorry before both",
        arguments: [0, 1, 2])
    func noneUsable(variant: Int) throws {
        let bench = Bench()
        try bench.apply(
            configuration([
                group("a", [target(1), target(2, weight: 2)]) {
                    if variant == 1 { $0.failOpen = .never }
                    if variant == 2 { $0.sorryResponse = FixedResponse(status: 503) }
                }
            ]))
        bench.probe(1, .timeout, 1)
        bench.probe(2, .timeout, 1)
        #expect(bench.weights(of: "a") == (variant == 0 ? [256, 512] : [0, 0]))
        #expect(bench.failOpen.isEmpty == (variant != 0))
        #expect(bench.availability.last == [Availability.failOpen, Availability.none, .sorry][variant])
        bench.probe(2, 2)
        bench.probe(2, 3)
        #expect(bench.weights(of: "a") == [0, 512])
        #expect(bench.failOpen.isEmpty && bench.availability.last == .ordinary)
    }

    @Test("backups are usable all along; the group says when they answer")
    func backups() throws {
        let bench = Bench()
        try bench.apply(configuration([group("a", [target(1), target(2, backup: true)])]))
        #expect(bench.weights(of: "a") == [256, 256])
        bench.probe(1, .timeout, 1)
        #expect(bench.weights(of: "a") == [0, 256])
        #expect(bench.availability == [.backup])
    }

    @Test("failures in traffic eject for longer each time, never beyond the budget, and end by themselves")
    func ejection() throws {
        let bench = Bench()
        try bench.apply(configuration([group("a", [target(1), target(2)]) { $0.healthCheck = nil }]))
        let group = try #require(bench.snapshot?.groups.first)
        func fail(_ index: Int, _ count: Int, _ now: Double) {
            bench.engine.targetFailed(
                groupSlot: group.slot, identity: group.targets[index].identity, count: count, at: at(now))
            bench.engine.flush(at: at(now))
        }
        fail(0, 4, 1)
        #expect(bench.weights(of: "a") == [256, 256], "four in a row are not five")
        fail(0, 5, 1)
        #expect(bench.weights(of: "a") == [0, 256])
        #expect(bench.state(1)?.reason == .consecutiveFailures)
        fail(1, 5, 2)
        #expect(bench.weights(of: "a") == [0, 256], "the last usable one stays")
        bench.engine.tick(at: at(30.5))
        #expect(bench.weights(of: "a") == [0, 256])
        bench.engine.tick(at: at(31.5))
        #expect(bench.weights(of: "a") == [256, 256])
        #expect(bench.state(1)?.reason == .checksDisabled)
        fail(0, 5, 40)
        bench.engine.tick(at: at(72))
        #expect(bench.weights(of: "a") == [0, 256], "the second time lasts twice as long")
        bench.engine.tick(at: at(101))
        #expect(bench.weights(of: "a") == [256, 256])
    }

    @Test("the failure rate is read from the counters")
    func failureRate() throws {
        let bench = Bench()
        try bench.apply(
            configuration([
                group("a", [target(1), target(2)]) {
                    $0.healthCheck = nil
                    $0.passive.failurePercent = 50
                }
            ]))
        let counters = bench.counters(1)
        counters.add(TargetCounter.status2xx, 15)
        counters.add(TargetCounter.failures, 10)
        bench.engine.tick(at: at(1))
        #expect(bench.state(1)?.state == .healthy, "ten of twenty-five")
        counters.add(TargetCounter.status2xx, 1)
        counters.add(TargetCounter.connectFailures, 8)
        bench.engine.tick(at: at(2))
        #expect(bench.state(1)?.reason == .failureRate, "eighteen of thirty-four")
        #expect(bench.weights(of: "a") == [0, 256])
    }

    @Test("answers with 502 to 504 are failures to the failure rate, each once, from their head on")
    func failureRateOfAnswers() throws {
        let bench = Bench()
        try bench.apply(
            configuration([
                group("a", [target(1), target(2)]) {
                    $0.healthCheck = nil
                    $0.passive.failurePercent = 50
                    $0.passive.failurePercentMinRequests = 20
                }
            ]))
        let counters = bench.counters(1)
        counters.add(TargetCounter.status2xx, 11)
        // Begun, while their bodies are under way.
        counters.add(TargetCounter.unavailableAnswers, 9)
        bench.engine.tick(at: at(1))
        #expect(bench.state(1)?.state == .healthy, "nine of at most twenty")
        // Their ends are no successes.
        counters.add(TargetCounter.status2xx + 3, 9)
        bench.engine.tick(at: at(2))
        counters.add(TargetCounter.unavailableAnswers, 2)
        counters.add(TargetCounter.status2xx + 3, 2)
        bench.engine.tick(at: at(3))
        #expect(bench.state(1)?.reason == .failureRate, "eleven of twenty-two")
        #expect(bench.weights(of: "a") == [0, 256])
    }

    @Test("slow start: from a 256th up to the whole weight, then quiet")
    func slowStart() throws {
        let bench = Bench()
        try bench.apply(configuration([group("a", [target(1), target(2)]) { $0.slowStart = .seconds(64) }]))
        bench.probe(2, 0)
        #expect(bench.weights(of: "a") == [256, 256], "not for targets that came with their group")
        bench.probe(1, .timeout, 1)
        bench.probe(1, 2)
        bench.probe(1, 10)
        #expect(bench.weights(of: "a") == [1, 256])
        bench.engine.tick(at: at(26))
        #expect(bench.weights(of: "a") == [64, 256])
        bench.engine.tick(at: at(42))
        #expect(bench.weights(of: "a") == [128, 256])
        bench.engine.tick(at: at(80))
        #expect(bench.weights(of: "a") == [256, 256])
        let orders = bench.orders
        bench.engine.tick(at: at(81))
        #expect(bench.orders == orders)
    }

    @Test("slow start by a curve: half of the weight after a quarter of the time")
    func slowStartCurve() throws {
        let bench = Bench()
        try bench.apply(
            configuration([
                group("a", [target(1), target(2)]) {
                    $0.slowStart = .seconds(64)
                    $0.slowStartAggressionPercent = 200
                }
            ]))
        bench.probe(1, .timeout, 1)
        bench.probe(1, 2)
        bench.probe(1, 10)
        bench.engine.tick(at: at(26))
        #expect(bench.weights(of: "a")[0] == 128)
        bench.engine.tick(at: at(46))
        #expect((191...192).contains(bench.weights(of: "a")[0]))
        bench.engine.tick(at: at(80))
        #expect(bench.weights(of: "a")[0] == 256)
    }

    @Test("health survives an apply: states, ejections and operators' words stay with their target at its new index")
    func survives() throws {
        let bench = Bench()
        try bench.apply(configuration([group("a", [target(1), target(2), target(3)])]))
        for last in 1...3 { bench.probe(last, 1) }
        bench.probe(2, .timeout, 2)
        bench.probe(2, .timeout, 3)
        bench.probe(2, .timeout, 4)
        bench.engine.setWeight(5, of: bench.engine.target(label(3), in: "a")!, at: at(4))
        bench.engine.flush(at: at(4))
        #expect(bench.weights(of: "a") == [256, 0, 1280])
        try bench.apply(configuration([group("a", [target(9), target(3), target(2)])]), 5)
        #expect(bench.weights(of: "a") == [0, 1280, 0], "the new one waits for its first success")
        #expect(bench.state(2)?.since == at(4))
        #expect(bench.state(9)?.state == .initial)
        bench.probe(9, 6)
        #expect(bench.weights(of: "a") == [256, 1280, 0])
        bench.engine.setWeight(nil, of: bench.engine.target(label(3), in: "a")!, at: at(7))
        bench.engine.flush(at: at(7))
        #expect(bench.weights(of: "a") == [256, 256, 0])
    }

    @Test("an operator's weight outlasts an apply, unless that changes what the file says of it")
    func overrides() throws {
        let bench = Bench()
        try bench.apply(configuration([group("a", [target(1), target(2)])]))
        for last in 1...2 { bench.probe(last, 1) }
        bench.engine.setWeight(5, of: try #require(bench.engine.target(label(1), in: "a")), at: at(2))
        try bench.apply(configuration([group("a", [target(1), target(2)]) { $0.algorithm = .p2c }]), 3)
        #expect(bench.weights(of: "a") == [1280, 256])
        let record = try #require(bench.engine.groups["a"])
        #expect(GroupStatus(record).targets.map(\.isWeightOverridden) == [true, false])
        var changed = target(1)
        changed.weight = 2
        try bench.apply(configuration([group("a", [changed, target(2)])]), 4)
        #expect(bench.weights(of: "a") == [512, 256])
        #expect(GroupStatus(record).targets.map(\.isWeightOverridden) == [false, false])
    }

    @Test("a changed check keeps what is known until its own results say otherwise; without one all are healthy")
    func changedCheck() throws {
        let bench = Bench()
        let build = { (path: String?) in
            configuration([
                group("a", [target(1), target(2)]) { group in
                    guard let path else { return group.healthCheck = nil }
                    var probe = HTTPProbe()
                    probe.path = path
                    group.healthCheck?.kind = .http(probe)
                }
            ])
        }
        try bench.apply(build("/old"))
        bench.probe(1, .timeout, 1)
        try bench.apply(build("/new"), 2)
        #expect(bench.running.count == 2 && bench.begun == 4)
        #expect(bench.weights(of: "a") == [0, 256])
        bench.probe(1, 3)
        bench.probe(1, 4)
        #expect(bench.weights(of: "a") == [256, 256])
        try bench.apply(build(nil), 5)
        #expect(bench.running.isEmpty)
        #expect(bench.state(1)?.reason == .checksDisabled)
        try bench.apply(build("/new"), 6)
        #expect(bench.weights(of: "a") == [256, 256], "healthy without checks stays so until failures say otherwise")
        #expect(bench.running.count == 2)
    }

    @Test("drained by an operator: no new flows, no probes, cut at the deadline; undrain undoes it")
    func operatorDrain() throws {
        let bench = Bench()
        try bench.apply(
            configuration([group("a", [target(1), target(2)]) { $0.deregistrationDelay = .seconds(10) }]))
        let record = try #require(bench.engine.target(label(1), in: "a"))
        let counters = bench.counters(1)
        counters.add(TargetCounter.inFlight, 2)
        bench.engine.drain(record, at: at(1))
        bench.engine.flush(at: at(1))
        #expect(bench.weights(of: "a") == [0, 256])
        #expect(bench.state(1)?.reason == .drainedByOperator && bench.state(1)?.state == .draining)
        #expect(bench.running.count == 1)
        bench.engine.tick(at: at(10))
        #expect(bench.cut.isEmpty)
        bench.engine.tick(at: at(11))
        #expect(bench.cut.count == 1 && bench.cut[0] === record.compiled?.counters)
        #expect(bench.state(1)?.state == .unused)
        bench.engine.undrain(record, at: at(12))
        bench.probe(1, 12)
        #expect(bench.weights(of: "a") == [256, 256] && bench.running.count == 2)
    }

    @Test("a removed target drains: nothing is cut when its flows end in time")
    func removedTarget() throws {
        let bench = Bench()
        let delay: (inout TargetGroup) -> Void = { $0.deregistrationDelay = .seconds(10) }
        try bench.apply(configuration([group("a", [target(1), target(2), target(3)], delay)]))
        let (one, two) = (bench.counters(1), bench.counters(2))
        one.add(TargetCounter.inFlight)
        two.add(TargetCounter.inFlight)
        try bench.apply(configuration([group("a", [target(3)], delay)]), 1)
        #expect(bench.engine.leaving.map(\.label) == [label(1), label(2)])
        #expect(bench.running.count == 1)
        one.subtract(TargetCounter.inFlight)
        bench.engine.tick(at: at(5))
        #expect(bench.engine.leaving.map(\.label) == [label(2)])
        bench.engine.tick(at: at(11))
        #expect(bench.engine.leaving.isEmpty && bench.cut.count == 1)
    }

    @Test("a removed target drains though its group is gone as well")
    func removedGroup() throws {
        let bench = Bench()
        let groups = ["a", "b"].map { id in
            group(id, [target(id == "a" ? 1 : 2)]) { $0.deregistrationDelay = .seconds(10) }
        }
        try bench.apply(configuration(groups))
        let (one, two) = (bench.counters(1), bench.counters(2, in: "b"))
        for counters in [one, two] { counters.add(TargetCounter.inFlight) }
        try bench.apply(configuration([group("c", [target(3)])]), 1)
        #expect(Set(bench.engine.leaving.map(\.label)) == [label(1), label(2)])
        one.subtract(TargetCounter.inFlight)
        bench.engine.tick(at: at(5))
        #expect(bench.engine.leaving.map(\.label) == [label(2)] && bench.cut.isEmpty)
        bench.engine.tick(at: at(11))
        #expect(bench.engine.leaving.isEmpty && bench.cut.map(\.id) == [two.id])
    }

    @Test("a group that no rule leads to is unused and not probed")
    func unused() throws {
        let bench = Bench()
        let groups = [group("a", [target(1)]), group("b", [target(2)])]
        let everything = ControlSamples.all(groups)
        var configuration = configuration(groups)
        configuration.listeners[0].rules.removeLast()
        try bench.apply(configuration)
        #expect(bench.state(2, in: "b")?.reason == .noTraffic)
        #expect(bench.running.count == 1)
        try bench.apply(everything, 1)
        #expect(bench.state(2, in: "b")?.state == .initial && bench.running.count == 2)
    }
}
