import Testing

@testable import PoiseBalancing

@Suite("Random choices: random, weighted_random, p2c")
struct RandomChoicesTests {
    @Test("serves an idle group in proportion to the weights", arguments: [1, 2, 3, 16], [UInt64](1...3))
    func proportional(choices: Int, seed: UInt64) {
        var random = Seeded(seed)
        let weights = [1, 2, 5, 0, 8]
        let algorithm = RandomChoices(weights: weights, choices: choices)
        var counts = Array(repeating: 0, count: weights.count)
        for _ in 0..<160_000 { counts[algorithm.pick(from: Targets(weights: weights), random: random.next())!] += 1 }
        for (count, weight) in zip(counts, weights) {
            #expect(abs(count - 10_000 * weight) <= 100 + 300 * weight, "seed \(seed): \(counts)")
        }
    }

    @Test("of two targets, takes the one with less load for its weight", arguments: [UInt64](0...50))
    func two(random: UInt64) {
        let algorithm = RandomChoices(weights: [1, 0, 3], choices: 2)
        #expect(algorithm.pick(from: Targets(weights: [1, 0, 3], loads: [2, 0, 5]), random: random) == 2)
        #expect(algorithm.pick(from: Targets(weights: [1, 0, 3], loads: [2, 0, 7]), random: random) == 0)
    }

    @Test("takes the least loaded of a group that is no larger than the choices", arguments: [UInt64](0...50))
    func all(random: UInt64) {
        let algorithm = RandomChoices(weights: [1, 0, 3, 2, 1], choices: 4)
        #expect(algorithm.pick(from: Targets(weights: [1, 0, 3, 2, 1], loads: [2, 0, 5, 9, 2]), random: random) == 2)
        #expect(algorithm.pick(from: Targets(weights: [1, 0, 3, 2, 1], loads: [2, 0, 7, 3, 2]), random: random) == 3)
    }

    @Test(
        "keeps 10,000 targets within a few flows of each other, the closer the more choices",
        arguments: [(1, 20...40), (2, 12...14), (4, 11...12), (16, 11...11)], [UInt64](1...3))
    func level(choices: (Int, fullest: ClosedRange<Int>), seed: UInt64) {
        var random = Seeded(seed)
        var view = Targets(weights: Array(repeating: 256, count: 10_000))
        let algorithm = RandomChoices(weights: view.weights, choices: choices.0)
        for _ in 0..<100_000 { view.loads[algorithm.pick(from: view, random: random.next())!] += 1 }
        // The mean is 10.
        #expect(choices.fullest.contains(view.loads.max()!), "seed \(seed): \(view.loads.max()!)")
    }

    @Test("one choice does not look at loads")
    func blind() {
        var random = Seeded(3)
        let view = Targets(weights: [1, 1], loads: [0, 1_000])
        let algorithm = RandomChoices(weights: view.weights, choices: 1)
        let second = (0..<1_000).count { _ in algorithm.pick(from: view, random: random.next()) == 1 }
        #expect((420...580).contains(second))
    }

    @Test("random takes all alike, and less of a target that has less than its weight")
    func alike() {
        var random = Seeded(5)
        var view = Targets(weights: [256, 65_536, 512, 0])
        var algorithm = RandomChoices(alike: view.weights)
        func shares() -> [Int] {
            var counts = [0, 0, 0, 0]
            for _ in 0..<30_000 { counts[algorithm.pick(from: view, random: random.next())!] += 1 }
            return counts
        }
        func expect(_ expected: [Int]) {
            let counts = shares()
            for (count, expected) in zip(counts, expected) { #expect(abs(count - expected) < 450, "\(counts)") }
        }
        expect([10_000, 10_000, 10_000, 0])
        view.weights[1] = 16_384  // a quarter of the way of its slow start
        algorithm.weightChanged(at: 1, to: 16_384)
        expect([13_333, 3_333, 13_333, 0])
        for (index, weight) in [(1, 65_536), (2, 65_536), (3, 256)] {  // An operator's weights
            view.weights[index] = weight
            algorithm.weightChanged(at: index, to: weight)
        }
        expect([7_500, 7_500, 7_500, 7_500])
    }

    @Test("works when nearly all targets are unusable, and never takes an excluded one")
    func sparse() {
        var random = Seeded(4)
        var view = Targets(weights: Array(repeating: 1, count: 5_000))
        var algorithm = RandomChoices(weights: view.weights, choices: 2)
        for index in 0..<5_000 where index != 17 && index != 4_000 {
            view.weights[index] = 0
            algorithm.weightChanged(at: index, to: 0)
        }
        var seen = Set<Int>()
        for _ in 0..<100 { seen.insert(algorithm.pick(from: view, random: random.next())!) }
        #expect(seen == [17, 4_000])
        for _ in 0..<100 {
            #expect(algorithm.pick(from: view, random: random.next(), excluding: Exclusions([17])) == 4_000)
        }
        #expect(algorithm.pick(from: view, random: 1, excluding: Exclusions([17, 4_000])) == nil)
        view.weights[17] = 0  // seen before `weightChanged`
        #expect(algorithm.pick(from: view, random: 1) == 4_000)
        algorithm.weightChanged(at: 17, to: 0)
        algorithm.weightChanged(at: 4_000, to: 0)
        #expect(algorithm.pick(from: view, random: 1) == nil)
    }

    @Test("the sampler's lists agree with the weights after any change", arguments: [UInt64](1...3))
    func sampler(seed: UInt64) {
        var random = Seeded(seed)
        var weights = (0..<50).map { _ in Int.random(in: 0...65_536, using: &random) }
        var sampler = WeightedSampler(weights: weights)
        for _ in 0..<3_000 {
            let index = Int.random(in: 0..<50, using: &random)
            weights[index] = [0, 1, 2, 3, 256, 65_536, Int.random(in: 0...65_536, using: &random)].randomElement(
                using: &random)!
            sampler.setWeight(weights[index], at: index)
            #expect(sampler.totalWeight == weights.reduce(0, +))
            #expect(sampler.usableCount == weights.count { $0 > 0 }, "seed \(seed)")
            #expect(Set(sampler.order) == Set(0..<50))
            var first = 0
            for bucket in 0..<WeightedSampler.bucketCount {
                let members = sampler.order[first..<sampler.ends[bucket]].map { Int($0) }
                #expect(members.allSatisfy { WeightedSampler.bucket(of: weights[$0]) == bucket }, "seed \(seed)")
                #expect(sampler.bucketWeight[bucket] == members.reduce(0) { $0 + weights[$1] })
                first = sampler.ends[bucket]
            }
            #expect((0..<50).allSatisfy { sampler.order[Int(sampler.position[$0])] == $0 })
        }
    }

    @Test("draws in proportion to weights of any size", arguments: [UInt64](1...3))
    func draws(seed: UInt64) {
        var random = Seeded(seed)
        let weights = [1, 3, 100, 0, 1_000, 1_025, 40_000, 257]
        let sampler = WeightedSampler(weights: weights)
        let total = weights.reduce(0, +)
        var counts = Array(repeating: 0, count: weights.count)
        let draws = 400_000
        for _ in 0..<draws {
            var sequence = RandomSequence(seed: random.next())
            counts[sampler.draw(&sequence)] += 1
        }
        for (count, weight) in zip(counts, weights) {
            let expected = Double(draws) * Double(weight) / Double(total)
            #expect(abs(Double(count) - expected) <= 5 * expected.squareRoot(), "seed \(seed): \(counts)")
        }
    }
}
