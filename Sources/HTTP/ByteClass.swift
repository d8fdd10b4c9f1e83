import PoiseBytes

/// Named bytes of the HTTP/1.1 grammar.
enum ASCII {
    static var tab: UInt8 { 0x09 }
    static var lineFeed: UInt8 { 0x0A }
    static var carriageReturn: UInt8 { 0x0D }
    static var space: UInt8 { 0x20 }
    static var numberSign: UInt8 { 0x23 }
    static var percent: UInt8 { 0x25 }
    static var asterisk: UInt8 { 0x2A }
    static var comma: UInt8 { 0x2C }
    static var dot: UInt8 { 0x2E }
    static var slash: UInt8 { 0x2F }
    static var zero: UInt8 { 0x30 }
    static var colon: UInt8 { 0x3A }
    static var semicolon: UInt8 { 0x3B }
    static var questionMark: UInt8 { 0x3F }
    static var at: UInt8 { 0x40 }
    static var openBracket: UInt8 { 0x5B }
    static var closeBracket: UInt8 { 0x5D }
    static var delete: UInt8 { 0x7F }

    // Pairs as `Span.pair(at:)` loads them.
    static var colonSpace: UInt16 { 0x203A }
    static var lineEnd: UInt16 { 0x0A0D }
}

/// A set of ASCII bytes as two bit masks: a test is a shift, without a table in memory or a lazy global.
struct ByteClass {
    let low: UInt64  // bytes 0...63
    let high: UInt64  // bytes 64...127

    @inline(__always) func contains(_ byte: UInt8) -> Bool {
        let mask = byte & 0x40 == 0 ? low : high
        return byte < 0x80 && mask &>> UInt64(byte & 63) & 1 != 0
    }

    /// `tchar`: letters, digits and ``!#$%&'*+-.^_`|~``. RFC 9110 §5.6.2
    static var token: ByteClass { ByteClass(low: 0x03FF_6CFA_0000_0000, high: 0x57FF_FFFF_C7FF_FFFE) }
    /// What a request target may hold (visible ASCII) less `#`, which is refused, and less `%` and `?`, which are
    /// looked at. Browsers send ``"<>\^`{|}`` unescaped, so this is wider than RFC 3986.
    static var target: ByteClass { ByteClass(low: 0x7FFF_FFD6_0000_0000, high: 0x7FFF_FFFF_FFFF_FFFF) }
    /// `unreserved` and `sub-delims` less the dot, which parts labels. RFC 3986 §2.2, §2.3
    static var registeredName: ByteClass { ByteClass(low: 0x2BFF_3FD2_0000_0000, high: 0x47FF_FFFE_87FF_FFFE) }
}

/// SP, HTAB, visible ASCII and obs-text: what a field value or a reason phrase may hold. RFC 9110 §5.5
@inline(__always) func isFieldValueByte(_ byte: UInt8) -> Bool {
    // Visible ASCII first: one comparison for nearly every byte.
    byte &- 0x20 < 0x5F || byte >= 0x80 || byte == ASCII.tab
}

/// The position of the first byte from `position` on that a field value may not hold; `end` where there is none.
@inline(__always) func endOfFieldValue(_ bytes: Span<UInt8>, from position: Int, to end: Int) -> Int {
    var position = bytes.endOfText(from: position, to: end)
    while position < end, bytes[position] == ASCII.tab { position = bytes.endOfText(from: position + 1, to: end) }
    return position
}

/// The position of the first byte from `position` on that is no `tchar`; `end` where there is none. The ones beside
/// letters, digits and hyphens are rare.
@inline(__always) func endOfToken(_ bytes: Span<UInt8>, from position: Int, to end: Int) -> Int {
    var position = bytes.endOfName(from: position, to: end)
    while position < end, ByteClass.token.contains(bytes[position]) {
        position = bytes.endOfName(from: position + 1, to: end)
    }
    return position
}

/// The value of a decimal digit; nil for any other byte.
@inline(__always) func decimalDigit(_ byte: UInt8) -> Int? {
    let digit = byte &- ASCII.zero
    return digit < 10 ? Int(digit) : nil
}

/// The value of a hexadecimal digit in either case; nil for any other byte.
@inline(__always) func hexadecimalDigit(_ byte: UInt8) -> Int? {
    switch byte {
    case 0x30...0x39: Int(byte - 0x30)
    case 0x41...0x46: Int(byte - 0x41 + 10)
    case 0x61...0x66: Int(byte - 0x61 + 10)
    default: nil
    }
}
