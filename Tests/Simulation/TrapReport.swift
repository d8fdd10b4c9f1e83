import Glibc
import PoiseLive

/// A trap ends the process before a test can say which seed it was: this says so, and leaves the rest to whoever
/// handled the signal before.
enum TrapReport {
    private static let signals = [SIGILL, SIGTRAP, SIGSEGV, SIGABRT]
    /// Seeds that are being played, plus 1; 0 for none.
    private static let running = (0..<64).map { _ in SharedWord() }
    private static let former = signals.map { number in
        var (new, old) = (sigaction(), sigaction())
        // SAFETY: the handler only reads words, writes, and puts the former handler back: returning from it repeats the
        // instruction that trapped.
        unsafe new.__sigaction_handler.sa_handler = { TrapReport.trapped($0) }
        unsafe sigaction(number, &new, &old)
        return old
    }

    static func begin(_ seed: UInt64, of batch: UInt64) {
        _ = former.count
        running[Int(batch % 64)].value = seed + 1
    }

    static func end(_ batch: UInt64) { running[Int(batch % 64)].value = 0 }

    private static func trapped(_ number: CInt) {
        let seeds = running.map(\.value).filter { $0 > 0 }.map { "POISE_SEED=\($0 - 1)" }
        let text = Array("a trap while these were played: \(seeds.joined(separator: " "))\n".utf8)
        _ = unsafe write(STDERR_FILENO, text, text.count)
        guard let index = signals.firstIndex(of: number) else { return }
        var old = former[index]
        unsafe sigaction(number, &old, nil)
    }
}
