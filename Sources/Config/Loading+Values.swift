import PoiseModel
import PoiseYAML

/// A scalar after `${}` and `file:`.
struct Text {
    var value: String
    var range: SourceRange
    /// The text as written, where the value came from elsewhere and must not be shown.
    var reference: String?
}

extension Loading {
    /// Bytes that `file:` may bring into a setting.
    static let secretBytesMax = 1 << 20

    /// The value of a scalar.
    ///
    /// - Parameter expected: what should be here, for the error's fix.
    /// - Returns: `nil` after an error.
    func text(_ node: YAMLNode, at path: String, expected: String) -> Text? {
        switch node.content {
        case .sequence:
            error(
                .wrongType, at: node.range, path: path, "a list stands where one value belongs",
                fix: "write \(expected)")
            return nil
        case .mapping:
            error(
                .wrongType, at: node.range, path: path, "a mapping stands where one value belongs",
                fix: "write \(expected)")
            return nil
        case .scalar(let scalar):
            guard !scalar.isNull else {
                emptyValue(node, at: path, expected: expected)
                return nil
            }
            note(path, at: node.range)
            return substituted(scalar.text, node.range, at: path)
        }
    }

    /// Puts in `${NAME}`, `${NAME:-default}` and the content of `file:PATH`. `$${` is `${`.
    private func substituted(_ written: String, _ range: SourceRange, at path: String) -> Text? {
        guard written.holds("${") || written.hasPrefix("file:") else { return Text(value: written, range: range) }
        do throws(ConfigError) {
            let isFile = written.hasPrefix("file:")
            let (expanded, usesEnvironment) = try expand(isFile ? String(written.dropFirst("file:".count)) : written)
            let value = isFile ? try fileContent(expanded, written: written, range) : expanded
            if isFile {
                let isAbsolute = expanded.hasPrefix("/")
                note(
                    path,
                    reference: isAbsolute ? written : "file:\(folderFromMain(range))\(written.dropFirst("file:".count))"
                )
            } else if usesEnvironment {
                note(path, reference: written)
            }
            return Text(value: value, range: range, reference: isFile || usesEnvironment ? written : nil)
        } catch {
            self.error(error, at: range, path: path)
            return nil
        }
    }

    /// The folder of a file as the main file would write it, with its slash; empty for the same folder.
    func folderFromMain(_ range: SourceRange) -> Substring {
        let own = FilePath.folder(of: name(of: range))
        let main = FilePath.folder(of: files[0].name)
        return own.hasPrefix(main) ? own.dropFirst(main.count) : own[...]
    }

    private func expand(_ text: String) throws(ConfigError) -> (text: String, usesEnvironment: Bool) {
        var result = ""
        var usesEnvironment = false
        var rest = text[...]
        while let dollar = rest.place(of: "${") {
            result += rest[..<dollar.lowerBound]
            if rest[..<dollar.lowerBound].hasSuffix("$") {  // "$${" is a literal "${"
                result += "{"
                rest = rest[dollar.upperBound...]
                continue
            }
            guard let close = rest[dollar.upperBound...].firstIndex(of: "}") else {
                throw ConfigError(
                    code: .syntax, problem: "'${' has no '}'", fix: "close it, or write $${ for a literal ${")
            }
            let inside = rest[dollar.upperBound..<close]
            let fallback = inside.place(of: ":-")
            let name = String(inside[..<(fallback?.lowerBound ?? inside.endIndex)])
            guard Self.isVariableName(name) else {
                throw ConfigError(
                    code: .syntax, problem: "'${\(inside)}' does not name an environment variable",
                    fix: "write ${NAME} or ${NAME:-default}; write $${ for a literal ${")
            }
            let value = environment(name)
            if let fallback {
                result += value.flatMap { $0.isEmpty ? nil : $0 } ?? String(inside[fallback.upperBound...])
            } else if let value {
                result += value
            } else {
                throw ConfigError(
                    code: .missing, problem: "the environment variable \(name) is not set",
                    fix: "set it, or give a default: ${\(name):-value}")
            }
            usesEnvironment = true
            rest = rest[rest.index(after: close)...]
        }
        return (result + rest, usesEnvironment)
    }

