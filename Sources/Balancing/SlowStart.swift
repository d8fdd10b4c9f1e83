import PoiseModel

/// A target that has just become usable gets its share little by little: caches fill, pools grow.
public enum SlowStart {
    /// Grows in a straight line from 1 to `weight` over `duration`.
    ///
    /// - Parameters:
    ///   - weight: the effective weight at the end, 0...65,536; 0 stays 0.
    ///   - healthyFor: time since the target became usable; a negative one counts as 0.
    ///   - duration: 0 or less turns slow start off.
    /// - Returns: 1...`weight`, or 0 for a weight of 0.
    public static func effectiveWeight(
        _ weight: Int, healthyFor elapsed: Nanoseconds, duration: Nanoseconds
    ) -> Int {
        guard weight > 0, duration.count > 0, elapsed < duration else { return weight }
        guard elapsed.count > 0 else { return 1 }
        // 128 bits: weight and nanoseconds of a day are 64 together.
        return max(1, Int(Int128(weight) * Int128(elapsed.count) / Int128(duration.count)))
    }
}
