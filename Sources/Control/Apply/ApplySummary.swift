import PoiseModel

/// What an apply changed, and whom it touched.
public struct ApplySummary: Sendable, Equatable {
    public struct Counts: Sendable, Equatable {
        public var added = 0
        public var changed = 0
        public var removed = 0
        public var unchanged = 0

        var isChange: Bool { added + changed + removed > 0 }

        /// - Parameters: objects by identity.
        init<Value: Equatable>(from old: [String: Value], to new: [String: Value]) {
            for (id, value) in new {
                switch old[id] {
                case nil: added += 1
                case value?: unchanged += 1
                default: changed += 1
                }
            }
            removed = old.keys.count { new[$0] == nil }
        }
    }

    public var generation: Int
    public var listeners: Counts
    public var rules: Counts
    public var groups: Counts
    public var targets: Counts
    /// Client connections that will close after their next answer: their listener went or moved.
    public var connectionsTouched: Int
    /// Exchanges in progress at targets that were removed: they may end in their own time.
    public var flowsDraining: Int
    /// The file's warnings, as they are printed; empty without.
    public var warnings = ""
    public var duration: Nanoseconds = .zero

    init(from old: Configuration?, to new: Configuration, generation: Int) {
        self.generation = generation
        listeners = Counts(from: Self.listeners(old), to: Self.listeners(new))
        rules = Counts(from: Self.rules(old), to: Self.rules(new))
        groups = Counts(from: Self.groups(old), to: Self.groups(new))
        targets = Counts(from: Self.targets(old), to: Self.targets(new))
        (connectionsTouched, flowsDraining) = (0, 0)
    }

    /// `listeners 1 added, 1 changed; targets 2 removed; 3 connections will close after their next answer`
    public var text: String {
        var parts: [String] = []
        for (noun, counts) in [("listeners", listeners), ("rules", rules), ("groups", groups), ("targets", targets)]
        where counts.isChange {
            let words = [(counts.added, "added"), (counts.changed, "changed"), (counts.removed, "removed")]
            parts.append("\(noun) " + words.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", "))
        }
        if parts.isEmpty { parts.append("nothing changed") }
        parts.append("\(connectionsTouched) connections touched")
        if flowsDraining > 0 { parts.append("\(flowsDraining) flows drain") }
        return parts.joined(separator: "; ")
    }

    // Rules and groups are counted by themselves: a listener has changed when its own settings have.
    private static func listeners(_ configuration: Configuration?) -> [String: Listener] {
        table(configuration?.listeners ?? []) { listener in
            var own = listener
            own.rules = []
            return (listener.id, own)
        }
    }

    private static func rules(_ configuration: Configuration?) -> [String: Rule] {
        table((configuration?.listeners ?? []).flatMap { listener in listener.rules.map { (listener.id, $0) } }) {
            ("\($0.0)/\($0.1.id)", $0.1)
        }
    }

    private static func groups(_ configuration: Configuration?) -> [String: TargetGroup] {
        table(configuration?.targetGroups ?? []) { group in
            var own = group
            own.targets = []
            return (group.id, own)
        }
    }

    private static func targets(_ configuration: Configuration?) -> [String: Target] {
        table((configuration?.targetGroups ?? []).flatMap { group in group.targets.map { (group.id, $0) } }) {
            ("\($0.0)/\($0.1.address)", $0.1)
        }
    }

    private static func table<Source, Value>(_ values: [Source], _ entry: (Source) -> (String, Value)) -> [String:
        Value]
    {
        Dictionary(values.map(entry), uniquingKeysWith: { first, _ in first })
    }
}

/// Why an apply was refused. Nothing has changed then.
public struct ApplyRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable {
        /// The configuration itself is wrong.
        case invalid
        /// It asks for what only a new process can do.
        case needsRestart
        /// The system would not have it: an address in use, a missing right.
        case system
        /// Poise is on its way out.
        case stopping
    }
    public var kind: Kind
    /// Complete, with the fix, perhaps of several lines.
    public var description: String

    public init(_ kind: Kind, _ description: String) { (self.kind, self.description) = (kind, description) }
}
