/// The targets of a large group, sorted by weight: each weight's targets stand in a ring and take turns.
///
/// Picking a ring by ``CreditSchedule`` and a target by its turn costs one step per *weight* instead of one per
/// target. A weight is rounded to its 8 leading bits, so configured weights (0...256 times a scale that is a
/// power of two) stay exact, weights on their way up in slow start are off by at most 1/256, and there are at
/// most 1,281 rings whatever the group.
///
/// Invariants: (1) a target of weight 0 is in no ring; (2) a ring's share is its weight times its size;
/// (3) an empty ring has share 0 and is used for the next weight that needs one.
@usableFromInline struct WeightRings: Sendable {
    /// Links of a target: its ring, or -1, and its neighbours there.
    @usableFromInline struct Place: Sendable {
        @usableFromInline var ring: Int32 = -1
        @usableFromInline var next: Int32 = -1
        @usableFromInline var previous: Int32 = -1
        @usableFromInline init() {}
    }
    @usableFromInline struct Ring: Sendable {
        @usableFromInline var weight: Int
        @usableFromInline var size: Int32 = 0
        /// The target whose turn is next; -1 when the ring is empty.
        @usableFromInline var turn: Int32 = -1
        @usableFromInline init(weight: Int) { self.weight = weight }
    }

    @usableFromInline var places: [Place]
    @usableFromInline var rings: [Ring] = []
    @usableFromInline var schedule = CreditSchedule(shares: [])

    @usableFromInline init(weights: [Int], start: UInt64) {
        places = Array(repeating: Place(), count: weights.count)
        var ringOfWeight: [Int: Int] = [:]
        for (target, weight) in weights.enumerated() where weight > 0 {
            let rounded = Self.rounded(weight)
            if ringOfWeight[rounded] == nil {
                ringOfWeight[rounded] = rings.count
                rings.append(Ring(weight: rounded))
            }
            link(target, into: ringOfWeight[rounded]!)
        }
        schedule = CreditSchedule(shares: rings.map { $0.weight * Int($0.size) })
        for ring in rings.indices {
            for _ in 0..<start % UInt64(rings[ring].size) { rings[ring].turn = places[Int(rings[ring].turn)].next }
        }
    }

    /// To the 8 leading bits, half up.
    @usableFromInline static func rounded(_ weight: Int) -> Int {
        let shift = Int.bitWidth - weight.leadingZeroBitCount - 8
        guard shift > 0 else { return weight }
        return ((weight + 1 << (shift - 1)) >> shift) << shift
    }

    /// - Returns: `nil` when no target that has a weight is open.
    /// - Cost: a pass over the rings; then the closed targets in front of the first open one.
    @inlinable mutating func pick(where isOpen: (Int) -> Bool) -> Int? {
        guard let ring = schedule.pick(where: { _ in true }) else { return nil }
        if let target = firstOpen(in: ring, where: isOpen) { return take(target, from: ring) }
        // A whole ring is closed: its turn is not spent, the others go on without it.
        schedule.undoPick(of: ring)
        var schedule = CreditSchedule(shares: [])
        swap(&schedule, &self.schedule)  // Moved out and back: the closure below looks at the rest of `self`.
        let next = schedule.pick { firstOpen(in: $0, where: isOpen) != nil }
        swap(&schedule, &self.schedule)
        return next.flatMap { ring in firstOpen(in: ring, where: isOpen).map { take($0, from: ring) } }
    }

    @inlinable func firstOpen(in ring: Int, where isOpen: (Int) -> Bool) -> Int? {
        var target = Int(rings[ring].turn)
        for _ in 0..<rings[ring].size {
            if isOpen(target) { return target }
            target = Int(places[target].next)
        }
        return nil
    }

    @inlinable mutating func take(_ target: Int, from ring: Int) -> Int {
        rings[ring].turn = places[target].next
        return target
    }

    /// The target moves to the end of its new ring; nobody else's turn changes.
    ///
    /// - Cost: a pass over the rings.
    @usableFromInline mutating func setWeight(_ weight: Int, at target: Int) {
        let rounded = Self.rounded(weight)
        let old = Int(places[target].ring)
        guard (old < 0 ? 0 : rings[old].weight) != rounded else { return }
        if old >= 0 {
            unlink(target)
            schedule.setShare(rings[old].weight * Int(rings[old].size), at: old)
        }
        guard rounded > 0 else { return }
        let new = ring(ofWeight: rounded)
        link(target, into: new)
        schedule.setShare(rounded * Int(rings[new].size), at: new)
    }

    private mutating func ring(ofWeight weight: Int) -> Int {
        var empty: Int?
        for index in rings.indices {
            if rings[index].size == 0 { empty = index } else if rings[index].weight == weight { return index }
        }
        if let empty {
            rings[empty].weight = weight
            return empty
        }
        rings.append(Ring(weight: weight))
        schedule.appendEntry()
        return rings.count - 1
    }

    /// To the end: just before the one whose turn is next.
    private mutating func link(_ target: Int, into ring: Int) {
        let turn = rings[ring].turn
        places[target].ring = Int32(ring)
        rings[ring].size += 1
        guard turn >= 0 else {
            (places[target].next, places[target].previous) = (Int32(target), Int32(target))
            rings[ring].turn = Int32(target)
            return
        }
        let last = places[Int(turn)].previous
        (places[target].next, places[target].previous) = (turn, last)
        places[Int(last)].next = Int32(target)
        places[Int(turn)].previous = Int32(target)
    }

    private mutating func unlink(_ target: Int) {
        let place = places[target]
        let ring = Int(place.ring)
        rings[ring].size -= 1
        places[Int(place.previous)].next = place.next
        places[Int(place.next)].previous = place.previous
        if rings[ring].turn == Int32(target) { rings[ring].turn = rings[ring].size == 0 ? -1 : place.next }
        places[target] = Place()
    }
}
