import PoiseHTTP
import PoiseHealth
import PoiseLoop
import PoiseModel

/// Reads the answer to one HTTP probe out of a buffer, piece by piece. Reused from probe to probe.
///
/// The verdict may come before the end of the answer; what then follows is read and dropped, so that the target can
/// finish what it says before the connection ends.
final class ProbeAnswer {
    /// What is known after the latest bytes.
    enum Progress: Equatable {
        case needMore
        case decided(ProbeResult.Outcome, ProbeResult.Detail)
    }

    private var head = ResponseHead()
    private var chunks = ChunkedDecoder()
    private var matcher = ProbeMatcher(HTTPProbe())
    private var method = HTTPMethod.get
    /// Of a gRPC check: what it says is judged by this, and not by the matcher.
    private var call: (answer: GRPCAnswer, codes: [ClosedRange<Int>])?
    private var headIsComplete = false
    private var remaining = 0
    private var dropped = 0
    /// Heads of interim answers so far, in bytes.
    private var interim = 0
    private var decision: Progress?
    /// The answer is over, or more of it is not worth reading.
    private(set) var isComplete = false
    /// The answer is over as its framing says: neither refused, nor cut, nor given up.
    private(set) var isWhole = false
    /// The connection can carry another request: the answer is over, ended by its own framing, and nothing follows it.
    var leavesConnection: Bool { isWhole && !head.wantsClose && !hasMore }
    /// Bytes came behind the end.
    private var hasMore = false
    /// Unread bytes at the front of the buffer, as the last call left them.
    private(set) var kept = 0

    static let limits = HeadLimits(headBytesMax: 16 * 1024, fieldCountMax: 100)
    /// Read and dropped behind a verdict at most.
    private static let droppedMax = 65_536
    /// A target that sends more of interim answers does not come to the answer.
    static let interimBytesMax = 65_536

    func begin(_ matcher: ProbeMatcher, method: String) {
        self.matcher = matcher
        call = nil
        self.method = method == "HEAD" ? .head : .get
        head.reset()
        chunks.reset()
        (headIsComplete, remaining, dropped, interim, kept) = (false, 0, 0, 0, 0)
        (decision, isComplete, isWhole, hasMore) = (nil, false, false, false)
    }

    /// Takes the bytes `0..<end` of `buffer`; ``kept`` of them are moved to the front and must be there again next time.
    func read(_ buffer: Buffer, end: Int) -> Progress {
        var start = 0
        if !headIsComplete {
            guard let content = readHead(buffer, end) else { return decision ?? .needMore }
            start = content
        }
        readContent(buffer, start, end)
        return decision ?? .needMore
    }

    /// The target has sent its last byte.
    ///
    /// - Parameter isTruncated: TLS did not say so: the end may be anybody's. RFC 9112 §9.8
    func endOfStream(isTruncated: Bool = false) -> Progress {
        isComplete = true
        isWhole = headIsComplete && head.framing == .untilClose && !isTruncated
        if let decision { return decision }
        guard headIsComplete else { return decide(.failed(.connectionFailed), .closedEarly) }
        guard isWhole else { return decide(.failed(.malformedResponse), .closedEarly) }
        endOfContent()
        return decision ?? .needMore
    }

    // MARK: Over HTTP/2, where frames say what is what

    var progress: Progress { decision ?? .needMore }

    /// A head as HTTP/1.1 has it, an interim one too.
    func takeHead(_ text: [UInt8]) {
        head.reset()
        switch head.parse(text.span, from: 0, limits: Self.limits, requestMethod: method) {
        case .needMore: fail(.malformedResponse, .closedEarly)
        case .refused(let refusal): fail(.malformedResponse, .malformed(refusal.reason))
        case .complete:
            guard head.status >= 200 else { return takeInterim(text.count) }
            headIsComplete = true
            call?.answer.head(status: head.status, fields: text)
            judge()
        }
    }

    /// Behind this comes nothing.
    func takeTrailers(_ text: [UInt8]) {
        call?.answer.trailers(text)
        takeEnd()
    }

    func takeContent(_ buffer: Buffer, _ start: Int, _ end: Int) { take(buffer, start, end) }

    /// The end of the answer. Nothing where it has failed before.
    func takeEnd() {
        guard !isComplete else { return }
        endOfContent()
    }

    /// The answer to a gRPC call is expected.
    func expect(codes: [ClosedRange<Int>]) { call = (GRPCAnswer(), codes) }

