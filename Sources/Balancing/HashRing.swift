/// Ketama's ring: each target has points on a circle, a key belongs to the next point and walks on from there.
///
/// A target's points depend on its identity and weight alone, so a target that joins or leaves moves its own keys and no
/// others. It has 2^k points per unit of weight, with the k that gives a target of mean weight 453 to 905 points: shares
/// of equal targets are right to 20 % up to 10,000 of them (a target with a small part of the mean weight has few points, and
/// a share that is further off). k changes where the mean weight passes 1.77 times a power of two, and above 9,000 to 18,000
/// targets: the points that remain are the same, and about half of the keys move.
/// Source: Karger et al., "Consistent Hashing and Random Trees", STOC 1997; libketama.
public struct HashRing: Sendable {
    /// Points that a key walks through.
    public static let probesMax = 64
    /// Points per target of mean weight, at most: the geometric middle of 800 and 1,024. A common weight of 50, 100 or 200 has
    /// 800 points, of 1, 2, 128 or 256 it has 512, with twice as many just out of reach; 3, 5 and 10 are between. So the mean is
    /// 13 % or more from where all points double or halve, and one weight of many may change.
    static let pointsPerTarget = 905
    /// Points in all: 37 MB.
    static let pointsMax = 1 << 23

    /// In rising order, in a ring of less than 2^18 points; else empty.
    @usableFromInline let places: [UInt32]
    /// Of a larger ring, whose parts have no more than 2^16 places: the place within the part.
    @usableFromInline let nearPlaces: [UInt16]
    @usableFromInline let owners: [UInt16]
    /// The first point of each of 2^n equal parts of the circle, then the number of points.
    @usableFromInline let parts: [UInt32]
    /// 32 - n.
    @usableFromInline let partShift: UInt32

    init() { (places, nearPlaces, owners, parts, partShift) = ([], [], [], [], 32) }

    /// - Parameter weights: the configured ones, in 256ths; a target of weight 0 has no point.
    init(identities: [UInt64], weights: [Int]) {
        // By identity, so that the order in the file does not count where two points are at one place.
        let members = identities.indices.filter { weights[$0] > 0 }.sorted {
            (identities[$0], $0) < (identities[$1], $1)
        }
        let counts = Self.pointCounts(members.map { weights[$0] })
        let total = counts.reduce(0, +)
        guard total > 0 else {
            (places, nearPlaces, owners, parts, partShift) = ([], [], [], [], 32)
            return
        }
        // Two to four points per part, four to eight in a large ring.
        let isLarge = total >= 1 << 18
        let bits = max(1, Int.bitWidth - 1 - total.leadingZeroBitCount - (isLarge ? 2 : 1))
        let shift = UInt32(32 - bits)
        let points = Points(
            seeds: members.map { mix64(identities[$0] ^ 0x6B65_7461_6D61_0003) }, owners: members.map { UInt16($0) },
            counts: counts, shift: shift)
        let starts = points.starts(ofParts: 1 << bits)
        var owners = [UInt16](repeating: 0, count: total)
        (places, nearPlaces) =
            isLarge ? ([], points.sorted(into: starts, &owners)) : (points.sorted(into: starts, &owners), [])
        (self.owners, parts, partShift) = (owners, starts, shift)
    }

    /// The points of all targets, drawn anew whenever they are asked for.
    private struct Points {
        let seeds: [UInt64]
        let owners: [UInt16]
        let counts: [Int]
        let shift: UInt32

        private func forEach(_ body: (_ place: UInt32, _ owner: UInt16) -> Void) {
            for (member, count) in counts.enumerated() {
                var sequence = RandomSequence(seed: seeds[member])
                for _ in 0..<count { body(UInt32(truncatingIfNeeded: sequence.next() >> 32), owners[member]) }
            }
        }

        func starts(ofParts count: Int) -> [UInt32] {
            var starts = [UInt32](repeating: 0, count: count + 1)
            forEach { place, _ in starts[Int(place >> shift) + 1] += 1 }
            for part in 0..<count { starts[part + 1] += starts[part] }
            return starts
        }

        /// A counting sort by part, then each part by itself; both keep the order of equals.
        ///
        /// - Returns: the places, or their last bits: within a part they have the same order.
        func sorted<Place: FixedWidthInteger>(into starts: [UInt32], _ owners: inout [UInt16]) -> [Place] {
            var ends = starts
            var places = [Place](repeating: 0, count: owners.count)
            let mask: UInt32 = Place.bitWidth == 32 ? .max : 1 << shift - 1
            forEach { place, owner in
                let part = Int(place >> shift)
                let bits = Place(truncatingIfNeeded: place & mask)
                var at = Int(ends[part])
                ends[part] += 1
                while at > Int(starts[part]), places[at - 1] > bits {
                    (places[at], owners[at]) = (places[at - 1], owners[at - 1])
                    at -= 1
                }
                (places[at], owners[at]) = (bits, owner)
            }
            return places
        }
    }

    /// Points of each target.
    static func pointCounts(_ weights: [Int]) -> [Int] {
        let total = weights.reduce(0, +)
        guard total > 0 else { return weights.map { _ in 0 } }
        let room = min(pointsPerTarget * weights.count, pointsMax)
        // Points per unit of weight are 2^scale / 2^16: a weight of 1 is 256 here.
        var scale = 0
        while (total << (scale + 1)) <= (room << 16) { scale += 1 }
        return weights.map { max(1, ($0 << scale) >> 16) }
    }

    /// - Parameter hash: of the key, well mixed.
    @inlinable func first(_ hash: UInt64, where accepts: (Int) -> Bool) -> Int? {
        guard !owners.isEmpty else { return nil }
        let place = UInt32(truncatingIfNeeded: hash >> 32)
        let part = Int(place >> partShift)
        var point = Int(parts[part])
        let end = Int(parts[part + 1])
        if places.isEmpty {
            let near = UInt16(truncatingIfNeeded: place & (1 << partShift - 1))
            while point < end, nearPlaces[point] < near { point += 1 }
        } else {
            while point < end, places[point] < place { point += 1 }
        }
        for _ in 0..<min(Self.probesMax, owners.count) {
            if point == owners.count { point = 0 }
            let target = Int(owners[point])
            if accepts(target) { return target }
            point += 1
        }
        return nil
    }

    /// All points in rising order.
    var circle: [UInt32] {
        guard places.isEmpty else { return places }
        return parts.indices.dropLast().flatMap { part in
            nearPlaces[Int(parts[part])..<Int(parts[part + 1])].map { UInt32(part) << partShift | UInt32($0) }
        }
    }
}
