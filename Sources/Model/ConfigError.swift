/// A setting that is refused: where it is, what is wrong, how to fix it.
///
/// `path` is relative to the value whose initialiser threw (`timeout`, `rules[2].forward`); each layer above
/// prefixes its own part with ``under(_:)``, and the room Config turns the whole path into `file:line:col`.
public struct ConfigError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A struct, not an enum: a new code never breaks a caller's `switch`.
    public struct Code: Sendable, Hashable {
        public let name: String
        public init(name: String) { self.name = name }

        public static let outOfRange = Code(name: "out-of-range")
        public static let invalid = Code(name: "invalid")
        public static let missing = Code(name: "missing")
        public static let duplicate = Code(name: "duplicate")
        public static let unknownKey = Code(name: "unknown-key")
        public static let unknownName = Code(name: "unknown-name")
        public static let wrongType = Code(name: "wrong-type")
        public static let notAvailable = Code(name: "not-available")
        public static let conflict = Code(name: "conflict")
        public static let unreadable = Code(name: "unreadable")
        public static let syntax = Code(name: "syntax")
        public static let tooLarge = Code(name: "too-large")
    }

    public var code: Code
    /// `listeners[0].rules[2].forward`; empty means the value itself.
    public var path: String
    /// no target group is called 'web-v3'
    public var problem: String
    /// use one of: api, web-v2
    public var fix: String

    /// The path of the other place, where two settings contradict each other.
    public var related: String?

    /// What of the value is wrong, as the file writes it where the value is a longer text; `nil`: all of it.
    public var part: String?

    public init(code: Code, path: String = "", problem: String, fix: String, related: String? = nil) {
        (self.code, self.path, self.problem, self.fix, self.related) = (code, path, problem, fix, related)
    }

    /// The same error seen from one level further out.
    public func under(_ parent: String) -> ConfigError {
        func joined(_ path: String) -> String {
            path.isEmpty ? parent : path.hasPrefix("[") ? parent + path : "\(parent).\(path)"
        }
        var outer = self
        outer.path = joined(path)
        outer.related = related.map(joined)
        return outer
    }

    public var description: String { "\(path): \(problem) (\(code.name)). help: \(fix)" }
}
