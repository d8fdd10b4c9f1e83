/// Who is furthest behind its share goes next: the arithmetic of smooth weighted round robin.
///
/// Each pick adds every entry's share to its credit and takes the sum from the entry with the most.
/// Invariants: (1) the credits add up to 0, or after a change to less than the number of entries; (2) an entry
/// without a share has no credit; (3) without changes, after as many picks as the shares add up to, every entry had
/// exactly its share, and the order repeats.
/// Source: nginx's change of 2012-05-14.
@usableFromInline struct CreditSchedule: Sendable {
    @usableFromInline var shares: [Int]
    @usableFromInline var credits: [Int]
    @usableFromInline var total: Int

    @usableFromInline init(shares: [Int]) {
        self.shares = shares
        credits = Array(repeating: 0, count: shares.count)
        total = shares.reduce(0, +)
    }

    /// - Parameter isOpen: an entry for which this is false neither gains credit nor is chosen.
    /// - Returns: `nil` when no open entry has a share.
    /// - Cost: one pass, no allocation.
    @inlinable mutating func pick(where isOpen: (Int) -> Bool) -> Int? {
        var best = -1
        var bestCredit = Int.min
        var sum = 0
        for index in credits.indices {
            let share = shares[index]
            guard share > 0, isOpen(index) else { continue }
            sum += share
            let credit = credits[index] + share
            credits[index] = credit
            if credit > bestCredit { (best, bestCredit) = (index, credit) }
        }
        guard best >= 0 else { return nil }
        credits[best] -= sum
        return best
    }

    /// Takes back the last `pick` with every entry open, which returned `index`.
    @inlinable mutating func undoPick(of index: Int) {
        credits[index] += total
        for entry in credits.indices { credits[entry] -= shares[entry] }
    }

    /// Every entry stays as many picks ahead of or behind its share as it was.
    ///
    /// Credits are in units of share, so they are scaled with the total: otherwise an entry that is one pick
    /// ahead at a total of 65,536 would wait for thousands of picks once the total is 2.
    @usableFromInline mutating func setShare(_ share: Int, at index: Int) {
        guard share != shares[index] else { return }
        let oldTotal = total
        total += share - shares[index]
        shares[index] = share
        guard oldTotal > 0, total > 0 else {
            for entry in credits.indices { credits[entry] = 0 }
            return
        }
        let ratio = Double(total) / Double(oldTotal)
        var sum = 0
        var open = 0
        for entry in credits.indices {
            guard shares[entry] > 0 else {
                credits[entry] = 0
                continue
            }
            credits[entry] = Int(Double(credits[entry]) * ratio)
            sum += credits[entry]
            open += 1
        }
        // What rounding or a leaving entry left over is spread evenly: else it would grow from change to change,
        // and an entry that comes in at 0 would be far behind or ahead of all others.
        let mean = (sum - (sum < 0 ? open - 1 : 0)) / open
        for entry in credits.indices where shares[entry] > 0 { credits[entry] -= mean }
    }

    @usableFromInline mutating func appendEntry() {
        shares.append(0)
        credits.append(0)
    }
}
