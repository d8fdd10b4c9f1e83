import PoiseHTTP
import PoiseModel

/// One element of the `Forwarded` field, RFC 7239 §4: what this proxy adds.
public struct ForwardedElement: Sendable, Equatable {
    /// `for`: who sent the request to us.
    public var client: IPAddress
    /// Written behind the address where it is given; §6 leaves it to the proxy.
    public var clientPort: UInt16?
    /// `proto`
    public var scheme: URLScheme
    /// `by`: the address at which we took the request; `nil` leaves it out, which tells targets less.
    public var listener: IPAddress?

    public init(client: IPAddress, clientPort: UInt16? = nil, scheme: URLScheme, listener: IPAddress? = nil) {
        (self.client, self.clientPort) = (client, clientPort)
        (self.scheme, self.listener) = (scheme, listener)
    }

    /// Writes `for=192.0.2.1;host=shop.test;proto=http`, without a comma before it. IPv6 addresses and whatever else
    /// is no token are quoted (`for="[2001:db8::1]"`). No allocation.
    ///
    /// - Parameter host: Host as the client sent it, port included. Left out where it is empty or holds a control
    ///   byte.
    public func append<Sink: ByteSink & ~Copyable>(host: Span<UInt8>, to sink: inout Sink) {
        sink.append(text: "for=")
        Self.appendNode(client, port: clientPort, to: &sink)
        if Self.canBeWritten(host) {
            sink.append(text: ";host=")
            Self.appendValue(host, to: &sink)
        }
        sink.append(text: ";proto=")
        sink.append(text: scheme.text)
        if let listener {
            sink.append(text: ";by=")
            Self.appendNode(listener, port: nil, to: &sink)
        }
    }

    /// RFC 7239 §6: an IPv6 address in brackets; a colon is in no token, so such a node is quoted.
    private static func appendNode<Sink: ByteSink & ~Copyable>(_ address: IPAddress, port: UInt16?, to sink: inout Sink)
    {
        let address = address.unmapped
        let isQuoted = address.family == .v6 || port != nil
        if isQuoted { sink.append(UInt8(ascii: "\"")) }
        if address.family == .v6 { sink.append(UInt8(ascii: "[")) }
        address.appendText(to: &sink)
        if address.family == .v6 { sink.append(UInt8(ascii: "]")) }
        if let port {
            sink.append(UInt8(ascii: ":"))
            sink.appendPort(port)
        }
        if isQuoted { sink.append(UInt8(ascii: "\"")) }
    }

    private static func canBeWritten(_ host: Span<UInt8>) -> Bool {
        for index in host.indices where isControl(host[index]) { return false }
        return host.count > 0
    }

    /// A token as it is, anything else as a quoted string (RFC 9110 §5.6.4).
    private static func appendValue<Sink: ByteSink & ~Copyable>(_ value: Span<UInt8>, to sink: inout Sink) {
        let token = ASCIISet.token
        var isToken = true
        for index in value.indices where !token.contains(value[index]) { isToken = false }
        if isToken { return sink.append(value) }
        sink.append(UInt8(ascii: "\""))
        for index in value.indices {
            let byte = value[index]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { sink.append(UInt8(ascii: "\\")) }
            sink.append(byte)
        }
        sink.append(UInt8(ascii: "\""))
    }
}
