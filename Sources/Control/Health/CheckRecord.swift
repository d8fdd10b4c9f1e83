import PoiseHealth
import PoiseModel
import PoisePackets
import PoisePlatform
import PoiseProxy

/// What is probed and how. Equal values are one check, whichever groups they come from.
struct ProbeSpec: Equatable {
    /// With the check's own port, where it has one.
    let address: SocketAddress
    let check: HealthCheck
    /// `Host` of a request; empty of checks that send none.
    let host: String
    /// There where the check goes over TLS.
    let tls: ProbeTLS?
    /// A request is sent, and over HTTP/2: by prior knowledge, or where TLS agrees to it.
    let usesHTTP2: Bool
    /// The PROXY header that comes first, which says that Poise speaks for itself; `nil` without.
    let introduction: ProxyProtocolHeader.Version?
    /// Of a check whose texts name the target; `nil` for the others, so that groups share them.
    let subject: ProbeSubject?

    init(_ check: HealthCheck, of target: CompiledTarget, in group: CompiledGroup) {
        self.init(
            target.address, check, hostHeader: target.hostHeader, tls: ProbeTLS(check.kind, of: target, in: group),
            version: group.settings.version,
            // What is asked elsewhere is as a rule made for checks, and not for clients behind proxies.
            introduction: check.port == nil && check.address == nil && check.kind.isConnection
                ? group.settings.proxyProtocol.headerVersion : nil,
            subject: ProbeSubject(check, of: target, in: group))
    }

    /// - Parameters:
    ///   - hostHeader: of the target, for checks without a host of their own.
    ///   - version: of the group, for checks that send a request.
    init(
        _ address: SocketAddress, _ check: HealthCheck, hostHeader: String, tls: ProbeTLS? = nil,
        version: TargetGroup.HTTPVersion = .http1, introduction: ProxyProtocolHeader.Version? = nil,
        subject: ProbeSubject? = nil
    ) {
        (self.check, self.tls, self.introduction, self.subject) = (check, tls, introduction, subject)
        switch address {
        case .ip(let ip, let port): self.address = .ip(check.address ?? ip, port: check.port ?? port)
        case .unix: self.address = address
        }
        switch check.kind {
        case .tcp, .tls, .script, .dns, .icmp, .agent, .exec, .file: (host, usesHTTP2) = ("", false)
        // gRPC is HTTP/2, in groups of version http1 too.
        case .grpc: (host, usesHTTP2) = (hostHeader, true)
        case .http(let probe): (host, usesHTTP2) = (probe.host ?? hostHeader, version == .http2)
        }
    }
}

extension HealthCheck.Kind {
    /// Talks over a TCP connection, as clients of the target do.
    fileprivate var isConnection: Bool {
        switch self {
        case .tcp, .tls, .http, .script, .grpc: true
        case .dns, .icmp, .agent, .exec, .file: false
        }
    }
}

extension TargetProxyProtocol {
    /// `nil` for off.
    fileprivate var headerVersion: ProxyProtocolHeader.Version? {
        switch version {
        case .off: nil
        case .v1: .v1
        case .v2: .v2
        }
    }
}

/// One active check: its state, and the targets that go by it.
final class CheckRecord {
    let spec: ProbeSpec
    var state: ActiveCheck
    var users: [TargetRecord] = []
    var lastResult: ProbeResult?
    /// What its verdict rests on; `nil` where no probe has said so.
    var basis: Basis?
    /// The line in which its agent asked for no new flows, of the last time that this changed.
    var pausedBy: ProbeResult?
    /// Of a check that asks an agent.
    var agent = AgentWord()
    /// Shared by what histories remember of this check.
    private(set) lazy var name = Evidence.CheckName(spec.check.summary)
    /// Whether the prober has it.
    var isRunning = false
    /// The prober's own object.
    var runner: AnyObject?

    init(_ spec: ProbeSpec, _ state: ActiveCheck) { (self.spec, self.state) = (spec, state) }
}

/// Makes probes when checks are due. The engine tells what; the results come back by `HealthEngine.probeEnded`.
protocol Probing: AnyObject {
    /// Probe from `check.state.nextProbe` on.
    func begin(_ check: CheckRecord)
    /// `check.state.nextProbe` is earlier than it was. Means nothing to a probe under way.
    func hurry(_ check: CheckRecord)
    /// Stop at once; a probe under way has no result.
    func end(_ check: CheckRecord)
}
