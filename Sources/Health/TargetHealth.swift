import PoiseModel

/// The state of one target in one group, from everything that bears on it.
///
/// The strongest word wins: an operator's or the API's (draining, unused), then the name that does not resolve, then the
/// target's own agent, or the target that it follows (draining), then the probes, then what traffic told. What is hidden is kept: an ejected target that is drained and put
/// back is still ejected.
public struct TargetHealth: Sendable, Equatable {
    public struct Status: Sendable, Hashable {
        public var state: TargetState
        public var reason: TargetReason
        /// When state or reason last changed.
        public var since: MonotonicTime

        public init(state: TargetState, reason: TargetReason, since: MonotonicTime) {
            (self.state, self.reason, self.since) = (state, reason, since)
        }
    }
    /// A change of state, reason or usability, for history, log and metrics.
    public struct Change: Sendable, Equatable {
        public var from: Status
        public var to: Status
        public var isUsable: Bool
        /// Whether the target has just begun to take new flows: slow start counts from here.
        public var becameUsable: Bool
        /// Worth remembering and telling: not where a healthy target is as healthy as before, as its checks were turned on
        /// or off.
        public var isNews: Bool { from != to && !(from.state == .healthy && to.state == .healthy) }
    }

    public private(set) var status: Status

    private enum Membership: Equatable {
        case serving
        /// `noTraffic`: no rule leads to the group.
        case unused(TargetReason)
        case draining(TargetReason)
    }
    private var membership = Membership.serving
    private enum Name: Equatable {
        /// There is an address.
        case resolved
        /// Nobody has answered yet.
        case awaited
        case unknown
    }
    private var name: Name
    private var resolves: Bool { name == .resolved }
    /// `nil`: the group has no active check.
    private var verdict: ActiveCheck.Verdict?
    private var ejection: TargetReason?
    /// Why somebody else than the operators of its own group wants no new flows there: its agent (`agentDrain`,
    /// `agentMaintenance`), or what keeps flows from the target whose health it goes by.
    private var pause: TargetReason?
    /// A flag file says that its machine is in maintenance: it is tried by nobody, whatever else it is.
    public private(set) var isFlagged = false

    /// - Parameters:
    ///   - verdict: of the target's active check; `nil` when its group has none.
    ///   - resolves: false for a name that has no address.
    public init(verdict: ActiveCheck.Verdict?, resolves: Bool = true, at now: MonotonicTime) {
        self.init(verdict: verdict, resolves ? .resolved : .unknown, at: now)
    }

    /// Of a name that nobody has answered for yet: `initial`, until ``nameFailed(at:)`` or its addresses take its place.
    public init(awaitingNameAt now: MonotonicTime) { self.init(verdict: nil, .awaited, at: now) }

    private init(verdict: ActiveCheck.Verdict?, _ name: Name, at now: MonotonicTime) {
        (self.verdict, self.name) = (verdict, name)
        status = Status(state: .initial, reason: .initialChecks, since: now)
        _ = settle(at: now, wasUsable: false)
    }

    /// Whether new flows may go here.
    public var isUsable: Bool {
        guard membership == .serving, resolves, ejection == nil, pause == nil else { return false }
        return switch verdict {
        case nil, .healthy: true
        case .initial(let takesTraffic): takesTraffic
        case .unhealthy: false
        }
    }

    /// Whether new flows may go here when no target of the group is usable: everything that has an address and
    /// is not on its way out, nor flagged.
    public var takesFailOpen: Bool { membership == .serving && resolves && pause == nil && !isFlagged }

    /// Whether probing makes sense now. A draining target is probed no more, as with ELBv2.
    public var wantsProbes: Bool { membership == .serving && resolves }

    /// A name that nobody has answered for yet: nobody knows how its target is.
    public var awaitsName: Bool { name == .awaited }

    /// The name has no address: `unhealthy`, for the reason `dns`.
    public mutating func nameFailed(at now: MonotonicTime) -> Change? {
        change(at: now) { $0.name = .unknown }
    }

    /// The name has an address, and the target there is healthy.
    public mutating func nameReturned(at now: MonotonicTime) -> Change? {
        change(at: now) { ($0.name, $0.verdict) = (.resolved, .healthy) }
    }

    /// The verdict of the active check changed, or the group's check was turned on or off (`nil`).
    public mutating func checked(_ verdict: ActiveCheck.Verdict?, at now: MonotonicTime) -> Change? {
        change(at: now) { $0.verdict = verdict }
    }

