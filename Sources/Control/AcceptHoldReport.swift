import PoiseModel
import PoiseProxy

/// Says that no more connections are accepted: once, and again when it still happens after a while.
final class AcceptHoldReport {
    private let log: (OperationalEvent) -> Void
    private var saidAt: [String: MonotonicTime] = [:]

    private static var silence: Nanoseconds { .seconds(10) }

    init(_ log: @escaping (OperationalEvent) -> Void) { self.log = log }

    func held(_ listener: String, _ hold: AcceptHold, at now: MonotonicTime) {
        // One memory per kind of limit for what belongs to the process.
        let key = hold == .listenerLimit ? listener : hold.name
        if let last = saidAt[key], now < last + Self.silence { return }
        if saidAt.count >= 1024 { saidAt.removeAll() }
        saidAt[key] = now
        log(
            OperationalEvent(
                .warning, "no more connections are accepted for now",
                [("listener", listener), ("reason", hold.words)]))
    }
}
