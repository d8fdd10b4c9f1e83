import PoiseBytes

/// `host [ ":" port ]` of a `Host` field or request target, checked. RFC 9110 §7.2, RFC 3986 §3.2.2
public struct Authority: Sendable, Equatable {
    /// Without the port; an IPv6 address keeps its brackets.
    public let host: ByteRange
    /// nil where none is written (`shop.test` and `shop.test:`).
    public let port: UInt16?

    /// - Returns: nil for an empty host, user information, white space, a port above 65535, a broken IPv6 literal, an
    ///   IPvFuture literal, a zone, or any byte that the grammar has not; also for `a..b` and `.a`, which the grammar has
    ///   but no name server, and which become path traversal where a host names a directory.
    public init?(_ bytes: Span<UInt8>, _ range: ByteRange) {
        let end = range.end
        // Nearly every host is labels with dots between, alone or with a port behind.
        var position = bytes.endOfLabels(from: range.start, to: end)
        if position < end, bytes[position] != ASCII.colon {
            guard let hostEnd = Self.endOfHost(bytes, range) else { return nil }
            position = hostEnd
        }
        // 255 bytes is what DNS can name; an address is shorter.
        guard position > range.start, position - range.start <= 255 else { return nil }
        host = ByteRange(range.start..<position)
        guard position < end else {
            port = nil
            return
        }
        guard bytes[position] == ASCII.colon else { return nil }
        let digits = ByteRange(position + 1..<end)
        if digits.isEmpty {
            port = nil
        } else {
            guard digits.count <= 5, let number = decimalValue(bytes, digits), number <= 65535 else { return nil }
            port = UInt16(number)
        }
    }

    /// The end of a host in any form, or the first byte that belongs to none.
    private static func endOfHost(_ bytes: Span<UInt8>, _ range: ByteRange) -> Int? {
        var position = range.start
        let end = range.end
        if bytes[position] == ASCII.openBracket {
            position += 1
            let start = position
            while position < end, bytes[position] != ASCII.closeBracket { position += 1 }
            guard position < end, isIPv6Address(bytes, ByteRange(start..<position)) else { return nil }
            return position + 1
        }
        var labelStart = position
        while position < end {
            switch bytes[position] {
            case ASCII.dot:
                guard position > labelStart else { return nil }
                position += 1
                labelStart = position
            case ASCII.percent:
                guard position + 2 < end, hexadecimalDigit(bytes[position + 1]) != nil,
                    hexadecimalDigit(bytes[position + 2]) != nil
                else { return nil }
                position += 3
            default:
                let start = position
                position = bytes.endOfName(from: position, to: end)
                while position < end, ByteClass.registeredName.contains(bytes[position]) { position += 1 }
                if position == start { return position }
            }
        }
        return position
    }
}

/// Whether the bytes are an IPv6 address without brackets or zone. RFC 3986 §3.2.2, RFC 4291 §2.2
public func isIPv6Address(_ bytes: Span<UInt8>, _ range: ByteRange) -> Bool {
    var position = range.start
    let end = range.end
    var groups = 0
    var isCompressed = false
    if position + 1 < end, bytes[position] == ASCII.colon, bytes[position + 1] == ASCII.colon {
        isCompressed = true
        position += 2
        if position == end { return true }
    }
    while true {
        let start = position
        while position < end, hexadecimalDigit(bytes[position]) != nil { position += 1 }
        if position < end, bytes[position] == ASCII.dot {
            groups += 2
            guard isIPv4Address(bytes, ByteRange(start..<end)) else { return false }
            break
        }
        guard (1...4).contains(position - start) else { return false }
        groups += 1
        if position == end { break }
        guard bytes[position] == ASCII.colon, groups < 8 else { return false }
        position += 1
        if position < end, bytes[position] == ASCII.colon {
            guard !isCompressed else { return false }
            isCompressed = true
            position += 1
            if position == end { break }
        }
    }
    return isCompressed ? groups <= 7 : groups == 8
}

/// Whether the bytes are four decimal numbers 0...255 without leading zeros, with dots between. RFC 3986 §3.2.2
public func isIPv4Address(_ bytes: Span<UInt8>, _ range: ByteRange) -> Bool {
    var position = range.start
    for part in 0..<4 {
        if part > 0 {
            guard position < range.end, bytes[position] == ASCII.dot else { return false }
            position += 1
        }
        let start = position
        while position < range.end, decimalDigit(bytes[position]) != nil { position += 1 }
        let digits = ByteRange(start..<position)
        guard digits.count <= 3, let number = decimalValue(bytes, digits), number <= 255 else { return false }
        guard digits.count == 1 || bytes[start] != ASCII.zero else { return false }
    }
    return position == range.end
}
