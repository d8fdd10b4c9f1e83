import PoiseModel

/// Two counts over the last stretch of time, in ten buckets.
///
/// What is counted leaves again between nine and ten tenths of the window later. Constant memory; an event costs one
/// addition, the first one after a pause at most ten steps. A clock that steps back counts into the newest bucket.
struct SlidingCounts: Sendable, Equatable {
    static let bucketCount = 10

    private struct Bucket: Equatable {
        var first = 0
        var second = 0
    }

    /// Length of a bucket, at least 1 ns.
    private let step: Int64
    private var buckets: [Bucket]
    /// Number of the newest bucket since the clock's start.
    private var newest: Int64 = 0
    private(set) var first = 0
    private(set) var second = 0

    init(window: Nanoseconds) {
        step = max(1, window.count / Int64(Self.bucketCount))
        buckets = Array(repeating: Bucket(), count: Self.bucketCount)
    }

    /// The counts of the newest bucket alone.
    var newestSecond: Int { buckets[slot(newest)].second }

    mutating func add(first: Int = 0, second: Int = 0, at now: MonotonicTime) {
        advance(to: now)
        buckets[slot(newest)].first += first
        buckets[slot(newest)].second += second
        self.first += first
        self.second += second
    }

    /// Forgets what has left the window.
    mutating func advance(to now: MonotonicTime) {
        let current = now.nanoseconds / step
        guard current > newest else { return }
        for number in 0..<min(current - newest, Int64(Self.bucketCount)) {
            let old = slot(current - number)
            first -= buckets[old].first
            second -= buckets[old].second
            buckets[old] = Bucket()
        }
        newest = current
    }

    mutating func reset() { self = SlidingCounts(step: step, newest: newest) }

    private init(step: Int64, newest: Int64) {
        (self.step, self.newest) = (step, newest)
        buckets = Array(repeating: Bucket(), count: Self.bucketCount)
    }

    private func slot(_ number: Int64) -> Int { Int(number % Int64(Self.bucketCount)) }
}
