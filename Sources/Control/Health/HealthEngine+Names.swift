import PoiseHealth
import PoiseModel

/// A name of a group that has no address.
struct UnresolvedName: Equatable {
    /// As the configuration has it.
    var target: Target
    var name: String
    /// Why; `nil` before the first answer.
    var problem: String?
}

/// Names without an address. Each is a target of its group, `initial` until somebody has answered and `unhealthy` then; its
/// addresses take its place. Where it was told as down, it is up with the first of them that is healthy.
extension HealthEngine {
    /// - Parameter names: all of the group's names without an address.
    func setUnresolved(_ names: [UnresolvedName], of group: GroupRecord, at now: MonotonicTime) {
        guard !names.isEmpty || !group.unresolved.isEmpty || !group.returning.isEmpty else { return }
        var old = Dictionary(group.names.map { ($0.label, $0) }, uniquingKeysWith: { first, _ in first })
        group.returning = []
        group.unresolved = names.map { name in
            let record = old.removeValue(forKey: "\(name.target.address)") ?? newName(name.target, in: group, at: now)
            record.named = name.target
            if let problem = name.problem { nameFailed(record, problem, at: now) }
            return record
        }
        let configured = Set(group.settings.targets.map(\.address))
        for record in old.values.sorted(by: { $0.label < $1.label }) {
            guard let named = record.named, configured.contains(named.address) else {
                remove(record, at: now)
                continue
            }
            if !record.health.awaitsName { group.returning.append(record) }
        }
        markDirty(group)
        welcomeNames(of: group, at: now)
    }

    /// The same for all groups, where the snapshot stays: names may have got addresses that other targets have.
    func setUnresolved(_ names: [String: [UnresolvedName]], at now: MonotonicTime) {
        for group in groups.values { setUnresolved(names[group.id] ?? [], of: group, at: now) }
    }

    /// Nobody knows an address of `name`.
    ///
    /// - Parameter problem: what the resolver says.
    func nameFailed(_ name: String, _ problem: String, at now: MonotonicTime) {
        for group in groups.values where !group.unresolved.isEmpty {
            for record in group.unresolved {
                guard case .name(name, _)? = record.named?.address else { continue }
                nameFailed(record, problem, at: now)
            }
        }
    }

    /// Names of which an address is healthy are up.
    func welcomeNames(of group: GroupRecord, at now: MonotonicTime) {
        guard !group.returning.isEmpty else { return }
        let returning = group.returning
        group.returning = []
        for record in returning {
            let targets = group.targets.filter { $0.compiled?.settings.address == record.named?.address }
            let healthy = targets.first { $0.health.status.state == .healthy }
            // Without targets of its own its addresses are those of others, which stand for themselves.
            guard healthy != nil || targets.isEmpty else {
                group.returning.append(record)
                continue
            }
            let evidence = Evidence.name(healthy.map { "resolves, \($0.label) is healthy" } ?? "resolves")
            note(record.health.nameReturned(at: now), record, at: now, evidence: evidence)
        }
    }

    private func newName(_ target: Target, in group: GroupRecord, at now: MonotonicTime) -> TargetRecord {
        let record = TargetRecord(
            group: group, label: "\(target.address)", compiled: nil, health: TargetHealth(awaitingNameAt: now))
        record.named = target
        if !group.isUsed { note(record.health.groupUnused(at: now), record, at: now, evidence: .configuration) }
        return record
    }

    private func nameFailed(_ record: TargetRecord, _ problem: String, at now: MonotonicTime) {
        let awaited = record.health.awaitsName
        note(
            record.health.nameFailed(at: now), record, at: now, evidence: .name("the name does not resolve: \(problem)")
        )
        // What its group lacks was held back until now.
        if awaited { markDirty(record.group) }
    }
}

extension GroupRecord {
    /// Some name has not been answered for yet: what the group lacks may be there in a moment.
    var awaitsNames: Bool { unresolved.contains { $0.health.awaitsName } }
}
