import PoiseModel
import Testing

@testable import PoiseBalancing

@Suite("Tiers and the loads of their targets")
struct TieredLoadTests {
    /// A group by key in tiers and zones, with backups, as a seed has it.
    private struct Group {
        var view: Targets
        var bounded: TieredScheduler
        /// The same without a bound: where a key goes if its target has room.
        var free: TieredScheduler
        let weights: [Int]

        init(_ table: HashTable, percent: Int, _ random: inout Seeded) {
            let count = Int.random(in: 4...24, using: &random)
            weights = (0..<count).map { _ in 256 * Int.random(in: 1...4, using: &random) }
            let tiers = (0..<count).map { _ in Int.random(in: 0...2, using: &random) }
            let backups = (0..<count).map { $0 > 0 && Int.random(in: 0..<5, using: &random) == 0 }
            let zones = Int.random(in: 1...3, using: &random)
            let preference =
                zones == 1
                ? nil
                : ZonePreference(
                    zones: (0..<count).map { $0 % zones }, seeds: (0..<zones).map { mix64(UInt64($0)) },
                    overloadPercent: 120)
            var options = AlgorithmOptions()
            options.table = table
            let weights = weights
            func scheduler() -> TieredScheduler {
                TieredScheduler(
                    algorithm: .hash, options: options, identities: (0..<count).map { mix64(UInt64($0)) },
                    weights: weights, isBackup: backups, tiers: tiers, preference: preference, start: 0)
            }
            free = scheduler()
            options.boundedLoadPercent = percent
            bounded = scheduler()
            view = Targets(weights: weights)
            view.parts = (0..<count).map { bounded.part(of: $0) }
        }

        mutating func set(_ target: Int, to weight: Int) {
            view.weights[target] = weight
            bounded.weightChanged(at: target, to: weight)
            free.weightChanged(at: target, to: weight)
        }
    }

