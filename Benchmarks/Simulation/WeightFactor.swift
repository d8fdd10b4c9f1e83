import PoiseBalancing
import PoiseModel

/// Something that gives targets less than their configured weight, asked ten times a second.
protocol WeightFactor {
    /// A request has ended at `target`.
    mutating func ended(at target: Int, _ end: RequestEnd, after time: Nanoseconds, now: MonotonicTime)
    /// - Parameter weight: the effective weight so far, 0...65,536.
    /// - Returns: what is left of it.
    mutating func weight(_ weight: Int, of target: Int, now: MonotonicTime) -> Int
}

/// What became of a request.
enum RequestEnd { case answered, errorAnswer, unavailable, timedOut }

/// `slow_start` of a target since it has joined.
struct SlowStartFactor: WeightFactor {
    private let joined: [MonotonicTime?]
    private let duration: Nanoseconds

    /// Targets that are there from the beginning have no slow start.
    init(_ scenario: Scenario) {
        joined = scenario.targets.map { $0.joins > .zero ? MonotonicTime.zero + $0.joins : nil }
        duration = scenario.slowStart
    }

    mutating func ended(at target: Int, _ end: RequestEnd, after time: Nanoseconds, now: MonotonicTime) {}

    mutating func weight(_ weight: Int, of target: Int, now: MonotonicTime) -> Int {
        guard let joined = joined[target] else { return weight }
        return SlowStart.effectiveWeight(weight, healthyFor: now - joined, duration: duration)
    }
}
