import PoiseHealth
import PoiseLive
import PoiseModel
import PoiseProxy
import Testing

@testable import PoiseControl

@Suite("A change carries what was seen of that which its reason comes from")
struct EvidenceTests {
    private func evidence(_ bench: HealthBench, _ last: Int, in group: String = "a") -> String? {
        let history = bench.engine.target(label(last), in: group)!.history
        return history[history.count - 1].evidence.text
    }

    @Test("a target that is put back is what the probes of others found meanwhile, and not what its operator asked for")
    func undrained() throws {
        let bench = HealthBench()
        try bench.apply(configuration([group("a", [target(1)]), group("b", [target(1)])]))
        bench.probe(1, 1)
        let record = try #require(bench.engine.target(label(1), in: "a"))
        bench.engine.drain(record, at: at(2))
        #expect(evidence(bench, 1) == "its last flow ended")
        for now in 3..<9 { bench.probe(1, .timeout, Double(now)) }
        // One that passes, and is not enough, is no evidence of a target that is dead.
        bench.probe(1, 9)
        bench.engine.undrain(record, at: at(10))
        #expect(bench.state(1)?.reason == .timeout && evidence(bench, 1) == "status 503 after 3 ms")
        bench.engine.drain(record, at: at(11))
        for now in 12..<18 { bench.probe(1, Double(now)) }
        bench.engine.undrain(record, at: at(18))
        #expect(bench.state(1)?.state == .healthy && evidence(bench, 1) == "status 200 after 3 ms")
    }

    @Test("where nobody has looked meanwhile, it was asked for")
    func notLooked() throws {
        let bench = HealthBench()
        try bench.apply(configuration([group("a", [target(1)])]))
        bench.probe(1, 1)
        let record = try #require(bench.engine.target(label(1), in: "a"))
        bench.engine.drain(record, at: at(2))
        bench.engine.undrain(record, at: at(3))
        #expect(bench.state(1)?.state == .initial && evidence(bench, 1) == "asked for over the admin API")
    }

    @Test("an ejection that comes to light again carries traffic's counts")
    func ejected() throws {
        let bench = HealthBench()
        try bench.apply(configuration([group("a", [target(1), target(2)])]))
        for last in 1...2 { bench.probe(last, 1) }
        let compiled = try #require(bench.snapshot?.groups.first)
        bench.engine.targetFailed(
            groupSlot: compiled.slot, identity: compiled.targets[0].identity, count: 7, at: at(2))
        let record = try #require(bench.engine.target(label(1), in: "a"))
        bench.engine.drain(record, at: at(3))
        bench.engine.undrain(record, at: at(4))
        #expect(bench.state(1)?.reason == .consecutiveFailures && evidence(bench, 1) == "7 failures in a row")
    }

    /// A page and a port, of which `need` must pass.
    private func two(_ need: HealthChecks.Need, _ id: String = "a") -> TargetGroup {
        var page = HealthCheck()
        page.kind = .http(HTTPProbe())
        let port = HealthCheck()
        return group(id, [target(1)]) { $0.healthChecks = HealthChecks([.init(page), .init(port)], need: need) }
    }

    @Test("a reload that asks for all checks tells what the failing one saw")
    func needsAll() throws {
        let bench = HealthBench()
        try bench.apply(configuration([two(.any)]))
        let own = bench.engine.target(label(1), in: "a")!.checks
        bench.end(own[1], .succeeded, .connected, 1)
        for now in 2..<6 { bench.end(own[0], .failed(.responseMismatch), .status(500), Double(now)) }
        #expect(bench.state(1)?.state == .healthy)
        try bench.apply(configuration([two(.all)]), 7)
        #expect(bench.state(1)?.reason == .responseMismatch)
        #expect(evidence(bench, 1) == "\(own[0].spec.check.summary): status 500 after 3 ms")
        try bench.apply(configuration([two(.any)]), 8)
        #expect(bench.state(1)?.state == .healthy)
        #expect(evidence(bench, 1) == "\(own[1].spec.check.summary): connected after 3 ms")
    }

