import CPoise

/// Wakes one sleeping thread; while it is awake, ringing costs one relaxed load.
public final class Bell: Sendable {
    private let descriptor: CInt
    private let asleep = SharedWord()

    public init() {
        descriptor = poise_eventfd()
        precondition(descriptor >= 0, "no descriptor is left for an eventfd")
    }

    deinit { _ = poise_close(descriptor) }

    /// From any thread, after the work was made visible.
    public func ring() {
        poise_fence()
        guard asleep.value != 0, asleep.exchange(0) != 0 else { return }
        wakeUp()
    }

    private func wakeUp() {
        var one: UInt64 = 1
        // SAFETY: eight bytes of a local.
        _ = unsafe withUnsafeBytes(of: &one) { unsafe poise_write(descriptor, $0.baseAddress, $0.count) }
    }

    /// Sleeps until somebody rings. From the one thread that is woken.
    ///
    /// - Parameter hasWork: asked once more after others can see that this thread sleeps, so that no ring is lost.
    public func sleep(unless hasWork: () -> Bool) {
        asleep.exchange(1)
        if hasWork() {
            asleep.exchange(0)
            return
        }
        _ = poise_wait_readable(descriptor, -1)
        drain()
    }

    /// Sleeps for `milliseconds`, whoever rings: gathers work.
    public func pause(milliseconds: Int32) {
        _ = poise_wait_readable(descriptor, milliseconds)
        drain()
    }

    /// Wakes the sleeper whether or not there is work: for its end.
    public func interrupt() { wakeUp() }

    private func drain() {
        var counter: UInt64 = 0
        // SAFETY: eight bytes of a local.
        _ = unsafe withUnsafeMutableBytes(of: &counter) { unsafe poise_read(descriptor, $0.baseAddress, $0.count) }
    }
}
