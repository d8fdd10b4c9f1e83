import PoiseModel

/// What several checks of one target say together.
///
/// Each check counts its weight. As soon as the passing ones reach what is needed, the target is healthy, whatever the
/// others say; as soon as they cannot reach it any more, it is unhealthy; until then nobody knows.
public enum CombinedChecks {
    /// - Parameters:
    ///   - verdicts: of each check, in the order of the file, with its weight.
    ///   - need: what the weights of the passing ones must add up to, ``HealthChecks/weightNeeded``.
    /// - Returns: `nil` without checks. The reason of an unhealthy target is that of the first check that fails.
    public static func verdict(
        of verdicts: some Collection<(verdict: ActiveCheck.Verdict, weight: Int)>, need: Int
    ) -> ActiveCheck.Verdict? {
        guard !verdicts.isEmpty else { return nil }
        var (passing, hopeful, undecided) = (0, 0, 0)
        var reason: TargetReason?
        for (verdict, weight) in verdicts {
            switch verdict {
            case .healthy: passing += weight
            case .initial(takesTraffic: true): hopeful += weight
            case .initial(takesTraffic: false): undecided += weight
            case .unhealthy(let failed): reason = reason ?? failed
            }
        }
        if passing >= need { return .healthy }
        if passing + hopeful + undecided < need { return .unhealthy(reason ?? .none) }
        return .initial(takesTraffic: passing + hopeful >= need)
    }
}
