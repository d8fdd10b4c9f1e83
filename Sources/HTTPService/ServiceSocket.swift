import PoiseModel
import PoisePlatform

/// Listening sockets for services, where a path may be left over from a process that died.
enum ServiceSocket {
    /// - Throws: EADDRINUSE where somebody answers at the path, as for an address.
    static func listen(on address: ListenAddress, mode: UInt32) throws(SystemError) -> FileDescriptor {
        switch address {
        case .ip(let ip, let port): return try Sockets.listen(on: .ip(ip, port: port), sharesPort: false)
        case .anyAddress(let port): return try listenOnAllAddresses(port: port)
        case .unix(let path): return try listen(at: path, mode: mode)
        }
    }

    /// One socket for both families, or for IPv4 alone where the machine has no IPv6.
    private static func listenOnAllAddresses(port: UInt16) throws(SystemError) -> FileDescriptor {
        do {
            return try Sockets.listen(on: .ip(IPAddress(v6: 0), port: port), sharesPort: false, dualStack: true)
        } catch {
            guard error.code == Errno.addressFamilyNotSupported || error.code == Errno.addressNotAvailable else {
                throw error
            }
            return try Sockets.listen(on: .ip(IPAddress(v4: 0), port: port), sharesPort: false)
        }
    }

    private static func listen(at path: String, mode: UInt32) throws(SystemError) -> FileDescriptor {
        let address = SocketAddress.unix(path: path)
        let socket: FileDescriptor
        do { socket = try Sockets.bind(to: address, sharesPort: false) } catch {
            guard error.code == Errno.addressInUse, isAbandoned(address) else { throw error }
            Files.remove(path)
            socket = try Sockets.bind(to: address, sharesPort: false)
        }
        // Between bind and listen nobody can connect, so the mode holds from the first connection on.
        try Files.setMode(path, mode)
        try Sockets.startListening(socket)
        return socket
    }

    private static func isAbandoned(_ address: SocketAddress) -> Bool {
        do { _ = try Sockets.connect(to: address) } catch { return error.code == Errno.connectionRefused }
        return false
    }
}
