import COpenSSL
import PoiseLoop
import PoiseModel
import Testing

@testable import PoiseTLS

@Suite("Certificates from files' bytes")
struct CertificateTests {
    private static let root = TestAuthority("root")
    private static let middle = TestAuthority("middle", issuer: root)
    private static let now = TestAuthority.now

    private func problems(
        _ certificate: [UInt8], _ key: [UInt8]?, passphrase: String? = nil, ocsp: [UInt8]? = nil, now: Int64 = now
    ) -> [CertificateProblem.Kind] {
        let input = CertificateLoader.Input(
            certificate: certificate, key: key, passphrase: passphrase.map { Array($0.utf8) }, ocspResponse: ocsp)
        let output = CertificateLoader.load(input, now: now)
        #expect((output.certificate == nil) == output.problems.contains { !$0.isWarning })
        #expect(output.problems.allSatisfy { !$0.description.isEmpty })
        return output.problems.map(\.kind)
    }

    @Test("loads chain and key from two files or one bundle, plain or encrypted, in old and new forms")
    func loads() {
        for kind in [TestAuthority.Kind.ecdsa, .rsa] {
            for traditional in [false, true] {
                let plain = Self.middle.issue("DNS:a.test", kind, traditional: traditional)
                let chain = plain.certificate + Self.middle.pem + Self.root.pem
                #expect(problems(chain, plain.key) == [])
                #expect(problems(chain + plain.key, nil) == [])
                #expect(problems(plain.key + chain, nil) == [])
                let locked = Self.middle.issue("DNS:a.test", kind, passphrase: "open sesame", traditional: traditional)
                #expect(problems(locked.certificate, locked.key, passphrase: "open sesame") == [])
                #expect(problems(locked.certificate, locked.key, passphrase: "wrong") == [.passphraseWrong])
                #expect(problems(locked.certificate, locked.key, passphrase: "") == [.passphraseWrong])
                #expect(problems(locked.certificate, locked.key) == [.passphraseMissing])
            }
        }
    }

    @Test("says what is wrong")
    func problemsAreTyped() {
        let one = Self.middle.issue("DNS:a.test")
        let other = Self.middle.issue("DNS:b.test")
        let rest = Self.middle.pem
        func text(_ text: String) -> [UInt8] { Array(text.utf8) }
        let damaged = text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        #expect(problems([], one.key) == [.noCertificate])
        #expect(problems(text("hello"), one.key) == [.noCertificate])
        #expect(problems(one.key, one.key) == [.noCertificate])
        #expect(problems(one.certificate, nil) == [.noKey])
        #expect(problems(one.certificate, text("hello")) == [.noKey])
        #expect(problems(damaged, one.key) == [.unreadableCertificate(index: 0)])
        #expect(problems(one.certificate + damaged, one.key) == [.unreadableCertificate(index: 1)])
        #expect(
            problems(one.certificate, text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
                == [.unreadableKey])
        #expect(problems(one.certificate, other.key) == [.keyMismatch])
        #expect(problems(rest + one.certificate, other.key) == [.keyMismatch])
        #expect(problems(rest + one.certificate, one.key) == [.leafNotFirst(index: 1)])
        #expect(problems(Self.root.pem + rest + one.certificate, one.key) == [.leafNotFirst(index: 2)])
        #expect(problems(one.certificate + Self.root.pem, one.key) == [.chainOrder(index: 0)])
        #expect(problems(one.certificate + rest + other.certificate, one.key) == [.chainOrder(index: 1)])
        let weak = Self.middle.issue("DNS:a.test", .rsa, bits: 1024)
        #expect(problems(weak.certificate, weak.key) == [.weakKey])
        #expect(problems(one.certificate, one.key, ocsp: [1, 2, 3]) == [.ocspUnreadable])
        // Responder's "try later" is a response, but nothing to staple. RFC 6960 §4.2.1
        #expect(problems(one.certificate, one.key, ocsp: [0x30, 0x03, 0x0A, 0x01, 0x03]) == [.ocspUnreadable])
    }

