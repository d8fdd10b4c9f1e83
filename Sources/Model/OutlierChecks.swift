/// When a target that differs from the others of its group is ejected. Looked at once per `PassiveChecks.window`.
public struct OutlierChecks: Sendable, Equatable {
    /// Hundredths of standard deviations that a share of good answers may lie below the mean; `nil` turns it off.
    public var successRateFactorPercent: Int?
    /// Hundredths of the group's median that a mean answer time may reach; `nil` turns it off.
    public var latencyFactorPercent: Int?
    /// A mean answer time below this is never an outlier.
    public var latencyMin: Nanoseconds = .milliseconds(10)
    /// Fewer targets than this with enough requests cannot be compared.
    public var targetsMin = 5
    /// Fewer exchanges than this in a window prove nothing.
    public var requestsMin = 100
    public init() {}

    public var isOn: Bool { successRateFactorPercent != nil || latencyFactorPercent != nil }
}
