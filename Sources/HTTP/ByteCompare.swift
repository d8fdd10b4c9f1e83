import PoiseBytes

/// Whether the bytes of `range` are `text`, ASCII letters compared without case.
/// - Parameter text: ASCII in lower case.
public func equalsIgnoringCase(_ bytes: Span<UInt8>, _ range: ByteRange, _ text: String) -> Bool {
    let text = text.utf8.span
    guard range.count == text.count else { return false }
    for index in 0..<text.count where lowerCased(bytes[range.start + index]) != text[index] { return false }
    return true
}

/// Whether two pieces of text are the same, ASCII letters compared without case.
public func equalsIgnoringCase(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    for index in left.indices where lowerCased(left[index]) != lowerCased(right[index]) { return false }
    return true
}

/// Whether two ranges of one buffer hold the same bytes, ASCII letters compared without case.
public func equalsIgnoringCase(_ bytes: Span<UInt8>, _ left: ByteRange, _ right: ByteRange) -> Bool {
    guard left.count == right.count else { return false }
    for index in 0..<left.count
    where lowerCased(bytes[left.start + index]) != lowerCased(bytes[right.start + index]) {
        return false
    }
    return true
}

/// Whether the bytes of `range` are a token: one or more `tchar`. RFC 9110 §5.6.2
public func isToken(_ bytes: Span<UInt8>, _ range: ByteRange) -> Bool {
    !range.isEmpty && endOfToken(bytes, from: range.start, to: range.end) == range.end
}

/// The number that the bytes of `range` write: one or more digits and nothing else; nil otherwise, and on overflow.
public func decimalValue(_ bytes: Span<UInt8>, _ range: ByteRange) -> Int? {
    let (start, count) = (range.start, range.count)
    guard count > 0 else { return nil }
    if count <= 8 {
        // All digits at once: those that are missing in front are zeros.
        let missing = UInt64(truncatingIfNeeded: 64 &- 8 &* count)
        var digits = (bytes.word(at: start, count: count) &<< missing) ^ (0x3030_3030_3030_3030 &<< missing)
        // A byte above 9 reaches 128 when 118 is added, or was there before; a carry comes only from such a byte.
        guard (digits &+ 0x7676_7676_7676_7676 | digits) & 0x8080_8080_8080_8080 == 0 else { return nil }
        digits = (digits &* 10 &+ digits &>> 8) & 0x00FF_00FF_00FF_00FF
        digits = (digits &* 100 &+ digits &>> 16) & 0x0000_FFFF_0000_FFFF
        return Int(truncatingIfNeeded: (digits &* 10_000 &+ digits &>> 32) & 0xFFFF_FFFF)
    }
    var value = 0
    if range.count <= 18 {  // Below 10^18: no overflow.
        for index in range.indices {
            guard let digit = decimalDigit(bytes[index]) else { return nil }
            value = value &* 10 &+ digit
        }
        return value
    }
    for index in range.indices {
        guard let digit = decimalDigit(bytes[index]) else { return nil }
        let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
        let (sum, carry) = tens.addingReportingOverflow(digit)
        guard !overflow, !carry else { return nil }
        value = sum
    }
    return value
}

@inline(__always) func lowerCased(_ byte: UInt8) -> UInt8 {
    byte &- 0x41 < 26 ? byte | 0x20 : byte
}

/// A comma-separated list (`#element`, RFC 9110 §5.6.1) taken apart without copies: empty elements are skipped, the
/// white space around an element is not part of it. Quoted strings are not looked into: use it where elements are
/// tokens.
struct ListElements {
    private var position: Int
    private let end: Int

    init(_ range: ByteRange) { (position, end) = (range.start, range.end) }

    /// - Returns: nil after the last element.
    mutating func next(_ bytes: Span<UInt8>) -> ByteRange? {
        while position < end {
            var start = position
            while position < end, bytes[position] != ASCII.comma { position += 1 }
            var stop = position
            position += 1
            while start < stop, isBlank(bytes[start]) { start += 1 }
            while start < stop, isBlank(bytes[stop - 1]) { stop -= 1 }
            if start < stop { return ByteRange(start..<stop) }
        }
        return nil
    }
}

/// SP or HTAB.
@inline(__always) func isBlank(_ byte: UInt8) -> Bool { byte == ASCII.space || byte == ASCII.tab }
