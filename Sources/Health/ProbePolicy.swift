import PoiseModel

/// How often a target is probed and how many results in a row decide: what the decisions need of a `HealthCheck`.
public struct ProbePolicy: Sendable, Equatable {
    /// From the start of a probe to the start of the next.
    public var interval: Nanoseconds
    /// The same for a healthy target while nobody asks its groups for anything.
    public var idleInterval: Nanoseconds
    /// The same after a result that differs from the target's state.
    public var edgeInterval: Nanoseconds
    /// Successes in a row that make an unhealthy target healthy, 1 or more.
    public var healthyThreshold: Int
    /// Failures in a row that make a healthy target unhealthy, 1 or more.
    public var unhealthyThreshold: Int

    public init(_ check: HealthCheck) {
        (interval, edgeInterval) = (check.interval, min(check.edgeInterval, check.interval))
        idleInterval = max(check.idleInterval ?? check.interval, check.interval)
        // What counts nothing decides by one result.
        let counts = check.kind.countsSuccesses
        healthyThreshold = counts ? max(1, check.healthyThreshold) : 1
        unhealthyThreshold = counts ? max(1, check.unhealthyThreshold) : 1
    }
}
