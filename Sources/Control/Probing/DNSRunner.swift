import PoiseLoop
import PoiseModel
import PoisePackets
import PoisePlatform

/// Asks a nameserver one question, over UDP or TCP.
///
///     start ──> UDP ──answer──> judged
///       └─────> TCP <──truncated──┘
///
/// A UDP socket of its own for each probe, connected: answers from elsewhere never reach it, a closed port tells of itself, and
/// the source port is as hard to guess as the id. What does not answer this question is not looked at.
final class DNSRunner: WaitingProbe {
    private let probe: DNSProbe
    private let question: DNSMessage.Question
    private var id: UInt16 = 0
    private var isStream = false
    private var outgoing: [UInt8] = []
    private var sent = 0
    private var incoming: [UInt8] = []
    private var isConnected = false

    init(_ check: CheckRecord, _ probe: DNSProbe, prober: Prober) {
        self.probe = probe
        question = DNSMessage.Question(DNSName(probe.query) ?? .root, type: probe.record.number)
        super.init(check, prober: prober)
    }

    override func begin() {
        id = UInt16(truncatingIfNeeded: SystemRandom.word)
        ask(overTCP: probe.transport == .tcp)
    }

    override func release() {
        super.release()
        (outgoing, incoming) = ([], [])
    }

    override func timeIsUp() { finish(.failed(.timeout), isStream && !isConnected ? .noConnection : .noAnswer) }

    override func ready(_ readiness: Readiness) {
        guard isRunning else { return }
        if isStream {
            if readiness.contains(.writable) { isConnected = true }
            guard say() else { return }
            receiveStream()
        } else {
            receiveDatagrams()
        }
    }

    private func ask(overTCP: Bool) {
        let message = DNSMessage(id: id, asking: question).wire
        (isStream, sent, isConnected, incoming) = (overTCP, 0, false, [])
        // RFC 1035 §4.2.2: over TCP a message is behind its length.
        outgoing = overTCP ? [UInt8(message.count >> 8), UInt8(message.count & 0xFF)] + message : message
        do {
            open(
                overTCP
                    ? try loop.connect(to: check.spec.address, forOneRequest: true)
                    : try Sockets.connectDatagram(to: check.spec.address))
        } catch {
            return finish(failedWith: error.code)
        }
        if say() { watch(overTCP ? [.readable, .writable] : .readable) }
    }

    /// - Returns: whether the probe goes on.
    private func say() -> Bool {
        while sent < outgoing.count {
            let result = send(outgoing.span.extracting(droppingFirst: sent))
            if let code = result.failure {
                finish(failedWith: code)
                return false
            }
            if result.isBlocked { return true }
            sent += result.count
        }
        return true
    }

    private func receiveDatagrams() {
        let buffer = loop.buffers.takeStandard()
        defer { loop.buffers.release(buffer) }
        var turn = ReadTurn()
        while isRunning, !isStream {
            guard turn.goesOn else { return again() }
            let result = receive(into: buffer, 0, buffer.capacity)
            if result.isBlocked { return }
            turn.took(result.count)
            if let code = result.failure { return finish(failedWith: code) }
            judge(buffer.bytes(0, result.count))
        }
    }

    private func receiveStream() {
        let buffer = loop.buffers.takeStandard()
        defer { loop.buffers.release(buffer) }
        var turn = ReadTurn()
        while isRunning {
            guard turn.goesOn else { return again() }
            let result = receive(into: buffer, 0, buffer.capacity)
            if result.isBlocked { return }
            turn.took(result.count)
            if let code = result.failure { return finish(failedWith: code) }
            guard !result.isEndOfStream else { return finish(.failed(.connectionFailed), .closedEarly) }
            isConnected = true
            for index in 0..<result.count { incoming.append(buffer[index]) }
            takeMessages()
        }
    }

    private func takeMessages() {
        var start = 0
        while isRunning, incoming.count >= start + 2 {
            let end = start + 2 + Int(incoming[start]) << 8 + Int(incoming[start + 1])
            guard incoming.count >= end else { break }
            let message = Array(incoming[start + 2..<end])
            start = end
            judge(message.span)
        }
        // All at once: thousands of empty messages would be moved thousands of times. A probe that ended has let go of them.
        incoming.removeFirst(min(start, incoming.count))
    }

    private func judge(_ bytes: Span<UInt8>) {
        guard DNSMessage.id(of: bytes) == id else { return }
        let answer: DNSMessage
        do throws(DNSMessage.Refusal) { answer = try DNSMessage(parsing: bytes) } catch {
            return finish(.failed(.malformedResponse), .dns(.malformed(error)))
        }
        // A server that could not read the question does not repeat it.
        guard answer.isAnswer, answer.questions == [question] || answer.questions.isEmpty && answer.responseCode != 0
        else { return }
        if answer.isTruncated, !isStream {
            // The timer is given back with the socket.
            close()
            ask(overTCP: true)
            if isRunning { armTimer(at: deadline) }
            return
        }
        let finding = DNSFinding(answer, probe)
        finish(finding.isGood ? .succeeded : .failed(.unexpectedAnswer), .dns(finding))
    }
}
