import PoiseModel
import PoisePlatform

/// Signals as something to wait for, on a loop with an executor. Block them first (``Signals/block(_:)``), before any
/// thread is started.
public final class AsyncSignals {
    private let channel: WaitChannel

    public init(_ signals: [CInt], loop: EventLoop) throws(SystemError) {
        let descriptor = try Signals.descriptor(for: signals)
        channel = WaitChannel(loop: loop)
        channel.open(descriptor)
        channel.watch(.readable)
    }

    deinit { channel.end() }

    /// The next signal's number.
    ///
    /// - Throws: `.cancelled` only.
    public func next() async throws(SocketFailure) -> CInt {
        while true {
            channel.willTry(.readable)
            if let signal = Signals.next(from: channel.descriptor) { return signal }
            if await channel.wait(for: .readable, until: .distantFuture) == .cancelled { throw .cancelled }
        }
    }
}

@available(*, unavailable)
extension AsyncSignals: Sendable {}
