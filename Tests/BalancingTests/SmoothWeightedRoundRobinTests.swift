import Testing

@testable import PoiseBalancing

@Suite("Smooth weighted round robin")
struct SmoothWeightedRoundRobinTests {
    @Test(
        "gives nginx's order in a small group",
        arguments: [
            ([5, 1, 1], 0, "aabacaa"),
            ([1, 1, 1], 0, "abcabc"),
            ([1, 1, 1], 1, "bcabca"),
            ([1, 1, 1], 5, "cabcab"),
            ([4, 2, 1], 0, "abacaba"),
            ([1280, 256, 256], 0, "aabacaa"),
            ([3, 0, 1], 0, "aacaaaca"),
            ([0, 7], 0, "bbb"),
            ([5, 1, 1], 2, "bacaaaabacaa"),
        ] as [([Int], UInt64, String)])
    func order(weights: [Int], start: UInt64, expected: String) {
        var schedule = SmoothWeightedRoundRobin(weights: weights, start: start)
        let picked = expected.map { _ in schedule.pick(from: Targets(weights: weights)) }
        #expect(picked.map { $0.map { String(UnicodeScalar(UInt8(97 + $0))) } ?? "-" }.joined() == expected)
    }

    @Test("gives nothing when nothing has a weight", arguments: [[], [0], [0, 0, 0], Array(repeating: 0, count: 100)])
    func nothing(weights: [Int]) {
        var schedule = SmoothWeightedRoundRobin(weights: weights, start: 7)
        #expect(schedule.pick(from: Targets(weights: weights)) == nil)
        #expect(schedule.pick() == nil)
    }

