import PoiseHTTP
import PoiseModel
import PoiseRouting
import Testing

@Suite("Keys of hash")
struct HashKeyTests {
    private func hash(
        _ parts: [String], _ target: String = "/", _ fields: [String] = [], host: String = "shop.test",
        client: String? = "192.0.2.1"
    ) throws -> UInt64? {
        let key = HashKey(try parts.map { try HashKeyPart(parsing: $0) })
        let text = (["GET \(target) HTTP/1.1", "Host: \(host)"] + fields).joined(separator: "\r\n") + "\r\n\r\n"
        let bytes = utf8(text)
        var head = RequestHead()
        guard head.parse(bytes.span, from: 0, limits: HeadLimits()) == .complete else {
            Issue.record("not a head: \(text)")
            return nil
        }
        let address = client.flatMap { IPAddress(ipv4Or6: utf8($0).span) }
        #expect((address == nil) == (client == nil))
        return key.hash(head, bytes.span, client: address)
    }

    @Test("is the same on every machine")
    func golden() throws {
        let parts = ["header:X-User", "cookie:session", "query:id", "path", "host", "source_ip/24/56"]
        let fields = ["X-User: ann", "Cookie: a=1; session=xyz"]
        let keys = [
            try hash(parts, "/a?id=7", fields), try hash(parts, "/a?id=7", fields, client: "2001:db8::1"),
            try hash(["uri"], "/a?id=7", fields),
        ]
        #expect(keys == [6_783_286_310_476_314_094, 1_494_492_967_750_049_186, 14_442_979_248_331_046_887])
    }

    @Test(
        "goes by the part that it names",
        arguments: [
            // part, a request, one with the same key, one with another
            ("header:X-User", "X-User: ann", "x-USER:  ann ", "X-User: bob"),
            ("cookie:s", "Cookie: s=1; t=2", "Cookie: t=3; s=1", "Cookie: s=2; t=2"),
            ("cookie:s", "Cookie: s=1", "Cookie: xs=9\r\nCookie: s=1; s=2", "Cookie: S=1; s=3"),
            ("cookie:s", "Cookie: s=", "Cookie: s", "Cookie: s=\"\""),
        ])
    func fields(part: String, one: String, same: String, other: String) throws {
        let key = try hash([part], "/", [one])
        #expect(key != nil)
        #expect(try hash([part], "/x", [same], host: "other.test", client: nil) == key)
        #expect(try hash([part], "/", [other]) != key)
    }

    @Test(
        "goes by the part of the target that it names",
        arguments: [
            ("query:id", "/a?id=7&x=1", "/b?x=2&id=7", "/a?id=8&x=1"),
            ("query:id", "/?id=7&id=8", "/?id=7", "/?id=8"),
            ("query:id", "/?id", "/?id=", "/?id=id"),
            ("path", "/a?x", "/a", "/A"),
            ("uri", "/a?x", "/a?x", "/a?y"),
            ("uri", "/a?x", "/a?x", "/a"),
            ("uri", "/a?", "/a?", "/a"),
        ])
    func targets(part: String, one: String, same: String, other: String) throws {
        let key = try hash([part], one)
        #expect(key != nil)
        #expect(try hash([part], same, client: "192.0.2.9") == key)
        #expect(try hash([part], other) != key)
    }

    @Test("knows a host in any case and with any port")
    func host() throws {
        let key = try hash(["host"])
        #expect(try hash(["host"], "/x", host: "Shop.TEST:8080") == key)
        #expect(try hash(["host"], host: "shop.tess") != key)
    }

    @Test(
        "keeps as many bits of an address as it is told",
        arguments: [
            ("source_ip", "192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("source_ip", "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("source_ip/24", "192.0.2.1", "192.0.2.254", "192.0.3.1"),
            ("source_ip/24", "2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("source_ip/24/56", "2001:db8::1", "2001:db8:0:ff::9", "2001:db8:0:100::1"),
            ("source_ip/32/1", "2001:db8::1", "::", "8000::"),
            ("source_ip/1", "127.0.0.1", "1.1.1.1", "128.0.0.1"),
        ])
    func addresses(part: String, one: String, same: String, other: String) throws {
        let key = try hash([part], client: one)
        #expect(key != nil)
        #expect(try hash([part], "/x", client: same) == key)
        #expect(try hash([part], client: other) != key)
    }

    @Test(
        "is nil where the request has none of the parts",
        arguments: [["header:a"], ["cookie:a"], ["query:a"], ["header:a", "cookie:a", "query:a"], ["source_ip"]])
    func nothing(parts: [String]) throws {
        #expect(try hash(parts, "/a?b=1", ["B: a", "Cookie: b=a"], client: nil) == nil)
    }

    @Test("tells a part that is missing from one that is empty, and one part from another")
    func missing() throws {
        let parts = ["header:a", "header:b"]
        let keys = [
            try hash(parts, "/", ["A: x"]), try hash(parts, "/", ["B: x"]), try hash(parts, "/", ["A: x", "B:"]),
            try hash(parts, "/", ["A:", "B: x"]), try hash(parts, "/", ["A: x", "B: x"]),
            try hash(["header:b", "header:a"], "/", ["A: x"]), try hash(["header:a"], "/", ["A: x"]),
        ]
        #expect(Set(keys).count == keys.count - 1, "b, a with A alone is a, b with B alone")
        #expect(keys[1] == keys[5])
        #expect(!keys.contains(nil))
    }

    @Test("HTTP/1.0 without Host has no host")
    func noHost() throws {
        let bytes = utf8("GET / HTTP/1.0\r\n\r\n")
        var head = RequestHead()
        #expect(head.parse(bytes.span, from: 0, limits: HeadLimits()) == .complete)
        #expect(HashKey([.host]).hash(head, bytes.span, client: nil) == nil)
        #expect(HashKey([.host, .path]).hash(head, bytes.span, client: nil) != nil)
    }
}
