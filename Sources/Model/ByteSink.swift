/// Something that takes bytes in order: a send buffer, a test's array.
///
/// Codecs and rewriters are generic over it, so that the pure rooms write straight into the loop's buffers
/// without knowing them. Implementations are `@inlinable`: specialised, an append is a bounds check and a copy.
public protocol ByteSink: ~Copyable {
    mutating func append(_ byte: UInt8)
    mutating func append(_ bytes: Span<UInt8>)
}

extension Array<UInt8>: ByteSink {
    /// Filled first and then assigned with known bounds: the compiler makes a copy of that (0.2 ns a byte; 7 ns with
    /// an append per byte). Grows by factors.
    @inlinable public mutating func append(_ bytes: Span<UInt8>) {
        let added = bytes.count
        append(addingCapacity: added) { output in
            output.append(repeating: 0, count: added)
            var tail = output.mutableSpan
            guard tail.count == added else { return }
            for index in 0..<added { tail[index] = bytes[index] }
        }
    }
}
