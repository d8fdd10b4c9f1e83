/// As many random numbers as are needed, from the one it was given: for picks, phases and statistics, not for secrets.
///
/// SplitMix64: a counter and a mixer. Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number
/// Generators", OOPSLA 2014, with Stafford's variant 13 of the mixer.
public struct RandomSequence: Sendable {
    @usableFromInline var state: UInt64

    @inlinable public init(seed: UInt64) { state = seed }

    @inlinable public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return mix64(state)
    }
}

/// Spreads every bit of `value` over all 64; one to one.
@inlinable public func mix64(_ value: UInt64) -> UInt64 {
    var bits = value
    bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
    return bits ^ (bits >> 31)
}

/// A number in `0..<bound` from 32 random bits, by multiplication: the error is below `bound` / 2^32.
@inlinable func scaled(_ bits: UInt32, below bound: Int) -> Int {
    Int((UInt64(bits) &* UInt64(truncatingIfNeeded: bound)) >> 32)
}
