import PoiseModel

/// What became of one rule that was tried: for `poise explain`.
public struct RuleTrace: Sendable, Equatable, CustomStringConvertible {
    /// The first condition of a rule that did not hold.
    public struct Mismatch: Sendable, Equatable {
        /// Index into the rule's conditions.
        public var condition: Int
        /// The condition, as written.
        public var wanted: Condition
        /// What it was compared with: the host in lower case without its trailing dot, or the normalised path.
        public var seen: String
    }

    /// Index into the table's rules.
    public var rule: Int
    public var id: String
    /// `nil`: the rule matched, and no later one was tried.
    public var mismatch: Mismatch?

    public var description: String {
        guard let mismatch else { return "\(id): matches" }
        let (noun, globs) =
            switch mismatch.wanted {
            case .host(let globs): ("host", globs)
            case .path(let globs): ("path", globs)
            }
        let patterns = globs.map { "'\($0)'" }.joined(separator: ", ")
        let verdict = globs.count == 1 ? "does not match \(patterns)" : "matches none of \(patterns)"
        return "\(id): \(noun) '\(mismatch.seen)' \(verdict)"
    }
}

extension RouteTable {
    /// Every rule in order up to the one that matches, and why those before it do not.
    ///
    /// Deliberately naive and without a line in common with ``match(host:path:)`` but the normal form of patterns: the
    /// tests hold one against the other. Cost: all rules, all patterns, with allocation.
    public func explain(host: Span<UInt8>, path: Span<UInt8>) -> [RuleTrace] {
        var host = host.indices.map { host[$0] }.map { (0x41...0x5A).contains($0) ? $0 + 32 : $0 }
        if host.last == UInt8(ascii: ".") { host.removeLast() }
        let path = path.indices.map { path[$0] }
        var traces: [RuleTrace] = []
        for (index, rule) in rules.enumerated() {
            let failed = rule.conditions.firstIndex { condition in
                switch condition {
                case .host(let globs): !globs.contains { Self.matchesByTable(GlobPattern(host: $0).bytes, host) }
                case .path(let globs): !globs.contains { Self.matchesByTable(GlobPattern(path: $0).bytes, path) }
                }
            }
            let mismatch = failed.map { failed in
                let condition = rule.conditions[failed]
                let seen = if case .host = condition { host } else { path }
                return RuleTrace.Mismatch(
                    condition: failed, wanted: condition, seen: String(decoding: seen, as: UTF8.self))
            }
            traces.append(RuleTrace(rule: index, id: rule.id, mismatch: mismatch))
            if mismatch == nil { break }
        }
        return traces
    }

    /// A glob by the textbook: `row[i]` says whether the pattern so far matches the first `i` bytes of the text.
    private static func matchesByTable(_ pattern: [UInt8], _ text: [UInt8]) -> Bool {
        var row = [true] + Array(repeating: false, count: text.count)
        for wanted in pattern {
            var next = Array(repeating: false, count: row.count)
            if wanted == UInt8(ascii: "*") {
                var reached = false
                for index in row.indices {
                    reached = reached || row[index]
                    next[index] = reached
                }
            } else {
                for index in text.indices where row[index] {
                    next[index + 1] = wanted == UInt8(ascii: "?") || wanted == text[index]
                }
            }
            row = next
        }
        return row[text.count]
    }
}
