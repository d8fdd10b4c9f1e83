import PoiseHealth
import PoiseModel
import PoisePlatform

/// Groups that go by the health of another one: each target follows the one at the same address, else the only one at
/// the same host.
extension HealthEngine {
    /// Anew for every snapshot: targets come and go on both sides.
    func linkFollowers(at now: MonotonicTime) {
        for group in groups.values { for target in group.targets { target.followers = [] } }
        hasFollowers = false
        var leaders: [String: Leaders] = [:]
        for group in groups.values {
            guard let id = group.settings.trackedGroup, let tracked = groups[id] else { continue }
            hasFollowers = true
            if leaders[id] == nil { leaders[id] = Leaders(tracked.targets) }
            for target in group.targets {
                guard let address = target.compiled?.address, let leader = leaders[id]?.leader(of: address) else {
                    continue
                }
                leader.followers.append(target)
            }
        }
        guard hasFollowers else { return }
        for group in groups.values where group.settings.trackedGroup == nil {
            for target in group.targets where !target.followers.isEmpty { tellFollowers(of: target, at: now) }
        }
    }

    /// What a follower is told, it tells its own.
    func tellFollowers(of target: TargetRecord, at now: MonotonicTime, evidence: Evidence = .none) {
        let verdict = Self.word(of: target.health)
        for follower in target.followers {
            let change = follower.health.checked(verdict, at: now)
            note(change, follower, at: now, evidence: evidence)
            if change == nil, !follower.followers.isEmpty { tellFollowers(of: follower, at: now, evidence: evidence) }
        }
    }

    /// An ejected target is dead for its followers too: it is the same machine. So is one that an operator takes out for
    /// maintenance, as with HAProxy's `track`.
    private static func word(of health: TargetHealth) -> ActiveCheck.Verdict {
        switch health.status.state {
        case .healthy: .healthy
        case .initial: .initial(takesTraffic: health.isUsable)
        case .unhealthy, .draining, .unused: .unhealthy(health.status.reason)
        }
    }

    private struct Leaders {
        private var byAddress: [SocketAddress: TargetRecord] = [:]
        /// `nil` behind a key: several.
        private var byHost: [IPAddress: TargetRecord?] = [:]

        init(_ targets: [TargetRecord]) {
            for target in targets {
                guard let address = target.compiled?.address else { continue }
                byAddress[address] = target
                guard case .ip(let ip, _) = address else { continue }
                byHost[ip] = byHost[ip] == nil ? .some(target) : .some(nil)
            }
        }

        func leader(of address: SocketAddress) -> TargetRecord? {
            if let same = byAddress[address] { return same }
            guard case .ip(let ip, _) = address else { return nil }
            return byHost[ip] ?? nil
        }
    }
}
