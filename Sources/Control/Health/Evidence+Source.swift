import PoiseHealth
import PoiseModel

/// What a change is remembered by. What brought it about is often not what its reason comes from: an operator puts back a
/// target that is dead by its checks, an apply asks for all checks where one of them fails, a target follows another one.
extension TargetRecord {
    /// What was seen of that which `status` comes from.
    ///
    /// - Parameter cause: what brought the change about just now. Holds where it is what was seen itself, and where nothing was.
    func evidence(for status: TargetHealth.Status, cause: Evidence) -> Evidence {
        switch status.state {
        case .unhealthy: return evidence(of: status.reason) ?? cause
        case .draining where status.reason.isAgents: return evidence(of: status.reason) ?? cause
        case .initial, .healthy, .draining, .unused:
            return cause.tellsWhatWasSeen ? cause : evidence(of: status.reason) ?? cause
        }
    }

    /// What is known behind a reason; `nil` where nobody has seen anything.
    private func evidence(of reason: TargetReason) -> Evidence? {
        own(reason) ?? leader?.evidence(of: reason)
    }

    private func own(_ reason: TargetReason) -> Evidence? {
        switch reason {
        case .none: seen { $0.state.verdict == .healthy }
        case .agentDrain, .agentMaintenance:
            checks.first { $0.agent.pause == reason }.flatMap { agent in agent.pausedBy.map { text($0, agent.name) } }
        case .consecutiveFailures, .failureRate, .successRateOutlier, .latencyOutlier:
            passive.ejectedUntil.flatMap { _ in ejectedBy }
        case .drainedByOperator: .operatorAction
        case .noTraffic, .deregistration: .configuration
        case .initialChecks, .checksDisabled, .dns: nil
        case .timeout, .connectionRefused, .connectionFailed, .responseMismatch, .bodyMismatch, .malformedResponse,
            .unexpectedAnswer, .certificateExpired, .certificateNotYetValid, .certificateUnknownAuthority,
            .certificateSelfSigned, .certificateNameMismatch, .certificateRevoked, .certificateInvalid, .tlsFailed,
            .agentDown, .notServing, .commandFailed, .maintenanceFile:
            seen { $0.state.verdict == .unhealthy(reason) }
        }
    }

    /// What the first of its checks for which this holds saw.
    private func seen(_ isTelling: (CheckRecord) -> Bool) -> Evidence? {
        checks.first { isTelling($0) && $0.basis != nil }?.basis.map { text($0.result, $0.name) }
    }

    private func text(_ result: ProbeResult, _ name: Evidence.CheckName) -> Evidence {
        Evidence(result, of: checks.count > 1 ? name : nil)
    }
}

extension CheckRecord {
    /// The result that a check's verdict rests on, and of which check: it may have taken the place of another one.
    struct Basis {
        let result: ProbeResult
        let name: Evidence.CheckName
    }

    /// A probe has ended and the verdict is made of it. One that speaks against the verdict, and is not enough to change it,
    /// is no evidence of it.
    ///
    /// - Parameter changed: whether the verdict did.
    func noteBasis(_ result: ProbeResult, changed: Bool) {
        let agrees: Bool =
            switch (state.verdict, result.outcome) {
            case (.healthy, .succeeded), (.unhealthy, .failed): true
            default: false
            }
        // An agent's word holds until it takes it back, whatever its later lines leave out.
        if changed || agrees && spec.check.kind.votes { basis = Basis(result: result, name: name) }
    }
}

extension Evidence {
    /// And not only who asked for it, or that somebody did.
    fileprivate var tellsWhatWasSeen: Bool {
        switch self {
        case .none, .operatorAction, .configuration: false
        case .probe, .failuresInRow, .failures, .outlier, .name, .timeIsOver, .lastFlowEnded, .flowsCut: true
        }
    }
}

extension TargetReason {
    fileprivate var isAgents: Bool { self == .agentDrain || self == .agentMaintenance }
}
