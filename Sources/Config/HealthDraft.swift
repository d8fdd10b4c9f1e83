import PoiseModel

/// A health check while it is read: what `defaults` and the group say, before they make one policy.
struct HealthDraft: Sendable {
    enum Kind: String, Sendable, CaseIterable {
        case tcp = "TCP"
        case tls = "TLS"
        case http = "HTTP"
        case https = "HTTPS"
        case script = "SCRIPT"
        case redis = "REDIS"
        case smtp = "SMTP"
        case mysql = "MYSQL"
        case postgresql = "POSTGRESQL"
        case memcached = "MEMCACHED"
        case ftp = "FTP"
        case imap = "IMAP"
        case pop3 = "POP3"
        case dns = "DNS"
        case icmp = "ICMP"
        case grpc = "GRPC"
        case agent = "AGENT"
        case exec = "EXEC"
        case file = "FILE"

        /// Whether a request is sent.
        var asks: Bool { self == .http || self == .https }
    }

    var isOff = false
    /// What `protocol` says; `nil` where it is not written.
    var chosen: Kind?
    var hasProbeKeys = false
    var isTimeoutSet = false
    var isEdgeSet = false
    var check = HealthCheck()
    var probe = HTTPProbe()
    /// What dialogues and DNS checks ask.
    var options = KindOptions()
    var grpc = GRPCProbe()
    var agent = AgentProbe()
    var command = CommandProbe()
    var file = FileProbe()

    init() {}

    /// The draft that gives `check` back: for the canonical form.
    init(_ check: HealthCheck?) {
        isOff = check == nil
        guard let check else { return }
        self.check = check
        switch check.kind {
        case .tcp: chosen = .tcp
        case .tls: chosen = .tls
        case .http(let probe): (chosen, self.probe) = (probe.isSecure ? .https : .http, probe)
        case .script(let probe): (chosen, options) = (Kind(probe.dialogue), KindOptions(probe))
        case .dns(let probe): (chosen, options) = (.dns, KindOptions(probe))
        case .icmp: chosen = .icmp
        case .grpc(let probe): (chosen, grpc) = (.grpc, probe)
        case .agent(let probe): (chosen, agent) = (.agent, probe)
        case .exec(let probe): (chosen, command) = (.exec, probe)
        case .file(let probe): (chosen, file) = (.file, probe)
        }
        (isTimeoutSet, isEdgeSet) = (true, true)
    }

    /// Without a word about it: the least that shows what traffic needs. A certificate that does not hold is no service.
    static func unwritten(isSecureGroup: Bool) -> Kind { isSecureGroup ? .tls : .tcp }

    /// Values that nobody wrote follow a shorter interval, and the protocol follows the group's.
    func finished(isSecureGroup: Bool) -> HealthCheck? {
        guard !isOff else { return nil }
        var check = self.check
        let asking = isSecureGroup ? Kind.https : .http
        switch chosen ?? (hasProbeKeys ? asking : Self.unwritten(isSecureGroup: isSecureGroup)) {
        case .tcp: check.kind = .tcp
        case .tls: check.kind = .tls
        case .http: check.kind = .http(probe(isSecure: false))
        case .https: check.kind = .http(probe(isSecure: true))
        case .script: check.kind = options.script(.steps(options.steps))
        case .redis: check.kind = options.script(.redis(password: options.password))
        case .smtp: check.kind = options.script(.smtp(helo: options.helo))
        case .mysql: check.kind = options.script(.mysql(user: options.user), overTLS: false)
        case .postgresql: check.kind = options.script(.postgresql(user: options.user), overTLS: false)
        case .memcached: check.kind = options.script(.memcached)
        case .ftp: check.kind = options.script(.ftp)
        case .imap: check.kind = options.script(.imap)
        case .pop3: check.kind = options.script(.pop3)
        case .dns: check.kind = .dns(options.dns)
        case .icmp: check.kind = .icmp
        case .grpc:
            var probe = grpc
            probe.isSecure = isSecureGroup
            check.kind = .grpc(probe)
        case .agent: check.kind = .agent(agent)
        case .exec: check.kind = .exec(command)
        case .file: check.kind = .file(file)
        }
        // What a kind has no use for is not carried along.
        if !check.kind.countsSuccesses { check.healthyThreshold = HealthCheck().healthyThreshold }
        if !check.kind.countsFailures { check.unhealthyThreshold = HealthCheck().unhealthyThreshold }
        var hasEdge = isEdgeSet
        if case .file = check.kind {
            (check.address, check.port, check.edgeInterval) = (nil, nil, HealthCheck().edgeInterval)
            hasEdge = false
        }
        if !isTimeoutSet { check.timeout = min(check.timeout, check.interval) }
        if !hasEdge { check.edgeInterval = min(check.edgeInterval, check.interval) }
        return check
    }

    private func probe(isSecure: Bool) -> HTTPProbe {
        var probe = self.probe
        probe.isSecure = isSecure
        return probe
    }
}
