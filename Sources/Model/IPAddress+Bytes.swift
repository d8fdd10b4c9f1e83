extension IPAddress {
    /// Reads the text form of an address, all of `bytes`: dotted decimal, or RFC 4291 §2.2 with `::` and with an
    /// IPv4 tail. Strict, because the text comes from the network: no leading zeros in IPv4 (some read them as
    /// octal), no zone, no brackets, no spaces. `nil` for anything else. Does not allocate.
    public init?(ipv4Or6 bytes: Span<UInt8>) {
        if let bits = Self.readIPv4(bytes, from: 0) {
            self.init(v4: bits)
        } else if let bits = Self.readIPv6(bytes) {
            self.init(v6: bits)
        } else {
            return nil
        }
    }

    /// Dotted decimal from `start` to the end.
    private static func readIPv4(_ bytes: Span<UInt8>, from start: Int) -> UInt32? {
        var (bits, octets, index): (UInt32, Int, Int) = (0, 0, start)
        while true {
            let first = index
            var value: UInt32 = 0
            while index < bytes.count, index - first < 3, bytes[index] &- 0x30 < 10 {
                value = value * 10 + UInt32(bytes[index] - 0x30)
                index += 1
            }
            guard index > first, value <= 255, index == first + 1 || bytes[first] != 0x30 else { return nil }
            bits = bits << 8 | value
            octets += 1
            if octets == 4 { return index == bytes.count ? bits : nil }
            guard index < bytes.count, bytes[index] == UInt8(ascii: ".") else { return nil }
            index += 1
        }
    }

    private static func readIPv6(_ bytes: Span<UInt8>) -> UInt128? {
        let colon = UInt8(ascii: ":")
        var (bits, groups, index): (UInt128, Int, Int) = (0, 0, 0)
        // How many groups stand before `::`.
        var gap: Int?
        if bytes.count >= 2, bytes[0] == colon, bytes[1] == colon { (gap, index) = (0, 2) }
        while index < bytes.count {
            let first = index
            var value: UInt128 = 0
            while index < bytes.count, index - first < 4, let digit = hexDigit(bytes[index]) {
                value = value << 4 | UInt128(digit)
                index += 1
            }
            guard index > first else { return nil }
            if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
                guard let tail = readIPv4(bytes, from: first), groups <= 6 else { return nil }
                (bits, groups) = (bits << 32 | UInt128(tail), groups + 2)
                break
            }
            guard groups < 8 else { return nil }
            (bits, groups) = (bits << 16 | value, groups + 1)
            if index == bytes.count { break }
            guard bytes[index] == colon, index + 1 < bytes.count else { return nil }
            index += 1
            if bytes[index] == colon {
                guard gap == nil else { return nil }
                gap = groups
                index += 1
            }
        }
        guard let gap else { return groups == 8 ? bits : nil }
        guard groups < 8 else { return nil }
        let tailWidth = UInt128(16 * (groups - gap))
        let head = bits >> tailWidth
        return head << UInt128(16 * (8 - gap)) | bits & ((1 << tailWidth) - 1)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }

    /// Writes the address as RFC 5952 wants it (`192.0.2.1`, `2001:db8::1`, `::ffff:192.0.2.1`), without brackets:
    /// at most 45 bytes, no allocation.
    public func appendText<Sink: ByteSink & ~Copyable>(to sink: inout Sink) {
        switch family {
        case .v4: Self.appendIPv4(UInt32(truncatingIfNeeded: bits), to: &sink)
        case .v6: appendIPv6(to: &sink)
        }
    }

    private static func appendIPv4<Sink: ByteSink & ~Copyable>(_ bits: UInt32, to sink: inout Sink) {
        for shift in stride(from: UInt32(24), through: 0, by: -8) {
            let octet = UInt8(truncatingIfNeeded: bits >> shift)
            if octet >= 100 { sink.append(0x30 + octet / 100) }
            if octet >= 10 { sink.append(0x30 + octet / 10 % 10) }
            sink.append(0x30 + octet % 10)
            if shift > 0 { sink.append(UInt8(ascii: ".")) }
        }
    }

    private func group(_ index: Int) -> UInt16 { UInt16(truncatingIfNeeded: bits >> UInt128(16 * (7 - index))) }

    private func appendIPv6<Sink: ByteSink & ~Copyable>(to sink: inout Sink) {
        let isMapped = bits >> 32 == 0xFFFF
        let groupsEnd = isMapped ? 6 : 8
        // RFC 5952 §4.2: the longest run of two or more zero groups, the first of equals.
        var gap = 0..<0
        var runStart = 0
        for index in 0..<groupsEnd {
            if group(index) != 0 { runStart = index + 1 }
            if index + 1 - runStart > max(gap.count, 1) { gap = runStart..<index + 1 }
        }
        var index = 0
        while index < groupsEnd {
            if index == gap.lowerBound, !gap.isEmpty {
                sink.append(UInt8(ascii: ":"))
                if index == 0 { sink.append(UInt8(ascii: ":")) }
                index = gap.upperBound
                continue
            }
            let value = group(index)
            var shift: UInt16 = 12
            while shift > 0, value >> shift == 0 { shift -= 4 }
            while true {
                let digit = UInt8(value >> shift & 15)
                sink.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
                if shift == 0 { break }
                shift -= 4
            }
            index += 1
            if index < 8 { sink.append(UInt8(ascii: ":")) }
        }
        if isMapped { Self.appendIPv4(UInt32(truncatingIfNeeded: bits), to: &sink) }
    }
}

extension ByteSink where Self: ~Copyable {
    /// A port in decimal.
    public mutating func appendPort(_ port: UInt16) {
        var divisor: UInt16 = 10_000
        while divisor > 1, port / divisor == 0 { divisor /= 10 }
        while divisor > 0 {
            append(0x30 + UInt8(port / divisor % 10))
            divisor /= 10
        }
    }
}
