import PoiseModel
import PoiseYAML

/// One load in progress: the files read so far, what is wrong with them, and where each value was written.
///
/// A path names a value by its place in the `Configuration`: `listeners[0].timeouts.head`. Errors of the Model carry
/// paths, and this finds the place in the file.
final class Loading {
    private(set) var files: [ConfigReport.File] = []
    private(set) var diagnostics: [Diagnostic] = []
    /// Path -> where it is written.
    private(set) var places: [String: SourceRange] = [:]
    /// Path -> the text as written, where it came from `${}` or `file:`: what is shown instead of the value.
    private(set) var references: [String: String] = [:]
    /// Something could not be read at all: names may be missing that the user did write.
    var isIncomplete = false

    /// What the files say, not yet looked at.
    var parts = FileParts()

    let reader: any FileReader
    let environment: (String) -> String?
    let tlsFiles: TLSFileCheck?
    /// Prototypes that `defaults` changes.
    var listenerDefaults = Listener(id: "", addresses: [], rules: [], defaultAction: nil)
    var tlsDefaults = ListenerTLS(certificates: [])
    var groupDefaults = GroupDraft()
    var ruleSets: [String: RuleSet] = [:]
    /// The index that the next group written in place will have, and those there are.
    var inPlaceGroups: [TargetGroup] = []
    var namedGroupCount = 0
    var groupNames: Set<String> = []

    /// Paths with an error, and all paths above them: what follows from an error is not reported again.
    private var failed: Set<String> = []
    private var aroundFailed: Set<String> = []
    private var reported: Set<Reported> = []

    private struct Reported: Hashable {
        var range: SourceRange
        var problem: String
    }

    init(reader: any FileReader, environment: @escaping (String) -> String?, tlsFiles: TLSFileCheck? = nil) {
        (self.reader, self.environment, self.tlsFiles) = (reader, environment, tlsFiles)
    }

    // MARK: - Files

    /// Adds a text that diagnostics may point into.
    func add(name: String, text: SourceText) -> Int {
        files.append(.init(name: name, text: text))
        return files.count - 1
    }

    func name(of range: SourceRange) -> String { files[Int(range.file)].name }

    func sourceLine(_ position: SourcePosition, file: Int32) -> String {
        files[Int(file)].text.line(Int(position.line))
    }

    // MARK: - Places

    func note(_ path: String, at range: SourceRange) { places[path] = range }

    func note(_ path: String, reference: String) { references[path] = reference }

    /// Where the value of `path` was written: there, in `defaults`, or the nearest part around it.
    func place(of path: String) -> SourceRange {
        var path = path
        while true {
            if let range = exactPlace(of: path) { return range }
            guard !path.isEmpty else { break }
            path = Self.parent(of: path)
        }
        let start = SourcePosition(line: 1, column: 1)
        return places[""] ?? SourceRange(file: 0, start: start, end: start)
    }

    /// Whether the file says it, for this object or in `defaults`.
    func isWritten(_ path: String) -> Bool { exactPlace(of: path) != nil }

    /// Whether the object that has it says it, and not `defaults`.
    func isWrittenItself(_ path: String) -> Bool { places[path] != nil }

    private func exactPlace(of path: String) -> SourceRange? {
        places[path] ?? Self.inherited(path).flatMap { places[$0] }
    }

    /// Where `defaults` would have said it: `listeners[3].timeouts.head` -> `defaults.listener.timeouts.head`.
    static func inherited(_ path: String) -> String? {
        for (list, prototype) in [("listeners[", "defaults.listener"), ("target_groups[", "defaults.target_group")]
        where path.hasPrefix(list) {
            guard let close = path.firstIndex(of: "]") else { return nil }
            let rest = path[path.index(after: close)...]
            // One of several checks begins with what is said of a single one.
            if rest.hasPrefix(".health_checks.checks["), let end = rest.firstIndex(of: "]") {
                return "\(prototype).health_check\(rest[rest.index(after: end)...])"
            }
            return rest.isEmpty ? nil : prototype + rest
        }
        return nil
    }

    static func parent(of path: String) -> String {
        guard let end = path.lastIndex(where: { $0 == "." || $0 == "[" }) else { return "" }
        return String(path[..<end])
    }

    // MARK: - Diagnostics

