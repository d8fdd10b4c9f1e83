import PoisePlatform

/// Why an asynchronous operation of a loop ended without a result.
public enum SocketFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// The deadline came first.
    case timeout
    /// The socket was closed on our side meanwhile.
    case closed
    /// The task was cancelled.
    case cancelled
    /// The system refused, or the peer reset.
    case system(SystemError)

    public var description: String {
        switch self {
        case .timeout: "timeout"
        case .closed: "closed"
        case .cancelled: "cancelled"
        case .system(let error): error.description
        }
    }
}
