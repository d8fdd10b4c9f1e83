import CPoise
import PoiseModel

/// Creating, binding and connecting non-blocking sockets.
public enum Sockets {
    /// A bound, listening stream socket.
    ///
    /// - Parameter sharesPort: sets SO_REUSEPORT. The first socket of an address goes without, so that a second
    ///   program on it is an error and not half of the traffic.
    /// - Parameter dualStack: for `::`, also accept IPv4.
    public static func listen(
        on address: SocketAddress, sharesPort: Bool, dualStack: Bool = false, backlog: CInt = 4096
    ) throws(SystemError) -> FileDescriptor {
        let socket = try bind(to: address, sharesPort: sharesPort, dualStack: dualStack)
        try startListening(socket, backlog: backlog)
        return socket
    }

    /// Lets a bound socket accept.
    public static func startListening(
        _ socket: borrowing FileDescriptor, backlog: CInt = 4096
    ) throws(SystemError) {
        _ = try checked(poise_listen(socket.number, backlog), "listen")
    }

    /// A bound socket that does not listen yet.
    public static func bind(
        to address: SocketAddress, sharesPort: Bool, dualStack: Bool = false
    ) throws(SystemError) -> FileDescriptor {
        switch address {
        case .ip(let ip, let port):
            let socket = FileDescriptor(adopting: try checked(poise_socket(CInt(ip.family.rawValue), 0), "socket"))
            _ = try checked(poise_set_reuse_address(socket.number), "setsockopt")
            if sharesPort { _ = try checked(poise_set_reuse_port(socket.number), "setsockopt") }
            if ip.family == .v6 { _ = try checked(poise_set_v6_only(socket.number, dualStack ? 0 : 1), "setsockopt") }
            // Accepted sockets inherit it: one system call less per connection.
            _ = try checked(poise_set_nodelay(socket.number), "setsockopt")
            var target = poise_address(ip, port: port)
            // SAFETY: the pointer is used during the call only.
            _ = try checked(unsafe poise_bind(socket.number, &target), "bind")
            return socket
        case .unix(let path):
            let socket = FileDescriptor(adopting: try checked(poise_socket(1, 0), "socket"))
            // SAFETY: as above; the length is the string's own.
            _ = try checked(unsafe poise_bind_unix(socket.number, path, path.utf8.count), "bind")
            return socket
        }
    }

    /// Another descriptor of the same socket.
    public static func duplicate(_ descriptor: CInt) throws(SystemError) -> FileDescriptor {
        FileDescriptor(adopting: try checked(poise_duplicate(descriptor), "dup"))
    }

    /// Allows further sockets on the address that `socket` is bound to.
    public static func sharePort(of socket: borrowing FileDescriptor) throws(SystemError) {
        _ = try checked(poise_set_reuse_port(socket.number), "setsockopt")
    }

    /// Starts a connection. The socket may still be connecting; a send or the loop tells.
    ///
    /// - Parameter forOneRequest: one request is sent as soon as there is a connection, and nothing after it. The ACK
    ///   that ends the handshake then leaves with it: a packet less, and the peer wakes up once. See tcp(7), TCP_QUICKACK.
    /// - Throws: what connect(2) says at once, such as ECONNREFUSED from a unix socket.
    public static func connect(
        to address: SocketAddress, forOneRequest: Bool = false
    ) throws(SystemError) -> FileDescriptor {
        let socket: FileDescriptor
        let result: CInt
        switch address {
        case .ip(let ip, let port):
            socket = FileDescriptor(adopting: try checked(poise_socket(CInt(ip.family.rawValue), 0), "socket"))
            _ = forOneRequest ? poise_hold_ack(socket.number) : poise_set_nodelay(socket.number)
            var target = poise_address(ip, port: port)
            // SAFETY: the pointer is used during the call only.
            result = unsafe poise_connect(socket.number, &target)
        case .unix(let path):
            socket = FileDescriptor(adopting: try checked(poise_socket(1, 0), "socket"))
            // SAFETY: as above.
            result = unsafe poise_connect_unix(socket.number, path, path.utf8.count)
        }
        if result < 0, -result != Errno.inProgress { throw SystemError(call: "connect", code: -result) }
        return socket
    }

    /// A datagram socket that sends to one address, and receives from there alone. Errors that come back by ICMP are those
    /// of the next call: ECONNREFUSED where nobody listens.
    public static func connectDatagram(to address: SocketAddress) throws(SystemError) -> FileDescriptor {
        guard case .ip(let ip, let port) = address else {
            throw SystemError(call: "connect", code: Errno.addressFamilyNotSupported)
        }
        let socket = FileDescriptor(adopting: try checked(poise_socket(CInt(ip.family.rawValue), 1), "socket"))
        var target = poise_address(ip, port: port)
        // SAFETY: the pointer is used during the call only.
        _ = try checked(unsafe poise_connect(socket.number, &target), "connect")
        return socket
    }

    /// The user who listens at the other end of a connected unix socket, as of then; `nil` for other sockets.
    public static func peerUserID(of descriptor: CInt) -> Int? {
        let user = poise_peer_user(descriptor)
        return user < 0 ? nil : Int(user)
    }

    /// Bytes that were sent and that the peer's kernel has not acknowledged; 0 where that is not known.
    public static func unacknowledged(_ descriptor: CInt) -> Int { Int(max(0, poise_unacknowledged(descriptor))) }

    /// The address a socket is bound to; `nil` for a unix socket.
    public static func localAddress(of descriptor: CInt) -> (ip: IPAddress, port: UInt16)? {
        var local = poise_address()
        // SAFETY: the pointer is used during the call only.
        guard unsafe poise_local_address(descriptor, &local) == 0, let ip = local.ip else { return nil }
        return (ip, local.port)
    }
}

/// The few errnos that code decides on, so that rooms above need not import Glibc.
public enum Errno {
    public static let again: CInt = 11
    public static let notPermitted: CInt = 1
    public static let interrupted: CInt = 4
    public static let inProgress: CInt = 115
    public static let connectionRefused: CInt = 111
    public static let connectionReset: CInt = 104
    public static let brokenPipe: CInt = 32
    public static let tooManyFiles: CInt = 24
    public static let tooManyFilesInSystem: CInt = 23
    public static let addressInUse: CInt = 98
    public static let addressNotAvailable: CInt = 99
    public static let addressFamilyNotSupported: CInt = 97
    public static let notFound: CInt = 2
    public static let notFolder: CInt = 20
    public static let fileTooLarge: CInt = 27
    public static let accessDenied: CInt = 13
    public static let connectionAborted: CInt = 103
    public static let timedOut: CInt = 110
    public static let noBuffers: CInt = 105
    public static let noMemory: CInt = 12
    public static let protocolNotSupported: CInt = 93

    /// The process or the machine has nothing left to make a socket of.
    public static func isShortage(_ code: CInt) -> Bool {
        [tooManyFiles, tooManyFilesInSystem, noBuffers, noMemory].contains(code)
    }

    /// Network errors that accept(2) hands on from the connection it would have returned: ENETDOWN, EPROTO,
    /// ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH.
    public static func isOfOneConnection(_ code: CInt) -> Bool {
        [100, 71, 92, 112, 64, 113, 95, 101].contains(code)
    }
}
