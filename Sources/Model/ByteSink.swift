/// Something that takes bytes in order: a send buffer, a test's array.
///
/// Codecs and rewriters are generic over it, so that the pure rooms write straight into the loop's buffers
/// without knowing them. Implementations are `@inlinable`: specialised, an append is a bounds check and a copy.
public protocol ByteSink: ~Copyable {
    mutating func append(_ byte: UInt8)
    mutating func append(_ bytes: Span<UInt8>)
}

extension Array<UInt8>: ByteSink {
    public mutating func append(_ bytes: Span<UInt8>) {
        reserveCapacity(count + bytes.count)
        for index in bytes.indices { append(bytes[index]) }
    }
}
