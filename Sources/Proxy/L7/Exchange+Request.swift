import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform

/// The request's way to the target.
extension Exchange {
    func pumpRequest(to target: TargetStream) {
        let client = self.client!
        let sentBefore = target.sentBytes
        let outcome = requestBody.pump(from: client, to: target)
        if target.sentBytes > sentBefore {
            requestWasWritten = true
            if outcome != .complete { activity(target) }
        }
        switch outcome {
        case .complete:
            clientGave()
            requestWasSent(target)
        case .needInput:
            waitForBody()
        case .sinkBlocked:
            clientGave()
        case .yield:
            client.again()
        case .sourceEnded, .sourceFailed:
            abandon(.clientAborted)
        case .sinkFailed:
            guard target.isConnected || target.isReused else { return targetFailed(connectError(target.failure)) }
            // The target may have answered before it closed: what it sent is still to be read.
            target.canSend = false
            target.mayHaveInput = true
            phase == .answering ? pumpAnswer(of: target) : readAnswer(of: target)
            if self.target === target, phase == .forwarding { targetFailed(.targetFailed) }
        case .refused(let refusal):
            self.refusal = refusal
            keepAlive = false
            dropTarget()
            answerBegan ? abandon(.refusedRequest) : fail(.refusedRequest)
        case .tooLarge:
            keepAlive = false
            dropTarget()
            answerBegan ? abandon(.bodyTooLarge) : fail(.bodyTooLarge)
        }
    }

    func requestWasSent(_ target: TargetStream) {
        guard !requestIsSent else { return }
        requestIsSent = true
        sentAt = now
        if !target.isConnected { markConnected(target) }
    }

    func markConnected(_ target: TargetStream) {
        target.markConnected()
        target.armTimer(at: now + group!.compiled.settings.timeouts.responseIdle)
    }

    func activity(_ target: TargetStream) {
        if !target.isConnected { target.markConnected() }
        target.armTimer(at: now + group!.compiled.settings.timeouts.responseIdle)
    }
}
