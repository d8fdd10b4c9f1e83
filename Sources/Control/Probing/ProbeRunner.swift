import PoiseLoop
import PoiseModel
import PoisePlatform

/// The probes of one check, one after another.
protocol ProbeRunner: AnyObject {
    var check: CheckRecord { get }
    /// Due, and not stopped since.
    var isWaitingForPlace: Bool { get }
    func enqueue()
    /// Waits for the next start.
    func schedule()
    /// The next start is earlier than it was.
    func hurry()
    /// Starts one probe; it may be over when this returns.
    func run()
    /// No more probes; one that is under way is dropped.
    func stop()
}

extension ProbeResult {
    /// What a failed call on a probe's socket amounts to.
    static func failure(_ code: CInt) -> (Outcome, Detail) {
        switch code {
        case Errno.connectionRefused: (.failed(.connectionRefused), .system(code))
        case Errno.timedOut: (.failed(.timeout), .system(code))
        case Errno.tooManyFiles, Errno.tooManyFilesInSystem, Errno.noBuffers, Errno.noMemory,
            Errno.addressNotAvailable:
            (.abandoned, .system(code))
        default: (.failed(.connectionFailed), .system(code))
        }
    }
}