    /// There will be no more of the answer. A verdict stands.
    func fail(_ reason: TargetReason, _ detail: ProbeResult.Detail) {
        isComplete = true
        if decision == nil { decide(.failed(reason), detail) }
    }

    // MARK: Reading

    /// - Returns: where the content begins; `nil` when the head is not complete or not acceptable.
    private func readHead(_ buffer: Buffer, _ end: Int) -> Int? {
        var start = 0
        while true {
            switch head.parse(buffer.bytes(0, end), from: start, limits: Self.limits, requestMethod: method) {
            case .needMore:
                // An interim answer before it is of no more use.
                if start > 0 {
                    buffer.move(start, end, to: buffer, at: 0)
                    head.shift(by: -start)
                }
                kept = end - start
                return nil
            case .refused(let refusal):
                isComplete = true
                decide(.failed(.malformedResponse), .malformed(refusal.reason))
                return nil
            case .complete where (100..<200).contains(head.status) && head.status != 101:
                takeInterim(head.headEnd - start)
                guard !isComplete else { return nil }
                start = head.headEnd
                head.reset()
            case .complete:
                headIsComplete = true
                judge()
                if case .length(let length) = head.framing { remaining = length }
                return head.headEnd
            }
        }
    }

    private func takeInterim(_ count: Int) {
        interim += count
        if interim > Self.interimBytesMax { fail(.malformedResponse, .malformed(.headTooLarge)) }
    }

    private func judge() {
        if let call {
            // Whatever it is, what follows says no more of the target.
            if call.answer.isForeign { decide(.failed(.responseMismatch), .grpc(call.answer)) }
            return
        }
        switch matcher.status(head.status) {
        case .undecided: break
        case .succeeded: decide(.succeeded, .status(head.status))
        case .failed(let reason): decide(.failed(reason), .status(head.status))
        case .tooCostly: break
        }
    }

    private func readContent(_ buffer: Buffer, _ start: Int, _ end: Int) {
        kept = 0
        switch head.framing {
        case .none:
            hasMore = start < end
            endOfContent()
        case .untilClose: take(buffer, start, end)
        case .length:
            let count = min(remaining, end - start)
            take(buffer, start, start + count)
            remaining -= count
            hasMore = start + count < end
            if remaining == 0 { endOfContent() }
        case .chunked:
            readChunks(buffer, start, end)
        }
    }

    private func readChunks(_ buffer: Buffer, _ start: Int, _ end: Int) {
        var position = start
        while true {
            switch chunks.next(buffer.bytes(0, end), position: &position, end: end) {
            case .data(let range): take(buffer, range.start, range.end)
            case .needMore:
                kept = end - position
                if kept > 0, position > 0 { buffer.move(position, end, to: buffer, at: 0) }
                return
            case .end:
                hasMore = position < end
                return endOfContent()
            case .refused(let refusal):
                isComplete = true
                if decision == nil { decide(.failed(.malformedResponse), .malformed(refusal.reason)) }
                return
            }
        }
    }

    private func take(_ buffer: Buffer, _ start: Int, _ end: Int) {
        guard start < end else { return }
        if decision != nil {
            dropped += end - start
            if dropped > Self.droppedMax { isComplete = true }
            return
        }
        if var call {
            let isRoom = call.answer.content(buffer.bytes(start, end))
            self.call = call
            if !isRoom { decide(.failed(.malformedResponse), .grpc(call.answer)) }
            return
        }
        apply(matcher.body(buffer.bytes(start, end)))
    }

    private func endOfContent() {
        (isComplete, isWhole) = (true, true)
        guard decision == nil else { return }
        guard var call else { return apply(matcher.end()) }
        let verdict = call.answer.end(codes: call.codes)
        apply(verdict, .grpc(call.answer), .grpc(call.answer))
    }

    private func apply(_ verdict: ProbeMatcher.Verdict) {
        apply(verdict, .status(head.status), .body(status: head.status))
    }

    private func apply(
        _ verdict: ProbeMatcher.Verdict, _ success: ProbeResult.Detail, _ failure: ProbeResult.Detail
    ) {
        switch verdict {
        case .undecided: break
        case .succeeded: decide(.succeeded, success)
        case .failed(let reason): decide(.failed(reason), failure)
        case .tooCostly: decide(.failed(.bodyMismatch), .bodyTooCostly(status: head.status))
        }
    }

    @discardableResult
    private func decide(_ outcome: ProbeResult.Outcome, _ detail: ProbeResult.Detail) -> Progress {
        let progress = Progress.decided(outcome, detail)
        decision = progress
        return progress
    }
}
