import PoiseHealth
import PoiseModel

/// Poise's own health machines for one target, with the defaults of their settings.
struct TargetWatch {
    private var active: ActiveCheck
    private var passive = PassiveHealth(policy: PassiveChecks())

    init() {
        active = ActiveCheck(healthyWith: ProbePolicy(HealthCheck()), at: .zero)
    }

    var isEjected: Bool { passive.ejectedUntil != nil }
    var isUsable: Bool { !isEjected && active.verdict == .healthy }

    /// A request has ended.
    ///
    /// - Parameter mayEject: whether the group can spare this target.
    mutating func ended(succeeded: Bool, mayEject: Bool, now: MonotonicTime) {
        guard !succeeded else { return passive.succeeded(at: now) }
        if let reason = passive.failed(at: now), mayEject { _ = passive.eject(for: reason, at: now) }
    }

    /// Probes where one is due, and ends an ejection that is over.
    mutating func look(isUp: Bool, random: UInt64, now: MonotonicTime) {
        _ = passive.returnIfDue(at: now)
        guard let due = active.nextProbe, due <= now else { return }
        active.probeStarted(at: now)
        _ =
            isUp
            ? active.probeSucceeded(at: now, random: random)
            : active.probeFailed(.connectionRefused, at: now, random: random)
        _ = passive.probed(succeeded: isUp, threshold: active.policy.healthyThreshold, at: now)
    }
}
