import PoiseModel

/// Weights that follow how targets do: the rule of `adaptive`.
///
/// **By report.** Two targets or more that report their load (``LoadAverage``) are weighted by what they can do: the share of a
/// target is its capacity per unit of its weight, beside the greatest of these. So configured weights are where it begins, and
/// what the targets say is where it ends, within the bounds of ``GroupTraffic``. A target that does not report among such that do
/// counts as the mean of them (gRFC A58), and by its answers beside.
///
/// **By answers.** The cost of a target is its mean time to the head of an answer, and an error costs as much as an answer that takes
/// ``errorCost`` times the group's median: who fails quickly does not look quick. Costs are compared with the group's lower
/// median. Up to ``band`` times that, and up to ``bandMin`` above it, all are equal; beyond, the share is the allowed cost /
/// the cost, so that a target that is ten times slower has 15 % and one that is twice as slow 75 %. In proportion and not by
/// steps: a target whose answers quicken with less work finds its place instead of swinging.
///
/// Fewer than ``TargetTraffic/requestsMin`` requests in the window prove nothing: such a target rises slowly until it has enough.
/// Source: the idea is HAProxy's agent and gRPC's weights for those that report, and Finagle's comparison by time for those that do not.
extension GroupTraffic {
    static let errorCost = 10.0
    static let band = 1.5
    /// Microseconds.
    static let bandMin = 1_000.0

    mutating func adapt(at now: MonotonicTime) {
        scratch.removeAll(keepingCapacity: true)
        for target in targets where target.isUsable && target.window.isProof && target.window.answers > 0 {
            scratch.append(target.window.meanTime)
        }
        let medianTime = lowerMedian() ?? scratch.first ?? 0
        scratch.removeAll(keepingCapacity: true)
        for target in targets where target.isUsable && target.window.isProof {
            scratch.append(Self.cost(target, medianTime))
        }
        let allowed = lowerMedian().map { max($0 * Self.band, $0 + Self.bandMin) }
        let reported = reportedCapacity(at: now)

        for index in targets.indices where targets[index].isUsable {
            var goal = 1.0
            var cause = ShareCause.none
            var isBlind = !targets[index].window.isProof
            if let allowed, !isBlind {
                let cost = Self.cost(targets[index], medianTime)
                goal = min(1, allowed / max(cost, 1))
                if goal < 1 { cause = targets[index].window.meanTime > allowed ? .latency : .errors }
            }
            if let reported {
                if let capacity = targets[index].load.capacity(at: now) {
                    goal = capacity / Double(max(1, targets[index].weight)) / reported.greatest
                    (cause, isBlind) = (.load, false)
                } else {
                    goal *= reported.mean
                    if cause == .none { cause = .load }
                }
            }
            let share = Self.moved(
                targets[index].adaptiveShare, to: max(Self.shareMin, goal), rise: isBlind ? Self.blindRise : Self.rise)
            targets[index].adaptiveShare = share
            // Who still rises keeps the cause of its fall.
            if share == 1 || cause != .none { targets[index].adaptiveCause = cause }
        }
    }

    static func cost(_ target: TargetTraffic, _ medianTime: Double) -> Double {
        target.window.meanTime + errorCost * max(medianTime, bandMin) * target.window.errorRate
    }

    /// Capacity per unit of weight of those that report: the greatest, and the mean in parts of it. `nil` where fewer than two do.
    private func reportedCapacity(at now: MonotonicTime) -> (greatest: Double, mean: Double)? {
        var (greatest, sum, count) = (0.0, 0.0, 0)
        for target in targets where target.isUsable {
            guard let capacity = target.load.capacity(at: now) else { continue }
            let each = capacity / Double(max(1, target.weight))
            (greatest, sum, count) = (max(greatest, each), sum + each, count + 1)
        }
        return count < 2 ? nil : (greatest, sum / Double(count) / greatest)
    }
}
