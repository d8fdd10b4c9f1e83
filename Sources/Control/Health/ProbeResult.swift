import PoiseHTTP
import PoiseHealth
import PoiseModel
import PoisePackets
import PoisePlatform
import PoiseTLS

/// What one probe found out. Numbers where numbers say it: text is made when somebody looks.
public struct ProbeResult: Sendable, Equatable {
    public enum Outcome: Sendable, Equatable {
        case succeeded
        case failed(TargetReason)
        /// Nobody who had to say something said it: proves nothing.
        case learntNothing
        /// Not tried, for reasons of our own (no descriptor, no port left): proves nothing.
        case abandoned
    }
    /// What was seen.
    public enum Detail: Sendable, Equatable {
        /// A connection, where no more was asked for.
        case connected
        case status(Int)
        /// The status fitted, the body did not.
        case body(status: Int)
        /// The status fitted, and the search in the body was given up.
        case bodyTooCostly(status: Int)
        /// A positive errno.
        case system(CInt)
        case malformed(Refusal.Reason)
        /// The target closed before its answer was complete.
        case closedEarly
        case noConnection, noAnswer
        /// The handshake was done, where no more was asked for.
        case handshake
        case tls(TLSFailure)
        /// Connected, and the handshake did not end in time.
        case noHandshake
        /// The handshake was done, and the target did not agree to HTTP/2.
        case noHTTP2
        /// HTTP/2 was asked for, and HTTP/1 came.
        case onlyHTTP1
        /// The target broke a rule of HTTP/2.
        case http2(HTTP2Fault)
        /// The target reset the probe's stream.
        case streamReset(HTTP2ErrorCode)
        /// The target takes no requests on this connection.
        case goAway(HTTP2ErrorCode)
        /// A conversation, where there is something to tell of it.
        indirect case script(ScriptFinding)
        /// All that a script waits for was heard.
        case answered
        indirect case dns(DNSFinding)
        /// An echo came back, after this time.
        case echo(Nanoseconds)
        /// A line of an agent.
        indirect case agent(AgentReport)
        /// An agent's line has no end within the bound, in bytes.
        case endlessLine(Int)
        indirect case grpc(GRPCAnswer)
        indirect case command(CommandResult.End, timeout: Nanoseconds, line: String)
        /// The program of the probe before is being ended, and has not ended yet.
        case commandBefore
        indirect case file(path: String, FileState)
    }

    public var outcome: Outcome
    public var detail: Detail
    public var startedAt: MonotonicTime
    public var duration: Nanoseconds
    /// Of the PROXY header that the probe began with; `nil` without one.
    public var introduction: ProxyProtocolHeader.Version?

    public init(_ outcome: Outcome, _ detail: Detail, startedAt: MonotonicTime, duration: Nanoseconds) {
        (self.outcome, self.detail, self.startedAt, self.duration) = (outcome, detail, startedAt, duration)
    }

    /// `status 503 after 2 ms`, `Connection refused after 0 ms`.
    public var evidence: String { detail.evidence(after: duration, suspect: suspect) }

    /// Of the PROXY header that may be what failed the probe; `nil` without one, and where it cannot be.
    var suspect: ProxyProtocolHeader.Version? {
        guard case .failed = outcome, detail.mayBeMisunderstanding else { return nil }
        return introduction
    }
}

extension ProbeResult.Detail {
    /// In words; with a question where the target may have taken a header for something else.
    func evidence(after duration: Nanoseconds, suspect: ProxyProtocolHeader.Version?) -> String {
        if case .echo(let roundTrip) = self { return "echo reply after \(roundTrip.roundedToMicroseconds)" }
        // Nothing was tried that could have taken any time.
        if case .commandBefore = self { return what }
        let question = suspect.map { ", behind a PROXY v\($0.rawValue) header: does the target expect one?" } ?? ""
        return "\(what) after \(duration.milliseconds) ms\(question)"
    }

    /// A target that does not expect the header takes it for a bad request, or for the end of its patience.
    fileprivate var mayBeMisunderstanding: Bool {
        switch self {
        case .status(let status): status == 400
        case .system(let code): code == Errno.connectionReset || code == Errno.brokenPipe
        case .malformed, .closedEarly, .noAnswer, .tls, .noHandshake, .noHTTP2, .http2, .goAway, .onlyHTTP1: true
        // Who is spoken to first closes, complains or waits for the end of a line; who speaks first does so at the next step.
        case .script(let finding): finding.cause == .closed || finding.cause == .differs || finding.cause == .late
        // Anything else comes before the header is read, or from somebody who has read on behind it.
        default: false
        }
    }

    private var what: String {
        switch self {
        case .connected: "connected"
        case .status(let status): "status \(status)"
        case .body(let status): "status \(status), body without the expected text"
        case .system(let code): SystemError(call: "", code: code).reason
        case .bodyTooCostly(let status):
            "status \(status), and the search in the body was given up after too many steps"
        case .malformed(let reason): "not HTTP: \(reason.name)"
        case .closedEarly: "closed before the answer was complete"
        case .noConnection: "no connection"
        case .noAnswer: "no answer"
        case .handshake: "TLS handshake done"
        case .tls(let failure) where failure.reason == .noApplicationProtocol:
            "TLS: \(failure): the target refuses the protocol that the probe speaks"
        case .tls(let failure): "TLS: \(failure)"
        case .noHandshake: "TLS: no handshake"
        case .noHTTP2: "TLS: the target did not agree to h2"
        case .onlyHTTP1: "HTTP/2: the target answers in HTTP/1"
        case .http2(let fault): "HTTP/2: \(fault.name)"
        case .streamReset(let code): "HTTP/2: the target reset the stream: \(code.name)"
        case .goAway(let code): "HTTP/2: the target sent GOAWAY: \(code.name)"
        case .script(let finding): finding.text
        case .answered: "answered"
        case .dns(let finding): finding.text
        case .echo(let roundTrip): "echo reply in \(roundTrip)"
        case .agent(let report): ProbeResult.text(report)
        case .endlessLine(let limit): "the agent's line is longer than \(limit) bytes"
        case .grpc(let answer): answer.text
        case .command(let end, let timeout, let line): ProbeResult.text(end, timeout, line)
        case .commandBefore: "the program before has not ended yet"
        case .file(let path, let state): "\(path) \(state.text)"
        }
    }
}

extension Nanoseconds {
    fileprivate var roundedToMicroseconds: Nanoseconds { Nanoseconds((count + 500) / 1000 * 1000) }
}

extension TargetReason {
    /// Why a target without a handshake is unhealthy: what is wrong with its certificate, else that TLS failed.
    init(_ reason: TLSFailure.Reason) {
        self =
            switch reason {
            case .certificateExpired: .certificateExpired
            case .certificateNotYetValid: .certificateNotYetValid
            case .certificateUnknownAuthority: .certificateUnknownAuthority
            case .certificateSelfSigned: .certificateSelfSigned
            case .certificateNameMismatch: .certificateNameMismatch
            case .certificateRevoked: .certificateRevoked
            case .certificateInvalid: .certificateInvalid
            case .peerClosed, .plainHTTP, .notTLS, .protocolVersion, .noSharedCipher, .noApplicationProtocol,
                .ourCertificateRefused, .handshakeFailure, .alert, .protocolError:
                .tlsFailed
            case .socket, .noMemory: .connectionFailed
            }
    }
}
