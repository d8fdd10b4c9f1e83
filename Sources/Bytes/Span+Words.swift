/// Bytes as numbers. Loads need no alignment and never leave the span.
extension Span<UInt8> {
    /// Eight bytes as one number, the first one lowest.
    @inlinable @inline(__always)
    public func word(at position: Int) -> UInt64 {
        precondition(0 <= position && position <= count &- 8, "a word outside of its span")
        // SAFETY: eight bytes from `position` on are in the span.
        return unsafe UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self))
    }

    /// `count` bytes (0...8) as one number, the first one lowest; zeros above.
    @inlinable @inline(__always)
    public func word(at position: Int, count length: Int) -> UInt64 {
        precondition(0 <= position && 0 <= length && length <= 8 && position <= count &- length, "outside of the span")
        if length == 0 { return 0 }
        let unused = UInt64(truncatingIfNeeded: 64 &- 8 &* length)
        if position <= count &- 8 { return (word(at: position) &<< unused) &>> unused }
        if position &+ length >= 8 { return word(at: position &+ length &- 8) &>> unused }
        var result: UInt64 = 0  // A span of fewer than eight bytes in all.
        for index in 0..<length { result |= UInt64(self[position &+ index]) &<< UInt64(8 &* index) }
        return result
    }

    /// The last 16 bytes of `start..<end`, or all where it has fewer, with bit 5 of each set: one number, its lowest
    /// byte the last one, zeros above. Setting bit 5 lower-cases letters and leaves digits and hyphens alone.
    @inlinable @inline(__always)
    public func foldedTail(from start: Int, to end: Int) -> UInt128 {
        precondition(0 <= start && start <= end && end <= count, "a name outside of its span")
        let length = end &- start
        let folding: UInt64 = 0x2020_2020_2020_2020
        if end >= 16, length > 0 {
            let last = (word(at: end &- 8) | folding).byteSwapped
            let first = (word(at: end &- 16) | folding).byteSwapped
            let all = UInt128(truncatingIfNeeded: first) &<< 64 | UInt128(truncatingIfNeeded: last)
            // What stands before a shorter name goes.
            let unused = UInt128(truncatingIfNeeded: 128 &- 8 &* Swift.min(length, 16))
            return (all &<< unused) &>> unused
        }
        var result: UInt128 = 0  // Near the start of a span.
        for index in start..<end { result = result &<< 8 | UInt128(truncatingIfNeeded: self[index] | 0x20) }
        return result
    }
}
