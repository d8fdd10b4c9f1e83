/// A request method. Methods are case-sensitive: `get` is ``other``. RFC 9110 §9
public enum HTTPMethod: UInt8, Sendable {
    case get, head, post, put, delete, connect, options, trace, patch
    /// Any other token; read it from the head's `methodRange`.
    case other

    /// Sending it twice means the same as once, so it may be retried. RFC 9110 §9.2.2
    public var isIdempotent: Bool {
        switch self {
        case .get, .head, .put, .delete, .options, .trace: true
        case .post, .connect, .patch, .other: false
        }
    }

    /// The method that eight bytes begin with, the first one lowest, and a space behind it; nil for any other.
    @inline(__always) init?(start word: UInt64) {
        // Zero where the space is. A borrow runs upwards only, so the lowest flag is always right.
        let spaces = word ^ 0x2020_2020_2020_2020
        let flags = (spaces &- 0x0101_0101_0101_0101) & ~spaces & 0x8080_8080_8080_8080
        guard flags != 0 else { return nil }
        self.init(word: word & ((flags & (0 &- flags)) &>> 7 &- 1))
        // As many bytes as the name has: a NUL behind it looks like nothing in a number.
        guard self != .other, byteCount == flags.trailingZeroBitCount &>> 3 else { return nil }
    }

    /// Bytes of the method's name; 0 for ``other``.
    var byteCount: Int {
        switch self {
        case .get, .put: 3
        case .head, .post: 4
        case .trace, .patch: 5
        case .delete: 6
        case .connect, .options: 7
        case .other: 0
        }
    }

    /// The method whose name is `word` in ASCII, its first byte lowest, without more behind it.
    init(word: UInt64) {
        switch word {
        case 0x54_4547: self = .get
        case 0x4441_4548: self = .head
        case 0x5453_4F50: self = .post
        case 0x54_5550: self = .put
        case 0x4554_454C_4544: self = .delete
        case 0x54_4345_4E4E_4F43: self = .connect
        case 0x53_4E4F_4954_504F: self = .options
        case 0x45_4341_5254: self = .trace
        case 0x48_4354_4150: self = .patch
        default: self = .other
        }
    }
}

/// The protocol version of a message. A minor version above 1 counts as 1 (RFC 9110 §2.5).
public enum HTTPVersion: UInt8, Sendable, Comparable {
    case http10, http11

    /// `HTTP/1.1` in ASCII, the first byte lowest.
    static var http11Word: UInt64 { 0x312E_312F_5054_5448 }

    public static func < (left: HTTPVersion, right: HTTPVersion) -> Bool { left.rawValue < right.rawValue }
}
