import PoiseHealth
import PoiseLive
import PoiseModel
import PoiseProxy
import Testing

@testable import PoiseControl

@Suite("The health engine: what was out and comes back, and what nobody misses")
struct HealthEngineReturnTests {
    private func blueAndGreen(leadingTo id: String) -> Configuration {
        Configuration(
            listeners: [listener("web", port: 80, rules: [rule("/", to: id)])],
            targetGroups: [group("blue", [target(1)]), group("green", [target(2)])])
    }

    @Test(
        "a target that was drained takes traffic once a probe has found it well: what was known is of before the drain")
    func undrained() throws {
        let bench = HealthBench()
        try bench.apply(configuration([group("a", [target(1), target(2)])]))
        for last in 1...2 { bench.probe(last, 1) }
        let record = try #require(bench.engine.target(label(1), in: "a"))
        bench.engine.drain(record, at: at(2))
        bench.engine.undrain(record, at: at(600))
        bench.engine.flush(at: at(600))
        #expect(bench.state(1)?.state == .initial && bench.weights(of: "a") == [0, 256])
        #expect(record.checks[0].state.nextProbe == at(600), "and is asked at once")
        bench.probe(1, 600.1)
        #expect(bench.state(1)?.state == .healthy && bench.weights(of: "a") == [256, 256])
        // Put back twice: nothing is forgotten of a target that serves.
        bench.engine.undrain(record, at: at(601))
        #expect(bench.state(1)?.state == .healthy)
    }

    @Test("a target that died during its drain takes no traffic when it is put back, and one that was dead stays so")
    func diedMeanwhile() throws {
        let bench = HealthBench()
        try bench.apply(
            configuration([group("a", [target(1), target(2)]) { $0.healthCheck?.unhealthyThreshold = 2 }]))
        bench.probe(1, 1)
        bench.probe(2, .timeout, 1)
        for last in 1...2 { bench.engine.drain(bench.engine.target(label(last), in: "a")!, at: at(2)) }
        for last in 1...2 { bench.engine.undrain(bench.engine.target(label(last), in: "a")!, at: at(3)) }
        #expect(bench.state(1)?.state == .initial && bench.state(2)?.reason == .timeout)
        for now in [4.0, 5] { bench.probe(1, .connectionRefused, now) }
        #expect(bench.state(1) == .init(state: .unhealthy, reason: .connectionRefused, since: at(5)))
        #expect(!bench.transitions.contains { $0.target == label(1) && $0.to.state == .healthy && $0.to.since > at(2) })
    }

    @Test("a target that another group's probes went on for is known when it is put back")
    func sharedMeanwhile() throws {
        let bench = HealthBench()
        try bench.apply(configuration([group("a", [target(1)]), group("b", [target(1)])]))
        bench.probe(1, 1)
        let record = try #require(bench.engine.target(label(1), in: "a"))
        bench.engine.drain(record, at: at(2))
        bench.probe(1, 3)
        bench.engine.undrain(record, at: at(4))
        bench.engine.flush(at: at(4))
        #expect(bench.state(1)?.state == .healthy && bench.weights(of: "a") == [256])
        #expect(bench.state(1, in: "b")?.state == .healthy)
    }

    @Test("a switch from one group to another is told of neither as a loss; the one that comes back is asked anew")
    func blueGreen() throws {
        let bench = HealthBench()
        try bench.apply(blueAndGreen(leadingTo: "blue"))
        bench.probe(1, 1)
        try bench.apply(blueAndGreen(leadingTo: "green"), 2)
        bench.probe(2, 3)
        #expect(bench.state(1, in: "blue")?.state == .unused)
        try bench.apply(blueAndGreen(leadingTo: "blue"), 4)
        #expect(bench.availability == [])
        // It takes traffic, as a group does that is new; the first result decides.
        #expect(bench.state(1, in: "blue")?.state == .initial && bench.weights(of: "blue") == [256])
        bench.probe(1, .timeout, 5)
        #expect(bench.state(1, in: "blue")?.state == .unhealthy && bench.availability == [.failOpen])
        try bench.apply(blueAndGreen(leadingTo: "green"), 6)
        try bench.apply(blueAndGreen(leadingTo: "blue"), 7)
        #expect(bench.availability == [.failOpen], "it was missed before, and still is")
        for now in [8.0, 9, 10, 11, 12] { bench.probe(1, now) }
        #expect(bench.availability == [.failOpen, .ordinary])
    }

