import PoiseHealth
import PoiseModel
import Testing

@testable import PoiseControl

@Suite("The health engine: addresses that leave names and come back")
struct HealthEngineAbsentTests {
    private func named(_ weight: Int = 1, _ change: (inout TargetGroup) -> Void = { _ in }) -> Configuration {
        configuration([group("a", [Target(address: .name("shop.test", port: 80), weight: weight)], change)])
    }

    private func go(
        _ bench: HealthBench, to last: [UInt32], _ now: Double, _ configuration: Configuration? = nil
    ) throws {
        try bench.apply(configuration ?? named(), addresses: ["shop.test": last], now)
    }

    private func record(_ bench: HealthBench, _ last: Int) throws -> TargetRecord {
        try #require(bench.engine.target(label(last), in: "a"))
    }

    /// What hooks hear of a target.
    private func events(_ bench: HealthBench, _ last: Int) -> [NotifyEvent] {
        var filter = EventFilter()
        return bench.transitions.filter { $0.target == label(last) }.compactMap { filter.event($0) }
    }

    @Test("what an operator said of one holds when it is back: no traffic to a drained machine, no other weight")
    func words() throws {
        let bench = HealthBench()
        try go(bench, to: [1, 2], 0)
        for last in 1...2 { bench.probe(last, 1) }
        bench.engine.drain(try record(bench, 1), at: at(2))
        bench.engine.setWeight(7, of: try record(bench, 2), at: at(2))
        bench.engine.flush(at: at(2))
        #expect(bench.weights(of: "a") == [0, 7 * 256])
        for (step, addresses) in [[2, 3], [1, 3], [3], [1, 2, 3], [1, 2]].enumerated() {
            let now = 10 * Double(step + 1)
            try go(bench, to: addresses.map { UInt32($0) }, now)
            for last in 1...3 { bench.probe(last, now + 1) }
            let weights: [Int: Int32] = [1: 0, 2: 7 * 256, 3: 256]
            #expect(bench.weights(of: "a") == addresses.map { weights[$0]! })
        }
        let (first, second) = (try record(bench, 1), try record(bench, 2))
        #expect(first.health.status.reason == .drainedByOperator && second.operatorWeight == 7)
        #expect(
            !bench.running.contains { $0.users.contains { $0 === first } }, "nobody asks a machine that is worked on")
        bench.engine.undrain(first, at: at(70))
        bench.probe(1, 71)
        #expect(bench.weights(of: "a") == [256, 7 * 256] && bench.forgotten == [])
    }

    @Test("its history goes on, and says where it was")
    func history() throws {
        let bench = HealthBench()
        try go(bench, to: [1, 2], 0)
        for last in 1...2 { bench.probe(last, 1) }
        try go(bench, to: [2], 2)
        try go(bench, to: [1, 2], 3)
        bench.probe(1, 4)
        let target = try record(bench, 1)
        let states = (0..<target.history.count).map { target.history[$0].status.state }
        #expect(states == [.initial, .healthy, .draining, .unused, .initial, .healthy] && target.transitions == 5)
        let back = target.history[4]
        #expect(back.previousReason == .deregistration && back.evidence.text == "its name has the address again")
    }

    @Test("one that was told as down is told as up once, when it is back and well; and not as down again before")
    func hooks() throws {
        let bench = HealthBench()
        let quick = named { $0.healthCheck?.unhealthyThreshold = 1 }
        try go(bench, to: [1, 2], 0, quick)
        bench.probe(1, 1)
        bench.probe(2, .timeout, 1)
        #expect(events(bench, 2) == [.targetDown])
        for round in 0..<3 {
            let now = Double(round * 10)
            try go(bench, to: [1], now + 2, quick)
            try go(bench, to: [1, 2], now + 3, quick)
            bench.probe(2, .connectionRefused, now + 4)
            #expect(bench.state(2)?.state == .unhealthy && events(bench, 2) == [.targetDown])
            #expect(bench.engine.groups["a"]!.knows(label(2)))
        }
        try go(bench, to: [1], 40, quick)
        #expect(bench.engine.groups["a"]!.knows(label(2)), "an apply leaves in the hooks' memory what may return")
        try go(bench, to: [1, 2], 41, quick)
        bench.probe(2, 42)
        try go(bench, to: [1], 43, quick)
        try go(bench, to: [1, 2], 44, quick)
        bench.probe(2, 45)
        #expect(events(bench, 2) == [.targetDown, .targetUp])
    }

    @Test("the latest 256 of a name are remembered; what is forgotten of the oldest is told")
    func bound() throws {
        let bench = HealthBench()
        try go(bench, to: [1], 0)
        bench.engine.drain(try record(bench, 1), at: at(1))
        for last in 2...257 { try go(bench, to: [UInt32(last)], Double(last)) }
        #expect(bench.forgotten == [])
        try go(bench, to: [1], 300)
        #expect(bench.state(1)?.reason == .drainedByOperator)
        // From the one that came second on, all are away, and one more is too many.
        bench.engine.setWeight(9, of: try record(bench, 1), at: at(301))
        for last in 258...514 { try go(bench, to: [UInt32(last)], Double(last + 100)) }
        #expect(bench.forgotten.count == 257)
        #expect(
            bench.forgotten.last
                == ForgottenTarget(group: "a", target: label(1), cause: .crowdedOut, words: ["drain", "weight 9"]))
        try go(bench, to: [1], 700)
        #expect(bench.state(1)?.state == .initial && bench.weights(of: "a") == [256])
    }

    @Test("an apply that takes the name out of the file forgets, and says so where an operator's word goes with it")
    func removed() throws {
        let bench = HealthBench()
        try go(bench, to: [1, 2, 3], 0)
        bench.engine.drain(try record(bench, 1), at: at(1))
        bench.engine.setWeight(3, of: try record(bench, 2), at: at(1))
        try go(bench, to: [2, 3], 2)
        let other = configuration([group("a", [target(9)])])
        try bench.apply(other, 3)
        let words = bench.forgotten.map { "\($0.target) \($0.cause) \($0.words)" }
        #expect(words == ["127.0.0.1:80 removed [\"drain\"]", "127.0.0.2:80 removed [\"weight 3\"]"])
        try go(bench, to: [1, 2], 4)
        #expect(try bench.state(1)?.state == .initial && record(bench, 2).operatorWeight == nil)
        // With all of its group.
        bench.engine.drain(try record(bench, 2), at: at(5))
        try go(bench, to: [1], 6)
        try bench.apply(configuration([group("b", [target(9)])]), 7)
        #expect(bench.forgotten.count == 3 && bench.forgotten.last?.target == label(2))
    }

    @Test("an operator's weight goes when an apply changes the file's, while the address is away too; a drain stays")
    func weightChanged() throws {
        let bench = HealthBench()
        try go(bench, to: [1, 2], 0)
        for last in 1...2 { bench.engine.setWeight(9, of: try record(bench, last), at: at(1)) }
        bench.engine.drain(try record(bench, 2), at: at(1))
        try go(bench, to: [3], 2)
        try go(bench, to: [3], 3, named(5))
        try go(bench, to: [1, 2, 3], 4, named(5))
        #expect(try record(bench, 1).operatorWeight == nil && record(bench, 2).operatorWeight == nil)
        #expect(bench.state(2)?.reason == .drainedByOperator)
    }

    @Test("in a group that no rule leads to a drain is not forgotten either")
    func unused() throws {
        let bench = HealthBench()
        var unused = named()
        unused.targetGroups.append(group("b", [target(9)]))
        unused.listeners[0].rules = [rule("/", to: "b")]
        try go(bench, to: [1, 2], 0)
        bench.engine.drain(try record(bench, 1), at: at(1))
        try go(bench, to: [2], 2, unused)
        try go(bench, to: [1, 2], 3, unused)
        try go(bench, to: [1, 2], 4)
        #expect(bench.state(1)?.reason == .drainedByOperator && bench.state(2)?.state == .initial)
    }
}
