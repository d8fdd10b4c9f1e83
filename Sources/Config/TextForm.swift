import PoiseModel

/// Checks of settings that are text. Each throws ``ConfigError`` with an empty path.
enum TextForm {
    static func userName(_ text: String) throws(ConfigError) {
        let isGood = text.utf8.first.map { $0 != 0x2D } ?? false
        try require(
            isGood && text.utf8.count <= 32
                && text.utf8.allSatisfy { isLetterOrDigit($0) || $0 == 0x5F || $0 == 0x2D || $0 == 0x2E },
            "'\(text)' is not a user's name", fix: "write the name of a user of this machine, or none")
    }

    static func groupName(_ text: String) throws(ConfigError) {
        try require(
            Identity.isName(text), "'\(text)' is not the name of a target group",
            fix: "names have 1 to 32 of a-z, 0-9 and '-'")
    }

    static func socketPath(_ text: String) throws(ConfigError) {
        try require(
            text.hasPrefix("/") && (2...107).contains(text.utf8.count) && isPrintable(text),
            "'\(text)' is not an absolute path of at most 107 bytes", fix: "write a path such as /run/poise/admin.sock")
    }

    /// `stdout`, `stderr`, `off` or a path: something with a slash.
    static func destination(_ text: String) throws(ConfigError) -> LogSettings.Destination {
        switch text {
        case "stdout": return .standardOutput
        case "stderr": return .standardError
        case "off": return .off
        default:
            try require(
                text.contains("/") && !text.hasSuffix("/") && isPrintable(text) && text.utf8.count <= 4095,
                "'\(text)' is neither a destination nor a path",
                fix: Suggestion.nearest(to: text, among: ["stdout", "stderr", "off"]).map { "did you mean '\($0)'?" }
                    ?? "use stdout, stderr, off, or a path with a slash: /var/log/poise/access.log")
            return .file(path: text)
        }
    }

    static func destination(_ destination: LogSettings.Destination) -> String {
        switch destination {
        case .off: "off"
        case .standardOutput: "stdout"
        case .standardError: "stderr"
        case .file(let path): path
        }
    }

    /// A token of RFC 9110 §5.6.2.
    static func token(_ text: String) throws(ConfigError) {
        try require(isToken(text), "'\(text)' is not a token of HTTP", fix: "use letters, digits and - _ .")
    }

    static func method(_ text: String) throws(ConfigError) {
        try require(
            isToken(text) && text.utf8.allSatisfy { !(0x61...0x7A).contains($0) }, "'\(text)' is not a method",
            fix: "use GET, HEAD or OPTIONS, in capitals")
        try require(text != "CONNECT", "CONNECT cannot be a probe", fix: "use GET or HEAD")
    }

    /// Origin form: a path, perhaps with a query.
    static func probePath(_ text: String) throws(ConfigError) {
        try require(
            text.hasPrefix("/"), "the path '\(text)' does not start with a slash", fix: "write \(encoded("/\(text)"))")
        try require(
            isVisible(text) && !text.contains("#"), "the path has characters that no request may have",
            fix: "percent-encode them: \(encoded(text))")
        try require(
            text.utf8.count <= 8192, "the path has \(text.utf8.count) bytes; the limit is 8192", fix: "shorten it")
    }

