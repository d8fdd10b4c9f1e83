import PoiseModel
import PoisePlatform

/// Binds addresses for all workers: everything or nothing.
enum ListenerBinder {
    /// The sockets of one address, one per worker. Owned by whoever holds it until they are handed to the workers.
    struct Bound: Sendable {
        let configured: ListenAddress
        /// What was really bound: port 0 has become a number.
        var actual: String
        /// Names these sockets at the workers.
        var id: Int
        var perWorker: [CInt]
        /// A unix socket once more: it can be handed on to another listener, but not bound twice.
        var spare: CInt?

        /// Closes all; for a prepare that fails elsewhere.
        func close() {
            for descriptor in perWorker { _ = FileDescriptor(adopting: descriptor) }
            closeSpare()
        }

        func closeSpare() { if let spare { _ = FileDescriptor(adopting: spare) } }
    }

    /// - Parameters:
    ///   - ours: sockets of this process that are in the way and will be closed: the address is taken over from them
    ///     without a moment in which nobody listens.
    static func bind(_ address: ListenAddress, workers: Int, id: Int, ours: [Bound]) throws(ConfigError) -> Bound {
        var bound = Bound(configured: address, actual: "", id: id, perWorker: [])
        do {
            try bind(workers, ours, into: &bound)
            return bound
        } catch {
            bound.close()
            throw describe(error, address)
        }
    }

    /// The first socket is bound without SO_REUSEPORT: a second program on the address is an error, not half of the
    /// traffic. Sharing is allowed afterwards, for our own further sockets.
    private static func bind(_ workers: Int, _ ours: [Bound], into bound: inout Bound) throws(SystemError) {
        switch bound.configured {
        case .anyAddress(let port):
            do {
                try bindIP(IPAddress(v6: 0), port, dualStack: true, workers, !ours.isEmpty, &bound)
            } catch  where error.code == Errno.addressFamilyNotSupported || error.code == Errno.addressNotAvailable {
                try bindIP(IPAddress(v4: 0), port, dualStack: false, workers, !ours.isEmpty, &bound)
            }
        case .ip(let ip, let port):
            try bindIP(ip, port, dualStack: false, workers, !ours.isEmpty, &bound)
        case .unix(let path):
            let first: FileDescriptor
            if let spare = ours.compactMap(\.spare).first {
                first = try Sockets.duplicate(spare)
            } else {
                Files.removeStaleSocket(path)
                first = try Sockets.listen(on: .unix(path: path), sharesPort: false)
            }
            for _ in 0..<workers { bound.perWorker.append(try Sockets.duplicate(first.number).release()) }
            bound.spare = first.release()
            bound.actual = "unix:\(path)"
        }
    }

    private static func bindIP(
        _ ip: IPAddress, _ port: UInt16, dualStack: Bool, _ workers: Int, _ shares: Bool, _ bound: inout Bound
    ) throws(SystemError) {
        let first = try Sockets.bind(to: .ip(ip, port: port), sharesPort: shares, dualStack: dualStack)
        let real = Sockets.localAddress(of: first.number)?.port ?? port
        if !shares { try Sockets.sharePort(of: first) }
        try Sockets.startListening(first)
        bound.perWorker.append(first.release())
        while bound.perWorker.count < workers {
            let socket = try Sockets.listen(on: .ip(ip, port: real), sharesPort: true, dualStack: dualStack)
            bound.perWorker.append(socket.release())
        }
        bound.actual = "\(TargetAddress.ip(ip, port: real))"
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
