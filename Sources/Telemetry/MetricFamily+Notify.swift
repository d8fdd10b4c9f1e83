import PoiseModel

extension Overview {
    /// One hook of `notify`.
    public struct HookFacts: Sendable, Equatable {
        public var name: String
        /// Notifications that arrived; that were given up; that were dropped because the queue was full.
        public var delivered, failed, dropped: UInt64
        /// Tries after the first ones.
        public var retried: UInt64
        /// What is still to be delivered.
        public var waiting: Int

        public init(
            name: String, delivered: UInt64, failed: UInt64, dropped: UInt64, retried: UInt64, waiting: Int
        ) {
            (self.name, self.delivered, self.failed, self.dropped) = (name, delivered, failed, dropped)
            (self.retried, self.waiting) = (retried, waiting)
        }
    }

    /// Programs that Poise runs, for hooks and checks.
    public struct CommandFacts: Sendable, Equatable {
        public var running = 0
        public var waiting = 0
        public var started: UInt64 = 0
        /// Ended because they took too long.
        public var timedOut: UInt64 = 0

        public init(running: Int = 0, waiting: Int = 0, started: UInt64 = 0, timedOut: UInt64 = 0) {
            (self.running, self.waiting, self.started, self.timedOut) = (running, waiting, started, timedOut)
        }
    }
}

extension MetricFamily {
    static let notify: [MetricFamily] = [
        hooks("poise_notify_delivered_total", .counter, "Notifications that were delivered.") { .count($0.delivered) },
        hooks("poise_notify_failed_total", .counter, "Notifications that were given up after their last try.") {
            .count($0.failed)
        },
        hooks("poise_notify_dropped_total", .counter, "Notifications that found the hook's queue full.") {
            .count($0.dropped)
        },
        hooks("poise_notify_retries_total", .counter, "Tries after a failed one.") { .count($0.retried) },
        hooks("poise_notify_queue", .gauge, "Notifications that are still to be delivered.") { .number($0.waiting) },
        .process("poise_commands_running", .gauge, "Programs of hooks and checks that run now.") {
            .number($0.commands.running)
        },
        .process("poise_commands_waiting", .gauge, "Programs that wait for others to end.") {
            .number($0.commands.waiting)
        },
        .process("poise_commands_started_total", .counter, "Programs that were started.") {
            .count($0.commands.started)
        },
        .process("poise_commands_timed_out_total", .counter, "Programs that were ended because they took too long.") {
            .count($0.commands.timedOut)
        },
        .process(
            "poise_health_log_lost_lines_total", .counter, "Lines of the health log that were lost, by cause.",
            by: "cause"
        ) {
            [
                ("queue_full", .count($0.healthLog?.lostToFullQueue ?? 0)),
                ("write_failed", .count($0.healthLog?.lostToFailedWrites ?? 0)),
            ]
        },
    ]

    static let detectionTime = MetricFamily(
        name: "poise_health_check_detection_seconds", kind: .gauge,
        help:
            "The longest time from a target's death to its being unhealthy, by the settings of its checks, or of those of the group whose health it goes by.",
        subject: .group
    ) { objects, index, writer in
        let group = objects.group(index).compiled.settings
        guard let time = group.checkedGroup(among: objects.groups)?.healthChecks.detectionTimeMax else { return }
        writer.begin()
        objects.label(.group, index, &writer)
        writer.value(.nanoseconds(time.count))
    }

    private static func hooks(
        _ name: String, _ kind: Kind, _ help: String, _ value: @escaping @Sendable (Overview.HookFacts) -> SampleValue
    ) -> MetricFamily {
        .process(name, kind, help, by: "hook") { $0.hooks.map { ($0.name, value($0)) } }
    }
}
