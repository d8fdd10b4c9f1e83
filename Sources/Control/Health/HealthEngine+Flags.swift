import PoiseHealth
import PoiseModel

/// Flag files for maintenance: as an agent's `maint` and an operator's drain, they hold where all other targets are tried.
extension HealthEngine {
    /// Whether a flag file of the target is there may have changed, or which files are asked for.
    func heedFlags(of target: TargetRecord, at now: MonotonicTime) {
        let isFlagged = target.checks.contains(where: \.isFlagged)
        guard isFlagged != target.health.isFlagged else { return }
        target.health.flagged(isFlagged)
        // Its state need not change with it: it may be dead already.
        markDirty(target.group)
        tellFollowers(of: target, at: now, evidence: .configuration)
    }
}

extension CheckRecord {
    /// The file that takes its targets out is there. One that is missing is a sign of life, and says no more than a failed probe.
    fileprivate var isFlagged: Bool {
        guard case .file(let probe) = spec.check.kind, probe.downWhen == .exists else { return false }
        return if case .unhealthy = state.verdict { true } else { false }
    }
}
