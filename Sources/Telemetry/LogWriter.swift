import PoiseLive
import PoiseModel
import PoisePlatform
import PoiseProxy

/// Writes the access log: one thread that takes records out of the workers' rings, formats them, and hands many at
/// once to write(2).
///
/// Invariants:
/// 1. Workers never wait for it. While the disk hangs the rings fill up; what finds no room is dropped and counted.
/// 2. Every record is in exactly one of: written, lost to a full ring, lost to a failed write (``statistics``).
/// 3. A failure is told once, and its end once, with the number lost.
public final class LogWriter: Sendable {
    public struct Statistics: Sendable, Equatable {
        public var written: UInt64 = 0
        /// The writer could not keep up, mostly because of a hung disk.
        public var lostToFullRings: UInt64 = 0
        /// The disk was full, or the reader of a pipe has gone.
        public var lostToFailedWrites: UInt64 = 0
        public init() {}
    }

    /// Records gather for so long between two writes, in milliseconds.
    private static let pause: Int32 = 25
    /// A write is made when so many bytes have come together, earlier when there are no more records.
    static let batchBytes = 64 * 1024
    /// Records of one ring in turn, so that a busy worker does not starve the others, nor the signals.
    static let turnMax = 2048

    let bell: Bell
    let shared = Lock(Shared())
    let written = SharedWord()
    let lost = SharedWord()
    let wantsReopen = SharedWord()
    let wantsStop = SharedWord()
    private let hasEnded = SharedWord()
    private let endBell = Bell()
    private let output: LogOutput
    private let format: LogSettings.Format
    private let isColored: Bool
    /// Tells the operator; on the writer's thread.
    let report: @Sendable (String) -> Void

    struct Shared: Sendable {
        var names = LogNames()
        var namesChanged = false
        var rings: [RecordRing] = []
        var thread: Thread?
    }

    /// Opens the log, so that a path that cannot be written is an error at the start.
    ///
    /// - Parameters:
    ///   - bell: rung by the workers' ``AccessLog``s.
    ///   - environment: for `NO_COLOR`.
    ///   - report: for one line about the log itself; unless told otherwise to standard error.
    /// - Returns: `nil` with the access log off.
    /// - Throws: ``ConfigError`` at `logs.access.destination`.
    public init?(
        _ settings: LogSettings, bell: Bell, environment: (String) -> String? = { Environment[$0] },
        report: (@Sendable (String) -> Void)? = nil
    ) throws(ConfigError) {
        guard let output = try LogOutput(settings.access) else { return nil }
        (self.output, self.bell) = (output, bell)
        let isTerminal = output.isTerminal
        format = settings.accessFormat ?? (isTerminal ? .console : .json)
        isColored = isTerminal && (environment("NO_COLOR") ?? "").isEmpty
        self.report = report ?? { text in try? Files.write(Array("\(text)\n".utf8).span, to: 2) }
    }

    /// Starts the thread. Once.
    public func start(rings: [RecordRing]) throws(SystemError) {
        shared.withLock { $0.rings = rings }
        let thread = try Thread.start(name: "log") { [self] in
            var run = LogRun(
                writer: self, rings: rings, output: output, formatter: .init(format: format, isColored: isColored))
            run.serve()
            hasEnded.value = 1
            endBell.interrupt()
        }
        shared.withLock { $0.thread = thread }
    }

    /// The names of a snapshot that workers are about to adopt: call it before they can.
    public func adopt(_ snapshot: ProxySnapshot) {
        // Built outside of the lock: the writer must not wait for ten thousand names.
        var names = shared.withLock { $0.names }
        names.adopt(snapshot)
        let built = names
        shared.withLock { ($0.names, $0.namesChanged) = (built, true) }
    }

    /// Opens the file again under its path, which was moved away. If that fails, the old one is written on.
    public func reopen() {
        wantsReopen.value = 1
        bell.interrupt()
    }

    /// Writes what the rings still hold and ends. The workers must have ended before.
    ///
    /// - Returns: false when the disk still hung after `milliseconds`; the thread is left behind then.
    @discardableResult
    public func stop(within milliseconds: Int32 = 2000) -> Bool {
        // Poise may fail to start before the thread does: nobody would ring then.
        guard let thread = shared.withLock({ $0.thread }) else { return true }
        wantsStop.value = 1
        bell.interrupt()
        if hasEnded.value == 0 { endBell.pause(milliseconds: milliseconds) }
        guard hasEnded.value == 1 else { return false }
        thread.join()
        return true
    }

    /// From any thread.
    public var statistics: Statistics {
        var statistics = Statistics()
        statistics.written = written.value
        statistics.lostToFailedWrites = lost.value
        for ring in shared.withLock({ $0.rings }) { statistics.lostToFullRings += ring.droppedCount }
        return statistics
    }

    var milliseconds: Int32 { Self.pause }
}

