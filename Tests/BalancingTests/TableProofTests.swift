import PoiseModel
import Testing

@testable import PoiseBalancing

/// Whole tables, where `KeyedChoiceTests` and `MaglevTests` look at keys.
@Suite("Tables by key: the same on every node, and even")
struct TableProofTests {
    /// Hashes of `10.0.<n/250>.<n%250>:8080`, as a group has them.
    private func identities(_ count: Int) -> [UInt64] {
        (0..<count).map { hash64(Array("10.0.\($0 / 250).\($0 % 250):8080".utf8).span) }
    }

    private func digest(_ lists: [UInt64]...) -> String {
        String(lists.joined().reduce(into: 0) { $0 = mix64($0 ^ $1) &+ 0x9E37_79B9_7F4A_7C15 }, radix: 16)
    }

    /// Of every slot, point and leaf: what a restart, another worker or another machine must arrive at too.
    private func digest(_ table: HashTable, _ choice: KeyedChoice) -> String {
        switch table {
        case .maglev: digest(choice.maglev.slots.map(UInt64.init))
        case .ring: digest(choice.ring.circle.map(UInt64.init), choice.ring.owners.map(UInt64.init))
        case .rendezvous:
            digest(
                choice.rendezvous.seeds, choice.rendezvous.members.map(UInt64.init),
                choice.rendezvous.starts.map(UInt64.init))
        }
    }

    @Test(
        "are built alike everywhere, down to the last slot",
        arguments: [
            (.maglev, 10, "b6c9ccf606290534"), (.maglev, 100, "130550d4e5cc3152"), (.maglev, 1_000, "28fca592b1866241"),
            (.ring, 10, "5e73cd728b48cc09"), (.ring, 1_000, "c97da875340f853b"),
            (.rendezvous, 10, "996a2d888ea59832"), (.rendezvous, 1_000, "787be548ad241ce7"),
        ] as [(HashTable, Int, String)])
    func golden(table: HashTable, count: Int, expected: String) {
        let weights = (0..<count).map { EffectiveWeight.of(1 + $0 % 3) }
        let choice = KeyedChoice(table, identities: identities(count), weights: weights)
        #expect(digest(table, choice) == expected)
        #expect(digest(table, KeyedChoice(table, identities: identities(count), weights: weights)) == expected)
    }

    @Test(
        "spread the keys over many targets to three standard deviations and 1 %",
        arguments: [(.maglev, 100), (.rendezvous, 100), (.rendezvous, 128)] as [(HashTable, Int)])
    func spread(table: HashTable, count: Int) {
        let weights = Array(repeating: EffectiveWeight.of(1), count: count)
        let choice = KeyedChoice(table, identities: identities(count), weights: weights)
        let view = Targets(weights: weights)
        let keys = 100_000
        var counts = Array(repeating: 0.0, count: count)
        for key in 0..<keys { counts[choice.pick(from: view, key: mix64(UInt64(key)))!] += 1 }
        let mean = Double(keys) / Double(count)
        let bound = 3 * (mean * (1 - 1 / Double(count))).squareRoot() + mean / 100
        let worst = counts.map { abs($0 - mean) }.max()!
        #expect(worst <= bound, "\(worst), bound \(bound)")
    }

    @Test("a Maglev table gives every target its slots to within one", arguments: [10, 100, 1_000, 10_000])
    func slots(count: Int) {
        let weights = Array(repeating: EffectiveWeight.of(1), count: count)
        let slots = Maglev(identities: identities(count), weights: weights).slots
        var counts = Array(repeating: 0, count: count)
        for slot in slots { counts[Int(slot)] += 1 }
        #expect(counts.max()! - counts.min()! <= 1)
    }
}
