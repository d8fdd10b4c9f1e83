import PoiseModel
import PoiseYAML

/// Rules that several listeners name.
struct RuleSet {
    var rules: [YAMLNode]
    var range: SourceRange
    var isUsed = false
}

extension Loading {
    /// Builds the configuration from what the files say, and checks it as a whole.
    ///
    /// Parts that cannot be read are kept as placeholders: the indices in paths stay those of the file, and the
    /// configuration is thrown away when there is any error.
    func assemble() -> Configuration {
        guard !files.isEmpty, hasParts else { return Configuration(listeners: [], targetGroups: []) }
        var configuration = Configuration(loadBalancers: [], listeners: [], targetGroups: [])
        if let node = parts.process,
            let section = section(
                node, at: "process", "'process'", keys: SettingsTable.process.keys, later: LaterFeatures.process)
        {
            read(SettingsTable.process, from: section, into: &configuration.process)
        }
        if let node = parts.logs,
            let section = section(node, at: "logs", "'logs'", keys: SettingsTable.logs.keys, later: LaterFeatures.logs)
        {
            read(SettingsTable.logs, from: section, into: &configuration.logs)
        }
        readDefaults()
        configuration.targetGroups = readTargetGroups()
        readRuleSets()
        readFronts(into: &configuration)
        configuration.targetGroups += inPlaceGroups
        configuration.notify = parts.notify.enumerated().map { readHook($1, at: "notify[\($0)]") }
        check(configuration)
        return configuration
    }

    private var hasParts: Bool {
        parts.process != nil || parts.logs != nil || parts.defaults != nil || !parts.loadBalancers.isEmpty
            || !parts.listeners.isEmpty || !parts.ruleSets.isEmpty || !parts.targetGroups.isEmpty || !isIncomplete
    }

    private func check(_ configuration: Configuration) {
        configuration.validate().forEach { add($0, severity: .error) }
        checkTLSFiles(of: configuration)
        // With errors, what looks unused or unreachable may only be misspelt.
        guard !hasErrors else { return }
        warnOfIdleIntervals(configuration)
        for warning in configuration.warnings() where warning.code != .noEffect || isWrittenItself(warning.path) {
            add(warning, severity: .warning)
        }
        for (name, set) in ruleSets where !set.isUsed {
            warning(
                .unused, at: set.range, "no listener uses the rule set '\(name)'",
                fix: "add '- rule_set: \(name)' to its rules, or remove the set")
        }
    }

    private func readDefaults() {
        guard let node = parts.defaults,
            let section = section(node, at: "defaults", "'defaults'", keys: ObjectKeys.defaults.names)
        else { return }
        if let node = section["listener"],
            let listener = self.section(
                node, at: "defaults.listener", "the default of listeners", keys: SettingsTable.listener.keys + ["tls"],
                later: LaterFeatures.listener, elsewhere: LaterFeatures.listenerElsewhere)
        {
            read(SettingsTable.listener, from: listener, into: &listenerDefaults, inDefaults: true)
            if let node = listener["tls"] {
                readListenerTLS(node, at: listener.path("tls"), into: &tlsDefaults, inDefaults: true)
            }
        }
        if let node = section["target_group"] { readGroupDefaults(node, at: "defaults.target_group") }
    }

    private func readRuleSets() {
        for (index, node) in parts.ruleSets.enumerated() {
            let path = "rule_sets[\(index)]"
            guard let section = section(node, at: path, "a rule set", keys: ObjectKeys.ruleSet.names) else {
                isIncomplete = true
                continue
            }
            guard let nameNode = section["name"] else {
                isIncomplete = true
                error(
                    .missing, at: section.range, path: section.path("name"), "the rule set has no name",
                    fix: "add 'name: …'")
                continue
            }
            guard let name = name(nameNode, at: section.path("name")) else {
                isIncomplete = true
                continue
            }
            guard let rulesNode = section["rules"] else {
                error(
                    .missing, at: section.range, path: section.path("rules"), "the rule set '\(name)' has no rules",
                    fix: "add 'rules:'")
                ruleSets[name] = ruleSets[name] ?? RuleSet(rules: [], range: section.range)
                continue
            }
            let rules = list(rulesNode, at: section.path("rules"), of: "rules") ?? []
            guard ruleSets[name] == nil else {
                error(
                    .duplicate, at: nameNode.range, path: section.path("name"), "a second rule set is called '\(name)'",
                    fix: "give it another name")
                continue
            }
            ruleSets[name] = RuleSet(rules: rules, range: nameNode.range)
        }
    }

    /// Load balancers and their listeners, balancer by balancer; listeners without one belong to `default`, which is the
    /// last where the file does not name it.
    private func readFronts(into configuration: inout Configuration) {
        var fronts: [(balancer: String, listeners: [YAMLNode])] = []
        for (index, node) in parts.loadBalancers.enumerated() {
            let path = "load_balancers[\(index)]"
            guard
                let section = section(
                    node, at: path, "a load balancer", keys: ObjectKeys.loadBalancer.names,
                    later: LaterFeatures.loadBalancer)
            else {
                fronts.append(("(unreadable \(index))", []))
                continue
            }
            var name = "(unreadable \(index))"
            if let node = section["name"] {
                name = self.name(node, at: section.path("name")) ?? name
            } else {
                error(
                    .missing, at: section.range, path: section.path("name"), "the load balancer has no name",
                    fix: "add 'name: …'")
            }
            if let node = section["type"] { readKind(node, at: section.path("type")) }
            guard let node = section["listeners"] else {
                error(
                    .missing, at: section.range, path: section.path("listeners"), "the load balancer has no listeners",
                    fix: "add 'listeners:'")
                fronts.append((name, []))
                continue
            }
            let listeners = list(node, at: section.path("listeners"), of: "listeners") ?? []
            if listeners.isEmpty {
                error(
                    .missing, at: node.range, path: section.path("listeners"), "the load balancer has no listeners",
                    fix: "add one, or remove the load balancer")
            }
            fronts.append((name, listeners))
        }
        var top = parts.listeners
        if !top.isEmpty || fronts.isEmpty, !fronts.contains(where: { $0.balancer == "default" }) {
            fronts.append(("default", []))
        }
        for front in fronts {
            configuration.loadBalancers.append(LoadBalancer(name: front.balancer))
            let own = front.balancer == "default" ? top + front.listeners : front.listeners
            if front.balancer == "default" { top = [] }
            for node in own {
                configuration.listeners.append(
                    readListener(node, at: "listeners[\(configuration.listeners.count)]", balancer: front.balancer))
            }
        }
    }

    private func readKind(_ node: YAMLNode, at path: String) {
        let type = SettingType.choice(["application"], later: LaterFeatures.loadBalancerTypes)
        guard let text = text(node, at: path, expected: "application") else { return }
        do throws(ConfigError) { _ = try type.read(text.value, unset: nil) } catch {
            refused(error, text, at: path, expected: "application")
        }
    }
}
