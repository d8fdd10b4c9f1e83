import PoiseModel

/// What the probes of one address say, and when the next one is due. Groups with the same address and the same
/// check share one.
///
///                   first success                 unhealthyThreshold failures in a row
///     initial ─────────────────────────> healthy ──────────────────────────────────────> unhealthy
///        │                                  ^                                               │ ^
///        │                                  └────────── healthyThreshold successes ─────────┘ │
///        └── failure: the first one (whole group new), or unhealthyThreshold (joining) ───────┘
///
/// The first result of a target that came with its group decides at once, as HAProxy's does: nobody knows more
/// about it, and until then it takes traffic. One that joins a running group takes none until a success, and one
/// success is enough, as with ALB; a server that is still booting is `initial`, not `unhealthy`, for its first failures.
/// Where those that it replaces are gone, there is no other answer than its own: it is as one that came with its group.
///
/// Times: a probe is due `interval` after the last one was *due*, `edgeInterval` after it where the result differs from
/// the verdict, never before the last one has ended. One that started late is followed by a shorter interval: the mean
/// is the interval, and `HealthCheck.detectionTimeMax` holds. Each check has a phase of its own: its first regular
/// interval is cut at random anywhere, so that ten thousand checks that began together do not stay together. A check
/// that missed a whole interval, or got another one, is cut anew: others did so in the same moment.
public struct ActiveCheck: Sendable, Equatable {
    public enum Verdict: Sendable, Hashable {
        /// No result decides yet.
        case initial(takesTraffic: Bool)
        case healthy
        /// Why the latest failure failed.
        case unhealthy(TargetReason)
    }
    public enum Arrival: Sendable {
        /// At the start of the process, or with a new group: nobody else could answer.
        case withGroup
        /// Into a group that serves already.
        case joining
    }

    public private(set) var policy: ProbePolicy
    public private(set) var verdict: Verdict
    /// When the next probe shall start; `nil` while one is under way.
    public private(set) var nextProbe: MonotonicTime?
    /// Nobody asks the target's groups for anything: while it is healthy, `idleInterval` is the interval.
    public private(set) var isIdle = false

    private enum Streak: Equatable {
        case none
        case successes(Int)
        case failures(Int)
    }
    private var streak = Streak.none
    /// When the last probe should have started: the next one counts from there.
    private var lastDue: MonotonicTime
    private var lastStart: MonotonicTime
    /// The next regular interval is cut at random.
    private var needsPhase = true

    /// The first probe is due at once.
    public init(policy: ProbePolicy, arrival: Arrival, at now: MonotonicTime) {
        self.policy = policy
        verdict = .initial(takesTraffic: arrival == .withGroup)
        (nextProbe, lastDue, lastStart) = (now, now, now)
    }

    /// For a target that was healthy without checks: it stays so until failures say otherwise.
    public init(healthyWith policy: ProbePolicy, at now: MonotonicTime) {
        self.policy = policy
        verdict = .healthy
        (nextProbe, lastDue, lastStart) = (now, now, now)
    }

    public mutating func probeStarted(at now: MonotonicTime) {
        (lastDue, lastStart) = (nextProbe ?? now, now)
        nextProbe = nil
    }

    /// - Parameter random: 64 fresh random bits, for the phase.
    /// - Returns: whether the verdict changed.
    public mutating func probeSucceeded(at now: MonotonicTime, random: UInt64) -> Bool {
        let old = verdict
        let count = if case .successes(let count) = streak { count + 1 } else { 1 }
        streak = .successes(count)
        switch verdict {
        case .initial: verdict = .healthy
        case .healthy: break
        case .unhealthy: if count >= policy.healthyThreshold { verdict = .healthy }
        }
        scheduleNext(at: now, random: random)
        return verdict != old
    }

