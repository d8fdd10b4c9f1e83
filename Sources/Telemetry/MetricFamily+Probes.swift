import PoiseModel

extension Overview {
    /// The probes of all checks, and the places that those with connections share.
    public struct ProbeFacts: Sendable, Equatable {
        public var running = 0
        public var places = 0
        /// Connections that wait for their next probe.
        public var kept = 0
        /// Probes that are due and have no place.
        public var waiting = 0
        /// Probes that waited for a place longer than their interval.
        public var late: UInt64 = 0
        /// How long one waited for a place at most, since the start.
        public var delayMax = Nanoseconds.zero

        public init() {}
    }
}

extension MetricFamily {
    static let probes: [MetricFamily] = [
        .process("poise_probes_running", .gauge, "Probes of health checks that are under way.") {
            .number($0.probes.running)
        },
        .process("poise_probes_running_max", .gauge, "Probes that may be under way at once.") {
            .number($0.probes.places)
        },
        .process("poise_probes_kept_connections", .gauge, "Connections that wait for their next probe.") {
            .number($0.probes.kept)
        },
        .process("poise_probes_waiting", .gauge, "Probes that are due and wait for others to end.") {
            .number($0.probes.waiting)
        },
        .process("poise_probes_late_total", .counter, "Probes that waited longer than their interval.") {
            .count($0.probes.late)
        },
        .process("poise_probes_delay_max_seconds", .gauge, "How long a probe waited at most, since the start.") {
            .nanoseconds($0.probes.delayMax.count)
        },
    ]
}
