import CBytes

/// A number as sixteen hexadecimal digits in lower case, eight to a word; in each the first one lowest.
public struct HexadecimalText: Equatable, Sendable {
    /// The digits of the upper 32 bits.
    public let high: UInt64
    /// The digits of the lower 32 bits.
    public let low: UInt64

    /// Cost: about 12 instructions.
    @inlinable @inline(__always) public init(_ number: UInt64) {
        let words = poise_hexadecimal(number)
        (high, low) = (words.first, words.second)
    }

    /// By the arithmetic of machines without SSE2; for the tests, which compare.
    public init(portable number: UInt64) {
        let words = poise_portable_hexadecimal(number)
        (high, low) = (words.first, words.second)
    }
}
