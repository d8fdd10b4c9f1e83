import PoiseModel

/// What dialogues and DNS checks ask, while it is read: all kinds together, as `defaults` may say it before it is known which.
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
}
