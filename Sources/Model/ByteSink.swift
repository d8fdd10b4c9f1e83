/// Something that takes bytes in order: a send buffer, a test's array.
///
/// Codecs and rewriters are generic over it, so that the pure rooms write straight into the loop's buffers
/// without knowing them. Implementations are `@inlinable`, and so must be every generic function between them and
/// the room that knows the type: specialised, an append is a bounds check and a copy; else a witness call per byte.
public protocol ByteSink: ~Copyable {
    mutating func append(_ byte: UInt8)
    mutating func append(_ bytes: Span<UInt8>)
    /// Appends the lowest `count` bytes of `word`, the lowest first.
    /// - Parameter count: 1...8
    mutating func append(word: UInt64, count: Int)
}

extension ByteSink where Self: ~Copyable {
    @inlinable public mutating func append(word: UInt64, count: Int) {
        precondition(1...8 ~= count)
        for index in 0..<count { append(UInt8(truncatingIfNeeded: word &>> UInt64(8 &* index))) }
    }
}

extension Array<UInt8>: ByteSink {
    /// Filled first and then assigned with known bounds: the compiler makes a copy of that (0.2 ns a byte; 7 ns with
    /// an append per byte). Grows by factors.
    @inlinable public mutating func append(_ bytes: Span<UInt8>) {
        let added = bytes.count
        // The library stores a count of 0 into the empty array that all threads share.
        guard added > 0 else { return }
        append(addingCapacity: added) { output in
            output.append(repeating: 0, count: added)
            var tail = output.mutableSpan
            guard tail.count == added else { return }
            for index in 0..<added { tail[index] = bytes[index] }
        }
    }

    @inlinable public mutating func append(word: UInt64, count: Int) {
        precondition(1...8 ~= count)
        append(addingCapacity: count) { output in
            for index in 0..<count { output.append(UInt8(truncatingIfNeeded: word &>> UInt64(8 &* index))) }
        }
    }
}
