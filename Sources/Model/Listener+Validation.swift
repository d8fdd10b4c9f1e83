extension Listener {
    /// - Parameter groups: every ``TargetGroup/id``; `groupNames` are those that can be written.
    /// - Returns: errors with paths relative to the listener.
    func validate(groups: Set<String>, groupNames: [String]) -> [ConfigError] {
        var errors: [ConfigError] = []
        if addresses.isEmpty {
            errors.append(
                ConfigError(
                    code: .missing, path: "address", problem: "the listener has no address",
                    fix: "add address: \":8080\""))
        }
        if rules.isEmpty, defaultAction == nil {
            errors.append(
                ConfigError(
                    code: .missing,
                    problem: "the listener has neither rules nor a default action, so all it can say is 404",
                    fix: "add 'forward: [127.0.0.1:7001]', rules, or a fixed_response"))
        }
        errors += duplicateRules()
        for (index, rule) in rules.enumerated() {
            errors += rule.action.validate(groups: groups, groupNames: groupNames).map { $0.under("rules[\(index)]") }
        }
        errors += (defaultAction?.validate(groups: groups, groupNames: groupNames) ?? []).map { $0.under("default") }
        if upgrades.contains("h2c") {
            errors.append(
                ConfigError(
                    code: .invalid, path: "upgrades",
                    problem: "'h2c' may not be upgraded to: it hides requests from the rules",
                    fix: "remove it"))
        }
        if limits.uriBytesMax > limits.headBytesMax {
            errors.append(
                ConfigError(
                    code: .conflict, path: "limits.max_uri_size",
                    problem: "a URI of \(limits.uriBytesMax) bytes does not fit a head of \(limits.headBytesMax)",
                    fix: "lower max_uri_size or raise max_head_size", related: "limits.max_head_size"))
        }
        return errors + tlsErrors()
    }

    private func tlsErrors() -> [ConfigError] {
        switch (protocolKind, tls) {
        case (.http, nil): return []
        case (.http, _?):
            return [
                ConfigError(
                    code: .conflict, path: "tls", problem: "a listener of protocol HTTP speaks no TLS",
                    fix: "write 'protocol: HTTPS', or remove 'tls'")
            ]
        case (.https, let tls): return (tls ?? ListenerTLS(certificates: [])).validate().map { $0.under("tls") }
        }
    }

    private func duplicateRules() -> [ConfigError] {
        var errors: [ConfigError] = []
        var names: [String: Int] = [:]
        var conditions: [String: Int] = [:]
        for (index, rule) in rules.enumerated() {
            if let name = rule.name, let earlier = names.updateValue(index, forKey: name) {
                errors.append(
                    ConfigError(
                        code: .duplicate, path: "rules[\(index)].name",
                        problem: "a second rule of this listener is called '\(name)'", fix: "give it another name",
                        related: "rules[\(earlier)].name"))
            }
            let canonical = Identity.canonical(rule.conditions)
            if let earlier = conditions[canonical] {
                errors.append(
                    ConfigError(
                        code: .unreachable, path: "rules[\(index)]",
                        problem: "an earlier rule has the same conditions, so this one is never reached",
                        fix: "remove one of the two, or change a condition", related: "rules[\(earlier)]"))
            } else {
                conditions[canonical] = index
            }
        }
        return errors
    }

    /// Rules behind one that always matches, shares of nothing, promises that no browser takes.
    func warnings() -> [ConfigError] {
        unreachableRules() + emptyShares() + (tls?.warnings().map { $0.under("tls") } ?? [])
    }

    private func emptyShares() -> [ConfigError] {
        let actions =
            rules.indices.map { ("rules[\($0)]", rules[$0].action) } + (defaultAction.map { [("default", $0)] } ?? [])
        return actions.compactMap { path, action in
            guard case .forward(let forward) = action, forward.shares.allSatisfy({ $0.weight == 0 }) else { return nil }
            return ConfigError(
                code: .unused, path: "\(path).forward",
                problem: "every group has weight 0, so each request is answered with 503",
                fix: "give one of them a weight from 1 to 999")
        }
    }

    private func unreachableRules() -> [ConfigError] {
        guard let last = rules.firstIndex(where: \.alwaysMatches) else { return [] }
        // A rule with the very same conditions is an error already.
        let canonical = Identity.canonical(rules[last].conditions)
        return rules.indices.dropFirst(last + 1).filter { Identity.canonical(rules[$0].conditions) != canonical }.map {
            ConfigError(
                code: .unreachable, path: "rules[\($0)]",
                problem: "an earlier rule matches every request, so this one is never reached",
                fix: "move it before that rule", related: "rules[\(last)]")
        }
    }
}

extension Rule {
    /// No condition, or only conditions with a pattern that everything matches. Paths always start with a slash.
    var alwaysMatches: Bool {
        conditions.allSatisfy { condition in
            switch condition {
            case .host(let globs): globs.contains { $0.pattern == "*" }
            case .path(let globs): globs.contains { $0.pattern == "*" || $0.pattern == "/*" }
            }
        }
    }
}

extension Action {
    func validate(groups: Set<String>, groupNames: [String]) -> [ConfigError] {
        switch self {
        case .forward(let forward): forward.validate(groups: groups, groupNames: groupNames).map { $0.under("forward") }
        case .redirect(let redirect): redirect.validate().map { $0.under("redirect") }
        case .fixedResponse(let response): response.validate().map { $0.under("fixed_response") }
        }
    }
}

extension Forward {
    func validate(groups: Set<String>, groupNames: [String]) -> [ConfigError] {
        var errors: [ConfigError] = []
        if shares.isEmpty {
            errors.append(
                ConfigError(code: .missing, problem: "there is no group to forward to", fix: "name a target group"))
        }
        var seen: [String: Int] = [:]
        for (index, share) in shares.enumerated() {
            if !groups.contains(share.group) {
                errors.append(
                    ConfigError(
                        code: .unknownName, path: "groups[\(index)]",
                        problem: "no target group is called '\(share.group)'",
                        fix: Suggestion.fix(for: share.group, among: groupNames, noneKnown: "add it to target_groups")))
            }
            if let earlier = seen.updateValue(index, forKey: share.group) {
                errors.append(
                    ConfigError(
                        code: .duplicate, path: "groups[\(index)]", problem: "'\(share.group)' is named twice",
                        fix: "name it once, with one weight", related: "groups[\(earlier)]"))
            }
        }
        return errors
    }
}

extension Redirect {
    func validate() -> [ConfigError] {
        var errors: [ConfigError] = []
        if ![301, 302, 303, 307, 308].contains(status) {
            errors.append(
                ConfigError(
                    code: .outOfRange, path: "status", problem: "\(status) is not a redirect that a client follows",
                    fix: "use 301, 302, 303, 307 or 308"))
        }
        let keeps: [(String?, String)] = [
            (scheme, "#{protocol}"), (host, "#{host}"), (port, "#{port}"), (path, "/#{path}"), (query, "#{query}"),
        ]
        if keeps.allSatisfy({ $0 == nil || $0 == $1 }) {
            errors.append(
                ConfigError(
                    code: .conflict, problem: "the redirect leads back to the same address, for ever",
                    fix: "change one of scheme, host, port, path, query"))
        }
        return errors
    }
}

extension FixedResponse {
    func validate() -> [ConfigError] {
        guard status == 204 || status == 304, !body.isEmpty else { return [] }
        return [
            ConfigError(
                code: .conflict, path: "body", problem: "an answer with status \(status) has no body (RFC 9110 §15)",
                fix: "remove the body, or use status 200", related: "status")
        ]
    }
}
