import Glibc
import PoiseLive
import PoiseModel
import PoisePlatform
import PoiseProxy
import Testing

@testable import PoiseTelemetry

@Suite("The log's thread")
struct LogWriterTests {
    static func folder() -> String {
        let path = "/tmp/poise-log-test.\(getpid()).\(SystemRandom.word)"
        // SAFETY: the path is read during the call only.
        _ = unsafe mkdir(path, 0o700)
        return path
    }

    static func settings(_ path: String) -> LogSettings {
        var settings = LogSettings()
        settings.access = .file(path: path)
        return settings
    }

    static func push(_ count: Int, to ring: RecordRing) {
        let path = Array("/x".utf8)
        for _ in 0..<count {
            AccessRecord.sample().push(
                to: ring, client: Span(), method: Span(), authority: Span(), target: path.span, requestID: Span())
        }
    }

    static func lines(_ path: String) throws -> Int {
        try Files.read(path, limit: 1 << 30).count { $0 == 0x0A }
    }

    @Test("everything that was in the rings at the end is written, and counted")
    func flushes() throws {
        let path = Self.folder() + "/access.log"
        let bell = Bell()
        let rings = [RecordRing(capacity: 1 << 20), RecordRing(capacity: 4096)]
        let writer = try #require(try LogWriter(Self.settings(path), bell: bell))
        Self.push(3000, to: rings[0])
        Self.push(100, to: rings[1])
        let dropped = rings[1].droppedCount
        #expect(dropped > 0, "the small ring is too small for a hundred records")
        try writer.start(rings: rings)
        #expect(writer.stop())
        #expect(try Self.lines(path) == 3100 - Int(dropped))
        #expect(writer.statistics.written == 3100 - dropped)
        #expect(writer.statistics.lostToFullRings == dropped)
        #expect(writer.statistics.lostToFailedWrites == 0)
    }

    @Test("a log that cannot be written loses records, counts them, and says so once")
    func full() throws {
        let messages = Lock<[String]>([])
        let bell = Bell()
        let ring = RecordRing(capacity: 1 << 20)
        let writer = try #require(
            try LogWriter(
                Self.settings("/dev/full"), bell: bell, report: { text in messages.withLock { $0.append(text) } }))
        Self.push(1000, to: ring)
        try writer.start(rings: [ring])
        #expect(writer.stop())
        #expect(writer.statistics.lostToFailedWrites == 1000)
        #expect(writer.statistics.written == 0)
        let said = messages.withLock { $0 }
        #expect(said.count == 1)
        #expect(said[0].contains("/dev/full: No space left on device"))
    }

    @Test("while the disk hangs nobody waits, what finds no room is counted, and then it goes on")
    func hangs() throws {
        let path = Self.folder() + "/pipe"
        let made = unsafe mkfifo(path, 0o600)
        #expect(made == 0)
        // A pipe that is not read is a disk that hangs.
        let reader = FileDescriptor(adopting: unsafe open(path, O_RDWR | O_NONBLOCK))
        let ring = RecordRing(capacity: 1 << 16)
        let writer = try #require(try LogWriter(Self.settings(path), bell: Bell()))
        try writer.start(rings: [ring])
        Self.push(5000, to: ring)
        let dropped = ring.droppedCount
        #expect(dropped > 3000, "ring and pipe hold a few hundred records each")
        writer.bell.ring()
        var lines = 0
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        while UInt64(lines) + dropped < 5000 {
            var waiting = pollfd(fd: reader.number, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&waiting, 1, 10_000) == 1 else { break }
            let count = unsafe read(reader.number, &bytes, bytes.count)
            lines += bytes.prefix(max(0, count)).count { $0 == 0x0A }
        }
        #expect(UInt64(lines) + dropped == 5000)
        #expect(writer.stop())
        #expect(writer.statistics.written == UInt64(lines))
        #expect(writer.statistics.lostToFullRings == dropped)
    }

    @Test("a path that cannot be opened is an error at the start")
    func unwritable() {
        #expect(
            performing: { _ = try LogWriter(Self.settings("/nowhere/access.log"), bell: Bell()) },
            throws: { error in
                guard let error = error as? ConfigError else { return false }
                return error.path == "logs.access.destination"
                    && error.problem.contains("/nowhere/access.log: No such file")
            })
    }

    @Test("off makes no writer")
    func off() throws {
        var settings = LogSettings()
        settings.access = .off
        #expect(try LogWriter(settings, bell: Bell()) == nil)
    }
}
