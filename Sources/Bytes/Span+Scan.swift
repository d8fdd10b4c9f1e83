import CBytes

/// The end of a run of bytes of one class, 16 at a time. A position from `start` to `end`; `end` where all are in the
/// class. Cost: about 15 instructions and 10 for each 16 bytes.
extension Span<UInt8> {
    /// The first byte that is no ASCII letter, digit or hyphen.
    @inlinable @inline(__always)
    public func endOfName(from start: Int, to end: Int) -> Int {
        // SAFETY: `endOfRun` hands out only addresses with 16 readable bytes.
        unsafe endOfRun(from: start, to: end) { unsafe poise_not_name($0) }
    }

    /// The first byte that is no ASCII letter, digit, hyphen or dot, or that is a dot without a label before it.
    @inlinable @inline(__always)
    public func endOfLabels(from start: Int, to end: Int) -> Int {
        guard start < end, self[start] != 0x2E else { return start }
        var lastIsDot: UInt32 = 0
        // SAFETY: as above. A block may begin before `start` or what was looked at: then the bit that `lastIsDot` sets
        // is one of those that `endOfRun` shifts out.
        return unsafe endOfRun(from: start, to: end) {
            let dots = unsafe poise_dot($0)
            let stops = unsafe poise_not_name($0) & ~dots | dots & (dots &<< 1 | lastIsDot)
            lastIsDot = dots &>> 15
            return stops
        }
    }

    /// The first control byte, HTAB and DEL among them.
    @inlinable @inline(__always)
    public func endOfText(from start: Int, to end: Int) -> Int {
        // SAFETY: as above.
        unsafe endOfRun(from: start, to: end) { unsafe poise_control($0) }
    }

    /// The first byte that is not visible ASCII, or is one of `#`, `%` and `?`.
    @inlinable @inline(__always)
    public func endOfPlainTarget(from start: Int, to end: Int) -> Int {
        // SAFETY: as above.
        unsafe endOfRun(from: start, to: end) { unsafe poise_not_target($0) }
    }

    /// - Parameter stops: which of the 16 bytes at an address end the run, one bit each, the first byte lowest.
    @unsafe @inlinable @inline(__always)
    func endOfRun(from start: Int, to end: Int, _ stops: (UnsafePointer<UInt8>) -> UInt32) -> Int {
        precondition(0 <= start && start <= end && end <= count, "a run outside of its span")
        let count = count
        // SAFETY: every address below is at least 16 bytes before the end of the span, or of `padded`.
        return unsafe withUnsafeBufferPointer { buffer in
            var position = start
            while position < end {
                let flags: UInt32
                if count &- position >= 16 {
                    // What it says of bytes behind `end` is cut off below.
                    flags = unsafe stops(buffer.baseAddress.unsafelyUnwrapped + position)
                } else if count >= 16 {
                    // The last 16 of the span; those before `position` are shifted out.
                    flags =
                        unsafe stops(buffer.baseAddress.unsafelyUnwrapped + (count &- 16))
                        >> UInt32(truncatingIfNeeded: position &- (count &- 16))
                } else {
                    flags = unsafe stopsInShortSpan(buffer, from: position, stops)
                }
                if flags != 0 { return Swift.min(position &+ flags.trailingZeroBitCount, end) }
                position &+= 16
            }
            return end
        }
    }

    /// For spans of fewer than 16 bytes, as one-byte drips and tests make them: looks at a padded copy.
    @unsafe @inlinable @inline(never)
    func stopsInShortSpan(
        _ buffer: UnsafeBufferPointer<UInt8>, from position: Int, _ stops: (UnsafePointer<UInt8>) -> UInt32
    ) -> UInt32 {
        var padded = InlineArray<16, UInt8>(repeating: 0)
        // SAFETY: the loop's bounds are those of the buffer, and it has fewer than 16 bytes.
        for index in position..<buffer.count { unsafe padded[index &- position] = buffer[index] }
        let span = padded.span
        // SAFETY: 16 bytes, as long as the closure runs.
        return unsafe span.withUnsafeBufferPointer { unsafe stops($0.baseAddress.unsafelyUnwrapped) }
    }
}

extension Span<UInt8> {
    /// The classes of the scans above.
    public enum RunClass: Sendable { case name, dot, text, target }

    /// What the plain 64-bit arithmetic, which machines without SSE2 use, says of 16 bytes: a bit for each that ends a
    /// run, or is a dot. For the tests, which compare it with this machine's.
    public func portableStops(of kind: RunClass, at position: Int) -> UInt32 {
        precondition(0 <= position && position <= count &- 16, "a block outside of its span")
        // SAFETY: 16 bytes from `position` on are in the span.
        return unsafe withUnsafeBufferPointer { buffer in
            let block = unsafe buffer.baseAddress.unsafelyUnwrapped + position
            return switch kind {
            case .name: unsafe poise_portable_not_name(block)
            case .dot: unsafe poise_portable_dot(block)
            case .text: unsafe poise_portable_control(block)
            case .target: unsafe poise_portable_not_target(block)
            }
        }
    }
}
