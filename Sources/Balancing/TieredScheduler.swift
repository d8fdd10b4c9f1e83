import PoiseModel

/// Targets in tiers: the first tier as long as it is healthy enough, the others for what spills over; backup targets only
/// when no other is left for this flow. Within a tier the own zone first, where there is a preference: see ``ZoneShares``.
///
/// "Left" counts the exclusions too: when every ordinary target was tried and failed, a retry goes to a
/// backup rather than nowhere; and to another zone before it goes to another tier. Fail-open needs nothing here: whoever
/// decides it publishes configured weights instead of zeros.
public struct TieredScheduler: Sendable {
    /// The targets of one tier in one zone, with their own state of the algorithm.
    @usableFromInline struct Part: Sendable {
        @usableFromInline var scheduler: Scheduler
        /// Target of each place.
        @usableFromInline let targets: [Int32]
        /// Effective weights that are known and above 0: a part without one is not asked.
        @usableFromInline var usable: Int
    }

    /// The only part of most groups; then part and group number targets alike.
    @usableFromInline var single: Scheduler
    @usableFromInline var singleUsable = 0
    /// Tier by tier, backups last, and in each as many as there are zones; empty with a single part.
    @usableFromInline var parts: [Part] = []
    /// 1 without a preference.
    @usableFromInline let zoneCount: Int
    /// How many tiers are not of backups.
    @usableFromInline var ordinaryCount = 0
    /// Part of each target, and its place there.
    @usableFromInline var partOf: [UInt16] = []
    @usableFromInline var places: [Int32] = []
    @usableFromInline var spill = SpillOver(full: [], percent: 100)
    /// One per tier; empty without a preference.
    @usableFromInline var zones: [ZoneShares] = []
    private var weights: [Int32]
    /// Weights without the subset; empty where they are of no account: with a single part.
    private var standing: [Int32] = []
    /// Empty with a single tier.
    private var health: [TierHealth] = []

    /// - Parameters:
    ///   - isBackup: one flag per target; empty means that none is.
    ///   - tiers: one number per target, 0...15, lower ones first; empty means that all are of one. Those of backups do not
    ///     count.
    ///   - overprovisioningPercent: 100 or more: see ``SpillOver``.
    ///   - preference: of zones; `nil` for none.
    ///   The others as ``Scheduler/init(algorithm:options:identities:weights:flowsMax:start:)``.
    public init(
        algorithm: Algorithm, options: AlgorithmOptions = AlgorithmOptions(), identities: [UInt64], weights: [Int],
        isBackup: [Bool] = [], tiers numbers: [Int] = [], overprovisioningPercent: Int = 140,
        preference: ZonePreference? = nil, flowsMax: Int? = nil, start: UInt64
    ) {
        precondition(isBackup.isEmpty || isBackup.count == weights.count, "one flag per target")
        precondition(numbers.isEmpty || numbers.count == weights.count, "one tier per target")
        precondition(preference.map { $0.zones.count == weights.count } ?? true, "one zone per target")
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
        var tiers = used.map { number in ordinary.filter { numbers.isEmpty || numbers[$0] == number } }
        ordinaryCount = tiers.count
        if ordinary.count < weights.count { tiers.append(weights.indices.filter(backup)) }
        let zoneCount = preference?.count ?? 1
        self.zoneCount = zoneCount
        guard tiers.count > 1 || zoneCount > 1 else {
            single = scheduler(Array(weights.indices))
            singleUsable = weights.count { $0 > 0 }
            return
        }
        single = scheduler([])
        (partOf, places) = (Array(repeating: 0, count: weights.count), Array(repeating: 0, count: weights.count))
        for tier in tiers {
            var members = Array(repeating: [Int](), count: zoneCount)
            for target in tier { members[preference?.zones[target] ?? 0].append(target) }
            if let preference {
                zones.append(ZoneShares(preference, usable: members.map { $0.reduce(0) { $0 + weights[$1] } }))
            }
            for members in members {
                for (place, target) in members.enumerated() {
                    (partOf[target], places[target]) = (UInt16(parts.count), Int32(place))
                }
                parts.append(
                    Part(
                        scheduler: scheduler(members), targets: members.map { Int32($0) },
                        usable: members.count { weights[$0] > 0 }))
            }
        }
        standing = self.weights
        if ordinaryCount > 1 { health = self.weights.map { TierHealth(weight: $0) } }
        spill = SpillOver(
            full: tiers.prefix(ordinaryCount).map { $0.reduce(0) { $0 + weights[$1] } },
            percent: overprovisioningPercent)
    }