    /// - Parameter reason: `agentDrain` or `agentMaintenance`: no new flows from now on, those in progress go on. `nil`: that is
    ///   over.
    public mutating func paused(_ reason: TargetReason?, at now: MonotonicTime) -> Change? {
        change(at: now) { $0.pause = reason }
    }

    /// A flag file that takes the target out is there, or is gone. Its state is what its checks say; see ``takesFailOpen``.
    public mutating func flagged(_ isFlagged: Bool) { self.isFlagged = isFlagged }

    /// The target whose health this one goes by is as `leader` says, or there is none (any more). An ejected one is dead for
    /// its followers too: it is the same machine. One that is kept from new flows keeps them from its followers.
    public mutating func follows(_ leader: TargetHealth?, at now: MonotonicTime) -> Change? {
        isFlagged = leader?.isFlagged ?? false
        return change(at: now) { ($0.verdict, $0.pause) = (leader?.verdictForFollowers, leader?.hindrance) }
    }

    /// What it is by probes and traffic, whatever hides that.
    private var verdictForFollowers: ActiveCheck.Verdict {
        switch name {
        case .resolved: break
        case .awaited: return .initial(takesTraffic: false)
        case .unknown: return .unhealthy(.dns)
        }
        if case .unhealthy(let reason) = verdict { return .unhealthy(reason) }
        if let ejection { return .unhealthy(ejection) }
        return verdict ?? .healthy
    }

    /// Why it takes no new flows, whatever its health.
    private var hindrance: TargetReason? {
        switch membership {
        case .serving: pause
        case .draining(let reason), .unused(let reason): reason
        }
    }

    /// - Parameter reason: `consecutiveFailures` or `failureRate`.
    public mutating func ejected(_ reason: TargetReason, at now: MonotonicTime) -> Change? {
        change(at: now) { $0.ejection = reason }
    }

    /// The ejection is over.
    public mutating func returned(at now: MonotonicTime) -> Change? {
        change(at: now) { $0.ejection = nil }
    }

    /// - Parameter reason: `deregistration` or `drainedByOperator`. The first one stays.
    public mutating func drain(_ reason: TargetReason, at now: MonotonicTime) -> Change? {
        change(at: now) {
            switch $0.membership {
            case .serving: $0.membership = .draining(reason)
            case .draining, .unused: break
            }
        }
    }

    /// The last flow of a draining target ended, or its deadline passed.
    public mutating func drained(at now: MonotonicTime) -> Change? {
        change(at: now) {
            switch $0.membership {
            case .draining(let reason): $0.membership = .unused(reason)
            case .serving, .unused: break
            }
        }
    }

    /// Back into service after `drain`, `drained` or `groupUnused`.
    public mutating func undrain(at now: MonotonicTime) -> Change? {
        change(at: now) { $0.membership = .serving }
    }

    /// No rule leads to the group any more: `unused`, reason `noTraffic`. A draining target goes on draining.
    public mutating func groupUnused(at now: MonotonicTime) -> Change? {
        change(at: now) {
            switch $0.membership {
            case .serving: $0.membership = .unused(.noTraffic)
            case .draining, .unused: break
            }
        }
    }

    private mutating func change(at now: MonotonicTime, _ event: (inout Self) -> Void) -> Change? {
        let wasUsable = isUsable
        event(&self)
        return settle(at: now, wasUsable: wasUsable)
    }

    private mutating func settle(at now: MonotonicTime, wasUsable: Bool) -> Change? {
        let (state, reason) = word
        let old = status
        if (state, reason) != (old.state, old.reason) { status = Status(state: state, reason: reason, since: now) }
        guard status != old || isUsable != wasUsable else { return nil }
        return Change(from: old, to: status, isUsable: isUsable, becameUsable: isUsable && !wasUsable)
    }

    /// State and reason, the strongest first.
    private var word: (TargetState, TargetReason) {
        switch membership {
        case .draining(let reason): return (.draining, reason)
        case .unused(let reason): return (.unused, reason)
        case .serving: break
        }
        switch name {
        case .resolved: break
        case .awaited: return (.initial, .initialChecks)
        case .unknown: return (.unhealthy, .dns)
        }
        if let pause { return (.draining, pause) }
        if case .unhealthy(let reason) = verdict { return (.unhealthy, reason) }
        if let ejection { return (.unhealthy, ejection) }
        return switch verdict {
        case nil: (.healthy, .checksDisabled)
        case .initial: (.initial, .initialChecks)
        case .healthy: (.healthy, .none)
        case .unhealthy(let reason): (.unhealthy, reason)
        }
    }
}
