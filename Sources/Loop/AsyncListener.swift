import PoiseModel
import PoisePlatform

/// A listening socket for `async` code on a loop with an executor. Closes itself when dropped.
@safe public final class AsyncListener {
    private let channel: WaitChannel
    /// The port it listens on, chosen by the system where 0 was asked for; `nil` for a unix socket.
    public let port: UInt16?

    /// How long accepting rests when no descriptor or no memory is left: trying on would only spin.
    private static let pause = Nanoseconds.milliseconds(100)

    /// Takes over a listening socket.
    public init(adopting socket: consuming FileDescriptor, loop: EventLoop) {
        port = Sockets.localAddress(of: socket.number)?.port
        channel = WaitChannel(loop: loop)
        channel.open(socket)
        channel.watch(.readable)
    }

    deinit { channel.end() }

    /// The next connection. At the descriptor limit it waits until some are free.
    ///
    /// - Throws: `.closed` after ``close()``, `.cancelled`, or `.system` for an error of the socket itself.
    public func accept() async throws(SocketFailure) -> Accepted {
        while true {
            guard channel.isOpen else { throw .closed }
            channel.willTry(.readable)
            var deadline = MonotonicTime.distantFuture
            var wanted = Readiness.readable
            switch channel.loop.accept(from: channel) {
            case .accepted(let accepted): return accepted
            case .none: break
            case .outOfDescriptors:
                // Edges are of no use now: connections that wait in the queue make none.
                (deadline, wanted) = (channel.loop.now + Self.pause, [])
            case .failed(let code): throw .system(SystemError(call: "accept", code: code))
            }
            switch await channel.wait(for: wanted, until: deadline) {
            case .ready, .timedOut: continue
            case .closed: throw .closed
            case .cancelled: throw .cancelled
            }
        }
    }

    /// Closes; connections that nobody accepted are reset by the kernel. Idempotent.
    public func close() { channel.end() }
}

@available(*, unavailable)
extension AsyncListener: Sendable {}
