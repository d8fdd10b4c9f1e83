import PoiseHTTP
import PoiseLive
import PoiseModel
import PoiseProxy

/// All metrics in the Prometheus text format 0.0.4, piece by piece.
///
///     var metrics = MetricsText(overview)
///     while metrics.next(into: &bytes) { send and empty `bytes`, let others run }
///
/// The format wants all samples of a metric together, so the text goes metric by metric and object by object; a piece
/// ends where it has grown large enough.
public struct MetricsText: Sendable {
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private let objects: MetricObjects
    private var writer = SampleWriter()
    private var family = 0
    private var object = 0

    public init(_ overview: Overview) { objects = MetricObjects(overview) }

    /// Appends about `size` bytes.
    ///
    /// - Returns: false once nothing was left to append.
    public mutating func next(into bytes: inout [UInt8], size: Int = 32 * 1024) -> Bool {
        guard family < Self.families.count else { return false }
        while family < Self.families.count, writer.bytes.count < size {
            let current = Self.families[family]
            if object == 0 { writer.beginFamily(current.name, type: current.kind.rawValue, help: current.help) }
            if object < objects.count(of: current.subject) {
                current.write(objects, object, &writer)
                object += 1
            }
            if object >= objects.count(of: current.subject) { (family, object) = (family + 1, 0) }
        }
        writer.takeBytes(into: &bytes)
        return true
    }

    // MARK: What there is

    static let families =
        process + MetricFamily.notify + MetricFamily.probes + listener + MetricFamily.http2 + rule + group + target
        + MetricFamily.shares + MetricFamily.tiers
        + MetricFamily.http2OfTargets

    private static let process: [MetricFamily] = [
        .process("poise_build_info", .gauge, "Always 1; the labels tell what runs.", by: "version") {
            [($0.version, .number(1))]
        },
        .process("poise_start_time_seconds", .gauge, "When the process started, in seconds since 1970.") {
            .nanoseconds($0.startedAt)
        },
        .process("poise_uptime_seconds", .gauge, "How long the process has been running.") {
            .nanoseconds($0.uptime.count)
        },
        .process("poise_workers", .gauge, "Threads that carry traffic.") { .number($0.workers) },
        .process("poise_connections", .gauge, "Open client connections over all listeners.") {
            .number($0.connections)
        },
        .process("poise_connections_max", .gauge, "Client connections that are allowed over all listeners.") {
            .number($0.connectionsMax)
        },
        .process("poise_worker_wake_ups_total", .counter, "Times a worker's loop woke up.", by: "worker") {
            $0.wakeUps.enumerated().map { ("\($0)", .number($1)) }
        },
        .histograms(
            "poise_worker_turn_duration_seconds",
            "How long a worker's wake-ups last that have mail or eight events: whoever comes meanwhile waits that long.",
            by: "worker"
        ) { $0.turns.enumerated().map { ("\($0)", $1) } },
        .process("poise_config_generation", .gauge, "Number of the configuration in force, 1 at the start.") {
            .number($0.generation)
        },
        .process("poise_config_applied_time_seconds", .gauge, "When it came into force, in seconds since 1970.") {
            .nanoseconds($0.appliedAt)
        },
        .process("poise_config_apply_failures_total", .counter, "Configurations that were refused.") {
            .number($0.failedApplies)
        },
        .process("poise_access_log_records_total", .counter, "Access log records that were written.") {
            .number($0.log?.written ?? 0)
        },
        .process(
            "poise_access_log_lost_records_total", .counter, "Access log records that were lost, by cause.", by: "cause"
        ) {
            [
                ("ring_full", .number($0.log?.lostToFullRings ?? 0)),
                ("write_failed", .number($0.log?.lostToFailedWrites ?? 0)),
            ]
        },
    ]

