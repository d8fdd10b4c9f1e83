import PoiseModel

/// How long probes wait for a place once they are due.
struct StartDelays {
    /// The longest so far.
    private(set) var longest = Nanoseconds.zero
    /// Probes that waited longer than their interval: their check has missed a probe.
    private(set) var late: UInt64 = 0

    /// - Returns: whether the probe is late.
    mutating func started(after delay: Nanoseconds, interval: Nanoseconds) -> Bool {
        longest = max(longest, delay)
        guard delay > interval else { return false }
        late += 1
        return true
    }
}
