import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel

/// What happens when nothing happens: one timer on either side.
extension Exchange {
    func targetTimedOut() {
        guard let target else { return }
        // What has arrived counts, however late we come to read it.
        if target.mayHaveInput, target.isConnected {
            targetIsReady(target, .readable)
            // Anything else that it said has set the timer anew.
            guard self.target === target, phase == .forwarding || phase == .answering, !target.isTimerArmed else {
                return
            }
        }
        if placeQueue != nil {
            group?.counters.add(GroupCounter.queueTimeouts)
            dropTarget()
            return fail(.queueTimeout)
        }
        if !target.isConnected { return targetFailed(.connectTimeout) }
        if phase == .answering, client.hasOutput || !client.canSend {
            // It is the client that we wait for; its own rate is watched.
            return target.armTimer(at: now + group!.compiled.settings.timeouts.responseIdle)
        }
        if phase == .forwarding, !requestIsSent, !target.hasOutput, target.canSend, !waitsForContinue {
            // The client is the one that is waited for.
            return target.armTimer(at: now + group!.compiled.settings.timeouts.responseIdle)
        }
        targetFailed(.targetTimeout)
    }

    func clientTimedOut() {
        switch clientWait {
        case .none: break
        case .queue:
            clientWait = .none
            guard phase == .queued else { return }
            leaveQueue()
            group?.counters.add(GroupCounter.queueTimeouts)
            fail(.queueTimeout)
        case .rates: checkRates()
        case .rest:
            keepAlive = false
            conclude(reason)
        case .tunnel:
            let idle = listener.compiled.settings.timeouts.upgradedIdle
            if lastActivity + idle <= now { return abandon(.tunnelIdle) }
            client.armTimer(at: lastActivity + idle)
        }
    }

    // MARK: The client's rates

    /// The client sends its body once the target has asked for it: until then it owes nothing. RFC 9110 §10.1.1
    private var waitsForContinue: Bool { head.expectsContinue && !continueWasPassedOn && requestBody.bytes == 0 }

    /// The client owes body bytes.
    func waitForBody() {
        guard !waitsForContinue, watchRates() else { return }
        uploadRate.wait(from: now, requestBody.bytes)
    }

    func clientGave() {
        guard clientWait == .rates else { return }
        uploadRate.stop(at: now)
        guard requestBody.sourceIsDone, !downloadRate.isWaiting else { return }
        clientWait = .none
        client.cancelTimer()
    }

    /// The client must read before more can be sent.
    func waitForClient() {
        guard watchRates() else { return }
        downloadRate.wait(from: now, client.deliveredBytes)
    }

    func clientTook() {
        guard clientWait == .rates else { return }
        downloadRate.stop(at: now)
    }

    /// - Returns: false while the client's timer stands for something else.
    private func watchRates() -> Bool {
        if clientWait == .rates { return true }
        guard clientWait == .none else { return false }
        clientWait = .rates
        (uploadRate, downloadRate) = (RateWatch(), RateWatch())
        client.armTimer(at: now + listener.compiled.settings.timeouts.bodyRateGrace)
        return true
    }

    private func checkRates() {
        // What has arrived counts, however late we come to read it.
        if !requestIsSent, client.mayHaveInput, let target { pumpRequest(to: target) }
        guard client != nil, clientWait == .rates else { return }
        let least = listener.compiled.settings.limits.bodyRateMin
        let grace = listener.compiled.settings.timeouts.bodyRateGrace
        if uploadRate.isTooSlow(at: now, least: least, span: grace / 2, requestBody.bytes) {
            keepAlive = false
            dropTarget()
            return answerBegan ? abandon(.bodyTimeout) : fail(.bodyTimeout)
        }
        if downloadRate.isTooSlow(at: now, least: least, span: grace / 2, client.deliveredBytes) {
            return abandon(.clientTooSlow)
        }
        client.armTimer(at: now + grace)
    }
}
