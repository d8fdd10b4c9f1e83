import PoiseHTTP
import Testing

@Suite("Request target and host, RFC 9112 §3.2, §3.3")
struct TargetTests {
    @Test(
        "takes an absolute-form apart; its authority replaces Host (§3.2.2)",
        arguments: [
            ("http://b.test/p?q", "b.test", "b.test", "/p", "q"),
            ("HTTP://b.test:81/", "b.test:81", "b.test", "/", nil),
            ("https://b.test", "b.test", "b.test", "", nil), ("http://b.test?q/r", "b.test", "b.test", "", "q/r"),
            ("http://[::1]:8080/x", "[::1]:8080", "[::1]", "/x", nil),
        ] as [(String, String, String, String, String?)])
    func readsAbsoluteForm(target: String, authority: String, host: String, path: String, query: String?) throws {
        let head = try #require(parseRequest("GET \(target) HTTP/1.1\r\nHost: a.test\r\n\r\n").summary)
        #expect(head.form == .absolute)
        #expect(head.authority == authority)
        #expect(head.host == host)
        #expect(head.path == path)
        #expect(head.query == query)
    }

    @Test func readsAsteriskFormOfOptionsOnly() throws {
        let head = try #require(parseRequest("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").summary)
        #expect(head.form == .asterisk)
        #expect(head.path == "*")
        #expect(parseRequest("GET * HTTP/1.1\r\n") == .refused(400, .badTarget))
    }

    @Test(
        "keeps path and query raw",
        arguments: [
            ("/", "/", nil), ("/?", "/", ""), ("/a%2Fb/../c;d", "/a%2Fb/../c;d", nil), ("//x", "//x", nil),
            ("/a?b?c", "/a", "b?c"), ("/a?q=100%", "/a", "q=100%"), ("/\"<>\\^`{|}", "/\"<>\\^`{|}", nil),
        ] as [(String, String, String?)])
    func readsOriginForm(target: String, path: String, query: String?) throws {
        let head = try #require(parseRequest("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n").summary)
        #expect(head.target == target)
        #expect(head.path == path)
        #expect(head.query == query)
    }

    @Test(
        "refuses a bad target",
        arguments: [
            ("GET a HTTP/1.1\r\n", Refusal.Reason.badTarget), ("GET ?a HTTP/1.1\r\n", .badTarget),
            ("GET ** HTTP/1.1\r\n", .badTarget), ("GET ftp://a/ HTTP/1.1\r\n", .badTarget),
            ("GET http:/a HTTP/1.1\r\n", .badTarget), ("GET http:// HTTP/1.1\r\n", .badTarget),
            ("GET http:///a HTTP/1.1\r\n", .badHost), ("GET http://u@a/ HTTP/1.1\r\n", .badHost),
            ("GET http://a:x/ HTTP/1.1\r\n", .badHost), ("GET https://?a HTTP/1.1\r\n", .badHost),
            ("GET a.test:80 HTTP/1.1\r\n", .badTarget), ("CONNECT /a HTTP/1.1\r\n", .badTarget),
            ("CONNECT a.test HTTP/1.1\r\n", .badTarget), ("CONNECT http://a:1/ HTTP/1.1\r\n", .badTarget),
            ("GET /#a", .fragment), ("GET /?a#b", .fragment), ("GET #", .fragment),
            ("GET /% HTTP/1.1\r\n", .badPercentEncoding), ("GET /%4 HTTP/1.1\r\n", .badPercentEncoding),
            ("GET /%4g HTTP/1.1\r\n", .badPercentEncoding), ("GET /a%00b HTTP/1.1\r\n", .badPercentEncoding),
            ("GET http://a/%zz HTTP/1.1\r\n", .badPercentEncoding),
        ])
    func refusesTarget(input: String, reason: Refusal.Reason) {
        #expect(parseRequest(input) == .refused(400, reason))
    }

    @Test(
        "requires one valid Host, except of HTTP/1.0",
        arguments: [
            ("HTTP/1.1", "", Refusal.Reason.missingHost), ("HTTP/1.1", "Host: a\r\nHost: a\r\n", .duplicateHost),
            ("HTTP/1.0", "Host: a\r\nHost: a\r\n", .duplicateHost), ("HTTP/1.1", "Host:\r\n", .badHost),
            ("HTTP/1.1", "Host: a b\r\n", .badHost), ("HTTP/1.1", "Host: u@a\r\n", .badHost),
            ("HTTP/1.1", "Host: u:p@a\r\n", .badHost), ("HTTP/1.1", "Host: a:x\r\n", .badHost),
            ("HTTP/1.1", "Host: a/b\r\n", .badHost), ("HTTP/1.0", "Host: a\\b\r\n", .badHost),
            ("HTTP/1.1", "Host: http://a\r\n", .badHost),
        ])
    func refusesHost(version: String, fields: String, reason: Refusal.Reason) {
        #expect(parseRequest("GET / \(version)\r\n\(fields)\r\n") == .refused(400, reason))
        // An absolute-form does not excuse a bad Host.
        #expect(parseRequest("GET http://c/ \(version)\r\n\(fields)\r\n") == .refused(400, reason))
    }