    @Test("tells the line of a PEM block that is damaged, whatever stands around it")
    func damagedBlocks() {
        let one = Self.middle.issue("DNS:a.test")
        func lines(_ bytes: [UInt8]) -> Int { bytes.count { $0 == 0x0A } }
        /// With a character that is none of base64 in its second line.
        func broken(_ bytes: [UInt8]) -> [UInt8] {
            var bytes = bytes
            bytes[bytes.firstIndex(of: 0x0A)! + 10] = 0x21
            return bytes
        }
        let comment = Array("Of -----BEGIN CERTIFICATE-----\nas it came\n".utf8)
        let ofLeaf = { CertificateProblem.Kind.unreadableBlock(line: $0, ofKey: false) }
        let ofKey = { CertificateProblem.Kind.unreadableBlock(line: $0, ofKey: true) }
        #expect(problems(broken(one.certificate), one.key) == [ofLeaf(1)])
        #expect(problems(comment + broken(one.certificate), one.key) == [ofLeaf(3)])
        #expect(
            problems(one.certificate + broken(Self.middle.pem), one.key) == [ofLeaf(lines(one.certificate) + 1)])
        #expect(problems(Array(one.certificate.dropLast(30)), one.key) == [ofLeaf(1)])
        #expect(problems(one.certificate, broken(one.key)) == [ofKey(1)])
        #expect(problems(one.certificate, comment + one.key.dropLast(20)) == [ofKey(3)])
        #expect(problems(one.certificate + comment, one.key) == [])
    }

    @Test(
        "takes ECDSA keys on the curves of TLS and no others",
        arguments: [
            ("P-256", true), ("P-384", true), ("P-521", true), ("P-224", false), ("secp256k1", false),
            ("brainpoolP256r1", false),
        ])
    func curves(name: String, isUsable: Bool) throws {
        let key = try unsafe #require(poise_ec_key_new(name))
        let made = unsafe Self.middle.issue("DNS:a.test", key: key)
        let found = problems(made.certificate, made.key)
        #expect(found == (isUsable ? [] : [.unusableCurve(name: name == "P-224" ? "secp224r1" : name)]))
    }

    @Test("an issuer of many is in memory once, and no longer than one of them")
    func sharesIssuers() throws {
        func load(_ pair: (certificate: [UInt8], key: [UInt8]), _ chain: [UInt8]) throws -> Certificate {
            let output = CertificateLoader.load(
                .init(certificate: pair.certificate + chain, key: pair.key), now: Self.now)
            return try #require(output.certificate)
        }
        let above = TestAuthority("above", issuer: Self.root)
        let chain = above.pem + Self.root.pem
        weak var gone: SharedIssuer?
        do {
            let (one, two) = (
                try load(above.issue("DNS:a.test"), chain), try load(above.issue("DNS:b.test"), above.pem)
            )
            #expect(one.issuers.count == 2 && two.issuers.count == 1)
            #expect(one.issuers[0] === two.issuers[0])
            #expect(unsafe poise_x509_stack_at(one.chain, 0) == poise_x509_stack_at(two.chain, 0))
            let namesake = TestAuthority("above", issuer: Self.root)
            #expect(try load(namesake.issue("DNS:c.test"), namesake.pem).issuers[0] !== one.issuers[0])
            gone = one.issuers[0]
        }
        #expect(gone == nil)
        #expect(try load(above.issue("DNS:d.test"), above.pem).issuers.count == 1)
    }

    @Test("warns of what still works")
    func warnings() {
        let nameless = Self.middle.issue("")
        #expect(problems(nameless.certificate, nameless.key) == [.noNames])
        let short = Self.middle.issue("DNS:a.test", valid: -100..<100)
        #expect(problems(short.certificate, short.key) == [])
        guard case .expired(let since)? = problems(short.certificate, short.key, now: Self.now + 200).first,
            case .notYetValid(let until)? = problems(short.certificate, short.key, now: Self.now - 200).first
        else {
            Issue.record("not warned")
            return
        }
        // The certificate was made a moment after the suite's `now` was read.
        #expect((100...160).contains(since - Self.now) && (-100 ... -40).contains(until - Self.now))
    }

    @Test("tells names, kind of key, subject and fingerprint")
    func facts() {
        let certificate = Self.middle.load("DNS:A.test,DNS:*.b.test,IP:10.0.0.1,IP:2001:db8::1", .rsa)
        #expect(certificate.names == ["a.test", "*.b.test", "10.0.0.1", "2001:db8::1"])
        #expect(certificate.keyKind == .rsa(bits: 2048) && certificate.subject == "/CN=leaf")
        #expect(certificate.fingerprint.count == 64 && certificate.fingerprint.allSatisfy(\.isHexDigit))
        #expect(certificate.notAfter - certificate.notBefore == 90_000)
    }

    @Test("uses a certificate again whose bytes are the same, and only then")
    func reuses() throws {
        let (one, two) = (Self.middle.issue("DNS:a.test"), Self.middle.issue("DNS:a.test"))
        let input = CertificateLoader.Input(certificate: one.certificate, key: one.key)
        let first = try #require(CertificateLoader.load(input, now: Self.now).certificate)
        let store = CertificateStore([first])
        #expect(CertificateLoader.load(input, now: Self.now, reusing: store).certificate === first)
        let late = CertificateLoader.load(input, now: Self.now + 1_000_000, reusing: store)
        #expect(late.certificate === first && late.problems.count == 1)
        let renewed = CertificateLoader.Input(certificate: two.certificate, key: two.key)
        #expect(CertificateLoader.load(renewed, now: Self.now, reusing: store).certificate !== first)
    }

    @Test("loads many in several threads, in their order", arguments: [0, 3])
    func many(threads: Int) {
        var inputs = (0..<50).map { number in
            let made = Self.root.issue("DNS:h\(number).test")
            return CertificateLoader.Input(certificate: made.certificate, key: made.key)
        }
        inputs[17].certificate = []
        let outputs = CertificateLoader.load(inputs, now: Self.now, threads: threads)
        for (number, output) in outputs.enumerated() {
            #expect(output.certificate?.names == (number == 17 ? nil : ["h\(number).test"]))
        }
    }

    @Test("a self-signed one serves localhost and its loopback addresses for 30 days")
    func selfSigned() throws {
        let made = try SelfSigned.make(now: Self.now)
        #expect(made.names == ["localhost", "*.localhost", "127.0.0.1", "::1"])
        #expect(made.notAfter - Self.now == 30 * 86_400 && made.keyKind == .ecdsa(bits: 256))
        let client = try TLSClientContext(
            policy: .modern, verification: .authorities(unsafe TestAuthority.pem(of: made.leaf)), protocols: [])
        let pair = Pair(
            try SessionTests.server(certificates: [made]), client,
            peer: TLSPeer(serverName: "localhost", expectedName: .address(IPAddress(v4: 0x7F00_0001))))
        pair.handshake()
        #expect(pair.isDone)
    }
}