    /// As ``Scheduler/pick(from:key:random:excluding:)``; `targets` holds all parts.
    @inlinable public mutating func pick(
        from targets: some TargetView, key: UInt64, random: UInt64, excluding excluded: Exclusions = Exclusions()
    ) -> Int? {
        guard !parts.isEmpty else {
            guard singleUsable > 0 else { return nil }
            return single.pick(from: targets, key: key, random: random, excluding: excluded)
        }
        var chosen = 0
        if ordinaryCount > 1 {
            chosen = (parts[0].scheduler.algorithm.isKeyed ? spill.tier(of: key) : spill.next()) ?? 0
        }
        if let target = pick(in: chosen, from: targets, key: key, random: random, excluding: excluded) {
            return target
        }
        for tier in 0..<parts.count / zoneCount where tier != chosen {
            if let target = pick(in: tier, from: targets, key: key, random: random, excluding: excluded) {
                return target
            }
        }
        return nil
    }

    @inlinable mutating func pick(
        in tier: Int, from targets: some TargetView, key: UInt64, random: UInt64, excluding excluded: Exclusions
    ) -> Int? {
        let first = tier * zoneCount
        guard zoneCount > 1 else {
            return pick(of: first, from: targets, key: key, random: random, excluding: excluded)
        }
        let isKeyed = parts[first].scheduler.algorithm.isKeyed
        guard let chosen = isKeyed ? zones[tier].zone(of: key) : zones[tier].next() else { return nil }
        if let target = pick(of: first + chosen, from: targets, key: key, random: random, excluding: excluded) {
            return target
        }
        for zone in 0..<zoneCount where zone != chosen {
            if let target = pick(of: first + zone, from: targets, key: key, random: random, excluding: excluded) {
                return target
            }
        }
        return nil
    }

    @inlinable mutating func pick(
        of part: Int, from targets: some TargetView, key: UInt64, random: UInt64, excluding excluded: Exclusions
    ) -> Int? {
        guard parts[part].usable > 0 else { return nil }
        let place = parts[part].scheduler.pick(
            from: Members(whole: targets, targets: parts[part].targets, part: part), key: key, random: random,
            excluding: translated(excluded, to: part))
        return place.map { Int(parts[part].targets[$0]) }
    }

    /// As ``Scheduler/weightChanged(at:to:)``.
    ///
    /// - Parameter standing: what the weight would be if the subset left nobody out; `nil`: the same. Tiers and zones share
    ///   the flows by this one, as the whole group is, and the subset's members only take them; see ``ZoneShares`` for zones
    ///   without a member.
    public mutating func weightChanged(at index: Int, to weight: Int, standing told: Int? = nil) {
        let old = Int(weights[index])
        stand(index, at: told ?? weight, gaining: weight - old)
        guard weight != old else { return }
        let change = (weight > 0 ? 1 : 0) - (old > 0 ? 1 : 0)
        weights[index] = Int32(weight)
        guard !parts.isEmpty else {
            singleUsable += change
            return single.weightChanged(at: index, to: weight)
        }
        let part = Int(partOf[index])
        parts[part].usable += change
        parts[part].scheduler.weightChanged(at: Int(places[index]), to: weight)
    }

    /// - Parameter memberWeight: what the target gains as a member of the subset.
    private mutating func stand(_ index: Int, at weight: Int, gaining memberWeight: Int) {
        guard !standing.isEmpty else { return }
        let part = Int(partOf[index])
        let tier = part / zoneCount
        let change = weight - Int(standing[index])
        if zoneCount > 1, change != 0 || memberWeight != 0 {
            zones[tier].change(part % zoneCount, by: change, members: memberWeight)
        }
        guard change != 0 else { return }
        standing[index] = Int32(weight)
        guard tier < ordinaryCount, !health.isEmpty else { return }
        let before = health[index]
        health[index].weightChanged(to: Int32(weight))
        spill.change(
            tier, by: health[index].usable - before.usable, whole: Int(health[index].whole) - Int(before.whole))
    }

    /// Exclusions of one part, in its own numbers.
    @inlinable func translated(_ excluded: Exclusions, to part: Int) -> Exclusions {
        var inPart = Exclusions()
        for position in 0..<excluded.count {
            let target = excluded[position]
            if Int(partOf[target]) == part { inPart.insert(Int(places[target])) }
        }
        return inPart
    }

    /// Some targets of a view, renumbered.
    @usableFromInline struct Members<Whole: TargetView>: TargetView {
        @usableFromInline let whole: Whole
        @usableFromInline let targets: [Int32]
        @usableFromInline let part: Int
        @inlinable init(whole: Whole, targets: [Int32], part: Int) {
            (self.whole, self.targets, self.part) = (whole, targets, part)
        }
        @inlinable var count: Int { targets.count }
        @inlinable func weight(at index: Int) -> Int { whole.weight(at: Int(targets[index])) }
        @inlinable func load(at index: Int) -> Int { whole.load(at: Int(targets[index])) }
        @inlinable func answerTime(at index: Int) -> Int? { whole.answerTime(at: Int(targets[index])) }
        /// Of this part alone: its bound is that of the flows that its own targets share.
        @inlinable var totalLoad: Int { whole.totalLoad(ofPart: part) }
        @inlinable func totalLoad(ofPart part: Int) -> Int { totalLoad }
    }
}
