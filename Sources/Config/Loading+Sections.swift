import PoiseModel
import PoiseYAML

/// A mapping with known keys, while it is read.
struct Section {
    let path: String
    let range: SourceRange
    /// A key was refused: what looks missing may be what it meant.
    let hasRefusedKeys: Bool
    private let entries: [String: YAMLEntry]

    init(path: String, range: SourceRange, hasRefusedKeys: Bool, entries: [String: YAMLEntry]) {
        (self.path, self.range, self.hasRefusedKeys, self.entries) = (path, range, hasRefusedKeys, entries)
    }

    /// The value of a key, `nil` where it is not written.
    subscript(_ key: String) -> YAMLNode? { entries[key]?.value }

    func keyRange(_ key: String) -> SourceRange { entries[key]?.keyRange ?? range }

    func path(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// Those of `keys` that are written.
    func written(_ keys: [String]) -> [String] { keys.filter { entries[$0] != nil } }
}

extension Loading {
    /// Checks that a node is a mapping, and that its keys are known and have values.
    ///
    /// - Parameters:
    ///   - noun: what the mapping describes, "a listener".
    ///   - later: keys of features that this version does not have.
    ///   - elsewhere: other words for settings, and where those are written.
    /// - Returns: `nil` after an error that leaves nothing to read.
    func section(
        _ node: YAMLNode, at path: String, _ noun: String, keys: [String], later: Set<String> = [],
        elsewhere: [String: String] = [:], allowsExtensions: Bool = false
    ) -> Section? {
        note(path, at: node.range)
        guard case .mapping(let written) = node.content else {
            if case .scalar(let scalar) = node.content, scalar.isNull {
                emptyValue(node, at: path, expected: "its settings: \(keys.joined(separator: ", "))")
            } else {
                let isScalar = if case .scalar = node.content { true } else { false }
                error(
                    .wrongType, at: node.range, path: path,
                    "\(noun) is a mapping of keys to values, and this is \(isScalar ? "one value" : "a list")",
                    fix: colonAdvice(node) ?? "write it as 'key: value' lines; \(Self.keysText(keys))")
            }
            return nil
        }
        var known: [String: YAMLEntry] = [:]
        var hasRefusedKeys = false
        for (index, entry) in written.enumerated() {
            let entryPath = path.isEmpty ? entry.key : "\(path).\(entry.key)"
            if keys.contains(entry.key) {
                known[entry.key] = entry
                note("\(entryPath)#key", at: entry.keyRange)
            } else if allowsExtensions, entry.key.hasPrefix("x-") {
                continue
            } else {
                hasRefusedKeys = true
                if let place = elsewhere[entry.key] {
                    misplaced(entry, at: entryPath, in: path, noun, place, keys)
                } else {
                    unknown(
                        entry, before: index > 0 ? written[index - 1] : nil, at: entryPath, in: path, noun, keys, later)
                }
            }
        }
        return Section(path: path, range: node.range, hasRefusedKeys: hasRefusedKeys, entries: known)
    }

    /// A word that another product, or another place, has for `place`: a key, a path of keys, or `key: value`.
    private func misplaced(
        _ entry: YAMLEntry, at entryPath: String, in path: String, _ noun: String, _ place: String, _ keys: [String]
    ) {
        // What the other key would have said is unknown now, and not missing.
        let first = String(place.prefix { $0 != "." && $0 != "[" && $0 != ":" })
        let meant = keys.contains(first) ? (path.isEmpty ? first : "\(path).\(first)") : entryPath
        error(
            .unknownKey, at: entry.keyRange, path: meant, "\(noun) has no key '\(entry.key)'",
            fix: "write '\(Self.written(place[...]))'")
    }

    /// `tls.certificates[].key` -> `tls: { certificates: [{ key: … }] }`
    private static func written(_ place: Substring) -> String {
        guard !place.contains(":") else { return String(place) }
        guard let dot = place.firstIndex(of: ".") else { return "\(place): …" }
        let inner = "{ \(written(place[place.index(after: dot)...])) }"
        let key = place[..<dot]
        return key.hasSuffix("[]") ? "\(key.dropLast(2)): [\(inner)]" : "\(key): \(inner)"
    }

