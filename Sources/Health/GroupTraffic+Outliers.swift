import PoiseModel

/// Targets that are to be ejected for being unlike the others.
///
/// **By success rate.** Of the targets with enough requests in the sweep, those whose share of good answers is below the mean of
/// all minus `factor` standard deviations. Every answer below 500 is good; a 5xx or a try without an answer is not. A single bad
/// one of n targets is √(n - 1) deviations from the mean and no more, which is why five are needed for Envoy's factor of 1.9. Unlike
/// Envoy, a target must also be ``successGap`` below the mean: where all are at 100 %, the deviation is next to nothing, and a target
/// with one error in a hundred would be far out. Source: Envoy, outlier detection, "Success rate".
///
/// **By latency.** Those whose mean time to an answer is above `factor` times the lower median, and above a minimum. The median
/// and not the mean: a target that takes a minute would otherwise hide another that takes ten seconds.
extension GroupTraffic {
    static let successGap = 0.05

    public struct Outlier: Sendable, Equatable {
        public var index: Int
        public var reason: TargetReason
        /// How far out it is, in units of the limit; the worst goes first where not all may go.
        public var excess: Double
    }

    /// Ends a sweep.
    ///
    /// - Parameter found: takes who is out, the worst first.
    public mutating func sweep(_ checks: OutlierChecks, into found: inout [Outlier]) {
        found.removeAll(keepingCapacity: true)
        if let factor = checks.successRateFactorPercent { findUnsuccessful(checks, Double(factor) / 100, &found) }
        if let factor = checks.latencyFactorPercent { findSlow(checks, Double(factor) / 100, &found) }
        found.sort { ($0.excess, $1.index) > ($1.excess, $0.index) }
        for index in targets.indices { targets[index].endSweep() }
    }

    private mutating func findUnsuccessful(_ checks: OutlierChecks, _ factor: Double, _ found: inout [Outlier]) {
        scratch.removeAll(keepingCapacity: true)
        for target in targets {
            if let rate = Self.successRate(target, checks) { scratch.append(rate) }
        }
        guard scratch.count >= max(2, checks.targetsMin) else { return }
        let count = Double(scratch.count)
        let mean = scratch.reduce(0, +) / count
        let variance = scratch.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count
        let limit = max(factor * variance.squareRoot(), Self.successGap)
        for index in targets.indices {
            guard let rate = Self.successRate(targets[index], checks), rate < mean - limit else { continue }
            found.append(Outlier(index: index, reason: .successRateOutlier, excess: (mean - rate) / limit))
        }
    }

    private mutating func findSlow(_ checks: OutlierChecks, _ factor: Double, _ found: inout [Outlier]) {
        scratch.removeAll(keepingCapacity: true)
        for target in targets {
            if let time = Self.meanTime(target, checks) { scratch.append(time) }
        }
        guard scratch.count >= max(2, checks.targetsMin), let median = lowerMedian() else { return }
        let limit = max(factor * median, Double(checks.latencyMin.microseconds))
        // Those that are out already stand in front, by index.
        let known = found.count
        var next = 0
        for index in targets.indices {
            while next < known, found[next].index < index { next += 1 }
            guard let time = Self.meanTime(targets[index], checks), time > limit else { continue }
            if next < known, found[next].index == index { continue }
            found.append(Outlier(index: index, reason: .latencyOutlier, excess: time / limit))
        }
    }

    private static func successRate(_ target: TargetTraffic, _ checks: OutlierChecks) -> Double? {
        let counts = target.sweep
        guard target.isUsable, counts.requests >= max(1, checks.requestsMin) else { return nil }
        return 1 - min(1, Double(counts.errors) / Double(counts.requests))
    }

    private static func meanTime(_ target: TargetTraffic, _ checks: OutlierChecks) -> Double? {
        let counts = target.sweep
        guard target.isUsable, counts.answers >= max(1, checks.requestsMin) else { return nil }
        return Double(counts.microseconds) / Double(counts.answers)
    }
}
