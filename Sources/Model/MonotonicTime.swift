/// A point on the machine's monotonic clock. Meaningful only within one run of the process.
///
/// An `Int64` of nanoseconds and not `ContinuousClock.Instant`: an instant is 16 bytes and reading that
/// clock costs 547 ns on the reference machine; the loop reads a coarse clock once per wake-up instead.
public struct MonotonicTime: Sendable, Hashable, Comparable {
    /// Since an arbitrary start, 0 or more.
    public var nanoseconds: Int64

    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public static let zero = MonotonicTime(nanoseconds: 0)
    /// Later than every real reading: "never".
    public static let distantFuture = MonotonicTime(nanoseconds: .max)

    @inlinable public static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }

    /// Saturates at ``distantFuture``.
    @inlinable public static func + (time: Self, span: Nanoseconds) -> Self {
        let (sum, overflow) = time.nanoseconds.addingReportingOverflow(span.count)
        return Self(nanoseconds: overflow ? .max : sum)
    }

    @inlinable public static func - (later: Self, earlier: Self) -> Nanoseconds {
        Nanoseconds(later.nanoseconds - earlier.nanoseconds)
    }
}

/// A length of time in nanoseconds: what the hot path and the timers count with.
///
/// `Duration` is 16 bytes and divides to answer "how many milliseconds"; this is one machine word.
public struct Nanoseconds: Sendable, Hashable, Comparable {
    /// May be negative as a difference; settings are 0 or more.
    public var count: Int64

    @inlinable public init(_ count: Int64) { self.count = count }
    @inlinable public static func microseconds(_ n: Int64) -> Self { Self(n * 1_000) }
    @inlinable public static func milliseconds(_ n: Int64) -> Self { Self(n * 1_000_000) }
    @inlinable public static func seconds(_ n: Int64) -> Self { Self(n * 1_000_000_000) }
    public static let zero = Nanoseconds(0)
    /// "No limit".
    public static let unlimited = Nanoseconds(.max)

    @inlinable public static func < (a: Self, b: Self) -> Bool { a.count < b.count }
    @inlinable public static func + (a: Self, b: Self) -> Self {
        let (sum, overflow) = a.count.addingReportingOverflow(b.count)
        return Self(overflow ? .max : sum)
    }
    @inlinable public static func - (a: Self, b: Self) -> Self { Self(a.count - b.count) }
    @inlinable public static func / (a: Self, n: Int64) -> Self { Self(a.count / n) }
    @inlinable public static func * (a: Self, n: Int64) -> Self {
        let (product, overflow) = a.count.multipliedReportingOverflow(by: n)
        return Self(overflow ? .max : product)
    }

    @inlinable public var microseconds: Int64 { count / 1_000 }
    @inlinable public var milliseconds: Int64 { count / 1_000_000 }
    @inlinable public var seconds: Double { Double(count) / 1e9 }
}
