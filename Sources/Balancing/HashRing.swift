/// Ketama's ring: each target has points on a circle, a key belongs to the next point and walks on from there.
///
/// A target's points depend on its identity and weight alone, so a target that joins or leaves moves its own keys and no
/// others. It has 2^k points per unit of weight, with the k that gives a target of mean weight 257 to 512 points: shares
/// of equal targets are right to 20 % up to 10,000 of them (a target with a small part of the mean weight has few points, and
/// a share that is further off). k changes where the mean weight crosses a power of two, and above 16,384 targets: the
/// points that remain are the same, and about half of the keys move.
/// Source: Karger et al., "Consistent Hashing and Random Trees", STOC 1997; libketama.
public struct HashRing: Sendable {
    /// Points that a key walks through.
    public static let probesMax = 64
    /// Points per target of mean weight, at most.
    static let pointsPerTarget = 512
    /// Points in all: 48 MB.
    static let pointsMax = 1 << 23

    /// In rising order.
    @usableFromInline let places: [UInt32]
    @usableFromInline let owners: [UInt16]
    /// The first point of each of 2^n equal parts of the circle.
    @usableFromInline let parts: [UInt32]
    /// 32 - n.
    @usableFromInline let partShift: UInt32

    init() { (places, owners, parts, partShift) = ([], [], [], 32) }

    /// - Parameter weights: the configured ones, in 256ths; a target of weight 0 has no point.
    init(identities: [UInt64], weights: [Int]) {
        // By identity, so that the order in the file does not count where two points are at one place.
        let members = identities.indices.filter { weights[$0] > 0 }.sorted {
            (identities[$0], $0) < (identities[$1], $1)
        }
        let counts = Self.pointCounts(members.map { weights[$0] })
        let total = counts.reduce(0, +)
        guard total > 0 else {
            (places, owners, parts, partShift) = ([], [], [], 32)
            return
        }
        // Two to four points per part.
        let bits = max(1, Int.bitWidth - 1 - total.leadingZeroBitCount - 1)
        let shift = UInt32(32 - bits)
        func eachPoint(_ body: (_ place: UInt32, _ member: Int) -> Void) {
            for (member, count) in counts.enumerated() {
                var sequence = RandomSequence(seed: mix64(identities[members[member]] ^ 0x6B65_7461_6D61_0003))
                for _ in 0..<count { body(UInt32(truncatingIfNeeded: sequence.next() >> 32), member) }
            }
        }
        // A counting sort by part, then each part by itself; both keep the order of equals.
        var ends = [UInt32](repeating: 0, count: 1 << bits + 1)
        eachPoint { place, _ in ends[Int(place >> shift) + 1] += 1 }
        for part in 0..<1 << bits { ends[part + 1] += ends[part] }
        let starts = ends
        var places = [UInt32](repeating: 0, count: total)
        var owners = [UInt16](repeating: 0, count: total)
        eachPoint { place, member in
            var at = Int(ends[Int(place >> shift)])
            ends[Int(place >> shift)] += 1
            let first = Int(starts[Int(place >> shift)])
            while at > first, places[at - 1] > place {
                (places[at], owners[at]) = (places[at - 1], owners[at - 1])
                at -= 1
            }
            (places[at], owners[at]) = (place, UInt16(members[member]))
        }
        (self.places, self.owners, parts, partShift) = (places, owners, starts, shift)
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
        guard !places.isEmpty else { return nil }
        let place = UInt32(truncatingIfNeeded: hash >> 32)
        var point = Int(parts[Int(place >> partShift)])
        while point < places.count, places[point] < place { point += 1 }
        for _ in 0..<min(Self.probesMax, places.count) {
            if point == places.count { point = 0 }
            let target = Int(owners[point])
            if accepts(target) { return target }
            point += 1
        }
        return nil
    }
}
