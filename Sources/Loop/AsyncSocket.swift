import PoiseModel
import PoisePlatform

/// A connected stream socket for `async` code on a loop with an executor. Used by one task at a time, on that loop.
///
/// Each operation tries the system call first and waits only when the kernel would block, so a deadline that has
/// passed while the loop was busy is no reason to fail: what is there is taken. Closes itself when dropped.
@safe public final class AsyncSocket {
    public let loop: EventLoop
    private let channel: WaitChannel
    /// Operations since the last one that let others run.
    private var turns = 0

    /// Takes over a connected descriptor, such as ``Accepted/descriptor``.
    public init(adopting socket: consuming FileDescriptor, loop: EventLoop) {
        self.loop = loop
        channel = WaitChannel(loop: loop)
        channel.open(socket)
        channel.watch([.readable, .writable])
    }

    deinit { channel.end() }

    /// Connects. Refused, unreachable and the like are `.system` with connect(2)'s errno.
    public static func connect(
        to address: SocketAddress, loop: EventLoop, deadline: MonotonicTime
    ) async throws(SocketFailure) -> AsyncSocket {
        let descriptor: FileDescriptor
        do { descriptor = try loop.connect(to: address) } catch { throw .system(error) }
        let socket = AsyncSocket(adopting: descriptor, loop: loop)
        try await socket.wait(for: .writable, until: deadline)
        let code = socket.channel.takeError()
        guard code == 0 else { throw .system(SystemError(call: "connect", code: code)) }
        return socket
    }

    public var isOpen: Bool { channel.isOpen }
    /// The user who listens at the other end of a unix socket.
    public var peerUserID: Int? { channel.peerUserID }

    /// At least one byte into `start..<end` of `buffer`; 0 means that the peer has sent its last byte.
    public func receive(
        into buffer: Buffer, _ start: Int, _ end: Int, deadline: MonotonicTime
    ) async throws(SocketFailure) -> Int {
        try await retry(.readable, "recv", deadline) { $0.receive(into: buffer, start, end) }
    }

    /// All of `start..<end` of `buffer`.
    public func send(
        _ buffer: Buffer, _ start: Int, _ end: Int, deadline: MonotonicTime
    ) async throws(SocketFailure) {
        var sent = start
        while sent < end {
            sent += try await retry(.writable, "send", deadline) { $0.send(buffer, sent, end) }
        }
    }

    /// All of `bytes`.
    public func send(_ bytes: [UInt8], deadline: MonotonicTime) async throws(SocketFailure) {
        var sent = 0
        while sent < bytes.count {
            sent += try await retry(.writable, "send", deadline) {
                $0.send(bytes.span.extracting(droppingFirst: sent))
            }
        }
    }

    /// Calls `body` with the channel unless it is closed: for a last word that waits for nothing.
    public func withChannel(_ body: (Channel) -> Void) {
        if channel.isOpen { body(channel) }
    }

    /// Sends FIN; receiving goes on.
    public func shutdownWrite() { channel.shutdownWrite() }

    /// Closes; a waiting task gets `.closed`. Idempotent.
    public func close() { channel.end() }

    /// Closes with RST.
    public func reset() {
        channel.reset()
        channel.end()
    }

    /// What one try of an operation of several system calls came to.
    public enum Step<Result> {
        case done(Result)
        /// Try again when the socket is ready for this.
        case blocked(Readiness)
    }

    /// Tries until `step` is done, or the deadline has passed and one more try would block: for what lies between the
    /// socket and its user, as TLS does.
    ///
    /// - Parameter step: before it is blocked it has tried the system call that it waits for.
    public func perform<Result>(
        deadline: MonotonicTime, _ step: (Channel) throws(SocketFailure) -> Step<Result>
    ) async throws(SocketFailure) -> Result {
        var isExpired = false
        while true {
            guard channel.isOpen else { throw .closed }
            channel.willTry([.readable, .writable])
            switch try step(channel) {
            case .done(let result):
                await takeTurns()
                return result
            case .blocked(let readiness):
                if isExpired { throw .timeout }
                do { try await wait(for: readiness, until: deadline) } catch {
                    guard error == .timeout else { throw error }
                    isExpired = true
                }
            }
        }
    }

    /// Tries until the kernel takes or gives something.
    private func retry(
        _ readiness: Readiness, _ call: String, _ deadline: MonotonicTime, _ attempt: (Channel) -> IOResult
    ) async throws(SocketFailure) -> Int {
        try await perform(deadline: deadline) { (channel) throws(SocketFailure) in
            let result = attempt(channel)
            if let code = result.failure { throw .system(SystemError(call: call, code: code)) }
            return result.isBlocked ? .blocked(readiness) : .done(result.count)
        }
    }

    /// A peer that is always ready must not keep the loop from everybody else.
    private func takeTurns() async {
        turns += 1
        guard turns == 16 else { return }
        turns = 0
        await Task.yield()
    }

    private func wait(for readiness: Readiness, until deadline: MonotonicTime) async throws(SocketFailure) {
        switch await channel.wait(for: readiness, until: deadline) {
        case .ready: return
        case .timedOut: throw .timeout
        case .closed: throw .closed
        case .cancelled: throw .cancelled
        }
    }
}

@available(*, unavailable)
extension AsyncSocket: Sendable {}
