import PoiseModel
import Testing

@testable import PoiseBalancing

@Suite("Priority tiers with spill-over")
struct SpillOverTests {
    /// Percents of the traffic that tiers take when these percents of them are healthy.
    private func shares(_ healthy: [Int], percent: Int = 140) -> [Int] {
        var spill = SpillOver(full: healthy.map { _ in 100 * 256 }, percent: percent)
        for (tier, part) in healthy.enumerated() { spill.change(tier, by: (part - 100) * 256) }
        var counts = Array(repeating: 0, count: healthy.count)
        for _ in 0..<10_000 { if let tier = spill.next() { counts[tier] += 1 } }
        return counts.map { ($0 + 50) / 100 }
    }

    @Test(
        "divides the traffic as Envoy's documentation says",
        arguments: [
            ([100, 100], [100, 0]), ([72, 100], [100, 0]), ([71, 100], [99, 1]), ([50, 100], [70, 30]),
            ([25, 100], [35, 65]), ([0, 100], [0, 100]),
            ([25, 25], [50, 50]), ([0, 0], [0, 0]), ([1, 0], [100, 0]),
            ([100, 100, 100], [100, 0, 0]), ([72, 72, 100], [100, 0, 0]), ([71, 71, 100], [99, 1, 0]),
            ([50, 50, 100], [70, 30, 0]), ([25, 100, 100], [35, 65, 0]), ([25, 25, 100], [35, 35, 30]),
            ([25, 25, 20], [36, 36, 28]),
        ])
    func published(healthy: [Int], expected: [Int]) {
        for (share, expected) in zip(shares(healthy), expected) { #expect(abs(share - expected) <= 1, "\(healthy)") }
    }

    @Test("without overprovisioning whatever is not healthy spills over")
    func exact() {
        #expect(shares([99, 100], percent: 100) == [99, 1])
        #expect(shares([70, 100], percent: 100) == [70, 30])
    }

    private func group(_ algorithm: Algorithm, weights: [Int], backups: Set<Int> = []) -> TieredScheduler {
        TieredScheduler(
            algorithm: algorithm, identities: weights.indices.map { mix64(UInt64($0)) }, weights: weights,
            isBackup: weights.indices.map { backups.contains($0) }, tiers: weights.indices.map { $0 / 4 },
            flowsMax: 1_000_000, start: 1)
    }

    @Test("a tier that fails bit by bit hands on bit by bit, then to the backups", arguments: Algorithm.allCases)
    func failing(algorithm: Algorithm) {
        // Tier 0 is 0...3, tier 1 is 4...7, 8 is a backup.
        var view = Targets(weights: Array(repeating: 256, count: 9))
        var scheduler = group(algorithm, weights: view.weights, backups: [8])
        var random = Seeded(1)
        func shares() -> [Double] {
            var counts = [0.0, 0.0, 0.0]
            for _ in 0..<4_000 {
                let target = scheduler.pick(from: view, key: random.next(), random: random.next())!
                #expect(view.weights[target] > 0)
                counts[target / 4] += 1
            }
            return counts.map { $0 / 4_000 }
        }
        func fail(_ target: Int) {
            view.weights[target] = 0
            scheduler.weightChanged(at: target, to: 0)
        }
        #expect(shares() == [1, 0, 0])
        for (target, share) in [(0, 1.0), (3, 0.7), (1, 0.35), (2, 0.0)] {  // 105 %, 70 %, 35 %, 0 % of the traffic
            fail(target)
            let now = shares()
            #expect(abs(now[0] - share) < 0.03 && now[2] == 0, "\(now)")
        }
        for target in 4...7 { fail(target) }
        #expect(shares()[2] > 0.999)
        view.weights[8] = 0
        scheduler.weightChanged(at: 8, to: 0)
        #expect(scheduler.pick(from: view, key: 1, random: 1) == nil)
        view.weights[2] = 256
        scheduler.weightChanged(at: 2, to: 256)
        #expect(shares()[0] > 0.999, "all the others are gone")
    }

    @Test(
        "a weight told at run time is no ill health; who is closed counts as much as it had", arguments: [1, 64, 300])
    func weightsAreNotHealth(weight: Int) {
        var view = Targets(weights: Array(repeating: 256, count: 8))
        var scheduler = group(.roundRobin, weights: view.weights)
        func set(_ target: Int, _ weight: Int) {
            view.weights[target] = weight
            scheduler.weightChanged(at: target, to: weight)
        }
        func near() -> Double {
            Double((0..<2_000).count { _ in scheduler.pick(from: view, key: 0, random: 0)! < 4 }) / 2_000
        }
        for target in 0..<4 { set(target, weight) }
        #expect(near() == 1)
        // Two of four that are alike: 70 % of the traffic.
        set(0, 0)
        set(1, 0)
        #expect(abs(near() - 0.7) < 0.01)
        // Back, slowly: no less than before at once, whatever becomes of it on the way.
        set(0, 1)
        #expect(near() == 1)
        set(0, 0)
        #expect(abs(near() - 0.7) < 0.01)
    }

    @Test("a large target that is closed takes its whole part of the health with it")
    func largeTarget() {
        var view = Targets(weights: Array(repeating: 256, count: 8))
        var scheduler = group(.roundRobin, weights: view.weights)
        for weight in [256 * 97, 0] {
            view.weights[0] = weight
            scheduler.weightChanged(at: 0, to: weight)
        }
        // 3 of 100 are left: 4.2 % of the traffic.
        let near = (0..<10_000).count { _ in scheduler.pick(from: view, key: 0, random: 0)! < 4 }
        #expect(abs(near - 420) < 5, "\(near)")
    }

    @Test("who is left out by a subset is not ill: the first tier takes all while the whole of it can")
    func subset() {
        var view = Targets(weights: Array(repeating: 256, count: 8))
        var scheduler = group(.roundRobin, weights: view.weights)
        func set(_ target: Int, _ weight: Int, standing: Int) {
            view.weights[target] = weight
            scheduler.weightChanged(at: target, to: weight, standing: standing)
        }
        func near() -> Double {
            Double((0..<2_000).count { _ in scheduler.pick(from: view, key: 0, random: 0)! < 4 }) / 2_000
        }
        for target in [1, 2, 3, 5, 6, 7] { set(target, 0, standing: 256) }
        #expect(near() == 1)
        // Its only member fails and another one takes its place, and again: 105 %, then 70 % of the traffic.
        set(0, 0, standing: 0)
        set(1, 256, standing: 256)
        #expect(near() == 1)
        set(1, 0, standing: 0)
        set(2, 256, standing: 256)
        #expect(abs(near() - 0.7) < 0.01)
    }

    @Test("a retry goes to the other tiers when its own has nobody left", arguments: Algorithm.allCases)
    func retries(algorithm: Algorithm) {
        let view = Targets(weights: Array(repeating: 256, count: 8))
        var scheduler = group(algorithm, weights: view.weights)
        var excluded = Exclusions()
        var order: [Int] = []
        while let target = scheduler.pick(from: view, key: 5, random: 7, excluding: excluded) {
            order.append(target)
            excluded.insert(target)
        }
        #expect(Set(order.prefix(4)) == [0, 1, 2, 3])
        #expect(Set(order.suffix(4)) == [4, 5, 6, 7])
    }

    @Test("a key keeps its tier while that shrinks, and comes back", arguments: [Algorithm.hash])
    func keys(algorithm: Algorithm) {
        var view = Targets(weights: Array(repeating: 256, count: 8))
        var scheduler = group(algorithm, weights: view.weights)
        let keys = (0..<2_000).map { mix64(UInt64($0)) }
        let before = keys.map { scheduler.pick(from: view, key: $0, random: 0)! }
        for target in [0, 1] {
            view.weights[target] = 0
            scheduler.weightChanged(at: target, to: 0)
        }
        let during = keys.map { scheduler.pick(from: view, key: $0, random: 0)! }
        // 70 % stay in the tier, and of these whoever had 2 or 3 stays there.
        #expect(abs(during.count { $0 < 4 } - 1_400) < 80)
        for (old, new) in zip(before, during) { #expect(new == old || old < 2 || new >= 4) }
        for target in [0, 1] {
            view.weights[target] = 256
            scheduler.weightChanged(at: target, to: 256)
        }
        #expect(keys.map { scheduler.pick(from: view, key: $0, random: 0)! } == before)
    }
}
