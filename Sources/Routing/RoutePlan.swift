import PoiseModel

/// Rules sorted into scopes: the step between the written form and the compiled one.
struct RoutePlan {
    struct Scope {
        let hosts: [GlobPattern]
        let firstRule: UInt32
        var paths: [PatternForest.Entry] = []
    }

    /// In the order of their first rules.
    private(set) var scopes: [Scope] = []
    private(set) var further = FurtherConditions()

    init(rules: [Rule]) {
        let everything = GlobPattern(path: Glob("*"))
        var scopeOfHosts: [[GlobPattern]: Int] = [:]
        for (index, rule) in rules.enumerated() {
            var hosts: [GlobPattern]?
            var paths: [GlobPattern]?
            for condition in rule.conditions {
                switch condition {
                case .host(let globs):
                    let patterns = Self.canonical(globs.map(GlobPattern.init(host:)))
                    if hosts == nil { hosts = patterns } else { further.append(patterns, isHost: true) }
                case .path(let globs):
                    let patterns = Self.canonical(globs.map(GlobPattern.init(path:)))
                    if paths == nil { paths = patterns } else { further.append(patterns, isHost: false) }
                }
            }
            further.endRule()
            let scopeHosts = hosts ?? [everything]
            let scope = scopeOfHosts[scopeHosts] ?? scopes.count
            if scope == scopes.count {
                scopeOfHosts[scopeHosts] = scope
                scopes.append(Scope(hosts: scopeHosts, firstRule: UInt32(index)))
            }
            for pattern in paths ?? [everything] {
                scopes[scope].paths.append(PatternForest.Entry(pattern: pattern, value: UInt32(index)))
            }
        }
    }

    /// The same set of patterns always as the same list.
    private static func canonical(_ patterns: [GlobPattern]) -> [GlobPattern] {
        if let everything = patterns.first(where: \.matchesEverything) { return [everything] }
        return Set(patterns).sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
    }
}

/// The conditions of each rule that its place in the tries does not imply; most rules have none.
struct FurtherConditions: Sendable {
    private struct Clause: Sendable {
        var isHost: Bool
        /// Into `patternEnds`.
        var patterns: Range<UInt32>
    }

    /// One past the last clause of each rule.
    private var clauseEnds: [UInt32] = []
    private var clauses: [Clause] = []
    /// One past the last byte of each pattern, which starts where the one before it ends.
    private var patternEnds: [UInt32] = []
    private var bytes: [UInt8] = []

    /// Adds a condition of the rule that is being planned.
    mutating func append(_ patterns: [GlobPattern], isHost: Bool) {
        let start = UInt32(patternEnds.count)
        for pattern in patterns {
            bytes += pattern.bytes
            patternEnds.append(UInt32(bytes.count))
        }
        clauses.append(Clause(isHost: isHost, patterns: start..<UInt32(patternEnds.count)))
    }

    mutating func endRule() { clauseEnds.append(UInt32(clauses.count)) }

    @inline(__always) func exist(forRule rule: UInt32) -> Bool { !clauseRange(rule).isEmpty }

    @inline(__always)
    func hold(forRule rule: UInt32, _ host: borrowing Subject, _ path: borrowing Subject) -> Bool {
        for index in clauseRange(rule) {
            let clause = clauses[index]
            if clause.isHost ? !anyMatches(clause, host) : !anyMatches(clause, path) { return false }
        }
        return true
    }

    @inline(__always) private func clauseRange(_ rule: UInt32) -> Range<Int> {
        (rule == 0 ? 0 : Int(clauseEnds[Int(rule) - 1]))..<Int(clauseEnds[Int(rule)])
    }

    private func anyMatches(_ clause: Clause, _ subject: borrowing Subject) -> Bool {
        for index in clause.patterns {
            let start = index == 0 ? 0 : Int(patternEnds[Int(index) - 1])
            let pattern = bytes.span.extracting(start..<Int(patternEnds[Int(index)]))
            if GlobPattern.matches(pattern, subject.bytes, foldBit: subject.foldBit) { return true }
        }
        return false
    }
}
