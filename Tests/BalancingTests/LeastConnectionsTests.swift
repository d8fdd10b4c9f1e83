import Testing

@testable import PoiseBalancing

@Suite("Least connections")
struct LeastConnectionsTests {
    @Test(
        "takes the least (load + 1) / weight",
        arguments: [
            ([1, 1, 1], [2, 1, 3], 1),
            ([1, 2], [1, 2], 1),
            ([1, 2], [0, 2], 0),
            ([4, 1], [3, 1], 0),
            ([0, 1], [0, 99], 1),
            ([65_536, 1], [65_534, 0], 0),
            ([65_536, 1], [65_536, 0], 1),
        ])
    func least(weights: [Int], loads: [Int], expected: Int) {
        var algorithm = LeastConnections(weights: weights)
        #expect(algorithm.pick(from: Targets(weights: weights, loads: loads), random: 1) == expected)
    }

    @Test("equals take turns from the start it was given")
    func turns() {
        let view = Targets(weights: [1, 1, 1, 0, 1], loads: [0, 5, 0, 0, 0])
        var algorithm = LeastConnections(weights: view.weights, start: 7)
        #expect((0..<7).map { _ in algorithm.pick(from: view, random: 0) } == [2, 4, 0, 2, 4, 0, 2])
    }

    @Test("agrees with a sort over all small groups")
    func exhaustive() {
        for weights in everyList(of: 0...3, length: 3) {
            for loads in everyList(of: 0...3, length: 3) {
                var algorithm = LeastConnections(weights: weights)
                let picked = algorithm.pick(from: Targets(weights: weights, loads: loads), random: 0)
                let usable = (0..<3).filter { weights[$0] > 0 }
                let best = usable.min {
                    (Double(loads[$0] + 1) / Double(weights[$0]), $0) < (
                        Double(loads[$1] + 1) / Double(weights[$1]), $1
                    )
                }
                #expect(picked == best, "\(weights) \(loads)")
            }
        }
    }

    @Test("keeps a large group level: 10 flows per target that never end", arguments: [UInt64](1...2))
    func level(seed: UInt64) {
        var random = Seeded(seed)
        let count = 10_000
        var view = Targets(weights: Array(repeating: 256, count: count))
        var algorithm = LeastConnections(weights: view.weights)
        for _ in 0..<10 * count { view.loads[algorithm.pick(from: view, random: random.next())!] += 1 }
        #expect(view.loads.max()! <= 12, "seed \(seed)")
    }

    @Test("follows the weights in a large group", arguments: [UInt64](1...3))
    func weighted(seed: UInt64) {
        var random = Seeded(seed)
        let weights = (0..<1_000).map { $0 < 100 ? 10 : 1 }
        var view = Targets(weights: weights)
        var algorithm = LeastConnections(weights: weights)
        for _ in 0..<38_000 { view.loads[algorithm.pick(from: view, random: random.next())!] += 1 }
        #expect(view.loads[..<100].allSatisfy { (185...215).contains($0) }, "seed \(seed): \(view.loads[..<100])")
        #expect(view.loads[100...].max()! <= 23, "seed \(seed)")
    }

    @Test("never takes an excluded or closed target, whatever the size", arguments: [3, 128, 129, 1_000])
    func excluded(count: Int) {
        var random = Seeded(9)
        var view = Targets(weights: Array(repeating: 0, count: count))
        view.weights[1] = 1
        view.weights[2] = 1
        var algorithm = LeastConnections(weights: view.weights)
        for _ in 0..<50 {
            #expect(algorithm.pick(from: view, random: random.next(), excluding: Exclusions([1])) == 2)
            #expect(algorithm.pick(from: view, random: random.next(), excluding: Exclusions([1, 2])) == nil)
        }
        view.weights[2] = 0  // seen before `weightChanged`
        #expect(algorithm.pick(from: view, random: 5) == 1)
        algorithm.weightChanged(at: 2, to: 0)
        algorithm.weightChanged(at: 1, to: 0)
        view.weights[1] = 0
        #expect(algorithm.pick(from: view, random: 5) == nil)
    }
}
