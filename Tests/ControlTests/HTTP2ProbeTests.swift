import Foundation
import PoiseHTTP
import PoiseHealth
import PoiseLoop
import PoiseModel
import PoisePlatform
import Testing

@testable import PoiseControl

@Suite("Probes over HTTP/2")
struct HTTP2ProbeTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var steps: [HTTP2Target.Step]
        var greets = true
        var kind: HealthCheck.Kind = http()
        var outcome: ProbeResult.Outcome
        var detail: ProbeResult.Detail
        /// How the connection ends: with RST where the answer came whole; `nil` where the target may see either.
        var end: CInt?
    }

    private static func http(_ change: (inout HTTPProbe) -> Void = { _ in }) -> HealthCheck.Kind {
        var probe = HTTPProbe()
        change(&probe)
        return .http(probe)
    }

    private static let seeks = http { $0.bodyContains = "healthy" }
    private static let fine = HTTP2Target.Step.head("HTTP/1.1 200 OK\r\n\r\n")
    private static let whole = Errno.connectionReset

    static let rows = [
        Row(
            testDescription: "a head alone", steps: [.head("HTTP/1.1 204 \r\n\r\n", ends: true)], outcome: .succeeded,
            detail: .status(204), end: whole),
        Row(
            testDescription: "an interim answer before",
            steps: [.head("HTTP/1.1 103 \r\nlink: </a>\r\n\r\n"), fine, .content("healthy")], outcome: .succeeded,
            detail: .status(200), end: whole),
        Row(
            testDescription: "another status", steps: [.head("HTTP/1.1 503 \r\n\r\n", ends: true)],
            outcome: .failed(.responseMismatch), detail: .status(503), end: whole),
        Row(
            testDescription: "the text over two frames", steps: [fine, .content("heal", ends: false), .content("thy")],
            kind: seeks, outcome: .succeeded, detail: .status(200), end: whole),
        Row(
            testDescription: "the text at the end of 64 KiB, behind a whole window",
            steps: [fine, .content(filler: 65_529, "healthy")], kind: seeks, outcome: .succeeded, detail: .status(200),
            end: whole),
        Row(
            testDescription: "the text behind 64 KiB", steps: [fine, .content(filler: 65_530, "healthy")], kind: seeks,
            outcome: .failed(.bodyMismatch), detail: .body(status: 200), end: whole),
        Row(
            testDescription: "the text is missing, and trailers come",
            steps: [fine, .content("sound", ends: false), .trailers("x-sum: healthy\r\n")], kind: seeks,
            outcome: .failed(.bodyMismatch), detail: .body(status: 200), end: whole),
        Row(
            testDescription: "more content than is read behind a verdict", steps: [fine, .content(filler: 200_000)],
            outcome: .succeeded, detail: .status(200), end: nil),
        Row(
            testDescription: "HEAD", steps: [.head("HTTP/1.1 200 \r\ncontent-length: 7\r\n\r\n", ends: true)],
            kind: http { $0.method = "HEAD" }, outcome: .succeeded, detail: .status(200), end: whole),
        Row(
            testDescription: "fields of 24 KB",
            steps: [.head("HTTP/1.1 204 \r\n\r\n", ends: true)],
            kind: http {
                $0.headers = (0..<3).map { .init(name: "X-\($0)", value: String(repeating: "v", count: 8000)) }
            },
            outcome: .succeeded, detail: .status(204), end: whole),
        Row(
            testDescription: "GOAWAY that lets the request through",
            steps: [.goAway(.noError), fine, .content("healthy")], kind: seeks, outcome: .succeeded,
            detail: .status(200), end: whole),
        Row(
            testDescription: "GOAWAY that does not", steps: [.raw(frame(7, [0, 0, 0, 0, 0, 0, 0, 11]))],
            outcome: .failed(.connectionFailed), detail: .goAway(.enhanceYourCalm), end: 0),
        Row(
            testDescription: "GOAWAY, and closed without an answer", steps: [.goAway(.internalError), .finish],
            outcome: .failed(.connectionFailed), detail: .goAway(.internalError), end: 0),
        Row(
            testDescription: "reset", steps: [.reset(.refusedStream)], outcome: .failed(.connectionFailed),
            detail: .streamReset(.refusedStream), end: 0),
        Row(
            testDescription: "reset in the content",
            steps: [fine, .content("heal", ends: false), .reset(.internalError)],
            kind: seeks, outcome: .failed(.connectionFailed), detail: .streamReset(.internalError), end: 0),
        Row(
            testDescription: "content that is shorter than announced",
            steps: [.head("HTTP/1.1 200 \r\ncontent-length: 9\r\n\r\n"), .content("heal")], kind: seeks,
            outcome: .failed(.malformedResponse), detail: .http2(.contentLengthMismatch), end: 0),
        Row(
            testDescription: "a window that overflows", steps: [.raw(frame(8, [0x7F, 0xFF, 0xFF, 0xFF]))],
            outcome: .failed(.malformedResponse), detail: .http2(.windowOverflow), end: 0),
        Row(
            testDescription: "a head that is too large",
            steps: [
                .head(
                    "HTTP/1.1 200 \r\n\(String(repeating: "x: \(String(repeating: "y", count: 999))\r\n", count: 20))\r\n"
                )
            ],
            outcome: .failed(.malformedResponse), detail: .http2(.headTooLarge), end: 0),
        Row(
            testDescription: "another frame before SETTINGS", steps: [.raw(frame(6, Array(repeating: 0, count: 8)))],
            greets: false, outcome: .failed(.malformedResponse), detail: .http2(.settingsMissing), end: 0),
        Row(
            testDescription: "an answer in HTTP/1.1",
            steps: [.raw(Array("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".utf8))], greets: false,
            outcome: .failed(.malformedResponse), detail: .onlyHTTP1, end: 0),
        Row(
            testDescription: "closed without an answer", steps: [.finish], outcome: .failed(.connectionFailed),
            detail: .closedEarly, end: 0),
        Row(
            testDescription: "closed in the content", steps: [fine, .content("heal", ends: false), .finish],
            kind: seeks,
            outcome: .failed(.malformedResponse), detail: .closedEarly, end: 0),
        Row(
            testDescription: "no answer", steps: [], outcome: .failed(.timeout), detail: .noAnswer, end: 0),
        Row(
            testDescription: "never a word", steps: [], greets: false, outcome: .failed(.timeout), detail: .noAnswer,
            end: 0),
    ]

    @Test("each result names its cause; the second probe says the same as the first", arguments: rows)
    func results(row: Row) throws {
        let loop = EventLoop()
        let target = try HTTP2Target(row.steps, greets: row.greets, loop: loop)
        defer { target.close() }
        let results = run(row.kind, target, on: loop)
        #expect(results.map(\.outcome) == [row.outcome, row.outcome])
        #expect(results.map(\.detail) == [row.detail, row.detail])
        let isTimeout = row.outcome == .failed(.timeout)
        #expect(results.allSatisfy { ($0.duration >= Self.timeout) == isTimeout })
        #expect(target.ends.count == 2 && target.ends.allSatisfy { $0 == row.end ?? $0 })
        #expect(loop.buffers.outstanding == 0)
    }

    @Test("the request is the same as over HTTP/1.1, without fields of the connection; GOAWAY follows the answer")
    func request() throws {
        let loop = EventLoop()
        let target = try HTTP2Target([.head("HTTP/1.1 200 \r\n\r\n", ends: true)], loop: loop)
        defer { target.close() }
        let kind = Self.http {
            $0.path = "/up?a=b"
            $0.headers = [.init(name: "X-Probe", value: "1")]
        }
        _ = run(kind, target, on: loop)
        #expect(
            target.heads.first
                == "GET /up?a=b HTTP/1.1\r\nHost: shop.test\r\nuser-agent: Poise-HealthChecker/1\r\naccept: */*\r\n"
                + "x-probe: 1\r\n\r\n")
        #expect(target.goAways == [.noError, .noError] && target.resets == [])
    }

    @Test("a request that is not answered in time is taken back")
    func cancelled() throws {
        let loop = EventLoop()
        let target = try HTTP2Target([], loop: loop)
        defer { target.close() }
        _ = run(Self.http(), target, on: loop)
        #expect(target.resets == [.cancel, .cancel] && target.goAways == [.noError, .noError])
    }

    @Test(
        "the evidence is in words",
        arguments: [
            (.onlyHTTP1, "HTTP/2: the target answers in HTTP/1 after 2 ms"),
            (.http2(.settingsMissing), "HTTP/2: settings_missing after 2 ms"),
            (.streamReset(.refusedStream), "HTTP/2: the target reset the stream: refused_stream after 2 ms"),
            (.goAway(.enhanceYourCalm), "HTTP/2: the target sent GOAWAY: enhance_your_calm after 2 ms"),
        ] as [(ProbeResult.Detail, String)])
    func evidence(detail: ProbeResult.Detail, words: String) {
        let result = ProbeResult(.failed(.malformedResponse), detail, startedAt: .zero, duration: .milliseconds(2))
        #expect(result.evidence == words)
    }

    @Test("the version tells checks apart that send a request, and no others")
    func identity() {
        func spec(_ kind: HealthCheck.Kind, _ version: TargetGroup.HTTPVersion) -> ProbeSpec {
            ProbeSpec(.ip(IPAddress(v4: 1), port: 80), Self.check(kind), hostHeader: "a", version: version)
        }
        #expect(spec(Self.http(), .http1) != spec(Self.http(), .http2))
        #expect(spec(.tcp, .http1) == spec(.tcp, .http2))
        #expect(spec(Self.http(), .http2).usesHTTP2 && !spec(.tcp, .http2).usesHTTP2)
    }

    // MARK: Running

    /// Sanitized binaries are several times slower.
    private static let timeout = Nanoseconds.milliseconds(
        200 * (ProcessInfo.processInfo.environment["POISE_SLOW"].flatMap { Int64($0) } ?? 1))

    private static func frame(_ type: UInt8, _ payload: [UInt8]) -> [UInt8] {
        [0, 0, UInt8(payload.count), type, 0, 0, 0, 0, 0] + payload
    }

    private static func check(_ kind: HealthCheck.Kind) -> HealthCheck {
        var check = HealthCheck()
        check.kind = kind
        (check.interval, check.edgeInterval, check.timeout) = (.milliseconds(1), .milliseconds(1), timeout)
        return check
    }

    /// - Returns: the results of two probes, once the target has seen the end of both.
    private func run(_ kind: HealthCheck.Kind, _ target: HTTP2Target, on loop: EventLoop) -> [ProbeResult] {
        let prober = Prober(loop: loop)
        let check = Self.check(kind)
        let record = CheckRecord(
            ProbeSpec(
                .ip(IPAddress(v4: 0x7F00_0001), port: target.port), check, hostHeader: "shop.test", version: .http2),
            ActiveCheck(policy: ProbePolicy(check), arrival: .withGroup, at: loop.now))
        var results: [ProbeResult] = []
        prober.report = { check, result, now in
            results.append(result)
            _ = check.state.probeSucceeded(at: results.count < 2 ? now : now + .seconds(3600), random: 0)
        }
        loop.endOfWakeUp = { if target.ends.count == 2 { loop.stop() } }
        prober.begin(record)
        loop.run()
        prober.end(record)
        #expect(prober.running == 0)
        return results
    }
}
