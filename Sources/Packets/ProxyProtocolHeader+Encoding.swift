import PoiseModel

extension ProxyProtocolHeader {
    /// Writes the preamble.
    ///
    /// Without addresses that the version can carry (`endpoints` is `nil`; version 1 and no stream) it says
    /// `UNKNOWN` or UNSPEC. One IPv4 and one IPv6 address go out as two IPv6 addresses, the former mapped.
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
        let endpoints = transport == .unspecified ? nil : sameFamilyEndpoints
        let addressCount = endpoints.map { $0.source.address.family == .v4 ? 4 : 16 } ?? 0
        let fieldsCount = hasChecksum ? 7 : 0
        var sum = CRC32C()
        func put(_ byte: UInt8) {
            sum.update(byte)
            sink.append(byte)
        }
        func put(_ number: UInt128, bytes count: Int) {
            for index in (0..<count).reversed() { put(UInt8(truncatingIfNeeded: number >> UInt128(8 * index))) }
        }
        for index in Self.signature.indices { put(Self.signature[index]) }
        put(0x20 | command.rawValue)
        put(endpoints == nil ? 0 : (addressCount == 4 ? 0x10 : 0x20) | transport.rawValue)
        put(UInt128((endpoints == nil ? 0 : 2 * addressCount + 4) + fieldsCount), bytes: 2)
        if let endpoints {
            put(endpoints.source.address.bits, bytes: addressCount)
            put(endpoints.destination.address.bits, bytes: addressCount)
            put(UInt128(endpoints.source.port), bytes: 2)
            put(UInt128(endpoints.destination.port), bytes: 2)
        }
        if hasChecksum {
            put(Self.checksumField)
            put(4, bytes: 2)
            // The sum is made with zeros in its own place.
            for _ in 0..<4 { sum.update(0) }
            let value = UInt128(sum.value)
            put(value, bytes: 4)
        }
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