    /// A host name or address, with a port or without.
    static func hostAndPort(_ text: String) throws(ConfigError) {
        if text.contains("/") {
            throw ConfigError(
                code: .invalid, problem: "'\(text)' is not a host name: it has a slash",
                fix: "write a name such as shop.test, without a scheme and without a path")
        }
        var host = text[...]
        if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]"), IPAddress(parsing: text) == nil {
            let port = text[text.index(after: colon)...]
            try require(
                port.utf8.count <= 5 && port.utf8.allSatisfy(isDigit) && (1...65_535).contains(Int(port) ?? 0),
                "'\(port)' is not a port", fix: "use a number from 1 to 65535, or leave it out")
            host = text[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]"), IPAddress(parsing: host.dropFirst().dropLast())?.family == .v6 {
            return
        }
        try require(
            HostName.isValid(host) || IPAddress(parsing: host)?.family == .v4, "'\(text)' is not a host name",
            fix: "write a name such as shop.test, without a scheme and without a path")
    }

    static func field(_ name: String, _ value: String) throws(ConfigError) {
        try require(isToken(name), "'\(name)' is not a field name", fix: "use letters, digits and '-'")
        let owned = ["host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "expect"]
        try require(
            !owned.contains(name.lowercased()), "a probe sets the field \(name) itself",
            fix: name.lowercased() == "host" ? "use the key 'host'" : "remove it")
        try require(
            value.utf8.allSatisfy { $0 == 0x09 || $0 >= 0x20 && $0 != 0x7F } && value == trimmed(value),
            "the value of \(name) has control characters, or spaces around it", fix: "remove them")
    }

    static func mediaType(_ text: String) throws(ConfigError) {
        let parts = text.prefix { $0 != ";" }.split(separator: "/", omittingEmptySubsequences: false)
        try require(
            parts.count == 2 && parts.allSatisfy { isToken(trimmed(String($0))) }
                && text.utf8.allSatisfy { (0x20..<0x7F).contains($0) },
            "'\(text)' is not a media type", fix: "write text/plain, text/html or application/json")
        try require(
            text.utf8.count <= 255, "the media type has \(text.utf8.count) bytes; the limit is 255",
            fix: "shorten it: a type and its parameters")
    }

    static func body(_ text: String) throws(ConfigError) {
        try require(
            text.utf8.count <= 64 * 1024, "the body has \(text.utf8.count) bytes; the limit is 64 KiB",
            fix: "shorten it, or let a target answer")
    }

    static func bodyContains(_ text: String) throws(ConfigError) {
        try require(
            (1...1024).contains(text.utf8.count), "a text of \(text.utf8.count) bytes cannot be looked for",
            fix: "use 1 to 1024 bytes")
    }

    static func scheme(_ text: String) throws(ConfigError) {
        try require(
            ["http", "https", "#{protocol}"].contains(text.lowercased()), "'\(text)' is not a scheme to redirect to",
            fix: "use http, https or \"#{protocol}\"")
    }

    static func redirectHost(_ text: String) throws(ConfigError) {
        try placeholders(text)
        let plain = text.substituting("#{host}", with: "h")
        if plain.contains(":") || plain.contains("/") {
            throw ConfigError(
                code: .invalid, problem: "'\(text)' is more than a host",
                fix: "put the port into 'port', the path into 'path' and the scheme into 'scheme'")
        }
        try require(
            HostName.isValid(plain) || IPAddress(parsing: plain) != nil, "'\(text)' is not a host name",
            fix: "write a name such as shop.test, or one with #{host} in it")
    }

    static func redirectPort(_ text: String) throws(ConfigError) {
        try require(
            text == "#{port}"
                || text.utf8.count <= 5 && text.utf8.allSatisfy(isDigit) && (1...65_535).contains(Int(text) ?? 0),
            "'\(text)' is not a port", fix: "use a number from 1 to 65535 or \"#{port}\"")
    }

    static func redirectPath(_ text: String) throws(ConfigError) {
        try placeholders(text)
        try require(
            text.hasPrefix("/"), "the path '\(text)' does not start with a slash",
            fix: isVisible(withoutPlaceholders(text)) && !withoutPlaceholders(text).contains("#")
                ? "write \"/\(text)\"" : "begin it with a slash, and percent-encode spaces and other special characters"
        )
        let plain = withoutPlaceholders(text)
        if plain.contains("?") {
            throw ConfigError(
                code: .invalid, problem: "the path '\(text)' has a query", fix: "put the query into 'query'")
        }
        try require(
            isVisible(plain) && !plain.contains("#"), "the path has characters that no address may have",
            fix: "percent-encode spaces and other special characters")
    }

    static func redirectQuery(_ text: String) throws(ConfigError) {
        try placeholders(text)
        let plain = withoutPlaceholders(text)
        try require(!text.hasPrefix("?"), "the query starts with '?'", fix: "leave the '?' out")
        try require(
            isVisible(plain) && !plain.contains("#"), "the query has characters that no address may have",
            fix: "percent-encode spaces and other special characters")
    }

    // MARK: - TLS

    static func filePath(_ text: String) throws(ConfigError) {
        try require(!text.isEmpty, "the path is empty", fix: "write the path of a file")
        try require(
            isPrintable(text) && text.utf8.count <= 4095, "'\(text)' is not a path",
            fix: "write the path of a file in one line, at most 4095 bytes")
        try require(!text.hasSuffix("/"), "'\(text)' is a folder", fix: "name a file in it")
    }

    /// What a certificate may name: a host, or an address without a port.
    static func certificateName(_ text: String) throws(ConfigError) {
        try require(
            HostName.isValid(text) || IPAddress(parsing: text) != nil, "'\(text)' is not a name that a certificate has",
            fix: "write a host name such as app.internal, or an address, without a port")
    }

    /// No address: RFC 6066 §3.
    static func serverName(_ text: String) throws(ConfigError) {
        try require(
            IPAddress(parsing: text) == nil, "'\(text)' is an address, and SNI names hosts only",
            fix: "write a host name, or auto")
        try require(
            HostName.isValid(text), "'\(text)' is not a host name",
            fix: "write a name such as app.internal, without a scheme and without a port")
    }

    // MARK: - Patterns of conditions

    static func hostPattern(_ text: String) throws(ConfigError) {
        if text.contains("/") {
            throw ConfigError(
                code: .invalid, problem: "the host pattern '\(text)' has a slash",
                fix: "write the host alone, and the path as a 'path' condition")
        }
        if text.contains(":") {
            throw ConfigError(
                code: .invalid, problem: "the host pattern '\(text)' has a port, and hosts are compared without",
                fix: "remove the port; listeners are told apart by their address")
        }
        try require(
            !text.isEmpty && text.utf8.count <= 253
                && text.utf8.allSatisfy { isLetterOrDigit($0) || [0x2A, 0x3F, 0x2D, 0x2E, 0x5F].contains($0) },
            "'\(text)' cannot match a host", fix: "use letters, digits, '-', '.', and the wildcards * and ?")
    }

    static func pathPattern(_ text: String) throws(ConfigError) {
        let first = text.utf8.first
        try require(
            first == 0x2F || first == 0x2A || first == 0x3F, "the path pattern '\(text)' does not start with a slash",
            fix: "write \(encoded("/\(text)")), or \(encoded("*/\(text)")) for any folder")
        try require(
            isVisible(text) && !text.contains("#") && text.utf8.count <= 1024,
            "the path pattern has characters that no path has, or more than 1024 bytes",
            fix: "percent-encode spaces and other special characters")
    }

    // MARK: - Parts

    /// Refuses `#{...}` that a redirect does not know.
    private static func placeholders(_ text: String) throws(ConfigError) {
        var rest = text[...]
        while let opening = rest.place(of: "#{") {
            rest = rest[opening.upperBound...]
            let name = String(rest.prefix { $0 != "}" })
            guard rest.holds("}"), known.contains(name) else {
                throw ConfigError(
                    code: .invalid, problem: "'#{\(name)}' is not part of a request",
                    fix: Suggestion.fix(for: name, among: known, noneKnown: ""))
            }
        }
    }

    private static let known = ["protocol", "host", "port", "path", "query"]

    private static func withoutPlaceholders(_ text: String) -> String {
        known.reduce(text) { $0.substituting("#{\($1)}", with: "") }
    }

    static func require(_ condition: Bool, _ problem: @autoclosure () -> String, fix: @autoclosure () -> String)
        throws(ConfigError)
    {
        guard condition else { throw ConfigError(code: .invalid, problem: problem(), fix: fix()) }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        isDigit(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
    private static func isToken(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { isLetterOrDigit($0) || "!#$%&'*+-.^_`|~".utf8.contains($0) }
    }
    /// With `%XX` for everything that no path and no query may have: what a fix can propose. RFC 3986 §2.1
    private static func encoded(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            if (0x21..<0x7F).contains(byte), byte != 0x23 {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                result += digits.utf8.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return result
    }
    private static func isVisible(_ text: String) -> Bool { text.utf8.allSatisfy { (0x21..<0x7F).contains($0) } }
    private static func isPrintable(_ text: String) -> Bool { text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } }
    private static func trimmed(_ text: String) -> String {
        String(text.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }
}

/// `200-299,404`: statuses and ranges of them.
enum StatusRanges {
    static func parse(_ text: String) throws(ConfigError) -> [ClosedRange<Int>] {
        var ranges: [ClosedRange<Int>] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false)
            let numbers = ends.compactMap {
                $0.utf8.count == 3 && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int($0) : nil
            }
            guard (1...2).contains(ends.count), numbers.count == ends.count, let low = numbers.first,
                let high = numbers.last
            else {
                throw ConfigError(
                    code: .invalid, problem: "'\(part)' is not a status or a range of statuses",
                    fix: "write \"200\", \"200-299\" or \"200-299,404\"")
            }
            guard low <= high, (100...599).contains(low), (100...599).contains(high) else {
                throw ConfigError(
                    code: .outOfRange, problem: "\(part) is not a range within 100...599",
                    fix: "put the smaller number first, 100 to 599")
            }
            ranges.append(low...high)
        }
        // 101 ends a probe that asks to upgrade; the others come before an answer (RFC 9110 §15.2).
        guard ranges.contains(where: { $0.upperBound >= 200 || $0 == 101...101 }) else {
            throw ConfigError(
                code: .outOfRange, problem: "\(text) matches no final answer: statuses below 200 come before one",
                fix: "write \"200-299\", or \"101\" for a probe that asks to upgrade")
        }
        return ranges
    }

    static func format(_ ranges: [ClosedRange<Int>]) -> String {
        ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ",")
    }
}