    private func fileContent(_ path: String, written: String, _ range: SourceRange) throws(ConfigError) -> String {
        guard !path.isEmpty else {
            throw ConfigError(code: .missing, problem: "'file:' has no path", fix: "write file:PATH")
        }
        let resolved = FilePath.resolve(path, beside: name(of: range))
        let bytes: [UInt8]
        do throws(FileReadError) {
            bytes = try reader.read(path: resolved, bytesMax: Self.secretBytesMax)
        } catch {
            if error.isTooLarge { throw Self.tooLarge(written) }
            throw ConfigError(
                code: .unreadable, problem: "the file of '\(written)' cannot be read: \(error.reason)",
                fix: "check the path (relative to this file) and its permissions")
        }
        guard bytes.count <= Self.secretBytesMax else { throw Self.tooLarge(written) }
        guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw ConfigError(
                code: .invalid, problem: "the file of '\(written)' is not UTF-8 text", fix: "use a text file")
        }
        // Editors and `echo` end a file with a line end that is no part of the value.
        let lineEnd = bytes.last == 0x0A ? (bytes.dropLast().last == 0x0D ? 2 : 1) : 0
        return lineEnd == 0 ? text : String(decoding: bytes.dropLast(lineEnd), as: UTF8.self)
    }

    private static func tooLarge(_ written: String) -> ConfigError {
        ConfigError(
            code: .tooLarge,
            problem: "the file of '\(written)' has more than \(SizeText.format(Self.secretBytesMax))",
            fix: "name a file that holds this one value and nothing else")
    }

    private static func isVariableName(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return name.utf8.allSatisfy {
            switch $0 {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F: true
            default: false
            }
        }
    }

    /// Nothing behind a key: often because a `#` began a comment there.
    func emptyValue(_ node: YAMLNode, at path: String, expected: String) {
        let line = Array(sourceLine(node.range.start, file: node.range.file).unicodeScalars)
        let start = max(0, Int(node.range.start.column) - 2)
        let hash = line.indices.dropFirst(start).first { line[$0] == "#" }
        if let hash, hash > 0, line[hash - 1] == " ", hash + 1 < line.count, line[hash + 1] != " " {
            var value = String.UnicodeScalarView()
            value.append(contentsOf: line[hash...])
            let range = SourceRange(
                file: Int(node.range.file), start: SourcePosition(line: Int(node.range.start.line), column: hash + 1),
                end: SourcePosition(line: Int(node.range.start.line), column: line.count + 1))
            error(
                .missing, at: range, path: path, "the value is empty: '#' behind a space begins a comment",
                fix: "if it is part of the value, put it in quotes: \"\(String(value))\"")
            return
        }
        if case .scalar(let scalar) = node.content, !scalar.text.isEmpty {
            error(
                .missing, at: node.range, path: path, "'\(scalar.text)' without quotes is an empty value in YAML",
                fix: "write \(expected); if the word itself is meant, put it in quotes: \"\(scalar.text)\"")
            return
        }
        error(.missing, at: node.range, path: path, "the value is empty", fix: "write \(expected), or remove the key")
    }

    /// A name of a listener, rule, group…: it is an identity, so it is written out.
    func name(_ node: YAMLNode, at path: String) -> String? {
        guard let text = text(node, at: path, expected: "a name of a-z, 0-9 and '-'") else { return nil }
        guard text.reference == nil else {
            error(
                .invalid, at: text.range, path: path, "a name cannot come from ${} or file:",
                fix: "write it out: names are shown everywhere")
            return nil
        }
        guard Identity.isName(text.value) else {
            let reason = text.value.utf8.count > 32 ? "has more than 32 characters" : "is not a name"
            error(
                .invalid, at: text.range, path: path, "'\(text.value)' \(reason)",
                fix: "use 1 to 32 of a-z, 0-9 and '-'\(Self.repaired(text.value).map { ": \($0)" } ?? "")")
            // Kept as it is: references to it are not errors of their own.
            return text.value
        }
        return text.value
    }

    private static func repaired(_ name: String) -> String? {
        let repaired = String(name.lowercased().map { $0 == "_" || $0 == " " || $0 == "." ? "-" : $0 }.prefix(32))
        return Identity.isName(repaired) ? repaired : nil
    }

    /// The items of a list, or the one value that stands for a list of one.
    func items(_ node: YAMLNode, at path: String) -> [(node: YAMLNode, path: String)] {
        note(path, at: node.range)
        if case .sequence(let items) = node.content {
            return items.enumerated().map { ($1, "\(path)[\($0)]") }
        }
        return [(node, "\(path)[0]")]
    }

    /// A list of mappings, `listeners: [...]`.
    ///
    /// - Returns: `nil` after an error.
    func list(_ node: YAMLNode, at path: String, of noun: String) -> [YAMLNode]? {
        note(path, at: node.range)
        switch node.content {
        case .sequence(let items): return items
        case .scalar(let scalar) where scalar.isNull:
            emptyValue(node, at: path, expected: "a list of \(noun)")
        case .scalar, .mapping:
            error(
                .wrongType, at: node.range, path: path, "a list of \(noun) belongs here",
                fix: "start each of them with '- '")
        }
        return nil
    }
}
