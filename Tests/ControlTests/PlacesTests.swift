import PoiseHealth
import PoiseModel
import PoiseProxy
import Testing

@testable import PoiseControl

@Suite("Subsets and backup groups in the engine")
struct PlacesTests {
    private func chain(_ last: (inout TargetGroup) -> Void = { _ in }) -> Configuration {
        configuration([
            group("a", [target(1)]) { $0.backupGroup = "b" }, group("b", [target(2)]) { $0.backupGroup = "c" },
            group("c", [target(3)], last),
        ])
    }

    private func availability(_ bench: Bench) -> [Availability] {
        ["a", "b", "c"].map { bench.engine.groups[$0]!.availability }
    }

    @Test("a chain of backup groups is followed to the first that has a usable target, and back")
    func following() throws {
        let bench = Bench()
        try bench.apply(chain())
        #expect(availability(bench) == [.ordinary, .ordinary, .ordinary])
        bench.probe(1, .timeout, 1)
        #expect(availability(bench) == [.backupGroup, .ordinary, .ordinary] && bench.weights(of: "a") == [0])
        #expect(bench.engine.standIn(for: bench.engine.groups["a"]!)?.id == "b")
        bench.probe(2, .timeout, 2)
        #expect(availability(bench) == [.backupGroup, .backupGroup, .ordinary])
        #expect(bench.engine.standIn(for: bench.engine.groups["a"]!)?.id == "c")
        bench.probe(3, .timeout, 3)
        // Nobody is left: each group by itself.
        #expect(availability(bench) == [.failOpen, .failOpen, .failOpen])
        #expect(["a", "b", "c"].map { bench.weights(of: $0) } == [[256], [256], [256]] && bench.failOpen.count == 3)
        bench.probe(2, 4)
        bench.probe(2, 5)
        #expect(availability(bench) == [.backupGroup, .ordinary, .failOpen] && bench.weights(of: "a") == [0])
        bench.probe(1, 6)
        bench.probe(1, 7)
        #expect(availability(bench) == [.ordinary, .ordinary, .failOpen])
    }

    @Test("a group whose backup group fails open says so itself: its own answer, not that of the other")
    func ownAnswer() throws {
        let bench = Bench()
        try bench.apply(
            configuration([
                group("a", [target(1)]) {
                    ($0.backupGroup, $0.sorryResponse) = ("b", FixedResponse(status: 503))
                }, group("b", [target(2)]),
            ]))
        bench.probe(1, .timeout, 1)
        bench.probe(2, .timeout, 1)
        #expect(bench.engine.groups["a"]?.availability == .sorry && bench.engine.groups["b"]?.availability == .failOpen)
    }

    @Test("an apply that takes the backup group away, or gives one, holds at once")
    func applying() throws {
        let bench = Bench()
        try bench.apply(chain())
        bench.probe(1, .timeout, 1)
        bench.probe(2, .timeout, 1)
        #expect(availability(bench) == [.backupGroup, .backupGroup, .ordinary])
        var other = chain()
        other.targetGroups[1].backupGroup = nil
        try bench.apply(other, 2)
        #expect(availability(bench) == [.failOpen, .failOpen, .ordinary])
        #expect(bench.weights(of: "a") == [256] && bench.weights(of: "b") == [256])
        try bench.apply(chain(), 3)
        #expect(availability(bench) == [.backupGroup, .backupGroup, .ordinary])
        #expect(bench.weights(of: "a") == [0] && bench.weights(of: "b") == [0])
    }

    @Test("a group that is only a backup is in use, and probed")
    func used() throws {
        let bench = Bench()
        var configuration = chain()
        configuration.listeners[0].rules = []
        configuration.listeners[0].defaultAction = .forward(Forward(shares: [.init(group: "a")]))
        try bench.apply(configuration)
        #expect(["a", "b", "c"].map { bench.engine.groups[$0]!.isUsed } == [true, true, true])
        configuration.targetGroups[0].backupGroup = nil
        try bench.apply(configuration, 1)
        #expect(["a", "b", "c"].map { bench.engine.groups[$0]!.isUsed } == [true, false, false])
    }

    @Test("only the subset has weight; who fails is replaced, who is drained too, and all stay healthy")
    func subset() throws {
        let bench = Bench()
        let targets = (1...9).map { target($0) }
        try bench.apply(configuration([group("a", targets) { $0.subsetSize = 3 }]))
        func inUse() -> Set<Int> { Set(bench.weights(of: "a").indices.filter { bench.weights(of: "a")[$0] > 0 }) }
        let before = inUse()
        #expect(before.count == 3 && bench.running.count == 9, "all are probed")
        let gone = before.min()!
        bench.probe(gone + 1, .timeout, 1)
        #expect(inUse().count == 3 && before.subtracting(inUse()) == [gone])
        let drained = inUse().max()!
        bench.engine.drain(bench.engine.target(label(drained + 1), in: "a")!, at: at(2))
        bench.engine.flush(at: at(2))
        #expect(inUse().count == 3 && !inUse().contains(drained) && !inUse().contains(gone))
        // When nobody is usable, fail-open tries as few.
        for last in 1...9 where last != drained + 1 { bench.probe(last, .timeout, 3) }
        #expect(inUse().count == 3 && bench.failOpen.count == 1)
    }

    @Test("workers are told how the whole of a group is whose subset is divided by tiers")
    func standing() throws {
        let bench = Bench()
        var targets = (1...6).map { target($0) }
        for index in 3..<6 { targets[index].tier = 1 }
        try bench.apply(configuration([group("a", targets) { $0.subsetSize = 1 }]))
        let record = try #require(bench.engine.groups["a"])
        #expect(record.published.weights.count { $0 > 0 } == 2)
        #expect(record.published.standing == Array(repeating: 256, count: 6))
        let member = try #require(record.published.weights.firstIndex { $0 > 0 })
        let other = try #require((0..<3).first { $0 != member })
        bench.probe(other + 1, .timeout, 1)
        #expect(record.published.standing[other] == 0 && record.published.standing.count { $0 > 0 } == 5)
        // With a single tier nobody asks.
        try bench.apply(configuration([group("a", (1...6).map { target($0) }) { $0.subsetSize = 1 }]), 2)
        #expect(record.published.standing.isEmpty)
    }

    @Test("who has weight 0 is not in use, in a group with a subset")
    func closed() throws {
        let bench = Bench()
        try bench.apply(configuration([group("a", (1...3).map { target($0) }) { $0.subsetSize = 3 }]))
        bench.engine.setWeight(0, of: try #require(bench.engine.target(label(1), in: "a")), at: at(1))
        bench.engine.flush(at: at(1))
        let record = try #require(bench.engine.groups["a"])
        #expect(GroupStatus(record).targets.map(\.isInUse) == [false, true, true])
    }
}
