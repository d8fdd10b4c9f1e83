/// The head of one HTTP/1.1 request: ranges into the buffer it was parsed from. RFC 9112 §2...§6
///
/// One value serves all requests of a connection: `reset()` keeps the storage, so that nothing is allocated once
/// the largest head has been seen. Invariants, whatever the bytes:
///
/// 1. The result does not depend on how the bytes were cut into reads, and the work is linear in their number.
/// 2. After `.complete`, every range lies between `headStart` and `headEnd`.
/// 3. Nothing is repaired. What two parsers could read differently is refused.
public struct RequestHead: Sendable {
    public enum TargetForm: UInt8, Sendable {
        /// `/path?query`
        case origin
        /// `http://host/path?query`; its authority has replaced `Host`.
        case absolute
        /// `host:port` of CONNECT.
        case authority
        /// `*` of OPTIONS.
        case asterisk
    }

    public internal(set) var method = HTTPMethod.other
    public internal(set) var methodRange = ByteRange.empty
    public internal(set) var version = HTTPVersion.http11
    /// The request target as sent.
    public internal(set) var target = ByteRange.empty
    public internal(set) var form = TargetForm.origin
    /// Raw path without the query; `*` in asterisk-form; empty in authority-form and in an absolute-form without a
    /// path, where it means `/`. Escapes are whole and none of them is `%00`.
    public internal(set) var path = ByteRange.empty
    /// Raw query without its `?`.
    public internal(set) var query = ByteRange.empty
    /// Tells `/?` from `/`.
    public internal(set) var hasQuery = false
    /// `host[:port]` of the target or else of `Host`, checked. Empty only for HTTP/1.0 without `Host`.
    public internal(set) var authority = ByteRange.empty
    /// ``authority`` without the port; an IPv6 address keeps its brackets.
    public internal(set) var host = ByteRange.empty
    /// The request line is, byte for byte, what it would be if it were written anew: method, origin-form, `HTTP/1.1`.
    /// Never set for a line that came in pieces.
    var hasPlainLine = false
    /// The head begins as it would if it were written anew: with the line that `hasPlainLine` tells of, and `Host: ` with
    /// the authority. So these need not be written, but can be copied with the lines behind them.
    public internal(set) var beginsPlainly = false
    /// In the order sent, repeated ones too.
    public internal(set) var fields = FieldLines()
    public internal(set) var framing = BodyFraming.none
    /// Position of the method's first byte, behind an empty line that was skipped.
    public internal(set) var headStart = 0
    /// Position after the blank line.
    public internal(set) var headEnd = 0
    /// The connection ends with this exchange: `Connection: close`, or HTTP/1.0 without `keep-alive`.
    public internal(set) var wantsClose = false
    /// `Expect: 100-continue` of an HTTP/1.1 client.
    public internal(set) var expectsContinue = false
    /// `Upgrade` fields that say something and that `Connection` announces: ``upgrade(_:among:)`` reads them. RFC 9110 §7.8
    public internal(set) var hasUpgrade = false
    /// `TE: trailers`
    public internal(set) var acceptsTrailers = false

    var phase = Phase.begin
    var cursor = 0
    /// Start of the token that is being read.
    var mark = 0
    var queryStart = 0
    var emptyLines = 0
    var pathHasEscapes = false
    var section = FieldSection()
    /// `.needMore` while undecided; afterwards final until `reset()`.
    var outcome = ParseResult.needMore

    enum Phase: UInt8 { case begin, emptyLine, method, target, version, fields }

    public init() {}

    /// Makes room for the next request of the connection; keeps the storage.
    public mutating func reset() {
        // One by one: a fresh value that takes over the fields costs four times as much.
        (method, methodRange, version, target, form) = (.other, .empty, .http11, .empty, .origin)
        (path, query, hasQuery, authority, host) = (.empty, .empty, false, .empty, .empty)
        (hasPlainLine, beginsPlainly) = (false, false)
        fields.removeAll()
        (framing, headStart, headEnd) = (.none, 0, 0)
        (wantsClose, expectsContinue, hasUpgrade, acceptsTrailers) = (false, false, false, false)
        (phase, cursor, mark, queryStart, emptyLines, pathHasEscapes) = (.begin, 0, 0, 0, 0, false)
        section = FieldSection()
        outcome = .needMore
    }

    /// Whether the first byte of a request line was seen: what tells an idle connection from a slow head.
    public var hasBegun: Bool { phase.rawValue >= Phase.method.rawValue }

    /// Reads on. Call it again with the same `start`, and with `bytes` that hold the same bytes and more, until the
    /// result is not `.needMore`; call `reset()` before the next request.
    ///
    /// - Parameters:
    ///   - start: where the request begins in `bytes`. All positions in the result count from the start of `bytes`.
    ///   - limits: the same in each call.
    public mutating func parse(_ bytes: Span<UInt8>, from start: Int, limits: HeadLimits) -> ParseResult {
        guard case .needMore = outcome else { return outcome }
        if phase == .begin, emptyLines == 0 { (headStart, cursor) = (start, start) }
        if let reason = step(bytes, limits) {
            outcome = .refused(Refusal(reason))
        } else if headEnd != 0 {
            outcome = .complete
        }
        return outcome
    }

    /// For a head that HTTP/2 brought: content without a length ends with its stream. RFC 9113 §8.1
    public mutating func endsHere(hasContent: Bool) {
        if hasContent, framing == .none { framing = .untilClose }
    }

    /// The bytes moved within their buffer, or to another one: moves all positions, of a partial head too.
    public mutating func shift(by distance: Int) {
        methodRange.shift(by: distance)
        target.shift(by: distance)
        path.shift(by: distance)
        query.shift(by: distance)
        authority.shift(by: distance)
        host.shift(by: distance)
        fields.shift(by: distance)
        headStart += distance
        if headEnd != 0 { headEnd += distance }
        cursor += distance
        mark += distance
        queryStart += distance
        section.shift(by: distance)
    }
}
