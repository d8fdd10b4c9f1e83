import PoiseModel

/// A target that has just become usable gets its share little by little: caches fill, pools grow.
public enum SlowStart {
    /// Grows from 1 to `weight` over `duration` as t^(1 / aggression), t from 0 to 1.
    ///
    /// - Parameters:
    ///   - weight: the effective weight at the end, 0...65,536; 0 stays 0.
    ///   - healthyFor: time since the target became usable; a negative one counts as 0.
    ///   - duration: 0 or less turns slow start off.
    ///   - aggressionPercent: 10...1,000. 100 is a straight line; 200 gives half of the weight after a quarter of the time, 50
    ///     a quarter of the weight after half of the time.
    /// - Returns: 1...`weight`, or 0 for a weight of 0. Never less than a moment before.
    /// - Source: Envoy's `SlowStartConfig`, whose aggression this is.
    public static func effectiveWeight(
        _ weight: Int, healthyFor elapsed: Nanoseconds, duration: Nanoseconds, aggressionPercent: Int = 100
    ) -> Int {
        guard weight > 0, duration.count > 0, elapsed < duration else { return weight }
        guard elapsed.count > 0 else { return 1 }
        // 128 bits: weight and nanoseconds of a day are 64 together.
        guard aggressionPercent != 100 else {
            return max(1, Int(Int128(weight) * Int128(elapsed.count) / Int128(duration.count)))
        }
        let share = Double(elapsed.count) / Double(duration.count)
        let exponent = negatedLogarithm(UInt64(min(share, 1 - 0x1p-53) * 0x1p64)) * 100 / Double(aggressionPercent)
        return max(1, min(weight, Int(Double(weight) * Double(exponential(Float(exponent))))))
    }
}
