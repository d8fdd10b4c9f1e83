import PoiseModel

/// Version 2, section 2.2: signature (12 bytes), version and command, family and transport, length (2), then the
/// addresses and type-length-value fields.
extension ProxyProtocolHeader {
    static let fixedBytes = 16
    /// Of each of the two in a block of AF_UNIX.
    static let unixPathBytes = 108

    static func parseBinary(_ bytes: Span<UInt8>) -> Parse {
        for index in 0..<min(bytes.count, signature.count) where bytes[index] != signature[index] {
            return .refused(.noSignature)
        }
        // Each byte is judged as soon as it is there: a wrong one must not wait for a block that may never come.
        guard bytes.count > 12 else { return .needMore }
        guard bytes[12] >> 4 == 2, let command = Command(rawValue: bytes[12] & 15) else { return .refused(.badCommand) }
        guard bytes.count > 13 else { return .needMore }
        let isLocal = command == .local
        let family = bytes[13] >> 4
        let transport = Transport(rawValue: bytes[13] & 15)
        // Section 2.2: with LOCAL the block is discarded, the family included.
        guard isLocal || family <= 3 && transport != nil else { return .refused(.badFamily) }
        guard bytes.count >= fixedBytes else { return .needMore }
        let length = Int(bytes[14]) << 8 | Int(bytes[15])
        let consumed = fixedBytes + length
        let hasAddresses = !isLocal && family != 0 && transport != .unspecified
        let addressBytes = hasAddresses ? (family == 1 ? 12 : family == 2 ? 36 : 216) : 0
        guard (addressBytes...blockBytesMax).contains(length) else { return .refused(.badLength) }
        guard bytes.count >= consumed else { return .needMore }

        if isLocal {
            let header = Self(version: .v2, command: .local, transport: .unspecified, endpoints: nil)
            return .complete(header, consumed: consumed)
        }
        var header = Self(version: .v2, command: .proxy, transport: transport ?? .unspecified, endpoints: nil)
        // A known family without a transport has no layout that the specification defines: nothing in it is read.
        if hasAddresses || family == 0 {
            let start = fixedBytes + addressBytes
            do throws(Refusal) {
                try checkSum(bytes.extracting(first: consumed), fieldsFrom: start)
                header.fields = try ProxyProtocolFields(bytes.extracting(start..<consumed))
            } catch { return .refused(error) }
        }
        switch addressBytes {
        case 12:
            header.endpoints = readEndpoints(bytes, addressCount: 4) { IPAddress(v4: UInt32(truncatingIfNeeded: $0)) }
        case 36: header.endpoints = readEndpoints(bytes, addressCount: 16) { IPAddress(v6: $0) }
        case 0: break
        default:
            let destination = bytes.extracting(fixedBytes + unixPathBytes..<fixedBytes + 2 * unixPathBytes)
            header.unixPath = destination.indices.prefix { destination[$0] != 0 }.map { destination[$0] }
        }
        return .complete(header, consumed: consumed)
    }

    private static func readEndpoints(
        _ bytes: Span<UInt8>, addressCount: Int, _ make: (UInt128) -> IPAddress
    ) -> Endpoints {
        func number(_ start: Int, _ count: Int) -> UInt128 {
            var value: UInt128 = 0
            for index in start..<start + count { value = value << 8 | UInt128(bytes[index]) }
            return value
        }
        let ports = fixedBytes + 2 * addressCount
        func endpoint(_ index: Int) -> Endpoint {
            Endpoint(
                address: make(number(fixedBytes + index * addressCount, addressCount)),
                port: UInt16(truncatingIfNeeded: number(ports + 2 * index, 2)))
        }
        return Endpoints(source: endpoint(0), destination: endpoint(1))
    }

    /// A checksum among the fields must be right; it is made over the whole preamble. Section 2.2.3
    private static func checkSum(_ preamble: Span<UInt8>, fieldsFrom start: Int) throws(Refusal) {
        var walk = FieldWalk(preamble, from: start)
        var stated: Range<Int>?
        while let (type, value) = try walk.next() {
            guard type == FieldType.checksum else { continue }
            guard value.count == 4, stated == nil else { throw .badField }
            stated = value
        }
        guard let stated else { return }
        var sum = CRC32C()
        // With zeros in its own place.
        for index in preamble.indices { sum.update(stated.contains(index) ? 0 : preamble[index]) }
        guard sum.value == stated.reduce(0, { $0 << 8 | UInt32(preamble[$1]) }) else { throw .badChecksum }
    }
}

/// CRC-32C (Castagnoli), as RFC 3720 §B.4 and the PROXY protocol use it. Bit by bit: it runs once per connection,
/// and only when the sender asks for it.
struct CRC32C {
    private var state: UInt32 = .max
    var value: UInt32 { ~state }

    mutating func update(_ byte: UInt8) {
        state ^= UInt32(byte)
        for _ in 0..<8 { state = state >> 1 ^ (state & 1 == 1 ? 0x82F6_3B78 : 0) }
    }
}
