/// Fills the slots of a ``Maglev``: targets take turns, each taking its favourite of the free slots.
struct MaglevTable {
    var slots: [UInt16] = []

    init(identities: [UInt64], weights: [Int]) {
        // By identity, so that the order in the file does not count.
        let members = identities.indices.filter { weights[$0] > 0 }.sorted {
            (identities[$0], $0) < (identities[$1], $1)
        }
        guard !members.isEmpty else { return }
        let slotCount = Self.slotCount(targets: identities.count)
        let free = UInt16.max
        slots = Array(repeating: free, count: slotCount)

        // A target's favourites: a walk through all slots from an offset by a step, both its own.
        var favourite = members.map { Int(mix64(identities[$0] ^ 0x6F66_6673_6574_0001) % UInt64(slotCount)) }
        let step = members.map { 1 + Int(mix64(identities[$0] ^ 0x736B_6970_0000_0002) % UInt64(slotCount - 1)) }
        for member in Self.turns(weights: members.map { weights[$0] }, slotCount: slotCount) {
            while slots[favourite[member]] != free {
                favourite[member] = (favourite[member] + step[member]) % slotCount
            }
            slots[favourite[member]] = UInt16(members[member])
        }
    }

    /// 100 slots per target and more up to 256 targets; 65,537 above. All three are prime.
    ///
    /// Three sizes and not one for each number of targets: another size moves nearly every key, and a group
    /// must be able to gain or lose a target without that.
    static func slotCount(targets: Int) -> Int {
        switch targets {
        case ...16: 1_601
        case ...256: 25_601
        default: 65_537
        }
    }

    /// Who takes a slot in each of `slotCount` turns: each as often as its weight earns, evenly spread.
    ///
    /// The whole parts first, then one each to those with the largest rest. The k-th of a target's q turns is
    /// due at (k + 1/2) / q of the way; with equal weights that is one after the other, as in the paper.
    static func turns(weights: [Int], slotCount: Int) -> [Int] {
        let total = weights.reduce(0, +)
        var quota = weights.map { $0 * slotCount / total }
        let rest = weights.map { $0 * slotCount % total }
        let byRest = weights.indices.sorted { (-rest[$0], $0) < (-rest[$1], $1) }
        for member in byRest.prefix(slotCount - quota.reduce(0, +)) { quota[member] += 1 }

        // A counting sort by the slot number at which a turn is due.
        var ends = Array(repeating: 0, count: slotCount + 1)
        func eachTurn(_ body: (_ due: Int, _ member: Int) -> Void) {
            for (member, turns) in quota.enumerated() {
                for turn in 0..<turns { body((2 * turn + 1) * slotCount / (2 * turns), member) }
            }
        }
        eachTurn { due, _ in ends[due + 1] += 1 }
        for due in 0..<slotCount { ends[due + 1] += ends[due] }
        var order = Array(repeating: 0, count: slotCount)
        eachTurn { due, member in
            order[ends[due]] = member
            ends[due] += 1
        }
        return order
    }
}
