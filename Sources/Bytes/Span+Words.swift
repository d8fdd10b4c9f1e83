/// Bytes as numbers. Loads need no alignment and never leave the span.
extension Span<UInt8> {
    /// Eight bytes as one number, the first one lowest.
    @inlinable @inline(__always)
    public func word(at position: Int) -> UInt64 {
        precondition(0 <= position && position <= count &- 8, "a word outside of its span")
        // SAFETY: eight bytes from `position` on are in the span.
        return unsafe UInt64(
            littleEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self))
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

    /// Two bytes as one number, the first one lowest.
    @inlinable @inline(__always)
    public func pair(at position: Int) -> UInt16 {
        precondition(0 <= position && position <= count &- 2, "a pair outside of its span")
        // SAFETY: two bytes from `position` on are in the span.
        return unsafe UInt16(
            littleEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt16.self))
    }

    /// The last 16 bytes of `start..<end`, or all where it has fewer, with bit 5 of each set: one number, its lowest
    /// byte the last one, zeros above. Setting bit 5 lower-cases letters and leaves digits and hyphens alone.
    @inlinable @inline(__always)
    public func foldedTail(from start: Int, to end: Int) -> UInt128 {
        precondition(0 <= start && start <= end && end <= count, "a name outside of its span")
        let length = end &- start
        guard end >= 16, length > 0 else { return foldedTailNearStart(from: start, to: end) }
        let folding: UInt64 = 0x2020_2020_2020_2020
        var last = (word(at: end &- 8) | folding).byteSwapped
        var first: UInt64 = 0
        // What stands before a shorter name is shifted out.
        if length > 8 {
            let unused = UInt64(truncatingIfNeeded: 128 &- 8 &* Swift.min(length, 16))
            first = ((word(at: end &- 16) | folding).byteSwapped &<< unused) &>> unused
        } else {
            let unused = UInt64(truncatingIfNeeded: 64 &- 8 &* length)
            last = (last &<< unused) &>> unused
        }
        return UInt128(truncatingIfNeeded: first) &<< 64 | UInt128(truncatingIfNeeded: last)
    }

    @inlinable @inline(never)
    func foldedTailNearStart(from start: Int, to end: Int) -> UInt128 {
        var result: UInt128 = 0
        for index in start..<end { result = result &<< 8 | UInt128(truncatingIfNeeded: self[index] | 0x20) }
        return result
    }
}
