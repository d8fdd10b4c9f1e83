import PoiseModel

/// Ordinary targets first; backup targets only when no ordinary one is left for this flow.
///
/// "Left" counts the exclusions too: when every ordinary target was tried and failed, a retry goes to a
/// backup rather than nowhere. Fail-open needs nothing here: whoever decides it publishes configured weights
/// instead of zeros.
public struct TieredScheduler: Sendable {
    @usableFromInline var ordinary: Scheduler
    /// `nil` in a group without backup targets, the usual one; then tier and group number targets alike.
    @usableFromInline var backup: Scheduler?
    /// Target of each place in the ordinary tier; unused without backups.
    @usableFromInline var ordinaryTargets: [Int32]
    @usableFromInline var backupTargets: [Int32]
    /// Place of each target in its tier; a backup's is stored as -1 - place.
    @usableFromInline var places: [Int32]
    /// Effective weights that are known and above 0, per tier: a tier without one is not asked.
    @usableFromInline var weights: [Int32]
    @usableFromInline var ordinaryUsable = 0
    @usableFromInline var backupUsable = 0

    /// - Parameter isBackup: one flag per target; empty means that none is.
    ///   The others as ``Scheduler/init(algorithm:options:identities:weights:flowsMax:start:)``.
    public init(
        algorithm: Algorithm, options: AlgorithmOptions = AlgorithmOptions(), identities: [UInt64], weights: [Int],
        isBackup: [Bool] = [], flowsMax: Int? = nil, start: UInt64
    ) {
        precondition(isBackup.isEmpty || isBackup.count == weights.count, "one flag per target")
        self.weights = weights.map { Int32($0) }
        guard isBackup.contains(true) else {
            ordinary = Scheduler(
                algorithm: algorithm, options: options, identities: identities, weights: weights, flowsMax: flowsMax,
                start: start)
            (ordinaryTargets, backupTargets, places) = ([], [], [])
            ordinaryUsable = weights.count { $0 > 0 }
            return
        }
        func tier(_ members: [Int]) -> Scheduler {
            Scheduler(
                algorithm: algorithm, options: options,
                identities: identities.isEmpty ? [] : members.map { identities[$0] },
                weights: members.map { weights[$0] }, flowsMax: flowsMax, start: start)
        }
        let first = weights.indices.filter { !isBackup[$0] }
        let second = weights.indices.filter { isBackup[$0] }
        (ordinary, backup) = (tier(first), tier(second))
        (ordinaryTargets, backupTargets) = (first.map { Int32($0) }, second.map { Int32($0) })
        places = Array(repeating: 0, count: weights.count)
        for (place, target) in first.enumerated() { places[target] = Int32(place) }
        for (place, target) in second.enumerated() { places[target] = -1 - Int32(place) }
        ordinaryUsable = first.count { weights[$0] > 0 }
        backupUsable = second.count { weights[$0] > 0 }
    }

    /// As ``Scheduler/pick(from:key:random:excluding:)``; `targets` holds both tiers.
    @inlinable public mutating func pick(
        from targets: some TargetView, key: UInt64, random: UInt64, excluding excluded: Exclusions = Exclusions()
    ) -> Int? {
        guard backup != nil else {
            guard ordinaryUsable > 0 else { return nil }
            return ordinary.pick(from: targets, key: key, random: random, excluding: excluded)
        }
        if ordinaryUsable > 0 {
            let place = ordinary.pick(
                from: Tier(whole: targets, members: ordinaryTargets), key: key, random: random,
                excluding: translated(excluded, backups: false))
            if let place { return Int(ordinaryTargets[place]) }
        }
        guard backupUsable > 0 else { return nil }
        let place = backup!.pick(
            from: Tier(whole: targets, members: backupTargets), key: key, random: random,
            excluding: translated(excluded, backups: true))
        return place.map { Int(backupTargets[$0]) }
    }

    /// As ``Scheduler/weightChanged(at:to:)``.
    public mutating func weightChanged(at index: Int, to weight: Int) {
        let change = (weight > 0 ? 1 : 0) - (weights[index] > 0 ? 1 : 0)
        weights[index] = Int32(weight)
        let place = places.isEmpty ? index : Int(places[index])
        if place >= 0 {
            ordinaryUsable += change
            ordinary.weightChanged(at: place, to: weight)
        } else {
            backupUsable += change
            backup?.weightChanged(at: -1 - place, to: weight)
        }
    }

    /// Exclusions of one tier, in its own numbers.
    @inlinable func translated(_ excluded: Exclusions, backups: Bool) -> Exclusions {
        var inTier = Exclusions()
        for position in 0..<excluded.count {
            let place = Int(places[excluded[position]])
            if backups, place < 0 { inTier.insert(-1 - place) }
            if !backups, place >= 0 { inTier.insert(place) }
        }
        return inTier
    }

    /// Some targets of a view, renumbered.
    @usableFromInline struct Tier<Whole: TargetView>: TargetView {
        @usableFromInline let whole: Whole
        @usableFromInline let members: [Int32]
        @inlinable init(whole: Whole, members: [Int32]) { (self.whole, self.members) = (whole, members) }
        @inlinable var count: Int { members.count }
        @inlinable func weight(at index: Int) -> Int { whole.weight(at: Int(members[index])) }
        @inlinable func load(at index: Int) -> Int { whole.load(at: Int(members[index])) }
        @inlinable func answerTime(at index: Int) -> Int? { whole.answerTime(at: Int(members[index])) }
        /// Of both: while one tier takes the flows, the other has few or none.
        @inlinable var totalLoad: Int { whole.totalLoad }
    }
}
