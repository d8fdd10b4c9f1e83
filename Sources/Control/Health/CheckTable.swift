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

    func use(_ check: CheckRecord, by target: TargetRecord) {
        target.check = check
        check.users.append(target)
        updateProbing(check)
    }

    func release(_ target: TargetRecord) {
        guard let check = target.check else { return }
        target.check = nil
        check.users.removeAll { $0 === target }
        updateProbing(check)
        guard check.users.isEmpty else { return }
        checks[check.spec.address]?.removeAll { $0 === check }
        if checks[check.spec.address]?.isEmpty == true { checks[check.spec.address] = nil }
    }

    /// What `target` wants may have changed.
    func updateProbing(_ target: TargetRecord) { if let check = target.check { updateProbing(check) } }

    private func updateProbing(_ check: CheckRecord) {
        let isWanted = check.users.contains { $0.health.wantsProbes }
        guard isWanted != check.isRunning else { return }
        check.isRunning = isWanted
        if isWanted { prober.begin(check) } else { prober.end(check) }
    }
}
