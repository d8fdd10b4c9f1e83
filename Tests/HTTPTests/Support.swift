import PoiseHTTP

/// The bytes of `range` as text, every byte a character (ISO 8859-1), so that any input can be shown.
func text(_ bytes: [UInt8], _ range: ByteRange) -> String {
    latin1(bytes[range.start..<range.end])
}

func latin1(_ bytes: some Sequence<UInt8>) -> String {
    String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
}

/// The inverse of `latin1`: "\u{80}" is the one byte 0x80.
func bytes(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8($0.value) } }

/// All that a request head says, as values that can be compared without the buffer.
struct RequestSummary: Equatable {
    var method = ""
    var target = ""
    var version = HTTPVersion.http11
    var form = RequestHead.TargetForm.origin
    var path = ""
    var query: String?
    var authority = ""
    var host = ""
    var framing = BodyFraming.none
    var fields: [String] = []
    var hopByHop: [String] = []
    var headEnd = 0
    var wantsClose = false
    var expectsContinue = false
    /// What would be chosen if `websocket` and `b` were allowed; empty for none of them, nil without an upgrade.
    var upgrade: String?
    var acceptsTrailers = false
}

enum Verdict<Summary: Equatable>: Equatable {
    case complete(Summary)
    case needMore
    case refused(Int, Refusal.Reason)

    var summary: Summary? {
        if case .complete(let summary) = self { return summary }
        return nil
    }
}

func summary(_ head: RequestHead, _ bytes: [UInt8]) -> RequestSummary {
    var summary = RequestSummary()
    summary.method = text(bytes, head.methodRange)
    summary.target = text(bytes, head.target)
    summary.version = head.version
    summary.form = head.form
    summary.path = text(bytes, head.path)
    summary.query = head.hasQuery ? text(bytes, head.query) : nil
    summary.authority = text(bytes, head.authority)
    summary.host = text(bytes, head.host)
    summary.framing = head.framing
    summary.fields = head.fields.map { "\(text(bytes, $0.name)): \(text(bytes, $0.value))" }
    summary.hopByHop = head.fields.filter(\.isHopByHop).map { text(bytes, $0.name) }
    summary.headEnd = head.headEnd
    summary.wantsClose = head.wantsClose
    summary.expectsContinue = head.expectsContinue
    if head.hasUpgrade {
        let chosen = head.upgrade(bytes.span, among: ["websocket", "b"])
        summary.upgrade = chosen.isEmpty ? "" : text(bytes, chosen)
    }
    summary.acceptsTrailers = head.acceptsTrailers
    return summary
}

func verdict(_ head: RequestHead, _ result: ParseResult, _ bytes: [UInt8]) -> Verdict<RequestSummary> {
    switch result {
    case .complete: .complete(summary(head, bytes))
    case .needMore: .needMore
    case .refused(let refusal): .refused(refusal.status, refusal.reason)
    }
}

/// Parses a request whose bytes arrive in pieces that end at `cuts` and at the end of `input`.
func parseRequest(
    _ input: [UInt8], cuts: some Sequence<Int> = [], start: Int = 0, limits: HeadLimits = HeadLimits()
) -> Verdict<RequestSummary> {
    var head = RequestHead()
    for cut in cuts {
        let arrived = Array(input[..<cut])
        let result = head.parse(arrived.span, from: start, limits: limits)
        if result != .needMore { return verdict(head, result, arrived) }
    }
    let result = head.parse(input.span, from: start, limits: limits)
    return verdict(head, result, input)
}

func parseRequest(_ input: String, limits: HeadLimits = HeadLimits()) -> Verdict<RequestSummary> {
    parseRequest(bytes(input), limits: limits)
}

struct ResponseSummary: Equatable {
    var status = 0
    var version = HTTPVersion.http11
    var reason = ""
    var framing = BodyFraming.none
    var fields: [String] = []
    var hopByHop: [String] = []
    var headEnd = 0
    var wantsClose = false
    var keepAliveTimeout: Int?
    var upgrade: String?
    var hasDate = false
}

