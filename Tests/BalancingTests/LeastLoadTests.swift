import PoiseModel
import Testing

@testable import PoiseBalancing

@Suite("Least load: least_connections, sed, nq")
struct LeastLoadTests {
    typealias Rule = LeastLoad.Rule

    @Test(
        "takes the least of what its rule compares",
        arguments: [
            // flows / weight
            (.flows, [1, 1, 1], [2, 1, 3], 1),
            (.flows, [1, 2], [1, 2], 1),  // equals: the heaviest has the first turn
            (.flows, [1, 2], [1, 1], 1),
            (.flows, [4, 1], [3, 1], 0),
            (.flows, [0, 1], [0, 99], 1),
            (.flows, [65_536, 1], [65_535, 1], 0),
            (.flows, [65_536, 1], [65_537, 1], 1),
            // (flows + 1) / weight
            (.expectedDelay, [1, 3], [0, 1], 1),
            (.expectedDelay, [1, 3], [0, 3], 0),
            (.expectedDelay, [1, 256], [0, 254], 1),
            // An idle one whatever its weight
            (.neverQueue, [1, 3], [0, 1], 0),
            (.neverQueue, [1, 256], [0, 1], 0),
            (.neverQueue, [1, 3], [1, 1], 1),
            (.neverQueue, [2, 3], [1, 2], 1),  // 2/2 and 3/3: equals
            (.neverQueue, [0, 3], [0, 9], 1),
        ] as [(Rule, [Int], [Int], Int)])
    func least(rule: Rule, weights: [Int], loads: [Int], expected: Int) {
        var algorithm = LeastLoad(rule, weights: weights)
        #expect(algorithm.pick(from: Targets(weights: weights, loads: loads), random: 1) == expected)
    }

    @Test(
        "gives the published order while flows only come",
        arguments: [
            // Weighted least connections: idle, the weights decide the turns; then each target has its share.
            (.flows, [3, 1], "abaa" + "abaa"),
            (.flows, [1, 1, 1], "abccba"),
            // Shortest expected delay, ipvsadm(8): 1/3, 2/3 go to the fast one before 1/1 to the slow one. Where LVS takes
            // the first of equals (a a b a a b), they take turns.
            (.expectedDelay, [3, 1], "aaab" + "aaab"),
            (.expectedDelay, [2, 1], "aababa"),
            (.expectedDelay, [1, 10], "bbbbbbbbbba"),
            // Never queue, ipvsadm(8): one for each idle server first, then as sed.
            (.neverQueue, [3, 1], "abaa" + "aaab"),
            (.neverQueue, [1, 10, 1], "bac" + "bbbbbbbb"),
        ] as [(Rule, [Int], String)])
    func order(rule: Rule, weights: [Int], expected: String) {
        var algorithm = LeastLoad(rule, weights: weights)
        var view = Targets(weights: weights)
        let picked = expected.map { _ in
            let target = algorithm.pick(from: view, random: 0)!
            view.loads[target] += 1
            return String(UnicodeScalar(UInt8(97 + target)))
        }
        #expect(picked.joined() == expected)
    }

    @Test(
        "by answer time, takes the least (flows + 1) × time / weight; who never answered gets one flow at once",
        arguments: [
            ([1, 1], [0, 0], [10, 20], 0), ([1, 1], [1, 0], [10, 20], 0), ([1, 1], [2, 0], [10, 20], 1),
            ([1, 4], [0, 2], [10, 12], 1), ([1, 1], [0, 0], [10, nil], 1), ([1, 1], [0, 1], [90_000_000, nil], 0),
            ([1, 1], [99_999, 9], [67_108_864, nil], 0), ([1, 1], [5, 4], [nil, nil], 1),
            ([0, 1], [0, 9], [1, 9_999], 1),
        ] as [([Int], [Int], [Int?], Int)])
    func byTime(weights: [Int], loads: [Int], times: [Int?], expected: Int) {
        var algorithm = LeastLoad(.answerTime, weights: weights)
        var view = Targets(weights: weights, loads: loads)
        view.answerTimes = times
        #expect(algorithm.pick(from: view, random: 1) == expected)
    }

