import PoiseHTTP
import Testing

@Suite("Request head, RFC 9112 §2, §3")
struct RequestHeadTests {
    @Test func readsAllPartsOfAPlainRequest() throws {
        let input = "GET /a/b?c=d&e HTTP/1.1\r\nHost: shop.test:8080\r\nAccept: */*\r\n\r\nrest"
        let head = try #require(parseRequest(input).summary)
        #expect(head.method == "GET")
        #expect(head.target == "/a/b?c=d&e")
        #expect(head.version == .http11)
        #expect(head.form == .origin)
        #expect(head.path == "/a/b")
        #expect(head.query == "c=d&e")
        #expect(head.authority == "shop.test:8080")
        #expect(head.host == "shop.test")
        #expect(head.fields == ["Host: shop.test:8080", "Accept: */*"])
        #expect(head.framing == .none)
        #expect(head.headEnd == input.utf8.count - 4)
        #expect(!head.wantsClose)
    }

    @Test(
        "tells the methods apart, in upper case only (RFC 9110 §9.1)",
        arguments: [
            ("GET", HTTPMethod.get), ("HEAD", .head), ("POST", .post), ("PUT", .put), ("DELETE", .delete),
            ("OPTIONS", .options), ("TRACE", .trace), ("PATCH", .patch), ("get", .other), ("GETT", .other),
            ("PROPFIND", .other), ("XOPTIONS", .other), ("M!#$%&'*+-.^_`|~9", .other),
        ])
    func readsMethod(name: String, method: HTTPMethod) {
        let input = bytes("\(name) / HTTP/1.1\r\nHost: a\r\n\r\n")
        var head = RequestHead()
        #expect(head.parse(input.span, from: 0, limits: HeadLimits()) == .complete)
        #expect(head.method == method)
        #expect(text(input, head.methodRange) == name)
    }

    @Test func readsConnect() {
        let input = bytes("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n")
        var head = RequestHead()
        #expect(head.parse(input.span, from: 0, limits: HeadLimits()) == .complete)
        #expect(head.method == .connect)
        #expect(head.form == .authority)
        #expect(text(input, head.authority) == "a.test:443")
        #expect(text(input, head.host) == "a.test")
    }

    @Test(
        "reads the version; a higher minor one counts as 1.1 (RFC 9110 §2.5)",
        arguments: [("HTTP/1.0", HTTPVersion.http10), ("HTTP/1.1", .http11), ("HTTP/1.2", .http11)])
    func readsVersion(text: String, version: HTTPVersion) {
        #expect(parseRequest("GET / \(text)\r\nHost: a\r\n\r\n").summary?.version == version)
    }

