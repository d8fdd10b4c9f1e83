extension ByteSink where Self: ~Copyable {
    /// Appends what stands between the quotes of a JSON string. RFC 8259 §7
    ///
    /// Bytes that are no UTF-8 become U+FFFD each, so that the text stays valid. Control characters are escaped, those
    /// that JSON would allow too (DEL, U+0080…U+009F): a terminal that shows the text must not act on them. Cost: plain
    /// bytes are looked at once and copied in runs.
    @inlinable public mutating func appendJSONEscaped(_ bytes: Span<UInt8>) {
        var plainFrom = 0
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte >= 0x20 && byte < 0x7F && byte != 0x22 && byte != 0x5C {
                index += 1
                continue
            }
            let length = byte < 0x80 ? 0 : wellFormedUTF8Length(bytes, at: index)
            if length > 2 || length == 2 && (byte != 0xC2 || bytes[index + 1] >= 0xA0) {
                index += length
                continue
            }
            append(bytes.extracting(plainFrom..<index))
            if byte < 0x80 {
                appendJSONEscape(of: byte)
            } else if length == 2 {
                appendJSONEscape(of: bytes[index + 1])
            } else {
                append("\u{FFFD}".utf8.span)
            }
            index += max(length, 1)
            plainFrom = index
        }
        append(bytes.extracting(plainFrom..<index))
    }

    @usableFromInline mutating func appendJSONEscape(of byte: UInt8) {
        switch byte {
        case 0x22, 0x5C:
            append(0x5C)
            append(byte)
        case 0x0A: append("\\n".utf8.span)
        case 0x0D: append("\\r".utf8.span)
        case 0x09: append("\\t".utf8.span)
        default:
            append("\\u00".utf8.span)
            append(hexadecimal(byte >> 4))
            append(hexadecimal(byte & 15))
        }
    }

    private func hexadecimal(_ digit: UInt8) -> UInt8 { digit < 10 ? digit + 0x30 : digit + 0x57 }
}

/// The length of the well-formed sequence that begins at `index`; 0 where there is none. Unicode 15, table 3-7.
@usableFromInline func wellFormedUTF8Length(_ bytes: Span<UInt8>, at index: Int) -> Int {
    let first = bytes[index]
    let length: Int
    var second: ClosedRange<UInt8> = 0x80...0xBF
    switch first {
    case 0xC2...0xDF: length = 2
    case 0xE0: (length, second) = (3, 0xA0...0xBF)
    case 0xED: (length, second) = (3, 0x80...0x9F)
    case 0xE1...0xEF: length = 3
    case 0xF0: (length, second) = (4, 0x90...0xBF)
    case 0xF4: (length, second) = (4, 0x80...0x8F)
    case 0xF1...0xF3: length = 4
    default: return 0
    }
    guard index + length <= bytes.count, second.contains(bytes[index + 1]) else { return 0 }
    for offset in 2..<max(length, 2) where bytes[index + offset] & 0xC0 != 0x80 { return 0 }
    return length
}
