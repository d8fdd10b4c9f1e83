import PoiseModel
import PoiseYAML

extension Loading {
    /// - Parameter set: the rule set that the nodes belong to; sets do not nest.
    func readRules(_ nodes: [YAMLNode], at path: String, listener: String, into rules: inout [Rule], set: String? = nil)
    {
        for node in nodes {
            let rulePath = "\(path)[\(rules.count)]"
            if let name = ruleSetName(node, at: rulePath) {
                useSet(name, node, at: path, rulePath, listener: listener, into: &rules, set: set)
                continue
            }
            rules.append(readRule(node, at: rulePath, listener: listener))
        }
    }

    /// `{ rule_set: NAME }`.
    private func ruleSetName(_ node: YAMLNode, at path: String) -> YAMLNode? {
        guard case .mapping(let entries) = node.content else { return nil }
        return entries.first { $0.key == "rule_set" }?.value
    }

    private func useSet(
        _ nameNode: YAMLNode, _ node: YAMLNode, at path: String, _ rulePath: String, listener: String,
        into rules: inout [Rule], set: String?
    ) {
        // The path must not be that of the set's first rule, which takes this place.
        let here = "\(rulePath).rule_set"
        guard section(node, at: here, "a reference to a rule set", keys: ["rule_set"]) != nil,
            let name = text(nameNode, at: here, expected: "the name of a rule set")
        else { return }
        guard set == nil else {
            error(
                .invalid, at: nameNode.range, path: here, "rule sets cannot name other rule sets",
                fix: "name both in the listener")
            return
        }
        guard let found = ruleSets[name.value] else {
            guard !isIncomplete else { return }
            refused(
                ConfigError(
                    code: .unknownName, problem: "no rule set is called '\(name.value)'",
                    fix: Suggestion.fix(
                        for: name.value, among: ruleSets.keys.sorted(), noneKnown: "add it to rule_sets")),
                name, at: here, expected: "the name of a rule set")
            return
        }
        ruleSets[name.value]?.isUsed = true
        readRules(found.rules, at: path, listener: listener, into: &rules, set: name.value)
    }

    private func readRule(_ node: YAMLNode, at path: String, listener: String) -> Rule {
        // Stands for a rule that cannot be read; its condition equals no other.
        let unreadable = Rule(
            id: "(unreadable \(path))", conditions: [.path([Glob("unreadable \(path)")])],
            action: .fixedResponse(FixedResponse(status: 500)))
        guard
            let section = section(
                node, at: path, "a rule", keys: ObjectKeys.rule.names + Self.actionKeys,
                later: LaterFeatures.rule)
        else { return unreadable }
        let name = section["name"].flatMap { self.name($0, at: section.path("name")) }
        if name == Identity.defaultRule, let node = section["name"] {
            error(
                .invalid, at: node.range, path: section.path("name"), "a rule cannot be called 'default'",
                fix: "use another name; the default action is written as 'default' of the listener")
        }
        var conditions: [Condition]? = []
        if let node = section["when"] { conditions = readConditions(node, at: section.path("when")) }
        let id = conditions.map { Identity.rule(name: name, conditions: $0) } ?? unreadable.id
        let action = readAction(
            section, at: path, noun: "the rule", inPlaceID: Identity.inPlaceGroup(listener: listener, rule: id))
        guard let conditions, let action else {
            return Rule(
                id: unreadable.id, name: name, conditions: conditions ?? unreadable.conditions,
                action: action ?? unreadable.action)
        }
        return Rule(id: id, name: name, conditions: conditions, action: action)
    }

    /// - Returns: `nil` when one of them cannot be read: then nobody knows what the rule matches.
    private func readConditions(_ node: YAMLNode, at path: String) -> [Condition]? {
        guard
            let section = section(
                node, at: path, "'when'", keys: ObjectKeys.conditions.names, later: LaterFeatures.condition)
        else {
            return nil
        }
        guard case .mapping(let entries) = node.content,
            entries.count == section.written(ObjectKeys.conditions.names).count
        else {
            return nil
        }
        var conditions: [Condition] = []
        if section["host"] != nil {
            guard let globs = readGlobs(section, "host", TextForm.hostPattern) else { return nil }
            conditions.append(.host(globs))
        }
        if section["path"] != nil {
            guard let globs = readGlobs(section, "path", TextForm.pathPattern) else { return nil }
            conditions.append(.path(globs))
        }
        return conditions
    }

    private func readGlobs(_ section: Section, _ key: String, _ check: (String) throws(ConfigError) -> Void) -> [Glob]?
    {
        guard let node = section[key] else { return nil }
        let path = section.path(key)
        var globs: [Glob] = []
        let items = items(node, at: path)
        for item in items {
            guard let text = text(item.node, at: item.path, expected: "a pattern") else { continue }
            do throws(ConfigError) {
                try check(text.value)
                globs.append(Glob(text.value))
            } catch {
                refused(error, text, at: item.path, expected: "a pattern of a \(key)")
            }
        }
        if items.isEmpty {
            error(
                .missing, at: node.range, path: path, "the condition has no pattern", fix: "add one, or remove '\(key)'"
            )
        }
        return globs.count == items.count && !items.isEmpty ? globs : nil
    }

    // MARK: - Actions

