/// Which targets of a very large group one node uses: the first `size` that are usable, in an order of the node's own.
///
/// The order is by lot of node and target (highest random weight), so that nodes agree on nothing and need to know nothing of
/// each other: each target is in the subset of each node with the same chance, and of n nodes with subsets of k out of m
/// targets, nk / m use it, give or take the square root. A target that fails is replaced by the next in order, and is back when
/// it returns; a target that joins takes the place of one other or none; nobody else moves. Rejected: Google's deterministic
/// subsetting, which is more even, needs nodes to be numbered without gaps and deals anew to all of them when the number of
/// targets crosses a multiple of the size. Source: Thaler, Ravishankar, "Using Name-Based Mappings to Increase Hit Rates",
/// 1998; "Site Reliability Engineering", O'Reilly 2016, chapter 20, for the problem.
///
/// Each tier has a subset of its own, and backups have one; where zones are preferred, it is divided between zones by the
/// number of targets that each has there, so that the subset has the proportions of the whole. Each zone has one at least,
/// where the size allows that; a subset of fewer targets than there are zones is drawn from all of them alike, so that it is
/// never empty while a target is left somewhere.
public struct TargetSubset: Sendable, Equatable {
    /// What of a tier and zone is used.
    private struct Stratum: Sendable, Equatable {
        /// Targets in the node's order.
        var order: [Int32]
        /// How many of them, 1 or more.
        var quota: Int
    }
    private var strata: [Stratum] = []

    /// - Parameters:
    ///   - size: targets in use per tier, 1 or more.
    ///   - node: a hash of the node's name.
    ///   - identities: a 64-bit hash of each target's address.
    ///   - tiers: one number per target, backups with one of their own.
    ///   - zones: one number per target; empty where zones do not count.
    /// - Cost: sorts the targets.
    public init(size: Int, node: UInt64, identities: [UInt64], tiers: [Int], zones: [Int] = []) {
        precondition(size > 0 && tiers.count == identities.count)
        precondition(zones.isEmpty || zones.count == identities.count)
        let seed = mix64(node ^ 0x7375_6273_6574_0008)
        let lots = identities.map { mix64($0 ^ seed) }
        let order = lots.indices.sorted { (lots[$0], identities[$0]) < (lots[$1], identities[$1]) }
        for tier in Set(tiers).sorted() {
            let members = order.filter { tiers[$0] == tier }
            let numbers = zones.isEmpty ? [] : Set(members.map { zones[$0] }).sorted()
            let isDivided = numbers.count > 1 && size >= numbers.count
            let parts = isDivided ? numbers.map { number in members.filter { zones[$0] == number } } : [members]
            for (part, quota) in zip(parts, Self.quotas(parts.map(\.count), of: size)) {
                strata.append(Stratum(order: part.map { Int32($0) }, quota: quota))
            }
        }
    }

    /// In proportion to `counts`, 1 or more each, and `size` together unless that many are not there.
    ///
    /// - Parameter size: at least as many as there are counts.
    private static func quotas(_ counts: [Int], of size: Int) -> [Int] {
        let total = counts.reduce(0, +)
        guard size < total else { return counts }
        var quotas = counts.map { max(1, size * $0 / total) }
        // Of `total`: how much a part has too little, above 0, or too much.
        func lack(_ part: Int) -> Int { size * counts[part] - quotas[part] * total }
        for _ in quotas.reduce(0, +)..<max(size, quotas.reduce(0, +)) {
            quotas[quotas.indices.filter { quotas[$0] < counts[$0] }.max { lack($0) < lack($1) }!] += 1
        }
        for _ in size..<max(size, quotas.reduce(0, +)) {
            quotas[quotas.indices.filter { quotas[$0] > 1 }.min { lack($0) < lack($1) }!] -= 1
        }
        return quotas
    }

    /// Calls `take` for each target in use.
    ///
    /// - Cost: in the worst case, with hardly a usable target, a step per target.
    public func forEachMember(where isUsable: (Int) -> Bool, _ take: (Int) -> Void) {
        for stratum in strata {
            var left = stratum.quota
            for target in stratum.order where isUsable(Int(target)) {
                take(Int(target))
                left -= 1
                if left == 0 { break }
            }
        }
    }
}
