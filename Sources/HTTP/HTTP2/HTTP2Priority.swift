/// How urgently a client wants an answer. RFC 9218 §4
public struct HTTP2Priority: Sendable, Hashable {
    /// 0 (first) ... 7
    public var urgency: UInt8 = 3
    /// Parts of it are of use, so answers of the same urgency may take turns.
    public var isIncremental = false

    public init() {}

    init(_ bytes: Span<UInt8>, _ value: ByteRange) { read(bytes, value) }

    /// Reads `u=` and `i` of a `priority` value; whatever else it says, or says wrong, is ignored. RFC 9218 §4.3
    private mutating func read(_ bytes: Span<UInt8>, _ value: ByteRange) {
        var elements = ListElements(value)
        while let element = elements.next(bytes) {
            // Parameters of a member mean nothing here.
            var end = element.start
            while end < element.end, bytes[end] != ASCII.semicolon, !isBlank(bytes[end]) { end += 1 }
            switch (bytes[element.start], end - element.start) {
            case (0x75, 3) where bytes[element.start + 1] == 0x3D:  // u=
                if let digit = decimalDigit(bytes[element.start + 2]), digit < 8 { urgency = UInt8(digit) }
            case (0x69, 1): isIncremental = true
            case (0x69, 4) where bytes[element.start + 1] == 0x3D && bytes[element.start + 2] == ASCII.questionMark:
                if bytes[element.start + 3] == 0x30 { isIncremental = false }
                if bytes[element.start + 3] == 0x31 { isIncremental = true }
            default: break
            }
        }
    }
}
