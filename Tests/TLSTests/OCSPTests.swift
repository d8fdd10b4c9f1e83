import COpenSSL
import PoiseModel
import PoisePlatform
import Testing

@testable import PoiseTLS

@Suite("OCSP responses, RFC 6960")
struct OCSPTests {
    private static let root = TestAuthority("root")
    private static let middle = TestAuthority("middle", issuer: root)
    private static let now = TestAuthority.now
    private static let week: (Int64, Int64?) = (now - 100, now + 1000)

    private let shop = middle.issue("DNS:shop.test")

    /// What is wrong with a response beside the certificate; the certificate is loaded with and without its issuer.
    private func problem(
        _ response: [UInt8], at time: Int64 = now, withIssuer: Bool = true, of pair: ([UInt8], [UInt8])? = nil
    ) throws -> CertificateProblem.Kind? {
        let (leaf, key) = pair ?? (shop.certificate, shop.key)
        let chain = withIssuer ? leaf + Self.middle.pem : leaf
        let output = CertificateLoader.load(.init(certificate: chain, key: key, ocspResponse: response), now: time)
        let certificate = try #require(output.certificate)
        #expect(output.problems.allSatisfy { $0.isWarning && !$0.description.isEmpty })
        let found = output.problems.first?.kind
        #expect(certificate.ocspProblem(at: time)?.kind == found)
        return found
    }

    @Test(
        "a good one is taken from the issuer and from whom it has entrusted, with and without the issuer in the chain")
    func good() throws {
        for signer in [nil, TestAuthority(responderOf: Self.middle)] {
            let response = try Self.middle.answer(about: shop.certificate, times: Self.week, signer: signer)
            #expect(try problem(response) == nil)
            #expect(try problem(response, withIssuer: false) == nil)
        }
    }

    @Test("what anybody else has signed is refused where the issuer is there to tell")
    func signature() throws {
        for signer in [Self.root, TestAuthority("middle"), TestAuthority(responderOf: Self.root)] {
            let response = try Self.middle.answer(about: shop.certificate, times: Self.week, signer: signer)
            #expect(try problem(response) == .ocspSignature)
        }
        var damaged = try Self.middle.answer(about: shop.certificate, times: Self.week)
        // Within the signature, which the certificate of the signer follows: the last bytes are that one's own.
        let key = try #require(
            Self.place(of: [0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02], in: damaged))
        damaged[key + 24] ^= 1
        #expect(try problem(damaged) == .ocspSignature)
    }

    private static func place(of pattern: [UInt8], in bytes: [UInt8]) -> Int? {
        bytes.indices.first { bytes[$0...].starts(with: pattern) }
    }

    @Test("another certificate of the issuer, and one of the same number by another issuer")
    func other() throws {
        let other = Self.middle.issue("DNS:other.test")
        let response = try Self.middle.answer(about: other.certificate, times: Self.week)
        #expect(try problem(response) == .ocspOfOtherCertificate)
        #expect(try problem(response, withIssuer: false) == .ocspOfOtherCertificate)
        let same = try Self.root.answer(about: shop.certificate, times: Self.week)
        #expect(try problem(same) == .ocspOfOtherCertificate)
        // Only the issuer's key tells: without it, that is left to the client.
        #expect(try problem(same, withIssuer: false) == nil)
    }

    @Test("revoked and unknown are not shown")
    func status() throws {
        for (status, kind) in [
            (V_OCSP_CERTSTATUS_REVOKED, CertificateProblem.Kind.ocspRevoked), (V_OCSP_CERTSTATUS_UNKNOWN, .ocspUnknown),
        ] {
            let response = try Self.middle.answer(about: shop.certificate, status: status, times: Self.week)
            #expect(try problem(response) == kind)
        }
    }

    @Test("it is shown between its two dates; one without an end does not grow old")
    func times() throws {
        let response = try Self.middle.answer(about: shop.certificate, times: (Self.now, Self.now + 50))
        #expect(try problem(response, at: Self.now - 300) == nil)
        #expect(try problem(response, at: Self.now - 301) == .ocspNotYetValid(until: Self.now))
        #expect(try problem(response, at: Self.now + 49) == nil)
        #expect(try problem(response, at: Self.now + 50) == .ocspExpired(since: Self.now + 50))
        let endless = try Self.middle.answer(about: shop.certificate, times: (Self.now, nil))
        #expect(try problem(endless, at: Self.now + 80_000) == nil)
    }

    @Test("handshakes carry it until it runs out")
    func stapling() throws {
        let time = Lock(Self.now)
        let response = try Self.middle.answer(about: shop.certificate, times: (Self.now, Self.now + 50))
        let input = CertificateLoader.Input(
            certificate: shop.certificate + Self.middle.pem, key: shop.key, ocspResponse: response)
        let certificate = try #require(CertificateLoader.load(input, now: Self.now).certificate)
        let server = try TLSServerContext(
            policy: .intermediate, alpn: .none, certificates: CertificateStore([certificate]), tickets: TicketKeys(),
            scope: "l", wall: { time.withLock { $0 } })
        for (later, expected) in [(0, response), (49, response), (50, [])] as [(Int64, [UInt8])] {
            time.withLock { $0 = Self.now + later }
            let client = try TLSClientContext(policy: .intermediate, verification: .off, protocols: [])
            let pair = Pair(server, client, peer: TLSPeer(serverName: "shop.test", expectedName: .name("shop.test")))
            _ = unsafe SSL_ctrl(
                pair.client.ssl, SSL_CTRL_SET_TLSEXT_STATUS_REQ_TYPE, Int(TLSEXT_STATUSTYPE_ocsp), nil)
            pair.handshake()
            #expect(pair.isDone)
            var bytes: UnsafeMutablePointer<UInt8>?
            let count = unsafe SSL_ctrl(pair.client.ssl, SSL_CTRL_GET_TLSEXT_STATUS_REQ_OCSP_RESP, 0, &bytes)
            #expect(unsafe Array(UnsafeBufferPointer(start: bytes, count: max(0, count))) == expected)
        }
    }
}
