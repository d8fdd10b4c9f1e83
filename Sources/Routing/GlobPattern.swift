import PoiseModel

/// A glob in the form it is matched in: normalised bytes, split into its literal ends.
///
/// `*` is any run of bytes (also `/`, also none), `?` is exactly one byte, the whole text must match. A character
/// that a path writes as triplets counts as their bytes.
struct GlobPattern: Hashable {
    static let star = UInt8(ascii: "*")
    static let question = UInt8(ascii: "?")

    /// No two stars in a row.
    let bytes: [UInt8]
    /// Literal bytes before the first wildcard; all of them when there is none.
    let prefixCount: Int
    /// Literal bytes after the last wildcard; all of them when there is none.
    let suffixCount: Int
    /// The shortest text that can match.
    let countMin: Int

    var matchesEverything: Bool { bytes == [Self.star] }

    /// Host names know no case, and one trailing dot only says that the name is absolute.
    init(host glob: Glob) {
        var bytes = glob.pattern.utf8.map { foldedCase($0, bit: caseBit) }
        if bytes.last == UInt8(ascii: ".") { bytes.removeLast() }
        self.init(normalized: bytes)
    }

    /// Literals take the form that ``PathNormalization`` gives to paths: `/caf\u{E9}` matches `/caf%c3%a9`.
    init(path glob: Glob) {
        let source = Array(glob.pattern.utf8)
        let (unreserved, allowed) = (ASCIISet.unreserved, ASCIISet.path)
        var bytes: [UInt8] = []
        var index = 0
        while index < source.count {
            let byte = source[index]
            index += 1
            if byte == UInt8(ascii: "%"), index + 1 < source.count, let high = hexValue(source[index]),
                let low = hexValue(source[index + 1])
            {
                let value = high << 4 | low
                index += 2
                if unreserved.contains(value) { bytes.append(value) } else { bytes.appendPercentEncoded(value) }
            } else if byte == Self.question || allowed.contains(byte) {
                bytes.append(byte)
            } else {
                bytes.appendPercentEncoded(byte)
            }
        }
        self.init(normalized: bytes)
    }

    private init(normalized source: [UInt8]) {
        var bytes: [UInt8] = []
        for byte in source where byte != Self.star || bytes.last != Self.star { bytes.append(byte) }
        let isWild = { (byte: UInt8) in byte == Self.star || byte == Self.question }
        prefixCount = bytes.firstIndex(where: isWild) ?? bytes.count
        suffixCount = bytes.count - (bytes.lastIndex(where: isWild).map { $0 + 1 } ?? 0)
        countMin = bytes.count(where: { $0 != Self.star })
        self.bytes = bytes
    }

    /// Whether the whole of `text` matches `pattern`.
    ///
    /// The tail after the last star first, because it fails fastest; then every star takes as little as it can, and
    /// only the last one seen is ever widened: no state but two indices, at most |text| x |pattern| steps.
    ///
    /// - Parameter foldBit: ``caseBit`` to compare `text` in lower case, 0 to compare it as it is.
    static func matches(_ pattern: Span<UInt8>, _ text: Span<UInt8>, foldBit: UInt8) -> Bool {
        var (patternEnd, textEnd) = (pattern.count, text.count)
        while patternEnd > 0, pattern[patternEnd - 1] != star {
            guard textEnd > 0 else { return false }
            let expected = pattern[patternEnd - 1]
            guard expected == question || expected == foldedCase(text[textEnd - 1], bit: foldBit) else { return false }
            patternEnd -= 1
            textEnd -= 1
        }
        if patternEnd == 0 { return textEnd == 0 }
        var (patternIndex, textIndex) = (0, 0)
        var (afterStar, starText) = (-1, 0)
        while textIndex < textEnd {
            let expected = pattern[patternIndex]
            if expected == star {
                patternIndex += 1
                if patternIndex == patternEnd { return true }
                (afterStar, starText) = (patternIndex, textIndex)
            } else if expected == question || expected == foldedCase(text[textIndex], bit: foldBit) {
                patternIndex += 1
                textIndex += 1
            } else if afterStar >= 0 {
                starText += 1
                (patternIndex, textIndex) = (afterStar, starText)
            } else {
                return false
            }
        }
        // The text is used up; what is left of the pattern ends with a star, so it may only be that star.
        return patternIndex == patternEnd - 1
    }
}

/// The bit that tells ASCII letters' cases apart.
let caseBit: UInt8 = 0x20

/// `byte` in lower case when `bit` is ``caseBit``, as it is when `bit` is 0.
@inline(__always) func foldedCase(_ byte: UInt8, bit: UInt8) -> UInt8 {
    byte &- 0x41 < 26 ? byte | bit : byte
}
