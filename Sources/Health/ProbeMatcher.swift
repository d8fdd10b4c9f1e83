import PoiseModel

/// Judges the answer to one HTTP probe as it arrives: the status, then the body as far as it matters.
///
/// The text is found across the borders of chunks (Knuth, Morris, Pratt: one step per byte, nothing is kept of the body), and
/// only in the first 64 KiB: a target that sends without end is not read without end.
public struct ProbeMatcher: Sendable {
    /// Bytes of the body that are looked at.
    public static let bodyBytesMax = 65_536

    public enum Verdict: Sendable, Equatable {
        /// Feed the next event.
        case undecided
        case succeeded
        /// `responseMismatch` or `bodyMismatch`.
        case failed(TargetReason)
    }

    private let statuses: [ClosedRange<Int>]
    private let text: [UInt8]
    /// For each prefix of `text`: how long the longest proper prefix is that is also its end.
    private let borders: [Int]
    private var matched = 0
    private var bodyBytes = 0

    public init(_ probe: HTTPProbe) {
        statuses = probe.matcher
        text = Array((probe.bodyContains ?? "").utf8)
        borders = Self.borders(of: text)
    }

    /// The final status of the answer, 200...599; interim ones (1xx) are not for here.
    public func status(_ status: Int) -> Verdict {
        guard statuses.contains(where: { $0.contains(status) }) else { return .failed(.responseMismatch) }
        return text.isEmpty ? .succeeded : .undecided
    }

    /// The next bytes of the body.
    public mutating func body(_ chunk: Span<UInt8>) -> Verdict {
        guard matched < text.count else { return .succeeded }
        for index in 0..<min(chunk.count, Self.bodyBytesMax - bodyBytes) {
            while matched > 0, chunk[index] != text[matched] { matched = borders[matched - 1] }
            if chunk[index] == text[matched] { matched += 1 }
            if matched == text.count { return .succeeded }
        }
        bodyBytes = min(bodyBytes + chunk.count, Self.bodyBytesMax)
        return bodyBytes == Self.bodyBytesMax ? .failed(.bodyMismatch) : .undecided
    }

    /// The body is complete.
    public func end() -> Verdict { matched == text.count ? .succeeded : .failed(.bodyMismatch) }

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
