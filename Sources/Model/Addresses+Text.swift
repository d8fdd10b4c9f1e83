extension ListenAddress: CustomStringConvertible {
    /// `:8080`, `0.0.0.0:8080`, `[::]:8080`, `127.0.0.1:0` (a free port), `unix:/run/poise.sock`.
    ///
    /// - Throws: ``ConfigError`` with an empty path.
    public init(parsing text: String) throws(ConfigError) {
        if let path = try UnixPath.read(text) {
            self = .unix(path: path)
            return
        }
        let parts = try HostAndPort(text, portRange: 0...65_535, example: ":8080") { (try? Self(parsing: $0)) != nil }
        switch parts.host {
        case "": self = .anyAddress(port: parts.port)
        case "*":
            throw ConfigError(
                code: .invalid, problem: "'\(text)' uses '*' as an address",
                fix: "write \":\(parts.port)\" for every IPv4 and IPv6 address")
        default:
            guard let address = parts.address else {
                throw ConfigError(
                    code: .invalid, problem: "'\(text)' is not an address to listen on: names are not resolved here",
                    fix: "write an IP address with a port, or \":\(parts.port)\" for all addresses")
            }
            self = .ip(address, port: parts.port)
        }
    }

    public var description: String {
        switch self {
        case .anyAddress(let port): ":\(port)"
        case .ip(let address, let port): HostAndPort.text(address, port)
        case .unix(let path): "unix:\(path)"
        }
    }

    /// Whether binding both would take the same address of the machine. Port 0 is a new port each time.
    ///
    /// All addresses of a family collide with each single one: Linux refuses the second of two listening sockets where
    /// either is bound to all addresses, whatever SO_REUSEADDR says (socket(7)).
    public func collides(with other: ListenAddress) -> Bool {
        switch (self, other) {
        case (.unix(let a), .unix(let b)): return a == b
        case (.unix, _), (_, .unix): return false
        case (.anyAddress(let a), .anyAddress(let b)), (.anyAddress(let a), .ip(_, let b)),
            (.ip(_, let a), .anyAddress(let b)):
            return a == b && a != 0
        case (.ip(let address, let a), .ip(let otherAddress, let b)):
            guard a == b, a != 0, address.family == otherAddress.family else { return false }
            return address == otherAddress || address.bits == 0 || otherAddress.bits == 0
        }
    }

    /// Whether it stands for all that `other` stands for, given that they collide.
    func includes(_ other: ListenAddress) -> Bool {
        switch (self, other) {
        case (.anyAddress, _): true
        case (_, .anyAddress): false
        case (.ip(let address, _), _): address.bits == 0 || self == other
        case (.unix, _): self == other
        }
    }
}

extension TargetAddress: CustomStringConvertible {
    /// `10.0.0.11:8080`, `[2001:db8::13]:8080`, `web-a.internal:80`, `unix:/run/app.sock`.
    ///
    /// - Throws: ``ConfigError`` with an empty path.
    public init(parsing text: String) throws(ConfigError) {
        if let path = try UnixPath.read(text) {
            self = .unix(path: path)
            return
        }
        let parts = try HostAndPort(text, portRange: 1...65_535, example: "10.0.0.11:8080") {
            (try? Self(parsing: $0)) != nil
        }
        if let address = parts.address {
            guard address.bits != 0 else {
                throw ConfigError(
                    code: .invalid, problem: "'\(text)' stands for no particular machine",
                    fix: "write 127.0.0.1:\(parts.port) for this machine")
            }
            self = .ip(address, port: parts.port)
            return
        }
        let name = parts.host.lowercased()
        if name.isEmpty {
            throw ConfigError(
                code: .invalid, problem: "the target '\(text)' has no host",
                fix: "write 127.0.0.1:\(parts.port) for this machine")
        }
        guard HostName.isValid(name) else {
            throw ConfigError(
                code: .invalid, problem: "'\(parts.host)' is neither an IP address nor a host name",
                fix: "write an address such as 10.0.0.11:8080, or a name of letters, digits, '-' and '.'")
        }
        self = .name(name, port: parts.port)
    }

