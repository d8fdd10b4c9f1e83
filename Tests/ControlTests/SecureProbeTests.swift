import PoiseHealth
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseProxy
import PoiseTLS
import Testing

@testable import PoiseControl

@Suite("Probes over TLS")
struct SecureProbeTests {
    enum Shown: Sendable { case good, expired, notYetValid, selfSigned }

    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var kind: HealthCheck.Kind = https()
        var manners = TLSTarget.Manners.answers(fine)
        var shows = Shown.good
        var alpn = ALPNPolicy.http2Preferred
        var verification = Verification.authority
        var name: String? = "target.test"
        var offer = TLSSession.ApplicationProtocol.http11
        var outcome: ProbeResult.Outcome
        /// How the evidence begins.
        var evidence: String
    }

    enum Verification: Sendable { case authority, stranger, off }

    private static func https(_ change: (inout HTTPProbe) -> Void = { _ in }) -> HealthCheck.Kind {
        var probe = HTTPProbe()
        probe.isSecure = true
        change(&probe)
        return .http(probe)
    }

    private static let fine = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhealthy"
    private static let long = "HTTP/1.1 200 OK\r\n\r\n" + String(repeating: "x", count: 60_000) + "healthy"

    static let rows = [
        Row(testDescription: "HTTPS", outcome: .succeeded, evidence: "status 200"),
        Row(testDescription: "TLS", kind: .tls, outcome: .succeeded, evidence: "TLS handshake done"),
        Row(
            testDescription: "TLS asks for no answer", kind: .tls, manners: .shakesHandsOnly, outcome: .succeeded,
            evidence: "TLS handshake done"),
        Row(
            testDescription: "another status",
            manners: .answers("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"), outcome: .failed(.responseMismatch),
            evidence: "status 503"),
        Row(
            testDescription: "a text behind many records", kind: https { $0.bodyContains = "healthy" },
            manners: .answers(long), outcome: .succeeded, evidence: "status 200"),
        Row(
            testDescription: "an end that TLS does not confirm", kind: https { $0.bodyContains = "sound" },
            manners: .answersAndCuts(long), outcome: .failed(.malformedResponse), evidence: "closed before the answer"),
        Row(
            testDescription: "a request longer than a buffer",
            kind: https {
                $0.headers = (0..<6).map { .init(name: "X-\($0)", value: String(repeating: "v", count: 8000)) }
            },
            outcome: .succeeded, evidence: "status 200"),
        Row(testDescription: "by its address", name: nil, outcome: .succeeded, evidence: "status 200"),
        Row(
            testDescription: "another name", name: "other.test", outcome: .failed(.certificateNameMismatch),
            evidence: "TLS: certificate_name_mismatch (certificate verify failed)"),
        Row(
            testDescription: "another address", name: "127.0.0.2", outcome: .failed(.certificateNameMismatch),
            evidence: "TLS: certificate_name_mismatch"),
        Row(
            testDescription: "expired", kind: .tls, shows: .expired, outcome: .failed(.certificateExpired),
            evidence: "TLS: certificate_expired (certificate verify failed)"),
        Row(
            testDescription: "expired, HTTPS", shows: .expired, outcome: .failed(.certificateExpired),
            evidence: "TLS: certificate_expired"),
        Row(
            testDescription: "not yet valid", shows: .notYetValid, outcome: .failed(.certificateNotYetValid),
            evidence: "TLS: certificate_not_yet_valid"),
        Row(
            testDescription: "issued by somebody else", kind: .tls, verification: .stranger,
            outcome: .failed(.certificateUnknownAuthority), evidence: "TLS: certificate_unknown_authority"),
        Row(
            testDescription: "issued by itself", shows: .selfSigned, name: "localhost",
            outcome: .failed(.certificateSelfSigned), evidence: "TLS: certificate_self_signed"),
        Row(
            testDescription: "nothing is verified", shows: .expired, verification: .off, name: "other.test",
            outcome: .succeeded, evidence: "status 200"),
        Row(
            testDescription: "never a word", manners: .silent, outcome: .failed(.timeout),
            evidence: "TLS: no handshake"),
        Row(
            testDescription: "never a word, TLS", kind: .tls, manners: .silent, outcome: .failed(.timeout),
            evidence: "TLS: no handshake"),
        Row(
            testDescription: "no word after the handshake", manners: .shakesHandsOnly, outcome: .failed(.timeout),
            evidence: "no answer"),
        Row(
            testDescription: "plain HTTP", manners: .plain("HTTP/1.1 400 Bad Request\r\n\r\n"),
            outcome: .failed(.tlsFailed), evidence: "TLS: not_tls"),
        Row(
            testDescription: "closed in the handshake", manners: .closes, outcome: .failed(.tlsFailed),
            evidence: "TLS: peer_closed"),
        Row(
            testDescription: "a target of HTTP/2 alone", alpn: .http2Only, outcome: .failed(.tlsFailed),
            evidence: "TLS: no_application_protocol"),
        Row(
            testDescription: "HTTP/2 wanted and there", kind: .tls, offer: .http2, outcome: .succeeded,
            evidence: "TLS handshake done"),
        Row(
            testDescription: "HTTP/2 wanted and refused", kind: .tls, alpn: .http1Only, offer: .http2,
            outcome: .failed(.tlsFailed), evidence: "TLS: no_application_protocol"),
        Row(
            testDescription: "HTTP/2 wanted and passed over", kind: .tls, alpn: .none, offer: .http2,
            outcome: .failed(.tlsFailed), evidence: "TLS: the target did not agree to h2"),
        Row(testDescription: "without ALPN", alpn: .none, outcome: .succeeded, evidence: "status 200"),
    ]

    @Test("each result names its cause; the second probe says the same as the first", arguments: rows)
    func results(row: Row) throws {
        let loop = EventLoop()
        let target = try TLSTarget(row.manners, try Self.certificate(row.shows), alpn: row.alpn, loop: loop)
        defer { target.close() }
        let tls = try Self.tls(row.verification, name: row.name, offer: row.offer)
        let (results, buffersAtTheEnd) = Self.run(row.kind, tls, target.port, count: 2, on: loop)
        #expect(results.map(\.outcome) == [row.outcome, row.outcome])
        for result in results {
            #expect(result.evidence.hasPrefix(row.evidence), "\(result.evidence)")
            #expect((result.duration >= Self.timeout) == (row.outcome == .failed(.timeout)))
        }
        #expect(buffersAtTheEnd == 0)
    }

    @Test("SNI is the name and never an address; ALPN offers one protocol; no session is resumed")
    func hello() throws {
        for (name, offer) in [("target.test", TLSSession.ApplicationProtocol.http11), (nil, .http2)] {
            let loop = EventLoop()
            let target = try TLSTarget(.answers(Self.fine), TestCertificates.shared.good, loop: loop)
            defer { target.close() }
            let kind = offer == .http2 ? HealthCheck.Kind.tls : Self.https()
            let results = Self.run(
                kind, try Self.tls(.authority, name: name, offer: offer), target.port, count: 3, on: loop
            )
            .results
            #expect(results.map(\.outcome) == [.succeeded, .succeeded, .succeeded])
            // The last session may end at the client before the target has heard of it.
            #expect(target.askedNames.count >= 2 && target.askedNames.allSatisfy { $0 == name })
            #expect(target.protocols.allSatisfy { $0 == offer })
            #expect(target.resumed.allSatisfy { !$0 })
        }
    }

    @Test("nobody listens: refused, and no word of TLS")
    func refused() throws {
        let socket = try Sockets.bind(to: .ip(IPAddress(v4: 0x7F00_0001), port: 0), sharesPort: false)
        let port = Sockets.localAddress(of: socket.number)!.port
        let results = Self.run(Self.https(), try Self.tls(.authority), port, count: 1, on: EventLoop()).results
        #expect(results.map(\.outcome) == [.failed(.connectionRefused)])
    }

    @Test("a check over TLS without settings is never made in plain text")
    func withoutSettings() throws {
        let loop = EventLoop()
        let target = try TLSTarget(.plain(Self.fine), TestCertificates.shared.good, loop: loop)
        defer { target.close() }
        let results = Self.run(Self.https(), nil, target.port, count: 1, on: loop).results
        #expect(results.map(\.outcome) == [.failed(.connectionFailed)])
    }

    @Test("one address is one check for those whose settings, name and protocol are the same")
    func identity() throws {
        let address = SocketAddress.ip(IPAddress(v4: 1), port: 443)
        let tls = try Self.tls(.authority)
        func spec(_ kind: HealthCheck.Kind, _ tls: ProbeTLS?) -> ProbeSpec {
            ProbeSpec(address, Self.check(kind), hostHeader: "target.test", tls: tls)
        }
        #expect(spec(.tls, tls) == spec(.tls, tls))
        #expect(spec(.tls, tls) != spec(.tls, try Self.tls(.authority)), "another context")
        #expect(spec(.tls, tls) != spec(.tls, ProbeTLS(tls.context, Self.name("other.test"), offer: .http11)))
        #expect(spec(.tls, tls) != spec(.tls, ProbeTLS(tls.context, tls.name, offer: .http2)))
        #expect(spec(.tls, tls) != spec(Self.https(), tls))
    }

    @Test("a group's probes take its settings, offer what its version is, and change with its certificates")
    func engine() throws {
        let prober = NotingProber()
        let engine = HealthEngine(prober: prober, random: { 0 }, order: { _ in }, observe: { _ in })
        let target = CompiledTarget(
            address: .ip(IPAddress(v4: 1), port: 443), settings: Target(address: .ip(IPAddress(v4: 1), port: 443)),
            label: "a", hostHeader: "target.test", tlsName: Self.name("target.test"), identity: 1,
            counters: CounterBlock(workers: 1, width: TargetCounter.width), limit: nil)
        func adopt(_ context: TLSClientContext?, _ kind: HealthCheck.Kind, _ version: TargetGroup.HTTPVersion) {
            var settings = group("a", [target.settings])
            settings.healthCheck = Self.check(kind)
            (settings.version, settings.tls) = (version, TargetTLS())
            let compiled = CompiledGroup(
                slot: 0, settings: settings, targets: [target], tls: context,
                counters: CounterBlock(workers: 1, width: GroupCounter.width), totalTime: Histogram(workers: 1),
                targetTime: Histogram(workers: 1), queue: nil)
            _ = engine.adopt(ProxySnapshot(generation: 1, listeners: [], groups: [compiled]), at: .zero)
        }
        func tls() -> ProbeTLS? { engine.target("a", in: "a")?.checks.first?.spec.tls }
        let (first, second) = (try Self.tls(.authority).context, try Self.tls(.authority).context)
        adopt(first, .tls, .http1)
        #expect(tls() == ProbeTLS(first, Self.name("target.test"), offer: .http11))
        adopt(first, .tls, .http2)
        #expect(tls() == ProbeTLS(first, Self.name("target.test"), offer: .http2))
        adopt(first, Self.https(), .http1)
        #expect(tls() == ProbeTLS(first, Self.name("target.test"), offer: .http11))
        adopt(first, Self.https(), .http2)
        #expect(tls() == ProbeTLS(first, Self.name("target.test"), offer: .http2))
        #expect(engine.target("a", in: "a")?.checks.first?.spec.usesHTTP2 == true)
        let record = engine.target("a", in: "a")?.checks.first
        adopt(second, Self.https(), .http2)
        #expect(tls()?.context === second && engine.target("a", in: "a")?.checks.first !== record)
        adopt(second, .tcp, .http2)
        #expect(tls() == nil)
    }

    // MARK: Running

    private final class NotingProber: Probing {
        func begin(_ check: CheckRecord) {}
        func hurry(_ check: CheckRecord) {}
        func end(_ check: CheckRecord) {}
    }

    private static let timeout = Nanoseconds.seconds(1)

    private static func certificate(_ shown: Shown) throws -> Certificate {
        switch shown {
        case .good: TestCertificates.shared.good
        case .expired: TestCertificates.shared.expired
        case .notYetValid: TestCertificates.shared.notYetValid
        case .selfSigned: try SelfSigned.make(now: Clock.wall / 1_000_000_000)
        }
    }

    private static func name(_ name: String?) -> TLSName {
        var settings = TargetTLS()
        settings.name = name
        return TLSName(settings, for: .ip(IPAddress(v4: 0x7F00_0001), port: 443))
    }

    private static func tls(
        _ verification: Verification, name: String? = "target.test", offer: TLSSession.ApplicationProtocol = .http11
    ) throws -> ProbeTLS {
        let verification: TLSClientContext.Verification =
            switch verification {
            case .authority: .authorities(TestCertificates.shared.authority)
            case .stranger: .authorities(TestCertificates.shared.stranger)
            case .off: .off
            }
        let context = try TLSClientContext(
            policy: .intermediate, verification: verification, protocols: [.http2, .http11])
        return ProbeTLS(context, self.name(name), offer: offer)
    }

    private static func check(_ kind: HealthCheck.Kind) -> HealthCheck {
        var check = HealthCheck()
        check.kind = kind
        (check.interval, check.edgeInterval, check.timeout) = (.milliseconds(1), .milliseconds(1), timeout)
        return check
    }

    /// - Returns: the results, and how many buffers the prober kept.
    private static func run(
        _ kind: HealthCheck.Kind, _ tls: ProbeTLS?, _ port: UInt16, count: Int, on loop: EventLoop
    ) -> (results: [ProbeResult], buffers: Int) {
        let prober = Prober(loop: loop)
        let check = check(kind)
        let record = CheckRecord(
            ProbeSpec(.ip(IPAddress(v4: 0x7F00_0001), port: port), check, hostHeader: "target.test", tls: tls),
            ActiveCheck(policy: ProbePolicy(check), arrival: .withGroup, at: loop.now))
        var results: [ProbeResult] = []
        prober.report = { check, result, now in
            results.append(result)
            // The next one is never due once there are enough.
            _ = check.state.probeSucceeded(at: results.count < count ? now : now + .seconds(3600), random: 0)
            if results.count == count { loop.stop() }
        }
        prober.begin(record)
        loop.run()
        prober.end(record)
        #expect(prober.running == 0)
        return (results, loop.buffers.outstanding)
    }
}
