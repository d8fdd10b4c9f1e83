import PoiseHealth
import PoiseModel
import PoiseTelemetry

extension Daemon {
    /// A target in all groups that have it, with its history.
    ///
    /// - Parameters:
    ///   - target: as status shows it; a name without an address too.
    ///   - group: by name or id; `nil` for all of them.
    /// - Throws: when no group has it.
    func details(ofTarget target: String, group: String?) throws(ConfigError) -> [TargetDetail] {
        let all = configuration?.targetGroups ?? []
        if group == nil, let (group, target) = parts(of: target, among: all) {
            return try details(ofTarget: target, group: group)
        }
        let groups = all.filter { group == nil || $0.displayName == group || $0.id == group }
        let records = groups.compactMap { engine.groups[$0.id] }
        if records.isEmpty, let group {
            let known = all.map(\.displayName)
            throw ConfigError(
                code: .unknownName, path: "group", problem: "there is no target group '\(group)'",
                fix: Suggestion.fix(for: group, among: known, noneKnown: "there is none"))
        }
        let found = records.flatMap { record in
            // Of a name, all of its addresses.
            (engine.targets(called: target, in: record) + record.unresolved.filter { $0.label == target })
                .map { detail($0, record) }
        }
        guard found.isEmpty else { return found }
        let known = Set(records.flatMap { ($0.targets + $0.unresolved).map(\.label) }).sorted()
        throw ConfigError(
            code: .unknownName, path: "target",
            problem: "no target is called '\(target)'\(group.map { " in the group '\($0)'" } ?? "")",
            fix: Suggestion.fix(for: target, among: known, noneKnown: "there is none"))
    }

    /// `GROUP/TARGET` in one. Both may have slashes in them, such as `shop/thumbs` and `unix:/run/app.sock`, so the groups that
    /// there are tell; where none fits, what stands before the first slash was meant to be one, if it can be.
    ///
    /// - Returns: `nil` for a target alone.
    private func parts(of text: String, among groups: [TargetGroup]) -> (group: String, target: String)? {
        let named = groups.map(\.displayName).filter { text.hasPrefix($0 + "/") }
        if let group = named.max(by: { $0.utf8.count < $1.utf8.count }) {
            return (group, String(text.dropFirst(group.count + 1)))
        }
        guard let slash = text.firstIndex(of: "/"), Identity.isName(String(text[..<slash])) else { return nil }
        return (String(text[..<slash]), String(text[text.index(after: slash)...]))
    }

    private func detail(_ target: TargetRecord, _ group: GroupRecord) -> TargetDetail {
        let status = target.health.status
        let wall = WallClock.nanoseconds(of: loop.now)
        let time = { (moment: MonotonicTime) in wall - (self.loop.now - moment).count }
        var detail = TargetDetail(
            group: group.settings.displayName, target: target.label, state: status.state, reason: status.reason,
            since: time(status.since), age: loop.now - status.since,
            weight: target.operatorWeight ?? target.settings?.weight ?? 0, isUsable: target.isUsable,
            transitions: target.transitions)
        detail.isBackup = target.isBackup
        detail.agent = AgentFacts(target)
        if let index = group.targets.firstIndex(where: { $0 === target }) {
            detail.effectiveWeight = Int(group.published.weights[index])
        }
        detail.isWeightOverridden = target.operatorWeight != nil
        detail.ejectedFor = target.passive.ejectedUntil.map { max(.zero, $0 - loop.now) }
        detail.drainsFor = target.drain.deadline.map { max(.zero, $0 - loop.now) }
        detail.follows = target.leader.map {
            TargetDetail.Leader(group: $0.group.settings.displayName, target: $0.label)
        }
        for check in target.checks {
            var facts = TargetDetail.Check(check.spec.check)
            facts.lastResult = check.lastResult?.evidence
            facts.lastAge = check.lastResult.map { loop.now - $0.startedAt }
            facts.nextIn = check.state.nextProbe.map { max(.zero, $0 - loop.now) }
            detail.checks.append(facts)
        }
        detail.history = (0..<target.history.count).map { index in
            let entry = target.history[index]
            return TargetDetail.Change(
                time: time(entry.status.since), age: loop.now - entry.status.since, from: entry.previousState,
                fromReason: entry.previousReason, to: entry.status.state, reason: entry.status.reason,
                evidence: entry.evidence.text)
        }
        return detail
    }
}
