import PoiseModel
import PoiseRouting
import Testing

private func address(_ text: String) -> IPAddress {
    let bytes = utf8(text)
    return IPAddress(ipv4Or6: bytes.span)!
}

@Suite("The client's address behind trusted proxies")
struct ClientAddressWalkTests {
    static let trusted = [
        AddressRange(base: address("10.0.0.0"), prefixLength: 8),
        AddressRange(base: address("fd00::"), prefixLength: 8),
    ]

    static func client(_ peer: String, _ lines: [String]) -> IPAddress {
        var walk = ClientAddressWalk(peer: address(peer), trusted: trusted)
        for line in lines.reversed() {
            let value = utf8(line)
            walk.readBackwards(value.span, trusted: trusted)
        }
        return walk.client
    }

    @Test(
        "is the right-most address that is not a trusted proxy's",
        arguments: [
            // An untrusted peer is the client, whatever it says.
            ("192.0.2.1", ["198.51.100.1"], "192.0.2.1"), ("192.0.2.1", [], "192.0.2.1"), ("10.0.0.1", [], "10.0.0.1"),
            ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"), ("10.0.0.1", ["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", ["203.0.113.9, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", ["203.0.113.9", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", ["203.0.113.9, 198.51.100.1", "10.0.0.3,10.0.0.2"], "198.51.100.1"),
            // Only proxies: the left-most of them.
            ("10.0.0.1", ["10.0.0.3", "10.0.0.2"], "10.0.0.3"),
            // Spellings.
            ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"), ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
            ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"), ("10.0.0.1", ["[2001:db8::1]:65535 "], "2001:db8::1"),
            ("fd00::1", ["\t198.51.100.1 ,, fd00::2 , "], "198.51.100.1"),
            ("::ffff:10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", ["", " , "], "10.0.0.1"),
            // What is no address ends the walk at the last good one.
            ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", ["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", ["198.51.100.1", "_hidden"], "10.0.0.1"),
            ("10.0.0.1", ["198.51.100.1, 010.0.0.2"], "10.0.0.1"),
            ("10.0.0.1", ["198.51.100.1, 10.0.0.2:99999"], "10.0.0.1"),
            ("10.0.0.1", ["198.51.100.1, 10.0.0.2:"], "10.0.0.1"),
            ("10.0.0.1", ["1.1.1.1, [10.0.0.2]"], "10.0.0.1"), ("10.0.0.1", ["1.1.1.1, [fd00::2"], "10.0.0.1"),
            ("10.0.0.1", ["1.1.1.1, [fd00::2]x"], "10.0.0.1"), ("10.0.0.1", ["1.1.1.1, \"10.0.0.2\""], "10.0.0.1"),
            ("10.0.0.1", ["1.1.1.1, 10.0.0.2 10.0.0.3"], "10.0.0.1"),
            ("10.0.0.1", ["1.1.1.1, fd00::2%eth0"], "10.0.0.1"),
            ("10.0.0.1", ["1.1.1.1, 10.0.0.2:80:80"], "10.0.0.1"), ("10.0.0.1", ["1.1.1.1, ["], "10.0.0.1"),
        ] as [(String, [String], String)])
    func rightmostUntrusted(peer: String, lines: [String], client: String) {
        #expect(Self.client(peer, lines) == address(client))
    }

    @Test(
        "never traps on any bytes, and only ever answers with an address that was there",
        arguments: 1...10 as ClosedRange<UInt64>)
    func anyBytes(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        for _ in 0..<2_000 {
            let line = random.text("10.,:[]f \t9%\"", lengths: 0...24)
            let client = Self.client("10.0.0.1", [line])
            var text: [UInt8] = []
            client.appendText(to: &text)
            let digits = Set(text.filter { $0 >= 0x30 }).subtracting(utf8(":"))
            #expect(
                client == address("10.0.0.1") || digits.isSubset(of: utf8(line)),
                "seed \(seed): '\(line)' gave \(text.text)")
        }
    }
}

@Suite("Request ids")
struct RequestIDTests {
    static func isHarmless(_ text: String) -> Bool {
        let bytes = utf8(text)
        return RequestIDRules.isHarmless(bytes.span)
    }

    @Test(
        "of clients are kept when they are short and harmless",
        arguments: [
            ("a", true), ("0af7651916cd43dd8448eb211c80319c", true),
            ("Root=1-67891233-abcdef012345678912345678;Sampled=1", true),
            ("f81d4fae-7dec-11d0-a765-00a0c91e6bf6", true), (String(repeating: "x", count: 128), true),
            (String(repeating: "x", count: 129), false), ("", false), ("a b", false), ("a\"b", false),
            ("a\u{0}", false),
            ("${jndi:ldap}", false), ("<script>", false), ("%0d%0a", false), ("caf\u{E9}", false), ("a,b", false),
            ("'a", false),
            ("a\\b", false), ("`id`", false), ("a|b", false),
        ])
    func harmless(id: String, isKept: Bool) {
        #expect(Self.isHarmless(id) == isKept)
    }

    @Test("of our own are fixed in form, and harmless themselves")
    func own() {
        var (request, trace): ([UInt8], [UInt8]) = ([], [])
        RequestIDRules.appendRequestID(0x0123_4567_89AB_CDEF, 1, to: &request)
        #expect(request.text == "0123456789abcdef0000000000000001")
        RequestIDRules.appendTraceID(unixSeconds: 0x6789_1233, 0xFFFF_FFFF_ABCD_EF01, 0x2345_6789_1234_5678, to: &trace)
        #expect(trace.text == "Root=1-67891233-abcdef012345678912345678")
        #expect(Self.isHarmless(request.text) && Self.isHarmless(trace.text))
    }
}

@Suite("Forwarded, RFC 7239")
struct ForwardedElementTests {
    static let shop = ForwardedElement(client: address("192.0.2.1"), scheme: .http)

    @Test(
        "is written with quotes where a value is no token",
        arguments: [
            (shop, "shop.test", "for=192.0.2.1;host=shop.test;proto=http"),
            (shop, "shop.test:8080", "for=192.0.2.1;host=\"shop.test:8080\";proto=http"),
            (shop, "", "for=192.0.2.1;proto=http"), (shop, "a\r\nb", "for=192.0.2.1;proto=http"),
            (shop, "a\"\\b", "for=192.0.2.1;host=\"a\\\"\\\\b\";proto=http"),
            (
                ForwardedElement(client: address("2001:db8::1"), scheme: .https, listener: address("192.0.2.9")),
                "[::1]",
                "for=\"[2001:db8::1]\";host=\"[::1]\";proto=https;by=192.0.2.9"
            ),
            (
                ForwardedElement(
                    client: address("192.0.2.1"), clientPort: 47011, scheme: .http, listener: address("fd00::1")), "a",
                "for=\"192.0.2.1:47011\";host=a;proto=http;by=\"[fd00::1]\""
            ),
            (
                ForwardedElement(client: address("2001:db8::1"), clientPort: 0, scheme: .http), "a",
                "for=\"[2001:db8::1]:0\";host=a;proto=http"
            ),
            (
                ForwardedElement(client: address("::ffff:192.0.2.1"), scheme: .http), "a",
                "for=192.0.2.1;host=a;proto=http"
            ),
        ])
    func written(element: ForwardedElement, host: String, text: String) {
        var output: [UInt8] = []
        let host = utf8(host)
        element.append(host: host.span, to: &output)
        #expect(output.text == text)
    }
}
