import PoiseModel

/// How fast a client gives or takes, measured only over the time in which it is the one that is waited for.
struct RateWatch {
    /// Moved when the span began that is judged next.
    private var bytes = 0
    /// So far in this span, without the waiting that goes on.
    private var waited = Nanoseconds.zero
    /// When the waiting began that goes on; `distantFuture` while there is none.
    private var since = MonotonicTime.distantFuture

    var isWaiting: Bool { since != .distantFuture }

    /// - Parameter bytes: moved so far; asked for where a span begins.
    mutating func wait(from now: MonotonicTime, _ bytes: @autoclosure () -> Int) {
        guard !isWaiting else { return }
        if waited == .zero { self.bytes = bytes() }
        since = now
    }

    mutating func stop(at now: MonotonicTime) {
        guard isWaiting else { return }
        waited = waited + (now - since)
        since = .distantFuture
    }

    /// Judges the span that ends now, and begins the next.
    ///
    /// - Parameters:
    ///   - least: bytes per second.
    ///   - span: waiting for less than this is not judged.
    ///   - bytes: moved so far; asked for only where there was waiting.
    mutating func isTooSlow(
        at now: MonotonicTime, least: Int, span: Nanoseconds, _ bytes: @autoclosure () -> Int
    ) -> Bool {
        let wasWaiting = isWaiting
        stop(at: now)
        defer { (waited, since) = (.zero, wasWaiting ? now : .distantFuture) }
        guard waited > .zero else { return false }
        let moved = bytes() - self.bytes
        self.bytes += moved
        return least > 0 && waited >= span && Double(moved) < Double(least) * waited.seconds
    }
}
