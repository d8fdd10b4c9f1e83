import PoiseModel

/// Retries help when one target is ill and harm when all are: a group's retries are a share of its requests.
///
/// A retry is allowed while retries are at most `percent` of the requests of the last 10 s, or while fewer than
/// `minPerSecond` were made in this second (so that a quiet group can retry at all). Refused connections are free
/// and not counted here. One per group and worker; the caller splits `minPerSecond` between workers.
public struct RetryBudget: Sendable {
    /// 0...100
    public var percent: Int
    /// 0 or more.
    public var minPerSecond: Int
    /// Requests first, retries second; a bucket is a second.
    private var counts = SlidingCounts(window: .seconds(10))

    public init(percent: Int, minPerSecond: Int) { (self.percent, self.minPerSecond) = (percent, minPerSecond) }

    public init(_ policy: RetryPolicy) {
        self.init(percent: policy.budgetPercent, minPerSecond: policy.budgetMinPerSecond)
    }

    /// A request began; its retries are not requests. Cost: constant.
    public mutating func requestBegan(at now: MonotonicTime) { counts.add(first: 1, at: now) }

    /// - Returns: whether a retry may be made now; one that may is counted. Cost: constant.
    public mutating func allowsRetry(at now: MonotonicTime) -> Bool {
        counts.advance(to: now)
        guard counts.newestSecond < minPerSecond || (counts.second + 1) * 100 <= percent * counts.first else {
            return false
        }
        counts.add(second: 1, at: now)
        return true
    }
}
