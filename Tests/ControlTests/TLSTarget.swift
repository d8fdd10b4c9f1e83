import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseTLS

/// A target on a loop that speaks TLS, and misbehaves where a test says so.
final class TLSTarget: Channel {
    enum Manners: Sendable {
        /// Answers each connection's first bytes, and ends.
        case answers(String)
        /// The same, but ends without saying so in TLS.
        case answersAndCuts(String)
        /// Does the handshake and says no more.
        case shakesHandsOnly
        /// Takes what comes and says nothing.
        case silent
        /// Answers in plain text.
        case plain(String)
        /// Closes when the hello has come.
        case closes
    }

    let port: UInt16
    /// What clients asked for by SNI, in order; `nil` is nothing.
    fileprivate(set) var askedNames: [String?] = []
    /// Protocols that were agreed on.
    fileprivate(set) var protocols: [TLSSession.ApplicationProtocol] = []
    /// Whether each session resumed another.
    fileprivate(set) var resumed: [Bool] = []
    fileprivate let manners: Manners
    fileprivate let context: TLSServerContext
    fileprivate let engine: TLSEngine

    init(
        _ manners: Manners, _ certificate: Certificate, alpn: ALPNPolicy = .http2Preferred, loop: EventLoop
    ) throws {
        self.manners = manners
        context = try TLSServerContext(
            policy: .intermediate, alpn: alpn, certificates: CertificateStore([certificate]), tickets: TicketKeys(),
            scope: "target")
        engine = TLSEngine(loop: loop)
        let socket = try Sockets.listen(on: .ip(IPAddress(v4: 0x7F00_0001), port: 0), sharesPort: false)
        port = Sockets.localAddress(of: socket.number)!.port
        super.init(loop: loop)
        open(socket)
        watch(.readable)
    }

    override func ready(_ readiness: Readiness) {
        while case .accepted(let accepted) = loop.accept(from: self) {
            _ = TLSTargetConnection(FileDescriptor(adopting: accepted.descriptor), of: self)
        }
    }
}

private final class TLSTargetConnection: Channel {
    private let target: TLSTarget
    private let session: TLSSession
    private var isEstablished = false

    init(_ socket: consuming FileDescriptor, of target: TLSTarget) {
        self.target = target
        session = TLSSession(server: target.context, engine: target.engine)
        super.init(loop: target.loop)
        open(socket)
        watch([.readable, .writable])
    }

    override func ready(_ readiness: Readiness) {
        switch target.manners {
        case .answers, .answersAndCuts, .shakesHandsOnly: serve()
        case .silent, .plain, .closes: misbehave()
        }
    }

    private func serve() {
        if !isEstablished {
            switch session.handshake(self) {
            case .blocked: return
            case .failed: return end()
            case .done: isEstablished = true
            }
            target.askedNames.append(session.serverName)
            target.protocols.append(session.applicationProtocol)
            target.resumed.append(session.wasResumed)
        }
        let buffer = loop.takeLargeBuffer()
        defer { loop.releaseBuffer(buffer) }
        while isOpen {
            let result = session.receive(self, into: buffer, 0, buffer.capacity)
            if result.isEndOfStream || result.failure != nil { return end() }
            if result.count > 0 { answer(buffer) }
            if !session.mayHaveMore { return }
        }
    }

    private func answer(_ buffer: Buffer) {
        let (text, isOrderly): (String, Bool)
        switch target.manners {
        case .answers(let answer): (text, isOrderly) = (answer, true)
        case .answersAndCuts(let answer): (text, isOrderly) = (answer, false)
        case .shakesHandsOnly:
            // The ticket waits for an answer to go with, and holds a buffer meanwhile.
            _ = session.flush(self)
            return
        case .silent, .plain, .closes: return
        }
        let bytes = Array(text.utf8)
        buffer.write(bytes.span, at: 0)
        // In small records: a probe must not depend on getting all at once.
        for start in stride(from: 0, to: bytes.count, by: 1000) {
            _ = session.send(self, buffer, start, min(start + 1000, bytes.count))
        }
        if isOrderly { session.sendCloseNotify(self) }
        shutdownWrite()
    }

    private func misbehave() {
        let buffer = loop.takeStandardBuffer()
        defer { loop.releaseBuffer(buffer) }
        let result = receive(into: buffer, 0, buffer.capacity)
        if result.isEndOfStream || result.failure != nil { return end() }
        guard result.count > 0 else { return }
        switch target.manners {
        case .closes: end()
        case .plain(let text):
            _ = send(Array(text.utf8).span)
            shutdownWrite()
        case .answers, .answersAndCuts, .shakesHandsOnly, .silent: break
        }
    }

    private func end() {
        session.free()
        close()
    }
}
