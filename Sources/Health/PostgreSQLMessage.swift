/// The few messages of PostgreSQL that a check needs: start-up, what it is answered with, and the end.
///
/// Source: PostgreSQL documentation, "Message Formats", protocol 3.0.
enum PostgreSQLMessage {
    /// Who starts up where no user is set.
    static let stranger = "poise"
    private static let messageBytesMax = 1 << 14
    /// A server tells of some twenty parameters before it is ready. All are gone through again with each that comes.
    private static let messagesMax = 200

    /// Terminate.
    static let terminate: [UInt8] = [UInt8(ascii: "X"), 0, 0, 0, 4]

    /// StartupMessage; the database is that of the user's name.
    static func startup(user: String) -> [UInt8] {
        let parameters = Array("user\0\(user)\0application_name\0Poise-HealthChecker\0\0".utf8)
        return bigEndian(UInt32(8 + parameters.count)) + bigEndian(0x0003_0000) + parameters
    }

    /// A request to authenticate, or an error. Where there is no need to authenticate, what follows tells whether the user is
    /// welcome: ReadyForQuery or an error.
    static func answer(_ bytes: Span<UInt8>, isStranger: Bool) -> MessageVerdict {
        var (start, messages) = (0, 0)
        while start < bytes.count {
            messages += 1
            let kind = bytes[start]
            // ParameterStatus, BackendKeyData and notices come only behind the first answer.
            let kinds: [UInt8] = start == 0 ? Array("RE".utf8) : Array("ZESKN".utf8)
            guard kinds.contains(kind) else { return .foreign }
            guard start + 5 <= bytes.count else { return .needMore(atLeast: start + 5) }
            let length = (1...4).reduce(0) { $0 << 8 | Int(bytes[start + $1]) }
            guard (5...messageBytesMax).contains(length) else { return .foreign }
            let end = start + 1 + length
            guard end <= bytes.count else { return .needMore(atLeast: end) }
            let body = bytes.extracting(start + 5..<end)
            switch kind {
            case UInt8(ascii: "E"): return refusal(body, isStranger: isStranger, length: end)
            case UInt8(ascii: "Z"): return .accepted(length: end, note: "")
            case UInt8(ascii: "R"):
                guard body.count >= 4 else { return .foreign }
                // AuthenticationOk is 0.
                if (0..<4).contains(where: { body[$0] != 0 }) { return .accepted(length: end, note: "") }
            default: break
            }
            start = end
        }
        return messages < messagesMax ? .needMore(atLeast: start + 1) : .foreign
    }

    private static func refusal(_ body: Span<UInt8>, isStranger: Bool, length: Int) -> MessageVerdict {
        var bytes: [UInt8] = []
        for index in body.indices { bytes.append(body[index]) }
        let fields = errorFields(bytes)
        let code = fields[UInt8(ascii: "C")] ?? ""
        // Classes 28 and 3D: no such user, no right to come from here, no such database. Who says so is awake.
        if isStranger, code.hasPrefix("28") || code.hasPrefix("3D") { return .accepted(length: length, note: "") }
        return .refused("\(code): \(fields[UInt8(ascii: "M")] ?? "an error without a message")")
    }

    /// Each is a letter and a text that ends with 0.
    private static func errorFields(_ body: [UInt8]) -> [UInt8: String] {
        var fields: [UInt8: String] = [:]
        var position = 0
        while position < body.count, body[position] != 0 {
            let start = position + 1
            let end = body[start...].firstIndex(of: 0) ?? body.count
            fields[body[position]] = String(decoding: body[start..<end].prefix(AnswerExcerpt.bytesMax), as: UTF8.self)
            position = end + 1
        }
        return fields
    }

    private static func bigEndian(_ value: UInt32) -> [UInt8] {
        stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> UInt32($0)) }
    }
}
