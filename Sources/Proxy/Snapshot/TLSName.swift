import PoiseModel
import PoiseTLS

/// Whom a target must prove to be, and what it is asked for: worked out once per target, for traffic and probes alike.
public struct TLSName: Sendable, Hashable {
    /// What SNI says; `nil`: nothing. Never an address: RFC 6066 §3.
    public let serverName: String?
    /// What the certificate must name.
    public let expected: TLSPeer.ExpectedName

    /// The name of the settings, else the one that the target's address was written with, else its address.
    ///
    /// A unix socket has neither and is called `localhost`, as in `Host`; nothing is sent as SNI. That is only ever used
    /// without verification: with it, the configuration must name one.
    public init(_ settings: TargetTLS, for address: TargetAddress) {
        let written: String? =
            switch address {
            case .name(let name, _): name
            case .ip(let ip, _): ip.description
            case .unix: nil
            }
        let name = settings.name ?? written
        let ip = name.flatMap { IPAddress(parsing: $0) }
        expected = ip.map { .address($0) } ?? .name(name ?? "localhost")
        let asked = settings.serverName ?? (ip == nil ? name : nil)
        serverName = asked.flatMap { IPAddress(parsing: $0) == nil ? $0 : nil }
    }

    /// The other end of one connection.
    ///
    /// - Parameters:
    ///   - resumption: keeps the last session of the target on this thread; `nil`: none is resumed.
    ///   - offers: what ALPN offers; `nil`: what the group's context does.
    public func peer(
        resumption: ResumptionSlot? = nil, offers: [TLSSession.ApplicationProtocol]? = nil
    ) -> TLSPeer {
        TLSPeer(serverName: serverName, expectedName: expected, resumption: resumption, offers: offers)
    }
}
