/// The active checks of a group, and how much of what they find must be good.
public struct HealthChecks: Sendable, Equatable {
    /// One of several checks of the same target.
    public struct Part: Sendable, Equatable {
        public var check: HealthCheck
        /// What it counts where weights are added up, 1...1,000.
        public var weight: Int
        public init(_ check: HealthCheck, weight: Int = 1) { (self.check, self.weight) = (check, weight) }
    }
    public enum Need: Sendable, Hashable {
        case all, any
        /// Passing checks whose weights add up to this.
        case weight(Int)
    }

    /// In the order of the file; no two are equal.
    public var parts: [Part]
    public var need = Need.all

    public init(_ parts: [Part] = [], need: Need = .all) { (self.parts, self.need) = (parts, need) }
    public init(_ check: HealthCheck) { self.init([Part(check)]) }

    /// Whether it matters what a check weighs.
    public var addsWeights: Bool { if case .weight = need { true } else { false } }

    /// Of the checks that vote.
    var weightInAll: Int { parts.reduce(0) { $0 + ($1.check.kind.votes ? $1.weight : 0) } }

    /// What the weights of passing checks must add up to.
    public var weightNeeded: Int {
        switch need {
        case .all: weightInAll
        case .any: min(1, weightInAll)
        case .weight(let weight): weight
        }
    }

    /// The longest time from a target's death, when every check that notices it fails, to its being `unhealthy`; `nil` where
    /// the others are enough to keep it in: an agent's silence takes nothing down, nor does a file that nobody makes.
    public var detectionTimeMax: Nanoseconds? { detectionTimeMax(\.detectionTimeMax) }

    /// The same while no request comes; `nil` where that makes no difference.
    public var idleDetectionTimeMax: Nanoseconds? {
        guard parts.contains(where: { $0.check.idleInterval != nil }) else { return nil }
        return detectionTimeMax { $0.idleDetectionTimeMax ?? $0.detectionTimeMax }
    }

    private func detectionTimeMax(_ time: (HealthCheck) -> Nanoseconds) -> Nanoseconds? {
        var left = weightInAll
        for part in parts.filter(\.check.kind.failsAtDeath).sorted(by: { time($0.check) < time($1.check) }) {
            left -= part.weight
            if left < weightNeeded { return time(part.check) }
        }
        return nil
    }
}

extension TargetGroup {
    /// Of a group with one check: that. Setting it replaces all checks; `nil` turns them off.
    public var healthCheck: HealthCheck? {
        get { healthChecks.parts.first?.check }
        set { healthChecks = newValue.map { HealthChecks($0) } ?? HealthChecks() }
    }

    /// Some agent speaks for its targets: limits may come while it serves.
    public var hasAgents: Bool { healthChecks.parts.contains { !$0.check.kind.votes } }

    /// `GET /health`, `all of: TCP, GET /ready at port 9000`, `health of 'web'`; `nil` without checks.
    public var healthSummary: String? { healthSummary { $0.summary } }

    /// The same with the intervals: `GET /health every 5s`.
    public var healthSummaryWithIntervals: String? { healthSummary { "\($0.summary) every \($0.interval)" } }

    private func healthSummary(_ text: (HealthCheck) -> String) -> String? {
        if let trackedGroup { return "health of '\(trackedGroup)'" }
        let texts = healthChecks.parts.map { text($0.check) }
        guard texts.count > 1 else { return texts.first }
        let need =
            switch healthChecks.need {
            case .all: "all of"
            case .any: "any of"
            case .weight(let weight): "\(weight) of \(healthChecks.weightInAll) by weight"
            }
        return "\(need): \(texts.joined(separator: ", "))"
    }
}
