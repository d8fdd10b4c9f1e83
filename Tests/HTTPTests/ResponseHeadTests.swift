import PoiseHTTP
import Testing

@Suite("Answer head, RFC 9112 §4, §6.3")
struct ResponseHeadTests {
    @Test func readsAllPartsOfAPlainAnswer() throws {
        let input =
            "HTTP/1.1 404 Not \u{FC}ber Found\r\nDate: x\r\nContent-Length: 3\r\nKeep-Alive: max=9, timeout=5\r\n\r\nabc"
        let head = try #require(parseResponse(input).summary)
        #expect(head.status == 404)
        #expect(head.version == .http11)
        #expect(head.reason == "Not \u{FC}ber Found")
        #expect(head.framing == .length(3))
        #expect(head.fields == ["Date: x", "Content-Length: 3", "Keep-Alive: max=9, timeout=5"])
        #expect(head.hopByHop == ["Keep-Alive"])
        #expect(head.headEnd == input.unicodeScalars.count - 3)
        #expect(!head.wantsClose)
        #expect(head.keepAliveTimeout == 5)
        #expect(head.hasDate)
    }

    @Test(
        "reads a status line",
        arguments: [
            ("HTTP/1.1 200 OK", 200, "OK"), ("HTTP/1.1 200 ", 200, ""), ("HTTP/1.1 200", 200, ""),
            ("HTTP/1.0 599 a  b", 599, "a  b"), ("HTTP/1.1 100 Continue", 100, "Continue"),
            ("HTTP/1.1 200  x", 200, " x"),
        ])
    func readsStatusLine(line: String, status: Int, reason: String) throws {
        let head = try #require(parseResponse("\(line)\r\n\r\n").summary)
        #expect(head.status == status)
        #expect(head.reason == reason)
    }

    @Test(
        "refuses a bad one with 502",
        arguments: [
            ("\r\n", Refusal.Reason.bareCR), ("ICY 200 OK\r\n", .badStatusLine), ("http/1.1 200\r\n", .badStatusLine),
            ("HTTP/2.0 200\r\n", .badStatusLine), ("HTTP/0.9 200\r\n", .badStatusLine), ("HTTP/1.x", .badStatusLine),
            ("HTTP/1.1  200 OK\r\n", .badStatusLine), ("HTTP/1.1 20 OK\r\n", .badStatusLine),
            ("HTTP/1.1 2000 OK\r\n", .badStatusLine), ("HTTP/1.1 099 OK\r\n", .badStatusLine),
            ("HTTP/1.1 600 OK\r\n", .badStatusLine), ("HTTP/1.1 +20 OK\r\n", .badStatusLine),
            ("HTTP/1.1 200\tOK\r\n", .badStatusLine), ("HTTP/1.1 200 OK\n", .bareLF), ("HTTP/1.1 200\n", .bareLF),
            ("HTTP/1.1 200 O\rK\r\n", .bareCR), ("HTTP/1.1 200 O\u{0}K\r\n", .nul), ("<html>", .badStatusLine),
            ("HTTP/1.1 200 O\u{1B}K\r\n", .controlByte), (" HTTP/1.1 200 OK\r\n", .badStatusLine),
        ])
    func refusesStatusLine(input: String, reason: Refusal.Reason) {
        #expect(parseResponse(input) == .refused(502, reason))
    }

    @Test(
        "refuses faulty fields with 502",
        arguments: [
            (
                "HTTP/1.1", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                Refusal.Reason.contentLengthAndTransferEncoding
            ),
            ("HTTP/1.1", "Content-Length: 1\r\nContent-Length: 1\r\n", .repeatedContentLength),
            ("HTTP/1.1", "Content-Length: 1, 1\r\n", .badContentLength),
            ("HTTP/1.1", "Content-Length: -1\r\n", .badContentLength),
            ("HTTP/1.1", "Transfer-Encoding: gzip, chunked\r\n", .unsupportedTransferCoding),
            ("HTTP/1.1", "Transfer-Encoding: chunked, chunked\r\n", .badTransferEncoding),
            ("HTTP/1.0", "Transfer-Encoding: chunked\r\n", .transferEncodingInHTTP10),
            ("HTTP/1.1", "A: b\n", .bareLF), ("HTTP/1.1", "A: b\r\n c\r\n", .obsFold),
            ("HTTP/1.1", "A: \u{0}\r\n", .nul),
            ("HTTP/1.1", "A : b\r\n", .spaceBeforeColon),
            ("HTTP/1.1", "Connection: content-length\r\n", .badConnectionOption),
        ])
    func refusesFields(version: String, fields: String, reason: Refusal.Reason) {
        #expect(parseResponse("\(version) 200 OK\r\n\(fields)\r\n") == .refused(502, reason))
        // Where no content follows, the fields are judged all the same.
        #expect(parseResponse("\(version) 204 OK\r\n\(fields)\r\n", method: .head) == .refused(502, reason))
    }

