import PoiseModel

/// What workers have counted of one target since the process began.
public struct TrafficCounts: Sendable, Equatable {
    /// Answers that were passed on, of every status, and those of 500 and above.
    public var answers = 0
    public var serverErrors = 0
    /// Tries without an answer, and answers that were cut.
    public var failures = 0
    /// From the choice of the target to the head of its answer, over ``answers``.
    public var microseconds = 0
    /// Load reports, and what they add up to: utilization in 65,536ths, rates in thousandths per second.
    public var reports = 0
    public var utilization = 0
    public var requestRate = 0
    public var errorRate = 0

    public init() {}

    public var requests: Int { answers + failures }
    public var errors: Int { serverErrors + failures }

    /// What was added since `earlier`; counters that fell count as unchanged, and one that passed its end as what it is: sums of
    /// what targets claim may grow that far.
    func since(_ earlier: TrafficCounts) -> TrafficCounts {
        var difference = TrafficCounts()
        difference.answers = max(0, answers &- earlier.answers)
        difference.serverErrors = max(0, serverErrors &- earlier.serverErrors)
        difference.failures = max(0, failures &- earlier.failures)
        difference.microseconds = max(0, microseconds &- earlier.microseconds)
        difference.reports = max(0, reports &- earlier.reports)
        difference.utilization = max(0, utilization &- earlier.utilization)
        difference.requestRate = max(0, requestRate &- earlier.requestRate)
        difference.errorRate = max(0, errorRate &- earlier.errorRate)
        return difference
    }
}

/// Why a target has less than its weight.
public enum ShareCause: UInt8, Sendable, CaseIterable {
    /// It has all of it.
    case none
    /// Its agent says so.
    case agent
    /// Its own reports of load do (ORCA).
    case load
    /// It is slower than the others.
    case latency
    /// It fails more often than the others.
    case errors
    /// The same, where anomalies are mitigated.
    case anomaly

    public var name: String {
        switch self {
        case .none: "none"
        case .agent: "agent"
        case .load: "orca"
        case .latency: "latency"
        case .errors: "errors"
        case .anomaly: "anomaly"
        }
    }
}

/// How one target has answered lately, and what follows from it for its weight. ``GroupTraffic`` compares those of a group.
public struct TargetTraffic: Sendable, Equatable {
    /// What ``window`` keeps of itself from second to second: it looks back about five.
    static let keeps = 0.8
    /// Fewer requests than this in the window prove nothing.
    static let requestsMin = 10.0

    /// Counts of the last seconds, the older the less.
    struct Window: Equatable {
        var answers = 0.0
        var requests = 0.0
        var errors = 0.0
        var microseconds = 0.0

        /// Mean time to an answer, microseconds.
        var meanTime: Double { answers > 0 ? microseconds / answers : 0 }
        var errorRate: Double { requests > 0 ? min(1, errors / requests) : 0 }
        var isProof: Bool { requests >= requestsMin }
    }

    /// Whether new flows go here, and its whole weight, 0...65,536. The caller keeps both true.
    public var isUsable = true
    public var weight = 256

    private(set) var window = Window()
    /// What the counters said last, and when the running sweep for outliers began.
    private var seen: TrafficCounts?
    private var swept: TrafficCounts?
    var load = LoadAverage()

    /// Of its weight, by what it reports or how it answers: ``AdaptiveWeights``.
    var adaptiveShare = 1.0
    var adaptiveCause = ShareCause.none
    /// Whether its errors are unlike the others', and what is left to it of its weight: ``Anomalies``.
    public internal(set) var isAnomalous = false
    var mitigatedShare = 1.0

    /// What is left to it of its weight, 1...``wholeShare``, and why. Changes by less than a 16th of it are not worth telling.
    public internal(set) var share = Self.wholeShare
    public internal(set) var cause = ShareCause.none
    public static let wholeShare = 256

    public init() {}

    /// The counters as they are now. Once a second.
    public mutating func observe(_ counts: TrafficCounts, at now: MonotonicTime) {
        let new = counts.since(seen ?? counts)
        if swept == nil { swept = counts }
        seen = counts
        guard isUsable else {
            // What was on its way when it was taken out says nothing about its return.
            window = Window()
            load = LoadAverage()
            return
        }
        window.answers = window.answers * Self.keeps + Double(new.answers)
        window.requests = window.requests * Self.keeps + Double(new.requests)
        window.errors = window.errors * Self.keeps + Double(new.errors)
        window.microseconds = window.microseconds * Self.keeps + Double(new.microseconds)
        load.observe(new, at: now)
    }

    /// What was counted since the last sweep.
    var sweep: TrafficCounts { seen.flatMap { seen in swept.map { seen.since($0) } } ?? TrafficCounts() }

    mutating func endSweep() { swept = seen }
}
