import PoiseHTTP
import Testing

/// One row per way in which two parsers are known to read the same bytes as different requests.
@Suite("Request smuggling: what is ambiguous is refused, RFC 9112 §5, §6, §11.2")
struct SmugglingTests {
    /// `POST` with the given field lines behind a valid Host.
    private func refusal(_ fields: String, version: String = "HTTP/1.1") -> Verdict<RequestSummary> {
        parseRequest("POST / \(version)\r\nHost: a\r\n\(fields)\r\n")
    }

    @Test(
        "framing fields",
        arguments: [
            (
                "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400,
                Refusal.Reason.contentLengthAndTransferEncoding
            ),
            ("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", 400, .contentLengthAndTransferEncoding),
            ("Transfer-Encoding: x\r\nContent-Length: 1\r\n", 400, .contentLengthAndTransferEncoding),
            ("Content-Length: 1\r\nContent-Length: 1\r\n", 400, .repeatedContentLength),
            ("Content-Length: 1\r\ncontent-length: 2\r\n", 400, .repeatedContentLength),
            ("Content-Length: 1, 1\r\n", 400, .badContentLength), ("Content-Length: 1,\r\n", 400, .badContentLength),
            ("Content-Length:\r\n", 400, .badContentLength), ("Content-Length: +1\r\n", 400, .badContentLength),
            ("Content-Length: -1\r\n", 400, .badContentLength), ("Content-Length: 1 1\r\n", 400, .badContentLength),
            ("Content-Length: 0x1\r\n", 400, .badContentLength), ("Content-Length: 1.0\r\n", 400, .badContentLength),
            ("Content-Length: 1_0\r\n", 400, .badContentLength), ("Content-Length: \u{B2}\r\n", 400, .badContentLength),
            ("Content-Length: 9223372036854775808\r\n", 400, .badContentLength),
            ("Content-Length: 18446744073709551617\r\n", 400, .badContentLength),
            ("Content-Length: 100000000000000000000000000000\r\n", 400, .badContentLength),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400, .repeatedTransferEncoding),
            ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 400, .repeatedTransferEncoding),
            ("Transfer-Encoding: chunked, chunked\r\n", 400, .badTransferEncoding),
            ("Transfer-Encoding: chunked, gzip\r\n", 400, .badTransferEncoding),
            ("Transfer-Encoding: chunked,\r\n", 400, .badTransferEncoding),
            ("Transfer-Encoding: ,chunked\r\n", 400, .badTransferEncoding),
            ("Transfer-Encoding: chunked;q=1\r\n", 400, .badTransferEncoding),
            ("Transfer-Encoding: \"chunked\"\r\n", 400, .badTransferEncoding),
            ("Transfer-Encoding:\r\n", 400, .badTransferEncoding),
            ("Transfer-Encoding: ,\r\n", 400, .badTransferEncoding),
            ("Transfer-Encoding: chunked\u{A0}\r\n", 400, .badTransferEncoding),
            ("Transfer-Encoding: gzip, chunked\r\n", 501, .unsupportedTransferCoding),
            ("Transfer-Encoding: identity\r\n", 501, .unsupportedTransferCoding),
            ("Transfer-Encoding: xchunked\r\n", 501, .unsupportedTransferCoding),
            ("Transfer-Encoding: gzip;level=1\r\n", 501, .unsupportedTransferCoding),
        ])
    func refusesFraming(fields: String, status: Int, reason: Refusal.Reason) {
        #expect(refusal(fields) == .refused(status, reason))
    }

    @Test func refusesTransferEncodingOfHTTP10() {
        #expect(
            refusal("Transfer-Encoding: chunked\r\n", version: "HTTP/1.0") == .refused(400, .transferEncodingInHTTP10))
    }

    @Test(
        "takes what is not ambiguous",
        arguments: [
            ("", BodyFraming.none), ("Content-Length: 0\r\n", .length(0)), ("content-LENGTH:  42\t\r\n", .length(42)),
            ("Content-Length: 007\r\n", .length(7)), ("Content-Length: 9223372036854775807\r\n", .length(.max)),
            ("Transfer-Encoding: chunked\r\n", .chunked), ("TRANSFER-encoding:CHUNKED \r\n", .chunked),
            // Other names: not framing for anyone who compares names as the RFC says.
            ("Content_Length: 5\r\n", .none), ("Transfer_Encoding: chunked\r\n", .none),
            ("X-Transfer-Encoding: chunked\r\n", .none), ("Content-Lengt: 5\r\n", .none),
        ])
    func takes(fields: String, framing: BodyFraming) {
        #expect(refusal(fields).summary?.framing == framing)
    }

    @Test(
        "bytes of field lines",
        arguments: [
            ("A: b\n", Refusal.Reason.bareLF), ("A: b\rc\r\n", .bareCR), ("A: b\r\r\n", .bareCR),
            ("A\n: b\r\n", .bareLF),
            ("A\r: b\r\n", .bareCR), ("A: b\u{0}\r\n", .nul), ("A\u{0}: b\r\n", .nul), ("A: \u{0}", .nul),
            ("A: b\u{1}\r\n", .controlByte), ("A: \u{B}b\r\n", .controlByte), ("A: b\u{C}\r\n", .controlByte),
            ("A: b\u{1B}\r\n", .controlByte), ("A: b\u{7F}\r\n", .controlByte), ("A\u{7F}: b\r\n", .controlByte),
            (" A: b\r\n", .obsFold), ("\tA: b\r\n", .obsFold), ("A: b\r\n c\r\n", .obsFold),
            ("A: b\r\n \r\n", .obsFold),
            ("A : b\r\n", .spaceBeforeColon), ("A\t: b\r\n", .spaceBeforeColon), ("A B: c\r\n", .spaceBeforeColon),
            (": b\r\n", .emptyFieldName), ("A\r\n", .bareCR), ("A(b): c\r\n", .badFieldName),
            ("A@: c\r\n", .badFieldName),
            ("\u{E9}: c\r\n", .badFieldName), ("A\u{80}: c\r\n", .badFieldName), ("\"A\": c\r\n", .badFieldName),
            ("A/: c\r\n", .badFieldName), ("\n", .bareLF), ("\rX", .bareCR),
        ])
    func refusesBytes(fields: String, reason: Refusal.Reason) {
        #expect(refusal(fields) == .refused(400, reason))
        // The same in the first field line, where a fold has nothing to continue.
        #expect(parseRequest("GET / HTTP/1.1\r\n\(fields)Host: a\r\n\r\n") == .refused(400, reason))
    }

    /// Names and values are read eight bytes at a time: the place within a word must not matter, nor its end.
    @Test("every byte is judged alike at every place of a name and a value", arguments: 0...255)
    func judgesBytesAlikeAtEveryPlace(value: Int) {
        let byte = UInt8(value)
        let isControl = value < 0x20 || value == 0x7F
        let isToken = bytes("!#$%&'*+-.^_`|~").contains(byte) || (value < 0x80 && Character(latin1([byte])).isLetter)
        for before in 0...9 {
            for after in 0...9 {
                let inside =
                    Array(repeating: UInt8(0x61), count: before) + [byte] + Array(repeating: 0x62, count: after)
                let start = bytes("GET / HTTP/1.1\r\nHost: a\r\n")
                let inValue = parseRequest(start + bytes("A: x") + inside + bytes("y\r\n\r\n"))
                #expect((inValue.summary != nil) == (!isControl || value == 0x09), "\(before) before, \(after) after")
                let inName = parseRequest(start + bytes("A") + inside + bytes(": x\r\n\r\n"))
                let isDigit = (0x30...0x39).contains(value)
                #expect(
                    (inName.summary != nil) == (isToken || isDigit || byte == 0x3A), "\(before) before, \(after) after")
            }
        }
    }

    @Test("every control byte in a name, a value and a target is refused", arguments: 0...255)
    func refusesControlBytesEverywhere(value: Int) {
        let byte = latin1([UInt8(value)])
        let isControl = value < 0x20 || value == 0x7F
        let inValue = parseRequest("GET / HTTP/1.1\r\nHost: a\r\nA: x\(byte)y\r\n\r\n")
        #expect((inValue.summary != nil) == (!isControl || value == 0x09))
        let inName = parseRequest("GET / HTTP/1.1\r\nHost: a\r\nAx\(byte)y: b\r\n\r\n")
        let isToken =
            "!#$%&'*+-.^_`|~".contains(byte) || (value < 0x80 && (byte.first!.isLetter || byte.first!.isNumber))
        #expect((inName.summary != nil) == (isToken || byte == ":"))
        let inTarget = parseRequest("GET /x\(byte)y HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect((inTarget.summary != nil) == (value > 0x20 && value < 0x7F && byte != "#" && byte != "%"))
    }

    @Test(
        "a Connection option that names what must stay",
        arguments: [
            "Host", "content-length", "Transfer-Encoding", "AUTHORIZATION", "X-Forwarded-For", "x-forwarded-proto",
            "X-Forwarded-Port", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "close, host", "a;b", "a b", "\"close\"",
            "keep-alive, \u{E9}", Array(repeating: "x", count: 33).joined(separator: ","),
        ])
    func refusesConnectionOption(value: String) {
        #expect(refusal("Connection: \(value)\r\n") == .refused(400, .badConnectionOption))
        #expect(refusal("Connection: close\r\nConnection: \(value)\r\n") == .refused(400, .badConnectionOption))
    }

    @Test func answersAnUnknownExpectationWith417() {
        #expect(refusal("Expect: 200-maybe\r\n") == .refused(417, .unknownExpectation))
        #expect(refusal("Expect:\r\n") == .refused(417, .unknownExpectation))
        #expect(refusal("Expect: 100-continue, x\r\n") == .refused(417, .unknownExpectation))
    }
}
