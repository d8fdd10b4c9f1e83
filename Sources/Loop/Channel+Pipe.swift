import CPoise
import PoisePlatform

extension Channel {
    /// One read of a pipe, which is no socket, into `start..<end` of the buffer. Not in simulations.
    public final func read(into buffer: Buffer, _ start: Int, _ end: Int) -> IOResult {
        precondition(0 <= start && start < end && end <= buffer.capacity && descriptor >= 0)
        while true {
            // SAFETY: the range lies in the buffer, whose memory lives as long as its loop.
            let result = unsafe poise_read(descriptor, buffer.base + start, end - start)
            if result != -Int64(Errno.interrupted) { return IOResult(raw: Int(result)) }
        }
    }
}
