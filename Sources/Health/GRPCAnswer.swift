import PoiseModel

/// The answer to `grpc.health.v1.Health/Check`, as it arrives: a head, a message in its frame, trailers; or a head that is all.
///
/// What is written by hand here is all that it takes: `HealthCheckRequest` has a text as its field 1,
/// `HealthCheckResponse` a number. Sources: gRPC over HTTP/2 (PROTOCOL-HTTP2), grpc/health/v1/health.proto, the encoding of
/// protocol buffers.
public struct GRPCAnswer: Sendable, Equatable {
    /// Of HTTP, 200 in every answer that is gRPC.
    public private(set) var httpStatus = 0
    /// `grpc-status`, 0...99.
    public private(set) var code: Int?
    /// `grpc-message`, percent-decoded, printable, at most 200 bytes.
    public private(set) var message = ""
    /// `HealthCheckResponse.status`; 0 where the message leaves it out.
    public private(set) var serving: Int?

    private var isGRPC = false
    private var isMalformed = false
    private var content: [UInt8] = []

    /// Of a message with its frame; a health answer has 7.
    static let contentBytesMax = 1024
    private static let messageBytesMax = 200
    /// `HealthCheckResponse.ServingStatus`
    static let servingNames = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]
    private static let codeNames = [
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
        "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
        "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    ]

    public init() {}

    /// The frame of the request: a byte for no compression, the length, the message.
    ///
    /// - Parameter service: at most 256 bytes.
    public static func request(service: String) -> [UInt8] {
        var message: [UInt8] = []
        if !service.isEmpty {
            message.append(0x0A)
            var length = service.utf8.count
            while length > 0x7F {
                message.append(UInt8(truncatingIfNeeded: length) | 0x80)
                length >>= 7
            }
            message.append(UInt8(length))
            message += Array(service.utf8)
        }
        let count = UInt32(message.count)
        return [0] + (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) } + message
    }

    // MARK: Reading

    /// - Parameter fields: `name: value` lines, each with CR LF.
    public mutating func head(status: Int, fields: [UInt8]) {
        httpStatus = status
        Self.forEachField(of: fields) { name, value in
            if name == "content-type" { isGRPC = value.hasPrefix("application/grpc") }
            take(name, value)
        }
    }

    public mutating func trailers(_ fields: [UInt8]) { Self.forEachField(of: fields) { take($0, $1) } }

    /// - Returns: false when there is more than a health answer can have.
    public mutating func content(_ bytes: Span<UInt8>) -> Bool {
        guard content.count + bytes.count <= Self.contentBytesMax else {
            isMalformed = true
            return false
        }
        for index in bytes.indices { content.append(bytes[index]) }
        return true
    }

    private mutating func take(_ name: String, _ value: String) {
        switch name {
        case "grpc-status":
            if let code = Int(value), (0...99).contains(code) { self.code = code } else { isMalformed = true }
        case "grpc-message": message = Self.decoded(value)
        default: break
        }
    }

    // MARK: Judging

    /// The head says already that there is nothing to wait for.
    public var isForeign: Bool { !isGRPC || httpStatus != 200 }

    /// The answer is complete.
    ///
    /// - Parameter codes: of `grpc-status` that mean healthy; with 0 the server must say SERVING too.
    public mutating func end(codes: [ClosedRange<Int>]) -> ProbeMatcher.Verdict {
        guard !isForeign else { return .failed(.responseMismatch) }
        guard let code, !isMalformed else { return .failed(.malformedResponse) }
        if !content.isEmpty || code == 0 {
            serving = Self.servingStatus(content)
            guard serving != nil || code != 0 else {
                isMalformed = true
                return .failed(.malformedResponse)
            }
        }
        guard codes.contains(where: { $0.contains(code) }) else { return .failed(.responseMismatch) }
        return code != 0 || serving == 1 ? .succeeded : .failed(.notServing)
    }

    /// - Returns: `nil` where `frame` is not one whole message of the form.
    static func servingStatus(_ frame: [UInt8]) -> Int? {
        guard frame.count >= 5, frame[0] == 0 else { return nil }
        let length = frame[1...4].reduce(0) { $0 << 8 | Int($1) }
        guard length == frame.count - 5 else { return nil }
        var cursor = 5
        var status = 0
        while cursor < frame.count {
            guard let tag = varint(frame, &cursor) else { return nil }
            switch tag & 7 {
            case 0:
                guard let value = varint(frame, &cursor) else { return nil }
                if tag >> 3 == 1 { status = Int(value & 0x7FFF_FFFF) }
            case 1: cursor += 8
            case 2:
                guard let count = varint(frame, &cursor), count <= UInt64(frame.count) else { return nil }
                cursor += Int(count)
            case 5: cursor += 4
            default: return nil
            }
        }
        return cursor == frame.count ? status : nil
    }

    private static func varint(_ bytes: [UInt8], _ cursor: inout Int) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            guard cursor < bytes.count else { return nil }
            let byte = bytes[cursor]
            cursor += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }

    // MARK: Text

    /// `SERVING`, `NOT_SERVING`, `grpc-status 12 UNIMPLEMENTED: unknown service`.
    public var text: String {
        guard httpStatus != 0 else { return "no gRPC answer" }
        guard httpStatus == 200 else { return "not gRPC: status \(httpStatus)" }
        guard isGRPC else { return "not gRPC: another content-type" }
        guard let code else { return "gRPC: no grpc-status" }
        guard code == 0 else {
            let name = code < Self.codeNames.count ? " \(Self.codeNames[code])" : ""
            return "grpc-status \(code)\(name)" + (message.isEmpty ? "" : ": \(message)")
        }
        guard let serving, !isMalformed else { return "gRPC: not a HealthCheckResponse" }
        return serving < Self.servingNames.count ? Self.servingNames[serving] : "serving status \(serving)"
    }

    private static func forEachField(of bytes: [UInt8], _ body: (String, String) -> Void) {
        for line in bytes.split(separator: 0x0A) {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let value = line[line.index(after: colon)...].drop { $0 == 0x20 }.prefix { $0 != 0x0D }
            body(String(decoding: line[..<colon], as: UTF8.self).lowercased(), String(decoding: value, as: UTF8.self))
        }
    }

    private static func decoded(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count, result.count < messageBytesMax {
            var byte = bytes[index]
            index += 1
            if byte == UInt8(ascii: "%"), index + 1 < bytes.count, let high = hex(bytes[index]),
                let low = hex(bytes[index + 1])
            {
                byte = high << 4 | low
                index += 2
            }
            result.append((0x20...0x7E).contains(byte) ? byte : UInt8(ascii: "?"))
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func hex(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
