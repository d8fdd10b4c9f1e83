/// Where a webhook is: `https://hooks.example/poise?token=…`.
public struct WebhookURL: Sendable, Hashable, CustomStringConvertible {
    public let isSecure: Bool
    /// A name, or an address without brackets.
    public let host: String
    public let port: UInt16
    /// Path and query as they go on the wire.
    public let target: String

    public var address: IPAddress? { IPAddress(parsing: host) }

    /// The value of `Host`: the port only where it is not the scheme's own.
    public var authority: String {
        let name = address?.family == .v6 ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }

    public var description: String { "\(isSecure ? "https" : "http")://\(authority)\(target)" }

    /// - Throws: ``ConfigError`` with an empty path; the text is not repeated beyond its scheme, since it may be a secret.
    public init(parsing text: String) throws(ConfigError) {
        let example = "write https://host/path"
        let lowered = text.prefix(8).lowercased()
        guard lowered.hasPrefix("https://") || lowered.hasPrefix("http://") else {
            throw ConfigError(code: .invalid, problem: "this is no http or https URL", fix: example)
        }
        isSecure = lowered.hasPrefix("https://")
        let rest = text.dropFirst(isSecure ? 8 : 7)
        guard text.utf8.count <= 4096, rest.utf8.allSatisfy({ (0x21..<0x7F).contains($0) }) else {
            throw ConfigError(
                code: .invalid, problem: "the URL has characters that no request may have, or more than 4096",
                fix: "percent-encode them")
        }
        guard !rest.utf8.contains(UInt8(ascii: "#")) else {
            throw ConfigError(
                code: .invalid, problem: "the URL has a '#', which is never sent", fix: "remove it and what follows")
        }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let path = rest.dropFirst(authority.count)
        target = path.isEmpty ? "/" : path.hasPrefix("?") ? "/\(path)" : String(path)
        guard !authority.contains("@") else {
            throw ConfigError(
                code: .invalid, problem: "the URL has a user's name in it",
                fix: "use headers: { Authorization: file:PATH }")
        }
        var name = authority
        var number = isSecure ? 443 : 80
        if let colon = authority.lastIndex(of: ":"), !authority.hasSuffix("]") {
            let digits = authority[authority.index(after: colon)...]
            guard (1...5).contains(digits.utf8.count), let port = Int(digits), (1...65_535).contains(port) else {
                throw ConfigError(
                    code: .outOfRange, problem: "the URL's port is none", fix: "use a number from 1 to 65535")
            }
            (name, number) = (authority[..<colon], port)
        }
        port = UInt16(number)
        let isBracketed = name.hasPrefix("[") && name.hasSuffix("]")
        if isBracketed { name = name.dropFirst().dropLast() }
        let ip = IPAddress(parsing: name)
        guard isBracketed ? ip?.family == .v6 : ip?.family == .v4 || HostName.isValid(name) else {
            throw ConfigError(code: .invalid, problem: "the URL has no host name or address", fix: example)
        }
        host = String(name)
    }
}
