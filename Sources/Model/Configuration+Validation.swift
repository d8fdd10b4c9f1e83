extension Configuration {
    /// Everything that is wrong between the parts of a configuration, all at once.
    ///
    /// What is wrong within one setting (its type, its range) is refused where it is read; this finds what only shows
    /// when values stand beside each other. Paths use the names of a file: `listeners[0].rules[2].forward`.
    ///
    /// - Returns: empty when the configuration may be applied.
    /// - Cost: linear in listeners, rules, groups and targets, but for addresses of listeners (quadratic).
    public func validate() -> [ConfigError] {
        var errors: [ConfigError] = []
        if listeners.isEmpty {
            errors.append(
                ConfigError(
                    code: .missing, path: "listeners", problem: "there is no listener",
                    fix: "add one: 'listeners: [{ address: \":8080\", forward: [127.0.0.1:7001] }]'"))
        }
        errors += duplicates(loadBalancers.map { ($0.name, $0.name) }, in: "load_balancers", noun: "load balancer")
        errors += duplicates(listeners.map { ($0.id, $0.name) }, in: "listeners", noun: "listener")
        errors += duplicates(targetGroups.map { ($0.id, $0.name) }, in: "target_groups", noun: "target group")
        errors += addressCollisions()
        let groups = Set(targetGroups.map(\.id))
        let names = targetGroups.compactMap(\.name)
        let balancers = Set(loadBalancers.map(\.name))
        for (index, listener) in listeners.enumerated() {
            let here = "listeners[\(index)]"
            if !balancers.contains(listener.loadBalancer) {
                errors.append(
                    ConfigError(
                        code: .unknownName, path: "\(here).load_balancer",
                        problem: "no load balancer is called '\(listener.loadBalancer)'",
                        fix: Suggestion.fix(
                            for: listener.loadBalancer, among: loadBalancers.map(\.name), noneKnown: "add one")))
            }
            errors += listener.validate(groups: groups, groupNames: names).map { $0.under(here) }
        }
        for (index, group) in targetGroups.enumerated() {
            errors += (group.validate() + placeErrors(ofGroup: index)).map { $0.under("target_groups[\(index)]") }
        }
        errors += trackingErrors()
        errors += validateHooks()
        return errors
    }

    /// What may be applied and is still hardly meant: rules that nothing reaches, groups that nothing uses.
    public func warnings() -> [ConfigError] {
        var warnings: [ConfigError] = []
        for (index, listener) in listeners.enumerated() {
            warnings += listener.warnings().map { $0.under("listeners[\(index)]") }
        }
        let used = usedGroups().union(targetGroups.compactMap(\.trackedGroup))
        for (index, group) in targetGroups.enumerated() {
            let own = placeWarnings(ofGroup: index) + group.effectWarnings(ownZone: process.zone)
            warnings += own.map { $0.under("target_groups[\(index)]") }
            if !used.contains(group.id) {
                warnings.append(
                    ConfigError(
                        code: .unused, path: "target_groups[\(index)]",
                        problem: "no rule forwards to the target group '\(group.id)'",
                        fix: "forward to it, or remove it"))
            }
            if !group.targets.isEmpty, group.targets.allSatisfy({ $0.weight == 0 }) {
                warnings.append(
                    ConfigError(
                        code: .unused, path: "target_groups[\(index)].targets",
                        problem: "every target of '\(group.id)' has weight 0, so none takes a request",
                        fix: "give one of them a weight from 1 to 256"))
            }
        }
        return warnings + hookWarnings() + idleHookWarnings() + proxyFieldWarnings()
    }

    private func duplicates(_ ids: [(id: String, name: String?)], in path: String, noun: String) -> [ConfigError] {
        var first: [String: Int] = [:]
        var errors: [ConfigError] = []
        for (index, entry) in ids.enumerated() {
            guard let earlier = first[entry.id] else {
                first[entry.id] = index
                continue
            }
            // Two listeners without a name and with the same addresses are reported for their addresses.
            guard entry.name != nil else { continue }
            errors.append(
                ConfigError(
                    code: .duplicate, path: "\(path)[\(index)].name",
                    problem: "a second \(noun) is called '\(entry.id)'", fix: "give it another name",
                    related: "\(path)[\(earlier)].name"))
        }
        return errors
    }

    private func addressCollisions() -> [ConfigError] {
        var seen: [(address: ListenAddress, listener: Int, path: String)] = []
        var errors: [ConfigError] = []
        for (index, listener) in listeners.enumerated() {
            for (part, address) in listener.addresses.enumerated() {
                let path = "listeners[\(index)].address[\(part)]"
                if let earlier = seen.first(where: { $0.address.collides(with: address) }) {
                    let problem =
                        if earlier.address == address {
                            "\(address) is listened on twice"
                        } else if earlier.address.includes(address) {
                            "\(address) is already part of \(earlier.address)"
                        } else {
                            "\(address) includes \(earlier.address), which is listened on already"
                        }
                    errors.append(
                        ConfigError(
                            code: .duplicate, path: path, problem: problem,
                            fix: earlier.listener == index
                                ? "remove one of the two, or use another port"
                                : "use another port, or put the rules of both listeners into one",
                            related: earlier.path))
                }
                seen.append((address, index, path))
            }
        }
        if let metrics = process.metricsAddress, let earlier = seen.first(where: { $0.address.collides(with: metrics) })
        {
            let problem =
                earlier.address == metrics
                ? "\(metrics) is the address of a listener"
                : "\(metrics) is in the way of a listener on \(earlier.address)"
            errors.append(
                ConfigError(
                    code: .duplicate, path: "process.admin.metrics", problem: problem, fix: "use another port",
                    related: earlier.path))
        }
        return errors
    }
}

extension ConfigError.Code {
    /// Of warnings only: it has no effect.
    public static let unused = Self(name: "unused")
    /// Nothing can ever reach it.
    public static let unreachable = Self(name: "unreachable")
}
