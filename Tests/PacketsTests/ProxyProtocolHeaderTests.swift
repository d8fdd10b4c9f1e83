import PoiseModel
import Testing

@testable import PoisePackets

@Suite("PROXY protocol preamble, sections 2.1 and 2.2")
struct ProxyProtocolHeaderTests {
    typealias Header = ProxyProtocolHeader

    static let longest =
        "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"

    static let goodLines: [(String, Header.Transport, Header.Endpoints?)] = [
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1024 443\r\n", .stream, endpoints("192.0.2.1", 1024, "198.51.100.2", 443)),
        (
            "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", .stream,
            endpoints("255.255.255.255", 65535, "255.255.255.255", 65535)
        ),
        ("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", .stream, endpoints("0.0.0.0", 0, "0.0.0.0", 0)),
        ("PROXY TCP6 2001:db8::1 ::2 1 2\r\n", .stream, endpoints("2001:db8::1", 1, "::2", 2)),
        ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", .stream, endpoints("::ffff:192.0.2.1", 1, "::1", 2)),
        ("PROXY UNKNOWN\r\n", .unspecified, nil),
        ("PROXY UNKNOWN whatever \u{FF} it says\r\n", .unspecified, nil),
        (longest, .unspecified, nil),
    ]

    @Test("reads a version 1 line, and nothing behind it", arguments: goodLines)
    func line(text: String, transport: Header.Transport, endpoints: Header.Endpoints?) {
        let header = Header(version: .v1, command: .proxy, transport: transport, endpoints: endpoints)
        let count = text.utf8.count
        #expect(parse(Array(text.utf8)) == .complete(header, consumed: count))
        #expect(parse(Array((text + "\r\nGET / HTTP/1.1\r\n").utf8)) == .complete(header, consumed: count))
    }