    @Test(
        "the bound is of the flows and weights of the tier and zone where the key belongs",
        arguments: HashTable.allCases.flatMap { table in [101, 125, 200].map { (table, $0) } }, [UInt64](1...6))
    func bound(_ policy: (table: HashTable, percent: Int), seed: UInt64) {
        var random = Seeded(seed)
        var group = Group(policy.table, percent: policy.percent, &random)
        let count = group.weights.count
        var running: [Int] = []
        let popular = (0..<5).map { _ in random.next() }
        for step in 0..<1_500 {
            if step % 40 == 0 {  // somebody fails, or comes back
                let target = Int.random(in: 0..<count, using: &random)
                group.set(target, to: group.view.weights[target] == 0 ? group.weights[target] : 0)
            }
            guard group.view.weights.contains(where: { $0 > 0 }) else { continue }
            let key = Int.random(in: 0..<4, using: &random) > 0 ? popular.randomElement(using: &random)! : random.next()
            let view = group.view
            func isWithin(_ target: Int) -> Bool {
                let members = view.parts.indices.filter { view.parts[$0] == view.parts[target] }
                let flows = members.reduce(0) { $0 + view.loads[$1] }
                let whole = members.reduce(0) { $0 + view.weights[$1] }
                return 100 * whole * view.loads[target] < policy.percent * (flows + 1) * view.weights[target]
            }
            let picked = group.bounded.pick(from: view, key: key, random: 0)!
            let own = group.free.pick(from: view, key: key, random: 0)!
            #expect(isWithin(picked), "above the bound: seed \(seed), step \(step), \(picked)")
            #expect(view.parts[picked] == view.parts[own], "a full target sends nobody to another tier or zone")
            if isWithin(own) { #expect(picked == own, "refused without need: seed \(seed), step \(step)") }
            group.view.loads[picked] += 1
            running.append(picked)
            if running.count > 60 || Bool.random(using: &random) {
                group.view.loads[running.remove(at: Int.random(in: 0..<running.count, using: &random))] -= 1
            }
        }
    }

    private func scheduler(tiers: [Int], backups: Set<Int> = [], zones: [Int]? = nil) -> TieredScheduler {
        TieredScheduler(
            algorithm: .leastConnections, identities: tiers.indices.map { mix64(UInt64($0)) },
            weights: tiers.map { _ in 256 }, isBackup: tiers.indices.map { backups.contains($0) }, tiers: tiers,
            preference: zones.map {
                ZonePreference(zones: $0, seeds: [1, 2, 3], overloadPercent: 100)
            }, start: 1)
    }

    /// Who is asked, one after the other, for a flow that finds each of them full.
    private func asked(_ scheduler: inout TieredScheduler, _ view: Targets) -> [Int] {
        guard let first = scheduler.pick(from: view, key: 1, random: 1) else { return [] }
        var asked = [first]
        while let next = scheduler.pick(
            insteadOf: first, from: view, key: 1, random: 1, excluding: Exclusions(asked))
        {
            asked.append(next)
        }
        return asked
    }

    @Test("a full target sends no flow to a tier or a backup that takes none, whatever it was asked for")
    func full() {
        // Tier 0 is 0...3, tier 1 is 4 and 5, 6 is a backup.
        var view = Targets(weights: Array(repeating: 256, count: 7))
        var group = scheduler(tiers: [0, 0, 0, 0, 1, 1, 0], backups: [6])
        func fail(_ targets: [Int]) {
            for target in targets {
                view.weights[target] = 0
                group.weightChanged(at: target, to: 0)
            }
        }
        #expect(Set(asked(&group, view)) == [0, 1, 2, 3])
        #expect((0..<7).map { group.isIn(group.service, $0) } == [true, true, true, true, false, false, false])
        fail([0])  // 105 % of what it must take
        #expect(Set(asked(&group, view)) == [1, 2, 3])
        fail([1])  // 70 %: tier 1 takes the rest, and so is open to all
        #expect(Set(asked(&group, view)) == [2, 3, 4, 5])
        fail([2, 3])
        #expect(Set(asked(&group, view)) == [4, 5])
        fail([4])
        #expect(asked(&group, view) == [5])
        fail([5])
        #expect(asked(&group, view) == [6] && group.isIn(group.service, 6))
        fail([6])
        #expect(asked(&group, view) == [] && !group.isIn(group.service, 6))
    }

    @Test("a full target's flows stay in its tier, and leave its zone")
    func fullZone() {
        let view = Targets(weights: Array(repeating: 256, count: 8))
        // Half of tier 0 is near, so that all flows stay near.
        var group = scheduler(tiers: [0, 0, 0, 0, 1, 1, 1, 1], zones: [0, 0, 1, 2, 0, 0, 1, 2])
        let order = asked(&group, view)
        #expect(Set(order.prefix(2)) == [0, 1] && Set(order) == [0, 1, 2, 3], "\(order)")
    }

    @Test("a retry that has tried all of its tier may go on, and then waits for whom it found")
    func retried() {
        let view = Targets(weights: Array(repeating: 256, count: 3))
        var group = scheduler(tiers: [0, 0, 1])
        let tried = Exclusions([0, 1])
        #expect(group.pick(from: view, key: 1, random: 1, excluding: tried) == 2)
        #expect(group.pick(insteadOf: 2, from: view, key: 1, random: 1, excluding: Exclusions([0, 1, 2])) == nil)
    }

    @Test("shares are told as they are: they add up, and who takes nothing has 0")
    func shares() {
        var group = scheduler(tiers: [0, 0, 0, 0, 1, 1, 0], backups: [6])
        func told() -> [Int] { group.tierShares.map { Int(($0.share * 100).rounded()) } }
        #expect(told() == [100, 0, 0])
        group.weightChanged(at: 0, to: 0)
        group.weightChanged(at: 1, to: 0)
        #expect(told() == [70, 30, 0])
        for target in 2...5 { group.weightChanged(at: target, to: 0) }
        #expect(told() == [0, 0, 100])
        group.weightChanged(at: 6, to: 0)
        #expect(told() == [0, 0, 0])
        let plain = scheduler(tiers: [0, 0])
        #expect(plain.tierShares.isEmpty)
        // One of four is near for a third of the flows: 75 % of these stay.
        let zoned = scheduler(tiers: [0, 0, 0, 0], zones: [0, 1, 1, 2]).tierShares
        #expect(zoned.count == 1 && zoned[0].share == 1)
        #expect(zoned[0].zones.map { Int(($0 * 100).rounded()) } == [75, 25, 0])
    }
}
