import CPoise
import PoisePlatform

/// How other threads reach a loop: closures that it runs in order of arrival.
///
/// The eventfd is written only when the queue was empty, so a flood costs one system call per wake-up.
public final class Mailbox: Sendable {
    private struct Queue {
        var letters: [@Sendable () -> Void] = []
        var isClosed = false
    }

    private let queue = Lock(Queue())
    let descriptor: CInt

    init() {
        let number = poise_eventfd()
        precondition(number >= 0, "no descriptor is left for an eventfd")
        descriptor = number
    }

    deinit { _ = poise_close(descriptor) }

    /// Runs `letter` on the loop. From any thread.
    ///
    /// - Returns: false when the loop has ended; `letter` is dropped then.
    @discardableResult
    public func post(_ letter: @escaping @Sendable () -> Void) -> Bool {
        let (isFirst, isOpen) = queue.withLock { queue in
            guard !queue.isClosed else { return (false, false) }
            queue.letters.append(letter)
            return (queue.letters.count == 1, true)
        }
        if isFirst { ring() }
        return isOpen
    }

    /// Whether nothing waits: what a simulated loop asks instead of the eventfd.
    var isEmpty: Bool { queue.withLock { $0.letters.isEmpty } }

    func ring() {
        var one: UInt64 = 1
        // SAFETY: eight bytes of a local.
        _ = unsafe withUnsafeBytes(of: &one) { unsafe poise_write(descriptor, $0.baseAddress, $0.count) }
    }

    /// Swaps the waiting letters into `letters`, which must be empty.
    func collect(into letters: inout [@Sendable () -> Void]) {
        var counter: UInt64 = 0
        // SAFETY: eight bytes of a local.
        _ = unsafe withUnsafeMutableBytes(of: &counter) { unsafe poise_read(descriptor, $0.baseAddress, $0.count) }
        queue.withLock { swap(&$0.letters, &letters) }
    }

    func close() {
        var dropped: [@Sendable () -> Void] = []
        queue.withLock { queue in
            queue.isClosed = true
            swap(&queue.letters, &dropped)
        }
        // Released here, outside of the lock: what a letter holds may post again when it goes.
        dropped.removeAll()
    }
}
