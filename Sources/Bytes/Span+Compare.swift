/// Comparing and hashing eight bytes at a time; the last eight overlap with those before where the length is no multiple.
extension Span<UInt8> {
    /// Whether `length` bytes from `start` on are those of `other` from `otherStart` on.
    @inlinable @inline(__always)
    public func matches(_ start: Int, _ other: Span<UInt8>, _ otherStart: Int, count length: Int) -> Bool {
        matches(start, other, otherStart, count: length, foldingFirst: 0)
    }

    /// Whether `length` bytes from `start` on are those of `other` from `otherStart` on, where the first `folded` of them
    /// are compared as if their ASCII letters were lower case, which those of `other` have to be.
    @inlinable @inline(__always)
    public func matches(
        _ start: Int, _ other: Span<UInt8>, _ otherStart: Int, count length: Int, foldingFirst folded: Int
    ) -> Bool {
        precondition(0 <= start && 0 <= length && length <= count &- start, "a comparison beyond its span")
        precondition(0 <= otherStart && length <= other.count &- otherStart, "a comparison beyond its span")
        guard length >= 8 else {
            return word(at: start, count: length).lowerCased(first: folded) == other.word(at: otherStart, count: length)
        }
        // SAFETY: every word ends at `length` or before it, which is in both spans.
        return unsafe withUnsafeBytes { left in
            unsafe other.withUnsafeBytes { right in
                var offset = 0
                while true {
                    let mine = unsafe UInt64(
                        littleEndian: left.loadUnaligned(fromByteOffset: start &+ offset, as: UInt64.self))
                    let others = unsafe UInt64(
                        littleEndian: right.loadUnaligned(fromByteOffset: otherStart &+ offset, as: UInt64.self))
                    if mine != others, mine.lowerCased(first: folded &- offset) != others { return false }
                    if offset == length &- 8 { return true }
                    offset = Swift.min(offset &+ 8, length &- 8)
                }
            }
        }
    }

    /// A number made of the bytes `start..<end`, well mixed: for tables that compare the bytes afterwards. Who knows
    /// the function can make bytes that collide.
    @inlinable @inline(__always)
    public func mixedHash(from start: Int, to end: Int) -> UInt64 {
        precondition(0 <= start && start <= end && end <= count, "a hash of more than the span")
        let length = end &- start
        var hash = UInt64(truncatingIfNeeded: length)
        guard length >= 8 else {
            hash = (hash ^ word(at: start, count: length) &* 0x9E37_79B9_7F4A_7C15) &* 0xBF58_476D_1CE4_E5B9
            return hash ^ hash &>> 32
        }
        // SAFETY: every word ends at `end` or before it.
        return unsafe withUnsafeBytes { bytes in
            var position = start
            while true {
                let word = unsafe UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
                hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
                hash ^= hash &>> 29
                if position == end &- 8 { return (hash &* 0xBF58_476D_1CE4_E5B9) ^ hash &>> 32 }
                position = Swift.min(position &+ 8, end &- 8)
            }
        }
    }
}

extension UInt64 {
    /// Eight bytes of which the first (lowest) `count` have their ASCII letters in lower case; none where it is below 1.
    @inlinable @inline(__always) public func lowerCased(first count: Int) -> UInt64 {
        let each: UInt64 = 0x0101_0101_0101_0101
        let seven = self & (0x7F &* each)
        let isUpper = (seven &+ (0x80 - 0x41) &* each) & ~(seven &+ (0x7F - 0x5A) &* each) & ~self & (0x80 &* each)
        let mask = count >= 8 ? UInt64.max : count <= 0 ? 0 : 1 &<< UInt64(truncatingIfNeeded: 8 &* count) &- 1
        return self | isUpper &>> 2 & mask
    }
}
