import PoiseModel

/// A set of ASCII bytes as two words: a test is a shift and a mask.
struct ASCIISet: Sendable {
    private let low: UInt64
    private let high: UInt64

    init(_ characters: String) {
        var (low, high): (UInt64, UInt64) = (0, 0)
        for byte in characters.utf8 {
            if byte < 64 { low |= 1 << UInt64(byte) } else { high |= 1 << UInt64(byte - 64) }
        }
        (self.low, self.high) = (low, high)
    }

    @inline(__always) func contains(_ byte: UInt8) -> Bool {
        let word = byte < 64 ? low : byte < 128 ? high : 0
        return word >> UInt64(byte & 63) & 1 == 1
    }

    private static let alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

    /// RFC 3986 §2.3: these mean the same with and without percent-encoding.
    static let unreserved = ASCIISet(alphanumeric + "-._~")
    /// RFC 3986 §3.3: `pchar` and `/`, without `%`.
    static let path = ASCIISet(alphanumeric + "-._~!$&'()*+,;=:@/")
    /// RFC 3986 §3.4: what a query holds, without `%`.
    static let query = ASCIISet(alphanumeric + "-._~!$&'()*+,;=:@/?")
    /// RFC 3986 §3.2.2: `reg-name` and IP literals, without `%`.
    static let host = ASCIISet(alphanumeric + "-._~!$&'()*+,;=:[]")
    /// RFC 9110 §5.6.2: `tchar`.
    static let token = ASCIISet(alphanumeric + "!#$%&'*+-.^_`|~")
    /// What a request or trace id of a client may hold: nothing that any log, shell or query language reads.
    static let identifier = ASCIISet(alphanumeric + "-._~=:;+/@")
}

@inline(__always) func isControl(_ byte: UInt8) -> Bool { byte < 0x20 || byte == 0x7F }

/// The value of a hexadecimal digit, `nil` for any other byte.
@inline(__always) func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
}

/// `value` 0...15 as an upper-case digit (RFC 3986 §6.2.2.1).
@inline(__always) func upperHexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x37 + value }

extension ByteSink where Self: ~Copyable {
    /// `%E2`
    @inline(__always) mutating func appendPercentEncoded(_ byte: UInt8) {
        append(UInt8(ascii: "%"))
        append(upperHexDigit(byte >> 4))
        append(upperHexDigit(byte & 15))
    }
}
