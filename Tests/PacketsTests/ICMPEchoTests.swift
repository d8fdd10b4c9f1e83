import PoiseModel
import Testing

@testable import PoisePackets

@Suite("Echoes of ICMP, RFC 792 and RFC 4443 §4")
struct ICMPEchoTests {
    @Test("a request, byte for byte; IPv4's checksum is right")
    func request() {
        let echo = ICMPEcho(identifier: 0x1234, sequence: 0x0102, token: 0x0A0B_0C0D_0E0F_1011)
        let bytes = echo.encoded(for: .v4)
        #expect(bytes[..<2] == [8, 0] && bytes[4...] == [0x12, 0x34, 1, 2, 10, 11, 12, 13, 14, 15, 16, 17])
        // The sum of a message with its checksum is all ones: RFC 1071 §1.
        #expect(ICMPEcho.checksum(bytes) == 0)
        #expect(echo.encoded(for: .v6)[..<4] == [128, 0, 0, 0])
    }

    @Test(
        "what is written is read, in either direction and family", arguments: [IPAddress.Family.v4, .v6], [false, true])
    func reads(family: IPAddress.Family, isReply: Bool) {
        var echo = ICMPEcho(identifier: 7, sequence: 65_535, token: .max)
        echo.isReply = isReply
        let bytes = echo.encoded(for: family)
        #expect(ICMPEcho(parsing: bytes.span, family: family) == echo)
        #expect(ICMPEcho(parsing: (bytes + [1, 2]).span, family: family) == echo)
        for count in 0..<bytes.count {
            #expect(ICMPEcho(parsing: bytes.span.extracting(first: count), family: family) == nil)
        }
        #expect(ICMPEcho(parsing: bytes.span, family: family == .v4 ? .v6 : .v4) == nil)
    }

    @Test(
        "where the message begins behind IPv4's header",
        arguments: [
            (0x45, 40, 20), (0x46, 40, 24), (0x4F, 60, 60), (0x4F, 59, nil), (0x44, 40, nil), (0x65, 40, nil),
            (0x45, 19, nil),
        ]
            as [(UInt8, Int, Int?)])
    func header(first: UInt8, count: Int, start: Int?) {
        let bytes = [first] + [UInt8](repeating: 0, count: count - 1)
        #expect(ICMPEcho.start(behindIPv4: bytes.span) == start)
    }
}
