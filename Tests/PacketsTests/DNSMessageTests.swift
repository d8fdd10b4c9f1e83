import PoiseModel
import Testing

@testable import PoisePackets

@Suite("DNS messages, RFC 1035 §4")
struct DNSMessageTests {
    private static func read(_ bytes: [UInt8]) -> Result<DNSMessage, DNSMessage.Refusal> {
        do throws(DNSMessage.Refusal) { return .success(try DNSMessage(parsing: bytes.span)) } catch {
            return .failure(error)
        }
    }

    private static func name(_ text: String) -> DNSName { DNSName(text)! }

    /// One answer with everything in it.
    static let everything: DNSMessage = {
        var message = DNSMessage(id: 0xBEEF, asking: .init(name("www.shop.test"), type: 1))
        (message.isAnswer, message.isAuthoritative, message.offersRecursion, message.isTruncated) = (
            true, true, true, true
        )
        (message.operation, message.responseCode) = (5, 9)
        message.answers = [
            .init(name("www.shop.test"), type: 5, timeToLive: 60, .name(name("Shop.Test"))),
            .init(name("shop.test"), type: 1, timeToLive: 0xFFFF_FFFF, .address(IPAddress("10.0.0.1")!)),
            .init(name("shop.test"), type: 28, .address(IPAddress("2001:db8::1")!)),
        ]
        message.authorities = [
            .init(name("test"), type: 6, .authority(name("ns.test"), name("root.test"), [1, 2, 3, 4, 5])),
            .init(name("test"), type: 2, .name(name("ns.test"))),
        ]
        message.additionals = [
            .init(name("test"), type: 15, .exchange(10, name("mx.test"))),
            .init(name("_sip._tcp.test"), type: 33, .service(priority: 1, weight: 2, port: 5060, name("sip.test"))),
            .init(name("test"), type: 16, .other([3, 1, 2, 3])), .init(.root, type: 41, .other([])),
        ]
        return message
    }()

