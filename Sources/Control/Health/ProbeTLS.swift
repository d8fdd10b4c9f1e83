import PoiseModel
import PoiseProxy
import PoiseTLS

/// How a probe speaks TLS: as the traffic of its group does, but that it resumes no session, so that each probe sees the
/// certificate that a new connection would.
struct ProbeTLS: Equatable {
    let context: TLSClientContext
    let name: TLSName
    /// What ALPN offers; `none`: there is no ALPN.
    let offer: TLSSession.ApplicationProtocol

    init(_ context: TLSClientContext, _ name: TLSName, offer: TLSSession.ApplicationProtocol) {
        (self.context, self.name, self.offer) = (context, name, offer)
    }

    /// - Returns: `nil` for a check in plain text.
    init?(_ kind: HealthCheck.Kind, of target: CompiledTarget, in group: CompiledGroup) {
        guard kind.isSecure, let context = group.tls, let name = target.tlsName else { return nil }
        let offer: TLSSession.ApplicationProtocol =
            switch kind {
            // Whatever a script speaks, it is no HTTP.
            case .script: .none
            case .grpc: .http2
            case .tcp, .tls, .http, .dns, .icmp, .agent, .exec, .file:
                group.settings.version == .http2 ? .http2 : .http11
            }
        self.init(context, name, offer: offer)
    }

    var peer: TLSPeer { name.peer(offers: offer == .none ? [] : [offer]) }

    /// Whether what ALPN chose is what was asked for. A target without ALPN speaks HTTP/1.1, and never HTTP/2: RFC 9113 §3.3.
    func accepts(_ chosen: TLSSession.ApplicationProtocol) -> Bool {
        switch (offer, chosen) {
        case (.http2, .http2), (.http11, .http11), (.http11, .none), (.none, .none): true
        case (.http2, _), (.http11, _), (.none, _): false
        }
    }

    /// One context is one set of authorities, certificate and policy.
    static func == (a: Self, b: Self) -> Bool { a.context === b.context && a.name == b.name && a.offer == b.offer }
}
