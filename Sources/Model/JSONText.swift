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
        sink.appendJSONEscaped(bytes)
        sink.append(0x22)
    }
}

extension JSONText: Sendable where Sink: Sendable {}
