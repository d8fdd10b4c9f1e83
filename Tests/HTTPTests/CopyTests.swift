import PoiseHTTP
import PoiseModel
import Testing

/// What goes to the next hop is always `name: value CRLF` for each kept line, however it came.
@Suite("Heads written again")
struct CopyTests {
    private static let dropped: FieldSet = [FieldSet(.contentLength), FieldSet(.xForwardedFor), FieldSet(.xRequestID)]

    /// Line by line what must come out.
    private func lines(
        _ fields: FieldLines, _ input: [UInt8], dropping dropped: FieldSet, dropsTwins: Bool
    ) -> String {
        fields.filter { !$0.isHopByHop && !dropped.contains($0.id) && !(dropsTwins && $0.isUnderscoreTwin) }
            .map { "\(text(input, $0.name)): \(text(input, $0.value))\r\n" }.joined()
    }

    private func request(_ input: [UInt8]) -> RequestHead? {
        var head = RequestHead()
        return head.parse(input.span, from: 0, limits: HeadLimits()) == .complete ? head : nil
    }

    static let requests = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET /a?b%2 HTTP/1.1\r\nHost: a:1\r\nX-Forwarded-For: 1\r\nAccept: */*\r\nX-Request-Id: q\r\n\r\nrest",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nA: b\r\nConnection: keep-alive, a\r\nB: c\r\n\r\nx",
        "PUT / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nUpgrade: x\r\nC: d\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nhost: a\r\nA: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:a\r\nA: b \r\nB:\t c\r\nX_Forwarded_For: d\r\nX_Other: e\r\nEmpty:\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.7\r\nHost: a\r\n\r\n", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /%41 HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n",
    ]

    @Test("a request keeps all but what is dropped", arguments: requests)
    func requestFields(input: String) throws {
        let input = bytes(input)
        let head = try #require(request(input))
        var copy: [UInt8] = []
        let dropped = Self.dropped.union(FieldSet(.host))
        head.fields.copy(
            input.span, from: head.fieldsStart, to: head.fieldsEnd, dropping: dropped, dropsTwins: true, to: &copy)
        #expect(latin1(copy) == lines(head.fields, input, dropping: dropped, dropsTwins: true))
    }

    @Test(
        "a head begins plainly only where line and Host stand as they would be written, and is then copied with them",
        arguments: zip(requests, [true, true, true, true, false, false, false, false, false, false, false]))
    func whole(input: String, isPlain: Bool) throws {
        let input = bytes(input)
        let head = try #require(request(input))
        #expect(head.beginsPlainly == isPlain)
        guard isPlain else { return }
        var copy: [UInt8] = []
        head.fields.copy(
            input.span, from: head.headStart, to: head.fieldsEnd, dropping: Self.dropped, dropsTwins: true, to: &copy)
        let expected =
            "\(text(input, head.methodRange)) \(text(input, head.target)) HTTP/1.1\r\n"
            + "Host: \(text(input, head.authority))\r\n"
            + lines(head.fields, input, dropping: Self.dropped.union(FieldSet(.host)), dropsTwins: true)
        #expect(latin1(copy) == expected)
    }

    @Test("more fields than there is storage for at first are as plain as few")
    func many() throws {
        let more = (0..<70).map { "A-\($0): b\r\n" }.joined()
        let input = bytes("GET / HTTP/1.1\r\nHost: a\r\n\(more)\r\n")
        let head = try #require(request(input))
        #expect(head.fields.count == 71 && head.beginsPlainly)
    }

    @Test(
        "an answer keeps all but what is dropped, and its status line where it is HTTP/1.1 and whole",
        arguments: [
            ("HTTP/1.1 200 OK\r\nServer: x\r\nConnection: keep-alive\r\nContent-Length: 0\r\nA: b\r\n\r\n", true),
            ("HTTP/1.1 204 \r\n\r\n", true), ("HTTP/1.0 204\r\n\r\n", false),
            ("HTTP/1.1 404\r\nA: b\r\n\r\n", false), ("HTTP/1.7 404 No\r\nA: b\r\n\r\n", false),
            ("HTTP/1.0 500 No\tIdea\r\nX_Forwarded_For: 1\r\nA:b\r\nKeep-Alive: 1\r\n\r\n", false),
            ("HTTP/1.1 103 Hints\r\nConnection: a\r\nA: b\r\nA: c\r\nLink: </x>\r\n\r\n", true),
        ])
    func answer(input: String, hasPlainLine: Bool) {
        let input = bytes(input)
        var head = ResponseHead()
        #expect(head.parse(input.span, from: 0, limits: HeadLimits(), requestMethod: .get) == .complete)
        #expect(head.hasPlainLine == hasPlainLine)
        for dropped in [FieldSet(), FieldSet(.contentLength)] {
            var copy: [UInt8] = []
            let start = hasPlainLine ? head.headStart : head.fieldsStart
            head.fields.copy(
                input.span, from: start, to: head.fieldsEnd, dropping: dropped, dropsTwins: false, to: &copy)
            let line = hasPlainLine ? "HTTP/1.1 \(head.status) \(text(input, head.reason))\r\n" : ""
            #expect(latin1(copy) == line + lines(head.fields, input, dropping: dropped, dropsTwins: false))
        }
    }

    @Test("what was read in pieces comes out the same", arguments: requests)
    func pieces(input: String) throws {
        let input = bytes(input)
        let whole = try #require(request(input))
        var expected: [UInt8] = []
        whole.fields.copy(
            input.span, from: whole.fieldsStart, to: whole.fieldsEnd, dropping: Self.dropped, dropsTwins: true,
            to: &expected)
        for cut in 0...input.count {
            var head = RequestHead()
            let arrived = Array(input[..<cut])
            if head.parse(arrived.span, from: 0, limits: HeadLimits()) == .needMore {
                #expect(head.parse(input.span, from: 0, limits: HeadLimits()) == .complete)
            }
            var copy: [UInt8] = []
            head.fields.copy(
                input.span, from: head.fieldsStart, to: head.fieldsEnd, dropping: Self.dropped, dropsTwins: true,
                to: &copy)
            #expect(copy == expected, "cut at \(cut)")
        }
    }

    @Test("a head that was reset is as new, but for the storage it keeps")
    func reset() throws {
        func properties(_ head: some Any) -> [String] {
            Mirror(reflecting: head).children.map { child in
                // Equal lines, whatever storage is behind them.
                let lines = (child.value as? FieldLines).map {
                    ($0.count, $0.contains(.host), $0.contains(.connection))
                }
                return "\(child.label ?? ""): \(lines.map { "\($0)" } ?? "\(child.value)")"
            }
        }
        let input = bytes(
            "\r\nOPTIONS /a%41?b HTTP/1.0\r\nHost: a:1\r\nContent-Length: 3\r\nTE: trailers\r\nExpect: 100-continue\r\n"
                + "Upgrade: websocket\r\nConnection: upgrade, close\r\nX:y\r\n\r\n")
        var head = RequestHead()
        #expect(head.parse(input.span, from: 0, limits: HeadLimits()) == .complete)
        #expect(properties(head) != properties(RequestHead()))
        head.reset()
        #expect(properties(head) == properties(RequestHead()))
        let upgrade = bytes(
            "GET /a?b HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nExpect: 100-continue\r\nUpgrade: websocket\r\n"
                + "Connection: upgrade\r\n\r\n")
        #expect(head.parse(upgrade.span, from: 0, limits: HeadLimits()) == .complete)
        #expect(head.beginsPlainly && head.hasUpgrade && head.expectsContinue && head.acceptsTrailers)
        head.reset()
        #expect(properties(head) == properties(RequestHead()))

        var reply = ResponseHead()
        for answer in [
            "HTTP/1.1 200 OK\r\nDate: x\r\nKeep-Alive: timeout=3\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n",
            "HTTP/1.0 404\r\nContent-Length: 5\r\nX:y\r\n\r\n",
        ] {
            let input = bytes(answer)
            #expect(reply.parse(input.span, from: 0, limits: HeadLimits(), requestMethod: .get) == .complete)
            reply.reset()
            #expect(properties(reply) == properties(ResponseHead()))
        }
    }
}
