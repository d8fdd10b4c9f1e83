import PoiseHealth
import PoiseModel
import PoisePlatform

/// Groups that go by the health of another one: each target follows the one at the same address, else the only one at
/// the same host.
extension HealthEngine {
    /// Before targets come and go: what happens to a target that leaves is nothing to those that followed it.
    func unlinkFollowers() {
        guard hasFollowers else { return }
        for group in groups.values { for target in group.targets { (target.followers, target.leader) = ([], nil) } }
    }

    /// Anew for every snapshot, once its groups are in ``groups``, and followers are told how things are.
    func linkFollowers(at now: MonotonicTime) {
        let hadFollowers = hasFollowers
        hasFollowers = false
        var leaders: [String: Leaders] = [:]
        // These are told here what they follow: nobody, or a target that follows nobody itself.
        var alone: [TargetRecord] = []
        var first: [TargetRecord] = []
        for group in groups.values {
            guard let id = group.settings.trackedGroup, let tracked = groups[id] else {
                first += group.targets
                continue
            }
            hasFollowers = true
            if leaders[id] == nil { leaders[id] = Leaders(tracked.targets) }
            for target in group.targets {
                if let address = target.compiled?.address, let leader = leaders[id]?.leader(of: address) {
                    leader.followers.append(target)
                    target.leader = leader
                } else {
                    alone.append(target)
                }
            }
        }
        guard hasFollowers || hadFollowers else { return }
        // Of a group that followed another one until now, what that one wanted is over.
        for target in first {
            note(target.health.paused(target.agentWord?.pause, at: now), target, at: now, evidence: .configuration)
        }
        for target in first where !target.followers.isEmpty {
            tellFollowers(of: target, at: now, evidence: .configuration)
        }
        for target in alone {
            let change = target.health.follows(nil, at: now)
            note(change, target, at: now, evidence: .configuration)
            if change == nil { tellFollowers(of: target, at: now, evidence: .configuration) }
        }
    }

    /// What a follower is told, it tells its own.
    func tellFollowers(of target: TargetRecord, at now: MonotonicTime, evidence: Evidence) {
        for follower in target.followers {
            let wasTried = follower.health.takesFailOpen
            let change = follower.health.follows(target.health, at: now)
            if follower.health.takesFailOpen != wasTried { markDirty(follower.group) }
            note(change, follower, at: now, evidence: evidence)
            if change == nil, !follower.followers.isEmpty { tellFollowers(of: follower, at: now, evidence: evidence) }
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