    @Test("of several failing checks, the one whose reason it is: not the one that failed last")
    func firstOfTwo() throws {
        let bench = HealthBench()
        try bench.apply(configuration([two(.any)]))
        let own = bench.engine.target(label(1), in: "a")!.checks
        bench.end(own[1], .succeeded, .connected, 1)
        for now in 2..<6 { bench.end(own[0], .failed(.responseMismatch), .status(500), Double(now)) }
        for now in 6..<10 { bench.end(own[1], .failed(.connectionRefused), .system(111), Double(now)) }
        #expect(bench.state(1)?.reason == .responseMismatch)
        #expect(evidence(bench, 1) == "\(own[0].spec.check.summary): status 500 after 3 ms")
    }

    @Test("who follows another group carries what is known of the target that it follows")
    func followers() throws {
        let bench = HealthBench()
        let leaders = group("a", [target(1), target(2)])
        let alone = group("b", [target(1), target(2)]) { $0.healthCheck = nil }
        let following = group("b", [target(1), target(2)]) { ($0.healthCheck, $0.trackedGroup) = (nil, "a") }
        let behind = group("c", [target(1), target(2)]) { ($0.healthCheck, $0.trackedGroup) = (nil, "b") }
        try bench.apply(configuration([leaders, alone]))
        bench.probe(1, .timeout, 1)
        bench.probe(2, 1)
        try bench.apply(configuration([leaders, following, behind]), 2)
        for id in ["b", "c"] {
            #expect(bench.state(1, in: id)?.reason == .timeout)
            #expect(evidence(bench, 1, in: id) == "status 503 after 3 ms")
        }
        #expect(evidence(bench, 2, in: "c") == "status 200 after 3 ms", "initial to healthy, of a new group")
        for now in 3..<9 { bench.probe(1, Double(now)) }
        #expect(bench.state(1, in: "c")?.state == .healthy && evidence(bench, 1, in: "c") == "status 200 after 3 ms")
        let record = try #require(bench.engine.target(label(1), in: "a"))
        bench.engine.drain(record, at: at(10))
        bench.engine.undrain(record, at: at(11))
        bench.probe(1, .timeout, 12)
        for now in 13..<17 { bench.probe(1, .timeout, Double(now)) }
        #expect(bench.state(1, in: "c")?.reason == .timeout && evidence(bench, 1, in: "c") == "status 503 after 3 ms")
        #expect(!bench.transitions.contains { $0.evidence == nil })
    }

    @Test("a drain that an agent asked for is shown in the agent's words, whoever else had drained the target")
    func agentsWord() throws {
        let bench = HealthBench()
        var agent = HealthCheck()
        (agent.kind, agent.port) = (.agent(AgentProbe()), 9999)
        try bench.apply(configuration([group("a", [target(1)]) { $0.healthCheck = agent }]))
        let record = try #require(bench.engine.target(label(1), in: "a"))
        for (now, line) in [(1.0, "maint"), (2.0, "75%")] {
            let bytes = Array(line.utf8)
            bench.end(record.checks[0], .succeeded, .agent(AgentReport(parsing: bytes.span)), now)
        }
        bench.engine.drain(record, at: at(3))
        bench.engine.undrain(record, at: at(4))
        #expect(bench.state(1)?.reason == .agentMaintenance && evidence(bench, 1) == "agent: maint after 3 ms")
    }

    @Test("a check that takes another one's place takes over what that one saw")
    func inPlace() throws {
        let bench = HealthBench()
        let path = { (path: String) in
            group("a", [target(1)]) {
                var probe = HTTPProbe()
                probe.path = path
                $0.healthCheck?.kind = .http(probe)
            }
        }
        try bench.apply(configuration([path("/one")]))
        bench.probe(1, .responseMismatch, 1)
        let record = try #require(bench.engine.target(label(1), in: "a"))
        bench.engine.drain(record, at: at(2))
        try bench.apply(configuration([path("/two")]), 3)
        bench.engine.undrain(record, at: at(4))
        #expect(bench.state(1)?.reason == .responseMismatch && evidence(bench, 1) == "status 503 after 3 ms")
    }
}
