import PoiseModel

/// The targets of one group beside each other: who shall have less than its weight, and who is an outlier.
///
/// A value that is filled, stepped once a second and read again; its storage is used for group after group, so that a step
/// allocates nothing for a target.
///
/// Invariants, whatever targets do: (1) a share is at least ``shareMin``; (2) what all lose together is at most half of the
/// group's usable weight: when half of the targets are bad, those are what the others are compared with; (3) equal targets keep all
/// of their weights.
public struct GroupTraffic: Sendable {
    /// No target has less of its weight than this, or how it answers could not be seen any more.
    public static let shareMin = 0.1
    /// What comes back with each second to a target that does as well as the others again.
    static let rise = 0.05
    /// The same for one about which too little is known.
    static let blindRise = 0.02
    /// Of the way to a smaller share, what is gone with each second: slower than the window looks back, or it would
    /// overshoot where a target gets faster as it gets less to do.
    static let fall = 0.3

    /// What the group wants.
    public struct Rules: Sendable, Equatable {
        /// Weights follow reports and answers: `adaptive`.
        public var adapts: Bool
        /// Anomalous targets get less.
        public var mitigates: Bool
        public init(adapts: Bool, mitigates: Bool) { (self.adapts, self.mitigates) = (adapts, mitigates) }
    }

    public var targets: [TargetTraffic] = []
    var scratch: [Double] = []

    public init() {}

    /// One second later; each target has observed its counters.
    public mutating func step(_ rules: Rules, at now: MonotonicTime) {
        if rules.adapts { adapt(at: now) } else { for index in targets.indices { targets[index].adaptiveShare = 1 } }
        findAnomalies(mitigating: rules.mitigates)
        settle()
    }

    /// The lower median: with two targets it is the better one, and never more than half are above it.
    ///
    /// - Returns: `nil` for fewer than two. Sorts `scratch`.
    mutating func lowerMedian() -> Double? {
        guard scratch.count > 1 else { return nil }
        scratch.sort()
        return scratch[(scratch.count - 1) / 2]
    }

    /// One step from a share towards another: down in part, up little by little.
    static func moved(_ share: Double, to goal: Double, rise: Double) -> Double {
        goal < share ? share + (goal - share) * fall : min(goal, share + rise)
    }

    /// From the shares of each cause to the one that counts.
    private mutating func settle() {
        var (whole, lost) = (0.0, 0.0)
        for target in targets where target.isUsable {
            whole += Double(target.weight)
            lost += Double(target.weight) * (1 - min(target.adaptiveShare, target.mitigatedShare))
        }
        // Too much would go: everybody who loses loses less.
        let part = lost * 2 > whole ? whole / 2 / lost : 1
        for index in targets.indices {
            let least = min(targets[index].adaptiveShare, targets[index].mitigatedShare)
            let isMitigated = targets[index].mitigatedShare < targets[index].adaptiveShare
            publish(1 - (1 - least) * part, isMitigated ? .anomaly : targets[index].adaptiveCause, at: index)
        }
    }

    private mutating func publish(_ share: Double, _ cause: ShareCause, at index: Int) {
        let whole = TargetTraffic.wholeShare
        let new = max(1, min(whole, Int((share * Double(whole)).rounded())))
        // A change of weight costs each worker something; the whole is told in any case, so that nobody stops short of it.
        let old = targets[index].share
        if abs(new - old) >= max(2, old / 16) || new == whole { targets[index].share = new }
        targets[index].cause = targets[index].share == whole ? .none : cause
    }
}
