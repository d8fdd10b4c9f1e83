/// A table of slots that targets share by weight; a key's order is a walk through slots that is its own.
///
/// The table has 1,601 slots (3 KB) up to 16 targets, 25,601 (50 KB) up to 256, else 65,537 (128 KB), so that a
/// thousand small groups cost megabytes and not hundreds of them. Within one size, a target that is added or removed moves
/// its own share of the keys and one to three in a hundred of the others; the step from 16 to 17 targets, and from 256
/// to 257, moves nearly all. Each target owns as many slots as its weight earns, to within one: up to 256 targets shares
/// are right to 1 %, with 10,000 (6 or 7 slots each) to 15 %.
/// Source: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, §3.4.
public struct Maglev: Sendable {
    /// Slots that a key walks through.
    public static let probesMax = 64

    @usableFromInline let slots: [UInt16]

    init() { slots = [] }

    /// - Parameter weights: the configured ones; a target of weight 0 owns no slot.
    init(identities: [UInt64], weights: [Int]) {
        slots = MaglevTable(identities: identities, weights: weights).slots
    }

    /// - Parameter hash: of the key, well mixed.
    @inlinable func first(_ hash: UInt64, where accepts: (Int) -> Bool) -> Int? {
        guard !slots.isEmpty else { return nil }
        let slotCount = UInt32(truncatingIfNeeded: slots.count)
        var slot = UInt32(truncatingIfNeeded: hash) % slotCount
        // The slot count is prime, so any step visits every slot once.
        let step = 1 + UInt32(truncatingIfNeeded: hash >> 32) % (slotCount - 1)
        for _ in 0..<Self.probesMax {
            let target = Int(slots[Int(slot)])
            if accepts(target) { return target }
            slot += step
            if slot >= slotCount { slot -= slotCount }
        }
        return nil
    }
}
