import PoiseLive
import PoiseModel
import PoiseProxy

/// Everything that metrics and status show: the objects in force, and what control knows of them at one moment.
///
/// Counters are read when the text is made, not when the overview is.
public struct Overview: Sendable {
    /// What concerns the process as a whole.
    public struct Process: Sendable {
        public var version: String
        public var processID: Int
        /// Nanoseconds since 1970.
        public var startedAt: Int64
        public var uptime: Nanoseconds
        public var workers: Int
        /// Client connections, and how many are allowed.
        public var connections: Int
        public var connectionsMax: Int
        /// Of each worker's loop since the start.
        public var wakeUps: [UInt64] = []
        /// How long each worker's wake-ups last.
        public var turns: [Histogram] = []
        /// `nil` with the access log off.
        public var log: LogWriter.Statistics?
        /// As the operator named it; `nil` for a configuration from the command line.
        public var file: String?
        /// How often a configuration came into force.
        public var generation: Int
        /// Nanoseconds since 1970.
        public var appliedAt: Int64
        public var failedApplies = 0
        /// In the order of the configuration.
        public var hooks: [HookFacts] = []
        public var commands = CommandFacts()
        public var probes = ProbeFacts()
        /// `nil` with the health log off.
        public var healthLog: LineWriter.Statistics?

        public init(
            version: String, processID: Int, startedAt: Int64, uptime: Nanoseconds, workers: Int, connections: Int,
            connectionsMax: Int, generation: Int, appliedAt: Int64
        ) {
            (self.version, self.processID, self.startedAt) = (version, processID, startedAt)
            (self.uptime, self.workers, self.connections) = (uptime, workers, connections)
            (self.connectionsMax, self.generation, self.appliedAt) = (connectionsMax, generation, appliedAt)
        }
    }

    public struct ListenerFacts: Sendable {
        public var compiled: CompiledListener
        /// Really bound: port 0 has become a number.
        public var addresses: [String]
        public var certificates: [CertificateFacts]

        public init(_ compiled: CompiledListener, addresses: [String], certificates: [CertificateFacts] = []) {
            (self.compiled, self.addresses, self.certificates) = (compiled, addresses, certificates)
        }
    }

    public struct CertificateFacts: Sendable {
        /// Its file as an absolute path, or `self-signed`.
        public var file: String
        /// Seconds since 1970.
        public var notAfter: Int64
        /// Why what the files hold now is not what is shown; `nil` where it is.
        public var problem: String?

        public init(file: String, notAfter: Int64, problem: String? = nil) {
            (self.file, self.notAfter, self.problem) = (file, notAfter, problem)
        }
    }

    public struct GroupFacts: Sendable {
        public var compiled: CompiledGroup
        /// No target is known to be good, and all take traffic.
        public var isFailOpen: Bool
        /// Changes of state of all its targets so far.
        public var transitions: Int
        public var targets: [TargetFacts]
        /// The backup group that answers for it; `nil` while it does so itself.
        public var answeredBy: String?
        /// Empty where neither tiers nor zones nor backups divide its targets.
        public var tiers: [TierFacts] = []

        public init(_ compiled: CompiledGroup, isFailOpen: Bool, transitions: Int, targets: [TargetFacts]) {
            (self.compiled, self.isFailOpen) = (compiled, isFailOpen)
            (self.transitions, self.targets) = (transitions, targets)
        }
    }

    public struct TargetFacts: Sendable {
        /// `10.0.0.1:8080`
        public var label: String
        /// `nil` for a name without an address, which gets no traffic.
        public var counters: CounterBlock?
        public var isBackup: Bool
        public var state: TargetState
        public var reason: TargetReason
        /// How long the target has been in this state for this reason.
        public var age: Nanoseconds
        /// 0...256: as configured, or as an operator set it.
        public var weight: Int
        /// An operator's and not the file's.
        public var isWeightOverridden = false
        /// Changes of its state so far.
        public var transitions: Int
        /// What its last probe saw; `nil` before the first one, and without an active check.
        public var lastProbe: String?
        public var share: ShareFacts
        public var agent: AgentFacts?
        /// `nil` where nobody said.
        public var zone: String?
        /// 0...15; of no account for backups.
        public var tier = 0
        /// False where this Poise's subset leaves it out.
        public var isInUse = true
        /// In force at the workers, in 256ths: less in slow start, 0 for who takes no new requests.
        public var effectiveWeight = 0

        public init(
            label: String, counters: CounterBlock?, isBackup: Bool = false, state: TargetState, reason: TargetReason,
            age: Nanoseconds, weight: Int, transitions: Int, lastProbe: String? = nil,
            share: ShareFacts = ShareFacts(), agent: AgentFacts? = nil
        ) {
            (self.lastProbe, self.share, self.agent) = (lastProbe, share, agent)
            (self.label, self.counters, self.isBackup) = (label, counters, isBackup)
            (self.state, self.reason, self.age, self.weight) = (state, reason, age, weight)
            self.transitions = transitions
        }
    }

    public var process: Process
    public var listeners: [ListenerFacts]
    public var groups: [GroupFacts]

    public init(process: Process, listeners: [ListenerFacts], groups: [GroupFacts]) {
        (self.process, self.listeners, self.groups) = (process, listeners, groups)
    }
}
