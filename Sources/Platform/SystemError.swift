import CPoise
import Glibc

/// A system call that failed: which one and why.
public struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
    public let call: String
    /// A positive errno.
    public let code: CInt

    public init(call: String, code: CInt) { (self.call, self.code) = (call, code) }

    /// `bind: Address already in use`
    public var description: String { "\(call): \(reason)" }
    /// `Address already in use`
    public var reason: String {
        // SAFETY: strerror returns a NUL-terminated string that lives until this thread's next call of it.
        unsafe String(cString: strerror(code))
    }
}

/// `value` unless it is a negated errno.
@inline(__always)
func checked(_ value: CInt, _ call: String) throws(SystemError) -> CInt {
    guard value >= 0 else { throw SystemError(call: call, code: -value) }
    return value
}
