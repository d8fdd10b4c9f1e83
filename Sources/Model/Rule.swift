/// Conditions that must all hold, and what is done then.
public struct Rule: Sendable, Equatable {
    /// Identity over an apply: `name`, or the canonical conditions. Never the position.
    public var id: String
    public var name: String?
    /// Empty: always matches.
    public var conditions: [Condition]
    public var action: Action

    public init(id: String, name: String? = nil, conditions: [Condition], action: Action) {
        (self.id, self.name, self.conditions, self.action) = (id, name, conditions, action)
    }
}

/// One condition holds when any of its patterns does.
public enum Condition: Sendable, Hashable {
    /// Compared without case and without port.
    case host([Glob])
    /// Compared with case, on the normalised path.
    case path([Glob])
}

/// `*` any run of characters (also `/` and none), `?` exactly one; the whole string must match.
public struct Glob: Sendable, Hashable, CustomStringConvertible {
    public let pattern: String
    public init(_ pattern: String) { self.pattern = pattern }
    public var description: String { pattern }
}

public enum Action: Sendable, Equatable {
    case forward(Forward)
    case redirect(Redirect)
    case fixedResponse(FixedResponse)
}

/// One or several groups by weight.
public struct Forward: Sendable, Equatable {
    public struct Share: Sendable, Hashable {
        /// A ``TargetGroup/id``.
        public var group: String
        /// 0...999, as ELBv2. All 0: 503 with reason `no_weight`.
        public var weight: Int
        public init(group: String, weight: Int = 1) { (self.group, self.weight) = (group, weight) }
    }
    /// One or more.
    public var shares: [Share]
    public init(shares: [Share]) { self.shares = shares }
}

/// The parts of a redirect's target; `nil` keeps the request's own part.
///
/// Each text may use `#{protocol}`, `#{host}`, `#{port}`, `#{path}` (without its leading slash) and `#{query}`,
/// as ELBv2 does.
public struct Redirect: Sendable, Equatable {
    public var scheme: String?
    public var host: String?
    public var port: String?
    public var path: String?
    /// Without the `?`; empty removes the query.
    public var query: String?
    /// 301, 302, 303, 307 or 308.
    public var status: Int
    public init(
        scheme: String? = nil, host: String? = nil, port: String? = nil, path: String? = nil, query: String? = nil,
        status: Int = 302
    ) {
        (self.scheme, self.host, self.port, self.path) = (scheme, host, port, path)
        (self.query, self.status) = (query, status)
    }
}

public struct FixedResponse: Sendable, Equatable {
    /// 200...599
    public var status: Int
    public var contentType: String
    public var body: String
    public init(status: Int, contentType: String = "text/plain; charset=utf-8", body: String = "") {
        (self.status, self.contentType, self.body) = (status, contentType, body)
    }
}
