import PoiseHealth
import PoiseLive
import PoiseModel
import PoiseProxy
import Testing

@testable import PoiseControl

@Suite("The health engine: groups that go by others, and what checks share")
struct HealthEngineFollowerTests {
    private func follower(_ id: String, of leader: String, _ targets: [Target]) -> TargetGroup {
        group(id, targets) { ($0.healthCheck, $0.trackedGroup) = (nil, leader) }
    }

    private func states(_ last: Int, in group: String, of bench: HealthBench) -> [TargetState] {
        let history = bench.engine.target(label(last), in: group)!.history
        return (0..<history.count).map { history[$0].status.state }
    }

    @Test("an operator's drain of a leader drains its followers: no failure, and no fail-open either")
    func drainedLeader() throws {
        let bench = HealthBench()
        try bench.apply(
            configuration([
                group("a", [target(1), target(2)]), follower("b", of: "a", [target(1), target(2)]),
                follower("c", of: "b", [target(1), target(2)]),
            ]))
        for last in 1...2 { bench.probe(last, 1) }
        bench.engine.drain(bench.engine.target(label(1), in: "a")!, at: at(2))
        for last in [2] { for now in [3.0, 4, 5] { bench.probe(last, .timeout, now) } }
        for id in ["b", "c"] {
            #expect(bench.state(1, in: id) == .init(state: .draining, reason: .drainedByOperator, since: at(2)))
            #expect(bench.state(2, in: id)?.state == .unhealthy)
            #expect(bench.weights(of: id) == [0, 256], "fail-open sends to the dead one, never to the drained one")
        }
        #expect(!bench.transitions.contains { $0.target == label(1) && $0.to.state == .unhealthy })
        bench.engine.undrain(bench.engine.target(label(1), in: "a")!, at: at(6))
        bench.probe(1, 6)
        #expect(bench.state(1, in: "c")?.state == .healthy && bench.weights(of: "c") == [256, 0])
    }

    @Test("a group that follows nobody any more is not held by what its leader was told")
    func unfollowed() throws {
        let bench = HealthBench()
        try bench.apply(configuration([group("a", [target(1)]), follower("b", of: "a", [target(1)])]))
        bench.engine.drain(bench.engine.target(label(1), in: "a")!, at: at(1))
        #expect(bench.state(1, in: "b")?.state == .draining)
        try bench.apply(configuration([group("a", [target(1)]), group("b", [target(1)]) { $0.healthCheck = nil }]), 2)
        #expect(bench.state(1, in: "b")?.state == .healthy && bench.weights(of: "b") == [256])
    }

    @Test("a leader that leaves its group takes nobody with it")
    func removedLeader() throws {
        let bench = HealthBench()
        // At other ports of one host, so the follower goes by the one that is left.
        let both = [target(1), target(1, port: 81)]
        try bench.apply(configuration([group("a", both), follower("b", of: "a", [target(1)])]))
        for port in [80, 81] as [UInt16] { bench.probe(1, nil, 1, port: port) }
        let before = bench.transitions.count { $0.group == "b" }
        try bench.apply(configuration([group("a", [both[1]]), follower("b", of: "a", [target(1)])]), 2)
        #expect(bench.state(1, in: "b")?.state == .healthy)
        #expect(bench.transitions.count { $0.group == "b" } == before)
    }

    @Test("a new follower is told once how its leader is")
    func newFollower() throws {
        let bench = HealthBench()
        let leader = group("a", [target(1), target(2)])
        try bench.apply(configuration([leader]))
        bench.probe(1, 1)
        bench.probe(2, .timeout, 1)
        try bench.apply(configuration([leader, follower("b", of: "a", [target(1), target(2)])]), 2)
        #expect(states(1, in: "b", of: bench) == [.initial, .healthy])
        #expect(states(2, in: "b", of: bench) == [.initial, .unhealthy])
        #expect(bench.weights(of: "b") == [256, 0])
    }

