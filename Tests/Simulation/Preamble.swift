import PoiseModel
import PoiseSimulation

/// PROXY protocol headers, written by hand after "The PROXY protocol, versions 1 & 2", sections 2.1 and 2.2: they share
/// no code with Poise's own.
enum Preamble {
    /// - Returns: a header, and whom it names as the client; `nil` for the connection's own peer.
    static func random(_ random: inout SeededRandom) -> (bytes: [UInt8], client: String?) {
        let last = UInt8(random.pick(1...250))
        switch random.pick(0...4) {
        case 0: return (Array("PROXY TCP4 192.0.2.\(last) 198.51.100.1 40000 80\r\n".utf8), "192.0.2.\(last)")
        case 1:
            let hex = String(last, radix: 16)
            return (Array("PROXY TCP6 2001:db8::\(hex) 2001:db8::ffff 40000 80\r\n".utf8), "2001:db8::\(hex)")
        case 2: return (Array("PROXY UNKNOWN\r\n".utf8), nil)
        case 3: return (binary(0x20, 0x00, []), nil)  // LOCAL
        default:
            // With a field of no meaning behind the addresses: type, length, value.
            let extra: [UInt8] = [0xE0, 0, 3, 1, 2, 3]
            return (
                binary(0x21, 0x11, [192, 0, 2, last, 198, 51, 100, 1, 0x9C, 0x40, 0, 80] + extra), "192.0.2.\(last)"
            )
        }
    }

    static func isBegun(by bytes: [UInt8]) -> Bool {
        bytes.starts(with: "PROX".utf8) || bytes.starts(with: signature.prefix(4))
    }

    enum Reading {
        case needMore
        /// A header of `count` bytes, and whom it names; `nil` for nobody.
        case whole(count: Int, client: String?)
        case faulty
    }

    /// One that Poise wrote.
    static func read(_ bytes: [UInt8]) -> Reading {
        if bytes[0] == UInt8(ascii: "P") {
            guard let end = bytes.firstIndex(of: 0x0A) else { return bytes.count < 107 ? .needMore : .faulty }
            let line = String(decoding: bytes[...end], as: UTF8.self)
            if line == "PROXY UNKNOWN\r\n" { return .whole(count: end + 1, client: nil) }
            let words = line.dropLast().split(separator: " ", omittingEmptySubsequences: false)
            guard words.count == 6, ["TCP4", "TCP6"].contains(words[1]), line.hasSuffix("\r\n") else { return .faulty }
            return .whole(count: end + 1, client: String(words[2]))
        }
        guard bytes.count >= 16 else { return .needMore }
        let count = 16 + Int(bytes[14]) << 8 + Int(bytes[15])
        // PROXY: no target is told in traffic that Poise speaks for itself.
        guard bytes.starts(with: signature), bytes[12] == 0x21 else { return .faulty }
        guard bytes.count >= count else { return .needMore }
        switch bytes[13] {
        case 0x00: return .whole(count: count, client: nil)
        case 0x11: return .whole(count: count, client: bytes[16..<20].map { "\($0)" }.joined(separator: "."))
        case 0x21:
            let address = IPAddress(v6: bytes[16..<32].reduce(0) { $0 << 8 | UInt128($1) })
            return .whole(count: count, client: "\(address)")
        default: return .faulty
        }
    }

    private static let signature: [UInt8] = [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
    ]

    private static func binary(_ versionAndCommand: UInt8, _ family: UInt8, _ block: [UInt8]) -> [UInt8] {
        signature + [versionAndCommand, family, UInt8(block.count >> 8), UInt8(block.count & 255)] + block
    }
}

extension IPAddress {
    /// As X-Forwarded-For has it; IPv4 only.
    var dotted: String {
        [24, 16, 8, 0].map { "\(UInt8(truncatingIfNeeded: bits >> UInt128($0)))" }.joined(separator: ".")
    }
}
