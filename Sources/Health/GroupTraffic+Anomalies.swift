import PoiseModel

/// Targets whose errors are unlike the others': ALB's automatic target weights.
///
/// With ``targetsMin`` usable targets or more whose window proves something, a target is anomalous when its share of errors
/// (5xx, and tries without an answer) is above the lower median of all by more than ``gap`` and by more than three
/// standard deviations of what chance would do with so many requests. It is normal again at half of that. Never more than
/// half of the targets can be anomalous: beyond, that is what is normal in this group.
///
/// Where anomalies are mitigated, an anomalous target loses ``GroupTraffic/mitigationFall`` of its share with each second, down to
/// ``GroupTraffic/shareMin``, and gets it back by ``GroupTraffic/rise``. One that has too few requests for a judgement rises
/// more slowly, until it has enough of them.
/// Source: Elastic Load Balancing, "Automatic target weights" (three healthy targets; 5xx and connection errors; traffic
/// reduced step by step and restored gradually), whose figures are not published: these are ours.
extension GroupTraffic {
    public static let targetsMin = TargetGroup.comparableTargetsMin
    static let gap = 0.05
    static let mitigationFall = 0.3
    /// Requests in the window; a target that has little traffic for being anomalous is judged by half of them.
    static let anomalyRequestsMin = 20.0

    mutating func findAnomalies(mitigating: Bool) {
        scratch.removeAll(keepingCapacity: true)
        for target in targets where target.isUsable && target.window.requests >= Self.anomalyRequestsMin / 2 {
            scratch.append(target.window.errorRate)
        }
        let median = scratch.count < Self.targetsMin ? nil : lowerMedian()
        for index in targets.indices {
            let isProof = judge(index, median)
            let share = targets[index].mitigatedShare
            if !mitigating {
                targets[index].mitigatedShare = 1
            } else if targets[index].isAnomalous, isProof {
                targets[index].mitigatedShare = max(Self.shareMin, share * (1 - Self.mitigationFall))
            } else if targets[index].isUsable {
                targets[index].mitigatedShare = min(1, share + (isProof ? Self.rise : Self.blindRise))
            }
            // Nothing was seen against it on its whole way back.
            if targets[index].isAnomalous, !isProof, targets[index].mitigatedShare == 1 {
                targets[index].isAnomalous = false
            }
        }
    }

    /// - Parameter median: of shares of errors; `nil` where too few can be compared.
    /// - Returns: whether there was enough to judge by.
    private mutating func judge(_ index: Int, _ median: Double?) -> Bool {
        let window = targets[index].window
        let isAnomalous = targets[index].isAnomalous
        guard targets[index].isUsable, let median,
            window.requests >= (isAnomalous ? Self.anomalyRequestsMin / 2 : Self.anomalyRequestsMin)
        else { return false }
        let chance = max(median, 0.01)
        let deviation = (chance * (1 - min(chance, 0.99)) / window.requests).squareRoot()
        let limit = max(Self.gap, 3 * deviation)
        targets[index].isAnomalous = window.errorRate > median + (isAnomalous ? limit / 2 : limit)
        return true
    }
}
