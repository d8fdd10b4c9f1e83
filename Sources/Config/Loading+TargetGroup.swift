import PoiseModel
import PoiseYAML

/// A target group while it is read, on top of what `defaults` says.
struct GroupDraft: Sendable {
    var group = TargetGroup(id: "", targets: [])
    var health = HealthDraft()
    /// What `health_checks` says, instead of `health`.
    var several: SeveralDraft?
    /// What `tls` says; the group's own is there exactly where its protocol is HTTPS.
    var tls = TargetTLS()

    /// All that is said of the group, whether it has a use for it or not.
    func whole(id: String, name: String?, targets: [Target]) -> TargetGroup {
        var group = self.group
        (group.id, group.name, group.targets) = (id, name, targets)
        if group.tls != nil { group.tls = tls }
        if group.trackedGroup != nil {
            group.healthChecks = HealthChecks()
        } else if let several {
            group.healthChecks = several.finished(isSecureGroup: group.tls != nil)
        } else {
            group.healthCheck = health.finished(isSecureGroup: group.tls != nil)
        }
        return group
    }

    /// Settings that the rest of the group has no use for are not carried along.
    func finished(id: String, name: String?, targets: [Target]) -> TargetGroup {
        // Groups in place have the settings of `defaults`, all of them the same, whatever their targets are.
        var group = whole(id: id, name: name, targets: name == nil ? [] : targets)
        group = SettingsTable.targetGroup.withoutUseless(group, base: TargetGroup(id: id, name: name, targets: targets))
        group.passive = SettingsTable.passiveChecks.withoutUseless(group.passive, base: PassiveChecks())
        if group.version == .http1 { group.http2 = HTTP2Settings() }
        group.targets = targets
        return group
    }
}

/// `health_checks` while it is read.
struct SeveralDraft: Sendable {
    var checks = HealthChecks()
    /// As long as `checks.parts`, which has their weights.
    var drafts: [HealthDraft] = []

    func finished(isSecureGroup: Bool) -> HealthChecks {
        var checks = self.checks
        for index in checks.parts.indices {
            guard let check = drafts[index].finished(isSecureGroup: isSecureGroup) else { continue }
            checks.parts[index].check = check
        }
        return checks
    }
}

extension Loading {
    private static let groupSections = ["tls", "health_check", "passive_checks", "sorry_response"]

    func readGroupDefaults(_ node: YAMLNode, at path: String) {
        guard
            let section = section(
                node, at: path, "the default of target groups",
                keys: SettingsTable.targetGroup.keys + Self.groupSections,
                later: LaterFeatures.targetGroup, elsewhere: LaterFeatures.targetGroupElsewhere)
        else { return }
        readSettings(section, into: &groupDefaults, inDefaults: true)
    }

    func readTargetGroups() -> [TargetGroup] {
        let groups = parts.targetGroups.enumerated().map { readTargetGroup($1, at: "target_groups[\($0)]") }
        namedGroupCount = groups.count
        groupNames = Set(groups.compactMap(\.name))
        return groups
    }

    private func readTargetGroup(_ node: YAMLNode, at path: String) -> TargetGroup {
        let keys = ObjectKeys.targetGroup.names + SettingsTable.targetGroup.keys
        guard
            let section = section(
                node, at: path, "a target group", keys: keys, later: LaterFeatures.targetGroup,
                elsewhere: LaterFeatures.targetGroupElsewhere)
        else {
            isIncomplete = true
            return TargetGroup(id: "(unreadable \(path))", targets: [])
        }
        var name: String?
        if let node = section["name"] {
            name = self.name(node, at: section.path("name"))
        } else {
            error(
                .missing, at: section.range, path: section.path("name"), "the target group has no name",
                fix: "add 'name: …'")
        }
        if name == nil { isIncomplete = true }
        var draft = groupDefaults
        readSettings(section, into: &draft, inDefaults: false)
        refuseUnused(section, draft.group)
        var targets: [Target] = []
        if let node = section["targets"] {
            if let items = list(node, at: section.path("targets"), of: "targets") {
                targets = readTargets(items, at: section.path("targets"))
            }
        } else {
            error(
                .missing, at: section.range, path: section.path("targets"), "the target group has no targets",
                fix: "add 'targets: [127.0.0.1:7001]'")
        }
        let id = name ?? "(unreadable \(path))"
        let whole = draft.whole(id: id, name: name, targets: targets)
        refuseUseless(SettingsTable.targetGroup, whole, at: path)
        refuseUseless(SettingsTable.passiveChecks, whole.passive, at: "\(path).passive_checks")
        return draft.finished(id: id, name: name, targets: targets)
    }

