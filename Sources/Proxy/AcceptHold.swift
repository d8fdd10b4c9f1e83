/// Why new connections wait in the kernel's queue.
public enum AcceptHold: Int, Sendable, CaseIterable {
    case processLimit, listenerLimit, descriptors
    /// accept(2) fails otherwise.
    case systemError

    /// As in `cause=` of metrics.
    public var name: String {
        switch self {
        case .processLimit: "process_limit"
        case .listenerLimit: "listener_limit"
        case .descriptors: "descriptors"
        case .systemError: "system_error"
        }
    }

    /// For people.
    public var words: String {
        switch self {
        case .processLimit: "process.limits.max_connections is reached"
        case .listenerLimit: "limits.max_connections of the listener is reached"
        case .descriptors: "no descriptor is free"
        case .systemError: "accept(2) fails"
        }
    }
}

/// Why a connection that was accepted is not served.
public enum ConnectionRefusal: Int, Sendable, CaseIterable {
    /// Its first request is answered with 429.
    case clientLimit
    /// The PROXY protocol header that the listener demands is faulty or did not come in time.
    case preamble
    /// The TLS handshake took longer than a request's head may.
    case handshakeTimeout

    /// As in `reason=` of metrics.
    public var name: String {
        switch self {
        case .clientLimit: "client_limit"
        case .preamble: "preamble"
        case .handshakeTimeout: "handshake_timeout"
        }
    }
}
