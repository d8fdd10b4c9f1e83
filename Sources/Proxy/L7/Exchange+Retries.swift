import PoiseBalancing
import PoiseHTTP
import PoiseHealth
import PoiseLive
import PoiseModel

/// A try that failed, and whether another one follows.
extension Exchange {
    /// The try is lost. Another one follows where that is safe.
    func targetFailed(_ reason: EndReason) {
        guard let target else { return }
        guard phase == .forwarding else { return cut(reason) }
        let pool = target.pool
        if target.wasRefused { requestWasWritten = false }
        let isConnectFailure = reason.isConnectFailure
        self.target = nil
        leaveTarget(pool)
        target.end()
        tryFailed(reason, pool: pool, isConnectFailure: isConnectFailure, at: target)
    }

    /// - Parameter target: where the try was; `nil` where no connection was begun.
    func tryFailed(_ reason: EndReason, pool: TargetPool, isConnectFailure: Bool, at target: TargetStream? = nil) {
        self.reason = reason
        let hasBroken = reason == .targetClosed || reason == .targetFailed
        let isRefused = hasBroken && target?.wasRefused ?? false && refusedTries < Self.refusalsMax
        // A kept connection that the target closed in the meantime says nothing about its health.
        let isStale =
            hasBroken && target.map { $0.isReused && !$0.wasRefused && !$0.brokeConnection } ?? false
            && !answerBytesCame
        if !isStale, !isRefused {
            pool.counters.add(isConnectFailure ? TargetCounter.connectFailures : TargetCounter.failures)
            if target?.takeFailure() ?? true { pool.failed(groupIndex: targetIndex) }
            pool.took(now - chosenAt, .failed, at: now)
        }
        guard mayBreakAnother(target),
            mayTryAgain(reason, isConnectFailure: isConnectFailure, isFree: isStale || isRefused)
        else { return fail(reason) }
        if isStale {
            passOverStale(pool)
        } else if isRefused {
            refusedTries += 1
        } else {
            exclude()
        }
        again(pool)
    }

    /// A request for which a target gives up a connection that others share must not take down one after the other. Who
    /// is not blamed may have been a bystander: once.
    private func mayBreakAnother(_ target: TargetStream?) -> Bool {
        guard let target, target.brokeConnection else { return true }
        defer { brokeConnection = true }
        return !target.isBlamed && !brokeConnection
    }

    /// A target may refuse what it has not begun, as with GOAWAY; one that refuses everything is not asked for ever.
    private static var refusalsMax: Int { 3 }

    /// Takes another connection of the pool, and a new one where several in a row were stale: each of them is a call
    /// deeper, and a target that was restarted has closed them all.
    private func passOverStale(_ pool: TargetPool) {
        tries -= 1
        staleTries += 1
        replacesStale = true
        if staleTries >= 4 { pool.closeIdle() }
    }

    /// Adds the target that was tried, unless its group has it no more.
    func exclude() { excluded = excludingThis }

    private var excludingThis: Exclusions {
        var exclusions = excluded
        if targetIndex >= 0 { exclusions.insert(targetIndex) }
        return exclusions
    }

    /// Only when no byte of the request was shown, or it is idempotent and still at hand. RFC 9110 §9.2.2
    ///
    /// - Parameter isFree: the target is not at fault: it costs nothing of the budget.
    func mayTryAgain(_ reason: EndReason, isConnectFailure: Bool, isFree: Bool) -> Bool {
        guard let group, !answerBytesCame, !client.peerFailed else { return false }
        let policy = group.compiled.settings.retries
        guard isFree || tries - refusedTries < policy.triesMax else { return false }
        // What has been taken out of the input is gone with the try, whether it was sent or only staged.
        guard requestBody.keepsInput || !requestWasWritten && requestBody.bytes == 0 else { return false }
        if isConnectFailure { return true }
        if requestWasWritten, !head.method.isIdempotent { return false }
        if reason == .targetTimeout, !policy.onTimeout { return false }
        if isFree { return true }
        guard group.retryBudget.value.allowsRetry(at: now) else {
            group.counters.add(GroupCounter.retriesRefusedByBudget)
            return false
        }
        return true
    }

    func mayRetry(status: Int) -> Bool {
        guard let group, head.method.isIdempotent, requestBody.keepsInput, requestIsSent else { return false }
        let policy = group.compiled.settings.retries
        guard policy.onStatuses.contains(status), tries - refusedTries < policy.triesMax else { return false }
        guard group.hasUsable(excluding: excludingThis) || worker.backup(of: group) != nil else { return false }
        return group.retryBudget.value.allowsRetry(at: now)
    }

    /// An answer that counts as a failed try.
    func retry(from target: TargetStream) {
        let pool = target.pool
        exclude()
        self.target = nil
        leaveTarget(pool)
        pool.counters.add(TargetCounter.failures)
        pool.failed(groupIndex: targetIndex)
        target.end()
        again(pool)
    }

    func again(_ pool: TargetPool) {
        // Read the body again from its beginning.
        client.inputCursor = pinnedHead == nil ? head.headEnd : client.inputStart
        requestBody.begin(head.framing, sink: sinkOfRequest)
        // Where a stream's end is the body's, it is read again, too.
        if client.framesMessages, client.peerClosed { client.mayHaveInput = true }
        attempt(after: replacesStale ? nil : pool)
    }

    /// Gives back what this try holds of the target.
    func leaveTarget(_ pool: TargetPool) {
        leavePlaceQueue()
        pool.flowEnded()
        pool.counters.add(TargetCounter.bytesToTarget, UInt64(requestBody.bytes))
        pool.counters.add(TargetCounter.bytesFromTarget, UInt64(answerBody.bytes))
        if let slot {
            self.slot = nil
            if let group { group.release(slot, of: targetIndex) } else { slot.giveBack() }
        }
        if answerBegan, let offset = statusClassOffset(status) {
            pool.counters.add(TargetCounter.status2xx + offset)
            pool.counters.add(TargetCounter.answerMicroseconds, UInt64(max(0, (answeredAt - chosenAt).microseconds)))
        }
    }

    func dropTarget() {
        guard let target else { return }
        self.target = nil
        leaveTarget(target.pool)
        target.end(reset: !requestIsSent)
    }
}

extension EndReason {
    fileprivate var isConnectFailure: Bool {
        switch self {
        case .connectRefused, .connectFailed, .connectTimeout, .targetUnverified, .targetHandshake: true
        default: false
        }
    }
}
