/// Words in braces that stand for the target that is checked.
///
/// One is `{`, ASCII letters or `_`, and `}`. All other braces are text, as JSON has them, and nothing escapes: `{{port}}` is
/// the port in braces.
public enum ProbePlaceholder: String, Sendable, CaseIterable {
    /// The target's IP address, or the path of its unix socket.
    case address
    case port
    /// The group's name.
    case group
    /// Address and port, as status shows them.
    case target

    /// `text` with every placeholder replaced. Other words in braces stay as they are: ``unknown(in:)`` has them refused.
    public static func fill(_ text: String, _ value: (ProbePlaceholder) -> String) -> String {
        var result = ""
        var rest = Substring(text)
        while let place = firstWord(in: rest) {
            result += rest[..<place.lowerBound]
            result += placeholder(rest[place]).map(value) ?? String(rest[place])
            rest = rest[place.upperBound...]
        }
        return result + rest
    }

    /// Whether anything in `text` is of the target.
    public static func isUsed(in text: String) -> Bool { words(in: text).contains { placeholder($0) != nil } }

    /// The first word in braces that is none of these, with its braces; `nil` where all are.
    public static func unknown(in text: String) -> String? {
        words(in: text).first { placeholder($0) == nil }.map(String.init)
    }

    private static func placeholder(_ word: Substring) -> Self? { Self(rawValue: String(word.dropFirst().dropLast())) }

    private static func words(in text: String) -> [Substring] {
        var words: [Substring] = []
        var rest = Substring(text)
        while let place = firstWord(in: rest) {
            words.append(rest[place])
            rest = rest[place.upperBound...]
        }
        return words
    }

    /// Where the first word in braces is, with them. Cost: one pass, as bytes: a brace before a combining mark is one too.
    private static func firstWord(in text: Substring) -> Range<String.Index>? {
        let bytes = text.utf8
        var open: String.Index?
        for index in bytes.indices {
            switch bytes[index] {
            case UInt8(ascii: "{"): open = index
            case UInt8(ascii: "}"):
                let end = bytes.index(after: index)
                if let open, bytes.distance(from: open, to: end) > 2 { return open..<end }
                open = nil
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): break
            default: open = nil
            }
        }
        return nil
    }
}
