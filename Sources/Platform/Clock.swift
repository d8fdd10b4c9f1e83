import CPoise
import PoiseModel

public enum Clock {
    /// The monotonic clock: 20 to 320 ns a reading, depending on the machine's clock source. Once per wake-up.
    public static var monotonic: MonotonicTime { MonotonicTime(nanoseconds: poise_clock_monotonic()) }
    /// Nanoseconds since 1970, UTC.
    public static var wall: Int64 { poise_clock_wall() }
    /// CPU time of the calling thread.
    public static var threadCPU: Nanoseconds { Nanoseconds(poise_thread_cpu()) }
}

public enum SystemRandom {
    /// 64 bits from the kernel's generator. A seed, not for every request.
    public static var word: UInt64 {
        var value: UInt64 = 0
        // SAFETY: the kernel writes exactly the eight bytes of `value`.
        let result = unsafe withUnsafeMutableBytes(of: &value) { unsafe poise_random($0.baseAddress, $0.count) }
        precondition(result == 0, "getrandom cannot fail for eight bytes")
        return value
    }
}
