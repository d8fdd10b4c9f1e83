import PoiseModel

/// Bytes that gather for one system call: appended by plain copies into memory that is used again and again.
///
/// SAFETY: every append makes sure of its room first; the memory is the batch's own and freed with it.
@safe public struct ByteBatch: ~Copyable, ByteSink {
    @usableFromInline var base: UnsafeMutableRawPointer
    @usableFromInline var capacity: Int
    @usableFromInline var filled = 0
    public var count: Int { filled }

    /// - Parameter capacity: bytes at first, 1 or more; grows by factors.
    public init(capacity: Int) {
        precondition(capacity > 0)
        unsafe base = .allocate(byteCount: capacity, alignment: 16)
        self.capacity = capacity
    }

    deinit { unsafe base.deallocate() }

    @inlinable public mutating func append(_ byte: UInt8) {
        if filled == capacity { grow(by: 1) }
        // SAFETY: there is room for it.
        unsafe base.storeBytes(of: byte, toByteOffset: filled, as: UInt8.self)
        filled += 1
    }

    @inlinable public mutating func append(_ bytes: Span<UInt8>) {
        if bytes.count > capacity - filled { grow(by: bytes.count) }
        // SAFETY: there is room for them, and they lie elsewhere.
        unsafe bytes.withUnsafeBufferPointer {
            guard let source = $0.baseAddress else { return }
            unsafe (base + filled).copyMemory(from: source, byteCount: $0.count)
        }
        filled += bytes.count
    }

    @usableFromInline mutating func grow(by added: Int) {
        let larger = max(capacity * 2, filled + added)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        // SAFETY: both hold so many bytes.
        unsafe memory.copyMemory(from: base, byteCount: filled)
        unsafe base.deallocate()
        unsafe base = memory
        capacity = larger
    }

    /// Keeps the memory.
    public mutating func removeAll() { filled = 0 }

    public var bytes: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            // SAFETY: so many bytes are initialised, and the span borrows the batch.
            let span = unsafe Span<UInt8>(
                _unsafeStart: base.assumingMemoryBound(to: UInt8.self), count: filled)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }
}
