import PoiseModel

/// What real traffic tells about one target: when to take it out, and for how long.
///
///     watching ──too many failures, and `EjectionBudget` agrees──> ejected ──its time is over──> watching
///                                                                     `──probes pass again──────^
///
/// A target that was only restarted need not wait: an ejection for failures in a row ends once active probes have
/// passed since, as many as make an unhealthy target healthy, n times as many for the n-th ejection in a row. Envoy ends
/// every ejection at the first. One for the rate of failures lasts its time: what passes probes may still fail.
///
/// The n-th ejection in a row lasts n times as long, up to `ejectionTimeMax` (never shorter than the first). Each
/// `ejectionTime` without an ejection takes one off n, so a target that had a bad hour last week begins at one again.
public struct PassiveHealth: Sendable {
    public private(set) var policy: PassiveChecks
    /// When the target may come back; `nil` while it is watched.
    public private(set) var ejectedUntil: MonotonicTime?

    public private(set) var failuresInARow = 0
    /// Exchanges and failures; `nil` when the failure rate is not watched.
    private var rate: SlidingCounts?
    /// What the running ejection is for.
    private var ejectedFor = TargetReason.consecutiveFailures
    /// Probes in a row since.
    private var probesPassed = 0
    /// n: how many times as long as the first the latest ejection lasted.
    private var ejectionsInARow: Int64 = 0
    private var returnedAt = MonotonicTime.zero

    public init(policy: PassiveChecks) {
        self.policy = policy
        rate = policy.failurePercent == nil ? nil : SlidingCounts(window: policy.window)
    }

    /// What the rate of failures is judged by; `nil` when it is not watched. Empty after an ejection.
    public var failuresInWindow: (failures: Int, exchanges: Int)? { rate.map { ($0.second, $0.first) } }

    /// An exchange that the target answered.
    public mutating func succeeded(at now: MonotonicTime) { _ = record(successes: 1, failures: 0, at: now) }

    /// An exchange that failed by the target's fault.
    ///
    /// - Returns: why the target should be ejected, or `nil`. Ask ``EjectionBudget``, then call ``eject(at:)``; a refusal
    ///   needs no call: the next failure asks again.
    public mutating func failed(at now: MonotonicTime) -> TargetReason? { record(successes: 0, failures: 1, at: now) }

    /// The same for what a worker counted since it last reported. In a report with both, the order is unknown and the
    /// row of failures counts as broken.
    public mutating func record(successes: Int, failures: Int, at now: MonotonicTime) -> TargetReason? {
        guard ejectedUntil == nil else { return nil }  // What was on its way when it was ejected proves nothing new.
        failuresInARow = successes > 0 ? 0 : failuresInARow + failures
        rate?.add(first: successes + failures, second: failures, at: now)
        guard failures > 0 else { return nil }
        if policy.consecutiveFailures > 0, failuresInARow >= policy.consecutiveFailures { return .consecutiveFailures }
        if let rate, let percent = policy.failurePercent, rate.first >= max(1, policy.failurePercentMinRequests),
            rate.second * 100 >= percent * rate.first
        {
            return .failureRate
        }
        return nil
    }

    /// - Returns: when the target comes back. Ejecting an ejected target changes nothing.
    public mutating func eject(
        for reason: TargetReason = .consecutiveFailures, at now: MonotonicTime
    ) -> MonotonicTime {
        if let ejectedUntil { return ejectedUntil }
        (ejectedFor, probesPassed) = (reason, 0)
        let unit = max(1, policy.ejectionTime.count)
        let quiet = max(0, (now - returnedAt).count) / unit
        let longest = max(1, (policy.ejectionTimeMax.count + unit - 1) / unit)
        ejectionsInARow = min(max(0, ejectionsInARow - quiet) + 1, longest)
        let until = now + min(policy.ejectionTime * ejectionsInARow, max(policy.ejectionTimeMax, policy.ejectionTime))
        ejectedUntil = until
        failuresInARow = 0
        rate?.reset()
        return until
    }

    /// - Returns: true once, at or after the end of an ejection: the target is watched again.
    public mutating func returnIfDue(at now: MonotonicTime) -> Bool {
        guard let until = ejectedUntil, now >= until else { return false }
        (ejectedUntil, returnedAt) = (nil, now)
        return true
    }

    /// An active probe of the target has ended.
    ///
    /// - Parameter threshold: how many successes in a row make an unhealthy target healthy.
    /// - Returns: true once, where that ends the ejection: the target is watched again.
    public mutating func probed(succeeded: Bool, threshold: Int, at now: MonotonicTime) -> Bool {
        guard ejectedUntil != nil, ejectedFor == .consecutiveFailures else { return false }
        probesPassed = succeeded ? probesPassed + 1 : 0
        guard probesPassed >= threshold * Int(ejectionsInARow) else { return false }
        (ejectedUntil, returnedAt) = (nil, now)
        return true
    }

    /// A running ejection and its count stay; so does the row of failures. Another window begins empty.
    public mutating func policyChanged(to policy: PassiveChecks) {
        if policy.failurePercent == nil {
            rate = nil
        } else if rate == nil || policy.window != self.policy.window {
            rate = SlidingCounts(window: policy.window)
        }
        self.policy = policy
    }
}
