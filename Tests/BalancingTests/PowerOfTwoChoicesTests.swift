import Testing

@testable import PoiseBalancing

@Suite("Power of two choices")
struct PowerOfTwoChoicesTests {
    @Test("serves an idle group in proportion to the weights", arguments: [UInt64](1...3))
    func proportional(seed: UInt64) {
        var random = Seeded(seed)
        let weights = [1, 2, 5, 0, 8]
        let algorithm = PowerOfTwoChoices(weights: weights)
        var counts = Array(repeating: 0, count: weights.count)
        for _ in 0..<160_000 { counts[algorithm.pick(from: Targets(weights: weights), random: random.next())!] += 1 }
        for (count, weight) in zip(counts, weights) {
            #expect(abs(count - 10_000 * weight) <= 100 + 300 * weight, "seed \(seed): \(counts)")
        }
    }

    @Test("of two targets, takes the one with less load for its weight", arguments: [UInt64](0...50))
    func two(random: UInt64) {
        let algorithm = PowerOfTwoChoices(weights: [1, 0, 3])
        #expect(algorithm.pick(from: Targets(weights: [1, 0, 3], loads: [2, 0, 5]), random: random) == 2)
        #expect(algorithm.pick(from: Targets(weights: [1, 0, 3], loads: [2, 0, 7]), random: random) == 0)
    }

    @Test("keeps 10,000 targets within a few flows of each other", arguments: [UInt64](1...3))
    func level(seed: UInt64) {
        var random = Seeded(seed)
        var view = Targets(weights: Array(repeating: 256, count: 10_000))
        let algorithm = PowerOfTwoChoices(weights: view.weights)
        for _ in 0..<100_000 { view.loads[algorithm.pick(from: view, random: random.next())!] += 1 }
        // The mean is 10; one random choice alone would reach 24 or more.
        #expect(view.loads.max()! <= 14, "seed \(seed)")
    }

    @Test("works when nearly all targets are unusable, and never takes an excluded one")
    func sparse() {
        var random = Seeded(4)
        var view = Targets(weights: Array(repeating: 1, count: 5_000))
        var algorithm = PowerOfTwoChoices(weights: view.weights)
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
