import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel

/// The answer's way to the client.
extension Exchange {
    func readAnswer(of target: TargetStream) {
        while phase == .forwarding, self.target === target {
            switch target.fill(large: target.pool.answersAreLarge && client.takesLargePieces) {
            case .bytes: answerBytesCame = true
            case .blocked: return
            case .full:
                guard target.input!.capacity < BufferPool.largeBytes else {
                    return answerRefused(Refusal(status: 502, reason: .headTooLarge))
                }
                answer.shift(by: target.compactInput(large: true))
                continue
            case .endOfStream:
                return targetFailed(.targetClosed)
            case .failed:
                return answerFailed(target)
            }
            parseAnswer(target)
        }
    }

    /// Reads heads out of the target's input: interim ones are passed on, a final one begins the answer.
    func parseAnswer(_ target: TargetStream) {
        while phase == .forwarding, target.unreadCount > 0 {
            switch readAnswerHead(target) {
            case .needMore:
                // It says something, if slowly: how much it may say is limited by the head's size.
                return activity(target)
            case .refused(let refusal):
                return answerRefused(refusal)
            case .complete:
                answerIsBeingRead = false
                target.inputCursor = answer.headEnd
                if answer.status < 200 { interim(target) } else { beginAnswer(target) }
            }
        }
    }

    func readAnswerHead(_ target: TargetStream) -> ParseResult {
        guard let buffer = target.input else { return .needMore }
        if !answerIsBeingRead {
            answer.reset()
            answerIsBeingRead = true
        }
        return answer.parse(
            buffer.bytes(0, target.inputEnd), from: target.inputCursor, limits: Self.answerLimits,
            requestMethod: head.method)
    }

    /// Of known length and more than a standard buffer holds.
    private func isLarge(_ framing: BodyFraming) -> Bool {
        if case .length(let count) = framing { count > BufferPool.standardBytes } else { false }
    }

    static var interimMax: Int { 64 }
    static var answerLimits: HeadLimits { HeadLimits(headBytesMax: 32 * 1024, fieldCountMax: 200) }

    func interim(_ target: TargetStream) {
        activity(target)
        if answer.status == 101 {
            guard wantsUpgrade, answer.hasUpgrade, requestIsSent, switchesAsAsked(target.input!) else {
                return answerRefused(Refusal(status: 502, reason: .badConnectionOption))
            }
            return beginTunnel(target)
        }
        interimCount += 1
        // A target may not fill our memory, nor our time, with them.
        guard interimCount <= Self.interimMax,
            client.framesMessages || client.stagedCount <= BufferPool.standardBytes
        else { return answerRefused(Refusal(status: 502, reason: .headTooLarge)) }
        // The output of an HTTP/2 connection is full of others' answers: an interim one may be left out. RFC 9110 §15.2
        if client.framesMessages, client.stagedCount > BufferPool.largeBytes / 2, answer.status != 100 { return }
        // An HTTP/1.0 client knows no interim answers. RFC 9110 §15.2
        guard head.version == .http11 else { return }
        if answer.status == 100 {
            continueWasPassedOn = true
            if !requestIsSent { waitForBody() }
        }
        stageAnswerHead(target.input!, isFinal: false)
        target.inputStart = target.inputCursor
        if client.flushOutput() == .failed { abandon(.clientAborted) }
    }

    /// The protocol of a 101 must be the one that was asked for. RFC 9110 §7.8
    func switchesAsAsked(_ buffer: Buffer) -> Bool {
        let (asked, given) = (upgrade, answer.upgradeValue)
        return equalsIgnoringCase(headBuffer.bytes(asked.start, asked.end), buffer.bytes(given.start, given.end))
    }

    /// The answer broke off before its head was there.
    private func answerFailed(_ target: TargetStream) {
        if let failure = target.handshakeFailure, !answerBytesCame { return targetFailed(EndReason(failure)) }
        guard let refusal = target.answerRefusal else { return targetFailed(.targetFailed) }
        // Something came, if nothing that can be read: another target would be asked twice for one answer.
        answerBytesCame = true
        answerRefused(refusal)
    }

