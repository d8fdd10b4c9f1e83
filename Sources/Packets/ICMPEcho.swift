import PoiseModel

/// An echo request or reply of ICMP (RFC 792) or ICMPv6 (RFC 4443 §4.1, §4.2).
public struct ICMPEcho: Sendable, Equatable {
    public var isReply = false
    /// Of the asking socket; the kernel sets its own for ping sockets.
    public var identifier: UInt16
    public var sequence: UInt16
    /// What a reply repeats.
    public var token: UInt64

    public init(identifier: UInt16, sequence: UInt16, token: UInt64) {
        (self.identifier, self.sequence, self.token) = (identifier, sequence, token)
    }

    public static let bytes = 16

    /// With the checksum of ICMP; that of ICMPv6 covers addresses too, and is the kernel's business.
    public func encoded(for family: IPAddress.Family) -> [UInt8] {
        let type: UInt8 = family == .v4 ? (isReply ? 0 : 8) : (isReply ? 129 : 128)
        var bytes: [UInt8] = [type, 0, 0, 0]
        for word in [identifier, sequence] { bytes += [UInt8(word >> 8), UInt8(word & 0xFF)] }
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: token >> UInt64(shift)))
        }
        if family == .v4 {
            let sum = Self.checksum(bytes)
            (bytes[2], bytes[3]) = (UInt8(sum >> 8), UInt8(sum & 0xFF))
        }
        return bytes
    }

    /// - Parameter bytes: the message without IP's header; what follows the token is not looked at.
    /// - Returns: `nil` for anything but an echo that is as long as ours.
    public init?(parsing bytes: Span<UInt8>, family: IPAddress.Family) {
        guard bytes.count >= Self.bytes, bytes[1] == 0 else { return nil }
        switch (family, bytes[0]) {
        case (.v4, 0), (.v6, 129): isReply = true
        case (.v4, 8), (.v6, 128): isReply = false
        default: return nil
        }
        identifier = UInt16(bytes[4]) << 8 | UInt16(bytes[5])
        sequence = UInt16(bytes[6]) << 8 | UInt16(bytes[7])
        token = 0
        for index in 8..<16 { token = token << 8 | UInt64(bytes[index]) }
    }

    /// Where the message begins behind a header of IPv4, which raw sockets deliver; `nil` where there is none.
    public static func start(behindIPv4 bytes: Span<UInt8>) -> Int? {
        guard bytes.count >= 20, bytes[0] >> 4 == 4 else { return nil }
        let start = Int(bytes[0] & 15) * 4
        return start >= 20 && start <= bytes.count ? start : nil
    }

    /// RFC 1071. Of an even number of bytes.
    static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[index]) << 8 | UInt32(bytes[index + 1])
        }
        while sum >> 16 != 0 { sum = sum & 0xFFFF + sum >> 16 }
        return ~UInt16(sum)
    }
}
