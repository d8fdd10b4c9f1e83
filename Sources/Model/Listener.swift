/// Where clients connect, and what is done with their requests.
public struct Listener: Sendable, Equatable {
    public enum ListenerProtocol: String, Sendable { case http = "HTTP", https = "HTTPS" }
    public enum ProxyProtocol: String, Sendable, CaseIterable { case off, required }

    /// Identity over an apply: `name`, or protocol and addresses where the file names none.
    public var id: String
    public var name: String?
    public var loadBalancer = "default"
    public var protocolKind = ListenerProtocol.http
    /// `nil` exactly where ``protocolKind`` is HTTP.
    public var tls: ListenerTLS?
    public var http2 = HTTP2Settings()
    /// One or more.
    public var addresses: [ListenAddress]
    /// First match in this order wins; the rules of `rule_sets` stand where the set was named.
    public var rules: [Rule]
    /// `nil`: 404 with reason `no_rule`.
    public var defaultAction: Action?
    public var proxyProtocol = ProxyProtocol.off
    public var forwarding = ForwardingHeaders()
    public var timeouts = ClientTimeouts()
    public var limits = ClientLimits()
    /// TRACE is answered with 405 unless this is set.
    public var allowsTrace = false
    /// Tokens of `Upgrade` that may pass, lower case. Never `h2c`.
    public var upgrades = ["websocket"]
    /// Body of generated answers: plain text or JSON.
    public var errorFormat = ErrorFormat.text

    public enum ErrorFormat: String, Sendable, CaseIterable { case text, json }

    public init(id: String, name: String? = nil, addresses: [ListenAddress], rules: [Rule], defaultAction: Action?) {
        (self.id, self.name, self.addresses) = (id, name, addresses)
        (self.rules, self.defaultAction) = (rules, defaultAction)
    }
}

/// What Poise tells a target about the client.
public struct ForwardingHeaders: Sendable, Equatable {
    /// Peers whose own forwarding fields are believed. For all others the fields are replaced.
    public var trustedProxies: [AddressRange] = []
    /// `X-Forwarded-For`, `-Proto`, `-Port`.
    public var xForwarded = true
    /// `Forwarded`, RFC 7239.
    public var forwarded = false
    /// `X-Request-Id`, made where the client sends none that may be kept.
    public var requestID = true
    /// `X-Amzn-Trace-Id`, likewise.
    public var amazonTraceID = false

    public init() {}
}

public struct ClientTimeouts: Sendable, Equatable {
    /// From the first byte of a request (or from accept) to the end of its head.
    public var head: Nanoseconds = .seconds(10)
    /// Between requests; ±10 % jitter.
    public var idle: Nanoseconds = .seconds(75)
    /// After this age a connection is closed with its next response.
    public var connectionAge: Nanoseconds = .seconds(3600)
    /// A tunnel (WebSocket) without a byte in either direction.
    public var upgradedIdle: Nanoseconds = .seconds(3600)
    /// A body slower than ``ClientLimits/bodyRateMin`` is ended once this much time has passed.
    public var bodyRateGrace: Nanoseconds = .seconds(10)

    public init() {}
}

public struct ClientLimits: Sendable, Equatable {
    /// Whole request head, in bytes.
    public var headBytesMax = 32 * 1024
    public var fieldCountMax = 100
    /// Request target, in bytes; beyond it 414.
    public var uriBytesMax = 8 * 1024
    /// Request body; `nil` means no limit. Beyond it 413.
    public var bodyBytesMax: Int?
    /// Bytes per second in each direction, measured while the peer is the one that is waited for. 0 turns it off.
    public var bodyRateMin = 1024
    /// Connections of this listener; `nil` means only the process's limit.
    public var connectionsMax: Int?
    /// Connections per client address; `nil` is off.
    public var connectionsPerClientMax: Int?

    public init() {}
}
