import PoiseModel

/// Version 1, section 2.1: `PROXY TCP4 192.0.2.1 192.0.2.2 1024 443\r\n`.
extension ProxyProtocolHeader {
    static func parseLine(_ bytes: Span<UInt8>) -> Parse {
        var fields = LineFields(bytes)
        switch fields.literal("PROXY ") {
        case .prefix: return .needMore
        case .mismatch: return .refused(.noSignature)
        case .found: break
        }
        guard let end = lineEnd(bytes) else {
            return bytes.count < lineBytesMax - 1 ? .needMore : .refused(.lineTooLong)
        }
        guard bytes[end] == UInt8(ascii: "\r") else { return .refused(.badLine) }
        guard end < bytes.count - 1 else { return .needMore }
        guard bytes[end + 1] == newline else { return .refused(.badLine) }
        let consumed = end + 2
        fields.end = end

        if fields.literal("UNKNOWN") == .found {
            // Whatever else the line says must be ignored.
            guard fields.isAtEnd || fields.literal(" ") == .found else { return .refused(.badLine) }
            let header = Self(version: .v1, command: .proxy, transport: .unspecified, endpoints: nil)
            return .complete(header, consumed: consumed)
        }
        let family: IPAddress.Family
        if fields.literal("TCP4 ") == .found {
            family = .v4
        } else if fields.literal("TCP6 ") == .found {
            family = .v6
        } else {
            return .refused(.badLine)
        }
        guard let source = fields.address(family), let destination = fields.address(family) else {
            return .refused(.badAddress)
        }
        guard let sourcePort = fields.port(isLast: false), let destinationPort = fields.port(isLast: true) else {
            return .refused(.badPort)
        }
        let endpoints = Endpoints(
            source: Endpoint(address: source, port: sourcePort),
            destination: Endpoint(address: destination, port: destinationPort))
        let header = Self(version: .v1, command: .proxy, transport: .stream, endpoints: endpoints)
        return .complete(header, consumed: consumed)
    }

    private static let newline = UInt8(ascii: "\n")

    /// The offset of the first byte that cannot be inside of the line. Unless it is a CR, the line is bad.
    private static func lineEnd(_ bytes: Span<UInt8>) -> Int? {
        for index in 0..<min(bytes.count, lineBytesMax - 1) {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\r") || byte == newline || byte == 0 { return index }
        }
        return nil
    }
}

/// Reads the words of a line from left to right.
private struct LineFields: ~Escapable {
    let bytes: Span<UInt8>
    var index = 0
    /// The offset of the line's CR.
    var end: Int

    enum Literal { case found, prefix, mismatch }

    @_lifetime(copy bytes)
    init(_ bytes: Span<UInt8>) {
        self.bytes = bytes
        end = bytes.count
    }

    var isAtEnd: Bool { index == end }

    /// Steps over `text` if it comes next. `prefix`: the bytes end inside of it.
    mutating func literal(_ text: String) -> Literal {
        var next = index
        for wanted in text.utf8 {
            if next == end { return .prefix }
            if bytes[next] != wanted { return .mismatch }
            next += 1
        }
        index = next
        return .found
    }

    /// An address of that family and the space behind it.
    mutating func address(_ family: IPAddress.Family) -> IPAddress? {
        let start = index
        while index < end, bytes[index] != UInt8(ascii: " ") { index += 1 }
        guard index < end, let address = IPAddress(ipv4Or6: bytes.extracting(start..<index)), address.family == family
        else { return nil }
        index += 1
        return address
    }

    /// A decimal port 0...65535 without leading zeros, then a space or the end of the line.
    mutating func port(isLast: Bool) -> UInt16? {
        let start = index
        var value: UInt32 = 0
        while index < end, index - start < 5, bytes[index] &- 0x30 < 10 {
            value = value * 10 + UInt32(bytes[index] - 0x30)
            index += 1
        }
        guard index > start, index == start + 1 || bytes[start] != 0x30 else { return nil }
        if isLast { return isAtEnd ? UInt16(exactly: value) : nil }
        guard index < end, bytes[index] == UInt8(ascii: " ") else { return nil }
        index += 1
        return UInt16(exactly: value)
    }
}
