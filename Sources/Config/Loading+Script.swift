import PoiseModel
import PoiseYAML

/// What only some kinds of health checks have.
extension Loading {
    func readKindOptions(_ section: Section, into draft: inout HealthDraft, inDefaults: Bool) {
        let written = section.written(KindOptions.keys)
        let kinds = HealthDraft.Kind.allCases
        for key in written where draft.chosen?.options.contains(key) != true && !isRefused(section.path("protocol")) {
            // In `defaults` it may be for groups that say which kind they have.
            if inDefaults, draft.chosen == nil { continue }
            let owner = kinds.first { $0.options.contains(key) }?.rawValue ?? ""
            let problem =
                draft.chosen.map { "a \($0.rawValue) check has no '\(key)'" }
                ?? "'\(key)' says nothing without the protocol of the check"
            error(
                .conflict, at: section.keyRange(key), path: section.path(key), problem,
                fix: draft.chosen == nil ? "add 'protocol: \(owner)'" : "remove '\(key)', or write 'protocol: \(owner)'"
            )
        }
        read(SettingsTable.checkKinds, from: section, into: &draft.options, inDefaults: inDefaults)
        let password = section.path("password")
        if let node = section["password"], draft.options.password != nil, reference(under: password) == nil {
            error(
                .invalid, at: node.range, path: password, "a password does not belong into this file",
                fix: "write 'password: file:PATH' or 'password: ${NAME}'")
        }
        guard let node = section["script"] else { return }
        guard !inDefaults else {
            return error(
                .invalid, at: node.range, path: section.path("script"), "lists are not inherited",
                fix: "set 'script' where it is used")
        }
        draft.options.steps = readScript(node, at: section.path("script"))
    }

    private func readScript(_ node: YAMLNode, at path: String) -> [ScriptProbe.Step] {
        guard let items = list(node, at: path, of: "steps") else { return [] }
        return items.enumerated().compactMap { index, node in readStep(node, at: "\(path)[\(index)]") }
    }

    private func readStep(_ node: YAMLNode, at path: String) -> ScriptProbe.Step? {
        let names = ScriptStepKey.allCases.map(\.rawValue)
        guard let section = section(node, at: path, "a step", keys: names) else { return nil }
        let written = section.written(names)
        guard let name = written.first, let key = ScriptStepKey(rawValue: name) else {
            if !section.hasRefusedKeys {
                error(.missing, at: section.range, path: path, "the step is empty", fix: "write '- expect: OK'")
            }
            return nil
        }
        if written.count > 1 {
            error(
                .conflict, at: section.keyRange(written[1]), path: section.path(written[1]),
                "a step does one thing, and this one has '\(name)' too",
                fix: "begin another step with '- \(written[1]): …'")
        }
        guard let value = section[name], let text = text(value, at: section.path(name), expected: "a text") else {
            return nil
        }
        do throws(ConfigError) { return try Self.step(key, text.value) } catch {
            refused(error, text, at: section.path(name), expected: "what '\(name)' takes")
            return nil
        }
    }

    private static func step(_ key: ScriptStepKey, _ text: String) throws(ConfigError) -> ScriptProbe.Step {
        guard !text.isEmpty else {
            throw ConfigError(code: .missing, problem: "the text is empty", fix: "write at least one character")
        }
        guard text.utf8.count <= ScriptProbe.stepBytesMax else {
            throw ConfigError(
                code: .tooLarge, problem: "the step has \(text.utf8.count) bytes",
                fix: "use \(ScriptProbe.stepBytesMax) or fewer")
        }
        switch key {
        case .send: return .send(text)
        case .expect: return .expect(text)
        case .sendHex: return .sendHex(try TextForm.hexBytes(text))
        case .expectHex: return .expectHex(try TextForm.hexBytes(text))
        case .expectRegex:
            try TextForm.pattern(text)
            return .expectRegex(text)
        }
    }
}

extension ScriptProbe.Step {
    /// As a file has it.
    var written: (key: ScriptStepKey, text: String) {
        switch self {
        case .send(let text): (.send, text)
        case .sendHex(let bytes): (.sendHex, TextForm.hexText(bytes))
        case .expect(let text): (.expect, text)
        case .expectHex(let bytes): (.expectHex, TextForm.hexText(bytes))
        case .expectRegex(let text): (.expectRegex, text)
        }
    }
}

extension CanonicalWriter {
    mutating func writeKindOptions(
        _ draft: HealthDraft, _ base: HealthDraft, _ path: String, _ indent: Int, listsToo: Bool
    ) {
        let mine = draft.chosen?.options ?? []
        settings(
            SettingsTable.checkKinds, draft.options, base.options, indent, path, listsToo: listsToo,
            without: Set(KindOptions.keys).subtracting(mine))
        guard mine.contains("script"), listsToo else { return }
        line(indent, "script:", at: "\(path).script")
        for (index, step) in draft.options.steps.enumerated() {
            let (key, text) = step.written
            let place = "\(path).script[\(index)].\(key.rawValue)"
            line(indent + 1, "- \(key.rawValue): \(scalar(text, place))", at: place)
        }
    }
}
