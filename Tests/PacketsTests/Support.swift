import PoiseModel
import PoisePackets

/// SplitMix64: the same sequence for the same seed on every machine.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}

func parse(_ bytes: [UInt8]) -> ProxyProtocolHeader.Parse { ProxyProtocolHeader.parse(bytes.span) }

/// Without what ``ProxyProtocolFieldsTests`` looks at.
func parseAddresses(_ bytes: [UInt8]) -> ProxyProtocolHeader.Parse {
    guard case .complete(var header, let consumed) = parse(bytes) else { return parse(bytes) }
    (header.fields, header.unixPath) = (ProxyProtocolFields(), nil)
    return .complete(header, consumed: consumed)
}

func encode(_ header: ProxyProtocolHeader, hasChecksum: Bool = false) -> [UInt8] {
    var bytes: [UInt8] = []
    header.encode(into: &bytes, hasChecksum: hasChecksum)
    return bytes
}

func endpoint(_ address: String, _ port: UInt16) -> ProxyProtocolHeader.Endpoint {
    let bytes = Array(address.utf8)
    return ProxyProtocolHeader.Endpoint(address: IPAddress(ipv4Or6: bytes.span)!, port: port)
}

/// `nil` where either address is.
func endpoints(
    _ source: String?, _ sourcePort: UInt16, _ destination: String?, _ destinationPort: UInt16
) -> ProxyProtocolHeader.Endpoints? {
    guard let source, let destination else { return nil }
    return ProxyProtocolHeader.Endpoints(
        source: endpoint(source, sourcePort), destination: endpoint(destination, destinationPort))
}

/// A version 2 preamble with any fixed bytes and block; `length` overrides the true one.
func binary(_ command: UInt8, _ family: UInt8, _ block: [UInt8], length: Int? = nil) -> [UInt8] {
    let length = length ?? block.count
    return [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, command, family]
        + [UInt8(length >> 8), UInt8(length & 255)] + block
}

let block4: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 2, 0x04, 0x00, 0x01, 0xBB]
let block6: [UInt8] =
    [0x20, 0x01, 0x0D, 0xB8] + Array(repeating: 0, count: 11) + [1]
    + [0x20, 0x01, 0x0D, 0xB8] + Array(repeating: 0, count: 11) + [2] + [0xFF, 0xFF, 0, 0]