    @Test(
        "gives each of up to 4 targets exactly its weight per period, and never a pick too much or too few at any moment"
    )
    func exhaustive() {
        for length in 1...4 {
            for weights in everyList(of: 0...5, length: length) {
                let total = weights.reduce(0, +)
                guard total > 0 else { continue }
                var schedule = SmoothWeightedRoundRobin(weights: weights)
                var counts = Array(repeating: 0, count: length)
                for picks in 1...2 * total {
                    counts[schedule.pick(from: Targets(weights: weights))!] += 1
                    for (count, weight) in zip(counts, weights) {
                        // |count - picks × weight / total| < 1, without fractions
                        guard abs(count * total - picks * weight) < total else {
                            Issue.record("\(weights) after \(picks) picks: \(counts)")
                            return
                        }
                    }
                    if picks % total == 0 { #expect(counts == weights.map { $0 * picks / total }, "\(weights)") }
                }
            }
        }
    }

    @Test(
        "gives each target of a larger group its weight per period, and never a pick too much",
        arguments: [40, 64, 65, 100, 300], [UInt64](1...4))
    func fair(count: Int, seed: UInt64) {
        var random = Seeded(seed)
        let weights = (0..<count).map { _ in Bool.random(using: &random) ? 3 : Int.random(in: 0...17, using: &random) }
        let total = weights.reduce(0, +)
        let divisor = weights.reduce(0, greatestCommonDivisor)
        var schedule = SmoothWeightedRoundRobin(weights: weights)
        var counts = Array(repeating: 0, count: count)
        for picks in 1...total / divisor {
            counts[schedule.pick(from: Targets(weights: weights))!] += 1
            for (count, weight) in zip(counts, weights) {
                let ahead = count * total - picks * weight
                guard ahead < total, ahead > -2 * total else {
                    Issue.record("seed \(seed): after \(picks) picks a weight of \(weight) of \(total) has \(count)")
                    return
                }
            }
        }
        #expect(counts == weights.map { $0 / divisor }, "seed \(seed)")
    }

    @Test("visits equal targets in the order of their indices from any start", arguments: [2, 10, 64, 65, 10_000])
    func equals(count: Int) {
        for start in [0, 1, UInt64(count) - 1, UInt64(count), .max] {
            var schedule = SmoothWeightedRoundRobin(weights: Array(repeating: 256, count: count), start: start)
            let view = Targets(weights: Array(repeating: 256, count: count))
            let first = Int(start % UInt64(count))
            for step in 0..<2 * count {
                let picked = schedule.pick(from: view)
                guard picked == (first + step) % count else {
                    Issue.record("start \(start), step \(step): \(String(describing: picked))")
                    return
                }
            }
        }
    }

    @Test("leaves out what the view says has no weight, and what a retry excludes", arguments: [3, 100])
    func leavesOut(count: Int) {
        let weights = Array(repeating: 1, count: count)
        var schedule = SmoothWeightedRoundRobin(weights: weights)
        var view = Targets(weights: weights)
        view.weights[0] = 0
        #expect(schedule.pick(from: view) == 1)
        #expect(schedule.pick(from: view, excluding: Exclusions([2])) == (count == 3 ? 1 : 3))
        view.weights = Array(repeating: 0, count: count)
        #expect(schedule.pick(from: view) == nil)
        view.weights[1] = 1
        #expect(schedule.pick(from: view, excluding: Exclusions([1])) == nil)
        #expect(schedule.pick(from: view) == 1)
    }

    @Test("goes on with the other weights when all targets of the heaviest are closed", arguments: [1, 100])
    func closedWeight(light: Int) {
        // One heavy target among light ones, excluded: its share must not be waited for.
        let weights = [60_000] + Array(repeating: 1, count: light)
        var schedule = SmoothWeightedRoundRobin(weights: weights)
        let view = Targets(weights: weights)
        var seen = Set<Int>()
        for _ in 0..<light { seen.insert(schedule.pick(from: view, excluding: Exclusions([0]))!) }
        #expect(seen == Set(1...light))
        #expect(schedule.pick(from: view) == 0)
    }

    @Test("keeps every other target's place when one weight changes", arguments: [8, 200])
    func changeKeepsOthers(count: Int) {
        var weights = Array(repeating: 1, count: count)
        var schedule = SmoothWeightedRoundRobin(weights: weights)
        for expected in 0..<5 { #expect(schedule.pick(from: Targets(weights: weights)) == expected) }
        weights[2] = 0
        schedule.weightChanged(at: 2, to: 0)
        let round = (0..<count - 1).map { _ in schedule.pick(from: Targets(weights: weights))! }
        #expect(round == Array(5..<count) + [0, 1] + [3, 4])
    }

    @Test("does not starve anyone when all weights shrink", arguments: [4, 100])
    func shrinking(count: Int) {
        var weights = Array(repeating: 65_536, count: count)
        var schedule = SmoothWeightedRoundRobin(weights: weights)
        for _ in 0..<count / 2 { _ = schedule.pick(from: Targets(weights: weights)) }
        for index in 0..<count {
            weights[index] = 1
            schedule.weightChanged(at: index, to: 1)
        }
        var counts = Array(repeating: 0, count: count)
        for _ in 0..<2 * count { counts[schedule.pick(from: Targets(weights: weights))!] += 1 }
        #expect(counts.min()! >= 1)
        #expect(counts.max()! <= 3)
    }

    @Test("stays fair and whole under random changes", arguments: [10, 64, 65, 500], [UInt64](1...3))
    func randomChanges(count: Int, seed: UInt64) {
        var random = Seeded(seed)
        var weights = (0..<count).map { _ in Int.random(in: 0...20, using: &random) }
        var schedule = SmoothWeightedRoundRobin(weights: weights, start: seed)
        for _ in 0..<2_000 {
            let index = Int.random(in: 0..<count, using: &random)
            weights[index] = Bool.random(using: &random) ? 0 : Int.random(in: 0...65_536, using: &random)
            schedule.weightChanged(at: index, to: weights[index])
            let picked = schedule.pick(from: Targets(weights: weights))
            #expect(picked.map { weights[$0] > 0 } ?? weights.allSatisfy { $0 == 0 }, "seed \(seed)")
            for credits in [schedule.exact.credits, schedule.rings.schedule.credits] {
                #expect((0...credits.count).contains(credits.reduce(0, +)))
            }
        }
        // Settled on new weights, everybody gets its share of a long run to within a few picks.
        for index in 0..<count {
            weights[index] = 1 + index % 4
            schedule.weightChanged(at: index, to: weights[index])
        }
        let total = weights.reduce(0, +)
        var counts = Array(repeating: 0, count: count)
        for _ in 0..<100 * total { counts[schedule.pick(from: Targets(weights: weights))!] += 1 }
        for (count, weight) in zip(counts, weights) { #expect(abs(count - 100 * weight) <= 3, "seed \(seed)") }
    }

    @Test("rounds a weight to 8 leading bits: configured weights stay exact, there are few rings")
    func rounding() {
        for weight in 0...256 { #expect(WeightRings.rounded(EffectiveWeight.of(weight)) == EffectiveWeight.of(weight)) }
        var different = Set<Int>()
        for weight in 1...EffectiveWeight.max {
            let rounded = WeightRings.rounded(weight)
            different.insert(rounded)
            guard abs(rounded - weight) * 256 <= weight else {
                Issue.record("\(weight) became \(rounded)")
                return
            }
        }
        #expect(different.count == 1_281 - 1)
    }
}
