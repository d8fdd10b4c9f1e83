import PoiseBytes

/// Whether a field to send may enter the dynamic table.
enum HPACKPolicy: UInt8, Sendable {
    /// When its value was seen before: values that never come again would only push out those that do.
    case whenRepeated
    /// Nearly every value differs.
    case never
    /// A secret, which the next hop must not index either: a guess that shortens the block must not tell who guesses
    /// that it is right. RFC 7541 §7.1.3
    case neverIndexed
    /// Not sent at all: of one connection only. RFC 9113 §8.2.2
    case dropped
    /// `te`, which may say `trailers` and nothing else. RFC 9113 §8.2.2
    case te
    /// `host`, which becomes `:authority`.
    case host

    init(_ id: FieldID) {
        switch id {
        case .connection, .proxyConnection, .keepAlive, .transferEncoding, .upgrade, .http2Settings: self = .dropped
        case .te: self = .te
        case .host: self = .host
        case .authorization, .proxyAuthorization, .cookie, .setCookie: self = .neverIndexed
        case .contentLength, .contentRange, .range, .age, .location, .xRequestID, .xAmznTraceID, .xForwardedFor,
            .xRealIP, .forwarded:
            self = .never
        default: self = .whenRepeated
        }
    }

    /// - Parameter name: in lower case.
    init(name bytes: Span<UInt8>, from start: Int, to end: Int) {
        let name = ByteRange(from: start, to: end)
        self.init(PackedName(bytes, name).fieldID(bytes, name))
        for varied in [":path", "etag", "if-none-match", "if-modified-since", "last-modified"]
        where equalsIgnoringCase(bytes, name, varied) {
            self = .never
        }
    }
}
