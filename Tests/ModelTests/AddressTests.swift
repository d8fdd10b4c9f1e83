import Glibc
import PoiseModel
import Testing

@Suite("IP addresses, RFC 4291 §2.2 and RFC 5952")
struct IPAddressTests {
    @Test(
        "are written in the canonical form",
        arguments: [
            ("0.0.0.0", "0.0.0.0"), ("192.0.2.1", "192.0.2.1"), ("255.255.255.255", "255.255.255.255"),
            ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("2001:DB8::13", "2001:db8::13"),
            ("2001:db8:0:0:0:0:0:1", "2001:db8::1"),
            // The longest run, and the first of equal ones; never a single group.
            ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0"),
            ("0:0:0:0:0:0:0:0", "::"), ("fe80:0000::00ff", "fe80::ff"), ("1:2:3:4:5:6::", "1:2:3:4:5:6::"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), ("::ffff:c000:201", "::ffff:192.0.2.1"),
            ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("1:2:3:4:5:6:7.8.9.10", "1:2:3:4:5:6:708:90a"),
        ])
    func canonical(text: String, expected: String) throws {
        let address = try #require(IPAddress(parsing: text))
        #expect(address.description == expected)
        #expect(IPAddress(parsing: expected) == address)
    }

    @Test(
        "are refused when a part is missing or too large",
        arguments: [
            "", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.04", "1.2.3.", ".1.2.3", "1.2.3.4 ", "+1.2.3.4",
            "0x1.2.3.4",
            ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", ":1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:",
            "1:2:3:4:5:6:7::8:9", "::1.2.3", "1.2.3.4::", "::1%eth0", "[::1]", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
        ])
    func refused(text: String) {
        #expect(IPAddress(parsing: text) == nil)
    }

    @Test("are read as the C library reads them, whatever the text")
    func oracle() {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        let seeds = [
            "1.2.3.4", "255.0.10.1", "::", "::1", "1:2:3:4:5:6:7:8", "2001:db8::1", "::ffff:1.2.3.4",
            "a:b::c:d:1.2.3.4",
        ]
        let letters = Array("0123456789abcF:.:::")
        for _ in 0..<20_000 {
            var text = Array(seeds.randomElement(using: &random) ?? "")
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                let place = Int.random(in: 0...text.count, using: &random)
                let letter = letters.randomElement(using: &random) ?? ":"
                switch Int.random(in: 0...2, using: &random) {
                case 0: text.insert(letter, at: place)
                case 1: if place < text.count { text.remove(at: place) }
                default: if place < text.count { text[place] = letter }
                }
            }
            let address = IPAddress(parsing: String(text))
            #expect(address == Self.systemAddress(String(text)), "\(String(text)), seed \(seed)")
            if let address { #expect(IPAddress(parsing: address.description) == address, "seed \(seed)") }
        }
    }

    private static func systemAddress(_ text: String) -> IPAddress? {
        var v4 = in_addr()
        // SAFETY: `text` is NUL-terminated for the call, which fills one `in_addr`.
        if unsafe inet_pton(AF_INET, text, &v4) == 1 { return IPAddress(v4: UInt32(bigEndian: v4.s_addr)) }
        var v6 = in6_addr()
        // SAFETY: as above, with an `in6_addr`.
        guard unsafe inet_pton(AF_INET6, text, &v6) == 1 else { return nil }
        let bytes = unsafe withUnsafeBytes(of: &v6) { unsafe Array($0) }
        return IPAddress(v6: bytes.reduce(0) { $0 << 8 | UInt128($1) })
    }
}

@Suite("Addresses of listeners and targets")
struct EndpointTests {
    @Test(
        "of listeners",
        arguments: [
            (":8080", ":8080"), ("0.0.0.0:80", "0.0.0.0:80"), ("[::]:80", "[::]:80"), ("127.0.0.1:0", "127.0.0.1:0"),
            ("[2001:DB8:0::1]:443", "[2001:db8::1]:443"), ("unix:/run/p.sock", "unix:/run/p.sock"),
            (":65535", ":65535"),
        ])
    func listen(text: String, expected: String) throws {
        #expect(try ListenAddress(parsing: text).description == expected)
    }

