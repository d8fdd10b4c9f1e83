/// Times in log-linear buckets: four per octave, from below 32 µs to above 137 s. A row per worker.
///
/// The relative error of a quantile is at most 19 % (a quarter octave). 96 words a row.
public struct Histogram: Sendable {
    public static let firstOctave = 15  // 2^15 ns = 32.8 µs
    public static let octaves = 22
    public static let bucketCount = octaves * 4 + 2
    @usableFromInline static let sumIndex = bucketCount
    @usableFromInline static let width = bucketCount + 1

    public let block: CounterBlock

    public init(workers: Int) { block = CounterBlock(workers: workers, width: Self.width) }

    public func row(_ worker: Int) -> HistogramRow { HistogramRow(row: block.row(worker)) }

    /// 0: below the first octave; the last bucket has no upper bound.
    @inlinable static func bucket(of nanoseconds: UInt64) -> Int {
        guard nanoseconds >= 1 << UInt64(firstOctave) else { return 0 }
        let octave = 63 - nanoseconds.leadingZeroBitCount
        let quarter = Int(nanoseconds >> UInt64(octave - 2)) & 3
        return min(1 + (octave - firstOctave) * 4 + quarter, bucketCount - 1)
    }

    /// Exclusive upper bound of a bucket in nanoseconds; `nil` for the last.
    public static func upperBound(_ bucket: Int) -> UInt64? {
        guard bucket < bucketCount - 1 else { return nil }
        guard bucket > 0 else { return 1 << UInt64(firstOctave) }
        let octave = (bucket - 1) / 4 + firstOctave
        let quarter = UInt64((bucket - 1) % 4)
        return (5 + quarter) << UInt64(octave - 2)
    }

    public func count(_ bucket: Int) -> UInt64 { block.sum(bucket) }
    /// The sum of all times in nanoseconds.
    public var sum: UInt64 { block.sum(Self.sumIndex) }

    /// The upper bound of the bucket that holds the `share` quantile (0...1); `nil` when nothing was counted.
    public func quantile(_ share: Double) -> UInt64? {
        let counts = (0..<Self.bucketCount).map { count($0) }
        let total = counts.reduce(0, &+)
        guard total > 0 else { return nil }
        let rank = UInt64((Double(total) * share).rounded(.up))
        var seen: UInt64 = 0
        for (bucket, count) in counts.enumerated() {
            seen += count
            if seen >= max(rank, 1) { return Self.upperBound(bucket) ?? Self.upperBound(Self.bucketCount - 2) }
        }
        return nil
    }
}

/// One worker's part of a ``Histogram``.
public struct HistogramRow: Sendable {
    @usableFromInline let row: CounterRow

    @inlinable init(row: CounterRow) { self.row = row }

    @inlinable public func record(nanoseconds: Int64) {
        let value = UInt64(max(nanoseconds, 0))
        row.add(Histogram.bucket(of: value))
        row.add(Histogram.sumIndex, value)
    }
}
