import PoiseModel

/// A configuration as YAML in one form: every setting at its place, rule sets put in, defaults spread out.
///
/// Loading the text again gives an equal configuration. A value that came from `${}` or `file:` is written as that
/// reference and not shown.
public enum CanonicalForm {
    /// - Parameters:
    ///   - origins: adds `# file:line` behind each value that a file wrote.
    ///   - includingDefaults: `false` leaves out what has Poise's own default.
    public static func render(
        _ configuration: Configuration, origins: Origins = Origins(), includingDefaults: Bool = true
    ) -> String {
        var writer = CanonicalWriter(origins: origins, includingDefaults: includingDefaults)
        writer.write(configuration)
        return writer.text
    }
}

struct CanonicalWriter {
    private(set) var text = ""
    let origins: Origins
    let includingDefaults: Bool
    /// What a group has that writes nothing: Poise's defaults, or those that the groups in place have.
    private var baseGroup = TargetGroup(id: "", targets: [])
    /// Groups in place: id -> index.
    private var inPlace: [String: Int] = [:]

    init(origins: Origins, includingDefaults: Bool) {
        (self.origins, self.includingDefaults) = (origins, includingDefaults)
    }

    mutating func write(_ configuration: Configuration) {
        for (index, group) in configuration.targetGroups.enumerated() where group.name == nil {
            inPlace[group.id] = index
        }
        line(0, "version: 1")
        section(0, "process") {
            $0.settings(SettingsTable.process, configuration.process, ProcessSettings(), 1, "process")
        }
        section(0, "logs") { $0.settings(SettingsTable.logs, configuration.logs, LogSettings(), 1, "logs") }
        writeGroupDefaults(configuration)
        writeFronts(configuration)
        section(0, "target_groups") { writer in
            for (index, group) in configuration.targetGroups.enumerated() where group.name != nil {
                writer.write(group, at: "target_groups[\(index)]")
            }
        }
        section(0, "notify") { writer in
            for (index, hook) in configuration.notify.enumerated() { writer.write(hook, at: "notify[\(index)]") }
        }
    }

    // MARK: - Listeners

    private mutating func writeFronts(_ configuration: Configuration) {
        let indexed = Array(configuration.listeners.enumerated())
        let isPlain = configuration.loadBalancers.map(\.name) == ["default"]
        section(0, isPlain ? "listeners" : "load_balancers") { writer in
            guard !isPlain else {
                for (index, listener) in indexed { writer.write(listener, index, configuration, indent: 1) }
                return
            }
            for (index, balancer) in configuration.loadBalancers.enumerated() {
                let path = "load_balancers[\(index)]"
                writer.line(1, "- name: \(writer.scalar(balancer.name, "\(path).name"))", at: "\(path).name")
                writer.line(2, "type: \(balancer.kind.rawValue)", at: "\(path).type")
                writer.line(2, "listeners:")
                for (index, listener) in indexed where listener.loadBalancer == balancer.name {
                    writer.write(listener, index, configuration, indent: 3)
                }
            }
        }
    }

    private mutating func write(_ listener: Listener, _ index: Int, _ configuration: Configuration, indent: Int) {
        let path = "listeners[\(index)]"
        if let name = listener.name {
            line(indent, "- name: \(scalar(name, "\(path).name"))", at: "\(path).name")
            line(indent + 1, "address:")
        } else {
            line(indent, "- address:")
        }
        for (part, address) in listener.addresses.enumerated() {
            let itemPath = "\(path).address[\(part)]"
            line(indent + 2, "- \(scalar(address.description, itemPath))", at: itemPath)
        }
        let base = Listener(id: "", addresses: [], rules: [], defaultAction: nil)
        settings(SettingsTable.listener, listener, base, indent + 1, path)
        if let tls = listener.tls { writeListenerTLS(tls, at: "\(path).tls", indent: indent + 1) }
        section(indent + 1, "rules") { writer in
            for (index, rule) in listener.rules.enumerated() {
                writer.write(rule, at: "\(path).rules[\(index)]", configuration, indent: indent + 2)
            }
        }
        if let action = listener.defaultAction {
            line(indent + 1, "default:")
            write(action, at: "\(path).default", configuration, indent: indent + 2, opening: "")
        }
    }