/// The writer's thread: what only it touches.
private struct LogRun: ~Copyable {
    let writer: LogWriter
    let rings: [RecordRing]
    let output: LogOutput
    var formatter: AccessLogFormatter
    private var names = LogNames()
    private var words = [UInt64](repeating: 0, count: AccessRecord.wordCount)
    private var text = [UInt8](repeating: 0, count: 8 * 1024)
    private var batch = ByteBatch(capacity: LogWriter.batchBytes + 32 * 1024)
    private var recordsInBatch = 0
    /// The last write ended inside a line, which must be ended before the next.
    private var isTorn = false
    private var isFailing = false
    private var lostInFailure = 0

    init(writer: LogWriter, rings: [RecordRing], output: LogOutput, formatter: AccessLogFormatter) {
        (self.writer, self.rings, self.output, self.formatter) = (writer, rings, output, formatter)
    }

    mutating func serve() {
        while true {
            // Looked at before the rings: what they held by then is written.
            let isLast = writer.wantsStop.value == 1
            if writer.wantsReopen.exchange(0) == 1 { reopen() }
            var drained = 0
            var isBehind = false
            for ring in rings {
                let count = drain(ring)
                drained += count
                if count == LogWriter.turnMax { isBehind = true }
            }
            flush()
            if isBehind { continue }
            if isLast { return }
            if drained > 0 {
                writer.bell.pause(milliseconds: writer.milliseconds)
            } else {
                // Not self: a closure cannot borrow what is not copyable.
                let (writer, rings) = (self.writer, self.rings)
                writer.bell.sleep { Self.hasWork(writer, rings) }
            }
        }
    }

    private static func hasWork(_ writer: LogWriter, _ rings: [RecordRing]) -> Bool {
        writer.wantsStop.value == 1 || writer.wantsReopen.value == 1 || rings.contains { !$0.isEmpty }
    }

    private mutating func drain(_ ring: RecordRing) -> Int {
        for count in 0..<LogWriter.turnMax {
            guard let (record, texts) = AccessRecord.pop(from: ring, &words, &text) else { return count }
            if !knows(record) { takeNames() }
            formatter.append(record, texts, of: text, names: names, to: &batch)
            recordsInBatch += 1
            if batch.count >= LogWriter.batchBytes { flush() }
        }
        return LogWriter.turnMax
    }

    private func knows(_ record: AccessRecord) -> Bool {
        names.knows(record.listener) && names.knows(record.rule) && names.knows(record.group)
            && names.knows(record.target)
    }

    /// Names are published before the snapshot that has them, so a record never comes before its names.
    private mutating func takeNames() {
        let changed = writer.shared.withLock { shared -> LogNames? in
            guard shared.namesChanged else { return nil }
            shared.namesChanged = false
            return shared.names
        }
        if let changed { names = changed }
    }

    // MARK: Output

    private mutating func flush() {
        guard recordsInBatch > 0 else { return }
        var done = 0
        if let error = writeBatch(&done) {
            let (lines, endsInside) = wholeLines(upTo: done)
            if done > 0 { isTorn = endsInside }
            writer.written.add(lines)
            failed(error, lost: recordsInBatch - lines)
        } else {
            writer.written.add(recordsInBatch)
            recovered()
        }
        batch.removeAll()
        recordsInBatch = 0
    }

    private func wholeLines(upTo end: Int) -> (count: Int, endsInside: Bool) {
        var count = 0
        let bytes = batch.bytes
        for index in 0..<end where bytes[index] == 0x0A { count += 1 }
        return (count, end > 0 && bytes[end - 1] != 0x0A)
    }

    /// - Parameter done: how many bytes of the batch have been written, also when there was an error.
    private mutating func writeBatch(_ done: inout Int) -> SystemError? {
        do throws(SystemError) {
            if isTorn {
                var ended = 0
                try writeAll([0x0A].span, &ended)
                isTorn = false
            }
            try writeAll(batch.bytes, &done)
            return nil
        } catch {
            return error
        }
    }

    private func writeAll(_ bytes: Span<UInt8>, _ done: inout Int) throws(SystemError) {
        var refusals = 0
        while done < bytes.count {
            do throws(SystemError) {
                done += try Files.writeSome(bytes.extracting(droppingFirst: done), to: output.descriptor)
                refusals = 0
            } catch {
                // A pipe or a terminal that somebody else made non-blocking: its reader will come back, or Poise ends.
                refusals += 1
                guard error.code == Errno.again, writer.wantsStop.value == 0 || refusals < 40 else { throw error }
                writer.bell.pause(milliseconds: writer.milliseconds)
            }
        }
    }

    private mutating func failed(_ error: SystemError, lost count: Int) {
        writer.lost.add(count)
        lostInFailure += count
        guard !isFailing else { return }
        isFailing = true
        writer.report(
            "poise: cannot write the access log \(output.name): \(error.reason); records are lost until it can be "
                + "written again, traffic goes on")
    }

    private mutating func recovered() {
        guard isFailing else { return }
        writer.report("poise: the access log \(output.name) is written again; \(lostInFailure) records were lost")
        (isFailing, lostInFailure) = (false, 0)
    }

    private mutating func reopen() {
        do throws(SystemError) { if try output.reopen() { isTorn = false } } catch {
            writer.report(
                "poise: cannot open the access log \(output.name) again: \(error.reason); the old file is written on")
        }
    }
}
