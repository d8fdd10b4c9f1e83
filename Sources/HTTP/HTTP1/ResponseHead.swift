/// The head of one HTTP/1.1 answer: ranges into the buffer it was parsed from. RFC 9112 §4...§6
///
/// As strict as ``RequestHead`` and built alike: one value serves a connection, the result does not depend on how the
/// bytes were cut, and a hostile target gets nothing passed on. An interim answer (1xx) is a head of its own:
/// `reset()` and read on from `headEnd`.
public struct ResponseHead: Sendable {
    /// 100...599
    public internal(set) var status = 0
    public internal(set) var version = HTTPVersion.http11
    /// Reason phrase, often empty.
    public internal(set) var reason = ByteRange.empty
    /// The status line is, byte for byte, what it would be if it were written anew: `HTTP/1.1`, status, phrase. Never
    /// set for a line that came in pieces.
    public internal(set) var hasPlainLine = false
    /// In the order sent, repeated ones too.
    public internal(set) var fields = FieldLines()
    /// For the method that was asked with: HEAD, 1xx, 204, 304 and CONNECT with 2xx have no content.
    public internal(set) var framing = BodyFraming.none
    public internal(set) var headStart = 0
    /// Position after the blank line.
    public internal(set) var headEnd = 0
    /// The connection cannot carry another request: `Connection: close`, HTTP/1.0 without `keep-alive`, content up to
    /// the close, or a 1xx or 204 that announces content.
    public internal(set) var wantsClose = false
    /// `Keep-Alive: timeout=N`, 0...86400; nil where none is given.
    public internal(set) var keepAliveTimeoutSeconds: Int?
    /// One `Upgrade` field that `Connection` announces.
    public internal(set) var hasUpgrade = false
    public internal(set) var upgradeValue = ByteRange.empty
    public internal(set) var hasDate = false

    var phase = Phase.statusLine
    var cursor = 0
    var hasStarted = false
    /// Start of the status line, then of the reason phrase.
    var mark = 0
    var section = FieldSection()
    var outcome = ParseResult.needMore

    enum Phase: UInt8 { case statusLine, reason, lineEnd, fields }

    public init() {}

    /// Makes room for the next answer of the connection; keeps the storage.
    public mutating func reset() {
        // One by one, as in `RequestHead`.
        (status, version, reason, hasPlainLine) = (0, .http11, .empty, false)
        fields.removeAll()
        (framing, headStart, headEnd) = (.none, 0, 0)
        (wantsClose, keepAliveTimeoutSeconds, hasUpgrade, upgradeValue, hasDate) = (false, nil, false, .empty, false)
        (phase, cursor, hasStarted, mark) = (.statusLine, 0, false, 0)
        section = FieldSection()
        outcome = .needMore
    }

    /// Reads on. Call it again with the same `start` and more bytes until the result is not `.needMore`.
    ///
    /// - Parameters:
    ///   - start: where the answer begins in `bytes`. All positions in the result count from the start of `bytes`.
    ///   - requestMethod: decides with the status whether content follows.
    /// - Returns: refusals carry status 502; their reason says what the target did.
    public mutating func parse(
        _ bytes: Span<UInt8>, from start: Int, limits: HeadLimits, requestMethod: HTTPMethod
    ) -> ParseResult {
        guard case .needMore = outcome else { return outcome }
        if !hasStarted {
            hasStarted = true
            (headStart, cursor, mark) = (start, start, start)
        }
        if let reason = step(bytes, limits, requestMethod) {
            outcome = .refused(Refusal(status: 502, reason: reason))
        } else if headEnd != 0 {
            outcome = .complete
        }
        return outcome
    }

    /// The bytes moved within their buffer, or to another one: moves all positions, of a partial head too.
    public mutating func shift(by distance: Int) {
        reason.shift(by: distance)
        upgradeValue.shift(by: distance)
        fields.shift(by: distance)
        headStart += distance
        if headEnd != 0 { headEnd += distance }
        cursor += distance
        mark += distance
        section.shift(by: distance)
    }
}
