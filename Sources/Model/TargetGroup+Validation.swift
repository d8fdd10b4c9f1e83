extension TargetGroup {
    /// Addresses of one group: they are numbered with 16 bits.
    public static let targetsMax = 65_535

    /// - Parameter count: addresses of the group, more than ``targetsMax``.
    public func tooManyTargets(_ count: Int) -> ConfigError {
        ConfigError(
            code: .outOfRange, path: "targets", problem: "the group '\(id)' has \(count) addresses",
            fix: "a group may have \(Self.targetsMax): divide it")
    }

    /// - Returns: errors with paths relative to the group.
    func validate() -> [ConfigError] {
        var errors: [ConfigError] = []
        if targets.isEmpty {
            errors.append(
                ConfigError(
                    code: .missing, path: "targets",
                    problem: name.map { "the target group '\($0)' has no targets" } ?? "the list of targets is empty",
                    fix: "add one: targets: [127.0.0.1:7001]"))
        } else if targets.allSatisfy(\.isBackup) {
            errors.append(
                ConfigError(
                    code: .conflict, path: "targets",
                    problem: "every target of \(name.map { "'\($0)'" } ?? "the list") is a backup",
                    fix: "remove 'backup: true' from the targets that take the ordinary traffic"))
        }
        if targets.count > Self.targetsMax { errors.append(tooManyTargets(targets.count)) }
        var seen: [TargetAddress: Int] = [:]
        for (index, target) in targets.enumerated() {
            if let earlier = seen.updateValue(index, forKey: target.address) {
                errors.append(
                    ConfigError(
                        code: .duplicate, path: "targets[\(index)]",
                        problem: "\(target.address) is in this group twice",
                        fix: "list it once; a weight gives it a greater share", related: "targets[\(earlier)]"))
            }
        }
        if algorithm == .hash, algorithmOptions.key.isEmpty {
            errors.append(
                ConfigError(
                    code: .missing, path: "algorithm.key", problem: "hash needs to be told what it goes by",
                    fix: "add a key: { type: hash, key: [header:X-User] }; for the client's address, 'source_hash'"))
        }
        if algorithm == .first, limits.connectionsMax == nil {
            errors.append(
                ConfigError(
                    code: .conflict, path: "algorithm",
                    problem: "first fills a target up to its limit, and without one the first would take everything",
                    fix: "say when the next one is due: limits: { max_connections: 100 }"))
        }
        if mitigatesAnomalies, !algorithm.followsWeights {
            errors.append(
                ConfigError(
                    code: .conflict, path: "anomaly_mitigation",
                    problem: "\(algorithm.rawValue) does not go by weights, so an anomalous target cannot get less",
                    fix: "use another algorithm, such as weighted_random, or write 'anomaly_mitigation: off'",
                    related: "algorithm"))
        }
        errors += (tls?.validate(targets: targets) ?? []).map { $0.under("tls") }
        errors += healthChecks.validate(targets: targets, isSecureGroup: tls != nil, version: version)
        errors += validateProxyProtocol()
        errors += passive.validate().map { $0.under("passive_checks") }
        errors += (sorryResponse?.validate() ?? []).map { $0.under("sorry_response") }
        return errors
    }
}

extension PassiveChecks {
    func validate() -> [ConfigError] {
        guard ejectionTime > ejectionTimeMax else { return [] }
        return [
            ConfigError(
                code: .conflict, path: "ejection_time",
                problem: "the first ejection of \(ejectionTime) is longer than the longest of \(ejectionTimeMax)",
                fix: "lower ejection_time or raise max_ejection_time", related: "max_ejection_time")
        ]
    }
}

extension TargetAddress {
    /// A path in the file system, without a port.
    public var isUnix: Bool {
        if case .unix = self { true } else { false }
    }
}