    private mutating func write(_ rule: Rule, at path: String, _ configuration: Configuration, indent: Int) {
        var opening = "- "
        if let name = rule.name {
            line(indent, "- name: \(scalar(name, "\(path).name"))", at: path)
            opening = ""
        }
        let inner = indent + 1
        if !rule.conditions.isEmpty {
            line(opening.isEmpty ? inner : indent, "\(opening)when:", at: opening.isEmpty ? nil : path)
            opening = ""
            for condition in rule.conditions {
                let (key, globs) =
                    switch condition {
                    case .host(let globs): ("host", globs)
                    case .path(let globs): ("path", globs)
                    }
                line(inner + 1, "\(key):")
                for (index, glob) in globs.enumerated() {
                    line(inner + 2, "- \(scalar(glob.pattern, "\(path).when.\(key)[\(index)]"))")
                }
            }
        }
        write(rule.action, at: path, configuration, indent: opening.isEmpty ? inner : indent, opening: opening)
    }

    private mutating func write(
        _ action: Action, at path: String, _ configuration: Configuration, indent: Int, opening: String
    ) {
        let inner = opening.isEmpty ? indent + 1 : indent + 2
        switch action {
        case .forward(let forward):
            let here = "\(path).forward"
            if forward.shares.count == 1, forward.shares[0].weight == 1 {
                let id = forward.shares[0].group
                if let index = inPlace[id] {
                    line(indent, "\(opening)forward:", at: here)
                    writeTargets(configuration.targetGroups[index], at: "target_groups[\(index)]", indent: inner)
                } else {
                    line(indent, "\(opening)forward: \(scalar(id, here))", at: here)
                }
                return
            }
            line(indent, "\(opening)forward:", at: here)
            line(inner, "groups:")
            for (index, share) in forward.shares.enumerated() {
                let weight = scalar("\(share.weight)", "\(here).groups[\(index)]")
                line(inner + 1, "\(scalar(share.group, "")): \(weight)", at: "\(here).groups[\(index)]")
            }
        case .redirect(let redirect):
            line(indent, "\(opening)redirect:", at: "\(path).redirect")
            settings(SettingsTable.redirect, redirect, nil, inner, "\(path).redirect")
        case .fixedResponse(let response):
            line(indent, "\(opening)fixed_response:", at: "\(path).fixed_response")
            settings(SettingsTable.fixedResponse, response, nil, inner, "\(path).fixed_response")
        }
    }

    // MARK: - Groups

    /// Groups in place have no settings of their own: what theirs are stands in `defaults`.
    private mutating func writeGroupDefaults(_ configuration: Configuration) {
        guard let index = configuration.targetGroups.firstIndex(where: { $0.name == nil }) else { return }
        // What has a use for some list of targets only is for all of them.
        var group = configuration.targetGroups[index]
        group.targets = []
        let path = "target_groups[\(index)]"
        section(0, "defaults") { writer in
            writer.section(1, "target_group") { $0.writeSettings(group, at: path, indent: 2, listsToo: false) }
        }
        baseGroup = group
    }

    private mutating func write(_ group: TargetGroup, at path: String) {
        line(1, "- name: \(scalar(group.name ?? "", "\(path).name"))", at: "\(path).name")
        line(2, "targets:")
        writeTargets(group, at: path, indent: 3)
        writeSettings(group, at: path, indent: 2, listsToo: true)
    }

    private mutating func writeTargets(_ group: TargetGroup, at path: String, indent: Int) {
        let base = Target(address: .unix(path: ""))
        for (index, target) in group.targets.enumerated() {
            let itemPath = "\(path).targets[\(index)]"
            let isMapping = origins.reference(of: "\(itemPath).address") != nil
            let address = scalar(target.address.description, isMapping ? "\(itemPath).address" : itemPath)
            guard target.weight != base.weight || target.isBackup || target.tier != base.tier || target.zone != nil
            else {
                line(indent, "- \(address)", at: itemPath)
                continue
            }
            line(indent, "- address: \(address)", at: itemPath)
            settings(SettingsTable.target, target, base, indent + 1, itemPath)
        }
    }

    private mutating func writeSettings(_ group: TargetGroup, at path: String, indent: Int, listsToo: Bool) {
        let base = listsToo ? baseGroup : TargetGroup(id: "", targets: [])
        settings(
            SettingsTable.targetGroup, group, base, indent, path, listsToo: listsToo,
            without: group.version == .http1 ? ["http2"] : [])
        if let tls = group.tls {
            writeTargetTLS(tls, base.tls ?? TargetTLS(), at: "\(path).tls", indent: indent)
        }
        writeHealthChecks(group, base, at: path, indent: indent, listsToo: listsToo)
        section(indent, "passive_checks") {
            $0.settings(SettingsTable.passiveChecks, group.passive, base.passive, indent + 1, "\(path).passive_checks")
        }
        let sorryPath = "\(path).sorry_response"
        if let sorry = group.sorryResponse {
            guard includingDefaults || sorry != base.sorryResponse else { return }
            line(indent, "sorry_response:", at: sorryPath)
            settings(SettingsTable.fixedResponse, sorry, nil, indent + 1, sorryPath)
        } else if includingDefaults || base.sorryResponse != nil {
            line(indent, "sorry_response: off", at: sorryPath, isSetting: true)
        }
    }

