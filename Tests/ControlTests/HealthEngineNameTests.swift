import PoiseHealth
import PoiseModel
import Testing

@testable import PoiseControl

@Suite("The health engine: targets that are names without an address")
struct HealthEngineNameTests {
    private let gone = Target(address: .name("gone.test", port: 80))

    private func settings(_ id: String, _ targets: [Target]) -> TargetGroup {
        group(id, targets) {
            $0.minHealthy = .percent(100)
            $0.healthCheck?.unhealthyThreshold = 1
        }
    }

    private func unresolved(_ problem: String?) -> [String: [UnresolvedName]] {
        ["a": [UnresolvedName(target: gone, name: "gone.test", problem: problem)]]
    }

    private func told(_ bench: HealthBench) -> [String] {
        bench.transitions.filter { $0.target == "gone.test:80" }
            .map { "\($0.from.state.name) \($0.to.state.name) \($0.to.reason.name): \($0.evidence ?? "-")" }
    }

    @Test("nobody knows how it is before the first answer; then it is down once, with what the resolver said")
    func down() throws {
        let bench = HealthBench()
        let both = configuration([settings("a", [gone, target(1)])])
        try bench.apply(both, unresolved: unresolved(nil))
        bench.probe(1, 1)
        let group = try #require(bench.engine.groups["a"])
        var status = GroupStatus(group)
        #expect(status.targets.map(\.label) == [label(1), "gone.test:80"])
        #expect(status.targets.map(\.status.state) == [.healthy, .initial] && status.targets[1].compiled == nil)
        #expect(told(bench) == [] && bench.minimum == [] && bench.availability == [])
        bench.engine.nameFailed("other.test", "no", at: at(2))
        for _ in 0..<2 { bench.engine.nameFailed("gone.test", "Name or service not known", at: at(2)) }
        bench.engine.flush(at: at(2))
        status = GroupStatus(group)
        #expect(status.targets[1].status == .init(state: .unhealthy, reason: .dns, since: at(2)))
        #expect(status.targets[1].weight == 1, "as it is configured")
        let words = "initial unhealthy dns: the name does not resolve: Name or service not known"
        #expect(told(bench) == [words])
        #expect(group.unresolved[0].history.count == 2 && group.unresolved[0].transitions == 1)
        #expect(group.minimum == 2 && bench.minimum == [false] && bench.availability == [])
        // An apply that changes nothing tells nothing.
        try bench.apply(both, unresolved: unresolved("Name or service not known"), 3)
        #expect(told(bench) == [words] && bench.minimum == [false])
    }

    @Test("a group of nothing else is down with the first answer, and not before")
    func groupDown() throws {
        let bench = HealthBench()
        let alone = configuration([settings("a", [gone])])
        try bench.apply(alone, unresolved: unresolved(nil))
        #expect(bench.availability == [] && bench.minimum == [])
        bench.engine.nameFailed("gone.test", "no", at: at(1))
        bench.engine.flush(at: at(1))
        #expect(bench.availability == [.none] && bench.minimum == [false])
    }

    @Test("it is up once, with the first of its addresses that is healthy")
    func up() throws {
        let bench = HealthBench()
        try bench.apply(configuration([settings("a", [gone])]), unresolved: unresolved("no"))
        #expect(told(bench).count == 1)
        // Of an engine's targets only their settings tell that they are a name's: what a builder with addresses makes.
        try bench.apply(
            configuration([settings("a", [gone])]), addresses: ["gone.test": [1, 2, 3]], 1)
        #expect(
            bench.engine.groups["a"]!.targets.count == 3 && GroupStatus(bench.engine.groups["a"]!).targets.count == 3)
        #expect(told(bench).count == 1, "nobody knows yet how they are")
        bench.probe(1, .timeout, 2)
        #expect(told(bench).count == 1)
        bench.probe(2, 3)
        bench.probe(3, 3)
        #expect(told(bench).dropFirst() == ["unhealthy healthy none: resolves, 127.0.0.2:80 is healthy"])
        #expect(bench.engine.groups["a"]!.names.isEmpty)
    }

    @Test("without checks its addresses are healthy, and it is up, as soon as it has some")
    func unchecked() throws {
        let bench = HealthBench()
        let unchecked = configuration([group("a", [gone]) { $0.healthCheck = nil }])
        try bench.apply(unchecked, unresolved: unresolved("no"))
        try bench.apply(unchecked, addresses: ["gone.test": [1]], 1)
        #expect(told(bench).count == 2)
    }

    @Test("one whose addresses are all those of other targets is up when it has them: these stand for themselves")
    func twice() throws {
        let bench = HealthBench()
        let both = configuration([settings("a", [target(1), gone])])
        try bench.apply(both, unresolved: unresolved("no"))
        bench.probe(1, .timeout, 1)
        bench.engine.setUnresolved([:], at: at(2))
        bench.engine.flush(at: at(2))
        #expect(told(bench).last == "unhealthy healthy none: resolves")
        #expect(GroupStatus(bench.engine.groups["a"]!).targets.map(\.label) == [label(1)])
    }

    @Test("one that leaves the configuration is no loss, and one that is answered at once was never down")
    func noEvents() throws {
        let bench = HealthBench()
        try bench.apply(configuration([settings("a", [gone, target(1)])]), unresolved: unresolved("no"))
        try bench.apply(configuration([settings("a", [target(1)])]), 1)
        #expect(told(bench).last?.hasPrefix("draining unused deregistration") == true)
        #expect(bench.engine.groups["a"]!.names.isEmpty && bench.engine.leaving.isEmpty)
        let other = HealthBench()
        try other.apply(configuration([settings("a", [gone])]), unresolved: unresolved(nil))
        try other.apply(configuration([settings("a", [gone])]), addresses: ["gone.test": [1]], 1)
        other.probe(1, 2)
        #expect(told(other) == [] && other.availability == [] && other.minimum == [])
    }

    @Test("in a group that no rule leads to nobody misses it")
    func unused() throws {
        let bench = HealthBench()
        var unused = configuration([settings("a", [gone]), group("b", [target(2)])])
        unused.listeners[0].rules.removeFirst()
        try bench.apply(unused, unresolved: unresolved("no"))
        #expect(bench.transitions.allSatisfy { $0.to.state != .unhealthy } && bench.minimum == [])
        let used = configuration([settings("a", [gone]), group("b", [target(2)])])
        try bench.apply(used, unresolved: unresolved("no"), 1)
        #expect(told(bench).last?.hasPrefix("unused unhealthy dns") == true)
        #expect(bench.minimum == [false] && bench.availability == [.none])
    }
}
