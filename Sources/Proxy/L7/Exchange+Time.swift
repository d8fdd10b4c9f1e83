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
            guard self.target === target, phase == .forwarding else { return }
        }
        if !target.isConnected { return targetFailed(.connectTimeout) }
        if phase == .answering, client.hasOutput || !client.canSend {
            // It is the client that we wait for; its own rate is watched.
            return target.armTimer(at: now + group!.compiled.settings.timeouts.responseIdle)
        }
        if phase == .forwarding, !requestIsSent, !target.hasOutput {
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
        case .body: checkBodyRate()
        case .sending: checkSendRate()
        case .rest:
            keepAlive = false
            conclude(reason)
        case .tunnel:
            let idle = listener.compiled.settings.timeouts.upgradedIdle
            if lastActivity + idle <= now { return abandon(.tunnelIdle) }
            client.armTimer(at: lastActivity + idle)
        }
    }

    /// The client owes body bytes: its rate is measured over the time that it is waited for.
    func waitForBody() {
        if clientWait != .body {
            guard clientWait == .none else { return }
            clientWait = .body
            startRate(requestBody.bytes)
        }
        if waitedSince == .distantFuture { waitedSince = now }
    }

    func clientGave() {
        guard clientWait == .body else { return }
        stopWaiting()
        if requestBody.sourceIsDone {
            clientWait = .none
            client.cancelTimer()
        }
    }

    func waitForClient() {
        if clientWait != .sending {
            guard clientWait == .none else { return }
            clientWait = .sending
            startRate(answerBody.bytes)
        }
        if waitedSince == .distantFuture { waitedSince = now }
    }

    func clientTook() {
        guard clientWait == .sending else { return }
        stopWaiting()
    }

    func stopWaiting() {
        guard waitedSince != .distantFuture else { return }
        waited = waited + (now - waitedSince)
        waitedSince = .distantFuture
    }

    func startRate(_ bytes: Int) {
        (rateCheckedAt, rateCheckedBytes, waited, waitedSince) = (now, bytes, .zero, .distantFuture)
        client.armTimer(at: now + listener.compiled.settings.timeouts.bodyRateGrace)
    }

    /// Whether the peer was slower than allowed since the last check.
    func isTooSlow(_ bytes: Int) -> Bool {
        let compiled = listener.compiled
        if waitedSince != .distantFuture {
            waited = waited + (now - waitedSince)
            waitedSince = now
        }
        let least = Double(compiled.settings.limits.bodyRateMin) * waited.seconds
        return compiled.settings.limits.bodyRateMin > 0 && waited >= compiled.settings.timeouts.bodyRateGrace / 2
            && Double(bytes - rateCheckedBytes) < least
    }

    func checkBodyRate() {
        if client.mayHaveInput, let target { pumpRequest(to: target) }
        guard client != nil, clientWait == .body else { return }
        if isTooSlow(requestBody.bytes) {
            keepAlive = false
            dropTarget()
            return answerBegan ? abandon(.bodyTimeout) : fail(.bodyTimeout)
        }
        let wasWaiting = waitedSince != .distantFuture
        startRate(requestBody.bytes)
        if wasWaiting { waitedSince = now }
    }

    func checkSendRate() {
        let sent = phase == .generating ? 0 : answerBody.bytes
        if isTooSlow(sent) { return abandon(.clientTooSlow) }
        let wasWaiting = waitedSince != .distantFuture
        startRate(sent)
        if wasWaiting { waitedSince = now }
    }
}
