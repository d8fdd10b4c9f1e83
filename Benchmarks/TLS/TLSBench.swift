import Glibc
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseTLS

/// What TLS costs without a network: `swift run -c release tls-bench idle|handshake|data|certificates [count]`.
///
/// `handshake` and `data` are to be counted with `valgrind --tool=callgrind`, as the difference of two counts.
@main
enum TLSBench {
    static func main() throws {
        let arguments = CommandLine.arguments
        let mode = arguments.count > 1 ? arguments[1] : "idle"
        let count = arguments.count > 2 ? Int(arguments[2]) ?? 2000 : 2000
        if mode == "idle" || mode == "certificates" { CountedMemory.install() }
        switch mode {
        case "idle": try idle(count)
        case "handshake": try handshakes(count, version: .tls13)
        case "handshake12": try handshakes(count, version: .tls12)
        case "data": try data(count)
        case "certificates": try certificates(count)
        default: print("idle, handshake, handshake12, data or certificates")
        }
    }

    /// One connection's two ends.
    private final class Pair {
        let server: (session: TLSSession, channel: Channel)
        let client: (session: TLSSession, channel: Channel)

        init(_ engine: TLSEngine, _ serverContext: TLSServerContext, _ clientContext: TLSClientContext) {
            var pair: [CInt] = [-1, -1]
            let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
            precondition(unsafe socketpair(AF_UNIX, type, 0, &pair) == 0)
            let (one, other) = (Channel(loop: engine.loop), Channel(loop: engine.loop))
            one.open(FileDescriptor(adopting: pair[0]))
            other.open(FileDescriptor(adopting: pair[1]))
            let peer = TLSPeer(serverName: "localhost", expectedName: .name("localhost"))
            server = (TLSSession(server: serverContext, engine: engine), one)
            client = (TLSSession(client: clientContext, peer: peer, engine: engine), other)
            var isDone = (false, false)
            while !(isDone.0 && isDone.1) {
                if !isDone.1, case .done = client.session.handshake(other) {
                    isDone.1 = true
                    _ = client.session.flush(other)
                }
                if !isDone.0, case .done = server.session.handshake(one) { isDone.0 = true }
            }
        }

        func close() {
            server.channel.close()
            client.channel.close()
            server.session.free()
            client.session.free()
        }
    }

    private static func contexts(
        _ version: SecurityPolicy.Version = .tls13
    ) throws -> (TLSServerContext, TLSClientContext) {
        let certificate = try SelfSigned.make(now: Int64(time(nil)))
        let base = SecurityPolicy.intermediate
        let policy = SecurityPolicy(
            "bench", version...version, ciphers: base.ciphers, suites: base.suites, groups: base.groups,
            prefersServerOrder: false)
        let server = try TLSServerContext(
            policy: policy, alpn: .http2Preferred, certificates: CertificateStore([certificate]), tickets: TicketKeys(),
            scope: "bench")
        return (server, try TLSClientContext(policy: base, verification: .off, protocols: [.http2, .http11]))
    }

    private static func exchange(_ pair: Pair, _ buffer: Buffer, request: Int, answer: Int) {
        _ = pair.client.session.send(pair.client.channel, buffer, 0, request)
        var got = 0
        while got < request {
            got += pair.server.session.receive(pair.server.channel, into: buffer, 0, buffer.capacity).count
        }
        _ = pair.server.session.send(pair.server.channel, buffer, 0, answer)
        got = 0
        while got < answer {
            got += pair.client.session.receive(pair.client.channel, into: buffer, 0, buffer.capacity).count
        }
    }

    /// Heap of an idle server session that has carried a request; the clients' share is taken by freeing them.
    private static func idle(_ count: Int) throws {
        for version in [SecurityPolicy.Version.tls13, .tls12] {
            let (server, client) = try contexts(version)
            let engine = TLSEngine(loop: EventLoop())
            let buffer = engine.loop.takeLargeBuffer()
            let warm = Pair(engine, server, client)
            exchange(warm, buffer, request: 400, answer: 1000)
            warm.close()
            let before = CountedMemory.bytes
            let sizes = unsafe CountedMemory.live
            var pairs: [Pair] = []
            for _ in 0..<count {
                let pair = Pair(engine, server, client)
                exchange(pair, buffer, request: 400, answer: 1000)
                pair.client.session.free()
                pairs.append(pair)
            }
            print("\(version): \((CountedMemory.bytes - before) / count) bytes of OpenSSL's per idle server session")
            for (size, live) in unsafe CountedMemory.live.sorted(by: { $0.key < $1.key }) {
                let each = Double(live - sizes[size, default: 0]) / Double(count)
                if each > 0.5 { print("  \(size) bytes: \(each)") }
            }
            print("  buffers held: \(engine.loop.buffers.outstanding - 1)")
            for pair in pairs { pair.close() }
        }
    }

    private static func handshakes(_ count: Int, version: SecurityPolicy.Version) throws {
        let (server, client) = try contexts(version)
        let engine = TLSEngine(loop: EventLoop())
        let start = Clock.monotonic
        for _ in 0..<count { Pair(engine, server, client).close() }
        print("\((Clock.monotonic - start).count / Int64(count) / 1000) us per handshake, both sides")
    }

    private static func data(_ count: Int) throws {
        let (server, client) = try contexts()
        let engine = TLSEngine(loop: EventLoop())
        let pair = Pair(engine, server, client)
        let buffer = engine.loop.takeLargeBuffer()
        let start = Clock.monotonic
        for _ in 0..<count { exchange(pair, buffer, request: 400, answer: 1000) }
        print("\((Clock.monotonic - start).count / Int64(count)) ns per exchange, both sides")
        pair.close()
    }

    /// From memory: what a disk costs is not counted.
    private static func certificates(_ count: Int) throws {
        let inputs = try BenchCertificates.make(count)
        let before = CountedMemory.bytes
        let start = Clock.monotonic
        let loaded = inputs.map { CertificateLoader.load($0, now: Int64(time(nil))).certificate! }
        let middle = Clock.monotonic
        let store = CertificateStore(loaded)
        let end = Clock.monotonic
        print("\(count) certificates: loaded in \((middle - start).count / 1_000_000) ms, indexed in")
        print("  \((end - middle).count / 1_000_000) ms, \((CountedMemory.bytes - before) / count) bytes of OpenSSL's each")
        let again = Clock.monotonic
        let reused = inputs.map { CertificateLoader.load($0, now: Int64(time(nil)), reusing: store).certificate! }
        let rebuilt = CertificateStore(reused)
        print("  reused by content in \((Clock.monotonic - again).count / 1_000_000) ms")
        precondition(rebuilt.certificates.count == store.certificates.count)
    }
}
