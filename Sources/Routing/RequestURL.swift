/// The scheme that a client used to reach a listener.
public enum URLScheme: UInt8, Sendable, CaseIterable {
    case http, https

    public var text: String { self == .http ? "http" : "https" }
    public var defaultPort: UInt16 { self == .http ? 80 : 443 }
}

/// What a client asked for, in parts that lie in the request's own buffer.
public struct RequestURL: ~Escapable {
    public let scheme: URLScheme
    /// As in Host, without port; an IPv6 address in brackets.
    public let host: Span<UInt8>
    /// Of Host, or the scheme's default.
    public let port: UInt16
    /// Raw, as sent.
    public let path: Span<UInt8>
    /// Raw, without `?`; empty where there is none.
    public let query: Span<UInt8>

    @_lifetime(copy host, copy path, copy query)
    public init(scheme: URLScheme, host: Span<UInt8>, port: UInt16, path: Span<UInt8>, query: Span<UInt8>) {
        (self.scheme, self.port) = (scheme, port)
        self.host = host
        self.path = path
        self.query = query
    }

    /// What `#{path}` stands for.
    var pathWithoutSlash: Span<UInt8> {
        @_lifetime(copy self)
        get {
            let hasSlash = path.count > 0 && path[0] == UInt8(ascii: "/")
            return path.extracting((hasSlash ? 1 : 0)..<path.count)
        }
    }
}
