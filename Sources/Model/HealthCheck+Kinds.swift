/// Asks an agent that runs beside the target how it is: one line of text per connection, as HAProxy's `agent-check` reads it.
public struct AgentProbe: Sendable, Hashable {
    /// Sent once connected; may hold ``ProbePlaceholder``s. `nil`: nothing is sent.
    public var send: String?

    public init(send: String? = nil) { self.send = send }
}

/// Calls `grpc.health.v1.Health/Check`.
public struct GRPCProbe: Sendable, Hashable {
    /// Over TLS, with the group's TLS settings.
    public var isSecure = false
    /// Which service is asked for; empty: the whole server.
    public var service = ""
    /// Codes of `grpc-status` that mean healthy, closed ranges in 0...99. Where 0 is among them, the answer must say
    /// SERVING too.
    public var codes: [ClosedRange<Int>] = [0...0]

    public init() {}
}

/// Runs a program, without a shell: exit status 0 is healthy.
public struct CommandProbe: Sendable, Hashable {
    /// The program by its absolute path, and its arguments; never empty in a valid check.
    public var command: [String]

    public init(command: [String] = []) { self.command = command }
}

/// Looks whether a file is there on this machine.
public struct FileProbe: Sendable, Hashable {
    public enum Sign: String, Sendable, CaseIterable, Hashable {
        /// The file takes the target out: a maintenance flag.
        case exists
        /// The file keeps the target in: a sign of life.
        case missing
    }
    /// Absolute; may hold ``ProbePlaceholder``s.
    public var path: String
    /// When the target is down.
    public var downWhen: Sign

    public init(path: String = "", downWhen: Sign = .exists) { (self.path, self.downWhen) = (path, downWhen) }
}

extension HealthCheck.Kind {
    /// Whether results in a row are counted. A file is there or not, and an agent's word is no guess: one decides.
    public var countsSuccesses: Bool {
        switch self {
        case .tcp, .tls, .http, .grpc, .script, .dns, .icmp, .exec: true
        case .agent, .file: false
        }
    }

    /// Of an agent, those are the probes without a word.
    public var countsFailures: Bool {
        switch self {
        case .tcp, .tls, .http, .grpc, .script, .dns, .icmp, .exec, .agent: true
        case .file: false
        }
    }

    /// Whether a target that dies fails it. Nobody is left who would make the file that takes a target out.
    public var failsAtDeath: Bool {
        switch self {
        case .tcp, .tls, .http, .grpc, .script, .dns, .icmp, .exec: true
        case .file(let probe): probe.downWhen == .missing
        case .agent: false
        }
    }

    /// Whether what it finds counts for the group's `need`. An agent's word is no vote: it takes a target down by itself, and
    /// its silence says nothing.
    public var votes: Bool {
        switch self {
        case .tcp, .tls, .http, .grpc, .script, .dns, .icmp, .exec, .file: true
        case .agent: false
        }
    }
}
