import PoiseHealth
import PoiseLive
import PoiseModel
import PoiseProxy

/// Active checks of a target: one, or several that are taken together.
extension HealthEngine {
    /// The checks of a new target, in the order of its group's settings.
    func newChecks(
        of target: CompiledTarget, in group: GroupRecord, arrival: ActiveCheck.Arrival, at now: MonotonicTime
    ) -> [CheckRecord] {
        group.settings.healthChecks.parts.map { part in
            checks.check(ProbeSpec(part.check, of: target, in: group.compiled)) {
                ActiveCheck(policy: ProbePolicy(part.check), arrival: arrival, at: now)
            }
        }
    }

    /// - Returns: `nil` without checks.
    static func verdict(of checks: [CheckRecord], in group: GroupRecord) -> ActiveCheck.Verdict? {
        // Most groups have one, and then nothing is to be combined.
        guard checks.count > 1 else { return checks.first?.state.verdict }
        let settings = group.settings.healthChecks
        let agents = checks.filter { !$0.spec.check.kind.votes }.map { ($0.state.verdict, 1) }
        guard agents.count < checks.count else { return CombinedChecks.verdict(of: agents, need: agents.count) }
        // An agent's word is no vote: whatever the others say, a target whose agent calls it down is down.
        for (verdict, _) in agents { if case .unhealthy = verdict { return verdict } }
        let votes = zip(checks, settings.parts).filter { $0.0.spec.check.kind.votes }
        return CombinedChecks.verdict(
            of: votes.map { ($0.state.verdict, $1.weight) }, need: settings.weightNeeded)
    }

    /// The group's checks may have changed: what is known of the target is kept, the next results are of the new ones.
    func recheck(_ target: TargetRecord, at now: MonotonicTime) {
        guard let compiled = target.compiled, target.group.settings.trackedGroup == nil else {
            checks.release(target)
            return
        }
        let old = target.checks
        let parts = target.group.settings.healthChecks.parts
        let specs = parts.map { ProbeSpec($0.check, of: compiled, in: target.group.compiled) }
        // A check that is new beside others must not vouch for a target that nobody vouches for.
        let isTrusted = target.health.isUsable
        let new = zip(specs, parts).enumerated().map { index, new in
            let (spec, part) = new
            if let kept = old.first(where: { $0.spec == spec }) { return kept }
            let policy = ProbePolicy(part.check)
            var inherited: CheckRecord.Basis?
            let check = checks.check(spec) {
                guard old.indices.contains(index), !specs.contains(old[index].spec) else {
                    return isTrusted || old.isEmpty
                        ? ActiveCheck(healthyWith: policy, at: now)
                        : ActiveCheck(policy: policy, arrival: .joining, at: now)
                }
                // In its place: it knows what the other one knew.
                var state = old[index].state
                if state.nextProbe == nil { state.probeAbandoned(at: now) }
                state.policyChanged(to: policy, at: now)
                inherited = old[index].basis
                return state
            }
            if let inherited { check.basis = inherited }
            return check
        }
        checks.use(new, by: target)
        heedFlags(of: target, at: now)
        note(
            target.health.checked(Self.verdict(of: new, in: target.group), at: now), target, at: now,
            evidence: .configuration)
    }

    /// The verdicts of checks that did not run are of another time. Before the target is put back.
    ///
    /// - Parameter takesTraffic: until the first result: the target comes back with its whole group.
    func askAnew(_ target: TargetRecord, takesTraffic: Bool, at now: MonotonicTime, evidence: Evidence) {
        guard !target.checks.isEmpty else { return }
        for check in target.checks where !check.isRunning { check.state.resumed(takesTraffic: takesTraffic, at: now) }
        note(
            target.health.checked(Self.verdict(of: target.checks, in: target.group), at: now), target, at: now,
            evidence: evidence)
    }

    /// A probe has a result. The next one is due at `check.state.nextProbe` then.
    func probeEnded(_ check: CheckRecord, _ result: ProbeResult, at now: MonotonicTime) {
        let changed: Bool
        let result = heeding(result, of: check, at: now)
        switch result.outcome {
        case .learntNothing: changed = check.state.probeLearntNothing(at: now, random: random())
        case .succeeded: changed = check.state.probeSucceeded(at: now, random: random())
        case .failed(let reason): changed = check.state.probeFailed(reason, at: now, random: random())
        case .abandoned:
            check.state.probeAbandoned(at: now)
            return
        }
        check.lastResult = result
        check.noteBasis(result, changed: changed)
        noteFile(result, of: check)
        let succeeded = result.outcome == .succeeded
        let threshold = check.state.policy.healthyThreshold
        // One check's successes count, or two would count for twice as many probes; and none of a check that one result
        // decides: a file that is not there says nothing of what traffic met.
        for target in check.users
        where check.spec.check.kind.votes && result.outcome != .learntNothing
            && (!succeeded || target.checks.first { $0.spec.check.kind.endsEjections } === check)
            && target.passive.probed(succeeded: succeeded, threshold: threshold, at: now)
        {
            let evidence = Evidence(result, of: target.checks.count > 1 ? check.name : nil)
            note(target.health.returned(at: now), target, at: now, evidence: evidence)
        }
        if !check.spec.check.kind.votes {
            for target in check.users {
                let evidence = Evidence(result, of: target.checks.count > 1 ? check.name : nil)
                heedAgents(of: target, at: now, evidence: evidence)
            }
        }
        guard changed else { return }
        for target in check.users {
            heedFlags(of: target, at: now)
            let verdict = Self.verdict(of: target.checks, in: target.group)
            let evidence = Evidence(result, of: target.checks.count > 1 ? check.name : nil)
            note(target.health.checked(verdict, at: now), target, at: now, evidence: evidence)
        }
    }

    // MARK: Without requests

    /// Sees whether requests came, for those that ``watchForIdleness(_:at:)`` asks about.
    func countRequests(of group: GroupRecord, at now: MonotonicTime) {
        let requests = group.compiled.counters.sum(GroupCounter.requests)
        if requests != group.seenRequests { (group.seenRequests, group.lastRequestAt) = (requests, now) }
    }

    /// A group is idle when no request came for an interval of the check; a check, when all groups that go by it are.
    func watchForIdleness(_ group: GroupRecord, at now: MonotonicTime) {
        for target in group.targets {
            for check in target.checks where check.spec.check.idleInterval != nil {
                let isIdle = check.users.allSatisfy { hasNoRequests(from: $0, for: check.spec.check.interval, at: now) }
                if check.state.idleChanged(to: isIdle, at: now, random: random()) { checks.hurry(check) }
            }
        }
    }

    /// Neither its group nor one that goes by its health, over however many others, had a request for so long.
    private func hasNoRequests(from target: TargetRecord, for time: Nanoseconds, at now: MonotonicTime) -> Bool {
        now - target.group.lastRequestAt >= time
            && target.followers.allSatisfy { hasNoRequests(from: $0, for: time, at: now) }
    }
}

extension HealthCheck.Kind {
    /// Its successes, counted, say that a target that traffic had taken out can work again.
    fileprivate var endsEjections: Bool { votes && countsSuccesses }
}
