import PoiseHealth
import PoiseLoop
import PoiseModel

/// Checks by script: the steps are ``ScriptMatcher``'s, and this moves their bytes.
extension Probe {
    /// Behind a farewell, bytes that are read and dropped at most until the target hangs up.
    private static var droppedMax: Int { 32_768 }
    /// A target that says nothing for so long has said what it had to say, maybe.
    private static var pauseMin: Nanoseconds { .milliseconds(20) }

    /// Does what the script says next.
    func follow(_ first: ScriptMatcher.Action) {
        switch first {
        case .say:
            (phase, sent) = (.asking, 0)
            ask()
        case .hear:
            phase = .reading
            // What came along with the end of the handshake raises no event.
            if let session, session.mayHaveMore || peerClosed { listen() }
        case .passed: pass()
        case .failed(let finding): report(.failed(Self.reason(finding)), .script(finding))
        }
    }

    /// Why the script has not come to its end in time; `nil` where it never began, or there is none.
    var lateScript: (TargetReason, ProbeResult.Detail)? {
        guard let script, phase == .reading, hasConnected else { return nil }
        return (script.hasAnswer ? .unexpectedAnswer : .timeout, .script(script.timedOut()))
    }

    /// The timer fired.
    ///
    /// - Returns: whether it stood for a pause of the target, and not for the deadline.
    func pauseIsOver() -> Bool {
        guard isPausing, loop.now < deadline else { return false }
        isPausing = false
        armTimer(at: deadline)
        searchAgain()
        return true
    }

    /// - Returns: whether that led on to another step, or to the end.
    @discardableResult
    func searchAgain() -> Bool {
        guard script?.hasUnseen == true, let next = script?.lookAgain(), next != .hear else { return false }
        follow(next)
        return true
    }

    /// What came was left for later: until the target pauses. The longer it drips, the longer that takes, or every pause would
    /// cost a search.
    private func waitForPause() {
        guard !isPausing, script?.hasUnseen == true else { return }
        isPausing = true
        armTimer(at: min(deadline, loop.now + max(Self.pauseMin, (loop.now - startedAt) / 8)))
    }

    func listen() {
        let buffer = loop.buffers.takeStandard()
        defer { loop.buffers.release(buffer) }
        var dropped = 0
        var turn = ReadTurn()
        while isOpen, phase == .reading || phase == .ending {
            guard turn.goesOn else { return again() }
            let result =
                session?.receive(self, into: buffer, 0, buffer.capacity) ?? receive(into: buffer, 0, buffer.capacity)
            turn.took(result.count)
            if result.isBlocked {
                guard let session, session.mayHaveMore || peerClosed, !session.hasUnsent else {
                    return waitForPause()
                }
                continue
            }
            if phase == .ending {
                dropped += result.count
                if result.failure != nil || result.isEndOfStream || dropped >= Self.droppedMax { return over() }
                continue
            }
            if let code = result.failure { return fail(session?.failure, code) }
            hasConnected = true
            if result.isEndOfStream {
                if searchAgain() { continue }
                guard let finding = script?.closed() else { return }
                return report(.failed(.connectionFailed), .script(finding))
            }
            if let next = script?.heard(buffer.bytes(0, result.count)) { follow(next) }
        }
    }

    /// All was heard. The result counts from here on; the farewell is courtesy.
    private func pass() {
        guard let script else { return }
        let detail: ProbeResult.Detail =
            script.note.isEmpty
            ? .answered
            : .script(ScriptFinding(.passed, expected: "", answer: Array(script.note.utf8)))
        phase = .ending
        report(.succeeded, detail)
        // Whoever took the result may have ended the check.
        guard phase == .ending else { return }
        switch script.farewell {
        case .close: over()
        case .reset:
            isSaidAndDone = true
            over()
        case .say(let words): takeLeave(words)
        }
    }

    /// The target closes first then, and keeps the remains of the connection.
    private func takeLeave(_ words: [UInt8]) {
        let sent: Bool
        if let session {
            let buffer = loop.buffers.takeStandard()
            defer { loop.buffers.release(buffer) }
            buffer.write(words.span, at: 0)
            sent = session.send(self, buffer, 0, words.count).count == words.count
            if case .failed = session.flush(self) { return over() }
        } else {
            sent = send(words.span).count == words.count
        }
        // It reads nothing: then it does not read this either.
        if !sent { over() }
    }

    private static func reason(_ finding: ScriptFinding) -> TargetReason {
        switch finding.cause {
        case .late: .timeout
        case .closed: .connectionFailed
        case .passed, .differs, .tooLong, .tooCostly: .unexpectedAnswer
        }
    }
}
