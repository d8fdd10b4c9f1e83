extension HealthChecks {
    /// - Returns: errors with paths relative to the group.
    func validate(targets: [Target], isSecureGroup: Bool, version: TargetGroup.HTTPVersion) -> [ConfigError] {
        var errors: [ConfigError] = []
        for (index, part) in parts.enumerated() {
            let path = parts.count == 1 ? "health_check" : "health_checks.checks[\(index)]"
            errors += part.check.validateKind(targets: targets).map { $0.under(path) }
            errors += part.check.validate(targets: targets).map { $0.under(path) }
            if !part.check.kind.votes, part.weight != 1 {
                errors.append(
                    ConfigError(
                        code: .conflict, path: "\(path).weight",
                        problem: "an agent has no vote: its 'down' takes the target down, whatever the others say",
                        fix: "remove 'weight'"))
            }
            if case .http(let probe) = part.check.kind, probe.reusesConnection, version == .http2 {
                errors.append(
                    ConfigError(
                        code: .conflict, path: "\(path).reuse_connection",
                        problem: "in a group of version http2 each probe opens a connection",
                        fix: "remove 'reuse_connection'"))
            }
            if part.check.kind.isSecure, !isSecureGroup {
                errors.append(
                    ConfigError(
                        code: .conflict, path: "\(path).\(part.check.kind.isScript ? "tls" : "protocol")",
                        problem: "a check over TLS goes by the TLS settings of its group, and this group speaks HTTP",
                        fix: "write 'protocol: HTTPS' for the group, or check with HTTP or TCP"))
            }
            if let earlier = parts.prefix(index).firstIndex(where: { $0.check == part.check }) {
                errors.append(
                    ConfigError(
                        code: .duplicate, path: path, problem: "this check is there twice",
                        fix: "list it once; a weight makes it count for more",
                        related: "health_checks.checks[\(earlier)]"))
            }
        }
        let whole = weightInAll
        if case .weight(let weight) = need, weight > whole {
            errors.append(
                ConfigError(
                    code: .outOfRange, path: "health_checks.need",
                    problem: "the checks weigh \(whole) in all, so \(weight) is never reached",
                    fix: "need \(whole) or less, or write 'need: all'"))
        }
        return errors
    }
}

extension HealthCheck {
    func validate(targets: [Target]) -> [ConfigError] {
        var errors: [ConfigError] = []
        if timeout > interval {
            errors.append(
                ConfigError(
                    code: .conflict, path: "timeout",
                    problem: "the timeout \(timeout) is longer than the interval \(interval)",
                    fix: "lower timeout or raise interval", related: "interval"))
        }
        if edgeInterval > interval {
            errors.append(
                ConfigError(
                    code: .conflict, path: "edge_interval",
                    problem: "the edge interval \(edgeInterval) is longer than the interval \(interval)",
                    fix: "lower edge_interval, or set it to \(interval)", related: "interval"))
        }
        if let idleInterval, idleInterval < interval {
            errors.append(
                ConfigError(
                    code: .conflict, path: "idle_interval",
                    problem: "the interval without requests, \(idleInterval), is shorter than the interval \(interval)",
                    fix: "raise idle_interval, or leave it out", related: "interval"))
        }
        if port != nil || address != nil, let index = targets.firstIndex(where: \.address.isUnix) {
            errors.append(
                ConfigError(
                    code: .conflict, path: port != nil ? "port" : "address",
                    problem: port != nil
                        ? "\(targets[index].address) has no port that could be probed instead"
                        : "\(targets[index].address) has no port that could be probed elsewhere",
                    fix: "remove the \(port != nil ? "port" : "address"), or give the unix sockets a group of their own"
                ))
        }
        return errors
    }
}
