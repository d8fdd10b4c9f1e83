import Glibc
import PoiseLoop
import PoiseModel
import Testing

@testable import PoiseTLS

@Suite("TLS failures have reasons")
struct FailureTests {
    typealias Sessions = SessionTests

    private func failing(
        _ certificate: Certificate, verification: TLSClientContext.Verification? = nil,
        expected: TLSPeer.ExpectedName = .name("shop.test")
    ) throws -> Pair {
        let client = try TLSClientContext(
            policy: .intermediate, verification: verification ?? .authorities(Sessions.authority.pem), protocols: [])
        let peer = TLSPeer(serverName: "shop.test", expectedName: expected)
        let pair = Pair(try Sessions.server(certificates: [certificate]), client, peer: peer)
        pair.handshake()
        return pair
    }

    @Test("a target that cannot prove who it is")
    func verification() throws {
        let authority = Sessions.authority
        let good = authority.load("DNS:shop.test,IP:127.0.0.1")
        let stranger = TestAuthority("stranger")
        let (now, day) = (TestAuthority.now, Int64(86_400))
        let cases: [(Certificate, TLSClientContext.Verification?, TLSPeer.ExpectedName, TLSFailure.Reason?)] = [
            (good, nil, .name("shop.test"), nil),
            (good, nil, .name("SHOP.test"), nil),
            (good, nil, .address(IPAddress(v4: 0x7F00_0001)), nil),
            (good, nil, .name("other.test"), .certificateNameMismatch),
            (good, nil, .address(IPAddress(v4: 0x7F00_0002)), .certificateNameMismatch),
            (good, .authorities(stranger.pem), .name("shop.test"), .certificateUnknownAuthority),
            (good, .system, .name("shop.test"), .certificateUnknownAuthority),
            (good, .off, .name("other.test"), nil),
            (authority.load("DNS:shop.test", valid: -2 * day..<(-day)), nil, .name("shop.test"), .certificateExpired),
            (authority.load("DNS:shop.test", valid: day..<2 * day), nil, .name("shop.test"), .certificateNotYetValid),
            (try SelfSigned.make(now: now), nil, .name("localhost"), .certificateSelfSigned),
        ]
        for (number, (certificate, verification, expected, reason)) in cases.enumerated() {
            let pair = try failing(certificate, verification: verification, expected: expected)
            #expect(pair.clientFailure == reason, "case \(number)")
            // The other side learns it by an alert.
            #expect(pair.serverFailure == (reason == nil ? nil : .ourCertificateRefused), "case \(number)")
        }
    }

    @Test("no version, cipher or protocol in common")
    func nothingInCommon() throws {
        let (v12, v13) = (Sessions.policy(.tls12), Sessions.policy(.tls13))
        let versions = Pair(try Sessions.server(v13), try Sessions.client(v12), peer: Sessions.peer)
        versions.handshake()
        #expect(versions.serverFailure == .protocolVersion && versions.clientFailure == .protocolVersion)

        func only(_ cipher: String) -> SecurityPolicy {
            SecurityPolicy(
                cipher, .tls12 ... .tls12, ciphers: [cipher], suites: [], groups: ["P-256"], prefersServerOrder: true)
        }
        let ciphers = Pair(
            try Sessions.server(only("ECDHE-ECDSA-AES128-GCM-SHA256")),
            try Sessions.client(only("ECDHE-ECDSA-AES256-GCM-SHA384")), peer: Sessions.peer)
        ciphers.handshake()
        #expect(ciphers.serverFailure == .noSharedCipher && ciphers.clientFailure == .handshakeFailure)

        let protocols = Pair(
            try Sessions.server(alpn: .http2Only), try Sessions.client(protocols: [.http11]), peer: Sessions.peer)
        protocols.handshake()
        #expect(protocols.serverFailure == .noApplicationProtocol && protocols.clientFailure == .noApplicationProtocol)
    }

    @Test(
        "ALPN's choice is the server's",
        arguments: [
            (ALPNPolicy.http2Preferred, TLSSession.ApplicationProtocol.http2), (.http2Optional, .http11),
            (.http1Only, .http11), (.http2Only, .http2), (.none, .none),
        ])
    func protocols(policy: ALPNPolicy, chosen: TLSSession.ApplicationProtocol) throws {
        for offered in [[TLSSession.ApplicationProtocol.http2, .http11], [.http11, .http2]] {
            let pair = Pair(
                try Sessions.server(alpn: policy), try Sessions.client(protocols: offered), peer: Sessions.peer)
            pair.handshake()
            #expect(pair.server.applicationProtocol == chosen && pair.client.applicationProtocol == chosen)
        }
        // Who offers nothing gets nothing, and is not turned away.
        let pair = Pair(try Sessions.server(alpn: policy), try Sessions.client(protocols: []), peer: Sessions.peer)
        pair.handshake()
        #expect(pair.isDone && pair.server.applicationProtocol == .none)
    }

