/// Repeatable random numbers: everything of a simulation comes from one of these.
///
/// SplitMix64. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
public struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(_ seed: UInt64) { state = seed &* 0x2545_F491_4F6C_DD1D &+ 0x1234_5678_9ABC_DEF1 }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// Uniform enough for a test: the modulus' bias is below 2^-40 for every range in use.
    public mutating func pick(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(next() % UInt64(range.upperBound - range.lowerBound + 1))
    }

    public mutating func pick<Element>(_ elements: [Element]) -> Element { elements[pick(0...elements.count - 1)] }

    public mutating func chance(percent: Int) -> Bool { pick(0...99) < percent }

    /// Small numbers often, `max` sometimes: the logarithm is what is uniform.
    public mutating func size(upTo max: Int) -> Int {
        guard max > 0 else { return 0 }
        let bits = Int.bitWidth - max.leadingZeroBitCount
        return min(max, pick(0...(1 << pick(0...bits)) - 1))
    }
}
