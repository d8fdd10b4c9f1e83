import Testing

@testable import PoiseBalancing

@Suite("Maglev")
struct MaglevTests {
    /// Hashes of `10.0.<n/250>.<n%250>:8080`, as a group has them.
    private func identities(_ count: Int) -> [UInt64] {
        (0..<count).map { hash64(Array("10.0.\($0 / 250).\($0 % 250):8080".utf8).span) }
    }

    private func table(_ count: Int) -> KeyedChoice {
        KeyedChoice(.maglev, identities: identities(count), weights: Array(repeating: 256, count: count))
    }

    private let keys = (0..<20_000).map { hash64(Array("192.0.2.\($0)".utf8).span) }

    @Test(
        "has one of three sizes, each a prime",
        arguments: [(1, 1_601), (16, 1_601), (17, 25_601), (256, 25_601), (257, 65_537), (10_000, 65_537)])
    func slotCount(targets: Int, slots: Int) {
        #expect(table(targets).maglev.slots.count == slots)
        #expect((2..<257).allSatisfy { slots % $0 != 0 })
    }

    @Test(
        "gives each target as many slots as its weight earns, to within one",
        arguments: [[1, 1, 1], [1, 2, 7], [256, 0, 1], [100, 1]])
    func quota(weights: [Int]) {
        let slots = Maglev(identities: identities(weights.count), weights: weights).slots
        for (target, weight) in weights.enumerated() {
            let earned = Double(slots.count * weight) / Double(weights.reduce(0, +))
            #expect(abs(Double(slots.count { $0 == target }) - earned) < 1)
        }
    }

    @Test("spreads keys evenly", arguments: [2, 10, 100])
    func spread(count: Int) {
        let maglev = table(count)
        let view = Targets(weights: Array(repeating: 256, count: count))
        var counts = Array(repeating: 0.0, count: count)
        for key in keys { counts[maglev.pick(from: view, key: key)!] += 1 }
        let mean = Double(keys.count) / Double(count)
        for count in counts { #expect(abs(count - mean) < 5 * mean.squareRoot()) }
    }

    @Test("is the same everywhere: fixed keys, fixed targets, fixed answers, in any order of targets")
    func stable() {
        let maglev = table(10)
        let view = Targets(weights: Array(repeating: 256, count: 10))
        let answers = (0..<12).map { maglev.pick(from: view, key: hash64(Array("client \($0)".utf8).span))! }
        #expect(answers == [7, 5, 5, 6, 7, 0, 4, 0, 1, 2, 8, 2])

        let shuffled = [7, 2, 9, 0, 5, 1, 8, 3, 6, 4]
        let other = KeyedChoice(.maglev, identities: shuffled.map { identities(10)[$0] }, weights: view.weights)
        for key in keys { #expect(shuffled[other.pick(from: view, key: key)!] == maglev.pick(from: view, key: key)!) }
    }

    @Test("moves only the keys of a target that fails, spreads them, and brings them back", arguments: [3, 10, 100])
    func failure(count: Int) {
        let maglev = table(count)
        let healthy = Targets(weights: Array(repeating: 256, count: count))
        var ill = healthy
        ill.weights[1] = 0
        var heirs = Array(repeating: 0, count: count)
        for key in keys {
            let before = maglev.pick(from: healthy, key: key)!
            let after = maglev.pick(from: ill, key: key)!
            if before == 1 { heirs[after] += 1 } else { #expect(after == before) }
        }
        #expect(heirs[1] == 0)
        let mean = Double(heirs.reduce(0, +)) / Double(count - 1)
        for (target, keys) in heirs.enumerated() where target != 1 {
            #expect(abs(Double(keys) - mean) < 5 * mean.squareRoot() + 5)
        }
    }

    @Test(
        "moves at most 1/N and 2 points of the other keys when a target is removed or added",
        arguments: [2, 3, 5, 10, 16, 50, 200, 1_000])
    func membership(count: Int) {
        let all = table(count)
        let view = Targets(weights: Array(repeating: 256, count: count))
        let kept = (0..<count).filter { $0 != count / 2 }
        let fewer = KeyedChoice(.maglev, identities: kept.map { identities(count)[$0] }, weights: kept.map { _ in 256 })
        let fewerView = Targets(weights: kept.map { _ in 256 })
        var others = 0
        var moved = 0
        for key in keys {
            let before = all.pick(from: view, key: key)!
            let after = kept[fewer.pick(from: fewerView, key: key)!]
            guard before != count / 2 else { continue }
            others += 1
            if before != after { moved += 1 }
        }
        #expect(Double(moved) / Double(others) <= 1 / Double(count) + 0.02, "\(moved) of \(others)")
    }

    @Test("a target at a quarter of its weight takes a quarter of its keys, and only gains while it grows")
    func growing() {
        let maglev = table(5)
        var view = Targets(weights: Array(repeating: 256, count: 5))
        let own = keys.filter { maglev.pick(from: view, key: $0) == 2 }
        var before = Set<UInt64>()
        for weight in [0, 64, 128, 255, 256] {
            view.weights[2] = weight
            let taken = Set(own.filter { maglev.pick(from: view, key: $0) == 2 })
            #expect(taken.isSuperset(of: before))
            #expect(abs(taken.count - own.count * weight / 256) < own.count / 20)
            before = taken
        }
        #expect(before.count == own.count)
    }

    @Test("finds the last usable target of many, and nothing when there is none")
    func last() {
        let maglev = table(2_000)
        var view = Targets(weights: Array(repeating: 0, count: 2_000))
        #expect(maglev.pick(from: view, key: 5) == nil)
        view.weights[1_234] = 1
        for key in keys.prefix(100) {
            #expect(maglev.pick(from: view, key: key) == 1_234)
            #expect(maglev.pick(from: view, key: key, excluding: Exclusions([1_234])) == nil)
        }
        #expect(KeyedChoice(.maglev, identities: [], weights: []).pick(from: Targets(weights: []), key: 1) == nil)
        #expect(
            KeyedChoice(.maglev, identities: [1, 2], weights: [0, 0]).pick(from: Targets(weights: [0, 1]), key: 1) == 1)
    }

    @Test("a retry goes on along the key's own order")
    func retries() {
        let maglev = table(10)
        let view = Targets(weights: Array(repeating: 256, count: 10))
        for key in keys.prefix(1_000) {
            let first = maglev.pick(from: view, key: key)!
            let second = maglev.pick(from: view, key: key, excluding: Exclusions([first]))!
            #expect(first != second)
            var ill = view
            ill.weights[first] = 0
            #expect(maglev.pick(from: ill, key: key) == second)
        }
    }
}