@Suite("The certificate that a client is shown")
struct StoreTests {
    private static let authority = SessionTests.authority
    /// In the order of the configuration.
    private static let certificates = [
        authority.load("DNS:default.test,DNS:also.default.test"),
        authority.load("DNS:shop.test,DNS:*.shop.test"),
        authority.load("DNS:shop.test", .rsa),
        authority.load("DNS:deep.one.shop.test", .rsa),
        authority.load("DNS:api.shop.test"),
    ]

    @Test(
        "is found by exact name, then by a wildcard of one label, else it is the first",
        arguments: [
            (nil, 0), ("default.test", 0), ("also.default.test", 0), ("unknown.test", 0), ("test", 0),
            ("shop.test", 1), ("SHOP.Test", 1), ("www.shop.test", 1), ("a.b.shop.test", 0), ("api.shop.test", 4),
            ("deep.one.shop.test", 3), ("other.one.shop.test", 0), ("xshop.test", 0), (".shop.test", 0),
            ("shop.test.", 1), ("www.SHOP.test.", 1), ("api.shop.test..", 0), (".", 0),
        ] as [(String?, Int)])
    func found(name: String?, index: Int) throws {
        let server = try SessionTests.server(certificates: Self.certificates)
        let client = try TLSClientContext(policy: .intermediate, verification: .off, protocols: [])
        let pair = Pair(server, client, peer: TLSPeer(serverName: name, expectedName: .name("x")))
        pair.handshake()
        #expect(pair.isDone)
        // The shown certificate itself, as the client got it.
        let shown = unsafe SSL_get1_peer_certificate(pair.client.ssl)!
        defer { unsafe X509_free(shown) }
        #expect(unsafe X509Facts.fingerprint(of: shown) == Self.certificates[index].fingerprint)
        #expect(pair.server.certificateChoice == server.certificates.choice(forHost: name ?? ""))
    }

