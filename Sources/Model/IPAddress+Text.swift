extension IPAddress: LosslessStringConvertible {
    /// `192.0.2.1`, `2001:db8::13`, `::ffff:192.0.2.1`. No port, no brackets, no zone, no leading zeros in IPv4.
    ///
    /// Source: RFC 4291 §2.2 for IPv6; for IPv4 the four decimal parts of RFC 3986 §3.2.2, which leave no doubt about
    /// octal numbers.
    public init?(parsing text: some StringProtocol) {
        let bytes = Array(text.utf8)
        if let bits = Self.v4Bits(bytes[...]) {
            self.init(v4: bits)
        } else if let bits = Self.v6Bits(bytes[...]) {
            self.init(v6: bits)
        } else {
            return nil
        }
    }

    public init?(_ description: String) { self.init(parsing: description) }

    /// The canonical text of RFC 5952: lower case, the longest run of zero groups (the first of equals) as `::`, a
    /// single zero group written out, IPv4-mapped addresses with a dotted end (§5).
    public var description: String {
        switch family {
        case .v4: Self.v4Text(UInt32(truncatingIfNeeded: bits))
        case .v6: bits >> 32 == 0xFFFF ? "::ffff:\(Self.v4Text(UInt32(truncatingIfNeeded: bits)))" : v6Text
        }
    }

    private static func v4Text(_ bits: UInt32) -> String {
        "\(bits >> 24).\(bits >> 16 & 255).\(bits >> 8 & 255).\(bits & 255)"
    }

    private var v6Text: String {
        let groups = (0..<8).map { UInt16(truncatingIfNeeded: bits >> UInt128(16 * (7 - $0))) }
        var longest = 0..<0
        var index = 0
        while index < 8 {
            var end = index
            while end < 8, groups[end] == 0 { end += 1 }
            if end - index > max(longest.count, 1) { longest = index..<end }
            index = max(end, index + 1)
        }
        func text(_ range: Range<Int>) -> String {
            range.map { String(groups[$0], radix: 16) }.joined(separator: ":")
        }
        guard !longest.isEmpty else { return text(0..<8) }
        return "\(text(0 ..< longest.lowerBound))::\(text(longest.upperBound ..< 8))"
    }

    private static func v4Bits(_ text: ArraySlice<UInt8>) -> UInt32? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0") else { return nil }
            var value: UInt32 = 0
            for byte in part {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + UInt32(byte - 0x30)
            }
            guard value <= 255 else { return nil }
            bits = bits << 8 | value
        }
        return bits
    }

    private static func v6Bits(_ text: ArraySlice<UInt8>) -> UInt128? {
        var head: [UInt16] = []
        var tail: [UInt16] = []
        var isCompressed = false
        var rest = text
        let colon = UInt8(ascii: ":")
        if rest.starts(with: [colon, colon]) {
            isCompressed = true
            rest = rest.dropFirst(2)
        }
        while !rest.isEmpty {
            let part = rest.prefix { $0 != colon }
            var groups: [UInt16] = []
            if part.endIndex == rest.endIndex, let v4 = v4Bits(part) {
                groups = [UInt16(v4 >> 16), UInt16(truncatingIfNeeded: v4)]
            } else {
                guard let group = hexGroup(part) else { return nil }
                groups = [group]
            }
            if isCompressed { tail += groups } else { head += groups }
            rest = rest[part.endIndex...]
            guard !rest.isEmpty else { break }
            rest = rest.dropFirst()
            if rest.first == colon {
                guard !isCompressed else { return nil }
                isCompressed = true
                rest = rest.dropFirst()
            } else if rest.isEmpty {
                return nil  // a single colon at the end
            }
        }
        let written = head.count + tail.count
        // "::" stands for at least one group: RFC 4291 §2.2 says "one or more".
        guard isCompressed ? written <= 7 : written == 8 else { return nil }
        let groups = head + Array(repeating: 0, count: 8 - written) + tail
        return groups.reduce(0) { $0 << 16 | UInt128($1) }
    }

    private static func hexGroup(_ part: ArraySlice<UInt8>) -> UInt16? {
        guard (1...4).contains(part.count) else { return nil }
        var value: UInt16 = 0
        for byte in part {
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt16(byte - 0x30)
            case 0x61...0x66: value = value << 4 | UInt16(byte - 0x61 + 10)
            case 0x41...0x46: value = value << 4 | UInt16(byte - 0x41 + 10)
            default: return nil
            }
        }
        return value
    }
}
