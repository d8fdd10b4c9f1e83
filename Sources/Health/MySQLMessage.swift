/// The few messages of MySQL and MariaDB that a check needs: greeting, login without a password, OK, error, quit.
///
/// A server counts connections that end before the login is over, and from `max_connect_errors` of them in a row on it takes no
/// more of the host that they came from. So a login is sent, and a refused one (which is not counted) will do where no
/// user is set.
///
/// Source: MySQL Internals, "Connection Phase"; MariaDB knowledge base, "Connecting".
enum MySQLMessage {
    /// Who logs in where no user is set.
    static let stranger = "poise"

    /// Protocol 4.1, secure connection, plugins by name: what a client without a password needs.
    private static let capabilities: UInt32 = 0x0000_0001 | 0x0000_0200 | 0x0000_8000 | 0x0008_0000
    private static let packetBytesMax = 1 << 14

    /// COM_QUIT.
    static let quit: [UInt8] = [1, 0, 0, 0, 1]

    /// HandshakeResponse41, without a password.
    static func login(user: String) -> [UInt8] {
        var body: [UInt8] = []
        body.append(littleEndian: capabilities)
        body.append(littleEndian: UInt32(1 << 24))
        // utf8_general_ci, which all versions know.
        body += [33] + [UInt8](repeating: 0, count: 23)
        body += Array(user.utf8) + [0]
        // The answer to the challenge is empty.
        body += [0] + Array("mysql_native_password".utf8) + [0]
        return packet(body, number: 1)
    }

    /// HandshakeV10, or an error such as "Too many connections".
    static func greeting(_ bytes: Span<UInt8>) -> MessageVerdict {
        whole(bytes, number: 0) { body in
            switch body.first {
            case 10:
                let rest = body.dropFirst()
                guard let end = rest.firstIndex(of: 0) else { return .foreign }
                return .accepted(length: 0, note: note(version: rest[..<end]))
            case 0xFF: return .refused(error(body))
            default: return .foreign
            }
        }
    }

    /// OK, an error, or the wish for another way to authenticate.
    static func loginResult(_ bytes: Span<UInt8>, isStranger: Bool) -> MessageVerdict {
        whole(bytes, number: nil) { body in
            switch body.first {
            case 0x00: return .accepted(length: 0, note: "")
            case 0xFE:
                // An empty answer once more: there is no password in any way.
                return isStranger
                    ? .accepted(length: 0, note: "") : .answer(length: 0, packet([], number: bytes[3] &+ 1))
            case 0xFF:
                let code = body.count > 2 ? Int(body[body.startIndex + 1]) | Int(body[body.startIndex + 2]) << 8 : 0
                // Whoever refuses a stranger is awake: access denied, also for want of a plugin.
                return isStranger && [1045, 1698, 1251, 3159].contains(code)
                    ? .accepted(length: 0, note: "") : .refused(error(body))
            default: return .foreign
            }
        }
    }

    // MARK: Packets

    private static func packet(_ body: [UInt8], number: UInt8) -> [UInt8] {
        let count = body.count
        return [UInt8(count & 0xFF), UInt8(count >> 8 & 0xFF), UInt8(count >> 16 & 0xFF), number] + body
    }

    /// - Parameter number: of the packet in its sequence; `nil`: any.
    private static func whole(
        _ bytes: Span<UInt8>, number: UInt8?, _ judge: (ArraySlice<UInt8>) -> MessageVerdict
    ) -> MessageVerdict {
        guard bytes.count >= 4 else { return .needMore(atLeast: 4) }
        let count = Int(bytes[0]) | Int(bytes[1]) << 8 | Int(bytes[2]) << 16
        guard (1...packetBytesMax - 4).contains(count), number == nil || bytes[3] == number else { return .foreign }
        guard bytes.count >= 4 + count else { return .needMore(atLeast: 4 + count) }
        var body: [UInt8] = []
        for index in 4..<4 + count { body.append(bytes[index]) }
        return judge(body[...]).over(4 + count)
    }

    /// MariaDB puts a version in front that old clients ask for.
    private static func note(version: ArraySlice<UInt8>) -> String {
        let start = version.starts(with: "5.5.5-".utf8) ? version.dropFirst(6) : version
        return "MySQL \(AnswerExcerpt.escaped(start.prefix(AnswerExcerpt.bytesMax)))"
    }

    /// `error 1040: Too many connections`
    private static func error(_ body: ArraySlice<UInt8>) -> String {
        guard body.count >= 3 else { return "an error without a code" }
        let code = Int(body[body.startIndex + 1]) | Int(body[body.startIndex + 2]) << 8
        var text = body.dropFirst(3)
        if text.first == UInt8(ascii: "#") { text = text.dropFirst(6) }
        return "error \(code): \(String(decoding: text.prefix(AnswerExcerpt.bytesMax), as: UTF8.self))"
    }
}

extension MessageVerdict {
    /// The same of a message of so many bytes.
    fileprivate func over(_ length: Int) -> MessageVerdict {
        switch self {
        case .needMore, .refused, .foreign: self
        case .accepted(_, let note): .accepted(length: length, note: note)
        case .answer(_, let words): .answer(length: length, words)
        }
    }
}

extension [UInt8] {
    fileprivate mutating func append(littleEndian value: UInt32) {
        for shift in stride(from: 0, to: 32, by: 8) { append(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
    }
}
