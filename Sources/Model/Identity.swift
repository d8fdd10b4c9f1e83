/// How an apply recognises what it already runs: by name, else by what the object is. Never by its position.
public enum Identity {
    /// Names of load balancers, listeners, rules, rule sets and groups: 1...32 of a-z, 0-9 and `-`.
    ///
    /// Nothing else can look like a name: an address has a colon, a canonical condition a space.
    public static func isName(_ text: String) -> Bool {
        (1...32).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                switch $0 {
                case 0x30...0x39, 0x61...0x7A, 0x2D: true
                default: false
                }
            }
    }

    /// `web`, or `HTTP 127.0.0.1:80,[::1]:80` for a listener without a name: the order of the addresses does not count.
    public static func listener(
        name: String?, protocolKind: Listener.ListenerProtocol, addresses: [ListenAddress]
    ) -> String {
        name ?? "\(protocolKind.rawValue) \(addresses.map(\.description).sorted().joined(separator: ","))"
    }

    /// `static-files`, or the conditions in one canonical form: `host in ["shop.test"] and path in ["/a","/b/*"]`.
    ///
    /// Hosts are compared without case, so they are written in lower case; the order of patterns does not count; a
    /// rule that always matches is `*`.
    public static func rule(name: String?, conditions: [Condition]) -> String {
        name ?? canonical(conditions)
    }

    /// The same text for the same set of requests, as far as can be seen without comparing patterns.
    public static func canonical(_ conditions: [Condition]) -> String {
        guard !conditions.isEmpty else { return "*" }
        let texts = conditions.map { condition in
            switch condition {
            case .host(let globs): "host in [\(list(globs.map { $0.pattern.lowercased() }))]"
            case .path(let globs): "path in [\(list(globs.map(\.pattern)))]"
            }
        }
        return Set(texts).sorted().joined(separator: " and ")
    }

    /// The group written in place behind a rule; a listener's default action is the rule `default`.
    public static func inPlaceGroup(listener: String, rule: String) -> String { "\(listener)/\(rule)" }

    /// What stands for the default action in the identity of its group. No rule may have this name.
    public static let defaultRule = "default"

    private static func list(_ patterns: [String]) -> String {
        Set(patterns).sorted().map { pattern in
            let escaped = pattern.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : String($0) }.joined()
            return "\"\(escaped)\""
        }.joined(separator: ",")
    }
}
