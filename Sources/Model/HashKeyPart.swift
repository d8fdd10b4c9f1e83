/// One part of what `hash` goes by.
public enum HashKeyPart: Sendable, Hashable, CustomStringConvertible {
    /// Every field line of this name, in order; kept in lower case.
    case header(String)
    case cookie(String)
    /// A parameter of the query, as it was sent.
    case query(String)
    /// As it was sent, without the query.
    case path
    /// Without case and port.
    case host
    /// Path and query, as they were sent.
    case uri
    /// The first bits of the client's address.
    case sourceIP(ipv4Bits: Int, ipv6Bits: Int)

    /// - Parameter text: `header:NAME`, `cookie:NAME`, `query:NAME`, `path`, `host`, `uri`, `source_ip`,
    ///   `source_ip/24`, `source_ip/24/56` (IPv4 and IPv6).
    /// - Throws: ``ConfigError`` with an empty path.
    public init(parsing text: String) throws(ConfigError) {
        switch text {
        case "path": self = .path
        case "host": self = .host
        case "uri": self = .uri
        case "source_ip": self = .sourceIP(ipv4Bits: 32, ipv6Bits: 128)
        default:
            if text.hasPrefix("source_ip/") {
                self = try Self.source(text)
            } else if let colon = text.firstIndex(of: ":") {
                self = try Self.named(text[..<colon], String(text[text.index(after: colon)...]), text)
            } else {
                throw Self.unknown(text)
            }
        }
    }

    private static func named(_ kind: Substring, _ name: String, _ text: String) throws(ConfigError) -> HashKeyPart {
        guard ["header", "cookie", "query"].contains(kind) else { throw unknown(text) }
        guard !name.isEmpty else {
            throw ConfigError(
                code: .missing, problem: "'\(text)' names no \(kind)", fix: "write its name: \(kind):session")
        }
        // Parameters of a query are compared as bytes: there are no others than these that may stand in one.
        let isValid = kind == "query" ? name.utf8.allSatisfy(isQueryByte) : name.utf8.allSatisfy(isTokenByte)
        guard isValid else {
            throw ConfigError(
                code: .invalid, problem: "'\(name)' is not the name of a \(kind == "query" ? "parameter" : "\(kind)")",
                fix: kind == "query"
                    ? "write it as clients send it, with % for what needs it" : "use letters, digits and -_.")
        }
        switch kind {
        case "header": return .header(name.lowercased())
        case "cookie": return .cookie(name)
        default: return .query(name)
        }
    }

    private static func source(_ text: String) throws(ConfigError) -> HashKeyPart {
        let bits = text.dropFirst("source_ip/".count).split(separator: "/", omittingEmptySubsequences: false)
        guard bits.count <= 2, let first = bits.first.flatMap({ number($0, atMost: 32) }),
            let second = bits.count == 1 ? 128 : number(bits[1], atMost: 128)
        else {
            throw ConfigError(
                code: .invalid, problem: "'\(text)' is not source_ip with the bits of a network",
                fix: "write source_ip/24 (IPv4), or source_ip/24/56 (IPv4 and IPv6)")
        }
        return .sourceIP(ipv4Bits: first, ipv6Bits: second)
    }

    private static func number(_ text: Substring, atMost limit: Int) -> Int? {
        guard !text.isEmpty, text.utf8.count <= 3, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(text), (1...limit).contains(number)
        else { return nil }
        return number
    }

    private static func unknown(_ text: String) -> ConfigError {
        ConfigError(
            code: .invalid, problem: "'\(text)' is no part of a request that can be a key",
            fix: Suggestion.fix(
                for: text,
                among: [
                    "header:NAME", "cookie:NAME", "query:NAME", "path", "host", "uri", "source_ip", "source_ip/24",
                ],
                noneKnown: ""))
    }

    /// RFC 9110 §5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x5E...0x7A, 0x7C, 0x7E, 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E: true
        default: false
        }
    }

    /// RFC 3986 §3.4, without what separates parameters.
    private static func isQueryByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x26, 0x3D, 0x23, 0x22, 0x3C, 0x3E: false
        case 0x21...0x7E: true
        default: false
        }
    }

    /// As ``init(parsing:)`` reads it.
    public var description: String {
        switch self {
        case .header(let name): "header:\(name)"
        case .cookie(let name): "cookie:\(name)"
        case .query(let name): "query:\(name)"
        case .path: "path"
        case .host: "host"
        case .uri: "uri"
        case .sourceIP(32, 128): "source_ip"
        case .sourceIP(let ipv4Bits, 128): "source_ip/\(ipv4Bits)"
        case .sourceIP(let ipv4Bits, let ipv6Bits): "source_ip/\(ipv4Bits)/\(ipv6Bits)"
        }
    }
}
