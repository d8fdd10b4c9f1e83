import PoiseModel
import Testing

@testable import PoiseBalancing

@Suite("Zone preference: the own zone first, others for what its targets cannot take")
struct ZoneTests {
    /// Percents of the flows that zones take, the own one first, with these weights in force.
    private func shares(_ usable: [Int], traffic: Int? = nil, overload: Int = 100) -> [Int] {
        let preference = ZonePreference(
            zones: [], seeds: usable.indices.map { mix64(UInt64($0)) }, trafficPercent: traffic,
            overloadPercent: overload)
        var shares = ZoneShares(preference, usable: usable.map { $0 * 256 })
        var counts = Array(repeating: 0, count: usable.count)
        for _ in 0..<10_000 { if let zone = shares.next() { counts[zone] += 1 } }
        return counts.map { ($0 + 50) / 100 }
    }

    @Test(
        "divides the flows by what zones can take",
        arguments: [
            // Equal zones, and zones with more than their part.
            ([3, 3, 3], nil, 100, [100, 0, 0]), ([4, 3, 3], nil, 100, [100, 0, 0]), ([5, 5], nil, 100, [100, 0]),
            // One of ten targets is here, and half of the requests.
            ([1, 9], nil, 100, [20, 80]), ([1, 9], nil, 120, [24, 76]), ([1, 9], nil, 10_000, [100, 0]),
            ([9, 1], nil, 100, [100, 0]),
            // One of three failed, or two of them, or all.
            ([2, 3, 3], nil, 100, [75, 13, 13]), ([2, 3, 3], nil, 120, [90, 5, 5]),
            ([1, 3, 3], nil, 100, [43, 29, 29]), ([0, 3, 3], nil, 100, [0, 50, 50]),
            // What leaves goes to those that have more than they need.
            ([2, 3, 4], nil, 100, [67, 0, 33]), ([1, 2, 6], nil, 100, [33, 0, 67]),
            // Nobody elsewhere, nobody at all.
            ([1, 0, 0], nil, 100, [100, 0, 0]), ([0, 0, 0], nil, 100, [0, 0, 0]),
            // Most of the requests arrive here, or few of them.
            ([1, 1], 80, 100, [63, 38]), ([1, 1], 50, 100, [100, 0]), ([1, 3], 25, 100, [100, 0]),
            ([1, 1], 100, 100, [50, 50]), ([1, 99], 1, 100, [100, 0]),
        ] as [([Int], Int?, Int, [Int])])
    func divides(usable: [Int], traffic: Int?, overload: Int, expected: [Int]) {
        let found = shares(usable, traffic: traffic, overload: overload)
        for (share, expected) in zip(found, expected) { #expect(abs(share - expected) <= 1, "\(found)") }
    }

    @Test("with an overload of 100 % and one Poise per zone every target has the mean load, whatever the weights")
    func even() {
        var random = Seeded(7)
        for round in 0..<500 {
            let zones = Int.random(in: 2...6, using: &random)
            let usable = (0..<zones).map { _ in Int.random(in: 0...40, using: &random) }
            guard usable.reduce(0, +) > 0 else { continue }
            // What each zone gets of the requests that arrive in all, as many in each.
            var load = Array(repeating: 0.0, count: zones)
            for own in 0..<zones {
                let order = [own] + (0..<zones).filter { $0 != own }
                let preference = ZonePreference(
                    zones: [], seeds: order.map { mix64(UInt64($0)) }, overloadPercent: 100)
                let shares = ZoneShares(preference, usable: order.map { usable[$0] * 256 }).shares
                #expect(shares.reduce(0, +) == ZoneShares.whole && shares.allSatisfy { $0 >= 0 })
                for (place, zone) in order.enumerated() { load[zone] += Double(shares[place]) / 65_536 }
            }
            let mean = Double(zones) / Double(usable.reduce(0, +))
            for (zone, weight) in usable.enumerated() {
                #expect(abs(load[zone] - mean * Double(weight)) < 0.002, "round \(round): \(usable) \(load)")
            }
        }
    }

    @Test("no target has more than the overload allows, and as few flows leave a zone as that needs")
    func bounded() {
        var random = Seeded(11)
        for round in 0..<500 {
            let usable = (0..<Int.random(in: 2...6, using: &random)).map { _ in Int.random(in: 1...40, using: &random) }
            let overload = Int.random(in: 100...300, using: &random)
            let preference = ZonePreference(
                zones: [], seeds: usable.indices.map { UInt64($0) }, overloadPercent: overload)
            let own = Double(ZoneShares(preference, usable: usable.map { $0 * 256 }).shares[0]) / 65_536
            let capacity = Double(usable[0]) / Double(usable.reduce(0, +)) * Double(usable.count)
            #expect(abs(own - min(1, capacity * Double(overload) / 100)) < 0.001, "round \(round): \(usable)")
        }
    }

    /// Zone 0 is 0...3, zone 1 is 4...7, zone 2 is 8...11.
    private func group(_ algorithm: Algorithm, count: Int = 12, tiers: [Int] = [], overload: Int = 100)
        -> TieredScheduler
    {
        TieredScheduler(
            algorithm: algorithm, identities: (0..<count).map { mix64(UInt64($0)) },
            weights: Array(repeating: 256, count: count), tiers: tiers,
            preference: ZonePreference(
                zones: (0..<count).map { $0 / 4 }, seeds: (0..<count / 4).map { mix64(UInt64($0) + 99) },
                overloadPercent: overload),
            flowsMax: 1_000_000, start: 1)
    }

    @Test("flows stay in the zone while it is whole, and leave it as it fails", arguments: Algorithm.allCases)
    func failing(algorithm: Algorithm) {
        var view = Targets(weights: Array(repeating: 256, count: 12))
        var scheduler = group(algorithm)
        var random = Seeded(3)
        func near() -> Double {
            var count = 0
            for _ in 0..<4_000 {
                let target = scheduler.pick(from: view, key: random.next(), random: random.next())!
                #expect(view.weights[target] > 0)
                if target < 4 { count += 1 }
            }
            return Double(count) / 4_000
        }
        #expect(near() == 1)
        // 3 of 11, 2 of 10, 1 of 9, none, for a third of the requests.
        for (target, share) in [(0, 9.0 / 11), (3, 0.6), (1, 1.0 / 3), (2, 0)] {
            view.weights[target] = 0
            scheduler.weightChanged(at: target, to: 0)
            let now = near()
            #expect(abs(now - share) < 0.03, "\(now) instead of \(share)")
        }
        for target in 0..<4 {
            view.weights[target] = 256
            scheduler.weightChanged(at: target, to: 256)
        }
        #expect(near() == 1)
    }

    @Test("a retry stays in its zone, then in its tier, then goes on", arguments: Algorithm.allCases)
    func retries(algorithm: Algorithm) {
        // Tier 0 is 0, 1 (zone 0) and 4, 5 (zone 1), tier 1 the others.
        let tiers = [0, 0, 1, 1, 0, 0, 1, 1]
        let view = Targets(weights: Array(repeating: 256, count: 8))
        var scheduler = group(algorithm, count: 8, tiers: tiers)
        var excluded = Exclusions()
        var order: [Int] = []
        while let target = scheduler.pick(from: view, key: 5, random: 7, excluding: excluded) {
            order.append(target)
            excluded.insert(target)
        }
        #expect(order.count == 8 && Set(order[0..<2]) == [0, 1] && Set(order[2..<4]) == [4, 5])
        #expect(Set(order[4..<8]) == [2, 3, 6, 7])
    }

    @Test("a key stays where it is while its target is usable", arguments: HashTable.allCases)
    func keys(table: HashTable) {
        var options = AlgorithmOptions()
        options.table = table
        var view = Targets(weights: Array(repeating: 256, count: 12))
        let zones = ZonePreference(zones: (0..<12).map { $0 / 4 }, seeds: [5, 6, 7], overloadPercent: 100)
        var scheduler = TieredScheduler(
            algorithm: .hash, options: options, identities: (0..<12).map { mix64(UInt64($0)) },
            weights: view.weights, preference: zones, start: 0)
        func set(_ target: Int, _ weight: Int) {
            view.weights[target] = weight
            scheduler.weightChanged(at: target, to: weight)
        }
        let keys = (0..<3_000).map { mix64(UInt64($0)) }
        func all() -> [Int] { keys.map { scheduler.pick(from: view, key: $0, random: 0)! } }
        let whole = all()
        #expect(whole.allSatisfy { $0 < 4 })
        set(0, 0)
        let less = all()
        // Its own keys move, and those that the smaller zone cannot take any more; nobody else's.
        for (old, new) in zip(whole, less) { #expect(new == old || old == 0 || new >= 4) }
        set(1, 0)
        let least = all()
        for (old, new) in zip(less, least) { #expect(new == old || old == 1 || (old < 4 && new >= 4)) }
        set(0, 256)
        set(1, 256)
        #expect(all() == whole)
        // Far away, too: a zone that shrinks moves its own keys.
        for target in 0..<4 { set(target, 0) }
        let far = all()
        set(4, 0)
        for (old, new) in zip(far, all()) where old >= 8 { #expect(new == old) }
    }

    @Test("with a subset zones share by what the whole group has there, not by its members")
    func subsetOfZones() {
        // Zone 0 is 0...3, of which 0 is a member, zone 1 is 4...7, with two, zone 2 is 8...11, with one.
        var view = Targets(weights: Array(repeating: 256, count: 12))
        var scheduler = group(.roundRobin)
        for target in 0..<12 where ![0, 4, 5, 8].contains(target) {
            view.weights[target] = 0
            scheduler.weightChanged(at: target, to: 0, standing: 256)
        }
        func near() -> Double {
            Double((0..<2_000).count { _ in scheduler.pick(from: view, key: 0, random: 0)! < 4 }) / 2_000
        }
        #expect(near() == 1)
        // Half of the zone is ill, none of them a member: 2 of 10 for a third of the requests.
        for target in [2, 3] { scheduler.weightChanged(at: target, to: 0, standing: 0) }
        #expect(abs(near() - 0.6) < 0.01)
    }

    @Test(
        "members of a subset that leaves whole zones out all take flows, and status tells what they take",
        arguments: [
            // Members of zone 0 (the own one), 1 and 2, of four targets each: what zones take, of a hundred.
            ([4, 8], [0, 50, 50]), ([5, 6, 9], [0, 67, 33]), ([8], [0, 0, 100]), ([0, 4], [100, 0, 0]),
            ([0, 4, 5, 6, 7], [60, 40, 0]), ([0, 4, 8], [100, 0, 0]),
        ] as [([Int], [Int])])
    func subsetWithoutZones(members: [Int], expected: [Int]) {
        var view = Targets(weights: Array(repeating: 256, count: 12))
        var scheduler = group(.roundRobin)
        for target in 0..<12 where !members.contains(target) {
            view.weights[target] = 0
            scheduler.weightChanged(at: target, to: 0, standing: 256)
        }
        var taken = Array(repeating: 0, count: 12)
        for _ in 0..<3_000 { taken[scheduler.pick(from: view, key: 0, random: 0)!] += 1 }
        let zones = (0..<3).map { zone in taken[zone * 4..<zone * 4 + 4].reduce(0, +) / 30 }
        let shown = scheduler.tierShares[0].zones
        for zone in 0..<3 {
            #expect(abs(zones[zone] - expected[zone]) <= 1, "\(zones)")
            #expect(abs(Int(shown[zone] * 100) - expected[zone]) <= 1, "\(shown)")
        }
        // Everybody back in use: as if nothing had been.
        for target in 0..<12 where !members.contains(target) {
            scheduler.weightChanged(at: target, to: 256, standing: 256)
        }
        #expect(scheduler.tierShares[0].zones == [1, 0, 0])
    }

    @Test("the bound of the load is that of the zone: nobody is passed over because others are idle")
    func bound() {
        var options = AlgorithmOptions()
        options.boundedLoadPercent = 125
        var view = Targets(weights: Array(repeating: 256, count: 12))
        view.parts = (0..<12).map { $0 / 4 }
        var scheduler = TieredScheduler(
            algorithm: .hash, options: options, identities: (0..<12).map { mix64(UInt64($0)) },
            weights: view.weights,
            preference: ZonePreference(zones: (0..<12).map { $0 / 4 }, seeds: [5, 6, 7], overloadPercent: 100),
            start: 0)
        var random = Seeded(5)
        for _ in 0..<400 {
            let target = scheduler.pick(from: view, key: random.next() % 3, random: 0)!
            view.loads[target] += 1
        }
        // Three keys, and yet all four of the zone have their part, none more than 125 % of it.
        #expect(view.loads[4...].allSatisfy { $0 == 0 } && view.loads[0..<4].allSatisfy { $0 <= 126 }, "\(view.loads)")
    }
}

@Suite("Subsets: which targets a node uses")
struct TargetSubsetTests {
    private func members(_ subset: TargetSubset, where isUsable: (Int) -> Bool = { _ in true }) -> Set<Int> {
        var members: Set<Int> = []
        subset.forEachMember(where: isUsable) { members.insert($0) }
        return members
    }

    private func subset(_ size: Int, of identities: [UInt64], node: UInt64, zones: [Int] = []) -> TargetSubset {
        TargetSubset(
            size: size, node: mix64(node), identities: identities, tiers: identities.map { _ in 0 }, zones: zones)
    }

    @Test("has the size that was asked for, and is the same for the same node in any order of the file")
    func stable() {
        let identities = (0..<500).map { mix64(UInt64($0)) }
        for node in 0..<20 as Range<UInt64> {
            let one = members(subset(32, of: identities, node: node))
            #expect(one.count == 32)
            let reversed = members(subset(32, of: identities.reversed(), node: node))
            #expect(Set(reversed.map { 499 - $0 }) == one)
        }
        #expect(members(subset(600, of: identities, node: 1)).count == 500)
    }

    @Test("who fails is replaced by one other, and comes back; nobody else moves")
    func replacement() {
        var random = Seeded(13)
        let identities = (0..<300).map { mix64(UInt64($0)) }
        let subset = subset(24, of: identities, node: 5)
        var down: Set<Int> = []
        for step in 0..<2_000 {
            let before = members(subset, where: { !down.contains($0) })
            let target = Int.random(in: 0..<300, using: &random)
            let failed = down.insert(target).inserted
            if !failed { down.remove(target) }
            if down.count > 250 { down.removeAll() }
            guard down.count > 0 else { continue }
            let after = members(subset, where: { !down.contains($0) })
            let (gone, come) = (before.subtracting(after), after.subtracting(before))
            #expect(after.count == min(24, 300 - down.count) && after.isDisjoint(with: down))
            if failed {
                #expect(before.contains(target) ? gone == [target] && come.count == 1 : gone.isEmpty, "step \(step)")
            } else {
                #expect(come.isEmpty && gone.isEmpty || come == [target] && gone.count == 1, "step \(step)")
            }
        }
    }

    @Test("a target that joins takes the place of at most one other, on those nodes only that take it")
    func joining() {
        let identities = (0..<400).map { mix64(UInt64($0)) }
        var takers = 0
        for node in 0..<200 as Range<UInt64> {
            let before = members(subset(20, of: Array(identities.dropLast()), node: node))
            let after = members(subset(20, of: identities, node: node))
            let come = after.subtracting(before)
            #expect(come.isEmpty && after == before || come == [399] && before.subtracting(after).count == 1)
            takers += come.count
        }
        #expect((2...25).contains(takers), "a twentieth of the nodes: \(takers)")
    }

    @Test("many nodes cover all targets as evenly as chance does")
    func coverage() {
        let identities = (0..<200).map { mix64(UInt64($0)) }
        var uses = Array(repeating: 0, count: 200)
        for node in 0..<500 as Range<UInt64> {
            for target in members(subset(20, of: identities, node: node)) { uses[target] += 1 }
        }
        #expect(uses.reduce(0, +) == 10_000)
        // 50 of 500 nodes each, give or take sqrt(50 * 0.9).
        #expect(uses.allSatisfy { abs($0 - 50) < 5 * 7 }, "\(uses)")
        let variance = uses.reduce(0.0) { $0 + Double(($1 - 50) * ($1 - 50)) } / 200
        #expect((25...75).contains(variance), "\(variance)")
    }

    @Test("each tier has a subset, and zones have their part of it")
    func strata() {
        let identities = (0..<120).map { mix64(UInt64($0)) }
        let tiered = TargetSubset(size: 10, node: 1, identities: identities, tiers: (0..<120).map { $0 / 60 })
        #expect(members(tiered).count { $0 < 60 } == 10 && members(tiered).count { $0 >= 60 } == 10)
        // Zones of 90, 20 and 10 targets.
        let zoned = members(
            subset(12, of: identities, node: 1, zones: (0..<120).map { $0 < 90 ? 0 : $0 < 110 ? 1 : 2 }))
        #expect(zoned.count { $0 < 90 } == 9 && zoned.count { (90..<110).contains($0) } == 2)
        #expect(zoned.count { $0 >= 110 } == 1)
    }

    @Test("zones round nobody up beyond the size, and each has one while it is large enough", arguments: 1...60)
    func quotas(size: Int) {
        var random = Seeded(UInt64(size))
        for _ in 0..<20 {
            let counts = (0..<Int.random(in: 1...6, using: &random)).map { _ in Int.random(in: 1...20, using: &random) }
            let zones = counts.indices.flatMap { Array(repeating: $0, count: counts[$0]) }
            let subset = subset(size, of: zones.indices.map { mix64(UInt64($0)) }, node: 3, zones: zones)
            let found = counts.indices.map { zone in members(subset).count { zones[$0] == zone } }
            #expect(found.reduce(0, +) == min(size, zones.count), "\(counts): \(found)")
            guard size >= counts.count else { continue }
            for (count, quota) in zip(counts, found) {
                #expect(
                    quota >= 1 && quota <= max(1, (size * count + zones.count - 1) / zones.count), "\(counts): \(found)"
                )
            }
            // A zone that is gone leaves the others; with fewer members than zones these are never all gone.
            #expect(!members(subset, where: { zones[$0] == 0 }).isEmpty)
        }
        let few = subset(2, of: (0..<6).map { mix64(UInt64($0)) }, node: 3, zones: [0, 1, 2, 3, 4, 5])
        for last in 0..<6 { #expect(members(few, where: { $0 == last }) == [last]) }
    }
}