    func answerRefused(_ refusal: Refusal) {
        self.refusal = refusal
        targetFailed(.refusedAnswer)
    }

    func beginAnswer(_ target: TargetStream) {
        answeredAt = now
        if !target.isConnected { target.markConnected() }
        let mayRetry = answer.status >= 500 && mayRetry(status: answer.status)
        // Every 5xx: who fails at once must not look quick.
        target.pool.took(now - chosenAt, answer.status >= 500 ? .failed : .answered, at: now)
        if mayRetry {
            reason = .answered
            status = answer.status
            return retry(from: target)
        }
        target.pool.answered(status: answer.status, groupIndex: targetIndex)
        if target.pool.group.settings.algorithm == .adaptive { takeLoadReport(of: target) }
        target.pool.answersAreLarge = isLarge(answer.framing)
        status = answer.status
        phase = .answering
        answerBegan = true
        // Without its body the connection cannot be used for another request.
        if !requestBody.sourceIsDone { keepAlive = false }
        // A drain may have begun since the request was read: this answer is the last one then.
        if !client.mayContinue { keepAlive = false }
        let sink: BodyTransfer.Sink
        switch answer.framing {
        case .none, .length: sink = .asIs
        case .chunked, .untilClose:
            sink = head.version == .http11 && !client.framesMessages ? .chunked : .asIs
            if sink == .asIs, !client.framesMessages { keepAlive = false }
        }
        answerBody.begin(framing(of: answer.framing, from: target), sink: sink)
        answerBody.keepsInput = false
        answerIsUnsentAt = client.hasOutput || client.framesMessages ? nil : client.sentBytes
        target.announcedIdle = answer.keepAliveTimeoutSeconds.map { .seconds(Int64(max(0, $0 - 1))) }
        stageAnswerHead(target.input!, isFinal: true)
        target.inputStart = target.inputCursor
        pumpAnswer(of: target)
    }

    /// Keeps what the target says about its load, for control, and from the client.
    private func takeLoadReport(of target: TargetStream) {
        let end = answer.headEnd
        guard let buffer = target.input, let report = answer.takeLoadReport(buffer.bytes(0, end)) else { return }
        target.pool.reported(report)
    }

    /// Where a stream frames messages itself, its end is the message's, also behind a known length: trailers may come.
    /// That the length is kept to is checked by the stream.
    func framing(of told: BodyFraming, from source: Stream) -> BodyFraming {
        guard source.framesMessages, case .length(let count) = told else { return told }
        // Nothing, and nothing more.
        if count == 0, source.messageHasEnded, source.receivedTrailers.isEmpty { return told }
        return .untilClose
    }

    func pumpAnswer(of target: TargetStream) {
        guard phase == .answering, self.target === target else { return }
        let client = self.client!
        let before = answerBody.bytes
        let outcome = answerBody.pump(from: target, to: client)
        if answerBody.bytes > before, outcome != .complete { activity(target) }
        switch outcome {
        case .complete:
            tryFinish(target)
        case .needInput:
            clientTook()
        case .sinkBlocked:
            waitForClient()
        case .yield:
            target.again()
        case .sourceEnded:
            cut(.targetClosed)
        case .sourceFailed:
            refusal = target.answerRefusal
            cut(refusal == nil ? .targetFailed : .refusedAnswer)
        case .sinkFailed:
            abandon(.clientAborted)
        case .refused(let refusal):
            self.refusal = refusal
            cut(.refusedAnswer)
        case .tooLarge:
            preconditionFailure("answers have no size limit")
        }
    }

    /// The answer is complete. If the target answered early, the rest of the request is not waited for.
    func tryFinish(_ target: TargetStream) {
        guard phase == .answering else { return }
        let reusable = requestIsSent && !answer.wantsClose && answer.framing != .untilClose
        let pool = target.pool
        self.target = nil
        leaveTarget(pool)
        target.detach(reusable: reusable)
        conclude(.answered)
    }
}
