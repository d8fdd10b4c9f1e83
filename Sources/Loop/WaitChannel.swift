import PoiseModel
import PoisePlatform

/// A channel on which one task at a time can wait for readiness or for a point in time.
///
///     idle --wait--> waiting --ready, timer, closing, cancel--> idle
///
/// Invariants:
/// 1. A continuation is resumed exactly once: whoever resumes it takes it out first.
/// 2. A cancellation carries the number of the wait that it was meant for; a late one finds another number and does
///    nothing. It may come from any thread and is carried to the loop.
/// 3. An edge that comes while nobody waits is kept until the next system call is tried.
final class WaitChannel: Channel {
    enum Outcome: Sendable { case ready, timedOut, closed, cancelled }

    private let executor: LoopExecutor
    private var waiter: CheckedContinuation<Outcome, Never>?
    private var interest: Readiness = []
    private var seen: Readiness = []
    private var waitNumber: UInt64 = 0
    private var cancelledNumber: UInt64 = 0
    private var hasEnded = false

    override init(loop: EventLoop) {
        guard let executor = loop.executor else { preconditionFailure("this loop runs no async code") }
        self.executor = executor
        super.init(loop: loop)
    }

    /// To be called right before a system call is tried: edges up to here are answered by it.
    func willTry(_ readiness: Readiness) { seen.subtract(readiness.union([.failed, .hungUp])) }

    /// Waits for an edge of `wanted`, or an end of the connection, or `deadline`; ``MonotonicTime/distantFuture``
    /// is never. The deadline's result is final only after one more try: readiness comes before expiry.
    func wait(for wanted: Readiness, until deadline: MonotonicTime) async -> Outcome {
        precondition(waiter == nil, "one task at a time waits on a channel")
        waitNumber += 1
        let carried = Carried(value: self, number: waitNumber)
        return await withTaskCancellationHandler {
            await withCheckedContinuation { park($0, for: wanted, until: deadline) }
        } onCancel: {
            carried.cancel()
        }
    }

    /// Closes and lets a waiting task know.
    func end() {
        hasEnded = true
        close()
        releaseTimer()
        resume(.closed)
    }

    private func park(
        _ continuation: CheckedContinuation<Outcome, Never>, for wanted: Readiness, until deadline: MonotonicTime
    ) {
        // Others may have run since the caller tried its system call: the runtime is free to suspend on the way here.
        interest = wanted.union([.failed, .hungUp])
        if hasEnded { return continuation.resume(returning: .closed) }
        if cancelledNumber == waitNumber { return continuation.resume(returning: .cancelled) }
        if !seen.isDisjoint(with: interest) { return continuation.resume(returning: .ready) }
        waiter = continuation
        if deadline < .distantFuture { armTimer(at: deadline) }
    }

    private func resume(_ outcome: Outcome) {
        guard let continuation = waiter else { return }
        waiter = nil
        cancelTimer()
        continuation.resume(returning: outcome)
    }

    fileprivate func cancel(_ number: UInt64) {
        guard number == waitNumber else { return }
        cancelledNumber = number
        resume(.cancelled)
    }

    override func ready(_ readiness: Readiness) {
        seen.formUnion(readiness)
        if !readiness.isDisjoint(with: interest) { resume(.ready) }
    }

    override func timerFired() { resume(.timedOut) }

    /// A channel on its way through another thread, unread there.
    private struct Carried: @unchecked Sendable {
        // SAFETY: only `executor`, which never changes and is Sendable, is read before the loop is reached.
        let value: WaitChannel
        let number: UInt64

        func cancel() { value.executor.perform { value.cancel(number) } }
    }
}
