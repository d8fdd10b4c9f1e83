import PoiseModel

/// What a PROXY protocol preamble says about the connection behind a proxy.
///
/// Source: "The PROXY protocol, versions 1 & 2" (HAProxy, 2020-03-05), sections 2.1 and 2.2. Whether a preamble is
/// expected at all is the listener's setting; it is never guessed from the bytes.
public struct ProxyProtocolHeader: Sendable, Equatable {
    public enum Version: UInt8, Sendable, CaseIterable { case v1 = 1, v2 = 2 }

    public enum Command: UInt8, Sendable {
        /// The proxy itself speaks, a health check for example: the connection's own addresses count.
        case local = 0
        case proxy = 1
    }

    public enum Transport: UInt8, Sendable {
        case unspecified = 0
        case stream = 1
        case datagram = 2
    }

    public struct Endpoint: Sendable, Hashable {
        public var address: IPAddress
        public var port: UInt16
        public init(address: IPAddress, port: UInt16) { (self.address, self.port) = (address, port) }
    }

    public struct Endpoints: Sendable, Hashable {
        public var source: Endpoint
        public var destination: Endpoint
        public init(source: Endpoint, destination: Endpoint) { (self.source, self.destination) = (source, destination) }
    }

    public var version: Version
    public var command: Command
    public var transport: Transport
    /// `nil` for `local`, for `UNKNOWN`, and for families without IP addresses: the connection's own count.
    public var endpoints: Endpoints?
    /// The ends of the TCP connection that this one stands for; `nil` where this one's own count. So they do behind a datagram:
    /// its transport is known and cannot be what came here, and nothing has proven its source address. HAProxy
    /// and nginx accept such a header and keep the connection's own addresses, too. Section 2.2
    public var streamEndpoints: Endpoints? { command == .proxy && transport == .stream ? endpoints : nil }
    /// Version 2 with AF_UNIX: the path that the client connected to, up to its first zero, at most 108 bytes. What the
    /// client's own end is called is not told: it hardly ever has a name.
    public var unixPath: [UInt8]?
    /// Version 2 with PROXY.
    public var fields = ProxyProtocolFields()

    public init(version: Version, command: Command, transport: Transport, endpoints: Endpoints?) {
        (self.version, self.command) = (version, command)
        (self.transport, self.endpoints) = (transport, endpoints)
    }

    /// Why a preamble is refused. The connection is closed then: the specification forbids to guess.
    public enum Refusal: String, Error, Sendable, CaseIterable {
        /// The first bytes are neither version's signature.
        case noSignature = "no_signature"
        /// Version 1: no line end within 107 bytes.
        case lineTooLong = "line_too_long"
        /// Version 1: not the words, single spaces and line end that the grammar wants.
        case badLine = "bad_line"
        case badAddress = "bad_address"
        case badPort = "bad_port"
        /// Version 2: another version than 2, or a command that is neither LOCAL nor PROXY.
        case badCommand = "bad_command"
        /// Version 2: a reserved address family or transport.
        case badFamily = "bad_family"
        /// Version 2: the block is shorter than its addresses, or longer than ``blockBytesMax``.
        case badLength = "bad_length"
        /// Version 2: a type-length-value field that does not fit in the block, stands there twice, or has a value
        /// that it cannot have.
        case badField = "bad_field"
        case badChecksum = "bad_checksum"
    }

    public enum Parse: Sendable, Equatable {
        /// All bytes so far may be the start of a preamble.
        case needMore
        /// `consumed` bytes were the preamble; what follows belongs to the connection.
        case complete(ProxyProtocolHeader, consumed: Int)
        case refused(Refusal)
    }

    /// The longest version 1 line, its CRLF included (section 2.1).
    public static let lineBytesMax = 107
    /// Our limit for what follows the 16 fixed bytes of version 2: addresses and fields.
    public static let blockBytesMax = 4096
    /// Enough bytes for any preamble that is accepted.
    public static let bytesMax = 16 + blockBytesMax

    /// Reads a preamble of either version from the start of `bytes`. No allocation but for what is kept of the fields;
    /// the answer for a whole preamble does not depend on how its bytes arrived.
    public static func parse(_ bytes: Span<UInt8>) -> Parse {
        guard bytes.count > 0 else { return .needMore }
        return bytes[0] == signature[0] ? parseBinary(bytes) : parseLine(bytes)
    }

    /// The twelve bytes that no HTTP, TLS or text protocol starts with.
    static let signature: InlineArray<12, UInt8> = [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
    ]
}
