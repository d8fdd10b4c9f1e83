/// Writes JSON text into a sink, one call per token; commas and colons come by themselves. RFC 8259
///
///     var json = JSONText([UInt8]())
///     json.beginObject(); json.key("name"); json.string("one"); json.endObject()
///
/// The caller sees to the grammar (a key before each member, each begin ended); depth is at most 64. Cost: no
/// allocation beyond the sink's.
public struct JSONText<Sink: ByteSink> {
    public private(set) var sink: Sink
    /// One bit per depth: something was written at it, so a comma comes first.
    private var hasItems: UInt64 = 0
    private var depth: UInt64 = 0
    private var followsKey = false

    public init(_ sink: Sink) { self.sink = sink }

    public mutating func beginObject() { begin(0x7B) }
    public mutating func endObject() { end(0x7D) }
    public mutating func beginArray() { begin(0x5B) }
    public mutating func endArray() { end(0x5D) }

    public mutating func key(_ name: String) {
        separate()
        quote(name.utf8.span)
        sink.append(0x3A)
        followsKey = true
    }

    public mutating func string(_ text: String) {
        separate()
        quote(text.utf8.span)
    }

    /// Bytes that should be UTF-8: each one that is not becomes U+FFFD, so that the text stays valid.
    public mutating func string(_ bytes: Span<UInt8>) {
        separate()
        quote(bytes)
    }

    public mutating func number(_ value: Int) {
        separate()
        if value < 0 { sink.append(0x2D) }
        digits(UInt64(value.magnitude))
    }

    /// A finite number; JSON has no other, so anything else is written as `null`.
    public mutating func number(_ value: Double) {
        separate()
        sink.append((value.isFinite ? "\(value)" : "null").utf8.span)
    }

    public mutating func bool(_ value: Bool) {
        separate()
        sink.append((value ? "true" : "false").utf8.span)
    }

    public mutating func null() {
        separate()
        sink.append("null".utf8.span)
    }

    public mutating func member(_ name: String, _ text: String) {
        key(name)
        string(text)
    }

    public mutating func member(_ name: String, _ value: Int) {
        key(name)
        number(value)
    }

    public mutating func member(_ name: String, _ value: Bool) {
        key(name)
        bool(value)
    }

    private mutating func begin(_ bracket: UInt8) {
        separate()
        precondition(depth < 63, "JSON deeper than 63")
        depth += 1
        hasItems &= ~(1 << depth)
        sink.append(bracket)
    }

    private mutating func end(_ bracket: UInt8) {
        precondition(depth > 0 && !followsKey, "an end without its begin")
        depth -= 1
        sink.append(bracket)
    }

    private mutating func separate() {
        if followsKey {
            followsKey = false
            return
        }
        if hasItems & (1 << depth) != 0 { sink.append(0x2C) }
        hasItems |= 1 << depth
    }

    private mutating func digits(_ value: UInt64) {
        if value > 9 { digits(value / 10) }
        sink.append(UInt8(truncatingIfNeeded: value % 10) + 0x30)
    }

    private mutating func quote(_ bytes: Span<UInt8>) {
        sink.append(0x22)
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte < 0x80 {
                escape(byte)
                index += 1
                continue
            }
            let length = utf8Length(bytes, at: index)
            if length > 0 {
                sink.append(bytes.extracting(index..<index + length))
            } else {
                sink.append("\u{FFFD}".utf8.span)
            }
            index += max(length, 1)
        }
        sink.append(0x22)
    }

    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case 0x22, 0x5C:
            sink.append(0x5C)
            sink.append(byte)
        case 0x0A: sink.append("\\n".utf8.span)
        case 0x0D: sink.append("\\r".utf8.span)
        case 0x09: sink.append("\\t".utf8.span)
        // DEL needs no escape, but a terminal that shows a log must not act on it.
        case 0x00...0x1F, 0x7F:
            sink.append("\\u00".utf8.span)
            sink.append(hexadecimal(byte >> 4))
            sink.append(hexadecimal(byte & 15))
        default: sink.append(byte)
        }
    }

    private func hexadecimal(_ digit: UInt8) -> UInt8 { digit < 10 ? digit + 0x30 : digit + 0x57 }

    /// The length of the well-formed sequence that begins at `index`; 0 where there is none. Unicode 15, table 3-7.
    private func utf8Length(_ bytes: Span<UInt8>, at index: Int) -> Int {
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
}

extension JSONText: Sendable where Sink: Sendable {}
