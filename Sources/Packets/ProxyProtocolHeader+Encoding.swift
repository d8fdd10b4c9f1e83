import PoiseModel

extension ProxyProtocolHeader {
    /// Writes the preamble.
    ///
    /// Without addresses that the version can carry (neither `endpoints` nor `unixPath`; version 1 and no stream or a unix
    /// path) it says `UNKNOWN` or UNSPEC. Version 1 and LOCAL carry no fields. One IPv4 and one IPv6 address go out as two IPv6 addresses, the former mapped.
    ///
    /// - Parameter hasChecksum: version 2 only: adds a CRC-32C field.
    public func encode<Sink: ByteSink & ~Copyable>(into sink: inout Sink, hasChecksum: Bool = false) {
        switch version {
        case .v1: encodeLine(into: &sink)
        case .v2: encodeBinary(into: &sink, hasChecksum: hasChecksum)
        }
    }

    /// Both addresses in one family.
    private var sameFamilyEndpoints: Endpoints? {
        guard command == .proxy, var endpoints else { return nil }
        if endpoints.source.address.family != endpoints.destination.address.family {
            endpoints.source.address = endpoints.source.address.mapped
            endpoints.destination.address = endpoints.destination.address.mapped
        }
        return endpoints
    }

    private func encodeLine<Sink: ByteSink & ~Copyable>(into sink: inout Sink) {
        guard transport == .stream, let endpoints = sameFamilyEndpoints else {
            return sink.append("PROXY UNKNOWN\r\n")
        }
        sink.append(endpoints.source.address.family == .v4 ? "PROXY TCP4 " : "PROXY TCP6 ")
        endpoints.source.address.appendText(to: &sink)
        sink.append(" ")
        endpoints.destination.address.appendText(to: &sink)
        sink.append(" ")
        sink.appendPort(endpoints.source.port)
        sink.append(" ")
        sink.appendPort(endpoints.destination.port)
        sink.append("\r\n")
    }

    private func encodeBinary<Sink: ByteSink & ~Copyable>(into sink: inout Sink, hasChecksum: Bool) {
        var block: [UInt8] = []
        var family: UInt8 = 0
        if transport != .unspecified, let endpoints = sameFamilyEndpoints {
            let isFour = endpoints.source.address.family == .v4
            family = (isFour ? 0x10 : 0x20) | transport.rawValue
            block.append(endpoints.source.address.bits, bytes: isFour ? 4 : 16)
            block.append(endpoints.destination.address.bits, bytes: isFour ? 4 : 16)
            block.append(UInt128(endpoints.source.port), bytes: 2)
            block.append(UInt128(endpoints.destination.port), bytes: 2)
        } else if transport != .unspecified, command == .proxy, let unixPath {
            family = 0x30 | transport.rawValue
            let path = unixPath.prefix(Self.unixPathBytes)
            block.append(contentsOf: repeatElement(0, count: Self.unixPathBytes))
            block.append(contentsOf: path)
            block.append(contentsOf: repeatElement(0, count: Self.unixPathBytes - path.count))
        }
        if command == .proxy { fields.encode(into: &block) }

        var bytes = Self.signature.indices.map { Self.signature[$0] }
        bytes.append(0x20 | command.rawValue)
        bytes.append(family)
        bytes.append(UInt128(block.count + (hasChecksum ? 7 : 0)), bytes: 2)
        bytes.append(contentsOf: block)
        if hasChecksum {
            bytes.append(FieldType.checksum)
            bytes.append(4, bytes: 2)
            var sum = CRC32C()
            for byte in bytes { sum.update(byte) }
            // The sum is made with zeros in its own place.
            for _ in 0..<4 { sum.update(0) }
            bytes.append(UInt128(sum.value), bytes: 4)
        }
        sink.append(bytes.span)
    }
}

extension [UInt8] {
    /// The last `count` bytes of a number, the highest first.
    fileprivate mutating func append(_ number: UInt128, bytes count: Int) {
        for index in (0..<count).reversed() { append(UInt8(truncatingIfNeeded: number >> UInt128(8 * index))) }
    }
}

extension IPAddress {
    /// `192.0.2.1` as `::ffff:192.0.2.1`; an IPv6 address as it is.
    fileprivate var mapped: IPAddress { family == .v6 ? self : IPAddress(v6: 0xFFFF << 32 | bits) }
}

extension ByteSink where Self: ~Copyable {
    fileprivate mutating func append(_ text: String) {
        for byte in text.utf8 { append(byte) }
    }
}
