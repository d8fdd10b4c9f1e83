import PoiseModel
import PoisePlatform

/// A listening socket for `async` code on a loop with an executor. Closes itself when dropped.
@safe public final class AsyncListener {
    private let channel: WaitChannel
    /// Where it listens; with a port even if 0 was asked for.
    public let address: SocketAddress

    /// How long accepting rests when no descriptor or no memory is left: trying on would only spin.
    private static let pause = Nanoseconds.milliseconds(100)

    /// Takes over a listening socket.
    public init(adopting socket: consuming FileDescriptor, address: SocketAddress, loop: EventLoop) {
        self.address = Sockets.localAddress(of: socket.number).map { .ip($0.ip, port: $0.port) } ?? address
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
