/// Highest random weight: every target draws a number for the key, and the best one takes it.
///
/// The numbers of a target depend on its identity and the key alone, so a target that joins, leaves or gets another weight
/// moves its own keys and no others, and shares are those of independent draws. There is no table to build.
///
/// Up to ``exactTargetsMax`` targets all draw. In larger groups a key asks one leaf of a partition of the targets, 8 to 128 of
/// them: there are ``partitionCount`` partitions, each target's leaf in each is fixed by its identity, and the key says
/// which partition it goes by. Within a leaf the same holds as in a small group. Leaves differ in size, which partitions
/// average out: shares are right to 3 % (one standard deviation) with 40 targets in a leaf. The keys of a target that
/// leaves spread over all its leaves. A leaf without an open target hands its keys on to leaves of other partitions. The steps
/// from 128 to 129 targets and from 4,096 to 4,097 change the partitions, and nearly all keys.
/// Rejected: the skeleton of Wang and Ravishankar, a single tree, where a small leaf is a small leaf for all keys.
/// Source: Thaler, Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", IEEE/ACM ToN 6 (1), 1998; weights by
/// exponential draws: Schindelhauer, Schomaker, SPAA 2005.
public struct Rendezvous: Sendable {
    /// Groups up to this size draw as a whole.
    public static let exactTargetsMax = 128
    public static let partitionCount = 32
    /// Leaves that are asked where those before have no open target.
    public static let leavesMax = 8

    @usableFromInline let seeds: [UInt64]
    /// Leaves per partition; 1 in a small group, where the whole group is the leaf.
    @usableFromInline let leafCount: Int
    /// Targets by partition and leaf; empty in a small group.
    @usableFromInline let members: [UInt16]
    /// Where each leaf begins in `members`, and the end of the last.
    @usableFromInline let starts: [UInt32]

    init() { (seeds, leafCount, members, starts) = ([], 1, [], []) }

    init(identities: [UInt64]) {
        seeds = identities.map { mix64($0 ^ 0x7265_6E64_657A_0004) }
        leafCount = identities.count <= Self.exactTargetsMax ? 1 : identities.count <= 4_096 ? 32 : 512
        guard leafCount > 1 else {
            (members, starts) = ([], [])
            return
        }
        var members: [UInt16] = []
        var starts: [UInt32] = [0]
        members.reserveCapacity(identities.count * Self.partitionCount)
        for partition in 0..<Self.partitionCount {
            var leaves = [[UInt16]](repeating: [], count: leafCount)
            for (target, identity) in identities.enumerated() {
                leaves[Self.leaf(of: identity, in: partition, leafCount)].append(UInt16(target))
            }
            for leaf in leaves {
                members += leaf
                starts.append(UInt32(members.count))
            }
        }
        (self.members, self.starts) = (members, starts)
    }

    private static func leaf(of identity: UInt64, in partition: Int, _ leafCount: Int) -> Int {
        let bits = mix64(identity ^ mix64(UInt64(partition) ^ 0x6C65_6166_0000_0005))
        return Int(truncatingIfNeeded: bits) & (leafCount - 1)
    }

    /// - Parameters:
    ///   - hash: of the key, well mixed.
    ///   - accepts: asked of those only that would win.
    @inlinable func best(_ hash: UInt64, of targets: some TargetView, where accepts: (Int, Int) -> Bool) -> Int? {
        var draw = Draw(hash)
        guard leafCount > 1 else {
            for target in 0..<seeds.count { draw.consider(target, seeds[target], of: targets, where: accepts) }
            return draw.target < 0 ? nil : draw.target
        }
        var order = RandomSequence(seed: hash)
        for _ in 0..<Self.leavesMax {
            let bits = order.next()
            let partition = scaled(UInt32(truncatingIfNeeded: bits), below: Self.partitionCount)
            let leaf = partition * leafCount + Int(truncatingIfNeeded: bits >> 32) & (leafCount - 1)
            for place in Int(starts[leaf])..<Int(starts[leaf + 1]) {
                let target = Int(members[place])
                draw.consider(target, seeds[target], of: targets, where: accepts)
            }
            if draw.target >= 0 { return draw.target }
        }
        return nil
    }

    /// The target with the least -ln(u) / weight so far, where u is its number in 0...1 for the key.
    @usableFromInline struct Draw {
        @usableFromInline let hash: UInt64
        @usableFromInline var target = -1
        /// 2^64 u
        @usableFromInline var bits: UInt64 = 0
        @usableFromInline var weight = 0
        /// -ln(u), once a target of another weight came by; below 0 while unknown.
        @usableFromInline var cost = -1.0
        @inlinable init(_ hash: UInt64) { self.hash = hash }

        @inlinable mutating func consider(
            _ candidate: Int, _ seed: UInt64, of targets: some TargetView, where accepts: (Int, Int) -> Bool
        ) {
            let bits = mix64(hash ^ seed)
            let weight = targets.weight(at: candidate)
            // Neither heavier nor luckier: most are decided here, and with equal weights all.
            if weight <= self.weight, bits <= self.bits { return }
            guard weight > 0 else { return }
            if target >= 0, weight != self.weight {
                if cost < 0 { cost = negatedLogarithm(self.bits) }
                // -ln(u) is at least 1 - u: most of the others need no logarithm.
                guard Double(~bits) * 0x1p-64 * Double(self.weight) < cost * Double(weight) else { return }
                let other = negatedLogarithm(bits)
                guard other * Double(self.weight) < cost * Double(weight), accepts(candidate, weight) else { return }
                (target, self.bits, self.weight, cost) = (candidate, bits, weight, other)
            } else if accepts(candidate, weight) {
                (target, self.bits, self.weight, cost) = (candidate, bits, weight, -1)
            }
        }
    }
}

/// -ln(bits / 2^64), right to nine digits, by additions, multiplications and one division: the same on every
/// machine, as a library's logarithm is not.
@usableFromInline func negatedLogarithm(_ bits: UInt64) -> Double {
    // u = m / 2^k with m in 1/√2...√2, and ln m = 2 artanh((m - 1) / (m + 1)), which keeps its digits near 1.
    let zeros = bits.leadingZeroBitCount
    guard zeros < 64 else { return 45.05456673639644 }
    // 1 - m is taken of the bits themselves: near 1 a floating point m has lost it.
    let lead = bits << UInt64(zeros)
    var halvings = Double(zeros)
    var oneLess = (Double(~lead) + 1) * 0x1p-64
    if lead < 0xB504_F333_F9DE_6485 {
        oneLess = 2 * oneLess - 1
        halvings += 1
    }
    let ratio = oneLess / (2 - oneLess)
    let square = ratio * ratio
    let series = 1 + square * (1 / 3 + square * (1 / 5 + square * (1 / 7 + square * (1 / 9 + square * (1 / 11)))))
    return 2 * ratio * series + halvings * 0.6931471805599453
}
