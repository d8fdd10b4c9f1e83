import Glibc
import PoiseLoop
import PoiseLoopSupport
import PoiseModel
import Testing

@testable import PoiseControl

@Suite("Commands: bounded in number, time and output; nothing is left behind")
struct CommandRunnerTests {
    private static func shell(_ script: String, timeout: Nanoseconds = .seconds(20)) -> Command {
        Command(["/bin/sh", "-c", script], timeout: timeout)
    }

    /// Runs `command` alone.
    private static func result(_ command: Command) async throws -> CommandResult {
        try await onLoop { loop in
            let runner = CommandRunner(loop: loop)
            runner.open()
            let result = await received { runner.run(command, then: $0) }
            try await quiet(runner)
            return result
        }
    }

    /// Until nothing runs any more.
    private static func quiet(_ runner: CommandRunner) async throws {
        let start = runner.loop.now
        while runner.running > 0 {
            try await runner.loop.sleep(for: .milliseconds(8))
            try #require(runner.loop.now - start < .seconds(20), "a program does not go")
        }
        #expect(runner.waiting == 0)
    }

    @Test(
        "each end is told, with what was written",
        arguments: [
            ("echo hello; exit 0", CommandResult.End.exited(0), "hello"),
            ("echo 'no route' >&2; echo more; exit 3", .exited(3), "no route"),
            ("printf '\\033[31mred\\000'; kill -9 $$", .signalled(9), "[31mred"), ("exit 1", .exited(1), ""),
            // What it leaves running does not keep the result back.
            ("sleep 1000 & echo gone", .exited(0), "gone"),
        ])
    func ends(script: String, end: CommandResult.End, line: String) async throws {
        let result = try await Self.result(Self.shell(script))
        #expect(result.end == end)
        #expect(result.firstLine == line)
        #expect(!result.isOutputCut)
    }

    @Test("a missing program and a text with a NUL are told by errno")
    func missing() async throws {
        let missing = try await Self.result(Command(["/nowhere/page"]))
        #expect(missing.end == .notStarted(ENOENT))
        #expect(missing.reason(timeout: .zero) == "cannot start: No such file or directory")
        #expect(try await Self.result(Command(["/bin/echo", "a\u{0}b"])).end == .notStarted(EINVAL))
    }

    @Test("the environment is PATH and what was given")
    func environment() async throws {
        let result = try await Self.result(Command(["/usr/bin/env"], environment: ["B": "2", "A": "x y"]))
        #expect(String(decoding: result.output, as: UTF8.self) == "A=x y\nB=2\nPATH=\(Command.path)\n")
    }

    @Test("of much output the beginning is kept, and the program is never stuck")
    func output() async throws {
        let script = "i=0; while [ $i -lt 20 ]; do head -c 100000 /dev/zero | tr '\\000' x; i=$((i+1)); done; exit 5"
        let result = try await Self.result(Self.shell(script))
        #expect(result.end == .exited(5))
        #expect(result.output == [UInt8](repeating: UInt8(ascii: "x"), count: 4096))
        #expect(result.isOutputCut)
    }

    @Test(
        "one that does not end in time is told of at its timeout, then ended",
        arguments: ["exec sleep 1000", "trap '' TERM; while :; do sleep 1; done", "yes", "sleep 1000 | sleep 1000"])
    func hangs(script: String) async throws {
        let result = try await Self.result(Self.shell(script, timeout: .milliseconds(200)))
        #expect(result.end == .timedOut)
        #expect(result.duration >= .milliseconds(200))
        #expect(result.reason(timeout: .milliseconds(200)) == "no end within 200ms")
    }

    @Test("no more than the bound run at once, in the order of their asking, and all get their turn")
    func places() async throws {
        try await onLoop { loop in
            let runner = CommandRunner(loop: loop, runningMax: 3)
            var order: [Int] = []
            var most = 0
            for index in 0..<20 {
                runner.run(Self.shell("exit \(index)")) { result in
                    most = max(most, runner.running)
                    #expect(result.end == .exited(index))
                    order.append(index)
                }
            }
            // The rights of the start are not for commands.
            #expect(runner.running == 0 && runner.waiting == 20)
            runner.open()
            #expect(runner.running == 3 && runner.waiting == 17)
            try await Self.quiet(runner)
            #expect(order.sorted() == Array(0..<20))
            #expect(most == 3)
            #expect(runner.started == 20)
        }
    }

    @Test("checks that hang leave places to hooks", arguments: [2, 4, 16])
    func patience(places: Int) async throws {
        try await onLoop { loop in
            let runner = CommandRunner(loop: loop, runningMax: places)
            runner.open()
            var checks: [CommandRun] = []
            for _ in 0..<2 * places {
                checks.append(runner.run(Self.shell("exec sleep 1000"), isPatient: true) { _ in })
            }
            #expect(runner.running == places - max(1, places / 4))
            let result = await received { runner.run(Self.shell("echo page"), then: $0) }
            #expect(result.firstLine == "page" && runner.waiting == places + max(1, places / 4))
            for check in checks { check.cancel() }
            try await Self.quiet(runner)
        }
    }

    @Test("a cancelled run tells nothing, wherever it is, and its program goes")
    func cancel() async throws {
        try await onLoop { loop in
            let runner = CommandRunner(loop: loop, runningMax: 1)
            runner.open()
            let fail: (CommandResult) -> Void = { Issue.record("told of \($0)") }
            let loading = runner.run(Self.shell("exec sleep 1000"), then: fail)
            let waiting = runner.run(Self.shell("exec sleep 1000"), then: fail)
            waiting.cancel()
            loading.cancel()
            let result = await received { runner.run(Self.shell("echo next"), then: $0) }
            #expect(result.firstLine == "next")
            let running = runner.run(Self.shell("exec sleep 1000"), then: fail)
            while runner.started < 3 { try await loop.sleep(for: .milliseconds(8)) }
            running.cancel()
            running.cancel()
            try await Self.quiet(runner)
            #expect(runner.timedOut == 0)
        }
    }

    @Test("at the end every program goes, those that wait never start, and nobody is told")
    func stop() async throws {
        try await onLoop { loop in
            let runner = CommandRunner(loop: loop, runningMax: 2)
            runner.open()
            let fail: (CommandResult) -> Void = { Issue.record("told of \($0)") }
            for _ in 0..<4 { runner.run(Self.shell("exec sleep 1000"), then: fail) }
            while runner.started < 2 { try await loop.sleep(for: .milliseconds(8)) }
            runner.stop()
            #expect(runner.running == 0 && runner.waiting == 0 && runner.started == 2)
        }
    }
}