    /// - Parameters:
    ///   - path: of what the action belongs to; the Model's paths go on with the action's key.
    ///   - inPlaceID: the identity of a group that is written in place.
    func readAction(_ section: Section, at path: String, noun: String, inPlaceID: String) -> Action? {
        let written = section.written(Self.actionKeys)
        guard let key = written.first, let node = section[key] else {
            guard !section.hasRefusedKeys else { return nil }
            error(
                .missing, at: section.range, path: path, "\(noun) does nothing: there is no action",
                fix: "add one of forward, redirect, fixed_response")
            return nil
        }
        if written.count > 1 {
            error(
                .conflict, at: section.keyRange(written[1]), path: "\(path).\(written[1])",
                "\(noun) has '\(key)' and '\(written[1])'", fix: "keep one of the two")
        }
        let actionPath = "\(path).\(key)"
        switch key {
        case "forward": return readForward(node, at: actionPath, inPlaceID: inPlaceID).map { .forward($0) }
        case "redirect": return readRedirect(node, at: actionPath).map { .redirect($0) }
        default: return readFixedResponse(node, at: actionPath).map { .fixedResponse($0) }
        }
    }

    private func readRedirect(_ node: YAMLNode, at path: String) -> Redirect? {
        guard let section = section(node, at: path, "a redirect", keys: SettingsTable.redirect.keys) else { return nil }
        var redirect = Redirect()
        read(SettingsTable.redirect, from: section, into: &redirect)
        return redirect
    }

    func readFixedResponse(_ node: YAMLNode, at path: String) -> FixedResponse? {
        guard let section = section(node, at: path, "a fixed response", keys: SettingsTable.fixedResponse.keys) else {
            return nil
        }
        if section["status"] == nil {
            error(
                .missing, at: section.range, path: "\(path).status", "the fixed response has no status",
                fix: "add 'status: 200'")
        }
        var response = FixedResponse(status: 200)
        read(SettingsTable.fixedResponse, from: section, into: &response)
        return response
    }

    /// A scalar is a group's name, a list is targets in place, a mapping has `groups`.
    private func readForward(_ node: YAMLNode, at path: String, inPlaceID: String) -> Forward? {
        note(path, at: node.range)
        switch node.content {
        case .scalar:
            guard let text = text(node, at: path, expected: "the name of a target group") else { return nil }
            return readGroupName(text, at: path).map { Forward(shares: [.init(group: $0)]) }
        case .sequence(let items):
            let group = readInPlaceGroup(items, node, id: inPlaceID)
            return Forward(shares: [.init(group: group.id)])
        case .mapping:
            if let fix = shapeAdvice(node) {
                error(.invalid, at: node.range, path: path, "'forward' has no groups", fix: fix)
                return nil
            }
            guard
                let section = section(
                    node, at: path, "'forward'", keys: ObjectKeys.forward.names, later: LaterFeatures.forward)
            else {
                return nil
            }
            guard let groups = section["groups"] else {
                error(
                    .missing, at: section.range, path: section.path("groups"), "'forward' has no groups",
                    fix: "write 'groups: { web: 90, web-next: 10 }', a group's name, or a list of targets")
                return nil
            }
            return readShares(groups, at: section.path("groups"))
        }
    }

    /// For a mapping that has the groups, or targets, one level too high.
    private func shapeAdvice(_ node: YAMLNode) -> String? {
        guard case .mapping(let entries) = node.content, let first = entries.first else { return nil }
        let keys = entries.map(\.key)
        if keys.contains("targets") { return "targets in place are a list: 'forward: [127.0.0.1:7001]'" }
        guard keys.allSatisfy({ groupNames.contains($0) && $0 != "groups" }) else { return nil }
        return "write 'forward: { groups: { \(first.key): … } }'"
    }

    private func readShares(_ node: YAMLNode, at path: String) -> Forward? {
        note(path, at: node.range)
        guard case .mapping(let entries) = node.content else {
            error(
                .wrongType, at: node.range, path: path, "'groups' is a mapping of group names to weights",
                fix: "write '{ web: 90, web-next: 10 }'")
            return nil
        }
        var shares: [Forward.Share] = []
        let type = SettingType.integer(0...999)
        for (index, entry) in entries.enumerated() {
            let sharePath = "\(path)[\(index)]"
            var share = Forward.Share(group: entry.key)
            if let text = text(entry.value, at: sharePath, expected: "a weight from 0 to 999") {
                do throws(ConfigError) {
                    if case .integer(let weight) = try type.read(text.value, unset: nil) { share.weight = weight }
                } catch {
                    refused(error, text, at: "\(sharePath).weight", expected: "a weight from 0 to 999")
                }
            }
            // An unknown name is shown where the name stands.
            note(sharePath, at: entry.keyRange)
            shares.append(share)
        }
        return Forward(shares: shares)
    }

    private func readGroupName(_ text: Text, at path: String) -> String? {
        guard !Identity.isName(text.value) else { return text.value }
        if text.value.contains(":") {
            refused(
                ConfigError(
                    code: .wrongType, problem: "'\(text.value)' is an address and not the name of a target group",
                    fix: "targets in place are a list: [\"\(text.value)\"]"),
                text, at: path, expected: "the name of a target group")
        } else {
            refused(
                ConfigError(
                    code: .invalid, problem: "'\(text.value)' is not the name of a target group",
                    fix: "names have 1 to 32 of a-z, 0-9 and '-'"),
                text, at: path, expected: "the name of a target group")
        }
        return nil
    }
}