    @Test(
        "of listeners are refused without a port, with a name, or with too much",
        arguments: [
            ("", "missing"), ("8080", "invalid"), ("127.0.0.1", "missing"), (":", "missing"), (":x", "invalid"),
            (":65536", "out-of-range"), (":-1", "invalid"), (":+1", "invalid"), (":000080", "invalid"),
            ("shop.test:80", "invalid"), ("*:80", "invalid"), ("::1", "missing"), ("::1:80", "missing"),
            ("[::1]", "missing"), ("[::1]80", "missing"), ("[1.2.3.4]:80", "invalid"), ("[::1:80", "invalid"),
            ("http://1.2.3.4:80", "invalid"), ("unix:", "invalid"), ("unix:x", "invalid"), ("unix:/", "invalid"),
            ("1.2.3:80", "invalid"), ("unix:/" + String(repeating: "x", count: 107), "invalid"),
        ])
    func listenRefused(text: String, code: String) {
        let error = #expect(throws: ConfigError.self) { try ListenAddress(parsing: text) }
        #expect(error?.code.name == code)
        #expect(error?.fix.isEmpty == false)
    }

    @Test(
        "of targets",
        arguments: [
            ("10.0.0.1:80", "10.0.0.1:80"), ("[::1]:80", "[::1]:80"), ("Web-A.Internal:80", "web-a.internal:80"),
            ("localhost:1", "localhost:1"), ("unix:/run/a.sock", "unix:/run/a.sock"), ("_a._tcp.x:80", "_a._tcp.x:80"),
        ])
    func target(text: String, expected: String) throws {
        #expect(try TargetAddress(parsing: text).description == expected)
    }

    @Test(
        "of targets are refused",
        arguments: [
            "10.0.0.1", "web", ":80", "10.0.0.1:0", "0.0.0.0:80", "[::]:80", "a b:80", "-a:80", "a-:80", "a..b:80",
            "1.2.3.4.5:80",
            "x.123:80", String(repeating: "a", count: 64) + ":80",
        ])
    func targetRefused(text: String) {
        #expect(throws: ConfigError.self) { try TargetAddress(parsing: text) }
    }

    @Test(
        "of listeners collide where the kernel would refuse the second",
        arguments: [
            (":80", ":80", true), (":80", "0.0.0.0:80", true), ("[::]:80", ":80", true), (":80", ":81", false),
            ("0.0.0.0:80", "[::]:80", false), ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.2:80", false), ("127.0.0.1:80", "[::1]:80", false),
            (":80", "127.0.0.1:80", true), (":80", "[::1]:80", true), (":80", "127.0.0.1:81", false),
            ("0.0.0.0:80", "127.0.0.1:80", true), ("[::]:80", "[::1]:80", true), ("[::]:80", "127.0.0.1:80", false),
            ("0.0.0.0:80", "[::1]:80", false), (":0", "127.0.0.1:0", false),
            (":0", ":0", false), ("127.0.0.1:0", "127.0.0.1:0", false), (":0", "0.0.0.0:0", false),
            ("unix:/a", "unix:/a", true), ("unix:/a", "unix:/b", false), ("unix:/a", ":80", false),
        ])
    func collide(a: String, b: String, expected: Bool) throws {
        let (a, b) = (try ListenAddress(parsing: a), try ListenAddress(parsing: b))
        #expect(a.collides(with: b) == expected)
        #expect(b.collides(with: a) == expected)
    }

    @Test(
        "ranges hold their addresses and no other",
        arguments: [
            ("10.0.0.0/8", "10.255.255.255", true), ("10.0.0.0/8", "11.0.0.0", false), ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false), ("192.0.2.7", "192.0.2.7", true), ("192.0.2.7", "192.0.2.6", false),
            ("2001:db8::/32", "2001:db8:ffff::", true), ("2001:db8::/32", "2001:db9::", false), ("::/0", "::1", true),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true), ("::1/128", "::1", true), ("::1/128", "::2", false),
        ])
    func ranges(range: String, address: String, expected: Bool) throws {
        let range = try AddressRange(parsing: range)
        #expect(range.contains(try #require(IPAddress(parsing: address))) == expected)
        #expect(try AddressRange(parsing: range.description) == range)
    }

    @Test(
        "ranges are refused",
        arguments: [
            "", "x", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.1/8", "10.0.0.0/8/8",
            "::1/0",
        ])
    func rangesRefused(text: String) {
        #expect(throws: ConfigError.self) { try AddressRange(parsing: text) }
    }
}

/// SplitMix64: the same numbers for the same seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