    // MARK: - Rows

    /// - Parameter base: what is there when nothing is written; `nil` writes everything but unset texts.
    mutating func settings<Root>(
        _ place: SettingsPlace<Root>, _ root: Root, _ base: Root?, _ indent: Int, _ path: String, listsToo: Bool = true,
        without: Set<String> = []
    ) {
        for key in place.keys where !without.contains(key) {
            if let setting = place.direct[key] {
                guard setting.applies(root) else { continue }
                write(setting, root, base, indent, "\(path).\(key)", listsToo)
            } else {
                let rows = place.rows(of: key).filter { $0.applies(root) }
                if let short = place.shorthands[key], rows.count == 1 {
                    write(rows[0], as: key, root, base, indent, "\(path).\(key).\(short)", listsToo)
                    continue
                }
                section(indent, key) { writer in
                    for setting in rows {
                        writer.write(setting, root, base, indent + 1, "\(path).\(key).\(setting.keys[1])", listsToo)
                    }
                }
            }
        }
    }

    private mutating func write<Root>(
        _ setting: Setting<Root>, as name: String? = nil, _ root: Root, _ base: Root?, _ indent: Int, _ path: String,
        _ listsToo: Bool
    ) {
        guard listsToo || setting.type.isInherited else { return }
        let value = setting.get(root)
        if let base, !includingDefaults, value == setting.get(base) { return }
        let key = name ?? setting.keys[setting.keys.count - 1]
        switch value {
        case nil:
            if let unset = setting.unset { line(indent, "\(key): \(unset)", at: path, isSetting: true) }
        case .texts(let texts):
            guard !texts.isEmpty else {
                line(indent, "\(key): []", at: path, isSetting: true)
                return
            }
            line(indent, "\(key):", at: path, isSetting: true)
            for (index, text) in texts.enumerated() { line(indent + 1, "- \(scalar(text, "\(path)[\(index)]"))") }
        case .pairs(let pairs):
            guard !pairs.isEmpty else {
                line(indent, "\(key): {}", at: path, isSetting: true)
                return
            }
            line(indent, "\(key):", at: path, isSetting: true)
            for pair in pairs {
                line(indent + 1, "\(scalar(pair.name, "")): \(scalar(pair.value, "\(path).\(pair.name)"))")
            }
        case .duration, .size, .integer, .boolean, .text:
            line(indent, "\(key): \(scalar(value?.text ?? "", path))", at: path, isSetting: true)
        }
    }

    // MARK: - Lines

    /// A key with lines below it; without any line, nothing at all.
    mutating func section(
        _ indent: Int, _ key: String, always: Bool = false, _ body: (inout CanonicalWriter) -> Void
    ) {
        let before = text.utf8.count
        line(indent, "\(key):")
        let opened = text.utf8.count
        body(&self)
        guard text.utf8.count == opened, !always else { return }
        text.removeSubrange(text.utf8.index(text.startIndex, offsetBy: before)...)
    }

    /// - Parameter isSetting: says `default` where no file wrote the value.
    mutating func line(_ indent: Int, _ content: String, at path: String? = nil, isSetting: Bool = false) {
        text += String(repeating: "  ", count: indent) + content
        if let path, origins.isKnown {
            if let location = origins.location(of: path) {
                text += "  # \(location)"
            } else if isSetting {
                text += "  # default"
            }
        }
        text += "\n"
    }

    /// A value as YAML: in quotes unless it is plain beyond doubt; the reference where the value must not be shown.
    func scalar(_ value: String, _ path: String) -> String {
        if let reference = origins.reference(of: path) { return Self.quoted(reference) }
        let isPlain =
            !value.isEmpty && value != "null"
            && value.utf8.allSatisfy {
                switch $0 {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2E, 0x2F, 0x2D: true
                default: false
                }
            } && !value.hasPrefix("-") && !value.hasPrefix("...")
        return isPlain ? value : Self.quoted(value.substituting("${", with: "$${"))
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _
            where scalar.value < 0x20 || (0x7F...0xA0).contains(scalar.value) || scalar.value == 0xFEFF
                || scalar.value == 0x2028 || scalar.value == 0x2029 || (0xFFFE...0xFFFF).contains(scalar.value):
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
