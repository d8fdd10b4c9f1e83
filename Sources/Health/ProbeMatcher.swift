import PoiseModel
import PoiseRegex

/// Judges the answer to one HTTP probe as it arrives: the status, then the body as far as it matters.
///
/// Only the first 64 KiB of the body are looked at: a target that sends without end is not read without end. A text is found
/// without keeping any of them. A pattern needs them in one piece; it is tried when they have doubled, so that all tries
/// together cost twice the last one, and at the end.
public struct ProbeMatcher {
    /// Bytes of the body that are looked at.
    public static let bodyBytesMax = 65_536

    public enum Verdict: Sendable, Equatable {
        /// Feed the next event.
        case undecided
        case succeeded
        /// `responseMismatch` or `bodyMismatch`.
        case failed(TargetReason)
        /// The search for the pattern was given up.
        case tooCostly
    }

    private let statuses: [ClosedRange<Int>]
    private var text: TextSearch
    private let pattern: Pattern?
    private var kept: [UInt8] = []
    private var nextTry = 1
    private var bodyBytes = 0

    /// - Parameter pattern: `probe.bodyMatches`, compiled.
    public init(_ probe: HTTPProbe, pattern: Pattern? = nil) {
        statuses = probe.matcher
        text = TextSearch(Array((probe.bodyContains ?? "").utf8))
        self.pattern = pattern
    }

    /// The final status of the answer, 200...599; interim ones (1xx) are not for here.
    public func status(_ status: Int) -> Verdict {
        guard statuses.contains(where: { $0.contains(status) }) else { return .failed(.responseMismatch) }
        return text.isEmpty && pattern == nil ? .succeeded : .undecided
    }

    /// The next bytes of the body.
    public mutating func body(_ chunk: Span<UInt8>) -> Verdict {
        let looked = chunk.extracting(first: Self.bodyBytesMax - bodyBytes)
        bodyBytes += looked.count
        if let pattern { return search(pattern, looked) }
        if text.find(in: looked) != nil { return .succeeded }
        return bodyBytes == Self.bodyBytesMax ? .failed(.bodyMismatch) : .undecided
    }

    /// The body is complete.
    public mutating func end() -> Verdict {
        if let pattern { return verdict(pattern.search(kept.span), isLast: true) }
        return text.isFound ? .succeeded : .failed(.bodyMismatch)
    }

    private mutating func search(_ pattern: Pattern, _ bytes: Span<UInt8>) -> Verdict {
        for index in bytes.indices { kept.append(bytes[index]) }
        if bodyBytes == Self.bodyBytesMax { return end() }
        guard kept.count >= nextTry else { return .undecided }
        nextTry = kept.count * 2
        return verdict(pattern.search(kept.span, mayGoOn: true), isLast: false)
    }

    private mutating func verdict(_ answer: Pattern.Answer, isLast: Bool) -> Verdict {
        let verdict: Verdict =
            switch answer {
            case .found: .succeeded
            case .absent: isLast ? .failed(.bodyMismatch) : .undecided
            case .tooCostly: .tooCostly
            }
        if verdict != .undecided { kept = [] }
        return verdict
    }
}
