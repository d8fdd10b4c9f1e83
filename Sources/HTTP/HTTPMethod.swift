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

    /// Asks for no change at the target. RFC 9110 §9.2.1
    public var isSafe: Bool {
        switch self {
        case .get, .head, .options, .trace: true
        case .post, .put, .delete, .connect, .patch, .other: false
        }
    }

    /// The method whose name is the ASCII text `packed` (8 bytes at most, most significant first).
    init(packed: UInt64, count: Int) {
        self = .other
        guard count <= 7 else { return }
        switch packed {
        case 0x47_4554: self = .get
        case 0x4845_4144: self = .head
        case 0x504F_5354: self = .post
        case 0x50_5554: self = .put
        case 0x4445_4C45_5445: self = .delete
        case 0x43_4F4E_4E45_4354: self = .connect
        case 0x4F_5054_494F_4E53: self = .options
        case 0x54_5241_4345: self = .trace
        case 0x50_4154_4348: self = .patch
        default: break
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
