import PoiseHTTP
import PoiseTLS

/// How an exchange ended, in one byte: for logs, metrics and generated answers.
public enum EndReason: UInt8, Sendable, CaseIterable {
    case answered
    case fixedResponse, redirect, redirectLoop
    /// The request's framing or syntax; the codec's own reason goes with it.
    case refusedRequest
    case refusedPath
    case methodNotAllowed, maxForwards
    case bodyTooLarge
    case noRule
    case noWeight, noTarget, sorry
    case queueFull, queueTimeout
    case connectRefused, connectFailed, connectTimeout
    case targetClosed, targetFailed, targetTimeout
    /// The target's answer; the codec's own reason goes with it.
    case refusedAnswer
    case headTimeout, bodyTimeout
    case clientAborted, clientTooSlow
    case tooManyConnections
    case shutdown
    case tunnelEnded, tunnelIdle
    /// No connection to a target could be opened for want of a descriptor or of memory in the kernel.
    case outOfDescriptors
    /// A target of protocol HTTPS did not prove that it is who it should be.
    case targetUnverified
    /// The TLS handshake with a target failed otherwise, or it does not speak the group's version of HTTP.
    case targetHandshake
    /// The connection was made for another host, whose certificate does not hold for this one.
    case misdirected

    /// As in `reason=` of logs and metrics.
    public var name: String {
        switch self {
        case .answered: "answered"
        case .fixedResponse: "fixed_response"
        case .redirect: "redirect"
        case .redirectLoop: "redirect_loop"
        case .refusedRequest: "refused_request"
        case .refusedPath: "refused_path"
        case .methodNotAllowed: "method_not_allowed"
        case .maxForwards: "max_forwards"
        case .bodyTooLarge: "body_too_large"
        case .noRule: "no_rule"
        case .noWeight: "no_weight"
        case .noTarget: "no_target"
        case .sorry: "sorry"
        case .queueFull: "queue_full"
        case .queueTimeout: "queue_timeout"
        case .connectRefused: "connect_refused"
        case .connectFailed: "connect_failed"
        case .connectTimeout: "connect_timeout"
        case .targetClosed: "target_closed"
        case .targetFailed: "target_failed"
        case .targetTimeout: "target_timeout"
        case .refusedAnswer: "refused_answer"
        case .headTimeout: "head_timeout"
        case .bodyTimeout: "body_timeout"
        case .clientAborted: "client_aborted"
        case .clientTooSlow: "client_too_slow"
        case .tooManyConnections: "too_many_connections"
        case .shutdown: "shutdown"
        case .tunnelEnded: "tunnel_ended"
        case .tunnelIdle: "tunnel_idle"
        case .outOfDescriptors: "out_of_descriptors"
        case .targetUnverified: "target_unverified"
        case .targetHandshake: "target_handshake"
        case .misdirected: "misdirected"
        }
    }

    /// A sentence for people.
    public var words: String {
        switch self {
        case .answered: "answered by the target"
        case .fixedResponse: "answered by a fixed_response"
        case .redirect: "redirected"
        case .redirectLoop: "the redirect leads to the URL that was asked for, or the request names no host"
        case .refusedRequest: "the request is not valid HTTP"
        case .refusedPath: "the path leads above the root or holds bytes that no path may hold"
        case .methodNotAllowed: "the method is not allowed here"
        case .maxForwards: "Max-Forwards is used up"
        case .bodyTooLarge: "the body is larger than allowed"
        case .noRule: "no rule matches and there is no default"
        case .noWeight: "every group of the rule has weight 0"
        case .noTarget: "no target is usable"
        case .sorry: "no target is usable: sorry_response"
        case .queueFull: "all targets are at max_connections and the queue is full"
        case .queueTimeout: "no target had a free connection in time"
        case .connectRefused: "the target refused the connection"
        case .connectFailed: "the target could not be reached"
        case .connectTimeout: "the target did not accept the connection in time"
        case .targetClosed: "the target closed before its answer was complete"
        case .targetFailed: "the connection to the target broke"
        case .targetTimeout: "the target sent nothing for too long"
        case .refusedAnswer: "the target's answer is not valid HTTP"
        case .headTimeout: "the request's head did not arrive in time"
        case .bodyTimeout: "the request's body came too slowly"
        case .clientAborted: "the client went away"
        case .clientTooSlow: "the client read too slowly"
        case .tooManyConnections: "too many connections from this address"
        case .shutdown: "Poise was told to stop"
        case .tunnelEnded: "the tunnel was closed"
        case .tunnelIdle: "the tunnel was idle for too long"
        case .outOfDescriptors: "no descriptor was free for a connection to a target"
        case .targetUnverified: "the target's certificate does not prove that it is who it should be"
        case .targetHandshake: "the TLS handshake with the target failed"
        case .misdirected: "this connection was made for another host"
        }
    }

    /// ``words``, more exactly where the codec's reason is not about syntax.
    public func words(for refusal: Refusal.Reason?) -> String {
        guard self == .refusedRequest, let refusal else { return words }
        switch refusal.status {
        case 414: return "the URI is longer than allowed"
        case 417: return "the expectation is not known"
        case 431: return "the head is larger than allowed"
        case 501: return "the transfer coding is not known"
        case 505: return "this version of HTTP is not served"
        default: return words
        }
    }

    /// The status of the answer that Poise makes; 0 where it makes none.
    var status: Int {
        switch self {
        case .answered, .fixedResponse, .redirect, .sorry, .clientTooSlow, .tunnelEnded, .tunnelIdle:
            0
        case .refusedRequest, .refusedPath: 400
        case .methodNotAllowed: 405
        case .maxForwards: 200
        case .bodyTooLarge: 413
        case .noRule: 404
        case .redirectLoop: 500
        case .noWeight, .noTarget, .queueFull, .queueTimeout, .shutdown, .outOfDescriptors, .clientAborted: 503
        case .misdirected: 421
        case .connectRefused, .connectFailed, .targetClosed, .targetFailed, .refusedAnswer, .targetUnverified,
            .targetHandshake:
            502
        case .connectTimeout, .targetTimeout: 504
        case .headTimeout, .bodyTimeout: 408
        case .tooManyConnections: 429
        }
    }
}

extension EndReason {
    /// What a failed handshake with a target means for the exchange.
    init(_ failure: TLSFailure) {
        switch failure.reason {
        case .certificateExpired, .certificateNotYetValid, .certificateUnknownAuthority, .certificateSelfSigned,
            .certificateNameMismatch, .certificateRevoked, .certificateInvalid:
            self = .targetUnverified
        default: self = .targetHandshake
        }
    }
}
