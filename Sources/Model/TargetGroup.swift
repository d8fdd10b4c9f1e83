/// Targets that answer the same requests, how one is chosen, and how their health is found out.
public struct TargetGroup: Sendable, Equatable {
    /// Identity over an apply: the name; for a group written in place, its rule's identity.
    public var id: String
    /// `nil` for a group written in place.
    public var name: String?
    public var targets: [Target]
    public var version = HTTPVersion.http1
    /// `nil`: plain text, protocol HTTP.
    public var tls: TargetTLS?
    public var http2 = HTTP2Settings()
    public var algorithm = Algorithm.roundRobin
    /// Those that `algorithm` has no use for keep their defaults.
    public var algorithmOptions = AlgorithmOptions()
    /// Empty: no active check; targets are healthy unless passive checks say otherwise.
    public var healthChecks = HealthChecks(HealthCheck())
    /// The identity of a group whose targets at the same hosts tell how these are; this group has no checks of its own then.
    public var trackedGroup: String?
    public var passive = PassiveChecks()
    /// A tier of targets takes all traffic until less than 100 of this many parts of its weight are usable; 100 or more.
    public var overprovisioningPercent = 140
    public var failOpen = FailOpen.whenNoneUsable
    /// Answers when no target is usable and no backup is left.
    public var sorryResponse: FixedResponse?
    /// Fewer usable targets are told of by hooks; `nil`: nobody asks.
    public var minHealthy: MinimumHealthy?
    public var slowStart: Nanoseconds = .zero
    /// How steeply it begins, 10...1,000; 100 is a straight line, above it is steeper at first.
    public var slowStartAggressionPercent = 100
    public var timeouts = TargetTimeouts()
    public var limits = TargetLimits()
    public var retries = RetryPolicy()
    public var hostHeader = HostHeader.keep
    /// How long a removed or drained target may finish its flows.
    public var deregistrationDelay: Nanoseconds = .seconds(300)
    /// How often a target's name is resolved again.
    public var resolveInterval: Nanoseconds = .seconds(30)

    /// What targets speak. HTTP/2 without TLS is by prior knowledge.
    public enum HTTPVersion: String, Sendable, CaseIterable { case http1, http2 }

    public enum FailOpen: String, Sendable, CaseIterable {
        case whenNoneUsable = "when_none_usable"
        case never
    }

    public enum HostHeader: Sendable, Hashable {
        /// As the client sent it.
        case keep
        /// The target's name or address, with its port unless it is the protocol's own.
        case target
        case fixed(String)
    }

    public init(id: String, name: String? = nil, targets: [Target]) {
        (self.id, self.name, self.targets) = (id, name, targets)
    }
}

public struct Target: Sendable, Hashable {
    public var address: TargetAddress
    /// 0...256; 0 takes no new flows.
    public var weight: Int
    /// Takes traffic only when no ordinary target is usable.
    public var isBackup: Bool
    /// 0...15: lower ones take the traffic as long as they are healthy enough. Of no account for backups.
    public var tier = 0
    public init(address: TargetAddress, weight: Int = 1, isBackup: Bool = false) {
        (self.address, self.weight, self.isBackup) = (address, weight, isBackup)
    }
}

public struct TargetTimeouts: Sendable, Equatable {
    public var connect: Nanoseconds = .seconds(3)
    /// Without a byte of the response, or of the body in either direction.
    public var responseIdle: Nanoseconds = .seconds(60)
    /// An unused connection is closed after this, or earlier where the target says `Keep-Alive: timeout`.
    public var keepAliveIdle: Nanoseconds = .seconds(30)
    public init() {}
}

public struct TargetLimits: Sendable, Equatable {
    /// Exchanges in flight, and open connections, per target over all workers; `nil` means no limit.
    public var connectionsMax: Int?
    /// Unused connections kept per target and worker; 0 keeps none.
    public var idleConnectionsMax = 1024
    /// Exchanges that wait for a slot or for a place in a shared connection, per group and over all workers.
    public var queueMax = 1024
    /// From the first wait on, over all tries.
    public var queueTimeout: Nanoseconds = .seconds(5)
    public init() {}
}

public struct RetryPolicy: Sendable, Equatable {
    /// Tries in all, the first included. 1 turns retries off (refused connections too).
    public var triesMax = 3
    /// Further reasons to try elsewhere, for idempotent requests only.
    public var onTimeout = false
    /// Statuses 500...599 that count as a failed try, for idempotent requests only.
    public var onStatuses: [Int] = []
    /// Retries other than refused connections, as a share of the group's requests in the last 10 s.
    public var budgetPercent = 20
    /// The budget never falls below this many per second.
    public var budgetMinPerSecond = 10
    public init() {}
}

/// What real traffic tells about a target.
public struct PassiveChecks: Sendable, Equatable {
    /// Failures in a row (no connection, cut, timeout, 502-504) that eject a target; 0 turns it off.
    public var consecutiveFailures = 5
    /// Share of failed exchanges, the same failures, in percent over `window` that ejects a target; `nil` turns it off.
    public var failurePercent: Int?
    /// Fewer exchanges than this in `window` prove nothing.
    public var failurePercentMinRequests = 20
    public var window: Nanoseconds = .seconds(10)
    /// First ejection; the n-th in a row lasts n times as long, up to `ejectionTimeMax`.
    public var ejectionTime: Nanoseconds = .seconds(30)
    public var ejectionTimeMax: Nanoseconds = .seconds(300)
    /// At most this share of a group is ejected at once. One of two targets can always be.
    public var ejectedPercentMax = 50
    public init() {}
}
