import PoiseModel

/// A target's answer time as one worker sees it: rises with the worst at once, falls slowly, and fades when nobody asks.
///
/// The peak-sensitive moving average of Finagle and Linkerd: an observation above the average becomes the average; one below
/// it pulls it down with a weight of 1 - e^(-t / τ), where t is the time since the one before. Read after t without
/// observations it is e^(-t / τ) of what it was, so that a target that was slow is tried again.
///
/// One 64-bit word, so that a worker writes it with one store and others read it whole: the average as a 32-bit floating
/// point number of microseconds, and the millisecond of the last observation, of 49 days.
public struct PeakAverage: Sendable, Equatable {
    /// τ
    public static let decay = Nanoseconds.seconds(10)
    /// Longer answer times count as this: 67 s.
    public static let microsecondsMax = 1 << 26

    /// 0: never observed.
    public let word: UInt64

    @inlinable public init(word: UInt64 = 0) { self.word = word }

    @inlinable init(_ microseconds: Float, _ stamp: UInt32) {
        // 0 is for "never": a time of 0 is the least that is above it.
        word = UInt64(max(microseconds, .leastNormalMagnitude).bitPattern) << 32 | UInt64(stamp)
    }

    @inlinable var microseconds: Float { Float(bitPattern: UInt32(truncatingIfNeeded: word >> 32)) }

    @inlinable static func stamp(_ time: MonotonicTime) -> UInt32 {
        UInt32(truncatingIfNeeded: time.nanoseconds / 1_000_000)
    }

    /// e^(-t / τ) of the time since the last observation. Clocks of workers may differ: what is in the future is now.
    @inlinable func remainder(at now: MonotonicTime) -> Float {
        let elapsed = Int32(bitPattern: Self.stamp(now) &- UInt32(truncatingIfNeeded: word))
        guard elapsed > 0 else { return 1 }
        return exponential(Float(elapsed) * Float(1e6 / Double(Self.decay.count)))
    }

    /// - Returns: the average with one more answer in it.
    @inlinable public func observing(_ time: Nanoseconds, at now: MonotonicTime) -> PeakAverage {
        let new = Float(max(0, time.count)) / 1_000
        guard word != 0, new < microseconds else { return PeakAverage(new, Self.stamp(now)) }
        let kept = remainder(at: now)
        return PeakAverage(microseconds * kept + new * (1 - kept), Self.stamp(now))
    }

    /// - Returns: the average with a try in it that failed: twice what it was, or the time it took where that is longer. What
    ///   fails quickly must not look quick.
    @inlinable public func observingFailure(_ time: Nanoseconds, at now: MonotonicTime) -> PeakAverage {
        let doubled = word == 0 ? 0 : min(2 * microseconds, Float(Self.microsecondsMax))
        return PeakAverage(max(doubled, Float(max(0, time.count)) / 1_000), Self.stamp(now))
    }

    /// - Returns: the average after a flow that was given up without an answer: no less than the time it took.
    @inlinable public func observingWait(_ time: Nanoseconds, at now: MonotonicTime) -> PeakAverage {
        let waited = Float(max(0, time.count)) / 1_000
        guard word != 0, waited > microseconds * remainder(at: now) else { return self }
        return PeakAverage(waited, Self.stamp(now))
    }

    /// - Returns: microseconds, 1...``microsecondsMax``; `nil` when nothing was ever observed.
    @inlinable public func value(at now: MonotonicTime) -> Int? {
        guard word != 0 else { return nil }
        let value = microseconds * remainder(at: now)
        return value >= Float(Self.microsecondsMax) ? Self.microsecondsMax : max(1, Int(value))
    }
}

/// e^-x for x above 0, right to 1 in 10,000, by additions and multiplications.
@inlinable func exponential(_ x: Float) -> Float {
    let powers = x * 1.442695
    guard powers < 60 else { return 0 }
    let whole = Int32(powers)  // And not `rounded`, which is a call on machines without SSE 4.1.
    let part = powers - Float(whole)
    // 2^-part on 0..<1, by the series of e^(-part ln 2).
    let y = part * 0.6931472
    let series = 1 - y * (1 - y / 2 * (1 - y / 3 * (1 - y / 4 * (1 - y / 5 * (1 - y / 6)))))
    return series * Float(bitPattern: UInt32(bitPattern: 127 - whole) << 23)
}
