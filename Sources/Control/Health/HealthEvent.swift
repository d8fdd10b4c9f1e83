import PoiseHealth
import PoiseLive
import PoiseModel
import PoiseProxy

/// A change worth a line in the log, and a count in the metrics.
public enum HealthEvent: Sendable {
    case transition(HealthTransition)
    /// Another tier answers for the group; `.failOpen` is the loud one.
    case availability(group: String, from: Availability, to: Availability)
    /// The group has fewer usable targets than its `min_healthy`, or enough again.
    case minimum(group: String, isMet: Bool)
    case weight(WeightEvent)
    /// What operators said of weights holds no longer.
    case overridesEnded(OverrideEnds)
    /// Nobody can tell whether a flag file is there, and why; or somebody can again (`nil`).
    case flagFile(path: String, problem: String?)
    case forgotten(ForgottenTarget)
}

/// A target has much less than its weight, or has it back; or its errors are unlike the others', or like them again.
public struct WeightEvent: Sendable, Equatable {
    public enum What: Sendable, Equatable {
        case lowered(ShareCause)
        case restored
        /// Whether it gets less for it.
        case anomalous(isMitigated: Bool)
        case normal
    }
    public var group: String
    public var target: String
    public var what: What
    /// Of its weight, 0 and more.
    public var percent: Int
}

/// A target went from one state or reason to another.
public struct HealthTransition: Sendable {
    public var group: String
    public var target: String
    public var from: TargetHealth.Status
    /// `to.since` is when it happened.
    public var to: TargetHealth.Status
    /// What was seen: `status 503 after 2 ms`; `nil` when nobody probed.
    public var evidence: String?
    /// It has left a name that may have its address again: what was told of it holds.
    public var mayReturn = false
}

/// What the engine has the workers do. Posted in order with the snapshots, so an index means what it meant here.
enum HealthOrder: Sendable {
    /// Single weights: target, weight.
    case weights(slot: Int, [(target: Int, weight: Int32)])
    case availability(slot: Int, GroupAvailability)
    /// The time of a draining target is over: end what is left. The counters name it over all snapshots.
    case endFlows(CounterBlock)
}
