import PoiseHTTP

/// Where the content of a message is in the bytes that come, whatever its framing. Pure: bytes in, ranges out.
struct MessageContent {
    enum Event: Equatable {
        case piece(ByteRange)
        case end
        case needMore
        case refused(Refusal)
    }

    private var framing = BodyFraming.none
    private var remaining = 0
    private var decoder = ChunkedDecoder()
    /// The sender waits for `100 Continue`.
    var expectsContinue = false

    mutating func begin(_ framing: BodyFraming, expectsContinue: Bool = false) {
        self.framing = framing
        self.expectsContinue = expectsContinue
        switch framing {
        case .length(let length): remaining = length
        case .chunked: decoder.reset()
        case .none, .untilClose: remaining = 0
        }
    }

    /// What comes next in `position..<end`. With ``BodyFraming/untilClose`` only the caller sees the end.
    mutating func next(_ bytes: Span<UInt8>, position: inout Int, end: Int) -> Event {
        switch framing {
        case .none: return .end
        case .length:
            if remaining == 0 { return .end }
            let piece = ByteRange(start: position, count: min(remaining, end - position))
            if piece.isEmpty { return .needMore }
            position = piece.end
            remaining -= piece.count
            return .piece(piece)
        case .untilClose:
            let piece = ByteRange(position..<end)
            if piece.isEmpty { return .needMore }
            position = end
            return .piece(piece)
        case .chunked:
            if decoder.isComplete { return .end }
            switch decoder.next(bytes, position: &position, end: end) {
            case .data(let range): return .piece(range)
            case .needMore: return .needMore
            case .end: return .end
            case .refused(let refusal): return .refused(refusal)
            }
        }
    }

    var isComplete: Bool {
        switch framing {
        case .none: true
        case .length: remaining == 0
        case .chunked: decoder.isComplete
        case .untilClose: false
        }
    }

    /// Whether at most `count` bytes are left, known beforehand, and the sender is not waiting to be asked for them.
    func isSkippable(within count: Int) -> Bool {
        if isComplete { return true }
        if case .length = framing { return remaining <= count && !expectsContinue }
        return false
    }
}
