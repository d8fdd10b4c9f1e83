import PoiseModel

/// Which keys of a health check belong to which kinds: here, and nowhere else.
extension HealthDraft.Kind {
    /// The keys that only some kinds have, and that this one has.
    var ownKeys: [String] {
        switch self {
        case .tcp, .tls, .icmp: []
        case .http, .https: SettingsTable.httpProbe.keys
        case .script: ["script", "tls"]
        case .redis: ["password", "tls"]
        case .smtp: ["helo", "tls"]
        case .mysql, .postgresql: ["user"]
        case .memcached, .ftp, .imap, .pop3: ["tls"]
        case .dns: ["query", "record", "transport", "answer"]
        case .grpc: SettingsTable.grpcProbe.keys
        case .agent: SettingsTable.agentProbe.keys
        case .exec: SettingsTable.commandProbe.keys
        case .file: SettingsTable.fileProbe.keys
        }
    }

    /// Those of all kinds, each once.
    static let allOwnKeys = allCases.reduce(into: [String]()) { keys, kind in
        keys += kind.ownKeys.filter { !keys.contains($0) }
    }

    /// Keys of every check that this kind has no use for, and why.
    var uselessKeys: [(key: String, reason: String)] {
        switch self {
        case .agent: [("healthy", "an agent's word decides at once; only its silence is counted, by 'unhealthy'")]
        case .file:
            ["healthy", "unhealthy"].map { ($0, "a file is there or not: one look decides") }
                + [("edge_interval", "a file is there or not: one look decides, and no second one hurries after it")]
                + ["address", "port"].map { ($0, "a FILE check looks at a file on this machine and asks nobody") }
        case .tcp, .tls, .http, .https, .script, .redis, .smtp, .mysql, .postgresql, .memcached, .ftp, .imap, .pop3,
            .dns, .icmp, .grpc, .exec:
            []
        }
    }

    /// What was meant by a key that this kind does not have.
    ///
    /// - Returns: the kinds that have it; where one of these does what this one does, that alone.
    func kinds(meantBy key: String) -> [HealthDraft.Kind] {
        switch (self, key) {
        case (.tcp, "tls"): [.tls]
        case (.http, "tls"): [.https]
        case (.tls, "tls"), (.https, "tls"): []
        case (.tls, _) where HealthDraft.Kind.https.ownKeys.contains(key): [.https]
        case (_, _) where HealthDraft.Kind.http.ownKeys.contains(key): [.http]
        default: Self.kinds(having: key)
        }
    }

    static func kinds(having key: String) -> [HealthDraft.Kind] { allCases.filter { $0.ownKeys.contains(key) } }
}

extension Loading {
    /// Refuses keys that the kind of the check does not have.
    func refuseForeignKeys(_ section: Section, _ draft: HealthDraft, inDefaults: Bool) {
        // In `defaults` they may be for groups that say which kind they have.
        guard !isRefused(section.path("protocol")), draft.chosen != nil || !inDefaults else { return }
        let kind = draft.chosen ?? (draft.hasProbeKeys ? .http : nil)
        for key in section.written(HealthDraft.Kind.allOwnKeys) where kind?.ownKeys.contains(key) != true {
            let owners = HealthDraft.Kind.kinds(having: key)
            let problem = "'\(key)' is for checks of protocol \(Self.list(owners.map(\.rawValue)))"
            if let kind {
                let meant = Self.advice(kind.kinds(meantBy: key))
                error(
                    .conflict, at: section.keyRange(key), path: section.path(key),
                    "\(problem), and this is one of protocol \(kind.rawValue)",
                    fix: "remove '\(key)'" + (meant.map { ", or write \($0)" } ?? ""))
            } else {
                error(
                    .missing, at: section.keyRange(key), path: section.path("protocol"),
                    "\(problem), and nothing says that this is one",
                    fix: "add \(Self.advice(owners) ?? "the 'protocol' of the check")")
            }
        }
        for (key, reason) in kind?.uselessKeys ?? [] where section[key] != nil {
            error(.conflict, at: section.keyRange(key), path: section.path(key), reason, fix: "remove '\(key)'")
        }
    }

    /// - Returns: `nil` for none, and for more than anybody can have meant.
    private static func advice(_ kinds: [HealthDraft.Kind]) -> String? {
        (1...2).contains(kinds.count) ? list(kinds.map { "'protocol: \($0.rawValue)'" }) : nil
    }

    /// `a, b or c`
    private static func list(_ words: [String]) -> String {
        words.count < 2
            ? words.joined() : "\(words.dropLast().joined(separator: ", ")) or \(words[words.count - 1])"
    }
}