    @Test(
        "finds where the content ends (§6.3)",
        arguments: [
            ("200", HTTPMethod.get, "Content-Length: 5\r\n", BodyFraming.length(5), false),
            ("200", .get, "Transfer-Encoding: chunked\r\n", .chunked, false), ("200", .get, "", .untilClose, true),
            ("200", .head, "Content-Length: 5\r\n", .none, false),
            ("200", .head, "Transfer-Encoding: chunked\r\n", .none, false),
            ("200", .head, "", .none, false), ("304", .get, "Content-Length: 5\r\n", .none, false),
            ("304", .get, "", .none, false), ("204", .get, "", .none, false),
            ("204", .get, "Content-Length: 0\r\n", .none, false), ("204", .get, "Content-Length: 5\r\n", .none, true),
            ("204", .get, "Transfer-Encoding: chunked\r\n", .none, true), ("100", .post, "", .none, false),
            ("103", .get, "Link: x\r\n", .none, false), ("101", .get, "Content-Length: 5\r\n", .none, true),
            ("200", .connect, "Content-Length: 5\r\n", .none, false),
            ("404", .connect, "Content-Length: 5\r\n", .length(5), false),
            ("205", .get, "Content-Length: 0\r\n", .length(0), false),
            ("200", .other, "Content-Length: 0\r\n", .length(0), false),
        ])
    func findsFraming(status: String, method: HTTPMethod, fields: String, framing: BodyFraming, wantsClose: Bool) throws
    {
        let head = try #require(parseResponse("HTTP/1.1 \(status) x\r\n\(fields)\r\n", method: method).summary)
        #expect(head.framing == framing)
        #expect(head.wantsClose == wantsClose)
    }

    @Test(
        "knows whether the target keeps the connection, and how long",
        arguments: [
            ("HTTP/1.1", "", false, nil), ("HTTP/1.1", "Connection: close\r\n", true, nil), ("HTTP/1.0", "", true, nil),
            ("HTTP/1.0", "Connection: keep-alive\r\nKeep-Alive: timeout=30\r\n", false, 30),
            ("HTTP/1.1", "Keep-Alive: TIMEOUT=0\r\n", false, 0), ("HTTP/1.1", "Keep-Alive: timeout=x\r\n", false, nil),
            ("HTTP/1.1", "Keep-Alive: timeout=\r\n", false, nil),
            ("HTTP/1.1", "Keep-Alive: xtimeout=5\r\n", false, nil),
            ("HTTP/1.1", "Keep-Alive: timeout=99999999\r\n", false, 86_400),
            ("HTTP/1.1", "Keep-Alive: timeout=99999999999999999999999\r\n", false, nil),
        ] as [(String, String, Bool, Int?)])
    func knowsKeepAlive(version: String, fields: String, wantsClose: Bool, timeout: Int?) throws {
        let head = try #require(parseResponse("\(version) 200 x\r\nContent-Length: 0\r\n\(fields)\r\n").summary)
        #expect(head.wantsClose == wantsClose)
        #expect(head.keepAliveTimeout == timeout)
    }

    @Test func readsAnInterimAnswerAndThenTheFinalOne() {
        let input = bytes(
            "HTTP/1.1 103 x\r\nLink: y\r\n\r\nHTTP/1.1 101 z\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        var head = ResponseHead()
        #expect(head.parse(input.span, from: 0, limits: HeadLimits(), requestMethod: .get) == .complete)
        #expect(head.status == 103)
        let next = head.headEnd
        head.reset()
        #expect(head.parse(input.span, from: next, limits: HeadLimits(), requestMethod: .get) == .complete)
        #expect(head.status == 101)
        #expect(head.hasUpgrade)
        #expect(text(input, head.upgradeValue) == "websocket")
        #expect(head.headEnd == input.count)
    }

    @Test func boundsTheHead() {
        let input = bytes("HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\n")
        let limits = HeadLimits(headBytesMax: input.count)
        #expect(parseResponse(input, limits: limits).summary != nil)
        #expect(
            parseResponse(input, limits: HeadLimits(headBytesMax: input.count - 1)) == .refused(502, .headTooLarge))
        #expect(parseResponse(input, limits: HeadLimits(fieldCountMax: 1)) == .refused(502, .tooManyFields))
    }

    @Test("moves every position, wherever the head was cut")
    func shifts() {
        let input = bytes("HTTP/1.1 101 Now\r\nA: b\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        for cut in 0...input.count {
            var parser = ResponseHead()
            let before = [0x58, 0x58] + input[..<cut]
            _ = parser.parse(before.span, from: 2, limits: HeadLimits(), requestMethod: .get)
            parser.shift(by: -2)
            let result = parser.parse(input.span, from: 0, limits: HeadLimits(), requestMethod: .get)
            #expect(verdict(parser, result, input) == parseResponse(input), "cut at \(cut)")
        }
    }
}
