import Glibc
import PoiseModel
import Testing

@testable import PoiseBalancing

@Suite("By key: Maglev, ring and rendezvous, with and without a bound")
struct KeyedChoiceTests {
    /// Hashes of `10.0.<n/250>.<n%250>:8080`, as a group has them.
    private func identities(_ count: Int) -> [UInt64] {
        (0..<count).map { hash64(Array("10.0.\($0 / 250).\($0 % 250):8080".utf8).span) }
    }

    private func choice(_ table: HashTable, _ weights: [Int], bound: Int? = nil) -> KeyedChoice {
        KeyedChoice(table, identities: identities(weights.count), weights: weights, boundPercent: bound)
    }

    private func keys(_ count: Int) -> [UInt64] {
        (0..<count).map { hash64(Array("192.0.2.\($0)".utf8).span) }
    }

    @Test(
        "is the same everywhere: fixed keys, fixed targets, fixed answers",
        arguments: [
            (.maglev, 10, [7, 5, 5, 6, 7, 0, 4, 0, 1, 2, 8, 2]),
            (.ring, 10, [1, 9, 1, 3, 7, 1, 3, 9, 7, 8, 6, 5]),
            (.rendezvous, 10, [3, 7, 7, 9, 3, 6, 3, 5, 1, 0, 9, 5]),
            (.ring, 1_000, [639, 957, 337, 335, 204, 591, 233, 882, 843, 526, 53, 493]),
            (.rendezvous, 1_000, [242, 37, 293, 47, 3, 951, 573, 801, 737, 300, 726, 983]),
        ] as [(HashTable, Int, [Int])])
    func golden(table: HashTable, count: Int, expected: [Int]) {
        let weights = (0..<count).map { 256 * (1 + $0 % 2) }
        let plain = Array(repeating: 256, count: count)
        let used = table == .maglev ? plain : weights
        let choice = choice(table, used)
        let answers = (0..<12).map {
            choice.pick(from: Targets(weights: used), key: hash64(Array("client \($0)".utf8).span))!
        }
        #expect(answers == expected)
    }

