import PoiseBytes

/// Writes into an array of a struct without holding on to the struct, as a span in a local would.
extension Array<UInt8> {
    @inline(__always)
    mutating func stage(_ source: Span<UInt8>, from start: Int, to end: Int, at position: Int) {
        var span = mutableSpan
        span.stage(source, from: start, to: end, at: position)
    }

    @inline(__always)
    mutating func store<Word: FixedWidthInteger & BitwiseCopyable>(_ word: Word, at position: Int) {
        var span = mutableSpan
        span.store(word, at: position)
    }

    mutating func move(from start: Int, to end: Int, at position: Int) {
        var span = mutableSpan
        span.move(from: start, to: end, at: position)
    }

    /// Makes it at least so long, and at least twice as long as it was; does nothing where it is.
    @inline(__always) mutating func ensure(_ length: Int) {
        if length > count { lengthen(to: length) }
    }

    @inline(never) private mutating func lengthen(to length: Int) {
        append(contentsOf: repeatElement(0, count: Swift.max(count, length - count)))
    }
}