    /// The group of `forward: [ … ]`: all its settings are defaults.
    func readInPlaceGroup(_ items: [YAMLNode], _ node: YAMLNode, id: String) -> TargetGroup {
        let path = "target_groups[\(namedGroupCount + inPlaceGroups.count)]"
        note(path, at: node.range)
        note("\(path).targets", at: node.range)
        let group = groupDefaults.finished(id: id, name: nil, targets: readTargets(items, at: "\(path).targets"))
        inPlaceGroups.append(group)
        return group
    }

    private func readSettings(_ section: Section, into draft: inout GroupDraft, inDefaults: Bool) {
        read(SettingsTable.targetGroup, from: section, into: &draft.group, inDefaults: inDefaults)
        if let node = section["tls"] {
            readTargetTLS(node, at: section.path("tls"), into: &draft.tls, inDefaults: inDefaults)
        }
        if let node = section["health_check"] {
            readHealthCheck(node, at: section.path("health_check"), into: &draft.health, inDefaults: inDefaults)
        }
        if let node = section["health_checks"] {
            readHealthChecks(node, at: section.path("health_checks"), into: &draft)
        }
        if let node = section["passive_checks"],
            let checks = self.section(
                node, at: section.path("passive_checks"), "'passive_checks'", keys: SettingsTable.passiveChecks.keys)
        {
            read(SettingsTable.passiveChecks, from: checks, into: &draft.group.passive, inDefaults: inDefaults)
        }
        if let node = section["sorry_response"] {
            readSorryResponse(node, at: section.path("sorry_response"), into: &draft.group)
        }
    }

    /// Sections that the group's own protocol or version has no use for; what `defaults` says is for those that have.
    private func refuseUnused(_ section: Section, _ group: TargetGroup) {
        if section["tls"] != nil, group.tls == nil, !isRefused(section.path("protocol")) {
            error(
                .conflict, at: section.keyRange("tls"), path: section.path("tls"),
                "a target group of protocol HTTP speaks no TLS", fix: "add 'protocol: HTTPS', or remove 'tls'")
        }
        if section["health_check"] != nil, section["health_checks"] != nil {
            error(
                .conflict, at: section.keyRange("health_checks"), path: section.path("health_checks"),
                "there is a 'health_check' besides", fix: "put that into the list too, or remove one of the two")
        }
        if section["track_health"] != nil, group.trackedGroup != nil {
            for key in ["health_check", "health_checks"] where section[key] != nil {
                error(
                    .conflict, at: section.keyRange(key), path: section.path(key),
                    "a group that goes by another one's health has no checks of its own",
                    fix: "remove '\(key)', or 'track_health'")
            }
        }
        if section["http2"] != nil, group.version == .http1, !isRefused(section.path("version")) {
            error(
                .conflict, at: section.keyRange("http2"), path: section.path("http2"),
                "a target group of version http1 speaks no HTTP/2", fix: "add 'version: http2', or remove 'http2'")
        }
    }

    /// Several checks: each begins with what `defaults` says of one.
    private func readHealthChecks(_ node: YAMLNode, at path: String, into draft: inout GroupDraft) {
        let keys = ObjectKeys.healthChecks.names + SettingsTable.healthChecks.keys
        guard let section = section(node, at: path, "'health_checks'", keys: keys) else { return }
        var several = SeveralDraft()
        read(SettingsTable.healthChecks, from: section, into: &several.checks)
        let checksPath = section.path("checks")
        let items = section["checks"].flatMap { list($0, at: checksPath, of: "checks") } ?? []
        for (index, node) in items.enumerated() {
            let itemPath = "\(checksPath)[\(index)]"
            var check = groupDefaults.health
            check.isOff = false
            var part = HealthChecks.Part(HealthCheck())
            readHealthCheck(node, at: itemPath, into: &check, inDefaults: false) { section in
                self.read(SettingsTable.healthChecksPart, from: section, into: &part)
            }
            several.checks.parts.append(part)
            several.drafts.append(check)
        }
        refuseWeights(several, at: path)
        if items.count < 2, !isRefused(checksPath) {
            error(
                .missing, at: section["checks"]?.range ?? section.range, path: checksPath,
                "several checks belong here, and there \(items.isEmpty ? "is none" : "is one")",
                fix: "list two or more; a single one is written as 'health_check'")
        }
        draft.several = several
    }

