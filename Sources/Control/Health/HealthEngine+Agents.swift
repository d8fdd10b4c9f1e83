import PoiseHealth
import PoiseLive
import PoiseModel
import PoiseProxy

/// What agents say of their targets: whether they take flows, how many of them, and which part of their weight is in force.
extension HealthEngine {
    /// What a probe of an agent comes to. Other results are what they are.
    func heeding(_ result: ProbeResult, of check: CheckRecord, at now: MonotonicTime) -> ProbeResult {
        guard case .agent = check.spec.check.kind, result.outcome != .abandoned else { return result }
        var result = result
        let pause = check.agent.pause
        if case .agent(let report) = result.detail, !report.isEmpty {
            check.agent.heard(report)
            // What it said of its health before holds where it says nothing of it now.
            result.outcome = check.agent.isDown ? .failed(.agentDown) : .succeeded
        } else {
            check.agent.wasSilent(limit: check.spec.check.unhealthyThreshold)
            result.outcome = .learntNothing
        }
        if check.agent.pause != pause { check.pausedBy = result }
        return result
    }

    /// Puts the words of all of a target's agents in force.
    ///
    /// - Parameter evidence: what one of them said just now.
    func heedAgents(of target: TargetRecord, at now: MonotonicTime, evidence: Evidence = .configuration) {
        let agents = target.checks.filter { !$0.spec.check.kind.votes }
        guard let first = agents.first else {
            if target.agentWord != nil { forgetAgents(of: target, at: now) }
            return
        }
        let word = agents.dropFirst().reduce(first.agent) { $0.together(with: $1.agent) }
        target.agentWord = word
        if let percent = word.weightPercent {
            let validFor = agents.map(\.spec.check.reportValidity).max() ?? .zero
            reported(weightPercent: percent, of: target, validFor: validFor, at: now)
        } else {
            endReports(of: target)
        }
        limit(target, to: word.connectionsMax)
        note(target.health.paused(word.pause, at: now), target, at: now, evidence: evidence)
    }

    private func forgetAgents(of target: TargetRecord, at now: MonotonicTime) {
        target.agentWord = nil
        endReports(of: target)
        limit(target, to: nil)
        note(target.health.paused(nil, at: now), target, at: now, evidence: .configuration)
    }

    /// - Parameter figure: takes the place of the group's `max_connections`; `nil` goes back to that.
    private func limit(_ target: TargetRecord, to figure: Int?) {
        guard let limit = target.compiled?.limit else { return }
        let value = figure ?? target.group.settings.limits.connectionsMax ?? TargetLimit.unlimited
        guard limit.value != value else { return }
        let isRaised = value > limit.value
        limit.set(value)
        guard isRaised else { return }
        target.group.compiled.queue?.fill(from: limit.exchanges)
        limit.connectionQueue.fill(from: limit.connections)
    }
}

extension HealthCheck {
    /// How long an agent's figures hold at most. Twice as long as silence is counted: a stall of ours is no silence of theirs.
    /// By the rarest probes there may be, since requests may stop coming right after a report.
    fileprivate var reportValidity: Nanoseconds {
        max(interval, idleInterval ?? interval) * (2 * Int64(unhealthyThreshold + 1))
    }
}
