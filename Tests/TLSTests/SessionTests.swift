import Glibc
import PoiseLoop
import PoiseModel
import Testing

@testable import PoiseTLS

@Suite("TLS sessions over a loop's channels")
struct SessionTests {
    static let authority = TestAuthority("test root")
    static let certificate = authority.load("DNS:shop.test,DNS:*.shop.test,IP:127.0.0.1")
    static var peer: TLSPeer { TLSPeer(serverName: "shop.test", expectedName: .name("shop.test")) }

    static func policy(_ version: SecurityPolicy.Version) -> SecurityPolicy {
        let base = SecurityPolicy.intermediate
        return SecurityPolicy(
            "only \(version)", version...version, ciphers: base.ciphers, suites: base.suites, groups: base.groups,
            prefersServerOrder: false)
    }

    static func server(
        _ policy: SecurityPolicy = .intermediate, alpn: ALPNPolicy = .http2Preferred,
        certificates: [Certificate] = [certificate], tickets: TicketKeys = TicketKeys(), scope: String = "web"
    ) throws -> TLSServerContext {
        try TLSServerContext(
            policy: policy, alpn: alpn, certificates: CertificateStore(certificates), tickets: tickets, scope: scope)
    }

    static func client(
        _ policy: SecurityPolicy = .intermediate, protocols: [TLSSession.ApplicationProtocol] = [.http2, .http11]
    ) throws -> TLSClientContext {
        try TLSClientContext(policy: policy, verification: .authorities(authority.pem), protocols: protocols)
    }

    @Test("shake hands and agree on version, cipher and protocol", arguments: [SecurityPolicy.Version.tls12, .tls13])
    func handshake(version: SecurityPolicy.Version) throws {
        let pair = Pair(try Self.server(Self.policy(version)), try Self.client(), peer: Self.peer)
        pair.handshake()
        #expect(pair.isDone)
        for session in [pair.server, pair.client] {
            #expect("\(session.versionName)" == (version == .tls13 ? "TLSv1.3" : "TLSv1.2"))
            #expect(session.cipherName.hasPrefix(version == .tls13 ? "TLS_AES_" : "ECDHE-ECDSA-AES"))
            #expect(session.applicationProtocol == .http2)
            #expect(!session.wasResumed)
        }
        #expect(pair.server.serverName == "shop.test")
    }

    @Test("hold no buffer when nothing is on its way", arguments: [SecurityPolicy.Version.tls12, .tls13])
    func idleHoldsNothing(version: SecurityPolicy.Version) throws {
        let pair = Pair(try Self.server(Self.policy(version)), try Self.client(), peer: Self.peer)
        pair.handshake()
        let bytes: [UInt8] = Array("GET / HTTP/1.1\r\n\r\n".utf8)
        #expect(pair.transfer(bytes, from: pair.clientEnd, to: pair.serverEnd, pieces: [5]) == bytes)
        #expect(pair.transfer(bytes, from: pair.serverEnd, to: pair.clientEnd, pieces: [5]) == bytes)
        #expect(pair.loop.buffers.outstanding == 0)
    }

    @Test(
        "carry bytes of every size both ways, through kernel buffers large and small",
        arguments: [SecurityPolicy.Version.tls12, .tls13],
        [1, 2, 100, 16_383, 16_384, 16_385, 33_000, 245_761, 1 << 20])
    func carries(version: SecurityPolicy.Version, size: Int) throws {
        for sendBytes: CInt? in [nil, 4096] {
            let pair = Pair(
                try Self.server(Self.policy(version)), try Self.client(), peer: Self.peer, sendBytes: sendBytes)
            pair.handshake()
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
            for (source, sink) in [(pair.clientEnd, pair.serverEnd), (pair.serverEnd, pair.clientEnd)] {
                for room in [1000, 200_000] {
                    #expect(pair.transfer(bytes, from: source, to: sink, pieces: [262_144], room: room) == bytes)
                }
                #expect(pair.transfer(bytes, from: source, to: sink, pieces: [1, 16_385, 700]) == bytes)
            }
            #expect(pair.loop.buffers.outstanding == 0)
        }
    }

    @Test(
        "send two ranges as one",
        arguments: [(1, 1), (300, 1024), (16_383, 1), (16_384, 10), (300, 240_000), (20_000, 100)])
    func twoRanges(first: Int, second: Int) throws {
        let pair = Pair(try Self.server(), try Self.client(), peer: Self.peer, sendBytes: 1 << 20)
        pair.handshake()
        let (a, b, input) = (pair.loop.takeLargeBuffer(), pair.loop.takeLargeBuffer(), pair.loop.takeLargeBuffer())
        for index in 0..<first { a[index] = UInt8(truncatingIfNeeded: index) }
        for index in 0..<second { b[index + 7] = UInt8(truncatingIfNeeded: index &* 3) }
        let sent = pair.server.send(pair.serverChannel, a, 0, first, then: b, 7, 7 + second)
        #expect(sent.count == first + second)
        var got = 0
        while got < first + second {
            let received = pair.client.receive(pair.clientChannel, into: input, got, input.capacity)
            _ = pair.server.flush(pair.serverChannel)
            #expect(received.failure == nil && !received.isEndOfStream)
            got += received.count
        }
        #expect((0..<first).allSatisfy { input[$0] == UInt8(truncatingIfNeeded: $0) })
        #expect((0..<second).allSatisfy { input[first + $0] == UInt8(truncatingIfNeeded: $0 &* 3) })
        for buffer in [a, b, input] { pair.loop.releaseBuffer(buffer) }
        #expect(pair.loop.buffers.outstanding == 0)
    }

    @Test("tell a said end from a cut one", arguments: [true, false])
    func ends(said: Bool) throws {
        let pair = Pair(try Self.server(), try Self.client(), peer: Self.peer)
        pair.handshake()
        let buffer = pair.loop.takeStandardBuffer()
        #expect(pair.client.receive(pair.clientChannel, into: buffer, 0, 100).isBlocked)
        if said { pair.server.sendCloseNotify(pair.serverChannel) }
        pair.serverChannel.shutdownWrite()
        #expect(pair.client.receive(pair.clientChannel, into: buffer, 0, 100).isEndOfStream)
        #expect(pair.client.isTruncated == !said)
        pair.loop.releaseBuffer(buffer)
    }
}
