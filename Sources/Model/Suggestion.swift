/// What somebody probably meant.
public enum Suggestion {
    /// The candidate nearest to `word`, if it is near enough to be a slip of the hand.
    ///
    /// Distance counts letters inserted, removed, replaced, or swapped with their neighbour (Damerau's four slips);
    /// up to a third of the word's length, at least 1. Ties go to a candidate of the word's own length (`HTTSP` is
    /// `HTTPS` and not `HTTP`), then to the first.
    public static func nearest(to word: String, among candidates: some Sequence<String>) -> String? {
        let letters = Array(normalised(word).prefix(64))
        let limit = max(1, letters.count / 3)
        var best: (candidate: String, rank: Int)?
        for candidate in candidates where candidate != word {
            let other = Array(normalised(candidate).prefix(64))
            guard abs(other.count - letters.count) <= limit else { continue }
            let distance = distance(letters, other)
            let rank = 2 * distance + (other.count == letters.count ? 0 : 1)
            if distance <= limit, best.map({ rank < $0.rank }) ?? true { best = (candidate, rank) }
        }
        return best?.candidate
    }

    /// `did you mean 'x'?`, or the list of what there is.
    public static func fix(for word: String, among candidates: [String], noneKnown: String) -> String {
        if let nearest = nearest(to: word, among: candidates) { return "did you mean '\(nearest)'?" }
        guard !candidates.isEmpty else { return noneKnown }
        let shown = candidates.prefix(12).joined(separator: ", ")
        return "use one of: \(shown)\(candidates.count > 12 ? ", … (\(candidates.count) in all)" : "")"
    }

    /// `healthCheck`, `health-check` and `health_check` are the same slip away from each other: none.
    private static func normalised(_ word: String) -> [UInt8] {
        var letters: [UInt8] = []
        for byte in word.utf8 {
            switch byte {
            case UInt8(ascii: "-"): letters.append(UInt8(ascii: "_"))
            case UInt8(ascii: "A")...UInt8(ascii: "Z"):
                if let last = letters.last, (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(last),
                    word.contains(where: \.isLowercase)
                {
                    letters.append(UInt8(ascii: "_"))
                }
                letters.append(byte | 0x20)
            default: letters.append(byte)
            }
        }
        return letters
    }

    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...b.count)
        for i in a.indices {
            var row = [i + 1]
            row.reserveCapacity(b.count + 1)
            for j in b.indices {
                var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforeLast[j - 1] + 1) }
                row.append(cost)
            }
            (beforeLast, last) = (last, row)
        }
        return last[b.count]
    }
}