    /// An error that reading found; whatever the Model says about the same part later is dropped.
    func error(_ code: ConfigError.Code, at range: SourceRange, path: String, _ problem: String, fix: String) {
        // What a misspelt key would have said is not missing.
        if code == .missing, failed.contains(path) { return }
        failed.insert(path)
        var outer = path
        while aroundFailed.insert(outer).inserted, !outer.isEmpty { outer = Self.parent(of: outer) }
        add(Diagnostic(severity: .error, code: code, range: range, problem: problem, fix: fix))
    }

    /// - Parameter path: of the value that `error.path` is relative to.
    func error(_ error: ConfigError, at range: SourceRange, path: String) {
        self.error(
            error.code, at: range, path: error.path.isEmpty ? path : error.under(path).path, error.problem,
            fix: error.fix)
    }

    func warning(_ code: ConfigError.Code, at range: SourceRange, _ problem: String, fix: String) {
        add(Diagnostic(severity: .warning, code: code, range: range, problem: problem, fix: fix))
    }

    func add(_ problem: YAMLProblem) {
        let code: ConfigError.Code =
            switch problem.code {
            case .syntax: .syntax
            case .duplicate: .duplicate
            case .unsupported: .invalid
            case .tooLarge: .tooLarge
            }
        add(
            Diagnostic(
                severity: .error, code: code, range: problem.range, problem: problem.problem, fix: problem.fix,
                notes: problem.first.map { [.init(range: $0, text: "the first one is here")] } ?? []))
    }

    /// Takes over what the Model found, without what follows from errors that are reported already.
    func add(_ error: ConfigError, severity: Diagnostic.Severity) {
        guard !followsFromReported(error) else { return }
        var diagnostic = Diagnostic(
            severity: severity, code: error.code, range: place(of: error.path), problem: error.problem, fix: error.fix)
        if let reference = reference(under: error.path) ?? error.related.flatMap(reference(under:)) {
            diagnostic.problem = "the value of \(reference) is refused: it is \(Self.describe(error.code))"
            diagnostic.fix = "change the value, or write it out to see the full text of this error"
        }
        if let part = error.part { diagnostic.range = narrowed(diagnostic.range, to: part) }
        if let related = error.related, let range = exactPlace(of: related), range != diagnostic.range {
            diagnostic.notes = [.init(range: range, text: "the other one is here")]
        }
        add(diagnostic)
    }

    func report() -> ConfigReport {
        let sorted = diagnostics.enumerated().sorted { a, b in
            (a.element.range.file, a.element.range.start, a.offset) < (
                b.element.range.file, b.element.range.start, b.offset
            )
        }
        return ConfigReport(files: files, diagnostics: sorted.map(\.element))
    }

    /// Whether this value, or a part of it, is reported already.
    func isRefused(_ path: String) -> Bool {
        aroundFailed.contains(path) || Self.inherited(path).map { aroundFailed.contains($0) } ?? false
    }

    var hasErrors: Bool { diagnostics.contains { $0.severity == .error } }

    private func add(_ diagnostic: Diagnostic) {
        guard reported.insert(Reported(range: diagnostic.range, problem: diagnostic.problem)).inserted else { return }
        diagnostics.append(diagnostic)
    }

    private func followsFromReported(_ error: ConfigError) -> Bool {
        if aroundFailed.contains(error.path) { return true }
        if let inherited = Self.inherited(error.path), aroundFailed.contains(inherited) { return true }
        if error.code == .conflict, aroundFailed.contains(Self.parent(of: error.path)) { return true }
        if isIncomplete, error.code == .unknownName || error.path == "listeners" || error.code == .unused {
            return true
        }
        var outer = error.path
        while !outer.isEmpty {
            if failed.contains(outer) { return true }
            outer = Self.parent(of: outer)
        }
        return false
    }

    /// The reference that a path, or the one value that it is a part of, was read from.
    func reference(under path: String) -> String? {
        if let address = references["\(path).address"] { return address }
        var outer = path
        while !outer.isEmpty {
            if let reference = references[outer] { return reference }
            outer = Self.parent(of: outer)
        }
        return nil
    }

    private static func describe(_ code: ConfigError.Code) -> String {
        switch code {
        case .duplicate: "used twice"
        case .unknownName: "the name of nothing here"
        default: "not possible beside the other settings"
        }
    }
}