    private static let listener: [MetricFamily] = [
        .gauge("poise_listener_connections", .listener, ListenerCounter.connections, "Open client connections."),
        .counter(
            "poise_listener_accepted_connections_total", .listener, ListenerCounter.accepted,
            "Client connections accepted."),
        .counters(
            "poise_listener_refused_connections_total", .listener, ListenerCounter.firstConnectionRefusal, by: "reason",
            of: ConnectionRefusal.self, showsAll: true, "Client connections that were accepted and not served, by why."
        ) { $0.name },
        .gauge(
            "poise_listener_held_sockets", .listener, ListenerCounter.heldSockets,
            "Listening sockets that accept nothing for now; each worker has one per address."),
        .counters(
            "poise_listener_accept_holds_total", .listener, ListenerCounter.firstHold, by: "cause", of: AcceptHold.self,
            showsAll: true, "Times that a listening socket was put on hold; clients wait in the kernel's queue then."
        ) { $0.name },
        .gauge("poise_listener_in_flight_requests", .listener, ListenerCounter.inFlight, "Requests in progress."),
        .counter("poise_listener_requests_total", .listener, ListenerCounter.requests, "Requests begun."),
        .responses(
            "poise_listener_responses_total", .listener, ListenerCounter.status2xx, "Answers by class of status."),
        .counter(
            "poise_listener_generated_responses_total", .listener, ListenerCounter.generated,
            "Answers that Poise made itself."),
        .counter(
            "poise_listener_client_aborts_total", .listener, ListenerCounter.clientAborts,
            "Requests whose client went away."),
        .counter(
            "poise_listener_tunnels_total", .listener, ListenerCounter.tunnels, "Connections that became tunnels."),
        .counter(
            "poise_listener_received_bytes_total", .listener, ListenerCounter.bytesFromClients,
            "Body bytes from clients."),
        .counter(
            "poise_listener_sent_bytes_total", .listener, ListenerCounter.bytesToClients, "Body bytes to clients."),
        .counters(
            "poise_listener_ended_requests_total", .listener, ListenerCounter.firstReason, by: "reason",
            of: EndReason.self, "Requests by how they ended; reasons that never occurred are left out."
        ) { $0.name },
        .counters(
            "poise_listener_refused_messages_total", .listener, ListenerCounter.firstRefusal, by: "reason",
            of: Refusal.Reason.self,
            "Messages that are not valid HTTP, from clients or targets, by what is wrong with them."
        ) { $0.name },
        .handshakes,
        .handshakeFailures,
        .certificates(
            "poise_certificate_expiry_timestamp_seconds",
            "When each certificate of a listener ends, in seconds since 1970."
        ) { .number($0.notAfter) },
        .certificates(
            "poise_certificate_outdated", "1 while a certificate's files cannot be used and what they held is shown."
        ) { .number($0.problem == nil ? 0 : 1) },
        .histogram(
            "poise_listener_request_duration_seconds", .listener,
            "From the end of the request's head to the end of the answer."
        ) { $0.listener($1).totalTime },
        .histogram(
            "poise_listener_target_duration_seconds", .listener,
            "From the choice of the target to the end of the head of its answer."
        ) { $0.listener($1).targetTime },
    ]

    private static let rule: [MetricFamily] = [
        .counter("poise_rule_requests_total", .rule, RuleCounter.requests, "Requests that the rule matched."),
        .responses("poise_rule_responses_total", .rule, RuleCounter.status2xx, "Their answers by class of status."),
    ]

