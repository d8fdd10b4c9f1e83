import Glibc
import PoiseHTTP
import PoiseHTTPService
import PoiseLoop
import PoiseModel
import PoisePlatform
import Testing

@Suite("The probe")
struct ProbeTests {
    private static let request = HTTPClientRequest(target: "/health", host: "x")

    /// One probe's outcome.
    private static func run(_ plan: ProbePlan, timeout: Nanoseconds = .seconds(10), loop: EventLoop) async
        -> ProbeOutcome
    {
        await withCheckedContinuation { continuation in
            let probe = Probe(loop: loop, plan: plan) { continuation.resume(returning: $0) }
            if let outcome = probe.start(timeout: timeout) { continuation.resume(returning: outcome) }
        }
    }

    private static func plan(_ address: SocketAddress, body: Int = 0) -> ProbePlan {
        ProbePlan(sending: request, to: address, bodyBytesMax: body)!
    }

    @Test(
        "tells status and as much content as was asked for",
        arguments: [
            (["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"], 0, 200, ""),
            (["HTTP/1.1 503 No\r\nContent-", "Length: 5\r\n\r\nhello"], 0, 503, ""),
            (["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", "llo"], 100, 200, "hello"),
            (["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", "llo"], 3, 200, "hel"),
            (
                ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r", "\nhe\r\n3\r\nllo\r\n0\r\n", "\r\n"], 9,
                200, "hello"
            ),
            (["HTTP/1.0 200 OK\r\n\r\nhe", "llo"], 100, 200, "hello"),
            (["HTTP/1.1 204 No Content\r\n\r\n"], 100, 204, ""),
            (["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"], 0, 200, ""),
        ] as [([String], Int, Int, String)])
    func responds(script: [String], bodyBytesMax: Int, status: Int, body: String) async throws {
        try await onLoop { loop in
            let server = try ScriptedServer(script, loop: loop)
            #expect(
                await Self.run(Self.plan(server.address, body: bodyBytesMax), loop: loop)
                    == .response(status: status, body: Array(body.utf8)))
        }
    }

    @Test(
        "says what went wrong and where",
        arguments: [
            ([], .close, .cut(.waiting)), ([], .reset, .cut(.waiting)), ([], .keepOpen, .timeout(.waiting)),
            (["HTTP/1.1 2"], .close, .cut(.waiting)), (["HTTP/1.1 2"], .keepOpen, .timeout(.waiting)),
            (["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"], .close, .cut(.receiving)),
            (["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"], .keepOpen, .timeout(.receiving)),
            (["220 mail.test ESMTP\r\n"], .keepOpen, .malformed(.badStatusLine)),
            (["<endless head>"], .keepOpen, .malformed(.headTooLarge)),
        ] as [([String], ScriptedServer.End, HTTPClientFailure)])
    func fails(script: [String], end: ScriptedServer.End, failure: HTTPClientFailure) async throws {
        try await onLoop { loop in
            let server = try ScriptedServer(script, end: end, loop: loop)
            let timeout: Nanoseconds = if case .timeout = failure { .milliseconds(40) } else { .seconds(10) }
            #expect(
                await Self.run(Self.plan(server.address, body: 100), timeout: timeout, loop: loop) == .failed(failure))
        }
    }

    @Test("connecting alone is enough where nothing is to be sent; a refusal carries its errno")
    func connects() async throws {
        try await onLoop { loop in
            let server = try ScriptedServer([], end: .keepOpen, loop: loop)
            #expect(await Self.run(ProbePlan(connectingTo: server.address), loop: loop) == .connected)
            let closed = SocketAddress.ip(loopback, port: try closedPort())
            for plan in [ProbePlan(connectingTo: closed), Self.plan(closed)] {
                guard case .failed(.connect(let error)) = await Self.run(plan, loop: loop) else {
                    Issue.record("connected to nobody")
                    continue
                }
                #expect(error.code == ECONNREFUSED)
            }
            guard
                case .failed(.connect(let error)) = await Self.run(Self.plan(.unix(path: "/nonexistent/s")), loop: loop)
            else {
                Issue.record("connected to nothing")
                return
            }
            #expect(error.code == ENOENT)
        }
    }

    @Test("serves again and again, also when started from its own end, and gives everything back")
    func reuse() async throws {
        try await onLoop { loop in
            let server = try ScriptedServer(["HTTP/1.1 200 OK\r\n", "\r\nhello"], loop: loop)
            let plan = Self.plan(server.address, body: 100)
            var outcomes: [ProbeOutcome] = []
            await withCheckedContinuation { continuation in
                var probe: Probe?
                probe = Probe(loop: loop, plan: plan) { outcome in
                    outcomes.append(outcome)
                    if outcomes.count < 20, let first = probe!.start(timeout: .seconds(10)) { outcomes.append(first) }
                    if outcomes.count == 20 {
                        probe = nil
                        continuation.resume()
                    }
                }
                #expect(probe!.start(timeout: .seconds(10)) == nil)
            }
            #expect(outcomes == Array(repeating: .response(status: 200, body: Array("hello".utf8)), count: 20))
            #expect(await givesBuffersBack(loop))
        }
    }

    @Test("a stall of our own loop is not held against the target", arguments: [true, false])
    func stall(sendsContent: Bool) async throws {
        try await onLoop { loop in
            // The deadline lies in the stall; the target needs another wake-up of this very loop to answer.
            let script = ["HTTP/1.1 200 OK\r\n", sendsContent ? "Content-Length: 2\r\n\r\nok" : "\r\n"]
            let server = try ScriptedServer(script, loop: loop)
            let outcome: ProbeOutcome = await withCheckedContinuation { continuation in
                let probe = Probe(loop: loop, plan: Self.plan(server.address, body: sendsContent ? 2 : 0)) {
                    continuation.resume(returning: $0)
                }
                #expect(probe.start(timeout: .milliseconds(20)) == nil)
                let until = Clock.monotonic + .milliseconds(200)
                while Clock.monotonic < until {}
            }
            #expect(outcome == .response(status: 200, body: sendsContent ? Array("ok".utf8) : []))
        }
    }

    @Test("cancelled, it tells nothing and holds nothing")
    func cancels() async throws {
        try await onLoop { loop in
            let server = try ScriptedServer(["HTTP/1.1 2"], end: .keepOpen, loop: loop)
            var outcomes: [ProbeOutcome] = []
            let probe = Probe(loop: loop, plan: Self.plan(server.address)) { outcomes.append($0) }
            // With the deadline ahead, and then in the middle of an answer.
            #expect(probe.start(timeout: .milliseconds(20)) == nil && probe.isRunning)
            probe.cancel()
            #expect(!probe.isRunning && !probe.isOpen)
            try await loop.sleep(for: .milliseconds(50))
            #expect(probe.start(timeout: .seconds(10)) == nil)
            try await loop.sleep(for: .milliseconds(10))
            probe.cancel()
            #expect(await givesBuffersBack(loop))
            #expect(outcomes.isEmpty)
        }
    }
}
