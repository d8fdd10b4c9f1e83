import PoiseBytes
import PoiseModel

/// Numbers as text, eight digits in one word: each step works on all of them at once.
extension ByteSink where Self: ~Copyable {
    /// Appends a number in decimal digits, without leading zeros. Cost: about 30 instructions up to 8 digits.
    @inlinable public mutating func appendDecimal(_ number: some FixedWidthInteger & UnsignedInteger) {
        appendDecimal(word: UInt64(number))
    }

    /// Appends a number in decimal digits, with a minus sign where it is negative.
    @inlinable public mutating func appendDecimal(_ number: Int) {
        if number < 0 { append(0x2D) }
        appendDecimal(word: UInt64(number.magnitude))
    }

    @inlinable mutating func appendDecimal(word number: UInt64) {
        let eight: UInt64 = 100_000_000
        if number < 10 {
            append(UInt8(truncatingIfNeeded: number) | 0x30)
        } else if number < eight {
            let digits = decimalDigits(number)
            let zeros = digits.trailingZeroBitCount & ~7
            append(
                word: (digits | 0x3030_3030_3030_3030) &>> UInt64(truncatingIfNeeded: zeros), count: 8 &- zeros &>> 3)
        } else {
            appendLongDecimal(number)
        }
    }

    @inlinable @inline(never) mutating func appendLongDecimal(_ number: UInt64) {
        let eight: UInt64 = 100_000_000
        appendDecimal(word: number / eight)
        append(word: decimalDigits(number % eight) | 0x3030_3030_3030_3030, count: 8)
    }

    /// Appends a number in lower-case hexadecimal digits, without leading zeros.
    @inlinable public mutating func appendHex(_ number: UInt64) {
        appendHex(number, digits: Swift.max(1, (67 &- number.leadingZeroBitCount) &>> 2))
    }

    /// Appends the lowest `digits` (1...16) hexadecimal digits of a number, in lower case.
    @inlinable @inline(__always) public mutating func appendHex(_ number: UInt64, digits: Int) {
        precondition(1...16 ~= digits)
        let text = HexadecimalText(number)
        if digits <= 8 {
            append(word: text.low &>> UInt64(truncatingIfNeeded: 8 &* (8 &- digits)), count: digits)
            return
        }
        append(word: text.high &>> UInt64(truncatingIfNeeded: 8 &* (16 &- digits)), count: digits &- 8)
        append(word: text.low, count: 8)
    }

    /// Appends a number below 100 as two decimal digits.
    @inlinable mutating func appendTwoDigits(_ number: Int) {
        append(UInt8(number / 10) + 0x30)
        append(UInt8(number % 10) + 0x30)
    }
}

/// The eight decimal digits of a number below 100,000,000, one to a byte, the first one lowest.
///
/// Splits 8 digits into 4 and 4, those into 2 and 2, those into 1 and 1. A quotient is a product with a rounded
/// reciprocal, right for every value that can stand there (10486/2^20 up to 9999, 103/2^10 up to 99).
@inlinable @inline(__always)
func decimalDigits(_ number: UInt64) -> UInt64 {
    let fours = number / 10_000 | (number % 10_000) &<< 32
    let hundreds = (fours &* 10_486) &>> 20 & 0x0000_007F_0000_007F
    let twos = hundreds | (fours &- hundreds &* 100) &<< 16
    let tens = (twos &* 103) &>> 10 & 0x000F_000F_000F_000F
    return tens | (twos &- tens &* 10) &<< 8
}
