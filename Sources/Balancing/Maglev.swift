/// Consistent hashing: a key keeps its target while that target is usable, and nearly always while others come
/// and go.
///
/// The table has 1,601 slots (3 KB) up to 16 targets, 25,601 (50 KB) up to 256, else 65,537 (128 KB), so that a
/// thousand small groups cost megabytes and not hundreds of them. Within one size, a target that is added or removed moves
/// its own share of the keys and one to three in a hundred of the others; the step from 16 to 17 targets, and from 256
/// to 257, moves nearly all. Each target owns as many slots as its weight earns, to within one: up to 256 targets shares
/// are right to 1 %, with 10,000 (6 or 7 slots each) to 15 %.
/// It is made of the targets' identities and configured weights only, with fixed seeds: the same on every
/// worker, machine and restart, in whatever order the targets are listed.
///
/// A target that cannot take flows keeps its slots. Its keys, and only its keys, walk on through slots in an order of
/// their own until they meet a usable target, and come back when it does. A target with part of its configured weight
/// (slow start) takes that part of its keys, always the same ones and more of them as the weight grows.
/// Source: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, §3.4.
public struct Maglev: Sendable {
    /// Slots that a key walks through before it takes the next usable target by index.
    public static let probesMax = 64

    @usableFromInline let slots: [UInt16]
    /// Configured weights.
    @usableFromInline let weights: [Int32]

    /// - Parameters:
    ///   - identities: a 64-bit hash of each target's address, different for each; at most 65,535 targets.
    ///   - weights: the configured ones, 0...65,536; a target of weight 0 owns no slot.
    /// - Cost: about 10 steps per slot; for a worker to copy, not to build.
    public init(identities: [UInt64], weights: [Int]) {
        precondition(identities.count == weights.count, "one weight per identity")
        precondition(identities.count <= 65_535, "targets are numbered with 16 bits")
        self.weights = weights.map { Int32($0) }
        slots = MaglevTable(identities: identities, weights: weights).slots
    }

    /// - Parameter key: a hash of what identifies the client.
    /// - Returns: an index into `targets`; `nil` when each has weight 0 or is excluded.
    /// - Cost: constant, no allocation; when more than 9 of 10 targets are unusable, a pass over the targets.
    @inlinable public func pick(
        from targets: some TargetView, key: UInt64, excluding excluded: Exclusions = Exclusions()
    ) -> Int? {
        precondition(targets.count == weights.count, "one weight per target")
        guard !weights.isEmpty else { return nil }
        let hash = mix64(key)
        if !slots.isEmpty {
            let slotCount = UInt32(truncatingIfNeeded: slots.count)
            var slot = UInt32(truncatingIfNeeded: hash) % slotCount
            // The slot count is prime, so any step visits every slot once.
            let step = 1 + UInt32(truncatingIfNeeded: hash >> 32) % (slotCount - 1)
            for _ in 0..<Self.probesMax {
                let target = Int(slots[Int(slot)])
                if takes(key, target, weight: targets.weight(at: target)), !excluded.contains(target) { return target }
                slot += step
                if slot >= slotCount { slot -= slotCount }
            }
        }
        var target = scaled(UInt32(truncatingIfNeeded: hash >> 16), below: weights.count)
        for _ in weights.indices {
            if targets.weight(at: target) > 0, !excluded.contains(target) { return target }
            target = target + 1 == weights.count ? 0 : target + 1
        }
        return nil
    }

    /// Whether `key` belongs to the part of its keys that a target takes with `weight`.
    @inlinable func takes(_ key: UInt64, _ target: Int, weight: Int) -> Bool {
        let full = Int(weights[target])
        guard weight < full else { return true }
        guard weight > 0 else { return false }
        let part = mix64(key ^ (UInt64(truncatingIfNeeded: target) &* 0x9E37_79B9_7F4A_7C15))
        return scaled(UInt32(truncatingIfNeeded: part), below: full) < weight
    }
}
