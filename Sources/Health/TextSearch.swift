/// Looks for a text in bytes that arrive in pieces, across their borders (Knuth, Morris, Pratt): one step per byte, and
/// nothing is kept of what came.
public struct TextSearch: Sendable {
    private let text: [UInt8]
    /// For each prefix of `text`: how long the longest proper prefix is that is also its end.
    private let borders: [Int]
    private var matched = 0

    public init(_ text: [UInt8]) { (self.text, borders) = (text, Self.borders(of: text)) }

    public var isEmpty: Bool { text.isEmpty }
    /// An empty text is found before anything came.
    public var isFound: Bool { matched == text.count }

    public mutating func reset() { matched = 0 }

    /// - Returns: how many of `bytes` belong to what came up to the end of the text; `nil` where it is not found yet.
    public mutating func find(in bytes: Span<UInt8>) -> Int? {
        guard !isFound else { return 0 }
        for index in bytes.indices {
            while matched > 0, bytes[index] != text[matched] { matched = borders[matched - 1] }
            if bytes[index] == text[matched] { matched += 1 }
            if isFound { return index + 1 }
        }
        return nil
    }

    private static func borders(of text: [UInt8]) -> [Int] {
        var borders = Array(repeating: 0, count: text.count)
        var length = 0
        for index in text.indices.dropFirst() {
            while length > 0, text[index] != text[length] { length = borders[length - 1] }
            if text[index] == text[length] { length += 1 }
            borders[index] = length
        }
        return borders
    }
}