    @Test(
        "by answer time, a target that is ten times slower gets less than a tenth, in groups of any size",
        arguments: [4, 100],
        [UInt64](1...3))
    func slowTarget(count: Int, seed: UInt64) {
        var random = Seeded(seed)
        let weights = Array(repeating: 256, count: count)
        var algorithm = LeastLoad(.answerTime, weights: weights)
        var plain = LeastLoad(.flows, weights: weights)
        func share(_ pick: (Targets) -> Int) -> Double {
            var view = Targets(weights: weights)
            var averages = Array(repeating: PeakAverage(), count: count)
            var running: [(end: Int, target: Int, took: Int)] = []
            var taken = 0
            let flows = 400 * count
            // Two flows at once per target, in milliseconds; 10 ms each, and 100 ms at target 0.
            for flow in 0..<flows {
                let now = flow * 5 / count
                for index in running.indices.reversed() where running[index].end <= now {
                    let flow = running.remove(at: index)
                    view.loads[flow.target] -= 1
                    averages[flow.target] = averages[flow.target].observing(
                        .milliseconds(Int64(flow.took)), at: MonotonicTime(nanoseconds: Int64(flow.end) * 1_000_000))
                }
                view.answerTimes = averages.map { $0.value(at: MonotonicTime(nanoseconds: Int64(now) * 1_000_000)) }
                let target = pick(view)
                view.loads[target] += 1
                if target == 0, flow > flows / 2 { taken += 1 }
                let took = target == 0 ? 100 : 10
                running.append((now + took, target, took))
            }
            return Double(taken) / Double(flows / 2) * Double(count)
        }
        let byTime = share { algorithm.pick(from: $0, random: random.next())! }
        let byFlows = share { plain.pick(from: $0, random: random.next())! }
        #expect(byTime < 0.15, "seed \(seed): \(byTime) of an even share")
        #expect(byFlows > byTime, "seed \(seed): \(byFlows)")
    }

