/// Searching text in text, byte by byte.
///
/// The standard `firstRange(of:)`, `replacing(_:with:)`, `split(separator: "…")` and `contains("…")` live in
/// _StringProcessing, which brings the parser of regular expressions: 4 MB of archives for three loops.
extension StringProtocol {
    /// The first place of `text`, which is not empty; `nil` where there is none.
    public func place(of text: String) -> Range<Index>? {
        let needle = text.utf8
        var start = utf8.startIndex
        while start != utf8.endIndex {
            if utf8[start...].starts(with: needle) { return start..<utf8.index(start, offsetBy: needle.count) }
            utf8.formIndex(after: &start)
        }
        return nil
    }

    public func holds(_ text: String) -> Bool { place(of: text) != nil }

    /// Every `text` from left to right, not again in what was put in.
    public func substituting(_ text: String, with other: String) -> String {
        var result = ""
        var rest = self[...]
        while let found = rest.place(of: text) {
            result += rest[..<found.lowerBound]
            result += other
            rest = rest[found.upperBound...]
        }
        return result + rest
    }
}
