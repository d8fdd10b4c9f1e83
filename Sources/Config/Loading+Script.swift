import PoiseModel
import PoiseYAML

/// The one key of a step.
enum ScriptStepKey: String, CaseIterable {
    case send
    case sendHex = "send_hex"
    case expect
    case expectHex = "expect_hex"
    case expectRegex = "expect_regex"
}

/// The steps of a SCRIPT check.
extension Loading {
    func readScript(_ node: YAMLNode, at path: String, into draft: inout HealthDraft, inDefaults: Bool) {
        guard !inDefaults else {
            return error(
                .invalid, at: node.range, path: path, "lists are not inherited", fix: "set 'script' where it is used")
        }
        draft.options.steps = (list(node, at: path, of: "steps") ?? []).enumerated().compactMap { index, node in
            readStep(node, at: "\(path)[\(index)]")
        }
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
    mutating func writeScript(_ steps: [ScriptProbe.Step], _ path: String, _ indent: Int) {
        line(indent, "script:", at: "\(path).script")
        for (index, step) in steps.enumerated() {
            let (key, text) = step.written
            let place = "\(path).script[\(index)].\(key.rawValue)"
            line(indent + 1, "- \(key.rawValue): \(scalar(text, place))", at: place)
        }
    }
}
