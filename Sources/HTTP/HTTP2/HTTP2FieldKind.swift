import PoiseBytes

/// What HTTP/2 has to know of a field, found once when its name is first seen and kept with it in the tables.
enum HTTP2FieldKind: UInt8, Sendable {
    /// Passed on as it is.
    case plain
    /// Passed on in a head, not in trailers. RFC 9110 §6.5.1
    case headOnly
    case cookie, host, contentLength, te, priority
    /// Of one connection only: not in HTTP/2. RFC 9113 §8.2.2
    case connectionSpecific
    case method, scheme, authority, path, status
    /// A name with a colon that means nothing here. RFC 9113 §8.3
    case unknownPseudo
    /// Upper case, or no token. RFC 9113 §8.2.1
    case badName

    var isPseudo: Bool {
        switch self {
        case .method, .scheme, .authority, .path, .status, .unknownPseudo: true
        default: false
        }
    }

    init(name bytes: Span<UInt8>, from start: Int, to end: Int) {
        guard start < end else {
            self = .badName
            return
        }
        if bytes[start] == ASCII.colon {
            self = Self(pseudo: bytes, from: start, to: end)
            return
        }
        for index in start..<end {
            let byte = bytes[index]
            guard ByteClass.token.contains(byte), byte &- 0x41 >= 26 else {
                self = .badName
                return
            }
        }
        let name = ByteRange(from: start, to: end)
        let id = PackedName(bytes, name).fieldID(bytes, name)
        switch id {
        case .cookie: self = .cookie
        case .host: self = .host
        case .contentLength: self = .contentLength
        case .te: self = .te
        case .connection, .proxyConnection, .keepAlive, .transferEncoding, .upgrade: self = .connectionSpecific
        case .other:
            self = equalsIgnoringCase(bytes, name, "priority") ? .priority : .plain
        default: self = id.isForbiddenInTrailers ? .headOnly : .plain
        }
    }

    private init(pseudo bytes: Span<UInt8>, from start: Int, to end: Int) {
        self =
            switch end &- start {
            case 5 where bytes.matches(start, StaticString(":path").asciiBytes, 0, count: 5): .path
            case 7 where bytes.matches(start, StaticString(":method").asciiBytes, 0, count: 7): .method
            case 7 where bytes.matches(start, StaticString(":scheme").asciiBytes, 0, count: 7): .scheme
            case 7 where bytes.matches(start, StaticString(":status").asciiBytes, 0, count: 7): .status
            case 10 where bytes.matches(start, StaticString(":authority").asciiBytes, 0, count: 10): .authority
            default: .unknownPseudo
            }
    }
}
