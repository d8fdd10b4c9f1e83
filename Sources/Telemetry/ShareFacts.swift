import PoiseHealth
import PoiseLive
import PoiseModel

/// What reports and traffic leave of a target's weight.
public struct ShareFacts: Sendable {
    /// Above 100 where its agent asks for more.
    public var percent: Int
    public var cause: ShareCause
    /// Whether its errors are unlike the others'; `nil` in a group with too few targets to tell.
    public var isAnomalous: Bool?
    /// Its group gives anomalous targets less.
    public var isMitigated: Bool

    public init(percent: Int = 100, cause: ShareCause = .none, isAnomalous: Bool? = nil, isMitigated: Bool = false) {
        (self.percent, self.cause, self.isAnomalous, self.isMitigated) = (percent, cause, isAnomalous, isMitigated)
    }

    func write(to json: inout JSONText<[UInt8]>) {
        json.member("weight_percent", percent)
        json.member("weight_cause", cause.name)
        json.key("anomaly")
        if let isAnomalous { json.string(isAnomalous ? "anomalous" : "normal") } else { json.null() }
        json.member("mitigation_in_effect", isMitigated && cause == .anomaly)
    }

    /// Of the status table, behind the weight: nothing while all of it is in force.
    var suffix: String {
        var text = percent == 100 ? "" : " x\(percent)% \(cause.name)"
        if isAnomalous == true, cause != .anomaly { text += " anomalous" }
        return text
    }
}

extension MetricFamily {
    static let shares: [MetricFamily] = [
        .target(
            "poise_target_weight_factor", .gauge,
            "What agents, load reports and traffic leave of the target's weight: 1 is all of it."
        ) { .nanoseconds(Int64($0.share.percent) * 10_000_000) },
        .target(
            "poise_target_anomalous", .gauge, "1 where the target's errors are unlike those of the others of its group."
        ) { .number($0.share.isAnomalous == true ? 1 : 0) },
        .counter(
            "poise_target_load_reports_total", .target, TargetCounter.loadReports,
            "Load reports (ORCA) in answers that were used."),
        .counter(
            "poise_target_bad_load_reports_total", .target, TargetCounter.badLoadReports,
            "Load reports in answers that could not be read."),
    ]
}
