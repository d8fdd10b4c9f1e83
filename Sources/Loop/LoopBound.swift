import CPoise

/// Carries a value that belongs to one loop's thread through places that any thread may hold.
///
/// SAFETY: the value is reached only on the loop that the box was made on; elsewhere is a trap.
@safe public struct LoopBound<Value>: @unchecked Sendable {
    private let value: Value
    private let loop: UnsafeMutableRawPointer

    /// On the loop's own thread, while it runs or before.
    public init(_ value: Value, on loop: EventLoop) {
        self.value = value
        unsafe self.loop = loop.identity
    }

    /// Only on the loop.
    public func open() -> Value {
        precondition(unsafe poise_current_loop() == loop, "a loop's value was reached from another thread")
        return value
    }
}
