import PoiseModel
import PoisePlatform
import PoiseProxy

/// Says that no more connections are accepted: once, and again when it still happens after a while.
final class AcceptHoldReport {
    private let log: (OperationalEvent) -> Void
    private var saidAt: [String: MonotonicTime] = [:]

    private static var silence: Nanoseconds { .seconds(10) }

    init(_ log: @escaping (OperationalEvent) -> Void) { self.log = log }

    /// - Parameter code: the errno, for `systemError`.
    func held(_ listener: String, _ hold: AcceptHold, code: CInt, at now: MonotonicTime) {
        var (key, reason) = (hold.name, hold.words)
        switch hold {
        // One memory per kind of limit for what belongs to the process.
        case .processLimit, .descriptors: break
        case .listenerLimit: key = listener
        case .systemError:
            key = "\(listener) \(code)"
            reason += ": \(SystemError(call: "accept", code: code).reason) (errno \(code))"
        }
        if let last = saidAt[key], now < last + Self.silence { return }
        if saidAt.count >= 1024 { saidAt.removeAll() }
        saidAt[key] = now
        log(
            OperationalEvent(
                .warning, "no more connections are accepted for now", [("listener", listener), ("reason", reason)]))
    }
}