    @Test(
        "what is no TLS is told from plain HTTP, and only the former is answered with an alert",
        arguments: [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", TLSFailure.Reason.plainHTTP),
            ("POST /x HTTP/1.1\r\n\r\n", .plainHTTP),
            ("HEAD / HTTP/1.0\r\n\r\n", .plainHTTP), ("PUT /x HTTP/1.1\r\n\r\n", .plainHTTP),
            ("CONNECT a:1 HTTP/1.1\r\n\r\n", .plainHTTP),
            ("\u{0}\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}\u{7}\u{8}", .notTLS), ("SSH-2.0-OpenSSH_9.2\r\n", .notTLS),
        ])
    func plain(text: String, reason: TLSFailure.Reason) throws {
        let pair = Pair(try Sessions.server(), try Sessions.client(), peer: Sessions.peer)
        _ = pair.clientChannel.send(Array(text.utf8).span)
        guard case .failed(let failure) = pair.server.handshake(pair.serverChannel) else {
            Issue.record("accepted")
            return
        }
        #expect(failure.reason == reason && failure.description.hasPrefix(reason.rawValue))
        let buffer = pair.loop.takeStandardBuffer()
        if reason == .plainHTTP { #expect(pair.clientChannel.receive(into: buffer, 0, 100).isBlocked) }
        pair.loop.releaseBuffer(buffer)
        #expect(pair.loop.buffers.outstanding == 0)
    }

    @Test("a request behind the beginning of a hello is no plain HTTP: it is answered with an alert")
    func requestBehindRecord() throws {
        let pair = Pair(try Sessions.server(), try Sessions.client(), peer: Sessions.peer)
        // A record with the head of a hello of 200 bytes, and the first two of them.
        _ = pair.clientChannel.send([22, 3, 1, 0, 6, 1, 0, 0, 200, 3, 3].span)
        guard case .blocked(wantsWritable: false) = pair.server.handshake(pair.serverChannel) else {
            Issue.record("does not wait for the rest")
            return
        }
        _ = pair.clientChannel.send(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8).span)
        guard case .failed(let failure) = pair.server.handshake(pair.serverChannel) else {
            Issue.record("accepted")
            return
        }
        #expect(failure.reason == .protocolError)
        let buffer = pair.loop.takeStandardBuffer()
        #expect(pair.clientChannel.receive(into: buffer, 0, 100).count == 7)
        #expect(buffer.bytes(0, 1)[0] == 21)
        pair.loop.releaseBuffer(buffer)
    }

    @Test("what looks like a method behind other bytes is none")
    func methodBehindByte() throws {
        let pair = Pair(try Sessions.server(), try Sessions.client(), peer: Sessions.peer)
        _ = pair.clientChannel.send([0].span)
        guard case .blocked = pair.server.handshake(pair.serverChannel) else {
            Issue.record("does not wait for a record's head")
            return
        }
        _ = pair.clientChannel.send(Array("DELETE / HTTP/1.1\r\n\r\n".utf8).span)
        guard case .failed(let failure) = pair.server.handshake(pair.serverChannel) else {
            Issue.record("accepted")
            return
        }
        #expect(failure.reason == .notTLS)
    }

    @Test("a session without memory has failed from the start, and nothing else is to be had of it")
    func noMemory() throws {
        let loop = EventLoop()
        let session = unsafe TLSSession(nil, server: try Sessions.server(), engine: TLSEngine(loop: loop))
        let channel = Channel(loop: loop)
        guard case .failed(let failure) = session.handshake(channel) else {
            Issue.record("goes on")
            return
        }
        #expect(failure.reason == .noMemory)
        let buffer = loop.takeStandardBuffer()
        #expect(session.receive(channel, into: buffer, 0, 100).failure == EPROTO)
        #expect(session.send(channel, buffer, 0, 100).failure == EPROTO)
        #expect(session.send(channel, buffer, 0, 50, then: buffer, 50, 100).failure == EPROTO)
        #expect(session.flush(channel) == .done && !session.hasUnsent && !session.mayHaveMore)
        #expect(session.serverName == nil && session.cipherName.isEmpty && !session.wasResumed)
        #expect(session.applicationProtocol == .none && session.version == .tls10)
        session.sendCloseNotify(channel)
        session.free()
        loop.releaseBuffer(buffer)
        #expect(loop.buffers.outstanding == 0)
    }

    @Test("a peer that leaves within the handshake, and one that damages a record")
    func leavesAndDamages() throws {
        let left = Pair(try Sessions.server(), try Sessions.client(), peer: Sessions.peer)
        _ = left.client.handshake(left.clientChannel)
        left.clientChannel.close()
        guard case .failed(let failure) = left.server.handshake(left.serverChannel) else {
            Issue.record("goes on")
            return
        }
        #expect(failure.reason == .peerClosed || failure.reason == .socket)

        let damaged = Pair(try Sessions.server(), try Sessions.client(), peer: Sessions.peer)
        damaged.handshake()
        _ = damaged.client.flush(damaged.clientChannel)
        let buffer = damaged.loop.takeStandardBuffer()
        _ = damaged.server.receive(damaged.serverChannel, into: buffer, 0, 100)
        _ = damaged.clientChannel.send(([23, 3, 3, 0, 32] + [UInt8](repeating: 7, count: 32)).span)
        #expect(damaged.server.receive(damaged.serverChannel, into: buffer, 0, 100).failure == EPROTO)
        #expect(damaged.serverFailure == .protocolError)
        damaged.loop.releaseBuffer(buffer)
        #expect(damaged.loop.buffers.outstanding == 0)
    }
}
