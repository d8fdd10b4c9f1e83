import PoiseModel
import Testing

@testable import PoisePackets

@Suite("Fields of the PROXY protocol, version 2, section 2.2")
struct ProxyProtocolFieldsTests {
    typealias Fields = ProxyProtocolFields
    typealias Header = ProxyProtocolHeader

    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var bytes: [UInt8]
        var fields: Fields

        init(_ name: String, _ bytes: [UInt8], _ set: (inout Fields) -> Void = { _ in }) {
            (testDescription, self.bytes, fields) = (name, bytes, Fields())
            set(&fields)
        }
    }

    static let rows = [
        Row("nothing", []),
        Row("ALPN", tlv(0x01, "h2")) { $0.alpn = Array("h2".utf8) },
        Row("AUTHORITY", tlv(0x02, "shop.test")) { $0.authority = Array("shop.test".utf8) },
        Row("AUTHORITY, empty", tlv(0x02, "")) { $0.authority = [] },
        Row("UNIQUE_ID of 128 bytes", tlv(0x05, [UInt8](repeating: 0xFF, count: 128))) {
            $0.uniqueID = [UInt8](repeating: 0xFF, count: 128)
        },
        Row("NETNS", tlv(0x30, "blue")) { $0.networkNamespace = Array("blue".utf8) },
        Row(
            "SSL: a client with a certificate that is good",
            tls(0x07, verify: 0, tlv(0x21, "TLSv1.3") + tlv(0x22, "ann"))
        ) {
            $0.tls = Fields.TLS(
                flags: [.secured, .certificateOnConnection, .certificateInSession], isVerified: true)
            $0.tls?.version = Array("TLSv1.3".utf8)
            $0.tls?.commonName = Array("ann".utf8)
        },
        Row("SSL: one that is not", tls(0x03, verify: 18, tlv(0x23, "C") + tlv(0x24, "S") + tlv(0x25, "K"))) {
            $0.tls = Fields.TLS(flags: [.secured, .certificateOnConnection], isVerified: false)
            $0.tls?.cipher = Array("C".utf8)
            $0.tls?.signatureAlgorithm = Array("S".utf8)
            $0.tls?.keyAlgorithm = Array("K".utf8)
        },
        // HAProxy's: OpenSSL says X509_V_OK also of a client that has shown nothing.
        Row("SSL: none, and called good", tls(0x01, verify: 0, [])) {
            $0.tls = Fields.TLS(flags: .secured, isVerified: false)
        },
        Row("SSL: in plain text", tls(0x00, verify: 0, [])) { $0.tls = Fields.TLS(flags: [], isVerified: false) },
        Row("SSL: a field of its own that nobody knows", tls(0x01, verify: 0, tlv(0x2F, "?"))) {
            $0.tls = Fields.TLS(flags: .secured, isVerified: false)
        },
        // The example of AWS.
        Row("AWS VPC endpoint", [0xEA, 0x00, 0x17, 0x01] + Array("vpce-08d2bf15fac5001c9".utf8)) {
            $0.awsEndpoint = Array("vpce-08d2bf15fac5001c9".utf8)
        },
        Row("AWS, another kind", tlv(0xEA, [0x02, 0x41])),
        Row("Azure LINKID, lowest byte first", tlv(0xEE, [0x01, 0x78, 0x56, 0x34, 0x12])) {
            $0.azureLink = 0x1234_5678
        },
        Row("Azure, another kind", tlv(0xEE, [0x02, 0x78, 0x56, 0x34, 0x12])),
        Row("Google PSC, highest byte first", tlv(0xE0, [1, 2, 3, 4, 5, 6, 7, 8])) {
            $0.googleConnection = 0x0102_0304_0506_0708
        },
        Row("Google, of another length", tlv(0xE0, [1, 2, 3, 4])),
        Row(
            "NOOP twice, and fields that nobody knows",
            tlv(0x04, "xx") + tlv(0x04, "") + tlv(0xF1, "a") + tlv(0xF1, "b")),
        Row("more than is kept", tlv(0x02, [UInt8](repeating: 0x61, count: 300))) {
            $0.authority = [UInt8](repeating: 0x61, count: 255)
        },
    ]

    @Test("reads what is there, alone and between others, and with a header around it", arguments: rows)
    func reads(row: Row) throws {
        #expect(try Fields(row.bytes.span) == row.fields)
        #expect(try Fields((tlv(0xF0, "before") + row.bytes + tlv(0x04, "behind")).span) == row.fields)
        for (family, addresses) in [
            (0x11, block4), (0x21, block6), (0x31, [UInt8](repeating: 0, count: 216)), (0x00, []),
        ]
            as [(UInt8, [UInt8])]
        {
            guard case .complete(let header, _) = parse(binary(0x21, family, addresses + row.bytes)) else {
                Issue.record("family \(family)")
                continue
            }
            #expect(header.fields == row.fields)
        }
        // LOCAL: discarded.
        guard case .complete(let header, _) = parse(binary(0x20, 0x11, block4 + row.bytes)) else {
            Issue.record("LOCAL")
            return
        }
        #expect(header.fields.isEmpty)
    }

    static let broken: [[UInt8]] = [
        [0x01], [0x01, 0], [0x01, 0, 1], [0x01, 0xFF, 0xFF, 0], tlv(0x05, [UInt8](repeating: 0, count: 129)),
        tls(0x01, verify: 0, [0x21]), tls(0x01, verify: 0, [0x21, 0, 2, 0x41]), tlv(0x20, [0x01, 0, 0, 0]),
        tlv(0x20, ""),
        tls(0x01, verify: 0, tlv(0x21, "TLSv1.2") + tlv(0x21, "TLSv1.3")),
        // Two answers to one question: which is meant?
        tlv(0x01, "h2") + tlv(0x01, "h2"), tlv(0x02, "a.test") + tlv(0x02, "b.test"), tlv(0x05, "1") + tlv(0x05, "2"),
        tls(0x01, verify: 0, []) + tls(0x00, verify: 0, []), tlv(0x30, "a") + tlv(0x30, "b"),
    ]

    @Test("refuses fields that do not fit, stand there twice, or cannot be", arguments: broken)
    func refuses(bytes: [UInt8]) {
        #expect(throws: Header.Refusal.badField) { try Fields(bytes.span) }
        #expect(parse(binary(0x21, 0x11, block4 + bytes)) == .refused(.badField))
    }

    @Test("two checksums are refused, right as they may be")
    func twoChecksums() {
        let header = Header(version: .v2, command: .proxy, transport: .stream, endpoints: nil)
        let one = Array(encode(header, hasChecksum: true).dropFirst(16))
        #expect(parse(binary(0x21, 0x00, one + one)) == .refused(.badField))
    }

    @Test("writes the bytes of the specification")
    func writes() {
        var fields = Fields()
        fields.authority = Array("a.test".utf8)
        fields.tls = Fields.TLS(flags: .secured, isVerified: false)
        fields.tls?.version = Array("TLSv1.3".utf8)
        var header = Header(
            version: .v2, command: .proxy, transport: .stream,
            endpoints: endpoints("192.0.2.1", 1024, "198.51.100.2", 443))
        header.fields = fields
        let expected = tlv(0x02, "a.test") + tls(0x01, verify: 1, tlv(0x21, "TLSv1.3"))
        #expect(encode(header) == binary(0x21, 0x11, block4 + expected))
        header.command = .local
        #expect(encode(header) == binary(0x20, 0x00, []), "Poise speaks of nobody")
        (header.command, header.version) = (.proxy, .v1)
        #expect(encode(header) == Array("PROXY TCP4 192.0.2.1 198.51.100.2 1024 443\r\n".utf8))
    }

    @Test(
        "a unix path is written and read; what is longer than there is room for is cut",
        arguments: [0, 1, 107, 108, 200])
    func unixPath(count: Int) {
        var header = Header(version: .v2, command: .proxy, transport: .stream, endpoints: nil)
        header.unixPath = [UInt8](repeating: 0x2F, count: count)
        let bytes = encode(header)
        #expect(bytes.count == 16 + 216 && bytes[13] == 0x31)
        #expect(bytes[16..<124].allSatisfy { $0 == 0 }, "the client's end has no name")
        header.unixPath = [UInt8](repeating: 0x2F, count: min(count, 108))
        #expect(parse(bytes) == .complete(header, consumed: bytes.count))
        header.version = .v1
        #expect(encode(header) == Array("PROXY UNKNOWN\r\n".utf8))
    }

    @Test("reads back what it writes", arguments: 1...10 as ClosedRange<UInt64>)
    func roundTrip(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        for _ in 0..<100 {
            let fields = Self.arbitrary(&random)
            let bytes = fields.encoded
            #expect(bytes.count <= Fields.encodedBytesMax)
            #expect(try Fields(bytes.span) == fields, "seed \(seed): \(bytes)")
            #expect(fields.isEmpty == bytes.isEmpty)

            var header = Header(
                version: .v2, command: .proxy, transport: .stream, endpoints: endpoints("::1", 1, "::2", 2))
            header.fields = fields
            let preamble = encode(header, hasChecksum: .random(using: &random))
            #expect(preamble.count <= Header.bytesMax)
            #expect(parse(preamble) == .complete(header, consumed: preamble.count), "seed \(seed): \(preamble)")
        }
    }

    @Test("with a checksum, no bit of a field can change unseen")
    func bits() {
        var header = Header(
            version: .v2, command: .proxy, transport: .stream,
            endpoints: endpoints("192.0.2.1", 1024, "198.51.100.2", 443))
        header.fields.authority = Array("shop.test".utf8)
        header.fields.uniqueID = Array("0123456789abcdef".utf8)
        header.fields.tls = Fields.TLS(flags: [.secured, .certificateInSession], isVerified: true)
        header.fields.tls?.version = Array("TLSv1.3".utf8)
        header.fields.tls?.commonName = Array("ann".utf8)
        let bytes = encode(header, hasChecksum: true)
        #expect(parse(bytes) == .complete(header, consumed: bytes.count))
        let type = bytes.count - 7
        for bit in 0..<8 * bytes.count {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << (bit % 8)
            guard case .complete(let read, _) = parse(damaged) else { continue }
            // What hides the checksum: LOCAL or no transport, where nothing is read, and another type in its place.
            #expect(read.command == .local || bit / 8 == 13 || bit / 8 == type, "bit \(bit)")
            guard bit / 8 == type else { continue }
            #expect(read.endpoints == header.endpoints && read.fields.authority == header.fields.authority)
            #expect(read.fields.uniqueID == header.fields.uniqueID && read.fields.tls == header.fields.tls)
        }
    }

    @Test(
        "CRC-32C of RFC 3720 §B.4",
        arguments: [
            ([UInt8](repeating: 0, count: 32), 0x8A91_36AA), ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
            (Array(0..<32), 0x46DD_794E), (Array((0..<32).reversed()), 0x113F_DB5C),
            (
                [0x01, 0xC0] + [UInt8](repeating: 0, count: 14)
                    + [0x14, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18, 0x28]
                    + [UInt8](repeating: 0, count: 7)
                    + [0x02] + [UInt8](repeating: 0, count: 7), 0xD996_3A56
            ),
        ] as [([UInt8], UInt32)])
    func vectors(bytes: [UInt8], sum: UInt32) {
        var crc = CRC32C()
        for byte in bytes { crc.update(byte) }
        #expect(crc.value == sum)
    }

    @Test(
        "never traps, and what is read is within its bounds, whatever the bytes",
        arguments: 1...10 as ClosedRange<UInt64>)
    func mutations(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        for _ in 0..<1_000 {
            var bytes = Self.rows.randomElement(using: &random)!.bytes + Self.arbitrary(&random).encoded
            for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
                bytes[.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            guard let read = try? Fields(bytes.span) else { continue }
            #expect(try Fields(read.encoded.span) == read, "seed \(seed): \(bytes)")
            #expect(read.encoded.count <= Fields.encodedBytesMax, "seed \(seed)")
        }
    }

    private static func arbitrary(_ random: inout SeededRandom) -> Fields {
        func value(_ max: Int) -> [UInt8]? {
            guard Bool.random(using: &random) else { return nil }
            return (0..<Int.random(in: 0...max, using: &random)).map { _ in .random(in: 0...255, using: &random) }
        }
        var fields = Fields()
        fields.alpn = value(255)
        fields.authority = value(255)
        fields.uniqueID = value(128)
        fields.networkNamespace = value(255)
        // A name of no length is none.
        fields.awsEndpoint = value(255).flatMap { $0.isEmpty ? nil : $0 }
        if Bool.random(using: &random) { fields.azureLink = .random(in: 0 ... .max, using: &random) }
        if Bool.random(using: &random) { fields.googleConnection = .random(in: 0 ... .max, using: &random) }
        if Bool.random(using: &random) {
            let flags = Fields.TLS.Flags(rawValue: .random(in: 0...255, using: &random))
            let hasShown = !flags.isDisjoint(with: [.certificateOnConnection, .certificateInSession])
            fields.tls = Fields.TLS(flags: flags, isVerified: hasShown && Bool.random(using: &random))
            fields.tls?.version = value(255)
            fields.tls?.commonName = value(255)
            fields.tls?.cipher = value(255)
            fields.tls?.signatureAlgorithm = value(255)
            fields.tls?.keyAlgorithm = value(255)
        }
        return fields
    }
}

private func tlv(_ type: UInt8, _ value: [UInt8]) -> [UInt8] {
    [type, UInt8(value.count >> 8), UInt8(value.count & 255)] + value
}

private func tlv(_ type: UInt8, _ text: String) -> [UInt8] { tlv(type, Array(text.utf8)) }

private func tls(_ flags: UInt8, verify: UInt8, _ inner: [UInt8]) -> [UInt8] {
    tlv(0x20, [flags, 0, 0, 0, verify] + inner)
}
