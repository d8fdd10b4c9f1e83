/// What Poise says at the beginning of each connection to a target: for whom it is.
///
/// Source: "The PROXY protocol, versions 1 & 2" (HAProxy, 2020-03-05).
public struct TargetProxyProtocol: Sendable, Hashable {
    public enum Version: String, Sendable, CaseIterable { case off, v1, v2 }

    /// Type-length-value fields of version 2, section 2.2.
    public enum Field: String, Sendable, CaseIterable {
        /// That the client came over TLS, with which version and cipher; nothing for one in plain text.
        case ssl
        /// The name that the client's hello asked for; nothing without one.
        case authority
        /// The id, as logged, of the first request of the connection.
        case uniqueID = "unique_id"
        /// What is spoken behind the header.
        case alpn
        case crc32c
    }

    public var version = Version.off
    /// Each once, in any order; empty unless the version is 2.
    public var fields: [Field] = []

    public init(version: Version = .off, fields: [Field] = []) { (self.version, self.fields) = (version, fields) }
}

extension TargetGroup {
    func validateProxyProtocol() -> [ConfigError] {
        guard proxyProtocol.version != .off, version == .http2 else { return [] }
        return [
            ConfigError(
                code: .conflict, path: "proxy_protocol",
                problem: "a PROXY header names one client, and a connection of version http2 is shared by many",
                fix: "write 'version: http1' for the group, or remove 'proxy_protocol'; "
                    + "X-Forwarded-For tells each request's client", related: "version")
        ]
    }
}

extension Configuration {
    /// Fields that tell of TLS, where no client can speak it.
    func proxyFieldWarnings() -> [ConfigError] {
        guard !listeners.contains(where: { $0.tls != nil }) else { return [] }
        return targetGroups.enumerated().flatMap { index, group in
            group.proxyProtocol.fields.enumerated().filter { [.ssl, .authority].contains($1) }.map { item, field in
                ConfigError(
                    code: .noEffect, path: "target_groups[\(index)].proxy_protocol.tlvs[\(item)]",
                    problem: "\(field.rawValue) tells of clients over TLS, and no listener is of protocol HTTPS",
                    fix: "remove it, or add such a listener")
            }
        }
    }
}
