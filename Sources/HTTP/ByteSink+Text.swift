import PoiseBytes
import PoiseModel

extension ByteSink where Self: ~Copyable {
    /// Appends a literal: an address and a count that the compiler knows, so that a short one costs a check and a
    /// move or two.
    @inlinable @inline(__always)
    public mutating func append(text: StaticString) { append(text.asciiBytes) }

    /// Appends `text` as UTF-8: for text that is made at run time. Disfavoured and generic, since a literal would
    /// prefer `String` to the cheap way above.
    @_disfavoredOverload @inlinable
    public mutating func append(text: some StringProtocol) { append(String(text).utf8.span) }

    /// Appends the bytes of `range`.
    @inlinable public mutating func append(_ bytes: Span<UInt8>, _ range: ByteRange) {
        append(bytes.extracting(range.start..<range.end))
    }
}
