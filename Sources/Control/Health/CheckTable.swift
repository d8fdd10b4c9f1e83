import PoiseHealth
import PoisePlatform

/// The checks that targets use: one for each address and policy, whatever groups the targets are in. A check runs while
/// somebody wants its results, and is forgotten with its last user.
final class CheckTable {
    /// By address: few policies per address, so a list beats hashing the policy.
    private var checks: [SocketAddress: [CheckRecord]] = [:]
    private let prober: any Probing

    init(prober: any Probing) { self.prober = prober }

    /// The check of `spec`, which may be another group's already.
    func check(_ spec: ProbeSpec, orNew state: () -> ActiveCheck) -> CheckRecord {
        if let known = checks[spec.address]?.first(where: { $0.spec == spec }) { return known }
        let check = CheckRecord(spec, state())
        checks[spec.address, default: []].append(check)
        return check
    }

    /// From now on `target` goes by these checks, in the order of its group's settings.
    func use(_ checks: [CheckRecord], by target: TargetRecord) {
        let old = target.checks
        target.checks = checks
        for check in old where !checks.contains(where: { $0 === check }) { leave(check, target) }
        for check in checks where !old.contains(where: { $0 === check }) { check.users.append(target) }
        for check in checks { updateProbing(check) }
    }

    func release(_ target: TargetRecord) { use([], by: target) }

    private func leave(_ check: CheckRecord, _ target: TargetRecord) {
        check.users.removeAll { $0 === target }
        updateProbing(check)
        guard check.users.isEmpty else { return }
        checks[check.spec.address]?.removeAll { $0 === check }
        if checks[check.spec.address]?.isEmpty == true { checks[check.spec.address] = nil }
    }

    /// What `target` wants may have changed.
    func updateProbing(_ target: TargetRecord) { for check in target.checks { updateProbing(check) } }

    /// The next probe is due earlier than the prober knows.
    func hurry(_ check: CheckRecord) { if check.isRunning { prober.hurry(check) } }

    private func updateProbing(_ check: CheckRecord) {
        let isWanted = check.users.contains { $0.health.wantsProbes }
        guard isWanted != check.isRunning else { return }
        check.isRunning = isWanted
        if isWanted { prober.begin(check) } else { prober.end(check) }
    }
}