    @Test(
        "makes the same choices whatever the order of the targets",
        arguments: HashTable.allCases, [2, 10, 300])
    func anyOrder(table: HashTable, count: Int) {
        var random = Seeded(1)
        let weights = (0..<count).map { 256 * (1 + $0 % 3) }
        let shuffled = Array(0..<count).shuffled(using: &random)
        let one = choice(table, weights)
        let identities = identities(count)
        let other = KeyedChoice(
            table, identities: shuffled.map { identities[$0] }, weights: shuffled.map { weights[$0] })
        let otherView = Targets(weights: shuffled.map { weights[$0] })
        for key in keys(3_000) {
            #expect(
                shuffled[other.pick(from: otherView, key: key)!] == one.pick(from: Targets(weights: weights), key: key)!
            )
        }
    }

    @Test(
        "a target that leaves or joins moves its own keys and no other",
        arguments: [HashTable.ring, .rendezvous], [2, 3, 10, 100, 128, 200, 1_000])
    func membership(table: HashTable, count: Int) {
        let identities = identities(count)
        for weights in [Array(repeating: 256, count: count), (0..<count).map { 256 * (4 + $0 % 4) }] {
            let leaver = count / 2
            let kept = (0..<count).filter { $0 != leaver }
            let all = choice(table, weights)
            let fewer = KeyedChoice(
                table, identities: kept.map { identities[$0] }, weights: kept.map { weights[$0] })
            let fewerView = Targets(weights: kept.map { weights[$0] })
            var heirs = Set<Int>()
            for key in keys(3_000) {
                let before = all.pick(from: Targets(weights: weights), key: key)!
                let after = kept[fewer.pick(from: fewerView, key: key)!]
                if before == leaver { heirs.insert(after) } else { #expect(after == before) }
            }
            #expect(heirs.count >= min(count - 1, 2))
        }
    }

    @Test(
        "a target that fails hands on its own keys only, spreads them, and gets them back",
        arguments: HashTable.allCases, [3, 10, 100, 1_000])
    func failure(table: HashTable, count: Int) {
        let healthy = Targets(weights: Array(repeating: 256, count: count))
        var ill = healthy
        ill.weights[1] = 0
        let choice = choice(table, healthy.weights)
        var heirs = Array(repeating: 0, count: count)
        for key in keys(10_000) {
            let before = choice.pick(from: healthy, key: key)!
            let after = choice.pick(from: ill, key: key)!
            if before == 1 { heirs[after] += 1 } else { #expect(after == before) }
        }
        #expect(heirs[1] == 0)
        let moved = heirs.reduce(0, +)
        #expect(moved > 0)
        #expect(heirs.max()! <= moved / (count - 1) * 2 + 8, "\(heirs.max()!) of \(moved)")
    }

    @Test("shares of a ring are right to 20 %, measured on the circle itself", arguments: [2, 10, 100, 1_000, 10_000])
    func ringSpread(count: Int) {
        // The fewest points that a target of mean weight has.
        let ring = choice(.ring, Array(repeating: 227, count: count)).ring
        #expect(ring.owners.count == 454 * count)
        var arcs = Array(repeating: 0, count: count)
        let circle = ring.circle
        var before = Int(circle.last!) - 1 << 32
        for (place, owner) in zip(circle, ring.owners) {
            arcs[Int(owner)] += Int(place) - before
            before = Int(place)
        }
        #expect(arcs.reduce(0, +) == 1 << 32)
        let mean = Double(1 << 32) / Double(count)
        #expect(Double(arcs.max()!) <= 1.2 * mean, "\(Double(arcs.max()!) / mean)")
        #expect(Double(arcs.min()!) >= 0.8 * mean, "\(Double(arcs.min()!) / mean)")
        #expect(zip(circle, circle.dropFirst()).allSatisfy { $0 <= $1 })
    }

    @Test(
        "a ring has 453 to 905 points per target of mean weight, by weight, whatever the scale",
        arguments: [
            ([1, 1], [512, 512]), ([256, 256], [512, 512]), ([65_536, 65_536], [512, 512]),
            ([3, 3, 3], [768, 768, 768]), ([226, 226], [904, 904]), ([227, 227], [454, 454]),
            ([256, 512], [512, 1_024]), ([256, 768], [256, 768]), ([0], [0]), ([], []), ([65_536, 1], [1_024, 1]),
        ])
    func ringPoints(weights: [Int], points: [Int]) { #expect(HashRing.pointCounts(weights) == points) }

    /// Weights that are common to whole groups.
    static let commonWeights = [1, 2, 3, 5, 10, 50, 100, 128, 200, 256]

    @Test(
        "in a ring of targets of a common weight one may get another, come or go: it moves its own keys and no other",
        arguments: commonWeights, [8, 50, 300])
    func commonWeight(weight: Int, count: Int) {
        let identities = identities(count + 1)
        let keys = keys(2_000)
        func owners(_ weights: [Int]) -> [Int] {
            let weights = weights.map(EffectiveWeight.of)
            let choice = KeyedChoice(.ring, identities: Array(identities.prefix(weights.count)), weights: weights)
            return keys.map { choice.pick(from: Targets(weights: weights), key: $0)! }
        }
        let plain = Array(repeating: weight, count: count)
        let before = owners(plain)
        let half = weight > 1 ? weight / 2 : 1
        for other in [weight + 1, 2 * weight, half, 0] {
            var changed = plain
            changed[0] = other
            let moved = zip(before, owners(changed)).filter { $0 != $1 }
            #expect(moved.allSatisfy { $0 == 0 || $1 == 0 }, "\(weight) to \(other) moved \(moved.count)")
        }
        for newcomer in [weight, 2 * weight] {
            let moved = zip(before, owners(plain + [newcomer])).filter { $0 != $1 }
            #expect(moved.allSatisfy { $1 == count }, "\(newcomer) beside \(weight) moved \(moved.count)")
        }
    }

    @Test("the mean of a ring is 13 % or more from a cliff where a common weight is the mean", arguments: commonWeights)
    func cliffs(weight: Int) {
        let common = EffectiveWeight.of(weight)
        func pointsPerUnit(_ mean: Int) -> Double { Double(HashRing.pointCounts([mean])[0]) / Double(mean) }
        for mean in [common * 887 / 1_000, common * 1_129 / 1_000] {
            #expect(abs(pointsPerUnit(mean) / pointsPerUnit(common) - 1) < 0.01)
        }
    }

    @Test("a very large ring has at most 2^23 points")
    func ringBound() {
        #expect(HashRing.pointCounts(Array(repeating: 256, count: 65_535)).reduce(0, +) == 65_535 * 128)
    }

    @Test(
        "spreads keys to three standard deviations and 1 %, by weight",
        arguments: [HashTable.maglev, .rendezvous],
        [[1, 1], [1, 2, 7], [10, 1, 5, 4, 0], Array(repeating: 1, count: 20)])
    func spread(table: HashTable, weights: [Int]) {
        let weights = weights.map(EffectiveWeight.of)
        let choice = choice(table, weights)
        var counts = Array(repeating: 0.0, count: weights.count)
        let keys = keys(40_000)
        for key in keys { counts[choice.pick(from: Targets(weights: weights), key: key)!] += 1 }
        for (count, weight) in zip(counts, weights) {
            let share = Double(weight) / Double(weights.reduce(0, +))
            let mean = Double(keys.count) * share
            let deviation = (mean * (1 - share)).squareRoot()
            #expect(abs(count - mean) <= 3 * deviation + mean / 100, "\(weight): \(count), expected \(mean)")
        }
    }

    @Test(
        "the leaves of a large rendezvous give shares that are right to 3 %, and hold 8 to 128",
        arguments: [300, 4_096, 10_000])
    func leaves(count: Int) {
        let table = choice(.rendezvous, Array(repeating: 256, count: count)).rendezvous
        #expect(table.members.count == count * Rendezvous.partitionCount)
        var shares = Array(repeating: 0.0, count: count)
        for leaf in 0..<table.starts.count - 1 {
            let members = table.members[Int(table.starts[leaf])..<Int(table.starts[leaf + 1])]
            // The leaf's keys are shared evenly, as in a small group.
            for member in members { shares[Int(member)] += 1 / Double(members.count) }
        }
        let mean = Double(table.starts.count - 1) / Double(count)
        let variance = shares.reduce(0) { $0 + ($1 / mean - 1) * ($1 / mean - 1) } / Double(count)
        let leafSize = Double(count) / Double(table.leafCount)
        #expect((8...128).contains(leafSize))
        #expect(
            variance.squareRoot() < 1.3 / (leafSize * Double(Rendezvous.partitionCount)).squareRoot(),
            "\(variance.squareRoot())")
    }

    @Test(
        "the logarithm is right to nine digits",
        arguments: [1, 2, 3, 1 << 32, 0xB504_F333_F9DE_6484, 0xB504_F333_F9DE_6485])
    func logarithm(bits: UInt64) {
        #expect(abs(negatedLogarithm(bits) - reference(bits)) <= 1e-9 * reference(bits))
        var random = Seeded(7)
        for _ in 0..<2_000 {
            let bits = random.next() >> UInt64(Int.random(in: 0..<64, using: &random))
            for bits in [bits | 1, ~bits] where bits != 0 && bits != .max {
                #expect(abs(negatedLogarithm(bits) - reference(bits)) <= 1e-9 * reference(bits), "\(bits)")
            }
        }
    }

    private func reference(_ bits: UInt64) -> Double {
        bits >= 1 << 63 ? -log1p(-(Double(~bits) + 1) * 0x1p-64) : 64 * log(2) - log(Double(bits))
    }

    @Test("a rendezvous follows weights as they are in force: who grows takes keys and gives none")
    func rendezvousWeights() {
        let choice = choice(.rendezvous, [256, 256, 256, 256])
        var view = Targets(weights: [256, 256, 256, 256])
        let keys = keys(20_000)
        var before = keys.map { choice.pick(from: view, key: $0)! }
        for (weight, share) in [(512, 0.4), (1_024, 0.5714), (65_536, 0.9884)] {
            view.weights[2] = weight
            let after = keys.map { choice.pick(from: view, key: $0)! }
            for (old, new) in zip(before, after) { #expect(old == new || new == 2) }
            let taken = Double(after.count { $0 == 2 }) / Double(keys.count)
            #expect(abs(taken - share) < 0.015, "\(taken)")
            before = after
        }
    }

    @Test(
        "a bounded load is never above its bound, and the keys that are within it stay",
        arguments: HashTable.allCases.flatMap { table in [101, 125, 200].map { (table, $0) } }, [UInt64](1...3))
    func bounded(_ policy: (table: HashTable, percent: Int), seed: UInt64) {
        let (table, percent) = policy
        var random = Seeded(seed)
        for count in [1, 3, 10, 200] {
            let weights = (0..<count).map { _ in 256 * Int.random(in: 1...4, using: &random) }
            var view = Targets(weights: weights)
            var choice = choice(table, weights, bound: percent)
            let free = self.choice(table, weights)
            var running: [Int] = []
            // A few keys have most of the traffic.
            let popular = (0..<5).map { _ in random.next() }
            for step in 0..<500 {
                if step % 50 == 0 {  // somebody fails, or comes back
                    let index = Int.random(in: 0..<count, using: &random)
                    let weight = view.weights[index] == 0 || count == 1 ? weights[index] : 0
                    guard view.weights.reduce(0, +) + weight > view.weights[index] else { continue }
                    view.weights[index] = weight
                    choice.weightChanged(at: index, to: weight)
                }
                let key =
                    Int.random(in: 0..<4, using: &random) > 0 ? popular.randomElement(using: &random)! : random.next()
                let total = view.loads.reduce(0, +)
                let whole = view.weights.reduce(0, +)
                func bound(_ target: Int) -> Int {  // ⌈percent / 100 × (total + 1) × w / W⌉
                    let (quotient, rest) = (percent * (total + 1) * view.weights[target]).quotientAndRemainder(
                        dividingBy: 100 * whole)
                    return quotient + (rest > 0 ? 1 : 0)
                }
                let picked = choice.pick(from: view, key: key)!
                #expect(view.loads[picked] + 1 <= bound(picked), "seed \(seed), \(count) targets, step \(step)")
                let own = free.pick(from: view, key: key)!
                if view.loads[own] + 1 <= bound(own) { #expect(picked == own, "seed \(seed)") }
                view.loads[picked] += 1
                running.append(picked)
                if running.count > 100 || Bool.random(using: &random) {
                    let ended = running.remove(at: Int.random(in: 0..<running.count, using: &random))
                    view.loads[ended] -= 1
                }
            }
        }
    }

    @Test("a bound gives way to a retry that has nobody else left", arguments: HashTable.allCases)
    func boundAndRetry(table: HashTable) {
        let view = Targets(weights: [256, 256], loads: [100, 0])
        let choice = choice(table, view.weights, bound: 125)
        for key in keys(50) {
            #expect(choice.pick(from: view, key: key) == 1)
            #expect(choice.pick(from: view, key: key, excluding: Exclusions([1])) == 0)
        }
    }

    @Test("finds the last usable target of many, and nothing when there is none", arguments: HashTable.allCases)
    func last(table: HashTable) {
        let choice = choice(table, Array(repeating: 256, count: 2_000))
        var view = Targets(weights: Array(repeating: 0, count: 2_000))
        #expect(choice.pick(from: view, key: 5) == nil)
        view.weights[1_234] = 256
        for key in keys(100) {
            #expect(choice.pick(from: view, key: key) == 1_234)
            #expect(choice.pick(from: view, key: key, excluding: Exclusions([1_234])) == nil)
        }
        #expect(KeyedChoice(table, identities: [], weights: []).pick(from: Targets(weights: []), key: 1) == nil)
    }
}
