extension Configuration {
    /// Groups that go by the health of another one: it must be there, not go by this one in turn, and have a target at the
    /// host of each of theirs.
    func trackingErrors() -> [ConfigError] {
        guard targetGroups.contains(where: { $0.trackedGroup != nil }) else { return [] }
        let known = Dictionary(targetGroups.map { ($0.id, $0) }) { first, _ in first }
        var errors: [ConfigError] = []
        for (index, group) in targetGroups.enumerated() {
            guard let tracked = group.trackedGroup else { continue }
            let path = "target_groups[\(index)].track_health"
            guard let other = known[tracked] else {
                errors.append(
                    ConfigError(
                        code: .unknownName, path: path, problem: "no target group is called '\(tracked)'",
                        fix: Suggestion.fix(
                            for: tracked, among: targetGroups.compactMap(\.name).filter { $0 != group.id },
                            noneKnown: "there is no other one")))
                continue
            }
            if let circle = circle(from: group, in: known) {
                errors.append(
                    ConfigError(
                        code: .conflict, path: path,
                        problem: "nobody would check these targets: \(circle.joined(separator: " goes by "))",
                        fix: "give one of these groups a health_check instead"))
                continue
            }
            let partners = Partners(other.targets)
            for (place, target) in group.targets.enumerated() where !partners.hasPartner(of: target.address) {
                errors.append(
                    ConfigError(
                        code: .conflict, path: "target_groups[\(index)].targets[\(place)]",
                        problem: "'\(tracked)' has no target, or several, at the host of \(target.address)",
                        fix: "add one there, or check this group by itself", related: path))
            }
        }
        return errors
    }

    /// The groups on the way from `start` back to it; `nil` when the way ends elsewhere.
    private func circle(from start: TargetGroup, in known: [String: TargetGroup]) -> [String]? {
        var way = [start.id]
        var current = start.trackedGroup
        while let id = current, way.count <= known.count {
            way.append(id)
            if id == start.id { return way }
            current = known[id]?.trackedGroup
        }
        return nil
    }
}

/// Finds the target that tells how another one is: the one with the same address, else the only one at the same host.
struct Partners {
    private var addresses: Set<TargetAddress> = []
    private var countAtHost: [TargetAddress: Int] = [:]

    init(_ targets: [Target]) {
        for target in targets {
            addresses.insert(target.address)
            if let host = target.address.atAnyPort { countAtHost[host, default: 0] += 1 }
        }
    }

    func hasPartner(of address: TargetAddress) -> Bool {
        if addresses.contains(address) { return true }
        return address.atAnyPort.map { countAtHost[$0] == 1 } ?? false
    }
}

extension TargetAddress {
    /// The host alone, as port 0; `nil` for a path.
    fileprivate var atAnyPort: TargetAddress? {
        switch self {
        case .ip(let ip, _): .ip(ip, port: 0)
        case .name(let name, _): .name(name, port: 0)
        case .unix: nil
        }
    }
}
