import PoiseLoop
import PoiseModel
import PoisePackets
import PoisePlatform

/// The one socket for all echo requests to addresses of a family: ten thousand targets cost one descriptor.
///
/// A reply belongs to a probe by its sequence number, its sender and a token that nobody else knows.
final class PingChannel: Channel {
    private let socket: PingSocket
    private let token = SystemRandom.word
    private let identifier = UInt16(truncatingIfNeeded: SystemRandom.word)
    private var waiting: [UInt16: Waiting] = [:]
    private var last: UInt16 = 0
    private var bytes = [UInt8](repeating: 0, count: 256)

    private struct Waiting {
        let runner: PingRunner
        let address: IPAddress
        let sentAt: MonotonicTime
    }

    init(_ family: IPAddress.Family, loop: EventLoop) throws(SystemError) {
        socket = try PingSocket(family)
        let watched = try socket.duplicate()
        super.init(loop: loop)
        open(watched)
        watch(.readable)
    }

    /// - Returns: the sequence number, or a positive errno.
    func send(to address: IPAddress, for runner: PingRunner) -> Result<UInt16, PingFailure> {
        guard waiting.count < Int(UInt16.max) else { return .failure(PingFailure(code: Errno.noBuffers)) }
        repeat { last &+= 1 } while waiting[last] != nil
        let echo = ICMPEcho(identifier: identifier, sequence: last, token: token).encoded(for: socket.family)
        waiting[last] = Waiting(runner: runner, address: address, sentAt: Clock.monotonic)
        var code = socket.send(echo.span, to: address)
        // An error of an earlier message may be told here.
        if code != 0 { code = socket.send(echo.span, to: address) }
        guard code != 0 else { return .success(last) }
        waiting[last] = nil
        return .failure(PingFailure(code: code == Errno.again ? Errno.noBuffers : code))
    }

    func forget(_ sequence: UInt16) { waiting[sequence] = nil }

    override func ready(_ readiness: Readiness) {
        while let (count, from) = socket.receive(into: &bytes) {
            let now = Clock.monotonic
            let start =
                socket.isRaw && socket.family == .v4
                ? ICMPEcho.start(behindIPv4: bytes.span.extracting(first: count)) : 0
            guard let start, let found = find(start, count, from, isReply: true) else { continue }
            found.runner.answered(after: now - found.sentAt)
        }
        while let (count, to, code) = socket.takeError(into: &bytes) {
            guard code != 0, let found = find(0, count, to, isReply: false) else { continue }
            found.runner.unreachable(code)
        }
    }

    private func find(_ start: Int, _ end: Int, _ address: IPAddress, isReply: Bool) -> Waiting? {
        guard let echo = ICMPEcho(parsing: bytes.span.extracting(start..<end), family: socket.family),
            echo.isReply == isReply, echo.token == token, let found = waiting[echo.sequence], found.address == address
        else { return nil }
        return found
    }
}

/// A positive errno.
struct PingFailure: Error { let code: CInt }

/// Pings one target.
final class PingRunner: WaitingProbe {
    private var sequence: UInt16?
    private var channel: PingChannel?

    override func begin() {
        guard case .ip(let address, _) = check.spec.address else {
            return finish(failedWith: Errno.addressFamilyNotSupported)
        }
        do {
            let channel = try prober.ping(address.family)
            switch channel.send(to: address, for: self) {
            case .success(let sequence): (self.channel, self.sequence) = (channel, sequence)
            case .failure(let failure): finish(failedWith: failure.code)
            }
        } catch {
            // Allowed when the configuration was applied, and not any more: no fault of the target.
            finish(.abandoned, .system(error.code))
        }
    }

    override func release() {
        if let sequence { channel?.forget(sequence) }
        (channel, sequence) = (nil, nil)
    }

    func answered(after roundTrip: Nanoseconds) { finish(.succeeded, .echo(roundTrip)) }

    /// What a router, or our own machine, says of the way there.
    func unreachable(_ code: CInt) { finish(failedWith: code) }
}
