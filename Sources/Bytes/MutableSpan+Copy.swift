/// Copies and stores for codecs that write into memory of their own, a few bytes at a time.
extension MutableSpan<UInt8> {
    /// Copies `source[start..<end]` to `position`.
    ///
    /// Moves 16 bytes at a time where both spans go on for 15 bytes more, so up to 15 bytes behind the copy change too:
    /// for a staging area whose rest means nothing. Cost: about 15 instructions and 4 for each 16 bytes.
    @inlinable @inline(__always)
    public mutating func stage(_ source: Span<UInt8>, from start: Int, to end: Int, at position: Int) {
        let length = end &- start
        precondition(0 <= start && start <= end && end <= source.count, "a copy from outside of its span")
        precondition(0 <= position && position <= count && length <= count &- position, "a copy beyond its span")
        guard length > 0 else { return }
        let hasSlack = source.count &- end >= 15 && count &- position &- length >= 15 && length <= 256
        // SAFETY: `length` bytes are in both ranges; blocks of 16 end at most 15 bytes behind them, which are there.
        unsafe source.withUnsafeBufferPointer { source in
            unsafe withUnsafeMutableBytes { target in
                let from = unsafe UnsafeRawPointer(source.baseAddress.unsafelyUnwrapped + start)
                let to = unsafe target.baseAddress.unsafelyUnwrapped + position
                guard hasSlack else {
                    unsafe to.copyMemory(from: from, byteCount: length)
                    return
                }
                var offset = 0
                repeat {
                    unsafe to.storeBytes(
                        of: from.loadUnaligned(fromByteOffset: offset, as: SIMD16<UInt8>.self), toByteOffset: offset,
                        as: SIMD16<UInt8>.self)
                    offset &+= 16
                } while offset < length
            }
        }
    }

    /// Moves `start..<end` to `position` of the same span; the ranges may overlap.
    @inlinable public mutating func move(from start: Int, to end: Int, at position: Int) {
        precondition(0 <= start && start <= end && end <= count, "a move from outside of its span")
        precondition(0 <= position && end &- start <= count &- position, "a move beyond its span")
        // SAFETY: both ranges are in the span; copyMemory allows overlap.
        unsafe withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            unsafe (base + position).copyMemory(from: base + start, byteCount: end &- start)
        }
    }

    /// Stores a number's bytes at `position`, the lowest first.
    @inlinable @inline(__always)
    public mutating func store<Word: FixedWidthInteger & BitwiseCopyable>(_ word: Word, at position: Int) {
        precondition(0 <= position && position <= count &- Word.bitWidth / 8, "a word beyond its span")
        // SAFETY: as many bytes are there.
        unsafe withUnsafeMutableBytes {
            unsafe $0.baseAddress.unsafelyUnwrapped.storeBytes(
                of: word.littleEndian, toByteOffset: position, as: Word.self)
        }
    }
}
