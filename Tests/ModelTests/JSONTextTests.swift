import Foundation
import PoiseModel
import Testing

@Suite("JSON text, RFC 8259")
struct JSONTextTests {
    private func text(_ write: (inout JSONText<[UInt8]>) -> Void) -> String {
        var json = JSONText([UInt8]())
        write(&json)
        return String(decoding: json.sink, as: UTF8.self)
    }

    @Test("writes commas and colons where they belong")
    func structure() {
        let written = text { json in
            json.beginObject()
            json.member("a", 1)
            json.key("b")
            json.beginArray()
            json.beginObject()
            json.endObject()
            json.beginArray()
            json.endArray()
            json.null()
            json.bool(true)
            json.number(-1.5)
            json.number(.infinity)
            json.number(Int.min)
            json.endArray()
            json.member("c", false)
            json.member("d", "e")
            json.endObject()
        }
        #expect(written == #"{"a":1,"b":[{},[],null,true,-1.5,null,-9223372036854775808],"c":false,"d":"e"}"#)
    }

    @Test(
        "escapes what must not stand in a string",
        arguments: [
            ("plain", #""plain""#), ("\"\\", #""\"\\""#), ("\n\r\t", #""\n\r\t""#), ("\u{0}\u{1F}", #""\u0000\u001f""#),
            ("\u{7F}\u{1B}[31m", #""\u007f\u001b[31m""#), ("bär 🙂", #""bär 🙂""#), ("", #""""#), ("/", #""/""#),
        ])
    func escapes(value: String, written: String) { #expect(text { $0.string(value) } == written) }

    @Test(
        "replaces each byte that is no UTF-8",
        arguments: [
            ([0x61, 0xFF, 0x62], "a\u{FFFD}b"), ([0xC3], "\u{FFFD}"), ([0xC0, 0x80], "\u{FFFD}\u{FFFD}"),
            ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
            ([0xF4, 0x90, 0x80, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"),
            ([0xE2, 0x82, 0xAC], "€"), ([0xE2, 0x82, 0x61], "\u{FFFD}\u{FFFD}a"), ([0xF0, 0x9F, 0x99, 0x82], "🙂"),
        ] as [([UInt8], String)])
    func repairs(bytes: [UInt8], value: String) { #expect(text { $0.string(bytes.span) } == "\"\(value)\"") }

    @Test("any bytes at all come out as text that another parser reads", arguments: 1...20 as ClosedRange<UInt64>)
    func anyBytes(seed: UInt64) throws {
        var state = seed
        let bytes = (0..<500).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
        let written = text { json in
            json.beginArray()
            json.string(bytes.span)
            json.endArray()
        }
        let parsed = try JSONSerialization.jsonObject(with: Data(written.utf8)) as? [String]
        #expect(parsed?.count == 1, "seed \(seed)")
    }
}