    @Test("a flag file that nobody can look at is told of once, and once when somebody can; what was known holds")
    func blindFiles() throws {
        let bench = HealthBench()
        let all = configuration([
            group("a", [target(1), target(2)]) {
                $0.healthCheck?.kind = .file(FileProbe(path: "/flag"))
            }
        ])
        try bench.apply(all)
        for now in [1.0, 2] { for last in 1...2 { bench.look(last, at: "/flag", .unknown(13), now) } }
        #expect(bench.files == ["/flag: Permission denied"])
        #expect(bench.state(1)?.state == .healthy)
        bench.look(1, at: "/flag", .exists, 3)
        #expect(bench.state(1)?.reason == .maintenanceFile && bench.files.count == 1)
        bench.look(2, at: "/flag", .missing, 3)
        #expect(bench.files.last == "/flag: seen" && bench.files.count == 2)
        bench.look(1, at: "/flag", .noAnswer, 4)
        #expect(bench.state(1)?.state == .unhealthy && bench.files.count == 3)
        // Who asked is gone: the next one's trouble is news again.
        try bench.apply(configuration([group("b", [target(3)])]), 5)
        try bench.apply(all, 6)
        bench.look(1, at: "/flag", .noAnswer, 7)
        #expect(bench.files.count == 4)
    }

    @Test("checks that are turned on or off change nothing of a healthy target that anybody would want to read")
    func notNews() throws {
        let bench = HealthBench()
        let checked = configuration([group("a", [target(1)])])
        let unchecked = configuration([group("a", [target(1)]) { $0.healthCheck = nil }])
        try bench.apply(checked)
        bench.probe(1, 1)
        let before = bench.transitions.count
        try bench.apply(unchecked, 2)
        #expect(bench.state(1)?.reason == .checksDisabled)
        try bench.apply(checked, 3)
        #expect(bench.state(1)?.reason == TargetReason.none)
        let record = try #require(bench.engine.target(label(1), in: "a"))
        #expect(bench.transitions.count == before && record.transitions == before && record.history.count == before + 1)
    }

    @Test("a new group hears of a target that another group's probes know to be dead, its minimum too")
    func newAndDead() throws {
        let bench = HealthBench()
        let old = group("a", [target(1), target(2)])
        let half: (inout TargetGroup) -> Void = { $0.minHealthy = .count(1) }
        try bench.apply(configuration([old]))
        bench.probe(1, .timeout, 1)
        bench.probe(2, 1)
        #expect(bench.minimum == [])
        try bench.apply(configuration([old, group("b", [target(1)], half)]), 2)
        let told = try #require(bench.transitions.last { $0.group == "b" })
        #expect(told.to.state == .unhealthy && told.to.reason == .timeout && told.evidence != nil)
        #expect(bench.minimum == [false] && bench.availability == [.failOpen])
        for now in [3.0, 4, 5, 6, 7] { bench.probe(1, now) }
        #expect(bench.minimum == [false, true] && bench.availability == [.failOpen, .ordinary])
    }

    @Test("a new group that no rule leads to hears of nobody's death")
    func newUnusedAndDead() throws {
        let bench = HealthBench()
        let old = group("a", [target(1)])
        try bench.apply(configuration([old]))
        bench.probe(1, .timeout, 1)
        var more = configuration([old])
        more.targetGroups.append(group("b", [target(1)]) { $0.minHealthy = .count(1) })
        try bench.apply(more, 2)
        #expect(bench.state(1, in: "b")?.state == .unused && bench.minimum == [])
        #expect(!bench.transitions.contains { $0.group == "b" && $0.to.state == .unhealthy })
    }
}
