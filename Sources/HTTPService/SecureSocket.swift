import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseTLS

/// One end of a connection, with TLS or without. Used by one task at a time.
final class SecureSocket {
    /// What the connections of a server with TLS share.
    struct Security {
        let context: TLSServerContext
        let engine: TLSEngine
    }

    private let socket: AsyncSocket
    /// `nil` without TLS, and from when it turned out that the client does not speak it.
    private var session: TLSSession?

    /// A client's end of a connection.
    init(client socket: AsyncSocket, security: HTTPClient.Security?) {
        self.socket = socket
        session = security.map { TLSSession(client: $0.context, peer: $0.peer, engine: $0.engine) }
    }

    /// A server's end: takes over a connected descriptor.
    init(adopting descriptor: consuming FileDescriptor, loop: EventLoop, security: Security?) {
        socket = AsyncSocket(adopting: descriptor, loop: loop)
        session = security.map { TLSSession(server: $0.context, engine: $0.engine) }
    }

    /// What a handshake came to.
    enum Greeting { case ready, speaksPlainHTTP, failed }
    /// Why TLS failed; `nil` where it was the socket, or nothing.
    var tlsFailure: TLSFailure? { session?.failure }
    /// Of a unix socket, the user at its other end.
    var peerUserID: Int? { socket.peerUserID }

    /// To be called first. At once ready without TLS.
    func greet(deadline: MonotonicTime) async -> Greeting {
        guard let session else { return .ready }
        do throws(SocketFailure) {
            return try await socket.perform(deadline: deadline) { (channel) throws(SocketFailure) in
                switch session.handshake(channel) {
                case .done: return .done(.ready)
                case .blocked(let wantsWritable): return .blocked(wantsWritable ? .writable : .readable)
                case .failed(let failure):
                    guard failure.reason == .plainHTTP else { return .done(.failed) }
                    self.session = nil
                    return .done(.speaksPlainHTTP)
                }
            }
        } catch {
            return .failed
        }
    }

    /// At least one byte into `start..<end` of `buffer`; 0 means that the peer has sent its last byte.
    func receive(
        into buffer: Buffer, _ start: Int, _ end: Int, deadline: MonotonicTime
    ) async throws(SocketFailure) -> Int {
        guard let session else { return try await socket.receive(into: buffer, start, end, deadline: deadline) }
        return try await socket.perform(deadline: deadline) { (channel) throws(SocketFailure) in
            let result = session.receive(channel, into: buffer, start, end)
            if let code = result.failure { throw .system(SystemError(call: "recv", code: code)) }
            // Bytes of ours may be in the way of an answer to the client's.
            guard result.isBlocked else { return .done(result.count) }
            return .blocked(session.hasUnsent ? [.readable, .writable] : .readable)
        }
    }

    /// All of `bytes`.
    func send(_ bytes: [UInt8], deadline: MonotonicTime) async throws(SocketFailure) {
        guard let session else { return try await socket.send(bytes, deadline: deadline) }
        let buffer = socket.loop.takeLargeBuffer()
        defer { socket.loop.releaseBuffer(buffer) }
        var sent = 0
        while sent < bytes.count {
            let count = min(bytes.count - sent, buffer.capacity)
            buffer.write(bytes.span.extracting(sent..<sent + count), at: 0)
            try await send(buffer, count, session, deadline: deadline)
            sent += count
        }
    }

    /// The first `count` bytes of `buffer`, until the kernel has all of their records.
    private func send(
        _ buffer: Buffer, _ count: Int, _ session: TLSSession, deadline: MonotonicTime
    ) async throws(SocketFailure) {
        var taken = 0
        try await socket.perform(deadline: deadline) { (channel) throws(SocketFailure) -> AsyncSocket.Step<Void> in
            if session.hasUnsent {
                switch session.flush(channel) {
                case .done: break
                case .blocked: return .blocked(.writable)
                case .failed: throw .system(SystemError(call: "send", code: Errno.connectionReset))
                }
            }
            if taken < count {
                let result = session.send(channel, buffer, taken, count)
                if let code = result.failure { throw .system(SystemError(call: "send", code: code)) }
                taken += result.count
            }
            return taken == count && !session.hasUnsent ? .done(()) : .blocked(.writable)
        }
    }

    /// Says that this was all: close_notify and FIN. Receiving goes on.
    func shutdownWrite() {
        sayGoodbye()
        socket.shutdownWrite()
    }

    /// Closes after a goodbye; a waiting task gets `.closed`. Idempotent.
    func close() {
        sayGoodbye()
        cut()
    }

    /// Closes without a word: with TLS, the peer can tell that something is missing.
    func cut() { socket.close() }

    /// Closes with RST.
    func reset() { socket.reset() }

    private func sayGoodbye() {
        guard let session else { return }
        socket.withChannel { session.sendCloseNotify($0) }
    }
}
