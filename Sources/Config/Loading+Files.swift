import PoiseModel
import PoiseYAML

/// What the main file and the files it includes say, section by section.
struct FileParts {
    var process: YAMLNode?
    var logs: YAMLNode?
    var defaults: YAMLNode?
    var loadBalancers: [YAMLNode] = []
    var listeners: [YAMLNode] = []
    var ruleSets: [YAMLNode] = []
    var targetGroups: [YAMLNode] = []
    var notify: [YAMLNode] = []
}

extension Loading {
    /// Files that include each other, from the main file down.
    static let includeDepthMax = 8
    /// Files of one configuration.
    static let fileCountMax = 256

    func readMainFile(_ path: String) {
        let bytes: [UInt8]
        do throws(FileReadError) {
            bytes = try reader.read(path: path, bytesMax: YAMLLimits().bytesMax)
        } catch {
            if error.isTooLarge {
                refuseTooLarge(path)
            } else {
                refuseFile(
                    path, .unreadable, "the file cannot be read: \(error.reason)",
                    fix: "check its path and permissions")
            }
            return
        }
        readMainFile(path, bytes: bytes)
    }

    func readMainFile(_ path: String, bytes: [UInt8]) {
        readFile(path, bytes, below: [], isMain: true)
    }

    private func refuseTooLarge(_ path: String) {
        refuseFile(
            path, .tooLarge, "the file has more than \(SizeText.format(YAMLLimits().bytesMax))",
            fix: "name a configuration file; split a long one with 'include'")
    }

    /// An error of a whole file, of which nothing is kept.
    private func refuseFile(_ path: String, _ code: ConfigError.Code, _ problem: String, fix: String) {
        let start = SourcePosition(line: 1, column: 1)
        let range = SourceRange(file: add(name: path, text: SourceText("")), start: start, end: start)
        isIncomplete = true
        error(code, at: range, path: "", problem, fix: fix)
    }

    /// - Parameter below: the normalised paths of the files that led here.
    private func readFile(_ path: String, _ bytes: [UInt8], below: [String], isMain: Bool) {
        guard bytes.count <= YAMLLimits().bytesMax else {
            refuseTooLarge(path)
            return
        }
        let text = SourceText(bytes)
        let file = add(name: path, text: text)
        let document = YAMLDocument(parsing: text, file: file)
        document.problems.forEach { add($0) }
        guard let root = document.root else {
            isIncomplete = true
            if document.problems.isEmpty {
                let start = SourcePosition(line: 1, column: 1)
                error(
                    .missing, at: SourceRange(file: file, start: start, end: start), path: "", "the file is empty",
                    fix: "start with 'listeners:'")
            }
            return
        }
        // All keys are known everywhere: an included file hears where these belong and not "no such key".
        let once = ["process", "logs", "defaults"]
        guard
            let section = section(
                root, at: "", "the file", keys: ObjectKeys.top.names, later: LaterFeatures.top,
                elsewhere: LaterFeatures.topElsewhere, allowsExtensions: true)
        else {
            isIncomplete = true
            return
        }
        readVersion(section)
        if isMain {
            (parts.process, parts.logs, parts.defaults) = (section["process"], section["logs"], section["defaults"])
        } else {
            for key in section.written(once) {
                error(
                    .conflict, at: section.keyRange(key), path: key, "'\(key)' belongs into the main file",
                    fix: "move it to \(files[0].name)")
            }
        }
        gather(section, "load_balancers", "load balancers", into: \.loadBalancers)
        gather(section, "listeners", "listeners", into: \.listeners)
        gather(section, "rule_sets", "rule sets", into: \.ruleSets)
        gather(section, "target_groups", "target groups", into: \.targetGroups)
        gather(section, "notify", "hooks", into: \.notify)
        if let include = section["include"] {
            readIncludes(include, at: "include", from: path, below: below + [FilePath.normalised(path)])
        }
    }

    private func gather(
        _ section: Section, _ key: String, _ noun: String, into list: WritableKeyPath<FileParts, [YAMLNode]>
    ) {
        guard let node = section[key] else { return }
        guard let items = self.list(node, at: key, of: noun) else {
            isIncomplete = true
            return
        }
        parts[keyPath: list] += items
    }

    private func readVersion(_ section: Section) {
        guard let node = section["version"], let text = text(node, at: "version", expected: "1") else { return }
        guard text.value != "1" else { return }
        let isNumber = Int(text.value) != nil
        error(
            isNumber ? .notAvailable : .wrongType, at: text.range, path: "version",
            isNumber ? "version \(text.value) is not available in this version of Poise" : "the version is a number",
            fix: "write 'version: 1'")
    }

    private func readIncludes(_ node: YAMLNode, at path: String, from including: String, below: [String]) {
        for item in items(node, at: path) {
            guard let text = text(item.node, at: item.path, expected: "the path of a file") else {
                isIncomplete = true
                continue
            }
            let resolved = FilePath.resolve(text.value, beside: including)
            let normalised = FilePath.normalised(resolved)
            if let problem = includeProblem(normalised, below: below) {
                isIncomplete = true
                error(.conflict, at: text.range, path: item.path, problem, fix: "remove this line")
                continue
            }
            do throws(FileReadError) {
                let bytes = try reader.read(path: resolved, bytesMax: YAMLLimits().bytesMax)
                readFile(resolved, bytes, below: below, isMain: false)
            } catch {
                isIncomplete = true
                refuseInclude(text, resolved, at: item.path, error)
            }
        }
    }

    private func refuseInclude(_ text: Text, _ resolved: String, at path: String, _ error: FileReadError) {
        let shown = text.reference ?? resolved
        if error.isTooLarge {
            self.error(
                .tooLarge, at: text.range, path: path,
                "the file '\(shown)' has more than \(SizeText.format(YAMLLimits().bytesMax))",
                fix: "name a configuration file; split a long one into several")
        } else if text.value.utf8.contains(where: { $0 == 0x2A || $0 == 0x3F || $0 == 0x5B }) {
            // Only now: a file may well have such a name.
            self.error(
                .unreadable, at: text.range, path: path,
                "the file '\(shown)' cannot be read: \(error.reason); globs are not supported here",
                fix: "name each file by its path: include: [listeners.yaml, groups.yaml]")
        } else {
            self.error(
                .unreadable, at: text.range, path: path, "the file '\(shown)' cannot be read: \(error.reason)",
                fix: "check the path (relative to this file) and its permissions")
        }
    }

    private func includeProblem(_ path: String, below: [String]) -> String? {
        if below.contains(path) { return "the file includes itself: \((below + [path]).joined(separator: " -> "))" }
        if below.count >= Self.includeDepthMax {
            return "files include each other deeper than \(Self.includeDepthMax) levels"
        }
        if files.count >= Self.fileCountMax { return "there are more than \(Self.fileCountMax) files" }
        if files.contains(where: { FilePath.normalised($0.name) == path }) { return "the file is included already" }
        return nil
    }
}