    static let badLines: [(String, Header.Refusal)] = [
        ("GET / HTTP/1.1\r\n", .noSignature), ("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", .noSignature),
        ("PROXY\r\n", .noSignature), ("PROXYTCP4", .noSignature), (" PROXY", .noSignature),
        ("\u{16}\u{3}\u{1}", .noSignature),
        ("PROXY \r\n", .badLine), ("PROXY TCP4\r\n", .badLine), ("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", .badLine),
        ("PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", .badLine), ("PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", .badLine),
        ("PROXY UNKNOWNS\r\n", .badLine), ("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", .badLine),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", .badLine), ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n\n", .badLine),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rX", .badLine), ("PROXY UNKNOWN \u{0}\r\n", .badLine),
        ("PROXY TCP4 1.2.3.4 \r\n", .badAddress), ("PROXY TCP4 ::1 ::1 1 2\r\n", .badAddress),
        ("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", .badAddress), ("PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", .badAddress),
        ("PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n", .badAddress), ("PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n", .badAddress),
        ("PROXY TCP4 a.test 1.2.3.4 1 2\r\n", .badAddress), ("PROXY TCP6 fe80::1%1 ::1 1 2\r\n", .badAddress),
        ("PROXY TCP4 1.2.3.4 1.2.3.4\r\n", .badAddress), ("PROXY TCP4 1.2.3.4 1.2.3.4 \r\n", .badPort),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", .badPort), ("PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n", .badPort),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", .badPort), ("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", .badPort),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", .badPort), ("PROXY TCP4 1.2.3.4 1.2.3.4 1 00\r\n", .badPort),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", .badPort), ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", .badPort),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", .badPort), ("PROXY TCP4 1.2.3.4 1.2.3.4 1  2\r\n", .badPort),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 4294967297 2\r\n", .badPort),
        (String(longest.dropLast()) + "5\r\n", .lineTooLong),
        ("PROXY UNKNOWN" + String(repeating: " ", count: 93), .lineTooLong),
    ]

    @Test("refuses any other line", arguments: badLines)
    func badLine(text: String, refusal: Header.Refusal) {
        #expect(parse(Array(text.utf8)) == .refused(refusal))
    }

    @Test("the addresses of a datagram are not those of a connection over TCP")
    func datagrams() throws {
        for (family, block) in [(UInt8(0x10), block4), (0x20, block6)] {
            for (transport, counts) in [(UInt8(1), true), (2, false)] {
                guard case .complete(let header, _) = parse(binary(0x21, family | transport, block)) else {
                    Issue.record("refused: a known transport")
                    continue
                }
                #expect(header.endpoints != nil)
                #expect(header.streamEndpoints == (counts ? header.endpoints : nil), "\(family), \(transport)")
            }
        }
        guard case .complete(let line, _) = parse(Array("PROXY TCP4 192.0.2.1 198.51.100.2 1024 443\r\n".utf8)) else {
            Issue.record("a good line is refused")
            return
        }
        #expect(line.streamEndpoints == endpoints("192.0.2.1", 1024, "198.51.100.2", 443))
    }

    static let goodBlocks: [([UInt8], Header.Command, Header.Transport, Header.Endpoints?)] = [
        (binary(0x21, 0x11, block4), .proxy, .stream, endpoints("192.0.2.1", 1024, "198.51.100.2", 443)),
        (binary(0x21, 0x12, block4), .proxy, .datagram, endpoints("192.0.2.1", 1024, "198.51.100.2", 443)),
        (binary(0x21, 0x21, block6), .proxy, .stream, endpoints("2001:db8::1", 65535, "2001:db8::2", 0)),
        (binary(0x21, 0x22, block6), .proxy, .datagram, endpoints("2001:db8::1", 65535, "2001:db8::2", 0)),
        (binary(0x21, 0x31, Array(repeating: 0, count: 216)), .proxy, .stream, nil),
        (binary(0x21, 0x32, Array(repeating: 0, count: 216)), .proxy, .datagram, nil),
        (binary(0x21, 0x00, []), .proxy, .unspecified, nil),
        (binary(0x21, 0x01, []), .proxy, .stream, nil),
        (binary(0x21, 0x10, [1, 2, 3]), .proxy, .unspecified, nil),
        // LOCAL: whatever the rest says is discarded.
        (binary(0x20, 0x00, []), .local, .unspecified, nil),
        (binary(0x20, 0x11, block4), .local, .unspecified, nil),
        (binary(0x20, 0x11, [1]), .local, .unspecified, nil),
        (binary(0x20, 0xFF, [1, 2]), .local, .unspecified, nil),
        // Fields: an authority, a NOOP, an empty one.
        (
            binary(0x21, 0x11, block4 + [0x02, 0, 4] + Array("a.io".utf8) + [0x04, 0, 1, 0, 0xE0, 0, 0]), .proxy,
            .stream,
            endpoints("192.0.2.1", 1024, "198.51.100.2", 443)
        ),
        (
            binary(0x21, 0x11, block4 + [0x04, 0x0F, 0xF1] + Array(repeating: 0, count: 4081)), .proxy, .stream,
            endpoints("192.0.2.1", 1024, "198.51.100.2", 443)
        ),
    ]

    @Test("reads a version 2 block, and nothing behind it", arguments: goodBlocks)
    func block(bytes: [UInt8], command: Header.Command, transport: Header.Transport, endpoints: Header.Endpoints?) {
        let header = Header(version: .v2, command: command, transport: transport, endpoints: endpoints)
        #expect(parseAddresses(bytes) == .complete(header, consumed: bytes.count))
        #expect(parseAddresses(bytes + [0x0D, 0x0A, 0x47]) == .complete(header, consumed: bytes.count))
    }

    static let badBlocks: [([UInt8], Header.Refusal)] = [
        ([0x0D, 0x0A, 0x0D, 0x0A, 0x01], .noSignature), (Array("\r\nGET".utf8), .noSignature),
        (binary(0x11, 0x11, block4), .badCommand), (binary(0x31, 0x11, block4), .badCommand),
        (binary(0x22, 0x11, block4), .badCommand), (binary(0x2F, 0x11, block4), .badCommand),
        (binary(0x21, 0x41, block4), .badFamily), (binary(0x21, 0x13, block4), .badFamily),
        (binary(0x21, 0xF1, block4), .badFamily),
        (binary(0x21, 0x11, Array(block4.dropLast())), .badLength), (binary(0x21, 0x21, block4), .badLength),
        (binary(0x21, 0x31, Array(repeating: 0, count: 215)), .badLength), (binary(0x21, 0x11, []), .badLength),
        (binary(0x21, 0x11, [], length: 4097), .badLength), (binary(0x20, 0x00, [], length: 65535), .badLength),
        (binary(0x21, 0x11, block4 + [0x04]), .badField), (binary(0x21, 0x11, block4 + [0x04, 0]), .badField),
        (binary(0x21, 0x11, block4 + [0x04, 0, 1]), .badField),
        (binary(0x21, 0x11, block4 + [0x04, 0xFF, 0xFF, 0]), .badField),
        (binary(0x21, 0x00, [0x04, 0, 1]), .badField), (binary(0x21, 0x11, block4 + [0x03, 0, 3, 0, 0, 0]), .badField),
        (binary(0x21, 0x11, block4 + [0x03, 0, 4, 0, 0, 0, 0]), .badChecksum),
    ]

    @Test("refuses any other block", arguments: badBlocks)
    func badBlock(bytes: [UInt8], refusal: Header.Refusal) {
        #expect(parse(bytes) == .refused(refusal))
    }

    @Test("gives the same answer however the bytes arrive: every prefix of every good and bad preamble")
    func splits() {
        let good = Self.goodLines.map { Array($0.0.utf8) } + Self.goodBlocks.map(\.0)
        for bytes in good where bytes.count < 300 {
            for count in 0..<bytes.count {
                #expect(parse(Array(bytes[..<count])) == .needMore, "\(count) of \(bytes)")
            }
        }
        let bad = Self.badLines.map { (Array($0.0.utf8), $0.1) } + Self.badBlocks
        for (bytes, refusal) in bad {
            for count in 0..<bytes.count {
                let answer = parse(Array(bytes[..<count]))
                #expect(answer == .needMore || answer == .refused(refusal), "\(count) of \(bytes)")
            }
        }
    }

    @Test("never asks for more than its own limit")
    func bounded() {
        #expect(parse(Array(("PROXY UNKNOWN " + String(repeating: "x", count: 91)).utf8)) == .needMore)
        #expect(parse(Array(("PROXY UNKNOWN " + String(repeating: "x", count: 92)).utf8)) == .refused(.lineTooLong))
        let most = binary(0x20, 0, Array(repeating: 0, count: 4096))
        #expect(most.count == Header.bytesMax)
        #expect(parse(Array(most.dropLast())) == .needMore)
        #expect(parse(most) != .needMore)
    }

    @Test("reads back what it writes", arguments: 1...10 as ClosedRange<UInt64>)
    func roundTrip(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        func anyEndpoint() -> Header.Endpoint {
            let address =
                Bool.random(using: &random)
                ? IPAddress(v4: .random(in: 0 ... .max, using: &random))
                : IPAddress(v6: .random(in: 0 ... .max, using: &random) >> UInt128.random(in: 0...128, using: &random))
            return Header.Endpoint(address: address, port: .random(in: 0 ... .max, using: &random))
        }
        for _ in 0..<100 {
            var written = Header(
                version: Bool.random(using: &random) ? .v1 : .v2, command: .proxy, transport: .stream,
                endpoints: Header.Endpoints(source: anyEndpoint(), destination: anyEndpoint()))
            let bytes = encode(written, hasChecksum: Bool.random(using: &random))
            let (source, destination) = (written.endpoints!.source.address, written.endpoints!.destination.address)
            if source.family != destination.family {
                // Mapped into one family: the same addresses once unmapped.
                guard case .complete(let read, bytes.count) = parse(bytes) else {
                    Issue.record("seed \(seed): \(bytes)")
                    continue
                }
                #expect(
                    read.endpoints?.source.address.family == .v6 && read.endpoints?.destination.address.family == .v6)
                written.endpoints!.source.address = source.unmapped
                written.endpoints!.destination.address = destination.unmapped
                #expect(read.endpoints?.source.address.unmapped == source.unmapped, "seed \(seed)")
                #expect(read.endpoints?.destination.address.unmapped == destination.unmapped, "seed \(seed)")
            } else {
                #expect(parse(bytes) == .complete(written, consumed: bytes.count), "seed \(seed): \(bytes)")
            }
        }
    }

    @Test("writes the bytes of the specification")
    func bytes() {
        let four = endpoints("192.0.2.1", 1024, "198.51.100.2", 443)
        let mixed = endpoints("192.0.2.1", 1024, "::1", 9)
        func header(_ version: Header.Version, _ command: Header.Command, _ endpoints: Header.Endpoints?) -> Header {
            Header(version: version, command: command, transport: .stream, endpoints: endpoints)
        }
        #expect(encode(header(.v1, .proxy, four)) == Array("PROXY TCP4 192.0.2.1 198.51.100.2 1024 443\r\n".utf8))
        #expect(encode(header(.v1, .proxy, mixed)) == Array("PROXY TCP6 ::ffff:192.0.2.1 ::1 1024 9\r\n".utf8))
        #expect(encode(header(.v1, .proxy, nil)) == Array("PROXY UNKNOWN\r\n".utf8))
        #expect(encode(header(.v1, .local, four)) == Array("PROXY UNKNOWN\r\n".utf8))
        #expect(encode(header(.v2, .proxy, four)) == binary(0x21, 0x11, block4))
        #expect(encode(header(.v2, .proxy, nil)) == binary(0x21, 0x00, []))
        #expect(encode(header(.v2, .local, four)) == binary(0x20, 0x00, []))
        let six = endpoints("2001:db8::1", 65535, "2001:db8::2", 0)
        #expect(encode(header(.v2, .proxy, six)) == binary(0x21, 0x21, block6))
    }

    @Test("verifies the checksum over the whole preamble: no single bit may change")
    func checksum() {
        var sum = CRC32C()
        for byte in "123456789".utf8 { sum.update(byte) }
        #expect(sum.value == 0xE306_9283)  // the check value of CRC-32C

        let four = endpoints("192.0.2.1", 1024, "198.51.100.2", 443)
        let header = Header(version: .v2, command: .proxy, transport: .stream, endpoints: four)
        let bytes = encode(header, hasChecksum: true)
        #expect(bytes.count == 16 + 12 + 7)
        #expect(parse(bytes) == .complete(header, consumed: bytes.count))
        for bit in 0..<8 * bytes.count {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << (bit % 8)
            guard case .complete(let read, _) = parse(damaged) else { continue }
            // What hides the checksum: LOCAL or no transport (nothing in the block is read), another field type.
            #expect(read.command == .local || bit / 8 == 28 || bit / 8 == 13, "bit \(bit)")
        }
    }

    @Test(
        "never traps and never consumes more than there is, whatever the bytes",
        arguments: 1...10 as ClosedRange<UInt64>)
    func mutations(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let seeds = Self.goodLines.map { Array($0.0.utf8) } + Self.goodBlocks.map(\.0).filter { $0.count < 300 }
        for _ in 0..<2_000 {
            var bytes = seeds.randomElement(using: &random)!
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0...2, using: &random) {
                case 0: bytes[index] = .random(in: 0...255, using: &random)
                case 1: bytes.insert(.random(in: 0...255, using: &random), at: index)
                default: if bytes.count > 1 { bytes.remove(at: index) }
                }
            }
            switch parse(bytes) {
            case .needMore: #expect(bytes.count < Header.bytesMax, "seed \(seed): \(bytes)")
            case .complete(let header, let consumed):
                #expect((15...bytes.count).contains(consumed), "seed \(seed): \(bytes)")
                #expect(header.command == .proxy || header.endpoints == nil)
            case .refused: break
            }
        }
    }
}