    @Test("by answer time, a slow target is asked again once its average has faded, every 23 s here")
    func askedAgain() {
        var algorithm = LeastLoad(.answerTime, weights: [1, 1])
        var averages = [PeakAverage(), PeakAverage()]
        var asked: [Int] = []
        for tenth in 0..<600 {  // one request each 100 ms, 10 or 100 ms long
            let now = MonotonicTime(nanoseconds: Int64(tenth) * 100_000_000)
            var view = Targets(weights: [1, 1])
            view.answerTimes = averages.map { $0.value(at: now) }
            let target = algorithm.pick(from: view, random: 0)!
            if target == 1 { asked.append(tenth) }
            averages[target] = averages[target].observing(.milliseconds(target == 1 ? 100 : 10), at: now)
        }
        // ln 10 × 10 s, and less what the quick one's average has faded between two requests.
        #expect(asked.count == 3)
        for (earlier, later) in zip(asked, asked.dropFirst()) { #expect((225...235).contains(later - earlier)) }
    }

    @Test("equals take turns in proportion to their weights, from the start that was given")
    func turns() {
        let view = Targets(weights: [1, 1, 1, 0, 1], loads: [0, 5, 0, 0, 0])
        var algorithm = LeastLoad(.flows, weights: view.weights)
        #expect((0..<7).map { _ in algorithm.pick(from: view, random: 0) } == [0, 2, 4, 0, 2, 4, 0])
        for start in 0..<10 {
            var equals = LeastLoad(.flows, weights: [1, 1, 1, 1, 1], start: UInt64(start))
            let view = Targets(weights: [1, 1, 1, 1, 1])
            #expect((0..<5).map { _ in equals.pick(from: view, random: 0)! } == (0..<5).map { ($0 + start) % 5 })
        }

        // One request at a time finds everybody idle: the shares are those of round robin.
        for rule in [Rule.flows, .neverQueue] {
            var weighted = LeastLoad(rule, weights: [5, 1, 1])
            let idle = Targets(weights: [5, 1, 1])
            #expect((0..<7).map { _ in weighted.pick(from: idle, random: 0) } == [0, 0, 1, 0, 2, 0, 0])
        }
        var greedy = LeastLoad(.expectedDelay, weights: [5, 1, 5])
        let idle = Targets(weights: [5, 1, 5])
        #expect((0..<4).map { _ in greedy.pick(from: idle, random: 0) } == [0, 2, 0, 2])
    }

    /// What the source of LVS says, in fractions.
    private func published(_ rule: Rule, load: Int, weight: Int) -> Double {
        switch rule {
        case .flows: Double(load) / Double(weight)
        case .expectedDelay, .answerTime: Double(load + 1) / Double(weight)  // Answer times are equal here.
        case .neverQueue: load == 0 ? 0 : Double(load + 1) / Double(weight)
        }
    }

    @Test(
        "agrees with the definition over all small groups",
        arguments: [Rule.flows, .expectedDelay, .neverQueue, .answerTime])
    func exhaustive(rule: Rule) {
        for weights in everyList(of: 0...3, length: 3) {
            for loads in everyList(of: 0...3, length: 3) {
                var algorithm = LeastLoad(rule, weights: weights)
                let usable = (0..<3).filter { weights[$0] > 0 }
                let costs = usable.map { published(rule, load: loads[$0], weight: weights[$0]) }
                // Weights of up to 3 have no two costs closer than this that are not equal.
                let best = usable.indices.filter { costs[$0] - costs.min()! < 1e-9 }.map { usable[$0] }
                for _ in 0..<4 {
                    let picked = algorithm.pick(from: Targets(weights: weights, loads: loads), random: 0)
                    #expect(picked.map { best.contains($0) } ?? best.isEmpty, "\(weights) \(loads)")
                }
            }
        }
    }

    @Test(
        "keeps a large group level: 10 flows per target that never end",
        arguments: [Rule.flows, .expectedDelay, .neverQueue], [UInt64](1...2))
    func level(rule: Rule, seed: UInt64) {
        var random = Seeded(seed)
        let count = 10_000
        var view = Targets(weights: Array(repeating: 256, count: count))
        var algorithm = LeastLoad(rule, weights: view.weights)
        for _ in 0..<10 * count { view.loads[algorithm.pick(from: view, random: random.next())!] += 1 }
        #expect(view.loads.max()! <= 12, "seed \(seed)")
    }

    @Test("never queue finds the last idle targets of a large group within n / 128 picks", arguments: [UInt64](1...3))
    func idleInLarge(seed: UInt64) {
        var random = Seeded(seed)
        let count = 4_096
        var view = Targets(weights: Array(repeating: 256, count: count), loads: Array(repeating: 3, count: count))
        let idle = Int.random(in: 0..<count, using: &random)
        view.loads[idle] = 0
        var algorithm = LeastLoad(.neverQueue, weights: view.weights, start: random.next())
        let picks = (0..<count / LeastLoad.idleSearchMax).map { _ in algorithm.pick(from: view, random: random.next())!
        }
        #expect(picks.contains(idle), "seed \(seed)")
        view.loads[idle] = 3
        #expect(algorithm.pick(from: view, random: random.next()) != nil)
    }

    @Test("follows the weights in a large group", arguments: [Rule.flows, .expectedDelay], [UInt64](1...3))
    func weighted(rule: Rule, seed: UInt64) {
        var random = Seeded(seed)
        let weights = (0..<1_000).map { $0 < 100 ? 10 : 1 }
        var view = Targets(weights: weights)
        var algorithm = LeastLoad(rule, weights: weights)
        for _ in 0..<38_000 { view.loads[algorithm.pick(from: view, random: random.next())!] += 1 }
        #expect(view.loads[..<100].allSatisfy { (185...215).contains($0) }, "seed \(seed): \(view.loads[..<100])")
        #expect(view.loads[100...].max()! <= 23, "seed \(seed)")
    }

    @Test(
        "never takes an excluded or closed target, whatever the size",
        arguments: [3, 128, 129, 1_000], [Rule.flows, .expectedDelay, .neverQueue])
    func excluded(count: Int, rule: Rule) {
        var random = Seeded(9)
        var view = Targets(weights: Array(repeating: 0, count: count))
        view.weights[1] = 1
        view.weights[2] = 1
        var algorithm = LeastLoad(rule, weights: view.weights)
        for round in 0..<50 {
            view.loads[2] = round % 2  // idle or not
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