    @Test("a question, byte for byte")
    func question() {
        let message = DNSMessage(id: 0x1234, asking: .init(Self.name("a.bc"), type: 28))
        #expect(
            message.wire == [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0x61, 2, 0x62, 0x63, 0, 0, 28, 0, 1])
        #expect(Self.read(message.wire) == .success(message))
    }

    @Test("what is written is read again, and names are written once")
    func everything() {
        let wire = Self.everything.wire
        #expect(Self.read(wire) == .success(Self.everything))
        let labels = Array("shop".utf8)
        let count = wire.indices.count { wire[$0...].starts(with: labels) }
        #expect(count == 1)
    }

    @Test(
        "an answer of a real server, with pointers into pointers",
        arguments: [
            // www.a.test CNAME a.test; a.test A 10.0.0.1, its name being the end of the question's.
            [
                0, 7, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0, 3, 0x77, 0x77, 0x77, 1, 0x61, 4, 0x74, 0x65, 0x73, 0x74, 0, 0,
                1, 0, 1,
                0xC0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xC0, 16, 0xC0, 40, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 1,
            ] as [UInt8]
        ])
    func real(bytes: [UInt8]) throws {
        let message = try DNSMessage(parsing: bytes.span)
        #expect(message.answers.map(\.name) == [Self.name("WWW.a.test"), Self.name("a.test")])
        #expect(message.answers.map(\.data) == [.name(Self.name("a.test")), .address(IPAddress("10.0.0.1")!)])
    }

    private static func answer(_ record: [UInt8], count: UInt8 = 1) -> [UInt8] {
        [0, 7, 0x80, 0, 0, 0, 0, count, 0, 0, 0, 0] + record
    }

    @Test(
        "refuses what is no message",
        arguments: [
            ([], .cut), ([0, 7, 0x80], .cut), (answer([]), .cut), (answer([0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1]), .cut),
            (answer([0, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0], count: 0), .trailingBytes),
            // To itself, forward, in a circle of two.
            (answer([0xC0, 12, 0, 1, 0, 1]), .badPointer), (answer([0xC0, 30, 0, 1, 0, 1]), .badPointer),
            (answer([1, 0x61, 0xC0, 14, 0, 1, 0, 1]), .badPointer),
            (answer([1, 0x61, 0xC0, 12, 0, 1, 0, 1]), .badPointer),
            // A label of a kind that is not defined, and one that is cut.
            (answer([0x40, 0x61, 0]), .badName), (answer([0x80, 0x61, 0]), .badName), (answer([9, 0x61]), .cut),
            (answer([0xC0]), .cut),
            // An address of three bytes and of five, a name that ends early.
            (answer([0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 3, 1, 2, 3]), .badData),
            (answer([0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4, 5]), .badData),
            (answer([0, 0, 2, 0, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0]), .badData),
            (answer([0, 0, 2, 0, 1, 0, 0, 0, 0, 0, 1, 4]), .badData),
        ] as [([UInt8], DNSMessage.Refusal)])
    func refuses(bytes: [UInt8], refusal: DNSMessage.Refusal) {
        #expect(Self.read(bytes) == .failure(refusal))
    }

    @Test("a name made of pointers is no longer than a name")
    func longNames() {
        // Each label of 63 bytes goes on with the one before: the fourth makes it too long.
        var bytes: [UInt8] = [0, 7, 0x80, 0, 0, 0, 0, 4, 0, 0, 0, 0]
        var last: Int?
        for _ in 0..<4 {
            let start = bytes.count
            bytes += [63] + [UInt8](repeating: 0x61, count: 63)
            bytes += last.map { [UInt8(0xC0 | $0 >> 8), UInt8($0 & 0xFF)] } ?? [0]
            bytes += [0, 16, 0, 1, 0, 0, 0, 0, 0, 0]
            last = start
        }
        #expect(Self.read(bytes) == .failure(.badName))
    }

    @Test(
        "pointers that lead only to pointers end somewhere soon",
        arguments: [(126, true), (127, false), (8_000, false)])
    func pointerChains(count: Int, isGood: Bool) {
        // A text of a root name and pointers, each to the one before; the second record's name is the last of them.
        let length = 1 + 2 * count
        var bytes: [UInt8] = [0, 7, 0x80, 0, 0, 0, 0, 2, 0, 0, 0, 0]
        bytes += [0, 0, 16, 0, 1, 0, 0, 0, 0, UInt8(length >> 8), UInt8(length & 0xFF)]
        var last = bytes.count
        bytes.append(0)
        for _ in 0..<count + 1 {
            let place = bytes.count
            bytes += [UInt8(0xC0 | last >> 8), UInt8(last & 0xFF)]
            last = place
        }
        bytes += [0, 16, 0, 1, 0, 0, 0, 0, 0, 0]
        let isRead = (try? DNSMessage(parsing: bytes.span)) != nil
        #expect(isRead == isGood)
        #expect(isGood || Self.read(bytes) == .failure(.badPointer))
    }

    @Test("no part of a message is one")
    func parts() {
        let wire = Self.everything.wire
        for count in 0..<wire.count { #expect(Self.read(Array(wire[..<count])) != .success(Self.everything)) }
    }

    @Test(
        "a message with bits turned over is refused, or means what it then says", arguments: 0..<2_000 as Range<UInt64>)
    func bitFlips(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var wire = Self.everything.wire
        for _ in 0...Int(random.next() % 4) {
            wire[Int(random.next() % UInt64(wire.count))] ^= 1 << UInt8(random.next() % 8)
        }
        guard case .success(let message) = Self.read(wire) else { return }
        #expect(Self.read(message.wire) == .success(message), "seed \(seed)")
    }

    @Test(
        "names as text",
        arguments: [
            ("www.shop.test", "www.shop.test"), ("www.shop.test.", "www.shop.test"), (".", "."),
            ("a b.test", "a\\032b.test"),
            ("", nil), ("a..b", nil), (".a", nil), (String(repeating: "a", count: 64), nil),
            (String(repeating: "a", count: 63), String(repeating: "a", count: 63)),
            (String(repeating: "a.", count: 127), String(repeating: "a.", count: 126) + "a"),
            (String(repeating: "a.", count: 128), nil),
        ] as [(String, String?)])
    func names(text: String, written: String?) { #expect(DNSName(text)?.description == written) }

    @Test("names are equal without case")
    func equality() {
        #expect(Self.name("WWW.Test") == Self.name("www.tEST") && Set([Self.name("A"), Self.name("a")]).count == 1)
        #expect(Self.name("a.b") != Self.name("ab") && Self.name("a") != Self.name("b"))
    }
}