    private func unknown(
        _ entry: YAMLEntry, before: YAMLEntry?, at entryPath: String, in path: String, _ noun: String, _ keys: [String],
        _ later: Set<String>
    ) {
        if entry.isFlow, let before, let value = before.value.plainText, entry.value.isEmptyPlain {
            let range = SourceRange(
                file: Int(entry.keyRange.file), start: before.value.range.start, end: entry.keyRange.end)
            error(
                .unknownKey, at: range, path: entryPath, "inside { } the comma ends the value of '\(before.key)'",
                fix: "if the comma belongs to it, put it in quotes: \"\(value),\(entry.key)\"")
            return
        }
        if later.contains(entry.key) {
            error(
                .notAvailable, at: entry.keyRange, path: entryPath, "'\(entry.key)' is not available in this version",
                fix: "remove it")
            return
        }
        let meant = Suggestion.nearest(to: entry.key, among: keys)
        // What the misspelt key would have said is unknown now, and not missing.
        if let meant {
            error(
                .unknownKey, at: entry.keyRange, path: path.isEmpty ? meant : "\(path).\(meant)",
                "\(noun) has no key '\(entry.key)'", fix: "did you mean '\(meant)'?")
        } else {
            error(
                .unknownKey, at: entry.keyRange, path: entryPath, "\(noun) has no key '\(entry.key)'",
                fix: entry.key.hasPrefix("x-") ? "keys with x- stand at the top of a file" : Self.keysText(keys))
        }
    }

    /// Reads the rows of a table from a mapping.
    ///
    /// - Parameters:
    ///   - inDefaults: refuses lists, which never inherit.
    ///   - later: unknown keys of the nested sections that other versions have.
    func read<Root>(
        _ place: SettingsPlace<Root>, from section: Section, into root: inout Root, inDefaults: Bool = false
    ) {
        for key in place.keys {
            guard let node = section[key] else { continue }
            let path = section.path(key)
            if let setting = place.direct[key] {
                read(setting, node, into: &root, at: path, inDefaults: inDefaults)
            } else if let rows = place.sections[key] {
                let keys = place.rows(of: key).map { $0.keys[1] }
                if let short = place.shorthands[key], let setting = rows[short], !node.isMapping {
                    note(path, at: node.range)
                    read(setting, node, into: &root, at: "\(path).\(short)", inDefaults: inDefaults)
                    continue
                }
                guard let nested = self.section(node, at: path, "'\(key)'", keys: keys) else { continue }
                for name in nested.written(keys) {
                    guard let setting = rows[name], let value = nested[name] else { continue }
                    read(setting, value, into: &root, at: nested.path(name), inDefaults: inDefaults)
                }
            }
        }
    }

    /// Refuses what an object says itself and what the rest of it has no use for; what `defaults` says is for those that have.
    ///
    /// - Parameter path: of the object.
    func refuseUseless<Root>(_ place: SettingsPlace<Root>, _ root: Root, at path: String) {
        for row in place.settings where !row.applies(root) {
            let own = "\(path).\(row.keys.joined(separator: "."))"
            guard let range = places["\(own)#key"] ?? places[own], !isRefused(own) else { continue }
            let reason = row.uselessness ?? Self.uselessness(of: row, among: place.rows(of: row.keys[0]), root)
            guard !reason.keys.contains(where: { isRefused("\(path).\($0)") }) else { continue }
            error(.conflict, at: range, path: own, reason.problem, fix: reason.fix)
        }
    }

    /// Of an option that what the first row of its section says does not have.
    private static func uselessness<Root>(
        of row: Setting<Root>, among rows: [Setting<Root>], _ root: Root
    ) -> Setting<Root>.Uselessness {
        let name = row.keys[row.keys.count - 1]
        let kind = "\(rows[0].keys[1]): \(rows[0].get(root)?.text ?? "")"
        let others = rows.dropFirst().filter { $0.applies(root) }.map { $0.keys[1] }
        return Setting<Root>.Uselessness(
            keys: [rows[0].keys.joined(separator: ".")], problem: "'\(name)' has no use with '\(kind)'",
            fix: "remove it; '\(kind)' has " + (others.isEmpty ? "no options" : others.joined(separator: ", ")))
    }

    private func read<Root>(
        _ setting: Setting<Root>, _ node: YAMLNode, into root: inout Root, at path: String, inDefaults: Bool
    ) {
        if inDefaults, !setting.type.isInherited {
            error(
                .invalid, at: node.range, path: path, "lists are not inherited",
                fix: "set '\(setting.keys.joined(separator: "."))' where it is used")
            return
        }
        switch setting.type {
        case .path: readPath(setting, node, into: &root, at: path)
        case .list: readList(setting, node, into: &root, at: path)
        case .pairs: readPairs(setting, node, into: &root, at: path)
        case .duration, .size, .integer, .boolean, .choice, .name, .text:
            guard let text = text(node, at: path, expected: setting.type.expected) else { return }
            do throws(ConfigError) {
                let isUnset = setting.unset == text.value
                try setting.set(&root, isUnset ? nil : try setting.type.read(text.value, unset: setting.unset))
            } catch {
                refused(error, text, at: path, expected: setting.type.expected)
            }
        }
    }

