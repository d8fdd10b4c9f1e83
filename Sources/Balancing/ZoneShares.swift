/// How a tier's flows are divided between zones: the own one as far as its targets reach, the others for what they have to
/// spare.
///
/// Flows arrive in every zone, and those who route them all go by this rule. With a part p of all flows arriving in a zone
/// that has the part c of the usable weight, its targets would get p / c of the mean load if all stayed. They stay while
/// that is within the overload; else the part overload × c / p of them does. What leaves goes to the zones with more weight
/// than flows of their own, each for c - p. So with an overload of 100 % every target has the mean load, wherever it stands
/// and however few share its zone, and no flow crosses that need not. Source: Envoy's zone aware routing, whose rule this is
/// at 100 %; the allowance is that of Kubernetes' topology aware routing.
///
/// The weight of a zone is that of all its targets, those too that a subset leaves out: members stand for the whole. They
/// cannot where a zone has targets and no member, in a subset of fewer targets than there are zones. There the members are
/// all that counts, and what leaves the own zone goes to the others' by weight: or what is due to an absent zone would have to
/// go to some other one, and members elsewhere would idle.
@usableFromInline struct ZoneShares: Sendable {
    /// What the shares add up to.
    @usableFromInline static var whole: Int { 1 << 16 }

    /// Of `whole`: what arrives in each zone.
    private let arriving: [Int]
    private let overloadPercent: Int
    @usableFromInline let seeds: [UInt64]
    /// Weights in force, by zone, if the subset left nobody out.
    private var usable: [Int]
    /// Those of the subset's members.
    private var members: [Int]
    @usableFromInline var schedule: CreditSchedule

    init(_ preference: ZonePreference, usable: [Int]) {
        precondition(usable.count == preference.count)
        let others = preference.count - 1
        let own =
            others == 0
            ? Self.whole : preference.trafficPercent.map { Self.whole * $0 / 100 } ?? Self.whole / (others + 1)
        arriving = (0...others).map { $0 == 0 ? own : (Self.whole - own) / others }
        (overloadPercent, seeds) = (preference.overloadPercent, preference.seeds)
        (self.usable, members) = (usable, usable)
        schedule = CreditSchedule(shares: Array(repeating: 0, count: usable.count))
        divide()
    }

    /// - Parameters:
    ///   - weight: what the zone's targets gain, in the subset or not.
    ///   - memberWeight: what those in the subset gain.
    mutating func change(_ zone: Int, by weight: Int, members memberWeight: Int) {
        usable[zone] += weight
        members[zone] += memberWeight
        divide()
    }

    /// Of ``whole``: what each zone takes; all 0 where no zone can take anything.
    var shares: [Int] { schedule.shares }

    private mutating func divide() {
        let isPartial = usable.indices.contains { usable[$0] > 0 && members[$0] == 0 }
        divide(by: isPartial ? members : usable, sparing: !isPartial)
    }

    /// - Parameter isSparing: other zones' own flows count; else what leaves goes to them by weight.
    private mutating func divide(by usable: [Int], sparing isSparing: Bool) {
        let total = usable.reduce(0, +)
        guard total > 0 else {
            for zone in usable.indices { schedule.setShare(0, at: zone) }
            return
        }
        let own = min(Self.whole, Self.whole * usable[0] / total * Self.whole / arriving[0] * overloadPercent / 100)
        func spare(_ zone: Int) -> Int { max(0, Self.whole * usable[zone] / total - arriving[zone]) }
        let spares = isSparing ? (1..<usable.count).reduce(0) { $0 + spare($1) } : 0
        let far = total - usable[0]
        // The rounding of shares may leave nothing to spare: then by weight.
        func share(_ zone: Int) -> Int {
            spares > 0 ? (Self.whole - own) * spare(zone) / spares : (Self.whole - own) * usable[zone] / far
        }
        var given = 0
        var largest = 0
        for zone in usable.indices.dropFirst() where own < Self.whole && far > 0 {
            given += share(zone)
            if share(zone) > (largest == 0 ? 0 : share(largest)) { largest = zone }
        }
        for zone in usable.indices {
            guard zone > 0, own < Self.whole, far > 0 else {
                schedule.setShare(zone > 0 ? 0 : far > 0 ? own : Self.whole, at: zone)
                continue
            }
            schedule.setShare(share(zone) + (zone == largest ? Self.whole - own - given : 0), at: zone)
        }
    }

    /// - Returns: `nil` when no zone can take anything.
    @inlinable mutating func next() -> Int? { schedule.pick { _ in true } }

    /// The zone of a key: the own one for as large a part of the keys as of the flows, always the same ones first; the others
    /// by lot among the rest, so that a zone whose share changes moves its own keys only.
    @inlinable func zone(of key: UInt64) -> Int? {
        guard schedule.total > 0 else { return nil }
        let bits = mix64(key ^ 0x7A6F_6E65_0000_0007)
        if scaled(UInt32(truncatingIfNeeded: bits >> 32), below: schedule.total) < schedule.shares[0] { return 0 }
        var best = 0
        var least = Double.infinity
        for zone in schedule.shares.indices where zone > 0 && schedule.shares[zone] > 0 {
            let cost = negatedLogarithm(mix64(bits ^ seeds[zone])) / Double(schedule.shares[zone])
            if cost < least { (best, least) = (zone, cost) }
        }
        return best
    }
}
