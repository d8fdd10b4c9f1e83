import PoiseHealth
import PoiseModel

/// Addresses that leave names and come back.
extension HealthEngine {
    /// Of what is away, another configuration keeps what it still has a name for, and the operators' weights where the file's are the same.
    func reviewAbsent(of group: GroupRecord) {
        group.drainedNames.formIntersection(group.settings.targets.map { "\($0.address)" })
        guard !group.absent.isEmpty else { return }
        let weights = Dictionary(
            group.settings.targets.map { ($0.address, $0.weight) }, uniquingKeysWith: { first, _ in first })
        for target in group.absent.keepOnly(Set(weights.keys)) { forgetWords(of: target) }
        for target in group.absent.all {
            guard let settings = target.settings, let weight = weights[settings.address], weight != settings.weight
            else { continue }
            endOverride(of: target, configured: weight)
        }
    }

    /// Targets that are in no snapshot any more: those of names that the group still has may come back.
    func leave(_ targets: [TargetRecord], at now: MonotonicTime) {
        guard let group = targets.first?.group else { return }
        let configured = Set(group.settings.targets.map(\.address))
        for target in targets {
            if let name = target.settings?.address, case .name = name, configured.contains(name) {
                target.mayReturn = true
                target.isDrainedOnReturn = target.isDrainedByOperator
                remove(target, at: now)
                if let oldest = group.absent.add(target, of: name) { forget(oldest, .crowdedOut) }
            } else {
                forgetWords(of: target)
                remove(target, at: now)
            }
        }
    }

    /// Before anything is known of how it is now: it goes on where it was when it left.
    func resume(_ target: TargetRecord, at now: MonotonicTime) {
        guard let address = target.compiled?.address else { return }
        guard let old = target.group.absent.take(address) else {
            if let name = target.configuredName, target.group.drainedNames.contains(name) {
                drainAgain(target, at: now)
            }
            return
        }
        (target.history, target.transitions) = (old.history, old.transitions)
        target.operatorWeight = old.operatorWeight
        if old.isDrainedOnReturn { drainAgain(target, at: now) }
        let (before, after) = (old.health.status, target.health.status)
        guard (before.state, before.reason) != (after.state, after.reason) else { return }
        tell(target, before, after, .name("its name has the address again"))
    }

    /// Nothing was ever sent there: there is nothing to wait for, and nothing to tell.
    private func drainAgain(_ target: TargetRecord, at now: MonotonicTime) {
        _ = target.health.drain(.drainedByOperator, at: now)
        _ = target.drain.deregister(at: now, delay: .zero)
        _ = target.health.drained(at: now)
    }

    /// With its group.
    func forgetWords(of group: GroupRecord) {
        for target in group.targets + group.absent.all { forgetWords(of: target) }
    }

    private func forgetWords(of target: TargetRecord) {
        if !target.operatorWords.isEmpty { forget(target, .removed) }
    }

    private func forget(_ target: TargetRecord, _ cause: ForgottenTarget.Cause) {
        observe(
            .forgotten(
                ForgottenTarget(
                    group: target.group.id, target: target.label, cause: cause, words: target.operatorWords)))
    }
}

extension GroupRecord {
    /// A target, a name, or an address that a name may have again.
    func knows(_ label: String) -> Bool {
        targets.contains { $0.label == label } || names.contains { $0.label == label } || absent.target(label) != nil
    }
}

extension TargetRecord {
    /// An operator wants no new flows here.
    var isDrainedByOperator: Bool { health.status.reason == .drainedByOperator }

    /// As the log says it.
    fileprivate var operatorWords: [String] {
        (isDrainedByOperator || isDrainedOnReturn ? ["drain"] : [])
            + (operatorWeight.map { ["weight \($0)"] } ?? [])
    }
}
