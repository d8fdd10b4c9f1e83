import Glibc
import PoiseModel
import PoisePlatform
import Testing

private let loopback = IPAddress(v4: 0x7F00_0001)

@Suite("Sockets: bound, shared and connected as asked")
struct SocketsTests {
    private let folder = Folder()

    @Test("an address has one owner unless both share it")
    func addresses() throws {
        let first = try Sockets.listen(on: .ip(loopback, port: 0), sharesPort: false)
        let bound = try #require(Sockets.localAddress(of: first.number))
        #expect(bound.ip == loopback && bound.port > 0)
        for sharesPort in [false, true] {
            let error = failure { () throws(SystemError) in
                _ = try Sockets.listen(on: .ip(loopback, port: bound.port), sharesPort: sharesPort)
            }
            #expect(error == SystemError(call: "bind", code: EADDRINUSE), "shares \(sharesPort)")
        }
        try Sockets.sharePort(of: first)
        _ = try Sockets.listen(on: .ip(loopback, port: bound.port), sharesPort: true)
    }

    @Test("an address of another machine cannot be bound")
    func elsewhere() {
        // 192.0.2.0/24 is for documentation, RFC 5737.
        let error = failure { () throws(SystemError) in
            _ = try Sockets.bind(to: .ip(IPAddress(v4: 0xC000_0201), port: 0), sharesPort: false)
        }
        #expect(error == SystemError(call: "bind", code: Errno.addressNotAvailable))
    }

    @Test("a unix socket tells who listens; a TCP socket has no such peer")
    func peers() throws {
        let path = folder["socket"]
        let listening = try Sockets.listen(on: .unix(path: path), sharesPort: false)
        let client = try Sockets.connect(to: .unix(path: path))
        #expect(Sockets.peerUserID(of: client.number) == ProcessLimits.userID)
        #expect(Sockets.localAddress(of: client.number) == nil)
        let other = try Sockets.listen(on: .ip(loopback, port: 0), sharesPort: false)
        let port = try #require(Sockets.localAddress(of: other.number)).port
        let remote = try Sockets.connect(to: .ip(loopback, port: port))
        #expect(Sockets.peerUserID(of: remote.number) == nil)
        #expect(Sockets.unacknowledged(remote.number) == 0)
        #expect(listening.number != other.number)
    }

    @Test("a unix socket: missing, left over and too long a path are three errors")
    func unixErrors() throws {
        func code(_ path: String) -> CInt? {
            failure { () throws(SystemError) in _ = try Sockets.connect(to: .unix(path: path)) }?.code
        }
        #expect(code(folder["nobody"]) == ENOENT)
        do { _ = try Sockets.listen(on: .unix(path: folder["left"]), sharesPort: false) }
        #expect(code(folder["left"]) == ECONNREFUSED)
        #expect(code("/" + String(repeating: "x", count: 107)) == ENAMETOOLONG)
    }

    @Test("a left-over socket is removed, one that answers stays, and a missing one is fine")
    func stale() throws {
        do { _ = try Sockets.listen(on: .unix(path: folder["left"]), sharesPort: false) }
        let kept = try Sockets.listen(on: .unix(path: folder["kept"]), sharesPort: false)
        for name in ["left", "kept", "nobody"] { Files.removeStaleSocket(folder[name]) }
        #expect(
            failure { () throws(SystemError) in _ = try Files.facts(of: folder["left"], followsLink: false) } != nil)
        #expect(try Files.facts(of: folder["kept"], followsLink: false).kind == .socket)
        #expect(kept.number >= 0)
    }

    @Test("a descriptor is closed with its owner, and not after it was handed on")
    func ownership() throws {
        func isOpen(_ number: CInt) -> Bool { fcntl(number, F_GETFD) >= 0 }
        let first = try Sockets.bind(to: .ip(loopback, port: 0), sharesPort: false)
        let number = first.release()
        #expect(isOpen(number))
        // Another owner of the same socket; whether it closes is seen by its end, as numbers are used again.
        let (reader, writer) = try pipeEnds()
        do { _ = FileDescriptor(adopting: writer) }
        var byte: UInt8 = 0
        // SAFETY: one byte is written at most.
        #expect(unsafe read(reader, &byte, 1) == 0, "the writing end was closed")
        close(reader)
        close(number)
    }

    private func pipeEnds() throws -> (CInt, CInt) {
        var ends: [CInt] = [0, 0]
        // SAFETY: the kernel writes two numbers.
        try #require(unsafe pipe(&ends) == 0)
        return (ends[0], ends[1])
    }

    @Test("the errnos that rooms decide on are those of this system")
    func errnos() {
        let pairs: [(CInt, CInt)] = [
            (Errno.again, EAGAIN), (Errno.interrupted, EINTR), (Errno.inProgress, EINPROGRESS),
            (Errno.connectionRefused, ECONNREFUSED), (Errno.connectionReset, ECONNRESET), (Errno.brokenPipe, EPIPE),
            (Errno.tooManyFiles, EMFILE), (Errno.tooManyFilesInSystem, ENFILE), (Errno.addressInUse, EADDRINUSE),
            (Errno.addressNotAvailable, EADDRNOTAVAIL), (Errno.addressFamilyNotSupported, EAFNOSUPPORT),
            (Errno.notFound, ENOENT), (Errno.accessDenied, EACCES), (Errno.connectionAborted, ECONNABORTED),
            (Errno.timedOut, ETIMEDOUT), (Errno.noBuffers, ENOBUFS), (Errno.noMemory, ENOMEM),
        ]
        for (ours, theirs) in pairs { #expect(ours == theirs) }
        let network = [ENETDOWN, EPROTO, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH]
        for code in network { #expect(Errno.isOfOneConnection(code)) }
        for code in [EMFILE, ENFILE, ENOBUFS, ENOMEM] {
            #expect(Errno.isShortage(code) && !Errno.isOfOneConnection(code))
        }
        #expect(!Errno.isShortage(EAGAIN) && !Errno.isOfOneConnection(EAGAIN))
    }
}
