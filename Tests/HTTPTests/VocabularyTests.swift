import PoiseHTTP
import PoiseModel
import Testing

@Suite("Names and text")
struct VocabularyTests {
    static let names: [(String, FieldID)] = [
        ("Host", .host), ("Connection", .connection), ("Content-Length", .contentLength),
        ("Transfer-Encoding", .transferEncoding), ("Keep-Alive", .keepAlive), ("Proxy-Connection", .proxyConnection),
        ("TE", .te), ("Trailer", .trailer), ("Upgrade", .upgrade), ("Expect", .expect), ("Via", .via),
        ("X-Forwarded-For", .xForwardedFor), ("X-Forwarded-Proto", .xForwardedProto),
        ("X-Forwarded-Port", .xForwardedPort), ("X-Forwarded-Host", .xForwardedHost), ("X-Real-IP", .xRealIP),
        ("Forwarded", .forwarded), ("X-Request-Id", .xRequestID), ("X-Amzn-Trace-Id", .xAmznTraceID),
        ("Max-Forwards", .maxForwards), ("Date", .date), ("Server", .server), ("Authorization", .authorization),
        ("WWW-Authenticate", .wwwAuthenticate), ("Proxy-Authenticate", .proxyAuthenticate),
        ("Proxy-Authorization", .proxyAuthorization), ("HTTP2-Settings", .http2Settings), ("Cookie", .cookie),
        ("Set-Cookie", .setCookie), ("Location", .location), ("Content-Type", .contentType),
        ("Content-Encoding", .contentEncoding), ("Content-Range", .contentRange), ("User-Agent", .userAgent),
        ("Referer", .referer), ("Accept", .accept), ("Accept-Encoding", .acceptEncoding), ("Range", .range),
        ("Age", .age),
        ("Cache-Control", .cacheControl), ("X-Amzn-Tls-Version", .xAmznTLSVersion),
        ("X-Amzn-Tls-Cipher-Suite", .xAmznTLSCipherSuite),
    ]

    private func identify(_ name: String) -> FieldID? {
        let input = bytes("HTTP/1.1 200 OK\r\n\(name): 1\r\n\r\n")
        var head = ResponseHead()
        _ = head.parse(input.span, from: 0, limits: HeadLimits(), requestMethod: .head)
        return head.fields.first?.id
    }

    @Test("knows each field in any case, and nothing that only looks like it", arguments: names)
    func knowsField(name: String, id: FieldID) {
        #expect(identify(name) == id)
        #expect(identify(name.uppercased()) == id)
        #expect(identify(name.lowercased()) == id)
        #expect(identify(name.replacing("-", with: "_")) == (name.contains("-") ? .other : id))
        #expect(identify(name + "x") == .other)
        #expect(identify("x" + name) == .other)
        // The 16 bytes that are compared as one number do not hide what stands before them.
        #expect(identify(String(repeating: "y", count: 16) + name) == .other)
        for index in name.indices {
            var changed = name
            changed.replaceSubrange(index...index, with: name[index] == "-" ? "." : "~")
            #expect(identify(changed) == .other)
        }
    }

