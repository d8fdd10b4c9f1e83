import PoiseHealth
import PoiseModel
import Testing

@testable import PoiseControl

@Suite("The health engine: operators speak of names, and of addresses that are away")
struct HealthEngineWordsTests {
    private let shop = Target(address: .name("shop.test", port: 80))

    private func go(_ bench: HealthBench, to last: [UInt32], _ now: Double) throws -> GroupRecord {
        let unresolved = UnresolvedName(target: shop, name: "shop.test", problem: "no")
        try bench.apply(
            configuration([group("a", [shop, target(9)])]), unresolved: last.isEmpty ? ["a": [unresolved]] : [:],
            addresses: last.isEmpty ? [:] : ["shop.test": last], now)
        return try #require(bench.engine.groups["a"])
    }

    private func called(_ bench: HealthBench, _ target: String, _ group: GroupRecord) -> [String] {
        bench.engine.targets(called: target, in: group).map(\.label)
    }

    @Test("a name is all of its addresses; one without any is not taken for another target")
    func called() throws {
        let bench = HealthBench()
        let record = try go(bench, to: [], 0)
        #expect(called(bench, "shop.test:80", record) == [])
        #expect(
            record.refusal(of: "shop.test:80").problem == "the name 'shop.test:80' of the group 'a' has no address now")
        #expect(record.refusal(of: "shop.test:8").fix == "did you mean 'shop.test:80'?")
        _ = try go(bench, to: [1, 2], 1)
        #expect(called(bench, "shop.test:80", record) == [label(1), label(2)])
        #expect(called(bench, label(2), record) == [label(2)] && called(bench, label(9), record) == [label(9)])
        #expect(called(bench, "shop.test:81", record) == [] && called(bench, label(3), record) == [])
        _ = try go(bench, to: [2], 2)
        #expect(called(bench, "shop.test:80", record) == [label(2)])
        #expect(called(bench, label(1), record) == [label(1)], "it may come back")
    }

    @Test("a drain of a name holds for what it gets later, until the name is put back")
    func drainedName() throws {
        let bench = HealthBench()
        let record = try go(bench, to: [1], 0)
        bench.engine.drain(try #require(bench.engine.target(label(1), in: "a")), at: at(1))
        bench.engine.drainName("shop.test:80", of: record, true)
        bench.engine.drainName(label(9), of: record, true)
        _ = try go(bench, to: [2, 3], 2)
        #expect(bench.state(2)?.reason == .drainedByOperator && bench.state(3)?.reason == .drainedByOperator)
        // One that is put back by itself stays so.
        bench.engine.undrain(try #require(bench.engine.target(label(2), in: "a")), at: at(3))
        _ = try go(bench, to: [3], 4)
        _ = try go(bench, to: [2, 3], 5)
        #expect(bench.state(2)?.state == .initial && bench.state(3)?.reason == .drainedByOperator)
        bench.engine.drainName("shop.test:80", of: record, false)
        _ = try go(bench, to: [4], 6)
        #expect(bench.state(4)?.state == .initial && record.drainedNames.isEmpty)
    }

    @Test("a name that leaves the file takes its drain with it")
    func nameRemoved() throws {
        let bench = HealthBench()
        let record = try go(bench, to: [1], 0)
        bench.engine.drainName("shop.test:80", of: record, true)
        try bench.apply(configuration([group("a", [target(9)])]), 1)
        _ = try go(bench, to: [1], 2)
        #expect(bench.state(1)?.state == .initial)
    }

    @Test("what is said of an address while it is away holds when it is back")
    func saidWhileAway() throws {
        let bench = HealthBench()
        let record = try go(bench, to: [1, 2], 0)
        bench.engine.drain(try #require(bench.engine.target(label(1), in: "a")), at: at(1))
        _ = try go(bench, to: [3], 2)
        let away = [label(1), label(2)].flatMap { bench.engine.targets(called: $0, in: record) }
        bench.engine.undrain(away[0], at: at(3))
        bench.engine.drain(away[1], at: at(3))
        bench.engine.setWeight(5, of: away[0], at: at(3))
        bench.engine.flush(at: at(3))
        #expect(away.allSatisfy { $0.health.status.state == .unused })
        _ = try go(bench, to: [1, 2, 3], 4)
        #expect(bench.state(1)?.state == .initial && bench.state(2)?.reason == .drainedByOperator)
        #expect(bench.engine.target(label(1), in: "a")?.operatorWeight == 5)
    }
}
