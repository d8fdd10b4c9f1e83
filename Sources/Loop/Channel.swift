import CPoise
import PoiseModel
import PoisePlatform

/// One descriptor on one loop, with one timer: the base of every connection and listener.
///
/// A subclass overrides ``ready(_:)`` and ``timerFired()``. Readiness is edge-triggered: after an event the owner
/// reads until a short read, or asks with ``again()`` to be called once more after the others.
///
/// The loop keeps an open channel alive; after ``close()`` it lives at least until the end of the wake-up, so that
/// methods up the stack may go on.
///
/// SAFETY: each receive and send checks its range against the buffer before its address is handed on; a buffer's
/// memory is never unmapped while its loop lives.
open class Channel {
    public let loop: EventLoop
    /// -1 when closed, -2 when open without a socket.
    final var descriptor: CInt = -1
    final var generation: UInt32 = 0
    private final var interest: Readiness = []
    final var isQueued = false
    private final var timer = TimerID.none

    public init(loop: EventLoop) { self.loop = loop }

    deinit {
        precondition(descriptor == -1 && timer == .none, "a channel was dropped while open")
    }

    public final var isOpen: Bool { descriptor != -1 }

    /// Called by the loop. `readiness` may hold several causes at once.
    open func ready(_ readiness: Readiness) {}
    /// Called by the loop when the timer armed last is due.
    open func timerFired() {}

    // MARK: Opening and closing

    /// Takes the descriptor over without registering it: a first receive or send usually comes before that.
    public final func open(_ socket: consuming FileDescriptor) {
        precondition(descriptor == -1, "the channel is open already")
        descriptor = socket.release()
        // A channel may be opened again after a close: the kernel has forgotten the old descriptor's interest.
        interest = []
        loop.enter(self)
    }

    /// Opens for turns and a timer only. Its owner must keep it alive, and moves its bytes: it has no socket to receive
    /// from, to send to or to watch.
    public final func openWithoutSocket() {
        precondition(descriptor == -1, "the channel is open already")
        descriptor = -2
    }

    /// Registers with epoll, or adds to what is watched already: a send that was refused before this call has
    /// registered by itself. `writable` may be left out until then.
    public final func watch(_ readiness: Readiness) {
        let wanted = interest.union(readiness).union([.peerClosed, .edgeTriggered])
        guard wanted != interest else { return }
        let isFirst = interest.isEmpty
        interest = wanted
        loop.backend.watch(descriptor, interest, token: loop.token(of: self), again: !isFirst)
    }

    /// Adds writability to what is watched; a second call costs nothing.
    public final func watchWritable() {
        guard !interest.contains(.writable), descriptor >= 0 else { return }
        let isFirst = interest.isEmpty
        interest.formUnion(isFirst ? [.readable, .writable, .peerClosed, .edgeTriggered] : .writable)
        loop.backend.watch(descriptor, interest, token: loop.token(of: self), again: !isFirst)
    }

    /// Closes, releases the timer and forgets pending events. Idempotent.
    public final func close() {
        guard isOpen else { return }
        releaseTimer()
        if descriptor >= 0 {
            loop.leave(self)
            loop.backend.close(descriptor)
        } else {
            loop.keepUntilEndOfWakeUp(self)
        }
        descriptor = -1
    }

    /// Closes with RST: the peer learns that the stream was cut.
    public final func reset() {
        if descriptor >= 0 { loop.backend.resetOnClose(descriptor) }
        close()
    }

    /// Sends FIN; receiving goes on.
    public final func shutdownWrite() {
        guard descriptor >= 0 else { return }
        loop.backend.shutdownWrite(descriptor)
    }

    // MARK: Bytes

    /// One receive into `start..<end` of the buffer.
    public final func receive(into buffer: Buffer, _ start: Int, _ end: Int) -> IOResult {
        precondition(0 <= start && start < end && end <= buffer.capacity)
        return unsafe loop.backend.receive(descriptor, buffer.base + start, end - start)
    }

    /// One send of `start..<end`.
    public final func send(_ buffer: Buffer, _ start: Int, _ end: Int) -> IOResult {
        precondition(0 <= start && start < end && end <= buffer.capacity)
        return unsafe loop.backend.send(descriptor, buffer.base + start, end - start)
    }

    /// One send of bytes that lie in no buffer. Not empty.
    public final func send(_ bytes: Span<UInt8>) -> IOResult {
        precondition(!bytes.isEmpty)
        // SAFETY: the kernel reads inside the span only, during the call.
        return unsafe bytes.withUnsafeBytes { unsafe loop.backend.send(descriptor, $0.baseAddress!, $0.count) }
    }

    /// One send of two ranges in order, as if they were one. Both are not empty.
    public final func send(
        _ a: Buffer, _ aStart: Int, _ aEnd: Int, then b: Buffer, _ bStart: Int, _ bEnd: Int
    ) -> IOResult {
        precondition(0 <= aStart && aStart < aEnd && aEnd <= a.capacity)
        precondition(0 <= bStart && bStart < bEnd && bEnd <= b.capacity)
        return unsafe loop.backend.send2(descriptor, a.base + aStart, aEnd - aStart, b.base + bStart, bEnd - bStart)
    }

    /// The positive errno that a finished connect left, 0 for success.
    public final func takeError() -> CInt { loop.backend.takeError(descriptor) }

    /// Bytes that the kernel has taken and the peer has not acknowledged. Nobody asks in simulations: 0.
    public final var unacknowledgedBytes: Int { loop.backend.epoll >= 0 ? Sockets.unacknowledged(descriptor) : 0 }

    /// What the socket is bound to; `nil` for a unix socket and in simulations. A system call.
    public final var localAddress: (ip: IPAddress, port: UInt16)? {
        loop.backend.epoll >= 0 && descriptor >= 0 ? Sockets.localAddress(of: descriptor) : nil
    }

    /// Of a connected unix socket, the user who listens at its other end; `nil` of others and in simulations.
    final var peerUserID: Int? { loop.backend.epoll >= 0 ? Sockets.peerUserID(of: descriptor) : nil }

    // MARK: Time

    /// Calls ``ready(_:)`` with `readable` once more, after all other work of this wake-up.
    public final func again() {
        guard !isQueued, isOpen else { return }
        isQueued = true
        loop.queueAgain(self)
    }

    /// Sets the one timer of this channel; an earlier setting is replaced.
    public final func armTimer(at deadline: MonotonicTime) {
        if timer == .none { timer = loop.allocateTimer(owner: self) }
        loop.wheel.arm(timer, at: deadline)
    }

    /// Whether the timer is set; not while it fires.
    public final var isTimerArmed: Bool { timer != .none && loop.wheel.isArmed(timer) }

    public final func cancelTimer() {
        guard timer != .none else { return }
        loop.wheel.cancel(timer)
    }

    /// Gives the timer back. A channel that was never opened must call it before it goes.
    public final func releaseTimer() {
        guard timer != .none else { return }
        loop.releaseTimer(timer)
        timer = .none
    }
}

@available(*, unavailable)
extension Channel: Sendable {}
