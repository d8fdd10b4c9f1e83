import PoiseModel

extension RedirectTemplate {
    /// Throws with the part in `path` (`host`, `query` …), the way ``Redirect`` names it.
    public init(_ redirect: Redirect) throws(ConfigError) {
        guard [301, 302, 303, 307, 308].contains(redirect.status) else {
            throw ConfigError(
                code: .outOfRange, path: "status", problem: "\(redirect.status) is no redirect",
                fix: "use 301, 302, 303, 307 or 308")
        }
        status = redirect.status
        scheme = try Self.scheme(redirect.scheme)
        port = try Self.port(redirect.port)
        host = try Self.host(redirect.host)
        path = try Self.path(redirect.path)
        query = try Self.query(redirect.query)
        let isChanged =
            scheme != nil || ![.kept, .requested].contains(port) || host != [.host]
            || path != Self.keptPath || query != [.query]
        guard isChanged else {
            throw ConfigError(
                code: .conflict, problem: "the redirect leads to the request's own URL: clients would loop",
                fix: "set a scheme, host, port, path or query that differs")
        }
    }

    private static let keptPath: [Piece] = [.literal([UInt8(ascii: "/")]), .path]

    private static func scheme(_ text: String?) throws(ConfigError) -> URLScheme? {
        switch text?.lowercased() {
        case nil, "#{protocol}": return nil
        case "http": return .http
        case "https": return .https
        default:
            throw ConfigError(
                code: .invalid, path: "scheme", problem: "'\(text ?? "")' is no scheme to redirect to",
                fix: "use http, https or '#{protocol}'")
        }
    }

    private static func port(_ text: String?) throws(ConfigError) -> Port {
        guard let text else { return .kept }
        if text == "#{port}" { return .requested }
        guard let port = UInt16(text), port > 0, text.utf8.first != UInt8(ascii: "+") else {
            throw ConfigError(
                code: .outOfRange, path: "port", problem: "'\(text)' is no port", fix: "use 1 to 65535 or '#{port}'")
        }
        return .fixed(port)
    }

    private static func host(_ text: String?) throws(ConfigError) -> [Piece] {
        guard let text else { return [.host] }
        guard !text.isEmpty else {
            throw ConfigError(
                code: .invalid, path: "host", problem: "the host is empty", fix: "leave it out to keep the request's")
        }
        // Parsed as no IP literal: a colon outside of brackets starts a port.
        if text.utf8.first != UInt8(ascii: "["), text.utf8.contains(UInt8(ascii: ":")) {
            throw ConfigError(
                code: .invalid, path: "host", problem: "'\(text)' has a port", fix: "set the port as 'port'")
        }
        let pieces = try pieces(of: text, part: "host", placeholders: [.host])
        let allowed = ASCIISet.host
        for case .literal(let bytes) in pieces where !bytes.allSatisfy(allowed.contains) {
            throw ConfigError(
                code: .invalid, path: "host", problem: "'\(text)' is no host name",
                fix: "use letters, digits, '-' and '.'; an international name in its xn-- form")
        }
        return pieces
    }

    private static func path(_ text: String?) throws(ConfigError) -> [Piece] {
        guard let text else { return keptPath }
        guard text.utf8.first == UInt8(ascii: "/") else {
            throw ConfigError(
                code: .invalid, path: "path", problem: "'\(text)' does not start with a slash", fix: "use '/\(text)'")
        }
        if text.utf8.contains(UInt8(ascii: "?")) {
            throw ConfigError(
                code: .invalid, path: "path", problem: "'\(text)' has a query", fix: "set the query as 'query'")
        }
        let pieces = try pieces(of: text, part: "path", placeholders: [.host, .port, .path])
        return try encode(pieces, part: "path", text, allowed: .path)
    }

    private static func query(_ text: String?) throws(ConfigError) -> [Piece] {
        guard let text else { return [.query] }
        if text.utf8.first == UInt8(ascii: "?") {
            throw ConfigError(
                code: .invalid, path: "query", problem: "'\(text)' starts with '?', which is added anyway",
                fix: "use '\(text.dropFirst())'")
        }
        let placeholders: [Piece] = [.scheme, .host, .port, .path, .query]
        let pieces = try pieces(of: text, part: "query", placeholders: placeholders)
        return try encode(pieces, part: "query", text, allowed: .query)
    }

    /// Splits at `#{…}`. Any other `#` would start a fragment and is refused.
    private static func pieces(
        of text: String, part: String, placeholders: [Piece]
    ) throws(ConfigError) -> [Piece] {
        let usable = placeholders.compactMap { piece in names.first { $0.piece == piece }?.name }
        let list = usable.map { "#{\($0)}" }.joined(separator: " ")
        var pieces: [Piece] = []
        var literal: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.first {
            guard byte == UInt8(ascii: "#") else {
                literal.append(byte)
                rest = rest.dropFirst()
                continue
            }
            guard rest.dropFirst().first == UInt8(ascii: "{"), let end = rest.firstIndex(of: UInt8(ascii: "}")) else {
                throw ConfigError(
                    code: .syntax, path: part, problem: "'#' in '\(text)' starts no placeholder",
                    fix: "write placeholders as \(list), and the character as %23")
            }
            let name = String(decoding: rest[(rest.startIndex + 2)..<end], as: UTF8.self)
            guard let piece = names.first(where: { $0.name == name })?.piece else {
                throw ConfigError(
                    code: .unknownName, path: part, problem: "'#{\(name)}' is no placeholder",
                    fix: "use one of: \(list)")
            }
            guard placeholders.contains(piece) else {
                throw ConfigError(
                    code: .invalid, path: part, problem: "'#{\(name)}' cannot be used in a redirect's \(part)",
                    fix: "use one of: \(list)")
            }
            if !literal.isEmpty { pieces.append(.literal(literal)) }
            literal = []
            pieces.append(piece)
            rest = rest[(end + 1)...]
        }
        if !literal.isEmpty { pieces.append(.literal(literal)) }
        return pieces
    }

    private static let names: [(name: String, piece: Piece)] = [
        ("protocol", .scheme), ("host", .host), ("port", .port), ("path", .path), ("query", .query),
    ]

    /// Literals in the form that goes out.
    private static func encode(
        _ pieces: [Piece], part: String, _ text: String, allowed: ASCIISet
    ) throws(ConfigError) -> [Piece] {
        var encoded: [Piece] = []
        for piece in pieces {
            guard case .literal(let bytes) = piece else {
                encoded.append(piece)
                continue
            }
            var output: [UInt8] = []
            for (index, byte) in bytes.enumerated() {
                if byte == UInt8(ascii: "%") {
                    let digits = bytes[(index + 1)...].prefix(2)
                    guard digits.count == 2, digits.allSatisfy({ hexValue($0) != nil }) else {
                        throw ConfigError(
                            code: .syntax, path: part, problem: "'%' in '\(text)' starts no triplet",
                            fix: "write the character as %25")
                    }
                    output.append(byte)
                } else if isControl(byte) {
                    throw ConfigError(
                        code: .invalid, path: part, problem: "the \(part) holds a control character", fix: "remove it")
                } else if allowed.contains(byte) {
                    output.append(byte)
                } else {
                    output.appendPercentEncoded(byte)
                }
            }
            encoded.append(.literal(output))
        }
        return encoded
    }
}
