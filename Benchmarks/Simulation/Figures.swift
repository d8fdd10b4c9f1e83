import PoiseModel

/// What requests have seen, of one run or of several.
struct Figures {
    var requests = 0
    var toOdd = 0
    private var errors = 0
    /// In microseconds, without those of failures at once: they would make a group look quick.
    private var times: [Int] = []

    /// A request has ended, so long after it came.
    mutating func add(_ end: RequestEnd, _ time: Nanoseconds) {
        if end != .answered { errors += 1 }
        if end == .answered || end == .timedOut { times.append(Int(time.microseconds)) }
    }

    mutating func add(_ other: Figures) {
        requests += other.requests
        toOdd += other.toOdd
        errors += other.errors
        times += other.times
    }

    /// What the tables tell.
    struct Summary: Equatable {
        /// Microseconds of good answers and of timeouts; 0 where there are none.
        var mean, p50, p99, max: Int
        /// Thousandths of the requests.
        var errors, share: Int
        var requests: Int
    }

    var summary: Summary {
        let sorted = times.sorted()
        func quantile(_ percent: Int) -> Int { sorted.isEmpty ? 0 : sorted[(sorted.count - 1) * percent / 100] }
        func thousandths(_ part: Int) -> Int { requests == 0 ? 0 : (part * 1_000 + requests / 2) / requests }
        return Summary(
            mean: sorted.isEmpty ? 0 : sorted.reduce(0, +) / sorted.count, p50: quantile(50), p99: quantile(99),
            max: sorted.last ?? 0, errors: thousandths(errors), share: thousandths(toOdd), requests: requests)
    }
}