    @Test("is never one that others before it have all names and the kind of key of")
    func hidden() {
        let all = [
            Self.authority.load("DNS:a.test,DNS:b.test"), Self.authority.load("DNS:a.test"),
            Self.authority.load("DNS:a.test", .rsa), Self.authority.load("DNS:b.test,DNS:c.test"),
            Self.authority.load("DNS:c.test,DNS:b.test"), Self.authority.load(""),
            Self.authority.load("DNS:a.test", .rsa),
        ]
        let found = CertificateStore(all).hidden
        #expect(found.map(\.index) == [1, 4, 6] && found.map(\.behind) == [0, 3, 2])
        #expect(CertificateStore(Self.certificates).hidden == [])
    }

    @Test("says which hosts belong on a connection: those that it is shown for too")
    func holds() throws {
        let (ecdsa, rsa) = (
            Self.authority.load("DNS:e.test,DNS:f.test"), Self.authority.load("DNS:e.test,DNS:g.test", .rsa)
        )
        let server = try SessionTests.server(certificates: [Self.certificates[0], ecdsa, rsa])
        for (signatures, hosts) in [
            ("ecdsa_secp256r1_sha256", ["e.test", "E.test.", "f.test"]),
            ("rsa_pss_rsae_sha256", ["e.test", "E.test.", "g.test"]),
        ] {
            let client = try TLSClientContext(policy: .modern, verification: .off, protocols: [])
            #expect(unsafe poise_ssl_ctx_set_signatures(client.context.raw, signatures) == 1)
            let slot = ResumptionSlot()
            for isResumed in [false, true] {
                let peer = TLSPeer(serverName: "e.test", expectedName: .name("x"), resumption: slot)
                let pair = Pair(server, client, peer: peer)
                pair.handshake()
                _ = pair.transfer([1], from: pair.serverEnd, to: pair.clientEnd, pieces: [1])
                #expect(pair.server.wasResumed == isResumed)
                // Which of the two it was that a resumed session began with is not told: those of both alone.
                let held = isResumed ? Array(hosts.prefix(2)) : hosts
                for host in ["e.test", "E.test.", "f.test", "g.test", "default.test", "unknown.test"] {
                    #expect(pair.server.holds(forHost: host) == held.contains(host), "\(signatures) \(host)")
                }
            }
        }
    }

    @Test(
        "is the ECDSA one of a pair unless the client cannot use it",
        arguments: [
            (
                "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256",
                "ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256", 1
            ),
            ("ECDHE-RSA-AES128-GCM-SHA256", "ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256", 2),
            ("ECDHE-ECDSA-AES128-GCM-SHA256", "ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256", 1),
        ])
    func pairs(ciphers: String, signatures: String, index: Int) throws {
        for version in [SecurityPolicy.Version.tls12, .tls13] {
            let policy = SecurityPolicy(
                "client", version...version, ciphers: ciphers.split(separator: ":").map(String.init),
                suites: SecurityPolicy.intermediate.suites, groups: ["P-256"], prefersServerOrder: false)
            let client = try TLSClientContext(policy: policy, verification: .off, protocols: [])
            // TLS 1.3's suites say nothing of keys: there the signature algorithms decide.
            let isRSA = index == 2
            let wanted = version == .tls13 && isRSA ? "rsa_pss_rsae_sha256" : signatures
            #expect(unsafe poise_ssl_ctx_set_signatures(client.context.raw, wanted) == 1)
            let pair = Pair(
                try SessionTests.server(certificates: Self.certificates), client,
                peer: TLSPeer(serverName: "shop.test", expectedName: .name("x")))
            pair.handshake()
            #expect(pair.isDone)
            let shown = unsafe SSL_get1_peer_certificate(pair.client.ssl)!
            defer { unsafe X509_free(shown) }
            #expect(unsafe X509Facts.fingerprint(of: shown) == Self.certificates[index].fingerprint)
        }
    }
}
