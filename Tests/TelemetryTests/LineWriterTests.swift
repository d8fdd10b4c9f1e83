import Foundation
import PoiseModel
import PoisePlatform
import PoiseTelemetry
import Testing

@Suite("Lines of the health log: written, or counted as lost")
struct LineWriterTests {
    private let path = FileManager.default.temporaryDirectory.appending(path: "poise-\(UUID().uuidString).log").path

    private func writer(_ path: String, queueBytesMax: Int = 4 << 20, said: Lock<[String]> = Lock([])) throws
        -> LineWriter
    {
        try #require(
            try LineWriter(
                .file(path: path), setting: "logs.health", noun: "health log", queueBytesMax: queueBytesMax,
                report: { line in said.withLock { $0.append(line) } }))
    }

    private func text(_ path: String) throws -> String {
        String(decoding: try Files.read(path, limit: 1 << 24), as: UTF8.self)
    }

    @Test("off is no writer, and a path that cannot be written is an error at its setting")
    func opening() throws {
        #expect(try LineWriter(.off, setting: "logs.health", noun: "health log") == nil)
        let error = #expect(throws: ConfigError.self) { try writer("/nowhere/x.log") }
        #expect(error?.path == "logs.health" && error?.problem.contains("health log /nowhere/x.log") == true)
    }

    @Test("every line is written in order, those that came before the start too")
    func order() throws {
        defer { Files.remove(path) }
        let writer = try writer(path)
        for number in 0..<500 { writer.write(Array("\(number)\n".utf8)) }
        try writer.start()
        for number in 500..<1000 { writer.write(Array("\(number)\n".utf8)) }
        #expect(writer.stop())
        #expect(try text(path) == (0..<1000).map { "\($0)\n" }.joined())
        #expect(writer.statistics.written == 1000 && writer.statistics.lostToFullQueue == 0)
    }

    @Test("a full queue loses the newest, and counts it")
    func full() throws {
        defer { Files.remove(path) }
        let writer = try writer(path, queueBytesMax: 100)
        for _ in 0..<30 { writer.write(Array("123456789\n".utf8)) }
        #expect(writer.statistics.lostToFullQueue == 20)
        try writer.start()
        #expect(writer.stop())
        #expect(writer.statistics.written == 10)
        #expect(try text(path).utf8.count == 100)
    }

    @Test("after a rename the file is made anew, and nothing is lost between the two")
    func rotation() throws {
        let old = path + ".1"
        defer { for file in [path, old] { Files.remove(file) } }
        let writer = try writer(path)
        try writer.start()
        writer.write(Array("one\n".utf8))
        while writer.statistics.written < 1 { sched_yield() }
        try FileManager.default.moveItem(atPath: path, toPath: old)
        writer.reopen()
        writer.write(Array("two\n".utf8))
        #expect(writer.stop())
        #expect(try text(old) == "one\n")
        #expect(try text(path) == "two\n")
    }

    @Test("what a full disk does not take is counted, and told once")
    func failing() throws {
        let said = Lock<[String]>([])
        let writer = try writer("/dev/full", said: said)
        try writer.start()
        for count in 1...5 {
            writer.write(Array("x\n".utf8))
            while writer.statistics.lostToFailedWrites < UInt64(count) { sched_yield() }
        }
        #expect(writer.stop())
        #expect(writer.statistics.written == 0)
        #expect(said.withLock { $0 } == ["poise: cannot write the health log /dev/full: No space left on device"])
    }
}
