import Glibc
import PoiseModel
import Testing

@Suite("Addresses from and to bytes, RFC 4291 §2.2 and RFC 5952")
struct IPAddressBytesTests {
    static func read(_ text: String) -> IPAddress? {
        let bytes = Array(text.utf8)
        return IPAddress(ipv4Or6: bytes.span)
    }

    static func write(_ address: IPAddress) -> String {
        var bytes: [UInt8] = []
        address.appendText(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(
        "reads every spelling and writes the canonical one",
        arguments: [
            ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"), ("192.0.2.1", "192.0.2.1"),
            ("10.200.30.4", "10.200.30.4"), ("::", "::"), ("::1", "::1"), ("1::", "1::"),
            ("2001:DB8::1", "2001:db8::1"),
            ("2001:db8:0:0:0:0:0:1", "2001:db8::1"), ("2001:0db8:0001:0:0:1:0:0", "2001:db8:1::1:0:0"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"), ("0:0:1::", "0:0:1::"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), ("::FFFF:c000:201", "::ffff:192.0.2.1"),
            ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
            ("fe80::a0:b", "fe80::a0:b"),
        ])
    func spelling(text: String, canonical: String) throws {
        let address = try #require(Self.read(text))
        #expect(Self.write(address) == canonical)
        #expect(Self.read(canonical) == address)
    }

    @Test(
        "refuses what is no address",
        arguments: [
            "", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.04", "1.2.3.", ".1.2.3", "1..2.3",
            "1.2.3.4 ",
            " 1.2.3.4", "1.2.3.1000", "0x1.2.3.4", "1.2.3.-4", ":", ":::", "1:", ":1", "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7:8::", "::1::", "1::2::3", "12345::", "g::", "fe80::1%eth0", "[::1]", "::1.2.3",
            "::1.2.3.4:5",
            "1.2.3.4::", "1:2:3:4:5:6:7:1.2.3.4", "::01.2.3.4", "1:::2", "1:2:3:4::5:6:7:8",
        ])
    func refusal(text: String) {
        #expect(Self.read(text) == nil)
    }

    @Test("reads back every address that it writes: all patterns of zero groups")
    func zeroRuns() {
        for zeros in 0..<256 {
            var bits: UInt128 = 0
            for group in 0..<8 { bits = bits << 16 | (zeros >> group & 1 == 1 ? 0 : 0xA0 + UInt128(group)) }
            let text = Self.write(IPAddress(v6: bits))
            #expect(Self.read(text) == IPAddress(v6: bits), "\(text)")
        }
    }

    /// What inet_pton(3) makes of a text.
    static func system(_ text: String, _ family: CInt) -> UInt128? {
        var bytes = InlineArray<16, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        // SAFETY: inet_pton writes 4 or 16 bytes, and only in this closure.
        let isAddress = unsafe span.withUnsafeMutableBufferPointer { buffer in
            unsafe inet_pton(family, text, buffer.baseAddress) == 1
        }
        guard isAddress else { return nil }
        return (0..<(family == AF_INET ? 4 : 16)).reduce(0) { $0 << 8 | UInt128(bytes[$1]) }
    }

    @Test("reads exactly what inet_pton reads: random edits of addresses", arguments: 1...10 as ClosedRange<UInt64>)
    func differential(seed: UInt64) {
        var state = seed
        func random(below limit: Int) -> Int {
            // SplitMix64
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
            return Int((z ^ z >> 31) >> 33) % limit
        }
        let starts = ["192.0.2.1", "2001:db8::1", "::ffff:10.0.0.1", "1:2:3:4:5:6:7:8", "::", "255.255.255.255"]
        let alphabet = Array("0123456789abcdefABCDEF:::...g ")
        var accepted = 0
        for _ in 0..<3_000 {
            var text = Array(starts[random(below: starts.count)])
            for _ in 0..<random(below: 4) {
                let index = random(below: text.count)
                switch random(below: 3) {
                case 0: text[index] = alphabet[random(below: alphabet.count)]
                case 1: text.insert(alphabet[random(below: alphabet.count)], at: index)
                default: if text.count > 1 { text.remove(at: index) }
                }
            }
            let expected =
                Self.system(String(text), AF_INET).map { IPAddress(v4: UInt32($0)) }
                ?? Self.system(String(text), AF_INET6).map { IPAddress(v6: $0) }
            #expect(Self.read(String(text)) == expected, "seed \(seed): '\(String(text))'")
            accepted += expected == nil ? 0 : 1
        }
        #expect(accepted > 500)
    }
}