    @Test("a new group that shares a check is told what it found, with the evidence")
    func sharedVerdict() throws {
        let bench = HealthBench()
        try bench.apply(configuration([group("a", [target(1)])]))
        bench.probe(1, .timeout, 1)
        try bench.apply(configuration([group("a", [target(1)]), group("b", [target(1), target(2)])]), 2)
        let news = bench.transitions.filter { $0.group == "b" }
        #expect(news.map(\.to) == [.init(state: .unhealthy, reason: .timeout, since: at(2))])
        #expect(news.map(\.from.state) == [.initial] && news.first?.evidence == "status 503 after 3 ms")
        #expect(states(1, in: "b", of: bench) == [.initial, .unhealthy])
        #expect(bench.weights(of: "b") == [0, 256])
    }

    @Test("requests of a follower, over others too, keep its leader's checks from being idle")
    func idleness() throws {
        let bench = HealthBench()
        let leader = group("a", [target(1)]) {
            $0.healthCheck?.interval = .seconds(5)
            $0.healthCheck?.idleInterval = .seconds(60)
        }
        try bench.apply(
            configuration([leader, follower("b", of: "a", [target(1)]), follower("c", of: "b", [target(1)])]))
        let check = try #require(bench.running.first)
        bench.probe(1, 1)
        let last = try #require(bench.snapshot?.groups.first { $0.settings.id == "c" })
        last.counters.row(0).add(GroupCounter.requests, 1)
        bench.engine.tick(at: at(4))
        bench.engine.tick(at: at(8))
        #expect(!check.state.isIdle)
        bench.engine.tick(at: at(9))
        #expect(check.state.isIdle)
    }

    @Test("a file that is not there ends no ejection; the check behind it does")
    func fileEndsNoEjection() throws {
        let bench = HealthBench()
        var file = HealthCheck()
        file.kind = .file(FileProbe(path: "/run/flag", downWhen: .exists))
        let page = HealthCheck()
        let checks = HealthChecks([.init(file), .init(page)])
        try bench.apply(configuration([group("a", [target(1), target(2)]) { $0.healthChecks = checks }]))
        for last in 1...2 { bench.probe(last, 1) }
        let compiled = try #require(bench.snapshot?.groups.first)
        bench.engine.targetFailed(
            groupSlot: compiled.slot, identity: compiled.targets[0].identity, count: 100, at: at(2))
        let own = bench.engine.target(label(1), in: "a")!.checks
        for now in 3..<13 { bench.end(own[0], .succeeded, .connected, Double(now)) }
        #expect(bench.state(1)?.reason == .consecutiveFailures)
        for now in 13..<(13 + page.healthyThreshold) { bench.end(own[1], .succeeded, .connected, Double(now)) }
        #expect(bench.state(1)?.state == .healthy)
    }

    @Test("the failure rate is shown as it was judged: over its window")
    func failureRateEvidence() throws {
        let bench = HealthBench()
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
        counters.add(TargetCounter.status2xx, 1)
        counters.add(TargetCounter.failures, 8)
        bench.engine.tick(at: at(2))
        #expect(bench.transitions.last?.evidence == "18 of 34 exchanges failed")
    }

    @Test("what an agent said of the weight holds from one rare probe of an idle group to the next")
    func idleAgent() throws {
        let bench = HealthBench()
        var agent = HealthCheck()
        agent.kind = .agent(AgentProbe())
        agent.port = 9999
        (agent.interval, agent.idleInterval) = (.seconds(5), .seconds(600))
        try bench.apply(configuration([group("a", [target(1)]) { $0.healthCheck = agent }]))
        let check = try #require(bench.running.first)
        let bytes = Array("50%".utf8)
        bench.end(check, .succeeded, .agent(AgentReport(parsing: bytes.span)), 1)
        bench.engine.flush(at: at(1))
        #expect(bench.weights(of: "a") == [128])
        bench.engine.tick(at: at(600))
        #expect(bench.weights(of: "a") == [128])
        bench.engine.tick(at: at(600 * 100))
        #expect(bench.weights(of: "a") == [256])
    }
}
