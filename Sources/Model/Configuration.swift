/// One whole, valid configuration: what a file, the admin API and the command line all become.
public struct Configuration: Sendable, Equatable {
    public var process: ProcessSettings
    public var logs: LogSettings
    /// Never empty: a file that names none has one called `default`.
    public var loadBalancers: [LoadBalancer]
    public var listeners: [Listener]
    /// Named groups first, in written order, then the groups written in place.
    public var targetGroups: [TargetGroup]
    /// Whom to tell of changes of health, in written order.
    public var notify: [NotifyHook] = []

    public init(
        process: ProcessSettings = ProcessSettings(), logs: LogSettings = LogSettings(),
        loadBalancers: [LoadBalancer] = [LoadBalancer(name: "default")], listeners: [Listener],
        targetGroups: [TargetGroup]
    ) {
        (self.process, self.logs) = (process, logs)
        (self.loadBalancers, self.listeners, self.targetGroups) = (loadBalancers, listeners, targetGroups)
    }
}

/// A named front that owns listeners.
public struct LoadBalancer: Sendable, Hashable {
    public enum Kind: String, Sendable { case application }
    public var name: String
    public var kind: Kind
    public init(name: String, kind: Kind = .application) { (self.name, self.kind) = (name, kind) }
}

/// What belongs to the process and not to any listener.
public struct ProcessSettings: Sendable, Equatable {
    /// Threads that carry traffic; `nil` means one per core. Fixed for the life of the process.
    public var workers: Int?
    /// Client connections over all listeners; `nil` means the descriptor limit less a reserve.
    public var maxConnections: Int?
    /// Where `poise status` and its siblings connect; `nil` means the default of the user who runs Poise.
    public var adminSocket: String?
    /// An address that also serves `GET /metrics` (and nothing else of the admin API).
    public var metricsAddress: ListenAddress?
    /// The user (and its group) to become once the listeners are bound; needs root.
    public var user: String?
    /// How long TERM waits for exchanges in flight.
    public var shutdownDeadline: Nanoseconds = .seconds(30)
    /// Hooks and checks that are programs, at once; the others wait. More would let slow ones take the machine.
    public var commandsMax = 16
    /// Whether `poise apply` may bring commands that the file of the process does not have. Counts in that file only.
    public var allowsCommandsByAdmin = false

    public init() {}
}

public struct LogSettings: Sendable, Equatable {
    public enum Format: String, Sendable, CaseIterable { case console, json }
    public enum Destination: Sendable, Hashable {
        case off, standardOutput, standardError
        case file(path: String)
    }

    public var access: Destination = .standardOutput
    /// `nil`: `console` on a terminal, else `json`.
    public var accessFormat: Format?
    /// Records that wait for the writer, per worker; a power of two. More are dropped and counted.
    public var accessRingRecords = 8192
    /// One line of JSON per change of health; the operational log has the same changes.
    public var health: Destination = .off

    public init() {}
}
