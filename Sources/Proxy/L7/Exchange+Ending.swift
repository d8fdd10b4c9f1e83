import PoiseBalancing
import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel

/// The end, exactly once: counters, record, and both connections handed on.
extension Exchange {
    /// The answer was begun and cannot be completed: the client must see that it was cut.
    func cut(_ reason: EndReason) {
        if let target {
            target.pool.counters.add(TargetCounter.failures)
            if target.takeFailure() { target.pool.failed(groupIndex: targetIndex) }
        }
        guard phase == .answering, let sent = answerIsUnsentAt, sent == client.sentBytes else { return abandon(reason) }
        // Its head came with what is wrong about it, and has not left yet: the client can still be told.
        client.releaseOutput()
        (phase, answerBegan) = (.forwarding, false)
        answerBody.begin(.none, sink: .asIs)
        fail(reason)
    }

    /// Both sides are closed at once.
    func abandon(_ reason: EndReason) {
        guard phase != .idle else { return }
        if phase == .queued { leaveQueue() }
        if reason == .clientAborted { listener.counters.add(ListenerCounter.clientAborts) }
        if let target {
            self.target = nil
            if answeredAt == .zero { target.pool.took(now - chosenAt, .givenUp, at: now) }
            leaveTarget(target.pool)
            target.end(reset: phase != .tunnel && !requestIsSent)
        }
        let client = self.client!
        let isCut = phase == .answering
        end(reason)
        client.exchangeAbandoned(reset: isCut)
    }

    /// The time to drain is over, of the target or of the listener.
    func endByDeadline() { abandon(.shutdown) }

    /// The configuration changed: indices of rules and targets mean others now.
    func renumber(_ renumbering: Renumbering) {
        if rule >= 0, let rules = renumbering.rules[ObjectIdentifier(listener)] { rule = rules[rule] }
        guard let group, let targets = renumbering.targets[ObjectIdentifier(group)] else { return }
        if targetIndex >= 0 { targetIndex = targets[targetIndex] }
        var stillExcluded = Exclusions()
        for position in 0..<excluded.count where targets[excluded[position]] >= 0 {
            stillExcluded.insert(targets[excluded[position]])
        }
        excluded = stillExcluded
    }

    /// The client's connection was closed under the exchange.
    func clientVanished() {
        guard phase != .idle else { return }
        guard phase != .reading else { return release() }
        if phase == .queued { leaveQueue() }
        if let target {
            self.target = nil
            if answeredAt == .zero { target.pool.took(now - chosenAt, .givenUp, at: now) }
            leaveTarget(target.pool)
            target.end(reset: true)
        }
        end(.clientAborted)
    }

    /// The answer is with the kernel: logs, counts, and hands the client back to its next request.
    func conclude(_ reason: EndReason) {
        let client = self.client!
        let keep = keepAlive
        let isRead = requestBody.sourceIsDone
        if clientWait != .none {
            clientWait = .none
            client.cancelTimer()
        }
        end(reason)
        client.exchangeEnded(keepAlive: keep, requestIsRead: isRead)
    }

    func end(_ reason: EndReason) {
        self.reason = reason
        count()
        if let buffer = pinnedHead {
            pinnedHead = nil
            worker.loop.releaseBuffer(buffer)
        }
        phase = .idle
        serial &+= 1
        (client, listener, group) = (nil, nil, nil)
        worker.giveBack(self)
    }

    func count() {
        let counters = listener.counters
        counters.subtract(ListenerCounter.inFlight)
        counters.add(ListenerCounter.bytesFromClients, UInt64(requestBody.bytes))
        counters.add(ListenerCounter.bytesToClients, UInt64(answerBody.bytes))
        counters.add(ListenerCounter.firstReason + Int(reason.rawValue))
        if let refusal { counters.add(ListenerCounter.firstRefusal + Int(refusal.reason.rawValue)) }
        let total = (now - beganAt).count
        listener.totalTime.record(nanoseconds: total)
        if let offset = statusClassOffset(status) {
            counters.add(ListenerCounter.status2xx + offset)
            if rule >= 0 { listener.ruleRow(rule, id: ruleID)?.add(RuleCounter.status2xx + offset) }
        }
        if let group {
            group.counters.subtract(GroupCounter.inFlight)
            group.totalTime.record(nanoseconds: total)
            if let offset = statusClassOffset(status) { group.counters.add(GroupCounter.status2xx + offset) }
            if answeredAt > .zero {
                let targetTime = (answeredAt - chosenAt).count
                group.targetTime.record(nanoseconds: targetTime)
                listener.targetTime.record(nanoseconds: targetTime)
            }
        }
        if let log = worker.log { record(to: log) }
    }

    private var messageVersion: AccessRecord.MessageVersion? {
        if client.framesMessages { return .http2 }
        guard hasHead else { return nil }
        return head.version == .http11 ? .http11 : .http10
    }

    func record(to log: AccessLog) {
        log.append(
            AccessRecord(
                endedAt: worker.wallTime, listener: listener.counters.id, rule: ruleID,
                group: group?.counters.id ?? 0, target: targetID, status: status, reason: reason,
                refusal: refusal?.reason, method: head.method, tries: tries, bytesIn: requestBody.bytes,
                bytesOut: answerBody.bytes, waitMicroseconds: Int((chosenAt - beganAt).microseconds),
                targetMicroseconds: answeredAt > .zero ? Int((answeredAt - chosenAt).microseconds) : -1,
                totalMicroseconds: Int((now - beganAt).microseconds), requestIDHigh: requestIDHigh,
                requestIDLow: requestIDLow, version: messageVersion, tls: client.security?.version),
            // Of a head that was refused, what was understood until then.
            head: head, buffer: hasHead ? headBuffer : client.input, requestID: keptRequestID, client: clientAddress,
            announced: client.announced)
    }
}
