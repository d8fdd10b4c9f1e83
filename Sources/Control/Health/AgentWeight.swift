import PoiseBalancing
import PoiseModel

/// What a target's agent said about its weight, until it is heard no more.
struct AgentWeight: Sendable, Equatable {
    /// Of the configured weight: 0 takes no new flows, above 100 takes more.
    var percent: Int
    var expiresAt: MonotonicTime

    func hasExpired(at now: MonotonicTime) -> Bool { now >= expiresAt }

    /// - Parameter weight: 0...65,536; so is the result. Above 0 only 0 percent makes 0.
    func applied(to weight: Int) -> Int {
        guard weight > 0, percent > 0 else { return 0 }
        return max(1, min(EffectiveWeight.max, weight * percent / 100))
    }
}