    @Test(
        "refuses a bad request line",
        arguments: [
            (" GET / HTTP/1.1\r\n", 400, Refusal.Reason.badMethod), ("\u{16}\u{3}\u{1}", 400, .tlsClientHello),
            ("G(T / HTTP/1.1\r\n", 400, .badMethod), ("GET\t/ HTTP/1.1\r\n", 400, .badMethod),
            ("\u{C3}\u{89}", 400, .badMethod), ("A123456789012345678901234567890123456789", 400, .badMethod),
            ("GET  / HTTP/1.1\r\n", 400, .badRequestLine), ("GET /  HTTP/1.1\r\n", 400, .badRequestLine),
            ("GET / HTTP/1.1 \r\n", 400, .badRequestLine), ("GET / x HTTP/1.1\r\n", 400, .badRequestLine),
            ("GET / http/1.1\r\n", 400, .badRequestLine), ("GET / HTTP/1,1\r\n", 400, .badRequestLine),
            ("GET / HTTP/1.10\r\n", 400, .badRequestLine), ("GET / HTTP/11.1\r\n", 400, .badRequestLine),
            ("GET / HTTP/x.1\r\n", 400, .badRequestLine), ("GET / HTTP/1.x\r\n", 400, .badRequestLine),
            ("GET / HTTPS/1.1\r\n", 400, .badRequestLine), ("GET \r\n", 400, .badRequestLine),
            ("GET / \r\n", 400, .bareCR), ("GET /\r\n", 400, .http09), ("GET /\n", 400, .http09),
            ("GET / HTTP/0.9\r\n", 400, .http09), ("GET / HTTP/2.0\r\n", 505, .versionNotSupported),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, .versionNotSupported),
            ("GET / HTTP/3", 505, .versionNotSupported),
            ("GET / HTTP/1.1\n", 400, .bareLF), ("GET / HTTP/1.1\r\r\n", 400, .bareCR), ("\n", 400, .bareLF),
            ("\r\r", 400, .bareCR), ("GET\r\n", 400, .bareCR), ("G\u{0}T", 400, .nul), ("GET /\u{0} ", 400, .nul),
            ("GET /\u{7F} ", 400, .controlByte), ("GET /\u{1} ", 400, .controlByte), ("GET /\u{E9} ", 400, .badTarget),
            ("GET /a\tb ", 400, .badTarget),
        ])
    func refusesRequestLine(input: String, status: Int, reason: Refusal.Reason) {
        #expect(parseRequest(input) == .refused(status, reason))
    }

    @Test("skips up to two empty lines before a request (RFC 9112 §2.2)", arguments: 0...2)
    func skipsEmptyLines(count: Int) throws {
        let lines = String(repeating: "\r\n", count: count)
        let input = bytes("\(lines)GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        var head = RequestHead()
        #expect(head.parse(input.span, from: 0, limits: HeadLimits()) == .complete)
        #expect(head.headStart == 2 * count)
        #expect(head.headEnd == input.count)
    }

    @Test func refusesAThirdEmptyLine() {
        #expect(parseRequest("\r\n\r\n\r\nGET / HTTP/1.1\r\n") == .refused(400, .badRequestLine))
    }

    @Test func hasBegunWithTheFirstByteOfARequestLineOnly() {
        var head = RequestHead()
        let empty: [UInt8] = bytes("\r\n")
        #expect(head.parse(empty.span, from: 0, limits: HeadLimits()) == .needMore)
        #expect(!head.hasBegun)
        let begun = bytes("\r\nG")
        #expect(head.parse(begun.span, from: 0, limits: HeadLimits()) == .needMore)
        #expect(head.hasBegun)
    }

    @Test func keepsOrderAndDuplicatesOfFields() throws {
        let lines = ["X-A: 1", "x-b: 2", "X-A: 3", "Cookie: a", "cookie: b", "X-A: 1", "Host: a", "X-Empty: "]
        let head = try #require(
            parseRequest("GET / HTTP/1.1\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n").summary)
        #expect(head.fields == lines)
    }

    @Test func readsPipelinedRequestsOneByOne() {
        let first = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        let second = "GET /2 HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n"
        let input = bytes(first + second)
        var head = RequestHead()
        #expect(head.parse(input.span, from: 0, limits: HeadLimits()) == .complete)
        #expect(head.headEnd == first.utf8.count)
        #expect(head.framing == .length(0))
        let start = head.headEnd
        head.reset()
        #expect(head.parse(input.span, from: start, limits: HeadLimits()) == .complete)
        #expect(text(input, head.path) == "/2")
        #expect(text(input, head.host) == "b")
        #expect(head.fields.count == 2)
        #expect(head.framing == .none)
        #expect(head.wantsClose)
        #expect(head.headEnd == input.count)
    }

    @Test func givesTheSameResultAgainOnceDecided() {
        let bad = bytes("GET /#x")
        var head = RequestHead()
        #expect(head.parse(bad.span, from: 0, limits: HeadLimits()) == .refused(Refusal(.fragment)))
        let good = bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(head.parse(good.span, from: 0, limits: HeadLimits()) == .refused(Refusal(.fragment)))
        head.reset()
        #expect(head.parse(good.span, from: 0, limits: HeadLimits()) == .complete)
        #expect(head.parse(good.span, from: 0, limits: HeadLimits()) == .complete)
    }

    @Test("moves every position, wherever the head was cut", arguments: [-3, 5, 1000])
    func shifts(distance: Int) throws {
        let head = "GET /a?b=c HTTP/1.1\r\nHost: h:1\r\nX: y\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        let before = bytes("xxx" + head)
        let after = Array(repeating: UInt8(0x2E), count: 3 + distance) + bytes(head)
        let expected = try #require(parseRequest(after, start: 3 + distance).summary)
        for cut in 3...before.count {
            var parser = RequestHead()
            _ = parser.parse(Array(before[..<cut]).span, from: 3, limits: HeadLimits())
            parser.shift(by: distance)
            #expect(parser.parse(after.span, from: 3 + distance, limits: HeadLimits()) == .complete)
            #expect(summary(parser, after) == expected, "cut at \(cut)")
            #expect(parser.headStart == 3 + distance)
        }
    }
}

@Suite("Limits of a head")
struct HeadLimitTests {
    @Test func allowsAHeadOfExactlyTheLimitAndRefusesOneByteMore() {
        let input = "GET / HTTP/1.1\r\nHost: a\r\nX: 0123456789\r\n\r\n"
        let count = input.utf8.count
        #expect(parseRequest(input, limits: HeadLimits(headBytesMax: count)).summary != nil)
        #expect(parseRequest(input, limits: HeadLimits(headBytesMax: count - 1)) == .refused(431, .headTooLarge))
    }

    @Test func refusesAsSoonAsTheLimitIsReachedSoThatAFullBufferNeverWaits() {
        let input = "GET / HTTP/1.1\r\nHost: a\r\n"
        #expect(
            parseRequest(input, limits: HeadLimits(headBytesMax: input.utf8.count)) == .refused(431, .headTooLarge))
        #expect(parseRequest(input, limits: HeadLimits(headBytesMax: input.utf8.count + 1)) == .needMore)
    }

    @Test func countsTheHeadFromBehindSkippedLines() {
        let head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        #expect(parseRequest("\r\n\r\n" + head, limits: HeadLimits(headBytesMax: head.utf8.count)).summary != nil)
    }

    @Test func allowsSoManyFieldsAndRefusesOneMore() {
        let fields = "Host: a\r\nA: 1\r\nB: 2\r\n"
        #expect(parseRequest("GET / HTTP/1.1\r\n\(fields)\r\n", limits: HeadLimits(fieldCountMax: 3)).summary != nil)
        #expect(
            parseRequest("GET / HTTP/1.1\r\n\(fields)C", limits: HeadLimits(fieldCountMax: 3))
                == .refused(431, .tooManyFields))
    }

    @Test func allowsAURIOfExactlyTheLimitAndRefusesALongerOneBeforeItsEnd() {
        let limits = HeadLimits(uriBytesMax: 5)
        #expect(parseRequest("GET /1234 HTTP/1.1\r\nHost: a\r\n\r\n", limits: limits).summary != nil)
        #expect(parseRequest("GET /1234", limits: limits) == .needMore)
        #expect(parseRequest("GET /12345", limits: limits) == .refused(414, .uriTooLong))
        #expect(parseRequest("GET /123?", limits: limits) == .needMore)
        #expect(parseRequest("GET /123?%", limits: limits) == .refused(414, .uriTooLong))
    }

    @Test func refusesATargetThatFillsTheHeadWith414() {
        #expect(parseRequest("GET /12345678", limits: HeadLimits(headBytesMax: 10)) == .refused(414, .uriTooLong))
    }
}