    public var description: String {
        switch self {
        case .ip(let address, let port): HostAndPort.text(address, port)
        case .name(let name, let port): "\(name):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}

extension AddressRange: CustomStringConvertible {
    /// `10.0.0.0/8`, `2001:db8::/32`, or one address.
    ///
    /// - Throws: ``ConfigError`` with an empty path; also where bits behind the prefix are set.
    public init(parsing text: String) throws(ConfigError) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(parsing: parts[0]) else {
            throw ConfigError(
                code: .invalid, problem: "'\(text)' is not an address range",
                fix: "write it as 10.0.0.0/8 or 2001:db8::/32")
        }
        let width = address.family == .v4 ? 32 : 128
        guard parts.count == 2 else {
            self.init(base: address, prefixLength: width)
            return
        }
        guard parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let length = Int(parts[1]), length <= width
        else {
            throw ConfigError(
                code: .outOfRange, problem: "the prefix length of '\(text)' is not a number from 0 to \(width)",
                fix: "write \(address)/\(width) for this one address")
        }
        let hostBits = width - length
        let base = hostBits >= 128 ? 0 : (address.bits >> UInt128(hostBits)) << UInt128(hostBits)
        guard base == address.bits else {
            let network = address.family == .v4 ? IPAddress(v4: UInt32(truncatingIfNeeded: base)) : IPAddress(v6: base)
            throw ConfigError(
                code: .invalid, problem: "'\(text)' has bits set behind its prefix",
                fix: "write \(network)/\(length) for the range, or \(address)/\(width) for the address")
        }
        self.init(base: address, prefixLength: length)
    }

    public var description: String { "\(base)/\(prefixLength)" }
}

/// A host name as RFC 1123 §2.1 allows it, and with the `_` that service names have.
public enum HostName {
    /// Labels of 1...63 letters, digits, `-` and `_`, no `-` at their ends; 253 bytes in all; not only digits and dots.
    public static func isValid(_ name: some StringProtocol) -> Bool {
        guard (1...253).contains(name.utf8.count) else { return false }
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        let isNumber = labels.last?.utf8.allSatisfy { (0x30...0x39).contains($0) } ?? true
        return !isNumber
            && labels.allSatisfy { label in
                (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
                    && label.utf8.allSatisfy {
                        switch $0 {
                        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: true
                        default: false
                        }
                    }
            }
    }
}

/// `unix:/path`: absolute, and no longer than `sun_path` of Linux.
private enum UnixPath {
    /// - Returns: `nil` when the text is not meant as a path.
    static func read(_ text: String) throws(ConfigError) -> String? {
        guard text.hasPrefix("unix:") else { return nil }
        let path = String(text.dropFirst("unix:".count))
        guard path.hasPrefix("/"), path.utf8.count > 1 else {
            throw ConfigError(
                code: .invalid, problem: "'\(text)' has no absolute path", fix: "write it as unix:/run/app.sock")
        }
        guard path.utf8.count <= 107, !path.utf8.contains(0) else {
            throw ConfigError(
                code: .invalid,
                problem: "the path of this unix socket has \(path.utf8.count) bytes; the kernel takes 107",
                fix: "use a shorter path")
        }
        return path
    }
}

/// The two parts of `host:port`; an IPv6 address stands in brackets.
private struct HostAndPort {
    var host: String
    /// `nil` when the host is a name or missing.
    var address: IPAddress?
    var port: UInt16

    /// - Parameter accepts: whether a text is a whole address of the wanted kind: nothing else is proposed.
    init(
        _ text: String, portRange: ClosedRange<Int>, example: String, accepts: (String) -> Bool
    ) throws(ConfigError) {
        guard !text.isEmpty else {
            throw ConfigError(code: .missing, problem: "the address is empty", fix: "write it as in \(example)")
        }
        if text.holds("://") {
            throw ConfigError(
                code: .invalid, problem: "'\(text)' is a URL", fix: "write only the address and port, as in \(example)")
        }
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]"),
                let address = IPAddress(parsing: text[text.index(after: text.startIndex)..<close]),
                address.family == .v6
            else {
                throw ConfigError(
                    code: .invalid, problem: "'\(text)' has no IPv6 address between its brackets",
                    fix: "write it as \"[2001:db8::13]:8080\"")
            }
            let rest = text[text.index(after: close)...]
            guard rest.hasPrefix(":") else {
                throw ConfigError(
                    code: .missing, problem: "'\(text)' has no port", fix: "add one: \"[\(address)]:8080\"")
            }
            (host, self.address) = (address.description, address)
            port = try Self.port(rest.dropFirst(), of: text, portRange, example, accepts)
            return
        }
        if let address = IPAddress(parsing: text), address.family == .v6 {
            let colon = text.lastIndex(of: ":") ?? text.startIndex
            let split = IPAddress(parsing: text[..<colon]).map { "\"[\($0)]\(text[colon...])\" or " } ?? ""
            throw ConfigError(
                code: .missing, problem: "'\(text)' has no port, and an IPv6 address needs brackets",
                fix: "write \(split)\"[\(address)]:8080\"")
        }
        guard let colon = text.lastIndex(of: ":") else {
            let general = "write an address and a port, as in \(example)"
            guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw ConfigError(
                    code: .missing, problem: "'\(text)' has no port",
                    fix: accepts("\(text):80") ? "add one: \(text):80" : general)
            }
            let meant = example.hasPrefix(":") ? ":\(text)" : "127.0.0.1:\(text)"
            let written = example.hasPrefix(":") ? "\"\(meant)\"" : meant
            throw ConfigError(
                code: .invalid, problem: "'\(text)' is a bare number",
                fix: accepts(meant) ? "write \(written) for that port" : general)
        }
        host = String(text[..<colon])
        if host.contains(":") {
            throw ConfigError(
                code: .invalid, problem: "'\(text)' has several colons and no brackets",
                fix: "an IPv6 address goes in brackets: \"[2001:db8::13]:8080\"")
        }
        port = try Self.port(text[text.index(after: colon)...], of: text, portRange, example, accepts)
        address = IPAddress(parsing: host)
        if address == nil, !host.isEmpty, host.utf8.allSatisfy({ $0 == 0x2E || (0x30...0x39).contains($0) }) {
            throw ConfigError(
                code: .invalid, problem: "'\(host)' is not an IPv4 address",
                fix: "write four numbers from 0 to 255, without leading zeros")
        }
    }

    static func text(_ address: IPAddress, _ port: UInt16) -> String {
        address.family == .v4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }

    private static func port(
        _ text: Substring, of whole: String, _ range: ClosedRange<Int>, _ example: String, _ accepts: (String) -> Bool
    ) throws(ConfigError) -> UInt16 {
        guard !text.isEmpty else {
            throw ConfigError(
                code: .missing, problem: "'\(whole)' has no port behind its colon",
                fix: accepts("\(whole)80")
                    ? "add one: \(whole)80" : "write an address and a port, as in \(example)")
        }
        guard text.utf8.count <= 5, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text) else {
            throw ConfigError(
                code: .invalid, problem: "'\(text)' is not a port",
                fix: "use a number from \(range.lowerBound) to 65535")
        }
        guard range.contains(number) else {
            throw ConfigError(
                code: .outOfRange, problem: "port \(number) is outside \(range.lowerBound)...65535",
                fix: "use a number from \(range.lowerBound) to 65535")
        }
        return UInt16(number)
    }
}