    private func refuseWeights(_ several: SeveralDraft, at path: String) {
        guard !several.checks.addsWeights, !isRefused("\(path).need") else { return }
        // Of an agent, the Model tells more.
        for (index, draft) in several.drafts.enumerated() where draft.chosen != .agent {
            let weight = "\(path).checks[\(index)].weight"
            guard let range = places["\(weight)#key"] else { continue }
            let isAny = several.checks.need == .any
            error(
                .conflict, at: range, path: weight,
                "'need: \(isAny ? "any" : "all")' asks for \(isAny ? "one check" : "every check"), whatever they weigh",
                fix: "remove it, or write what the passing ones must weigh together: 'need: 2'")
        }
    }

    private func readHealthCheck(
        _ node: YAMLNode, at path: String, into draft: inout HealthDraft, inDefaults: Bool,
        furtherKeys: ((Section) -> Void)? = nil
    ) {
        if isOff(node), furtherKeys == nil {
            note(path, at: node.range)
            draft.isOff = true
            return
        }
        guard
            let section = section(
                node, at: path, "a health check",
                keys: SettingsTable.healthCheck.keys + HealthDraft.Kind.allOwnKeys
                    + (furtherKeys == nil ? [] : SettingsTable.healthChecksPart.keys),
                later: LaterFeatures.healthCheck)
        else { return }
        furtherKeys?(section)
        draft.isOff = false
        if !section.written(SettingsTable.httpProbe.keys).isEmpty {
            draft.hasProbeKeys = true
            if draft.chosen?.asks == false { draft.chosen = nil }
        }
        read(SettingsTable.healthCheck, from: section, into: &draft, inDefaults: inDefaults)
        readProbes(section, into: &draft, inDefaults: inDefaults)
    }

    private func readSorryResponse(_ node: YAMLNode, at path: String, into group: inout TargetGroup) {
        if isOff(node) {
            note(path, at: node.range)
            group.sorryResponse = nil
            return
        }
        guard let section = section(node, at: path, "a sorry response", keys: SettingsTable.fixedResponse.keys) else {
            return
        }
        var response = group.sorryResponse ?? FixedResponse(status: 503)
        read(SettingsTable.fixedResponse, from: section, into: &response)
        group.sorryResponse = response
    }

    /// The word `off`, which turns a whole section off.
    func isOff(_ node: YAMLNode) -> Bool {
        if case .scalar(let scalar) = node.content { scalar.text == "off" } else { false }
    }

    // MARK: - Targets

    private func readTargets(_ items: [YAMLNode], at path: String) -> [Target] {
        items.enumerated().map { index, node in
            let itemPath = "\(path)[\(index)]"
            // Keeps the index; its address equals no other.
            return readTarget(node, at: itemPath) ?? Target(address: .unix(path: "(unreadable \(itemPath))"))
        }
    }

    private func readTarget(_ node: YAMLNode, at path: String) -> Target? {
        guard case .mapping = node.content else {
            guard let text = text(node, at: path, expected: "a target such as 10.0.0.11:8080") else { return nil }
            return readAddress(text, at: path).map { Target(address: $0) }
        }
        guard
            let section = section(
                node, at: path, "a target", keys: ObjectKeys.target.names + SettingsTable.target.keys,
                later: LaterFeatures.target, elsewhere: LaterFeatures.targetElsewhere)
        else { return nil }
        var target = Target(address: .unix(path: "(unreadable \(path))"))
        read(SettingsTable.target, from: section, into: &target)
        refuseUseless(SettingsTable.target, target, at: path)
        guard let node = section["address"] else {
            error(
                .missing, at: section.range, path: section.path("address"), "the target has no address",
                fix: "add 'address: 10.0.0.11:8080'")
            return nil
        }
        guard let text = text(node, at: section.path("address"), expected: "an address such as 10.0.0.11:8080"),
            let address = readAddress(text, at: section.path("address"))
        else { return nil }
        target.address = address
        return target
    }

    private func readAddress(_ text: Text, at path: String) -> TargetAddress? {
        if groupNames.contains(text.value), text.reference == nil {
            error(
                .wrongType, at: text.range, path: path, "'\(text.value)' is a target group, and a list holds targets",
                fix: "write 'forward: \(text.value)', or 'forward: { groups: { \(text.value): 1 } }' for several")
            return nil
        }
        do throws(ConfigError) { return try TargetAddress(parsing: text.value) } catch {
            refused(error, text, at: path, expected: "the address of a target, with a port")
            return nil
        }
    }
}
