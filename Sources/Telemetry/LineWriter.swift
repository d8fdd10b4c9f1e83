import PoiseLive
import PoiseModel
import PoisePlatform

/// Writes lines that come now and then, on a thread of its own: the health log.
///
/// Invariants:
/// 1. Whoever has a line never waits: it goes into a bounded queue, and is lost and counted where that is full.
/// 2. Every line is written, or lost to a full queue, or lost to a failed write.
/// 3. A failure is told once, and its end once.
public final class LineWriter: Sendable {
    public struct Statistics: Sendable, Equatable {
        public var written: UInt64 = 0
        /// The disk hung.
        public var lostToFullQueue: UInt64 = 0
        /// The disk was full, or the reader of a pipe has gone.
        public var lostToFailedWrites: UInt64 = 0
        public init() {}
    }

    /// Bytes that wait: some 15,000 lines.
    private let queueBytesMax: Int
    private let output: LogOutput
    /// What it is, for messages.
    private let noun: String
    private let report: @Sendable (String) -> Void
    private let bell = Bell()
    private let endBell = Bell()
    private let shared = Lock(Shared())

    private struct Shared: Sendable {
        var waiting: [UInt8] = []
        var lines = 0
        var statistics = Statistics()
        var wantsReopen = false
        var wantsStop = false
        var hasEnded = false
        var thread: Thread?
    }

    /// Opens the log, so that a path that cannot be written is an error at the start.
    ///
    /// - Parameters:
    ///   - setting: where the destination is written.
    ///   - report: takes a line about the log itself; unless told otherwise to standard error.
    /// - Returns: `nil` for `off`.
    public init?(
        _ destination: LogSettings.Destination, setting: String, noun: String, queueBytesMax: Int = 4 << 20,
        report: (@Sendable (String) -> Void)? = nil
    ) throws(ConfigError) {
        guard let output = try LogOutput(destination, setting: setting, noun: noun) else { return nil }
        (self.output, self.noun, self.queueBytesMax) = (output, noun, queueBytesMax)
        self.report = report ?? { text in try? Files.write(Array("\(text)\n".utf8).span, to: 2) }
    }

    /// Starts the thread. Once.
    public func start() throws(SystemError) {
        let thread = try Thread.start(name: "health-log") { [self] in serve() }
        shared.withLock { $0.thread = thread }
    }

    /// From any thread; never waits.
    ///
    /// - Parameter line: with its line end.
    public func write(_ line: [UInt8]) {
        shared.withLock { shared in
            guard shared.waiting.count + line.count <= queueBytesMax else {
                shared.statistics.lostToFullQueue += 1
                return
            }
            shared.waiting += line
            shared.lines += 1
        }
        bell.ring()
    }

    /// Opens the file again under its path, which was moved away. If that fails, the old one is written on.
    public func reopen() {
        shared.withLock { $0.wantsReopen = true }
        bell.interrupt()
    }

    /// Writes what waits and ends.
    ///
    /// - Returns: false when the disk still hung after `milliseconds`; the thread is left behind then.
    @discardableResult
    public func stop(within milliseconds: Int32 = 2000) -> Bool {
        let thread = shared.withLock { shared in
            shared.wantsStop = true
            return shared.thread
        }
        guard let thread else { return true }
        bell.interrupt()
        if !shared.withLock({ $0.hasEnded }) { endBell.pause(milliseconds: milliseconds) }
        guard shared.withLock({ $0.hasEnded }) else { return false }
        thread.join()
        return true
    }

    public var statistics: Statistics { shared.withLock { $0.statistics } }

    // MARK: The thread

    private func serve() {
        var state = Output()
        while true {
            let (bytes, lines, reopens, isLast) = shared.withLock { shared in
                defer { (shared.waiting, shared.lines, shared.wantsReopen) = ([], 0, false) }
                return (shared.waiting, shared.lines, shared.wantsReopen, shared.wantsStop)
            }
            if reopens { open(again: &state) }
            if !bytes.isEmpty { write(bytes, lines: lines, &state) }
            if isLast { break }
            bell.sleep { shared.withLock { $0.wantsStop || $0.wantsReopen || !$0.waiting.isEmpty } }
        }
        shared.withLock { $0.hasEnded = true }
        endBell.interrupt()
    }

    /// What only the thread knows.
    private struct Output {
        /// The last write ended inside a line, which must be ended before the next.
        var isTorn = false
        var isFailing = false
        var lost = 0
    }

    private func write(_ bytes: [UInt8], lines: Int, _ state: inout Output) {
        var bytes = bytes
        if state.isTorn { bytes.insert(0x0A, at: 0) }
        var done = 0
        do throws(SystemError) {
            while done < bytes.count {
                do throws(SystemError) {
                    done += try Files.writeSome(bytes.span.extracting(droppingFirst: done), to: output.descriptor)
                } catch {
                    // A pipe that somebody else made non-blocking: its reader will come back, or Poise ends.
                    guard error.code == Errno.again, !shared.withLock({ $0.wantsStop }) else { throw error }
                    bell.pause(milliseconds: 25)
                }
            }
            state.isTorn = false
            shared.withLock { $0.statistics.written += UInt64(lines) }
            if state.isFailing {
                report("poise: the \(noun) \(output.name) is written again; \(state.lost) lines were lost")
            }
            (state.isFailing, state.lost) = (false, 0)
        } catch {
            let ends = bytes.prefix(done).count { $0 == 0x0A }
            let whole = max(0, state.isTorn && done > 0 ? ends - 1 : ends)
            if done > 0 { state.isTorn = bytes[done - 1] != 0x0A }
            shared.withLock {
                $0.statistics.written += UInt64(whole)
                $0.statistics.lostToFailedWrites += UInt64(lines - whole)
            }
            state.lost += lines - whole
            if !state.isFailing { report("poise: cannot write the \(noun) \(output.name): \(error.reason)") }
            state.isFailing = true
        }
    }

    private func open(again state: inout Output) {
        do throws(SystemError) { if try output.reopen() { state.isTorn = false } } catch {
            report("poise: cannot open the \(noun) \(output.name) again: \(error.reason); the old file is written on")
        }
    }
}
