/// A target's state as ELBv2 names it.
public enum TargetState: UInt8, Sendable, CaseIterable {
    case initial, healthy, unhealthy, draining, unused

    public var name: String {
        switch self {
        case .initial: "initial"
        case .healthy: "healthy"
        case .unhealthy: "unhealthy"
        case .draining: "draining"
        case .unused: "unused"
        }
    }
}

/// Why a target is in its state. The names are what status, metrics and logs show.
public enum TargetReason: UInt8, Sendable, CaseIterable {
    case none
    /// No probe has ended yet.
    case initialChecks
    case timeout
    case connectionRefused
    case connectionFailed
    /// The probe's answer had a status outside the matcher.
    case responseMismatch
    case bodyMismatch
    /// The probe's answer was not HTTP, or not DNS.
    case malformedResponse
    /// Something else came than the check waited for: in a conversation, or as an answer of a nameserver.
    case unexpectedAnswer
    /// The target did not prove who it is.
    case certificateExpired, certificateNotYetValid, certificateUnknownAuthority, certificateSelfSigned
    case certificateNameMismatch, certificateRevoked, certificateInvalid
    /// No TLS handshake for any other cause.
    case tlsFailed
    /// What runs beside the target says so.
    case agentDown, agentDrain, agentMaintenance
    /// The server's own word: it does not serve.
    case notServing
    case commandFailed
    /// The file that takes it out is there, or the one that keeps it in is not.
    case maintenanceFile
    /// The name does not resolve.
    case dns
    /// Ejected by passive checks.
    case consecutiveFailures, failureRate
    /// Ejected for being unlike the other targets.
    case successRateOutlier, latencyOutlier
    case deregistration
    case drainedByOperator
    case noTraffic
    case checksDisabled

    public var name: String {
        switch self {
        case .none: "none"
        case .initialChecks: "initial_checks"
        case .timeout: "timeout"
        case .connectionRefused: "connection_refused"
        case .connectionFailed: "connection_failed"
        case .responseMismatch: "response_mismatch"
        case .bodyMismatch: "body_mismatch"
        case .malformedResponse: "malformed_response"
        case .unexpectedAnswer: "unexpected_answer"
        case .certificateExpired: "certificate_expired"
        case .certificateNotYetValid: "certificate_not_yet_valid"
        case .certificateUnknownAuthority: "certificate_unknown_authority"
        case .certificateSelfSigned: "certificate_self_signed"
        case .certificateNameMismatch: "certificate_name_mismatch"
        case .certificateRevoked: "certificate_revoked"
        case .certificateInvalid: "certificate_invalid"
        case .tlsFailed: "tls_failed"
        case .agentDown: "agent_down"
        case .agentDrain: "agent_drain"
        case .agentMaintenance: "agent_maintenance"
        case .notServing: "not_serving"
        case .commandFailed: "command_failed"
        case .maintenanceFile: "maintenance_file"
        case .dns: "dns"
        case .consecutiveFailures: "consecutive_failures"
        case .failureRate: "failure_rate"
        case .successRateOutlier: "success_rate_outlier"
        case .latencyOutlier: "latency_outlier"
        case .deregistration: "deregistration"
        case .drainedByOperator: "drained_by_operator"
        case .noTraffic: "no_traffic"
        case .checksDisabled: "checks_disabled"
        }
    }
}
