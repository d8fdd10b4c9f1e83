import CBytes

/// Where the parts of a line end: see `Span.readLabelledLines`.
public struct LabelledLine {
    public let start: Int
    /// Behind the last byte of the name.
    public let nameEnd: Int
    /// Behind the last byte of the text, where the terminator begins.
    public let textEnd: Int

    @inlinable @inline(__always) init(start: Int, nameEnd: Int, textEnd: Int) {
        (self.start, self.nameEnd, self.textEnd) = (start, nameEnd, textEnd)
    }
}

extension Span<UInt8> {
    /// Takes apart lines of a name (letters, digits, hyphens), two bytes, a text without control bytes, and two bytes.
    ///
    /// `endOfName`, `pair`, `endOfText` and `pair` in one, with the bounds checked once for all lines: a head has a
    /// dozen, and here is where its cost lies. About 45 instructions for a line and 10 for each 16 bytes of it, as
    /// long as `take` calls nothing: the bytes that are compared with stay in registers.
    ///
    /// - Parameters:
    ///   - separator, terminator: as `pair(at:)` loads them.
    ///   - take: is given the lines in order, and returns whether it wants more.
    /// - Returns: the start of the first line that was not taken: where the bytes up to `end` do not begin with a whole
    ///   line of this form, where name or text is empty, where the text begins or ends with a space, and in a span of
    ///   fewer than 16 bytes.
    @inlinable @inline(__always)
    public func readLabelledLines(
        from start: Int, to end: Int, separator: UInt16, terminator: UInt16,
        _ take: (LabelledLine) -> Bool
    ) -> Int {
        precondition(0 <= start && start <= end && end <= count, "lines outside of their span")
        let lastBlock = count &- 16
        guard lastBlock >= 0 else { return start }
        // SAFETY: blocks begin at `lastBlock` or before it. Pairs, and the bytes between them, end at `end` or before
        // it, which is in the span.
        return unsafe withUnsafeBufferPointer { buffer in
            let base = unsafe buffer.baseAddress.unsafelyUnwrapped
            var position = start
            while let nameEnd = unsafe Self.stop(base, position, end, lastBlock, { unsafe poise_not_name($0) }) {
                let textStart = nameEnd &+ 2
                guard textStart < end, nameEnd > position, unsafe Self.pair(base, at: nameEnd) == separator,
                    let textEnd = unsafe Self.stop(base, textStart, end, lastBlock, { unsafe poise_control($0) }),
                    textEnd &+ 2 <= end, textEnd > textStart, unsafe Self.pair(base, at: textEnd) == terminator,
                    unsafe base[textStart] != 0x20, unsafe base[textEnd &- 1] != 0x20
                else { break }
                let line = LabelledLine(start: position, nameEnd: nameEnd, textEnd: textEnd)
                position = textEnd &+ 2
                guard take(line) else { break }
            }
            return position
        }
    }

    /// The first byte that ends a run, maybe behind `end`; nil where none was found.
    @unsafe @inlinable @inline(__always)
    static func stop(
        _ base: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ lastBlock: Int,
        _ stops: (UnsafePointer<UInt8>) -> UInt32
    ) -> Int? {
        var position = start
        while position <= lastBlock {
            let flags = unsafe stops(base + position)  // SAFETY: a block that begins at `lastBlock` or before it.
            if flags != 0 { return position &+ flags.trailingZeroBitCount }
            position &+= 16
        }
        guard position < end else { return nil }
        // The last 16 of the span; those before `position` are shifted out.
        // SAFETY: `lastBlock` is the last block.
        let flags = unsafe stops(base + lastBlock) &>> UInt32(truncatingIfNeeded: position &- lastBlock)
        return flags == 0 ? nil : position &+ flags.trailingZeroBitCount
    }

    @unsafe @inlinable @inline(__always)
    static func pair(_ base: UnsafePointer<UInt8>, at position: Int) -> UInt16 {
        // SAFETY: the caller's.
        unsafe UInt16(
            littleEndian: UnsafeRawPointer(base).loadUnaligned(fromByteOffset: position, as: UInt16.self))
    }
}