    /// - Parameters:
    ///   - reason: what `unhealthy` will say.
    ///   - random: 64 fresh random bits, for the phase.
    /// - Returns: whether the verdict changed, its reason included.
    public mutating func probeFailed(_ reason: TargetReason, at now: MonotonicTime, random: UInt64) -> Bool {
        let old = verdict
        let count = if case .failures(let count) = streak { count + 1 } else { 1 }
        streak = .failures(count)
        switch verdict {
        case .initial(let takesTraffic):
            if takesTraffic || count >= policy.unhealthyThreshold { verdict = .unhealthy(reason) }
        case .healthy: if count >= policy.unhealthyThreshold { verdict = .unhealthy(reason) }
        case .unhealthy: verdict = .unhealthy(reason)
        }
        scheduleNext(at: now, random: random)
        return verdict != old
    }

    /// A probe that learnt nothing, of a check whose silence proves nothing: the verdict stays, and a target that waits for a
    /// first one waits no longer.
    ///
    /// - Returns: whether the verdict changed.
    public mutating func probeLearntNothing(at now: MonotonicTime, random: UInt64) -> Bool {
        let old = verdict
        streak = .none
        if case .initial = verdict { verdict = .healthy }
        scheduleNext(at: now, random: random)
        return verdict != old
    }

    /// A probe that could not be tried for reasons of our own (no descriptor left): it proves nothing and is due again
    /// after the edge interval.
    public mutating func probeAbandoned(at now: MonotonicTime) { nextProbe = max(now, lastStart + policy.edgeInterval) }

    /// Nobody asked for a while, and what was known is of before: a target that was healthy then is asked at once, before it
    /// counts as healthy. One that was unhealthy is so until its successes say otherwise.
    ///
    /// - Parameter takesTraffic: until the first result, which decides at once then.
    public mutating func resumed(takesTraffic: Bool, at now: MonotonicTime) {
        switch verdict {
        case .initial, .healthy: verdict = .initial(takesTraffic: takesTraffic)
        case .unhealthy: break
        }
        streak = .none
        (nextProbe, lastDue, needsPhase) = (now, now, true)
    }

    /// Nobody else can serve: until its first result the target takes traffic, and that decides at once, as where it came with its
    /// group. Means nothing once there was one.
    public mutating func trustUntilFirstResult() {
        if verdict == .initial(takesTraffic: false), streak == .none { verdict = .initial(takesTraffic: true) }
    }

    /// Verdict and streak stay; new thresholds count from the next result on. The next probe comes within the new
    /// interval.
    public mutating func policyChanged(to policy: ProbePolicy, at now: MonotonicTime) {
        let old = interval
        self.policy = policy
        if interval != old { needsPhase = true }
        nextProbe = nextProbe.map { min($0, max(now, lastStart + interval)) }
    }

    /// Requests have stopped coming, or come again. Then the next probe is due within an interval, at a random moment of it:
    /// ten thousand idle targets may hear of the first request at once.
    ///
    /// - Parameter random: 64 fresh random bits.
    /// - Returns: whether the next probe is due earlier than it was.
    public mutating func idleChanged(to isIdle: Bool, at now: MonotonicTime, random: UInt64) -> Bool {
        guard isIdle != self.isIdle else { return false }
        self.isIdle = isIdle
        guard !isIdle, policy.idleInterval > policy.interval, let due = nextProbe, due > now + policy.interval else {
            return false
        }
        let share = Int64(random >> 44)  // 0..<2^20
        nextProbe = now + Nanoseconds(part(share, of: policy.interval.count))
        return true
    }

    private var interval: Nanoseconds { isIdle && verdict == .healthy ? policy.idleInterval : policy.interval }

    private mutating func scheduleNext(at now: MonotonicTime, random: UInt64) {
        let differs =
            switch (verdict, streak) {
            case (.initial, _), (.healthy, .failures), (.unhealthy, .successes): true
            case (.healthy, _), (.unhealthy, _): false
            }
        guard !differs else {
            nextProbe = max(now, lastDue + policy.edgeInterval)
            return
        }
        let due = lastDue + interval
        if needsPhase || due <= now {
            needsPhase = false
            let share = Int64(random >> 44) + 1  // 1...2^20
            nextProbe = max(now, lastStart + Nanoseconds(part(share, of: interval.count)))
        } else {
            nextProbe = due
        }
    }

    /// `share` / 2^20 of `whole`, which may be years of nanoseconds.
    private func part(_ share: Int64, of whole: Int64) -> Int64 { Int64((Int128(whole) * Int128(share)) >> 20) }
}
