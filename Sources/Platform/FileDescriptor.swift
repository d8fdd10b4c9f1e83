import CPoise

/// Owns one descriptor: never copied, closed exactly once.
public struct FileDescriptor: ~Copyable, Sendable {
    public let number: CInt

    /// Takes ownership of an open descriptor.
    public init(adopting number: CInt) { self.number = number }
    deinit { _ = poise_close(number) }

    /// Hands the number to a new owner; nothing is closed.
    public consuming func release() -> CInt {
        let number = number
        discard self
        return number
    }
}