    private func readPath<Root>(_ setting: Setting<Root>, _ node: YAMLNode, into root: inout Root, at path: String) {
        do throws(ConfigError) {
            if let unset = setting.unset, case .scalar(let scalar) = node.content, scalar.text == unset {
                note(path, at: node.range)
                try setting.set(&root, nil)
            } else if let file = self.path(node, at: path, expected: setting.type.expected) {
                try setting.set(&root, .text(file))
            }
        } catch {
            self.error(error, at: node.range, path: path)
        }
    }

    private func readList<Root>(_ setting: Setting<Root>, _ node: YAMLNode, into root: inout Root, at path: String) {
        if case .mapping = node.content {
            error(
                .wrongType, at: node.range, path: path, "a mapping stands where a list belongs",
                fix: "write \(setting.type.expected)")
            return
        }
        var good: [(text: Text, path: String)] = []
        for item in items(node, at: path) {
            guard let text = text(item.node, at: item.path, expected: setting.type.expected) else { continue }
            do throws(ConfigError) {
                // Each alone, so that every wrong one is reported at its own place.
                var scratch = root
                try setting.set(&scratch, .texts([text.value]))
                good.append((text, item.path))
            } catch {
                refused(Self.ofTheValueItself(error), text, at: item.path, expected: setting.type.expected)
            }
        }
        do throws(ConfigError) { try setting.set(&root, .texts(good.map(\.text.value))) } catch {
            guard let index = good.indices.first(where: { error.path == "[\($0)]" }) else {
                return self.error(error, at: node.range, path: path)
            }
            let (text, itemPath) = good[index]
            refused(Self.ofTheValueItself(error), text, at: itemPath, expected: "\(setting.type.expected), each once")
        }
    }

    private static func ofTheValueItself(_ error: ConfigError) -> ConfigError {
        ConfigError(code: error.code, problem: error.problem, fix: error.fix)
    }

    private func readPairs<Root>(_ setting: Setting<Root>, _ node: YAMLNode, into root: inout Root, at path: String) {
        note(path, at: node.range)
        guard case .mapping(let entries) = node.content else {
            error(
                .wrongType, at: node.range, path: path, "\(setting.type.expected) belongs here",
                fix: "write 'Name: value' lines")
            return
        }
        var pairs: [SettingValue.Pair] = []
        for entry in entries {
            guard let text = text(entry.value, at: "\(path).\(entry.key)", expected: "a text") else { continue }
            do throws(ConfigError) {
                // Each alone, so that every wrong one is reported at its own place.
                var scratch = root
                try setting.set(&scratch, .pairs([.init(name: entry.key, value: text.value)]))
                pairs.append(.init(name: entry.key, value: text.value))
            } catch {
                refused(
                    ConfigError(code: error.code, problem: error.problem, fix: error.fix), text,
                    at: "\(path).\(entry.key)",
                    expected: "a field")
            }
        }
        do throws(ConfigError) { try setting.set(&root, .pairs(pairs)) } catch {
            self.error(error, at: node.range, path: path)
        }
    }

    /// Reports a value that its setting refuses; one that must not be shown is not.
    func refused(_ error: ConfigError, _ text: Text, at path: String, expected: String) {
        guard let reference = text.reference else {
            self.error(error, at: text.range, path: path)
            return
        }
        self.error(
            error.code, at: text.range, path: path, "the value of \(reference) is not \(expected)",
            fix: "change what it stands for")
    }

    /// `address:8080`: a colon without a space makes a text and not a key.
    private func colonAdvice(_ node: YAMLNode) -> String? {
        guard case .scalar(let scalar) = node.content, scalar.isPlain, let colon = scalar.text.firstIndex(of: ":"),
            scalar.text[..<colon].allSatisfy({ $0.isLowercase || $0 == "_" }), colon != scalar.text.startIndex
        else { return nil }
        return "put a space behind the colon: '\(scalar.text[...colon]) …'"
    }

    private static func keysText(_ keys: [String]) -> String {
        keys.count == 1 ? "the only key is \(keys[0])" : "the keys are \(keys.joined(separator: ", "))"
    }
}

extension YAMLNode {
    fileprivate var isMapping: Bool { if case .mapping = content { true } else { false } }

    /// The text of a scalar without quotes.
    fileprivate var plainText: String? {
        if case .scalar(let scalar) = content, scalar.isPlain, !scalar.text.isEmpty { scalar.text } else { nil }
    }

    fileprivate var isEmptyPlain: Bool {
        if case .scalar(let scalar) = content { scalar.isPlain && scalar.text.isEmpty } else { false }
    }
}
