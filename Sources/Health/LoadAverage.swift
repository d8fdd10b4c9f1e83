import PoiseModel

/// What a target can do, from its own reports of load: requests per second at full use.
///
/// qps / (utilization + eps / qps), smoothed over the seconds in which reports came. A target that begins to report is
/// believed after ``blackout``, and one that stopped is forgotten after ``expiration``. Source: gRFC A58 (weighted_round_robin:
/// formula, error_utilization_penalty 1, blackout_period, weight_expiration_period); Envoy's
/// client_side_weighted_round_robin, which is the same.
struct LoadAverage: Sendable, Equatable {
    static let blackout = Nanoseconds.seconds(10)
    static let expiration = Nanoseconds.seconds(180)
    /// How much of the old value stays with each second of reports.
    static let keeps = 0.7

    private var average = 0.0
    private var firstReport = MonotonicTime.zero
    private var lastReport = MonotonicTime.zero
    private var lastLook: MonotonicTime?

    /// Requests per second; `nil` where there is nothing to go by yet, or any more.
    func capacity(at now: MonotonicTime) -> Double? {
        guard average > 0, now - firstReport >= Self.blackout, now - lastReport < Self.expiration else { return nil }
        return average
    }

    /// - Parameter new: what was counted since the last call.
    mutating func observe(_ new: TrafficCounts, at now: MonotonicTime) {
        let elapsed = lastLook.map { (now - $0).seconds } ?? 0
        lastLook = now
        if average > 0, now - lastReport >= Self.expiration { average = 0 }
        guard new.reports > 0, elapsed > 0 else { return }
        let reports = Double(new.reports)
        let utilization = Double(new.utilization) / 65_536 / reports
        // Who tells no rate is measured: where several balancers send, each sees its part of every target's.
        let told = Double(new.requestRate) / 1_000 / reports
        let rate = told > 0 ? told : Double(new.requests) / elapsed
        let errors =
            new.errorRate > 0 ? Double(new.errorRate) / 1_000 / reports : told > 0 ? 0 : Double(new.errors) / elapsed
        guard utilization > 0, rate > 0 else { return }
        let value = rate / (utilization + min(1, errors / rate))
        if average > 0 {
            average = average * Self.keeps + value * (1 - Self.keeps)
        } else {
            (average, firstReport) = (value, now)
        }
        lastReport = now
    }
}
