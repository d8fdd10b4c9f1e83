import PoiseHealth
import PoiseLoop
import PoiseModel
import PoisePlatform

/// Asks an agent: connects, sends what is to be sent, reads one line.
///
/// The line ends with CR or LF, as HAProxy has it, or where the agent closes. What it says behind that is not read.
final class AgentRunner: WaitingProbe {
    /// An agent that says more without a line end is not read on.
    static let lineBytesMax = 1024

    private let request: [UInt8]
    private var sent = 0
    private var line: [UInt8] = []
    private var isConnected = false

    override init(_ check: CheckRecord, prober: Prober) {
        var text = ""
        if case .agent(let probe) = check.spec.check.kind, let send = probe.send {
            text = check.spec.subject?.fill(send) ?? send
        }
        request = Array(text.utf8)
        super.init(check, prober: prober)
    }

    override func begin() {
        (sent, isConnected) = (0, false)
        line.removeAll(keepingCapacity: true)
        do {
            open(try loop.connect(to: check.spec.address, forOneRequest: !request.isEmpty))
        } catch {
            return fail(error.code)
        }
        watch([.readable, .writable])
    }

    override func ready(_ readiness: Readiness) {
        guard isRunning else { return }
        if !isConnected {
            let code = takeError()
            if code != 0 { return fail(code) }
            guard !readiness.isDisjoint(with: [.writable, .readable]) else { return }
            isConnected = true
        }
        let bytes = request
        while sent < bytes.count {
            let result = send(bytes.span.extracting(droppingFirst: sent))
            if let code = result.failure { return fail(code) }
            if result.isBlocked { break }
            sent += result.count
        }
        read()
    }

    override func timeIsUp() {
        if isConnected { read() }
        finish(.learntNothing, isConnected ? .noAnswer : .noConnection)
    }

    private func read() {
        let buffer = loop.buffers.takeStandard()
        defer { loop.buffers.release(buffer) }
        while isRunning {
            let result = receive(into: buffer, 0, min(buffer.capacity, Self.lineBytesMax))
            if result.isBlocked { return }
            if let code = result.failure { return line.isEmpty ? fail(code) : heard() }
            if result.isEndOfStream { return line.isEmpty ? finish(.learntNothing, .closedEarly) : heard() }
            for index in 0..<result.count {
                if buffer[index] == 0x0A || buffer[index] == 0x0D { return heard() }
                guard line.count < Self.lineBytesMax else {
                    return finish(.learntNothing, .endlessLine(Self.lineBytesMax))
                }
                line.append(buffer[index])
            }
        }
    }

    private func heard() {
        let bytes = line
        finish(.succeeded, .agent(AgentReport(parsing: bytes.span)))
    }

    private func fail(_ code: CInt) {
        finish(Errno.isShortage(code) || code == Errno.addressNotAvailable ? .abandoned : .learntNothing, .system(code))
    }
}
