/// A pooled buffer that goes back to its pool when the last reference goes: for control's code, where an owner's
/// end is not one place. Workers return theirs by hand.
public final class OwnedBuffer {
    public let buffer: Buffer
    private let pool: BufferPool

    /// A standard buffer of `pool`. Dropped on the loop's thread.
    public init(from pool: BufferPool) {
        self.pool = pool
        buffer = pool.takeStandard()
    }

    deinit { pool.release(buffer) }
}

@available(*, unavailable)
extension OwnedBuffer: Sendable {}