func verdict(_ head: ResponseHead, _ result: ParseResult, _ bytes: [UInt8]) -> Verdict<ResponseSummary> {
    switch result {
    case .needMore: return .needMore
    case .refused(let refusal): return .refused(refusal.status, refusal.reason)
    case .complete:
        var summary = ResponseSummary()
        summary.status = head.status
        summary.version = head.version
        summary.reason = text(bytes, head.reason)
        summary.framing = head.framing
        summary.fields = head.fields.map { "\(text(bytes, $0.name)): \(text(bytes, $0.value))" }
        summary.hopByHop = head.fields.filter(\.isHopByHop).map { text(bytes, $0.name) }
        summary.headEnd = head.headEnd
        summary.wantsClose = head.wantsClose
        summary.keepAliveTimeout = head.keepAliveTimeoutSeconds
        summary.upgrade = head.hasUpgrade ? text(bytes, head.upgradeValue) : nil
        summary.hasDate = head.hasDate
        return .complete(summary)
    }
}

func parseResponse(
    _ input: [UInt8], cuts: some Sequence<Int> = [], method: HTTPMethod = .get, limits: HeadLimits = HeadLimits()
) -> Verdict<ResponseSummary> {
    var head = ResponseHead()
    for cut in cuts {
        let arrived = Array(input[..<cut])
        let result = head.parse(arrived.span, from: 0, limits: limits, requestMethod: method)
        if result != .needMore { return verdict(head, result, arrived) }
    }
    let result = head.parse(input.span, from: 0, limits: limits, requestMethod: method)
    return verdict(head, result, input)
}

func parseResponse(_ input: String, method: HTTPMethod = .get) -> Verdict<ResponseSummary> {
    parseResponse(bytes(input), method: method)
}

/// What a chunked body came to: its data, the trailers that may be passed on, and the unused bytes.
enum ChunkedOutcome: Equatable {
    case complete(data: String, trailers: [String], dropped: [String], rest: String)
    case needMore(data: String)
    case refused(Int, Refusal.Reason)
}

/// Decodes a body that arrives in pieces ending at `cuts`. Used bytes are thrown away after each piece, as a
/// connection does when it compacts its buffer, so that every position moves.
func decodeChunked(_ input: [UInt8], cuts: some Sequence<Int> = [], trailerBytesMax: Int = 8192) -> ChunkedOutcome {
    var decoder = ChunkedDecoder(trailerBytesMax: trailerBytesMax)
    var buffer: [UInt8] = []
    var data = ""
    var arrived = 0
    for cut in Array(cuts) + [input.count] {
        buffer += input[arrived..<cut]
        arrived = cut
        var position = 0
        events: while true {
            switch decoder.next(buffer.span, position: &position, end: buffer.count) {
            case .data(let range): data += text(buffer, range)
            case .needMore: break events
            case .refused(let refusal): return .refused(refusal.status, refusal.reason)
            case .end:
                let lines = decoder.trailers.map {
                    ($0.isHopByHop, "\(text(buffer, $0.name)): \(text(buffer, $0.value))")
                }
                return .complete(
                    data: data, trailers: lines.filter { !$0.0 }.map(\.1), dropped: lines.filter(\.0).map(\.1),
                    rest: latin1(buffer[position...] + input[arrived...]))
            }
        }
        buffer.removeFirst(position)
    }
    return .needMore(data: data)
}

/// SplitMix64: small, good enough for tests, and the same everywhere. Source: Steele, Lea, Flood, OOPSLA 2014.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// `#expect` cannot hold a span, so what takes one is called through here.
func authority(_ input: String) -> Authority? {
    let input = bytes(input)
    return Authority(input.span, ByteRange(input.indices))
}

func isEqual(_ input: String, _ text: String) -> Bool {
    let input = bytes(input)
    return equalsIgnoringCase(input.span, ByteRange(input.indices), text)
}
