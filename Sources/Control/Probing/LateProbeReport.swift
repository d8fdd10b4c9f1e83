import PoiseModel

/// Says that probes wait too long for a place: once, and again when it still happens after a minute.
final class LateProbeReport {
    private let log: (OperationalEvent) -> Void
    private var saidAt: MonotonicTime?

    private static var silence: Nanoseconds { .seconds(60) }

    init(_ log: @escaping (OperationalEvent) -> Void) { self.log = log }

    /// A probe began `delay` after it was due, which is more than its interval.
    func late(by delay: Nanoseconds, places: Int, waiting: @autoclosure () -> Int, at now: MonotonicTime) {
        if let saidAt, now < saidAt + Self.silence { return }
        saidAt = now
        log(
            OperationalEvent(
                .warning, "health checks are late: more probes hang than may run at once",
                [
                    ("late", "\(delay)"), ("places", "\(places)"),
                    ("waiting", "\(waiting())"), ("fix", "raise the descriptor limit, or shorten timeouts"),
                ]))
    }
}
