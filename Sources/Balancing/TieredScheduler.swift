import PoiseModel

/// Targets in tiers: the first tier as long as it is healthy enough, the others for what spills over; backup targets only
/// when no other is left for this flow.
///
/// "Left" counts the exclusions too: when every ordinary target was tried and failed, a retry goes to a
/// backup rather than nowhere. Fail-open needs nothing here: whoever decides it publishes configured weights
/// instead of zeros.
public struct TieredScheduler: Sendable {
    /// One tier with its own state of the algorithm.
    @usableFromInline struct Tier: Sendable {
        @usableFromInline var scheduler: Scheduler
        /// Target of each place.
        @usableFromInline let targets: [Int32]
        /// Effective weights that are known and above 0: a tier without one is not asked.
        @usableFromInline var usable: Int
    }

    /// The only tier of most groups; then tier and group number targets alike.
    @usableFromInline var single: Scheduler
    @usableFromInline var singleUsable = 0
    /// In order, backups last; empty with a single tier.
    @usableFromInline var tiers: [Tier] = []
    /// How many of `tiers` are not of backups.
    @usableFromInline var ordinaryCount = 0
    /// Tier of each target, and its place there.
    @usableFromInline var tierOf: [UInt8] = []
    @usableFromInline var places: [Int32] = []
    @usableFromInline var spill = SpillOver(full: [], percent: 100)
    private var weights: [Int32]

    /// - Parameters:
    ///   - isBackup: one flag per target; empty means that none is.
    ///   - tiers: one number per target, 0...15, lower ones first; empty means that all are of one. Those of backups do not
    ///     count.
    ///   - overprovisioningPercent: 100 or more: see ``SpillOver``.
    ///   The others as ``Scheduler/init(algorithm:options:identities:weights:flowsMax:start:)``.
    public init(
        algorithm: Algorithm, options: AlgorithmOptions = AlgorithmOptions(), identities: [UInt64], weights: [Int],
        isBackup: [Bool] = [], tiers numbers: [Int] = [], overprovisioningPercent: Int = 140, flowsMax: Int? = nil,
        start: UInt64
    ) {
        precondition(isBackup.isEmpty || isBackup.count == weights.count, "one flag per target")
        precondition(numbers.isEmpty || numbers.count == weights.count, "one tier per target")
        self.weights = weights.map { Int32($0) }
        func scheduler(_ members: [Int]) -> Scheduler {
            Scheduler(
                algorithm: algorithm, options: options,
                identities: identities.isEmpty ? [] : members.map { identities[$0] },
                weights: members.map { weights[$0] }, flowsMax: flowsMax, start: start)
        }
        func backup(_ target: Int) -> Bool { isBackup.isEmpty ? false : isBackup[target] }
        let ordinary = weights.indices.filter { !backup($0) }
        let used = numbers.isEmpty ? [0] : Set(ordinary.map { numbers[$0] }).sorted()
        var members = used.map { number in ordinary.filter { numbers.isEmpty || numbers[$0] == number } }
        ordinaryCount = members.count
        if ordinary.count < weights.count { members.append(weights.indices.filter(backup)) }
        guard members.count > 1 else {
            single = scheduler(Array(weights.indices))
            singleUsable = weights.count { $0 > 0 }
            return
        }
        single = scheduler([])
        (tierOf, places) = (Array(repeating: 0, count: weights.count), Array(repeating: 0, count: weights.count))
        for (tier, members) in members.enumerated() {
            tiers.append(
                Tier(
                    scheduler: scheduler(members), targets: members.map { Int32($0) },
                    usable: members.count { weights[$0] > 0 }))
            for (place, target) in members.enumerated() {
                (tierOf[target], places[target]) = (UInt8(tier), Int32(place))
            }
        }
        spill = SpillOver(
            full: members.prefix(ordinaryCount).map { $0.reduce(0) { $0 + weights[$1] } },
            percent: overprovisioningPercent)
    }

    /// As ``Scheduler/pick(from:key:random:excluding:)``; `targets` holds all tiers.
    @inlinable public mutating func pick(
        from targets: some TargetView, key: UInt64, random: UInt64, excluding excluded: Exclusions = Exclusions()
    ) -> Int? {
        guard !tiers.isEmpty else {
            guard singleUsable > 0 else { return nil }
            return single.pick(from: targets, key: key, random: random, excluding: excluded)
        }
        var chosen = 0
        if ordinaryCount > 1 {
            chosen = (tiers[0].scheduler.algorithm.isKeyed ? spill.tier(of: key) : spill.next()) ?? 0
            if let target = pick(in: chosen, from: targets, key: key, random: random, excluding: excluded) {
                return target
            }
        }
        for tier in tiers.indices where ordinaryCount == 1 || tier != chosen {
            if let target = pick(in: tier, from: targets, key: key, random: random, excluding: excluded) {
                return target
            }
        }
        return nil
    }

    @inlinable mutating func pick(
        in tier: Int, from targets: some TargetView, key: UInt64, random: UInt64, excluding excluded: Exclusions
    ) -> Int? {
        guard tiers[tier].usable > 0 else { return nil }
        let place = tiers[tier].scheduler.pick(
            from: Members(whole: targets, targets: tiers[tier].targets), key: key, random: random,
            excluding: translated(excluded, to: tier))
        return place.map { Int(tiers[tier].targets[$0]) }
    }

    /// As ``Scheduler/weightChanged(at:to:)``.
    public mutating func weightChanged(at index: Int, to weight: Int) {
        let old = Int(weights[index])
        guard weight != old else { return }
        let change = (weight > 0 ? 1 : 0) - (old > 0 ? 1 : 0)
        weights[index] = Int32(weight)
        guard !tiers.isEmpty else {
            singleUsable += change
            return single.weightChanged(at: index, to: weight)
        }
        let tier = Int(tierOf[index])
        tiers[tier].usable += change
        tiers[tier].scheduler.weightChanged(at: Int(places[index]), to: weight)
        if tier < ordinaryCount { spill.change(tier, by: weight - old) }
    }

    /// Exclusions of one tier, in its own numbers.
    @inlinable func translated(_ excluded: Exclusions, to tier: Int) -> Exclusions {
        var inTier = Exclusions()
        for position in 0..<excluded.count {
            let target = excluded[position]
            if Int(tierOf[target]) == tier { inTier.insert(Int(places[target])) }
        }
        return inTier
    }

    /// Some targets of a view, renumbered.
    @usableFromInline struct Members<Whole: TargetView>: TargetView {
        @usableFromInline let whole: Whole
        @usableFromInline let targets: [Int32]
        @inlinable init(whole: Whole, targets: [Int32]) { (self.whole, self.targets) = (whole, targets) }
        @inlinable var count: Int { targets.count }
        @inlinable func weight(at index: Int) -> Int { whole.weight(at: Int(targets[index])) }
        @inlinable func load(at index: Int) -> Int { whole.load(at: Int(targets[index])) }
        @inlinable func answerTime(at index: Int) -> Int? { whole.answerTime(at: Int(targets[index])) }
        /// Of all tiers: while one takes the flows, the others have few or none.
        @inlinable var totalLoad: Int { whole.totalLoad }
    }
}
