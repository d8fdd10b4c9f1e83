import PoiseBalancing
import PoiseModel
import Testing

@testable import PoiseControl
@testable import PoiseProxy

@Suite("Tables follow weights that are told at run time")
struct TableTests {
    private func tabled(_ table: HashTable) -> (inout TargetGroup) -> Void {
        {
            $0.algorithm = .sourceHash
            $0.algorithmOptions.table = table
        }
    }

    private func target(_ last: Int, _ bench: Bench) throws -> TargetRecord {
        try #require(bench.engine.target(label(last), in: "a"))
    }

    /// What each target takes of many keys with the tables of the snapshot in force.
    private func shares(_ bench: Bench) throws -> [Double] {
        let group = try #require(bench.snapshot?.groups.first)
        var scheduler = group.scheduler(start: 0)
        let weights = bench.weights(of: "a").map { Int($0) }
        for (index, weight) in weights.enumerated() { scheduler.weightChanged(at: index, to: weight) }
        var counts = Array(repeating: 0.0, count: weights.count)
        let view = View(weights: weights)
        for key in 0..<20_000 {
            counts[scheduler.pick(from: view, key: mix64(UInt64(key)), random: 0)!] += 1
        }
        return counts.map { $0 / 20_000 }
    }

    private struct View: TargetView {
        let weights: [Int]
        var count: Int { weights.count }
        func weight(at index: Int) -> Int { weights[index] }
        func load(at index: Int) -> Int { 0 }
        func answerTime(at index: Int) -> Int? { nil }
        var totalLoad: Int { 0 }
        func totalLoad(ofPart part: Int) -> Int { 0 }
    }

    @Test(
        "a weight above the file's makes another table, which the next snapshot has",
        arguments: [HashTable.maglev, .ring])
    func raised(table: HashTable) throws {
        let bench = Bench()
        let settings = configuration([group("a", [sample(1), sample(2)], tabled(table))])
        try bench.apply(settings)
        let first = try #require(bench.snapshot?.groups.first)
        #expect(bench.engine.staleTables.isEmpty && first.tableWeights.isEmpty)
        bench.engine.setWeight(3, of: try target(1, bench), at: at(1))
        bench.engine.flush(at: at(1))
        #expect(bench.engine.staleTables == ["a"])
        try bench.apply(settings, 1)
        let second = try #require(bench.snapshot?.groups.first)
        #expect(second !== first && second.tableWeights == [768, 256] && bench.engine.staleTables.isEmpty)
        let raised = try shares(bench)
        #expect(abs(raised[0] - 0.75) < 0.03, "\(raised)")
        // Lower, but not below the file: a part of the keys, by the same table.
        bench.engine.setWeight(nil, of: try target(1, bench), at: at(2))
        bench.engine.flush(at: at(2))
        #expect(bench.engine.staleTables == ["a"], "the file's weights make the file's table again")
        try bench.apply(settings, 2)
        #expect(bench.snapshot?.groups.first?.tableWeights == [])
        bench.engine.setWeight(0, of: try target(1, bench), at: at(3))
        bench.engine.flush(at: at(3))
        #expect(bench.engine.staleTables.isEmpty)
        let same = bench.snapshot?.groups.first
        try bench.apply(settings, 3)
        #expect(bench.snapshot?.groups.first === same, "nobody else's keys move for a lowered weight")
    }

    @Test("an agent's percentage is of the weight in force, up to 256, and ends with its word")
    func agent() throws {
        let bench = Bench()
        let settings = configuration([
            group("a", [sample(1, weight: 100), sample(2, weight: 100)], tabled(.maglev))
        ])
        try bench.apply(settings)
        for (percent, weight) in [(200, 200), (25_600, 256), (150, 150)] {
            bench.engine.reported(weightPercent: percent, of: try target(1, bench), validFor: .seconds(10), at: at(1))
            bench.engine.flush(at: at(1))
            #expect(bench.engine.staleTables == ["a"])
            try bench.apply(settings, 1)
            #expect(bench.snapshot?.groups.first?.tableWeights == [weight * 256, 25_600])
        }
        bench.engine.tick(at: at(12))
        #expect(bench.engine.staleTables == ["a"])
        try bench.apply(settings, 12)
        #expect(bench.snapshot?.groups.first?.tableWeights == [])
    }

    @Test("neither health nor other algorithms make tables")
    func none() throws {
        let bench = Bench()
        try bench.apply(configuration([group("a", [sample(1), sample(2)], tabled(.rendezvous))]))
        bench.engine.setWeight(9, of: try target(1, bench), at: at(1))
        bench.engine.flush(at: at(1))
        #expect(bench.engine.staleTables.isEmpty && bench.engine.tableWeights.raised.isEmpty)
        let other = Bench()
        try other.apply(configuration([group("a", [sample(1), sample(2)], tabled(.maglev))]))
        for second in 1...4 { other.probe(1, .timeout, Double(second)) }
        #expect(other.weights(of: "a")[0] == 0 && other.engine.staleTables.isEmpty)
    }

    @Test("an apply with another weight has the file's word again, also for the table")
    func applied() throws {
        let bench = Bench()
        try bench.apply(configuration([group("a", [sample(1), sample(2)], tabled(.maglev))]))
        bench.engine.setWeight(9, of: try target(1, bench), at: at(1))
        bench.engine.flush(at: at(1))
        try bench.apply(
            configuration([
                group("a", [sample(1, weight: 2), sample(2)], tabled(.maglev))
            ]), 2)
        #expect(bench.snapshot?.groups.first?.tableWeights == [] && bench.engine.staleTables.isEmpty)
    }

    @Test("one change is built at once, a flood of them costs a fifth of the time")
    func flood() {
        var renewal = TableRenewal()
        #expect(renewal.isStale(at: at(1)) == .build)
        #expect(renewal.isStale(at: at(1)) == .none, "one at a time")
        renewal.built(in: .milliseconds(10), at: at(1.01))
        #expect(renewal.isStale(at: at(1.02)) == .wake(at(1.05)))
        #expect(renewal.isStale(at: at(1.03)) == .none, "it waits already")
        #expect(renewal.rested() == .build)
        #expect(renewal.rested() == .none)
        renewal.built(in: .milliseconds(10), at: at(1.06))
        #expect(renewal.isStale(at: at(9)) == .build)
        renewal.built(in: .milliseconds(10), at: at(9.01))
        // A change per millisecond for ten seconds, tables of 100 ms each.
        var (builds, ends, wake) = (0, MonotonicTime?.none, MonotonicTime?.none)
        for millisecond in 10_000..<20_000 {
            let now = at(Double(millisecond) / 1000)
            if let end = ends, now >= end {
                renewal.built(in: .milliseconds(100), at: now)
                ends = nil
            }
            var action = TableRenewal.Action.none
            if let time = wake, now >= time {
                wake = nil
                action = renewal.rested()
            } else {
                action = renewal.isStale(at: now)
            }
            if case .wake(let time) = action { wake = time }
            if action == .build {
                builds += 1
                ends = now + .milliseconds(100)
            }
        }
        #expect((19...21).contains(builds), "\(builds)")
    }
}

/// `target` is a method of the suite.
private func sample(_ last: Int, weight: Int = 1) -> Target {
    Target(address: .ip(IPAddress(v4: 0x7F00_0000 + UInt32(last)), port: 80), weight: weight)
}
