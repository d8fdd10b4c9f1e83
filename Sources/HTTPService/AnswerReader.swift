import PoiseHTTP

/// Takes an answer apart as its bytes come: interim heads are skipped, then head, pieces, end. Pure.
struct AnswerReader {
    enum Step: Equatable {
        /// ``head`` is complete; its ranges are valid in the bytes of this call.
        case head
        case piece(ByteRange)
        case end
        case needMore
        case malformed(Refusal.Reason)
    }

    private(set) var head = ResponseHead()
    private var content = MessageContent()
    private var hasHead = false
    private let method: HTTPMethod
    private let limits: HeadLimits

    init(method: HTTPMethod, limits: HeadLimits) { (self.method, self.limits) = (method, limits) }

    /// Makes ready for another answer; keeps the storage.
    mutating func reset() {
        head.reset()
        hasHead = false
    }

    /// The next step from `position..<end`. While the head is incomplete `position` stays, and the next call must
    /// find the same bytes at the same place.
    mutating func next(_ bytes: Span<UInt8>, position: inout Int, end: Int) -> Step {
        if hasHead {
            switch content.next(bytes, position: &position, end: end) {
            case .piece(let range): return .piece(range)
            case .end: return .end
            case .needMore: return .needMore
            case .refused(let refusal): return .malformed(refusal.reason)
            }
        }
        while true {
            switch head.parse(bytes.extracting(0..<end), from: position, limits: limits, requestMethod: method) {
            case .needMore: return .needMore
            case .refused(let refusal): return .malformed(refusal.reason)
            case .complete: break
            }
            position = head.headEnd
            // Nobody asked for another protocol: RFC 9110 §15.2.2.
            if head.status == 101 { return .malformed(.badStatusLine) }
            if head.status >= 200 { break }
            head.reset()
            if position == end { return .needMore }
        }
        hasHead = true
        content.begin(head.framing)
        return .head
    }

    /// Whether the end of the connection, here, is the end of the answer.
    var endsWithConnection: Bool { hasHead && (head.framing == .untilClose || content.isComplete) }
    var phase: HTTPClientPhase { hasHead ? .receiving : .waiting }
}
