import PoiseModel
import PoisePlatform

/// Binds a listener's addresses for all workers: everything or nothing.
enum ListenerBinder {
    /// Sockets of one listener: per worker, one per address.
    struct Bound: Sendable {
        var perWorker: [[CInt]]
        /// What was really bound, in the order of the addresses: port 0 has become a number.
        var addresses: [String]

        /// Closes all; for a prepare that fails elsewhere.
        func close() {
            for descriptor in perWorker.joined() { _ = FileDescriptor(adopting: descriptor) }
        }
    }

    static func bind(_ listener: Listener, workers: Int) throws(ConfigError) -> Bound {
        var bound = Bound(perWorker: Array(repeating: [], count: workers), addresses: [])
        for (index, address) in listener.addresses.enumerated() {
            do {
                bound.addresses.append(try bind(address, workers: workers, into: &bound.perWorker))
            } catch {
                bound.close()
                throw Self.describe(error, address).under("address[\(index)]")
            }
        }
        return bound
    }

    /// The first socket is bound without SO_REUSEPORT: a second program on the address is an error, not half of the
    /// traffic. Sharing is allowed afterwards, for our own further sockets.
    private static func bind(
        _ address: ListenAddress, workers: Int, into perWorker: inout [[CInt]]
    ) throws(SystemError) -> String {
        switch address {
        case .anyAddress(let port):
            do {
                return try bindIP(IPAddress(v6: 0), port, dualStack: true, workers, &perWorker)
            } catch where error.code == Errno.addressFamilyNotSupported || error.code == Errno.addressNotAvailable {
                return try bindIP(IPAddress(v4: 0), port, dualStack: false, workers, &perWorker)
            }
        case .ip(let ip, let port):
            return try bindIP(ip, port, dualStack: false, workers, &perWorker)
        case .unix(let path):
            Files.removeStaleSocket(path)
            let first = try Sockets.listen(on: .unix(path: path), sharesPort: false)
            for worker in 1..<max(workers, 1) where worker < workers {
                perWorker[worker].append(try Sockets.duplicate(first.number).release())
            }
            perWorker[0].append(first.release())
            return "unix:\(path)"
        }
    }

    private static func bindIP(
        _ ip: IPAddress, _ port: UInt16, dualStack: Bool, _ workers: Int, _ perWorker: inout [[CInt]]
    ) throws(SystemError) -> String {
        let first = try Sockets.bind(to: .ip(ip, port: port), sharesPort: false, dualStack: dualStack)
        let bound = Sockets.localAddress(of: first.number)?.port ?? port
        if workers > 1 { try Sockets.sharePort(of: first) }
        try Sockets.listen(first)
        perWorker[0].append(first.release())
        for worker in 1..<max(workers, 1) where worker < workers {
            let socket = try Sockets.listen(on: .ip(ip, port: bound), sharesPort: true, dualStack: dualStack)
            perWorker[worker].append(socket.release())
        }
        return "\(TargetAddress.ip(ip, port: bound))"
    }

    private static func describe(_ error: SystemError, _ address: ListenAddress) -> ConfigError {
        let fix =
            switch error.code {
            case Errno.addressInUse: "end the program that uses it (ss -ltnp shows which), or choose another address"
            case Errno.accessDenied: "ports below 1024 need root or CAP_NET_BIND_SERVICE"
            case Errno.addressNotAvailable: "use an address that this machine has (ip addr shows them)"
            default: "see the reason"
            }
        return ConfigError(code: .conflict, problem: "cannot listen on \(address): \(error.reason)", fix: fix)
    }
}
