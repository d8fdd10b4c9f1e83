import PoiseModel

/// Weights by the targets' own reports, whatever the algorithm.
extension HealthEngine {
    /// A target's agent has spoken: its weight is this part of the configured one until it says something else. In groups of
    /// every algorithm; an operator's weight takes the place of the configured one.
    ///
    /// - Parameters:
    ///   - weightPercent: 0 takes no new flows, above 100 takes more; at most 25,600.
    ///   - validFor: how long it holds without another report: some of the agent's intervals.
    func reported(
        weightPercent: Int, of target: TargetRecord, validFor: Nanoseconds, at now: MonotonicTime
    ) {
        let agent = AgentWeight(percent: max(0, min(25_600, weightPercent)), expiresAt: now + validFor)
        defer { target.agent = agent }
        guard agent.percent != target.agent?.percent ?? 100 else { return }
        markDirty(target.group)
    }

    /// There is no report any more: all of the weight again.
    func endReports(of target: TargetRecord) {
        guard let agent = target.agent else { return }
        target.agent = nil
        if agent.percent != 100 { markDirty(target.group) }
    }
}
