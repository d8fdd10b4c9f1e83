import PoiseHTTP
import Testing

@Suite("Chunked content, RFC 9112 §7.1")
struct ChunkedDecoderTests {
    @Test(
        "decodes, and leaves what follows",
        arguments: [
            ("0\r\n\r\n", "", [], ""), ("5\r\nhello\r\n0\r\n\r\nGET", "hello", [], "GET"),
            ("1\r\na\r\n002\r\nbc\r\n000\r\n\r\n", "abc", [], ""),
            ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789", [], ""),
            ("a;x=y\r\n0123456789\r\n0;last\r\n\r\n", "0123456789", [], ""),
            ("1;a=\"b;c\";\td \r\nx\r\n0\r\n\r\n", "x", [], ""), ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", [], ""),
            ("1\r\na\r\n0\r\nX-Sum: 1\r\nx-sum:  2 \r\n\r\nrest", "a", ["X-Sum: 1", "x-sum: 2"], "rest"),
        ] as [(String, String, [String], String)])
    func decodes(input: String, data: String, trailers: [String], rest: String) {
        let expected = ChunkedOutcome.complete(data: data, trailers: trailers, dropped: [], rest: rest)
        #expect(decodeChunked(bytes(input)) == expected)
    }

    @Test(
        "refuses",
        arguments: [
            ("\r\n", Refusal.Reason.bareCR), ("g\r\n", .badChunkSize), ("+5\r\n", .badChunkSize),
            ("-5\r\n", .badChunkSize),
            (" 5\r\n", .badChunkSize), ("5 \r\n", .badChunkSize), ("5\t;a\r\n", .badChunkSize),
            ("0x5\r\n", .badChunkSize),
            (";a\r\n", .badChunkSize), ("5\n", .bareLF), ("5\r5", .bareCR), ("5\u{0}", .nul), ("5;a\n", .bareLF),
            ("5;a\rb", .bareCR), ("5;a\u{0}\r\n", .nul), ("5;a\u{7F}\r\n", .controlByte), ("5;\"\n\"\r\n", .bareLF),
            ("5\u{1}", .controlByte), ("5,5\r\n", .badChunkSize), ("5.\r\n", .badChunkSize), ("\u{E9}", .badChunkSize),
            ("1000000000000\r\n", .chunkTooLarge), ("ffffffffffffffff\r\n", .chunkTooLarge),
            ("10000000000000000\r\n", .chunkTooLarge), ("00000000000000001\r\n", .chunkTooLarge),
            ("1\r\nab", .badChunkEnd), ("1\r\na\n", .badChunkEnd), ("1\r\na\rb", .badChunkEnd),
            ("1\r\na0", .badChunkEnd),
            ("0\r\nA: b\n\r\n", .bareLF), ("0\r\n A: b\r\n\r\n", .obsFold), ("0\r\nA : b\r\n\r\n", .spaceBeforeColon),
            ("0\r\n\rX", .bareCR), ("0\r\n\n", .bareLF), ("0\r\nA: \u{0}", .nul),
        ])
    func refuses(input: String, reason: Refusal.Reason) {
        #expect(decodeChunked(bytes(input)) == .refused(400, reason))
    }

    @Test(
        "drops trailers that would change what the head said (RFC 9110 §6.5.1)",
        arguments: [
            "Content-Length: 5", "Transfer-Encoding: chunked", "Host: b", "Authorization: x", "Cookie: a",
            "Set-Cookie: a",
            "Connection: close", "Content-Type: a/b", "Content-Encoding: gzip", "Trailer: x", "Expect: 100-continue",
            "X-Forwarded-For: 1.2.3.4", "Cache-Control: public", "TE: trailers", "Location: /", "Upgrade: websocket",
        ])
    func dropsTrailer(line: String) {
        let outcome = decodeChunked(bytes("0\r\nX-Sum: 1\r\n\(line)\r\n\r\n"))
        #expect(outcome == .complete(data: "", trailers: ["X-Sum: 1"], dropped: [line], rest: ""))
    }

    @Test func handsOutDataAsItComesAndNeverBeyondTheEnd() {
        let input = bytes("8\r\n01234567\r\n0\r\n\r\n")
        var decoder = ChunkedDecoder()
        var position = 0
        #expect(decoder.next(input.span, position: &position, end: 6) == .data(ByteRange(3..<6)))
        #expect(decoder.next(input.span, position: &position, end: 6) == .needMore)
        #expect(position == 6)
        #expect(decoder.next(input.span, position: &position, end: 12) == .data(ByteRange(6..<11)))
        #expect(decoder.next(input.span, position: &position, end: 12) == .needMore)
        #expect(position == 12)
        #expect(decoder.next(input.span, position: &position, end: input.count) == .end)
        #expect(position == input.count)
        #expect(decoder.isComplete)
    }

    @Test func leavesAnIncompleteTrailerSectionWhereItIs() {
        let input = bytes("0\r\nA: b\r\nC: d\r\n\r\n")
        var decoder = ChunkedDecoder()
        var position = 0
        for end in 3..<input.count {
            #expect(decoder.next(input.span, position: &position, end: end) == .needMore)
            #expect(position == 3)
        }
        #expect(decoder.next(input.span, position: &position, end: input.count) == .end)
        #expect(decoder.trailers.map { text(input, $0.value) } == ["b", "d"])
    }

    @Test func boundsSizeLinesAndTrailers() {
        let line = { (count: Int) in bytes("0;" + String(repeating: "x", count: count - 4) + "\r\n\r\n") }
        #expect(decodeChunked(line(256)) == .complete(data: "", trailers: [], dropped: [], rest: ""))
        #expect(decodeChunked(line(257)) == .refused(400, .chunkLineTooLong))
        let trailers = bytes("0\r\nA: b\r\n\r\n")
        #expect(
            decodeChunked(trailers, trailerBytesMax: 8)
                == .complete(data: "", trailers: ["A: b"], dropped: [], rest: ""))
        #expect(decodeChunked(trailers, trailerBytesMax: 7) == .refused(431, .trailersTooLarge))
        // Refused without waiting for more than fits.
        #expect(decodeChunked(Array(trailers.prefix(10)), trailerBytesMax: 7) == .refused(431, .trailersTooLarge))
    }

    @Test func boundsFramingWithoutContent() {
        let padded = "1;" + String(repeating: "x", count: 200) + "\r\na\r\n"
        let input = bytes(String(repeating: padded, count: 200))
        #expect(decodeChunked(input) == .refused(400, .chunkOverhead))
        // One byte per chunk is wasteful but honest: server-sent events look so.
        let plain = String(repeating: "1\r\na\r\n", count: 20_000)
        guard case .complete(let data, _, _, _) = decodeChunked(bytes(plain + "0\r\n\r\n")) else {
            Issue.record("plain small chunks were not decoded")
            return
        }
        #expect(data.utf8.count == 20_000)
    }

    @Test func isReadyForTheNextMessageAfterAReset() {
        let input = bytes("1\r\na\r\n0\r\nA: b\r\n\r\n")
        var decoder = ChunkedDecoder()
        for _ in 0..<2 {
            var position = 0
            #expect(decoder.next(input.span, position: &position, end: input.count) == .data(ByteRange(3..<4)))
            #expect(decoder.next(input.span, position: &position, end: input.count) == .end)
            #expect(decoder.trailers.count == 1)
            decoder.reset()
            #expect(decoder.trailers.isEmpty)
        }
    }
}
