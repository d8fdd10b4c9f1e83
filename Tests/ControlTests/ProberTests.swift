import PoiseHealth
import PoiseLoop
import PoiseModel
import PoisePlatform
import Testing

@testable import PoiseControl

@Suite("Probes over real sockets")
struct ProberTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        /// `nil`: accepts and is silent.
        var answer: String?
        var kind: HealthCheck.Kind
        var outcome: ProbeResult.Outcome
        var detail: ProbeResult.Detail
    }

    private static func http(_ change: (inout HTTPProbe) -> Void = { _ in }) -> HealthCheck.Kind {
        var probe = HTTPProbe()
        change(&probe)
        return .http(probe)
    }

    /// The target answers whoever has sent something.
    private static let agent = HealthCheck.Kind.agent(AgentProbe(send: "how\n"))

    private static func said(_ line: String) -> AgentReport {
        let bytes = Array(line.utf8)
        return AgentReport(parsing: bytes.span)
    }

    private static let fine = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhealthy"

    @Test(
        "each result has its state, its reason and what was seen; the second probe says the same as the first",
        arguments: [
            Row(testDescription: "tcp", answer: fine, kind: .tcp, outcome: .succeeded, detail: .connected),
            Row(testDescription: "fine", answer: fine, kind: http(), outcome: .succeeded, detail: .status(200)),
            Row(
                testDescription: "an interim answer before", answer: "HTTP/1.1 103 Early Hints\r\n\r\n\(fine)",
                kind: http(), outcome: .succeeded, detail: .status(200)),
            Row(
                testDescription: "interim answers without an end",
                answer: String(repeating: "HTTP/1.1 103 E\r\n\r\n", count: 3_700), kind: http(),
                outcome: .failed(.malformedResponse), detail: .malformed(.headTooLarge)),
            Row(
                testDescription: "another status", answer: "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", kind: http(),
                outcome: .failed(.responseMismatch), detail: .status(503)),
            Row(
                testDescription: "the text is there", answer: fine, kind: http { $0.bodyContains = "alth" },
                outcome: .succeeded, detail: .status(200)),
            Row(
                testDescription: "the text in chunks",
                answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n5\r\nalthy\r\n0\r\n\r\n",
                kind: http { $0.bodyContains = "healthy" }, outcome: .succeeded, detail: .status(200)),
            Row(
                testDescription: "the text is missing", answer: fine, kind: http { $0.bodyContains = "sound" },
                outcome: .failed(.bodyMismatch), detail: .body(status: 200)),
            Row(
                testDescription: "the text is missing up to the close", answer: "HTTP/1.0 200 OK\r\n\r\nnothing",
                kind: http { $0.bodyContains = "sound" }, outcome: .failed(.bodyMismatch), detail: .body(status: 200)),
            Row(
                testDescription: "not HTTP", answer: "SSH-2.0-x\r\n\r\n", kind: http(),
                outcome: .failed(.malformedResponse), detail: .malformed(.badStatusLine)),
            Row(
                testDescription: "cut in the body", answer: "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhea",
                kind: http { $0.bodyContains = "sound" }, outcome: .failed(.malformedResponse), detail: .closedEarly),
            Row(
                testDescription: "closed without an answer", answer: "", kind: http(),
                outcome: .failed(.connectionFailed), detail: .closedEarly),
            Row(
                testDescription: "the body matches", answer: fine, kind: http { $0.bodyMatches = "^h.*y$" },
                outcome: .succeeded, detail: .status(200)),
            Row(
                testDescription: "the body does not match", answer: fine, kind: http { $0.bodyMatches = "^h$" },
                outcome: .failed(.bodyMismatch), detail: .body(status: 200)),
            Row(
                testDescription: "a script", answer: "+PONG\r\n", kind: .script(ScriptProbe(.redis(password: nil))),
                outcome: .succeeded, detail: .answered),
            Row(
                testDescription: "a script that hears something else", answer: "-ERR\r\n",
                kind: .script(ScriptProbe(.redis(password: nil))), outcome: .failed(.unexpectedAnswer),
                detail: .script(ScriptFinding(.differs, expected: "'+PONG'", answer: Array("-ERR\r\n".utf8)))),
            Row(
                testDescription: "a script that hears the end", answer: "", kind: .script(ScriptProbe(.memcached)),
                outcome: .failed(.connectionFailed),
                detail: .script(ScriptFinding(.closed, expected: "'VERSION'", answer: []))),
            Row(
                testDescription: "silent", answer: nil, kind: http(), outcome: .failed(.timeout), detail: .noAnswer),
            Row(
                testDescription: "an agent", answer: "75% up maxconn:30\r\nand more\n", kind: agent,
                outcome: .succeeded,
                detail: .agent(said("75% up maxconn:30"))),
            Row(
                testDescription: "an agent that says down: what that means is not for here", answer: "down # why\n",
                kind: agent, outcome: .succeeded, detail: .agent(said("down # why"))),
            Row(
                testDescription: "an agent that ends its line by closing", answer: "drain", kind: agent,
                outcome: .succeeded, detail: .agent(said("drain"))),
            Row(
                testDescription: "an agent's longest line", answer: String(repeating: " ", count: 1022) + "up\n",
                kind: agent, outcome: .succeeded, detail: .agent(said("up"))),
            Row(
                testDescription: "an agent's line that is longer", answer: String(repeating: " ", count: 1023) + "up\n",
                kind: agent, outcome: .learntNothing, detail: .endlessLine(1024)),
            Row(
                testDescription: "an agent that closes", answer: "", kind: agent, outcome: .learntNothing,
                detail: .closedEarly),
            Row(
                testDescription: "an agent that is silent", answer: nil, kind: agent, outcome: .learntNothing,
                detail: .noAnswer),
        ])
    func results(row: Row) throws {
        let results = try probe(row.answer, row.kind, count: 2)
        #expect(results.map(\.outcome) == [row.outcome, row.outcome])
        #expect(results.map(\.detail) == [row.detail, row.detail])
        // Only silence waits for the deadline: the events of a second probe arrive as those of the first did.
        let isTimeout = row.detail == .noAnswer
        #expect(results.allSatisfy { ($0.duration >= Self.timeout) == isTimeout })
    }

    @Test("a port without a listener: refused")
    func refused() throws {
        let socket = try Sockets.bind(to: .ip(IPAddress(v4: 0x7F00_0001), port: 0), sharesPort: false)
        let port = Sockets.localAddress(of: socket.number)!.port
        let loop = EventLoop()
        let results = run(Self.check(Self.http()), port, count: 1, on: loop)
        #expect(results.map(\.outcome) == [.failed(.connectionRefused)])
    }

    @Test("more checks than places: all get their turn, never more at once than there are places")
    func places() throws {
        let loop = EventLoop()
        let target = try ScriptedTarget(Self.fine, loop: loop)
        let prober = Prober(loop: loop, runningMax: 3)
        var ended = 0
        var most = 0
        let checks = (0..<20).map { _ in record(Self.check(Self.http()), target.port, loop) }
        prober.report = { check, _, now in
            most = max(most, prober.running)
            ended += 1
            _ = check.state.probeSucceeded(at: now + .seconds(3600), random: 0)
            if ended == checks.count { loop.stop() }
        }
        for check in checks { prober.begin(check) }
        loop.run()
        #expect(ended == 20 && most == 3)
        for check in checks { prober.end(check) }
        target.close()
        #expect(prober.running == 0 && loop.buffers.outstanding == 0)
    }

    @Test(
        "a connection ends by RST once its answer came whole, and in order where it did not",
        arguments: [
            (http(), fine, Errno.connectionReset),
            (http(), "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Errno.connectionReset),
            (http(), "HTTP/1.1 200 OK\r\n\r\nuntil the end", Errno.connectionReset),
            (http(), "SSH-2.0-server\r\n\r\n", 0),
            (http(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n", 0),
            (http(), "HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\nhealthy", 0),
            (http(), nil, 0),
            (.tcp, nil, 0),
            (.script(ScriptProbe(.redis(password: nil))), "+PONG\r\n", Errno.connectionReset),
            (.script(ScriptProbe(.steps([.send("a"), .expect("b")]))), "b", 0),
            (.script(ScriptProbe(.memcached)), "VERSION 1\r\n", 0),
        ] as [(HealthCheck.Kind, String?, CInt)])
    func closing(kind: HealthCheck.Kind, answer: String?, end: CInt) throws {
        let loop = EventLoop()
        let target = try ScriptedTarget(answer, loop: loop)
        let prober = Prober(loop: loop)
        let record = record(Self.check(kind), target.port, loop)
        prober.report = { check, _, now in _ = check.state.probeSucceeded(at: now + .seconds(3600), random: 0) }
        // Looks after each wake-up: the end reaches the target in a later one than its result reaches the prober.
        loop.endOfWakeUp = { if !target.ends.isEmpty { loop.stop() } }
        prober.begin(record)
        loop.run()
        #expect(target.ends.first == end)
        prober.end(record)
        target.close()
    }

    @Test("a connection is kept from probe to probe, and another one made where the target has closed it")
    func reuse() throws {
        let loop = EventLoop()
        let target = try KeepingTarget(Self.fine, loop: loop)
        let results = run(Self.check(Self.http { $0.reusesConnection = true }), target.port, count: 9, on: loop)
        #expect(results.map(\.detail) == Array(repeating: .status(200), count: 9))
        #expect(target.requests == 9 && target.connections == 3)
        #expect(loop.buffers.outstanding == 0)
        target.close()
    }

    @Test("a kept connection whose target is gone proves nothing; the connection that fails then does")
    func reuseOfGone() throws {
        let loop = EventLoop()
        let target = try KeepingTarget(Self.fine, loop: loop)
        let prober = Prober(loop: loop)
        let record = record(Self.check(Self.http { $0.reusesConnection = true }), target.port, loop)
        var results: [ProbeResult] = []
        prober.report = { check, result, now in
            results.append(result)
            _ = check.state.probeSucceeded(at: now, random: 0)
            // Nobody takes new connections from the third probe on; the third still has its connection.
            if results.count == 2 { target.close() }
            if results.count == 4 { loop.stop() }
        }
        prober.begin(record)
        loop.run()
        prober.end(record)
        #expect(results.prefix(3).map(\.detail) == Array(repeating: .status(200), count: 3))
        #expect(results.last?.outcome == .failed(.connectionRefused))
        #expect(prober.running == 0 && loop.buffers.outstanding == 0)
    }

    @Test("kept connections take places, half of them at most, and the checks without one get their turn")
    func keptPlaces() throws {
        let loop = EventLoop()
        let target = try KeepingTarget(Self.fine, loop: loop)
        let prober = Prober(loop: loop, runningMax: 4)
        let checks = (0..<10).map { _ in record(Self.check(Self.http { $0.reusesConnection = true }), target.port, loop)
        }
        var counts = Array(repeating: 0, count: checks.count)
        var (mostKept, most) = (0, 0)
        prober.report = { check, result, now in
            #expect(result.outcome == .succeeded)
            counts[checks.firstIndex { $0 === check }!] += 1
            _ = check.state.probeSucceeded(at: now, random: 0)
            if counts.allSatisfy({ $0 >= 4 }) { loop.stop() }
        }
        loop.endOfWakeUp = {
            mostKept = max(mostKept, prober.kept)
            most = max(most, prober.kept + prober.running)
        }
        for check in checks { prober.begin(check) }
        loop.run()
        #expect(mostKept == 2 && most <= 4)
        for check in checks { prober.end(check) }
        target.close()
        #expect(prober.kept == 0 && prober.running == 0 && loop.buffers.outstanding == 0)
    }

    @Test("a probe that waits for a place longer than its interval is counted, told of, and the longest wait is known")
    func lateness() throws {
        let loop = EventLoop()
        let target = try ScriptedTarget(nil, loop: loop)
        let prober = Prober(loop: loop, runningMax: 1)
        let checks = (0..<3).map { _ in record(Self.check(Self.http()), target.port, loop) }
        var told: [Nanoseconds] = []
        var ended = 0
        var waiting = 0
        prober.late = { told.append($0) }
        prober.report = { check, _, now in
            ended += 1
            if ended == 1 { waiting = prober.waiting }
            _ = check.state.probeSucceeded(at: now + .seconds(3600), random: 0)
            if ended == checks.count { loop.stop() }
        }
        for check in checks { prober.begin(check) }
        loop.run()
        // The first hangs for its timeout while two wait, then the second, while one does.
        #expect(waiting == 2 && told.count == 2 && prober.delays.late == 2)
        #expect(told.last == prober.delays.longest && prober.delays.longest >= Self.timeout * 2)
        #expect(prober.waiting == 0)
        for check in checks { prober.end(check) }
        target.close()
    }

    @Test("the warning of late probes comes once a minute")
    func lateReport() {
        var events: [OperationalEvent] = []
        let report = LateProbeReport { events.append($0) }
        for second in [0, 1, 59, 60, 61] as [Int64] {
            report.late(
                by: .seconds(3), places: 512, waiting: 700, at: MonotonicTime(nanoseconds: second * 1_000_000_000))
        }
        #expect(events.count == 2)
        #expect(events.first?.fields.contains { $0.name == "waiting" && $0.value == "700" } == true)
    }

    @Test(
        "places grow with the descriptors, and never take more than a quarter of them",
        arguments: [(16, 8), (256, 64), (1_024, 256), (2_048, 512), (4_096, 512), (65_536, 8_192), (1 << 20, 16_384)])
    func places(descriptors: Int, places: Int) {
        #expect(Daemon.probesMax(descriptors) == places)
    }

    private static var mayPing: Bool { (try? PingSocket(.v4)) != nil }

    @Test("pings share a socket; each reply finds its probe", .enabled(if: mayPing, "nothing allows a ping here"))
    func pings() throws {
        let loop = EventLoop()
        let prober = Prober(loop: loop)
        var ended: [IPAddress: [ProbeResult]] = [:]
        var check = HealthCheck()
        (check.kind, check.interval, check.timeout) = (.icmp, .milliseconds(1), Self.timeout)
        // All of 127.0.0.0/8 is this machine.
        let addresses = (1...20 as ClosedRange<UInt32>).map { IPAddress(v4: 0x7F00_0100 + $0) }
        let records = addresses.map { address in
            CheckRecord(
                ProbeSpec(.ip(address, port: 1), check, hostHeader: ""),
                ActiveCheck(policy: ProbePolicy(check), arrival: .withGroup, at: loop.now))
        }
        prober.report = { check, result, now in
            guard case .ip(let address, _) = check.spec.address else { return }
            ended[address, default: []].append(result)
            _ = check.state.probeSucceeded(at: now, random: 0)
            if addresses.allSatisfy({ ended[$0]?.count ?? 0 >= 3 }) { loop.stop() }
        }
        for record in records { prober.begin(record) }
        loop.run()
        #expect(ended.values.joined().allSatisfy { $0.outcome == .succeeded })
        #expect(prober.pings.count == 1)
        for record in records { prober.end(record) }
        prober.closePings()
        #expect(prober.running == 0)
    }

    @Test("starts are gathered: early by less than 32 ms and a 64th of the interval, by the same amount each time")
    func gathered() throws {
        let loop = EventLoop()
        let prober = Prober(loop: loop)
        for interval in [Nanoseconds.seconds(5), .milliseconds(1_001), .milliseconds(100), .seconds(300)] {
            var check = Self.check(Self.http())
            (check.interval, check.timeout) = (interval, .milliseconds(50))
            var early: [Nanoseconds] = []
            var starts: Set<MonotonicTime> = []
            for share in 0..<1_000 as Range<Int64> {
                let first = loop.now + .seconds(1) + interval / 1_000 * share
                let starting = try (0..<3 as Range<Int64>).map { turn in
                    let record = CheckRecord(
                        ProbeSpec(.ip(IPAddress(v4: 1), port: 1), check, hostHeader: ""),
                        ActiveCheck(policy: ProbePolicy(check), arrival: .withGroup, at: first + interval * turn))
                    return (try #require(record.state.nextProbe), prober.start(of: record))
                }
                early.append(starting[0].0 - starting[0].1)
                #expect(starting.allSatisfy { $0.0 - $0.1 == early.last! })
                starts.insert(starting[0].1)
            }
            #expect(early.allSatisfy { $0 >= .zero && $0 < .milliseconds(32) && $0 <= interval / 64 })
            #expect(starts.count <= max(64, Int(interval.count / 32_000_000)) + 3)
        }
    }

    // MARK: Running

    private static let timeout = Nanoseconds.milliseconds(200)

    private static func check(_ kind: HealthCheck.Kind) -> HealthCheck {
        var check = HealthCheck()
        check.kind = kind
        (check.interval, check.edgeInterval, check.timeout) = (.milliseconds(1), .milliseconds(1), timeout)
        return check
    }

    private func record(_ check: HealthCheck, _ port: UInt16, _ loop: EventLoop) -> CheckRecord {
        let address = SocketAddress.ip(IPAddress(v4: 0x7F00_0001), port: port)
        return CheckRecord(
            ProbeSpec(address, check, hostHeader: "127.0.0.1"),
            ActiveCheck(policy: ProbePolicy(check), arrival: .withGroup, at: loop.now))
    }

    private func probe(_ answer: String?, _ kind: HealthCheck.Kind, count: Int) throws -> [ProbeResult] {
        let loop = EventLoop()
        let target = try ScriptedTarget(answer, loop: loop)
        defer { target.close() }
        return run(Self.check(kind), target.port, count: count, on: loop)
    }

    private func run(_ check: HealthCheck, _ port: UInt16, count: Int, on loop: EventLoop) -> [ProbeResult] {
        let prober = Prober(loop: loop)
        let record = record(check, port, loop)
        var results: [ProbeResult] = []
        prober.report = { check, result, now in
            results.append(result)
            _ = check.state.probeSucceeded(at: now, random: 0)
            if results.count == count { loop.stop() }
        }
        prober.begin(record)
        loop.run()
        prober.end(record)
        return results
    }
}
