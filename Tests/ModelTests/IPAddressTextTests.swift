import PoiseModel
import Testing

@Suite("Text form of addresses, RFC 4291 §2.2 and RFC 5952")
struct IPAddressTextTests {
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
}
