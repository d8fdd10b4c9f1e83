/// An active check: how often and how patiently each target is probed.
public struct HealthCheck: Sendable, Equatable {
    public enum Kind: Sendable, Hashable {
        case tcp
        /// A TLS handshake with the group's settings, and nothing behind it.
        case tls
        case http(HTTPProbe)
        /// What is said and answered, by a script or by a protocol that Poise knows.
        case script(ScriptProbe)
        case dns(DNSProbe)
        /// An echo request.
        case icmp
        case grpc(GRPCProbe)
        case agent(AgentProbe)
        case exec(CommandProbe)
        case file(FileProbe)

        /// Over TLS, with the group's settings.
        public var isSecure: Bool {
            switch self {
            case .tcp, .agent, .exec, .file: false
            case .tls: true
            case .http(let probe): probe.isSecure
            case .script(let probe): probe.isSecure
            case .dns, .icmp: false
            case .grpc(let probe): probe.isSecure
            }
        }

        /// `TCP`, `TLS`, `GET /health`, `HTTPS GET /health`, `GRPC shop.Cart`, `AGENT`, `EXEC /usr/local/bin/check`.
        public var summary: String {
            switch self {
            case .tcp: "TCP"
            case .tls: "TLS"
            case .http(let probe): "\(probe.isSecure ? "HTTPS " : "")\(probe.method) \(probe.path)"
            case .script(let probe): probe.summary
            case .dns(let probe): probe.summary
            case .icmp: "ICMP"
            case .grpc(let probe): probe.service.isEmpty ? "GRPC" : "GRPC \(probe.service)"
            case .agent: "AGENT"
            case .exec(let probe): "EXEC \(probe.command.first ?? "")"
            case .file(let probe): probe.downWhen == .exists ? "no FILE \(probe.path)" : "FILE \(probe.path)"
            }
        }
    }
    public var kind: Kind = .tcp
    public var interval: Nanoseconds = .seconds(5)
    /// Shorter than `interval`, or the same.
    public var timeout: Nanoseconds = .seconds(2)
    /// Successes in a row that make a target healthy.
    public var healthyThreshold = 2
    /// Failures in a row that make it unhealthy.
    public var unhealthyThreshold = 3
    /// The interval after a result that differs from the target's state.
    public var edgeInterval: Nanoseconds = .seconds(1)
    /// The interval while no request comes to the groups of a healthy target; `nil`: the same, `interval`.
    public var idleInterval: Nanoseconds?
    /// Probed instead of the target's own address.
    public var address: IPAddress?
    /// Probed instead of the target's own port.
    public var port: UInt16?

    public init() {}

    /// What is asked, and of whom where that is not the target itself: `GET /health`, `TCP at port 9000`.
    public var summary: String {
        switch (address, port) {
        case (nil, nil): kind.summary
        case (nil, let port?): "\(kind.summary) at port \(port)"
        case (let address?, nil): "\(kind.summary) at \(address)"
        case (let address?, let port?): "\(kind.summary) at \(TargetAddress.ip(address, port: port))"
        }
    }

    /// The longest time from a target's death to its being `unhealthy`: the figure that `poise check` prints.
    /// One interval until the next probe, then `unhealthyThreshold` probes that each time out, the edge
    /// interval between their starts.
    public var detectionTimeMax: Nanoseconds { detectionTime(after: interval) }

    /// The same while no request comes; `nil` where that makes no difference.
    public var idleDetectionTimeMax: Nanoseconds? { idleInterval.map { detectionTime(after: $0) } }

    private func detectionTime(after interval: Nanoseconds) -> Nanoseconds {
        let step = max(edgeInterval, timeout)
        return interval + step * Int64(kind.countsSuccesses ? unhealthyThreshold - 1 : 0) + timeout
    }
}

public struct HTTPProbe: Sendable, Hashable {
    /// Over TLS, with the group's TLS settings; always HTTP/1.1, in groups of version http2 too.
    public var isSecure = false
    public var method = "GET"
    public var path = "/"
    /// `nil`: the target's own name or address.
    public var host: String?
    public var headers: [HeaderField] = []
    /// Statuses that mean healthy, closed ranges in 100...599.
    public var matcher: [ClosedRange<Int>] = [200...399]
    /// The first 64 KiB of the body must contain this.
    public var bodyContains: String?
    /// The first 64 KiB of the body must match this regular expression.
    public var bodyMatches: String?
    /// The connection is kept for the next probe.
    public var reusesConnection = false

    public struct HeaderField: Sendable, Hashable {
        public var name: String
        public var value: String
        public init(name: String, value: String) { (self.name, self.value) = (name, value) }
    }

    public init() {}
}
