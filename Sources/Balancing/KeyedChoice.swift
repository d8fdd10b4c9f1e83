import PoiseModel

/// The target that a key belongs to: the same one for the same key while it is usable, whatever becomes of the others.
///
/// One of three tables gives each key an order of the targets. A key goes to the first in its order that is usable,
/// not excluded, and within the bound of the load where there is one; so a target that fails or is full hands on its own
/// keys only, and they come back. Where weights are less than configured (slow start), a target takes that part of its
/// keys, always the same ones and more of them as the weight grows.
///
/// | | moves when a target joins or leaves | shares | memory | weights |
/// |---|---|---|---|---|
/// | ``Maglev`` | its keys, and 1 to 3 % of the others | right to 1 % up to 256 targets | 3 to 128 KB | made of |
/// | ``HashRing`` | its keys | right to 20 % | 2 to 4 KB per target | made of |
/// | ``Rendezvous`` | its keys | exact up to 128 targets | 8 bytes per target; 72 above | in force |
///
/// All are made of identities with fixed seeds: the same on every worker, machine and restart, in whatever order the
/// targets are listed.
public struct KeyedChoice: Sendable {
    @usableFromInline let table: HashTable
    /// What the table is made of: configured weights, or raised ones.
    @usableFromInline let weights: [Int32]
    @usableFromInline var bound: LoadBound
    /// What the view was last said to have; empty without a bound.
    private var inForce: [Int32]
    // Side by side, the unused ones empty: a payload of an enum would be retained for each pick.
    @usableFromInline let maglev: Maglev
    @usableFromInline let ring: HashRing
    @usableFromInline let rendezvous: Rendezvous

    /// - Parameters:
    ///   - identities: a 64-bit hash of each target's address, different for each; at most 65,535 targets.
    ///   - weights: the configured ones, or more where one is raised for longer; 0...65,536.
    ///   - boundPercent: above 100; `nil` for no bound.
    /// - Cost: for control, not for a worker: about 10 steps per slot or point.
    public init(_ table: HashTable, identities: [UInt64], weights: [Int], boundPercent: Int? = nil) {
        precondition(identities.count == weights.count, "one weight per identity")
        precondition(identities.count <= 65_535, "targets are numbered with 16 bits")
        self.table = table
        self.weights = weights.map { Int32($0) }
        inForce = boundPercent == nil ? [] : self.weights
        bound = LoadBound(percent: boundPercent, weights: weights)
        maglev = table == .maglev ? Maglev(identities: identities, weights: weights) : Maglev()
        ring = table == .ring ? HashRing(identities: identities, weights: weights) : HashRing()
        rendezvous = table == .rendezvous ? Rendezvous(identities: identities) : Rendezvous()
    }

    /// - Parameter key: a hash of what identifies the client.
    /// - Returns: an index into `targets`; `nil` when each has weight 0 or is excluded. The bound is overstepped only where
    ///   what is excluded leaves nobody below it.
    /// - Cost: constant, no allocation; when more than 9 of 10 targets are unusable, a pass over the targets.
    @inlinable public func pick(
        from targets: some TargetView, key: UInt64, excluding excluded: Exclusions = Exclusions()
    ) -> Int? {
        precondition(targets.count == weights.count, "one weight per target")
        guard !weights.isEmpty else { return nil }
        let hash = mix64(key)
        let limit = bound.limit(for: targets)
        func isWithin(_ target: Int, _ weight: Int) -> Bool {
            !limit.isOn || limit.admits(load: targets.load(at: target), weight: weight)
        }
        func accepts(_ target: Int) -> Bool {
            let weight = targets.weight(at: target)
            return takes(key, target, weight: weight) && !excluded.contains(target) && isWithin(target, weight)
        }
        let found =
            switch table {
            case .maglev: maglev.first(hash, where: accepts)
            case .ring: ring.first(hash, where: accepts)
            case .rendezvous:
                rendezvous.best(hash, of: targets) { !excluded.contains($0) && isWithin($0, $1) }
            }
        return found ?? next(hash, where: { $1 > 0 && !excluded.contains($0) && isWithin($0, $1) }, of: targets)
            ?? (limit.isOn ? next(hash, where: { $1 > 0 && !excluded.contains($0) }, of: targets) : nil)
    }

    /// The next by index, from a place of the key's own.
    @inlinable func next(
        _ hash: UInt64, where isOpen: (_ target: Int, _ weight: Int) -> Bool, of targets: some TargetView
    ) -> Int? {
        var target = scaled(UInt32(truncatingIfNeeded: hash >> 16), below: weights.count)
        for _ in weights.indices {
            if isOpen(target, targets.weight(at: target)) { return target }
            target = target + 1 == weights.count ? 0 : target + 1
        }
        return nil
    }

    /// Whether `key` belongs to the part of its keys that a target takes with `weight`.
    @inlinable func takes(_ key: UInt64, _ target: Int, weight: Int) -> Bool {
        let full = Int(weights[target])
        guard weight < full else { return weight > 0 }
        guard weight > 0 else { return false }
        let part = mix64(key ^ (UInt64(truncatingIfNeeded: target) &* 0x9E37_79B9_7F4A_7C15))
        return scaled(UInt32(truncatingIfNeeded: part), below: full) < weight
    }

    /// The tables stay as they were made, or ask the view; only a bound is told.
    ///
    /// - Cost: constant.
    public mutating func weightChanged(at index: Int, to weight: Int) {
        guard !inForce.isEmpty else { return }
        bound.totalWeight += weight - Int(inForce[index])
        inForce[index] = Int32(weight)
    }
}
