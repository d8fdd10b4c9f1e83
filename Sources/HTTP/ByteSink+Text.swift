import PoiseModel

extension ByteSink where Self: ~Copyable {
    /// Appends `text` as UTF-8. Cost for a literal: a copy, no allocation.
    @inlinable public mutating func append(text: String) { append(text.utf8.span) }

    /// Appends the bytes of `range`.
    @inlinable public mutating func append(_ bytes: Span<UInt8>, _ range: ByteRange) {
        append(bytes.extracting(range.start..<range.end))
    }

    /// Appends a number in decimal digits, without leading zeros.
    @inlinable public mutating func appendDecimal(_ number: some FixedWidthInteger & UnsignedInteger) {
        var rest = UInt64(number)
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var first = 20
        repeat {
            first -= 1
            digits[first] = UInt8(truncatingIfNeeded: rest % 10) + 0x30
            rest /= 10
        } while rest != 0
        append(digits.span.extracting(first..<20))
    }

    /// Appends a number in decimal digits, with a minus sign where it is negative.
    @inlinable public mutating func appendDecimal(_ number: Int) {
        if number < 0 { append(0x2D) }
        appendDecimal(number.magnitude)
    }

    /// Appends a number in lower-case hexadecimal digits, without leading zeros.
    @inlinable public mutating func appendHex(_ number: UInt64) {
        var rest = number
        var digits = InlineArray<16, UInt8>(repeating: 0)
        var first = 16
        repeat {
            first -= 1
            let digit = UInt8(truncatingIfNeeded: rest & 15)
            digits[first] = digit < 10 ? digit + 0x30 : digit + 0x57
            rest >>= 4
        } while rest != 0
        append(digits.span.extracting(first..<16))
    }

    /// Appends a number below 100 as two decimal digits.
    @inlinable mutating func appendTwoDigits(_ number: Int) {
        append(UInt8(number / 10) + 0x30)
        append(UInt8(number % 10) + 0x30)
    }
}
