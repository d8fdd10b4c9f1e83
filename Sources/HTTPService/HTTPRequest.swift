import PoiseHTTP
import PoiseModel

/// A request that a server hands to its handler.
public struct HTTPRequest: Sendable {
    /// As sent: methods are case-sensitive.
    public let method: String
    /// Percent-decoded, valid UTF-8 (repaired where it was not).
    public let path: String
    /// As sent, for handlers that show or compare it.
    public let rawPath: String
    /// As sent, without the question mark; `nil` where there is none.
    public let rawQuery: String?
    public let fields: HTTPFields
    /// `nil`: over a unix socket.
    public let client: Peer?
    public let body: HTTPRequestBody

    public struct Peer: Sendable, Equatable, CustomStringConvertible {
        public let address: IPAddress
        public let port: UInt16
        public var description: String { ListenAddress.ip(address, port: port).description }
    }

    /// The decoded value of the first query item of this name: `""` for `?name` and `?name=`, nil for none.
    public func query(_ name: String) -> String? {
        guard let rawQuery else { return nil }
        for item in rawQuery.utf8.split(separator: UInt8(ascii: "&")) {
            let parts = item.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard PercentText.decode(parts[0], plusIsSpace: true) == name else { continue }
            return parts.count == 2 ? PercentText.decode(parts[1], plusIsSpace: true) : ""
        }
        return nil
    }
}

/// The content of a request, read by the handler, in pieces or as a whole; what it leaves is skipped.
public struct HTTPRequestBody: Sendable {
    let connection: HTTPServerConnection

    /// What ``collect(limit:)`` takes unless told otherwise.
    public static let defaultLimit = 16 * 1024 * 1024

    /// The next piece, never empty; nil at the end. Asks the client to go on where it waits for `100 Continue`.
    public func next() async throws(HTTPHandlerFailure) -> [UInt8]? { try await connection.nextPiece() }

    /// All of it.
    ///
    /// - Throws: 413 beyond `limit` bytes, without reading on.
    public func collect(limit: Int = defaultLimit) async throws(HTTPHandlerFailure) -> [UInt8] {
        if let length = await connection.announcedLength, length > limit { throw .tooLarge(limit: limit) }
        var bytes: [UInt8] = []
        while let piece = try await next() {
            guard piece.count <= limit - bytes.count else { throw .tooLarge(limit: limit) }
            bytes += piece
        }
        return bytes
    }
}

/// How a handler ends an exchange other than by a response.
public enum HTTPHandlerFailure: Error, Sendable, Equatable {
    /// A small text answer. Once a response has begun, it is cut instead.
    case refused(status: Int, String)
    /// Closes without another byte.
    case cut
    /// Closes with RST.
    case reset

    static func tooLarge(limit: Int) -> Self { .refused(status: 413, "the request body is larger than \(limit) bytes") }
}

/// `%41` → `A`. RFC 3986 §2.1
public enum PercentText {
    /// Escapes that are not whole stay as they are; bytes that are no UTF-8 become U+FFFD.
    public static func decode(_ text: some Collection<UInt8>, plusIsSpace: Bool) -> String {
        let bytes = Array(text)
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count, let high = digit(bytes[index + 1]),
                let low = digit(bytes[index + 2])
            {
                decoded.append(high << 4 | low)
                index += 3
                continue
            }
            decoded.append(plusIsSpace && bytes[index] == UInt8(ascii: "+") ? UInt8(ascii: " ") : bytes[index])
            index += 1
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
