import PoiseModel

/// What checks other than HTTP ask, while it is read: all kinds together, as `defaults` may say it before it is known which.
struct KindOptions: Sendable {
    var steps: [ScriptProbe.Step] = []
    var isOverTLS = false
    var password: String?
    var helo = "localhost"
    var user: String?
    var dns = DNSProbe(query: "")

    init() {}

    init(_ probe: ScriptProbe) {
        isOverTLS = probe.isSecure
        switch probe.dialogue {
        case .steps(let steps): self.steps = steps
        case .redis(let password): self.password = password
        case .smtp(let helo): self.helo = helo
        case .mysql(let user), .postgresql(let user): self.user = user
        case .memcached, .ftp, .imap, .pop3: break
        }
    }

    init(_ probe: DNSProbe) { dns = probe }

    func script(_ dialogue: ScriptProbe.Dialogue, overTLS: Bool? = nil) -> HealthCheck.Kind {
        .script(ScriptProbe(dialogue, isSecure: overTLS ?? isOverTLS))
    }

    static let keys = ["script"] + SettingsTable.checkKinds.keys
}

extension HealthDraft.Kind {
    init(_ dialogue: ScriptProbe.Dialogue) {
        self =
            switch dialogue {
            case .steps: .script
            case .redis: .redis
            case .smtp: .smtp
            case .mysql: .mysql
            case .postgresql: .postgresql
            case .memcached: .memcached
            case .ftp: .ftp
            case .imap: .imap
            case .pop3: .pop3
            }
    }

    /// The keys that only some kinds have, and that this one has. Those of HTTP are elsewhere.
    var options: [String] {
        switch self {
        case .tcp, .tls, .http, .https, .icmp, .grpc, .agent, .exec, .file: []
        case .script: ["script", "tls"]
        case .redis: ["password", "tls"]
        case .smtp: ["helo", "tls"]
        case .mysql, .postgresql: ["user"]
        case .memcached, .ftp, .imap, .pop3: ["tls"]
        case .dns: ["query", "record", "transport", "answer"]
        }
    }
}

/// The one key of a step.
enum ScriptStepKey: String, CaseIterable {
    case send
    case sendHex = "send_hex"
    case expect
    case expectHex = "expect_hex"
    case expectRegex = "expect_regex"
}

extension SettingsTable {
    /// Rows of the same mapping as ``healthCheck``, each for some kinds of check.
    static let checkKinds = SettingsPlace<KindOptions>(
        "target_groups[].health_check",
        [
            .boolean(
                "tls", at: \.isOverTLS,
                "SCRIPT, REDIS, SMTP, MEMCACHED, FTP, IMAP, POP3: over TLS from the first byte, as the group's TLS settings say."
            ),
            .text(
                "password", at: \.password, form: "file:PATH or ${NAME}", unset: "none",
                "REDIS: logs in before PING; never shown, and never written here itself.", check: TextForm.secret),
            .text(
                "helo", at: \.helo, form: "a host name", "SMTP: the name that EHLO gives.", check: TextForm.helo),
            .text(
                "user", at: \.user, form: "a user's name", unset: "none",
                "MYSQL, POSTGRESQL: who logs in, without a password; none asks as a stranger, who may be refused.",
                check: TextForm.databaseUser),
            .init(
                keys: ["query"], type: .text(form: "a domain name"), unset: nil, attribute: nil,
                summary: "DNS: the name that is asked for; required.",
                get: { $0.dns.query.isEmpty ? nil : .text($0.dns.query) },
                set: { (root: inout KindOptions, value: SettingValue?) throws(ConfigError) in
                    guard case .text(let text)? = value else { return }
                    root.dns.query = try TextForm.domainName(text)
                }),
            .init(
                keys: ["record"], type: .choice(DNSProbe.Record.allCases.map(\.rawValue), later: []), unset: nil,
                attribute: nil, summary: "DNS: the type of record; one must be in the answer.",
                get: { .text($0.dns.record.rawValue) },
                set: { root, value in
                    if case .text(let text)? = value { root.dns.record = .init(rawValue: text) ?? .a }
                }),
            .init(
                keys: ["transport"], type: .choice(DNSProbe.Transport.allCases.map(\.rawValue), later: []), unset: nil,
                attribute: nil, summary: "DNS: udp, and TCP where the answer does not fit; or TCP at once.",
                get: { .text($0.dns.transport.rawValue) },
                set: { root, value in
                    if case .text(let text)? = value { root.dns.transport = .init(rawValue: text) ?? .udp }
                }),
            .init(
                keys: ["answer"], type: .text(form: "an IP address"), unset: "any", attribute: nil,
                summary: "DNS: this address must be among the answers; any record will do with any.",
                get: { $0.dns.answer.map { .text($0.description) } },
                set: { (root: inout KindOptions, value: SettingValue?) throws(ConfigError) in
                    guard case .text(let text)? = value else {
                        root.dns.answer = nil
                        return
                    }
                    guard let address = IPAddress(text) else {
                        throw ConfigError(
                            code: .invalid, problem: "'\(text)' is not an IP address",
                            fix: "write one such as 10.0.0.1, or any")
                    }
                    root.dns.answer = address
                }),
        ])
}