    @Test(
        "tells underscore twins from other names with underscores",
        arguments: [
            ("X_Forwarded_For", true), ("x-forwarded_for", true), ("X_FORWARDED_PROTO", true), ("Content_Length", true),
            ("Transfer_Encoding", true), ("proxy_authorization", true), ("X-Forwarded-For", false), ("X_Custom", false),
            // Beyond the 16 bytes that are compared as one number.
            ("X_Amzn-Tls-Version", true), ("x-amzn_tls-cipher-suite", true), ("X_AMZN_TLS_CIPHER_SUITE", true),
            ("Y_Amzn_Tls_Version", false), ("X-Amzn-Tls-Version", false), ("X_Amzn_Tls_Versions", false),
            ("_Host", false), ("Host_", false), ("X__Forwarded_For", false), ("q_oxy_authorization", false),
        ])
    func knowsUnderscoreTwin(name: String, isTwin: Bool) throws {
        let input = bytes("HTTP/1.1 200 OK\r\n\(name): 1\r\nX-After: 2\r\n\r\n")
        var head = ResponseHead()
        #expect(head.parse(input.span, from: 0, limits: HeadLimits(), requestMethod: .head) == .complete)
        #expect(head.fields.map(\.isUnderscoreTwin) == [isTwin, false])
        if isTwin { #expect(head.fields[0].id == .other) }
    }

    @Test func findsTheFirstLineOfAField() throws {
        let input = bytes("GET / HTTP/1.1\r\nHost: a\r\nCookie: 1\r\nCookie: 2\r\n\r\n")
        var head = RequestHead()
        #expect(head.parse(input.span, from: 0, limits: HeadLimits()) == .complete)
        #expect(text(input, try #require(head.fields.first(.cookie)).value) == "1")
        #expect(head.fields.first(.authorization) == nil)
    }

    @Test func theTableAboveIsComplete() {
        #expect(Set(Self.names.map(\.1.rawValue)) == Set(1...FieldID.xAmznTLSCipherSuite.rawValue))
        #expect(FieldID(rawValue: FieldID.xAmznTLSCipherSuite.rawValue + 1) == nil)
    }

    @Test func reasonNamesAreSnakeCaseAndDifferent() {
        let names = Refusal.Reason.allCases.map(\.name)
        #expect(Set(names).count == names.count)
        for name in names { #expect(name.allSatisfy { $0 == "_" || $0.isLowercase || $0.isNumber }, "\(name)") }
    }

    @Test func knowsWhichMethodsMayBeRepeated() {
        let all: [HTTPMethod] = [.get, .head, .post, .put, .delete, .connect, .options, .trace, .patch, .other]
        #expect(all.filter(\.isIdempotent) == [.get, .head, .put, .delete, .options, .trace])
    }

    @Test(
        "reads numbers strictly",
        arguments: [
            ("0", 0), ("00012", 12), ("9223372036854775807", Int.max), ("9223372036854775808", nil), ("", nil),
            ("-1", nil),
            ("1 ", nil), ("1a", nil), ("99999999999999999999", nil), ("7", 7), ("8080", 8080), ("1234567", 1_234_567),
            ("12345678", 12_345_678), ("99999999", 99_999_999), ("123456789", 123_456_789),
            ("123456789012345678", 123_456_789_012_345_678), ("1234567:", nil), ("/2345678", nil), ("123\u{B4}5", nil),
            ("\u{FF}", nil), ("12 34", nil), ("\u{0}1", nil),
        ] as [(String, Int?)])
    func readsDecimal(input: String, value: Int?) {
        let input = bytes(input)
        #expect(decimalValue(input.span, ByteRange(input.indices)) == value)
    }

    @Test func comparesWithoutCase() {
        #expect(isEqual("Keep-ALIVE[{", "keep-alive[{"))
        // Bit 5 tells more than case for bytes that are no letters.
        #expect(!isEqual("Keep-ALIVE[{", "keep-alive{{"))
        #expect(!isEqual("Keep", "keep-"))
        #expect(isEqual("", ""))
        let input = bytes("aA[{")
        let pairs = [(0, 1), (2, 3), (0, 2)].map { left, right in
            equalsIgnoringCase(input.span, ByteRange(left..<left + 1), ByteRange(right..<right + 1))
        }
        #expect(pairs == [true, false, false])
    }

    @Test(
        "knows tokens (RFC 9110 §5.6.2)",
        arguments: [("a", true), ("!#$~", true), ("", false), ("a b", false), ("a,", false)])
    func knowsToken(input: String, isValid: Bool) {
        let input = bytes(input)
        #expect(isToken(input.span, ByteRange(input.indices)) == isValid)
    }

    @Test func writesNumbers() {
        var sink: [UInt8] = []
        for number in [0, 7, 10, 1_234_567_890, Int.max, Int.min, -5] {
            sink.appendDecimal(number)
            sink.append(text: " ")
        }
        sink.appendDecimal(UInt64.max)
        sink.append(text: " ")
        for number in [0, 9, 10, 0xABCDEF, UInt64.max] {
            sink.appendHex(number)
            sink.append(text: " ")
        }
        sink.append(bytes("x0 7x").span, ByteRange(1..<4))
        #expect(
            latin1(sink) == "0 7 10 1234567890 9223372036854775807 -9223372036854775808 -5 18446744073709551615 "
                + "0 9 a abcdef ffffffffffffffff 0 7")
    }

    @Test func writesNumbersOfEveryLengthAsSwiftDoes() {
        var numbers: [UInt64] = Array(0...10_100)
        var power: UInt64 = 1
        while power < 1_000_000_000_000_000_000 {
            power *= 10
            numbers += [power - 1, power, power + 1, power / 7, power / 3 * 2]
        }
        for shift in 0..<64 as Range<UInt64> { numbers += [1 << shift, UInt64.max >> shift] }
        var wrong: [UInt64] = []
        for number in numbers {
            var decimal: [UInt8] = []
            decimal.appendDecimal(number)
            var hexadecimal: [UInt8] = []
            hexadecimal.appendHex(number)
            if latin1(decimal) != String(number) || latin1(hexadecimal) != String(number, radix: 16) {
                wrong.append(number)
            }
        }
        #expect(wrong == [])
    }

    @Test("writes so many hexadecimal digits as asked for", arguments: 1...16)
    func writesHexDigits(digits: Int) {
        for number: UInt64 in [0, 0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210, .max] {
            var sink: [UInt8] = []
            sink.appendHex(number, digits: digits)
            let all = String(repeating: "0", count: 16) + String(number, radix: 16)
            #expect(latin1(sink) == String(all.suffix(digits)))
        }
    }

    @Test func writesLiteralsAndMadeText() {
        var sink: [UInt8] = []
        sink.append(text: "a literal, ")
        sink.append(text: sink.isEmpty ? "one" : "another, ")
        sink.append(text: "made of \(3) parts, ")
        let slice = "cut here".dropFirst(4)
        sink.append(text: slice)
        #expect(latin1(sink) == "a literal, another, made of 3 parts, here")
    }

    @Test(
        "a method is known by its whole name",
        arguments: [
            ("GET", HTTPMethod.get), ("HEAD", .head), ("POST", .post), ("PUT", .put), ("DELETE", .delete),
            ("OPTIONS", .options), ("TRACE", .trace), ("PATCH", .patch), ("get", .other), ("GETS", .other),
            ("GE", .other),
            ("PATCHES", .other), ("PROPFIND", .other), ("G", .other),
        ])
    func knowsMethod(name: String, method: HTTPMethod) {
        let input = bytes("\(name) /a HTTP/1.1\r\nHost: a\r\n\r\n")
        for cut in 0...10 {  // With all eight bytes there at once, and without.
            var head = RequestHead()
            _ = head.parse(input.span.extracting(first: cut), from: 0, limits: HeadLimits())
            let result = head.parse(input.span, from: 0, limits: HeadLimits())
            #expect(result == .complete)
            #expect(head.method == method && text(input, head.methodRange) == name)
        }
        var head = RequestHead()
        let withNUL = bytes("\(name)\0 / HTTP/1.1\r\nHost: a\r\n\r\n")
        let result = head.parse(withNUL.span, from: 0, limits: HeadLimits())
        #expect(result == .refused(Refusal(.nul)))
    }

    @Test func fieldLinesKeepTheirStorageAndNothingElse() {
        let first = bytes(
            "GET / HTTP/1.1\r\nHost: a\r\nCookie: 1\r\n" + String(repeating: "A: b\r\n", count: 40) + "\r\n")
        let second = bytes("GET / HTTP/1.1\r\nHost: b\r\n\r\n")
        var head = RequestHead()
        var fresh = RequestHead()
        let firstResult = head.parse(first.span, from: 0, limits: HeadLimits())
        #expect(firstResult == .complete && head.fields.count == 42 && head.fields.contains(.cookie))
        head.reset()
        #expect(head.fields.isEmpty && !head.fields.contains(.host) && head.fields.first(.host) == nil)
        _ = head.parse(second.span, from: 0, limits: HeadLimits())
        _ = fresh.parse(second.span, from: 0, limits: HeadLimits())
        #expect(head.fields == fresh.fields && head.fields.count == 1 && !head.fields.contains(.cookie))
    }

    @Test func knowsTheStandardPhrases() {
        #expect(reasonPhrase(200) == "OK")
        #expect(reasonPhrase(431) == "Request Header Fields Too Large")
        #expect(reasonPhrase(299).isEmpty)
        // Every status that Poise makes itself has a phrase.
        for reason in Refusal.Reason.allCases { #expect(!reasonPhrase(reason.status).isEmpty) }
    }
}

@Suite("Date, RFC 9110 §5.6.7")
struct HTTPDateTests {
    private func date(_ seconds: Int64) -> String {
        var sink: [UInt8] = []
        HTTPDate.append(unixSeconds: seconds, to: &sink)
        return latin1(sink)
    }

    @Test(
        "writes known moments",
        arguments: [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (951_868_799, "Tue, 29 Feb 2000 23:59:59 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"), (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"), (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"), (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
            (-62_167_219_200, "Sat, 01 Jan 0000 00:00:00 GMT"), (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (.max, "Fri, 31 Dec 9999 23:59:59 GMT"), (.min, "Sat, 01 Jan 0000 00:00:00 GMT"),
        ] as [(Int64, String)])
    func writes(seconds: Int64, expected: String) {
        #expect(date(seconds) == expected)
        #expect(expected.utf8.count == HTTPDate.byteCount)
    }

    /// Counts days one by one with the rule for leap years, and compares each with the closed formula.
    @Test func agreesWithACalendarKeptByCounting() {
        let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        var day = 0
        for year in 1970...2110 {
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            for (month, length) in zip(months, [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
                for dayOfMonth in 1...length {
                    let padded = dayOfMonth < 10 ? "0\(dayOfMonth)" : "\(dayOfMonth)"
                    #expect(
                        date(Int64(day) * 86_400) == "\(weekdays[day % 7]), \(padded) \(month) \(year) 00:00:00 GMT")
                    day += 1
                }
            }
        }
    }
}