    private static let group: [MetricFamily] = [
        .gauge(
            "poise_target_group_in_flight_requests", .group, GroupCounter.inFlight,
            "Requests in progress, those that wait included."),
        .counter("poise_target_group_requests_total", .group, GroupCounter.requests, "Requests sent to the group."),
        .responses(
            "poise_target_group_responses_total", .group, GroupCounter.status2xx, "Answers by class of status."),
        .counter("poise_target_group_tries_total", .group, GroupCounter.tries, "Tries at a target."),
        .counter("poise_target_group_retries_total", .group, GroupCounter.retries, "Tries after a failed one."),
        .counter(
            "poise_target_group_refused_retries_total", .group, GroupCounter.retriesRefusedByBudget,
            "Retries that the budget did not allow."),
        .gauge("poise_target_group_queue_length", .group, GroupCounter.queued, "Requests that wait for a target."),
        .counter(
            "poise_target_group_queue_overflows_total", .group, GroupCounter.queueOverflows,
            "Requests refused because the queue was full."),
        .counter(
            "poise_target_group_queue_timeouts_total", .group, GroupCounter.queueTimeouts,
            "Requests that waited too long."),
        .counter(
            "poise_target_group_fail_open_tries_total", .group, GroupCounter.failOpen,
            "Tries at targets that are known to be bad, for want of any other."),
        .counter(
            "poise_target_group_no_target_total", .group, GroupCounter.noTarget, "Requests without a usable target."),
        .counter(
            "poise_target_group_sorry_responses_total", .group, GroupCounter.sorry,
            "Requests answered with the sorry_response."),
        .group(
            "poise_target_group_fail_open", .gauge, "1 while no target is known to be good and all take traffic."
        ) { .number($0.isFailOpen ? 1 : 0) },
        .counter(
            "poise_target_group_handed_on_total", .group, GroupCounter.handedOn,
            "Requests that a backup group went on with; they count as requests of that group, too."),
        .group(
            "poise_target_group_backup_group_active", .gauge, "1 while a backup group answers for this one."
        ) { .number($0.answeredBy == nil ? 0 : 1) },
        MetricFamily.detectionTime,
        .group(
            "poise_target_group_health_transitions_total", .counter, "Changes of state of the group's targets."
        ) { .number($0.transitions) },
        MetricFamily(
            name: "poise_target_group_targets", kind: .gauge, help: "Targets of the group by state.", subject: .group
        ) { objects, index, writer in
            let targets = objects.group(index).targets
            for state in TargetState.allCases {
                writer.begin()
                objects.label(.group, index, &writer)
                writer.label("state", state.name)
                writer.value(.number(targets.count { $0.state == state }))
            }
        },
        .histogram(
            "poise_target_group_request_duration_seconds", .group,
            "From the end of the request's head to the end of the answer."
        ) { $0.group($1).compiled.totalTime },
        .histogram(
            "poise_target_group_target_duration_seconds", .group,
            "From the choice of the target to the end of the head of its answer."
        ) { $0.group($1).compiled.targetTime },
    ]

    private static let target: [MetricFamily] = [
        MetricFamily(
            name: "poise_target_state", kind: .gauge, help: "1 for the state that the target is in, and why.",
            subject: .target
        ) { objects, index, writer in
            let facts = objects.facts(ofTarget: index)
            writer.begin()
            objects.label(.target, index, &writer)
            writer.label("state", facts.state.name)
            writer.label("reason", facts.reason.name)
            writer.value(.number(1))
        },
        .target("poise_target_state_age_seconds", .gauge, "How long the target has been in its state.") {
            .nanoseconds($0.age.count)
        },
        .target("poise_target_weight", .gauge, "Configured weight, or the one that an operator set.") {
            .number($0.weight)
        },
        .target("poise_target_in_use", .gauge, "0 where the subset of this Poise leaves the target out.") {
            .number($0.isInUse ? 1 : 0)
        },
        .target("poise_target_health_transitions_total", .counter, "Changes of its state.") {
            .number($0.transitions)
        },
        .gauge("poise_target_in_flight_requests", .target, TargetCounter.inFlight, "Requests in progress."),
        .gauge("poise_target_connections", .target, TargetCounter.connections, "Open connections, idle ones too."),
        .counter("poise_target_requests_total", .target, TargetCounter.requests, "Tries at the target."),
        .responses("poise_target_responses_total", .target, TargetCounter.status2xx, "Answers by class of status."),
        .counter(
            "poise_target_connect_failures_total", .target, TargetCounter.connectFailures,
            "Tries that found no connection."),
        .counter(
            "poise_target_failures_total", .target, TargetCounter.failures,
            "Tries that ended after a connection: cut, timed out, or answered with what is no HTTP."),
        .counter(
            "poise_target_retries_total", .target, TargetCounter.retries, "Tries that went on to another target."),
        .counter(
            "poise_target_sent_bytes_total", .target, TargetCounter.bytesToTarget, "Body bytes to the target."),
        .counter(
            "poise_target_received_bytes_total", .target, TargetCounter.bytesFromTarget, "Body bytes from it."),
        .counter(
            "poise_target_reused_connections_total", .target, TargetCounter.reuses,
            "Times a connection was used again."),
    ]
}