    @Test func allowsHTTP10WithoutHost() throws {
        let head = try #require(parseRequest("GET / HTTP/1.0\r\n\r\n").summary)
        #expect(head.authority.isEmpty)
        #expect(head.host.isEmpty)
    }
}

@Suite("Authority, RFC 9110 §7.2 and RFC 3986 §3.2")
struct AuthorityTests {
    @Test(
        "takes valid ones apart",
        arguments: [
            ("a", "a", nil), ("shop.test", "shop.test", nil), ("shop.test:80", "shop.test", 80),
            ("shop.test:", "shop.test", nil), ("a:0", "a", 0), ("a:65535", "a", 65535), ("a:00080", "a", 80),
            ("127.0.0.1:1", "127.0.0.1", 1), ("a_b-c.~d", "a_b-c.~d", nil), ("a%41b", "a%41b", nil),
            ("[::]", "[::]", nil), ("[2001:db8::13]:8080", "[2001:db8::13]", 8080), ("a.", "a.", nil),
        ] as [(String, String, UInt16?)])
    func reads(input: String, host: String, port: UInt16?) throws {
        let parts = try #require(authority(input))
        #expect(text(bytes(input), parts.host) == host)
        #expect(parts.port == port)
    }

    @Test(
        "refuses all others",
        arguments: [
            "", ":", ":80", ".", "..", ".a", "a..b", "a..", "a..:80", "a:65536", "a:999999", "a:-1", "a:+1", "a:1 ",
            "a: 1", "a:b", "a:1:2", "a b", " a", "a@b",
            "@", "a/", "a?", "a#", "a\\b", "a\u{0}", "a\u{7F}", "\u{E9}", "a%", "a%4", "a%4g", "a%zz", "[", "[]",
            "[]:1",
            "[::1", "::1", "[::1]a", "[::1]80", "[:::]", "[::1%25eth0]", "[v1.a]", "a\"b", "a<b", "a|b", "a^b", "a`b",
            "a[b", "a]b", "a{b}", String(repeating: "a", count: 256),
        ])
    func refuses(input: String) {
        #expect(authority(input) == nil)
    }

    @Test(
        "knows IPv6 addresses",
        arguments: [
            ("::", true), ("::1", true), ("1::", true), ("1:2:3:4:5:6:7:8", true), ("1:2:3:4:5:6:7::", true),
            ("::2:3:4:5:6:7:8", true), ("1::8", true), ("abcd:EF01::", true), ("::ffff:192.0.2.1", true),
            ("1:2:3:4:5:6:1.2.3.4", true), ("1::1.2.3.4", true), ("", false), (":", false), (":::", false),
            ("1", false), ("1:2:3:4:5:6:7", false), ("1:2:3:4:5:6:7:8:9", false), ("1:2:3:4:5:6:7:8:", false),
            ("1:2:3:4:5:6:7:8::", false), ("::1:2:3:4:5:6:7:8", false), ("1::2::3", false), ("12345::", false),
            (":1::", false), ("1:", false), ("g::", false), ("::1.2.3", false), ("::1.2.3.4.5", false),
            ("::1.2.3.4:5", false), ("::256.2.3.4", false), ("::01.2.3.4", false), ("1:2:3:4:5:6:7:1.2.3.4", false),
            ("1.2.3.4", false),
        ])
    func knowsIPv6(input: String, isValid: Bool) {
        let input = bytes(input)
        #expect(isIPv6Address(input.span, ByteRange(input.indices)) == isValid)
    }

    @Test(
        "knows IPv4 addresses",
        arguments: [
            ("0.0.0.0", true), ("255.255.255.255", true), ("1.2.3", false), ("1.2.3.4.", false), ("1.2.3.256", false),
            ("1.2.3.04", false), ("1..3.4", false), ("", false), ("1.2.3.4 ", false), ("0x1.2.3.4", false),
        ])
    func knowsIPv4(input: String, isValid: Bool) {
        let input = bytes(input)
        #expect(isIPv4Address(input.span, ByteRange(input.indices)) == isValid)
    }
}
