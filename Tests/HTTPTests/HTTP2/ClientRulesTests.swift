import PoiseHTTP
import Testing

@Suite("HTTP/2 rules that a server can see a client keep")
struct ClientRulesTests {
    static let ok = [(":status", "200")]

    static let rules: [Rule] = [
        Rule(
            "§5.1.1 HEADERS on a stream that nobody opened is a PROTOCOL_ERROR", [headers(3, ok)],
            .connection(.protocolError)),
        Rule(
            "§5.1.1 a stream that the server opens without a push is a PROTOCOL_ERROR", [headers(2, ok)],
            .connection(.protocolError)),
        Rule("§5.1 DATA before the head is malformed", [data()], .stream(.protocolError)),
        Rule(
            "§6.5.2 ENABLE_PUSH of 1 from a server is a PROTOCOL_ERROR", [settings([(2, 1)])],
            .connection(.protocolError)),
        Rule(
            "§8.4 PUSH_PROMISE after it was turned off is a PROTOCOL_ERROR",
            [Frame(type: 5, flags: 4, stream: 1, payload: big(2))], .connection(.protocolError)),
        Rule(
            "RFC 9218 §7.1 PRIORITY_UPDATE from a server is a PROTOCOL_ERROR", [Frame(type: 16, payload: big(1))],
            .connection(.protocolError)),
        Rule(
            "§8.1 one of 1xx that ends the stream is malformed", [headers(1, [(":status", "100")])],
            .stream(.protocolError)),
        Rule(
            "§8.1 several of 1xx, then the head",
            [
                headers(1, [(":status", "100")], end: false), headers(1, [(":status", "103")], end: false),
                headers(1, ok),
            ], .fine),
        Rule(
            "§8.1 DATA behind 1xx is malformed", [headers(1, [(":status", "100")], end: false), data()],
            .stream(.protocolError)),
        Rule("§8.3.2 :status is needed", [headers(1, [("x", "y")])], .stream(.protocolError)),
        Rule(
            "§8.3.2 a :status that is no number is malformed", [headers(1, [(":status", "20x")])],
            .stream(.protocolError)),
        Rule(
            "§8.3.2 a :status of four digits is malformed", [headers(1, [(":status", "2000")])], .stream(.protocolError)
        ),
        Rule(
            "§8.3 a pseudo-field of requests is malformed in an answer", [headers(1, ok + [(":path", "/")])],
            .stream(.protocolError)),
        Rule(
            "§8.2.2 Transfer-Encoding is malformed", [headers(1, ok + [("transfer-encoding", "chunked")])],
            .stream(.protocolError)),
        Rule("§8.2.2 TE is malformed in an answer", [headers(1, ok + [("te", "trailers")])], .stream(.protocolError)),
        Rule("§8.6 101 is malformed", [headers(1, [(":status", "101")], end: false)], .stream(.protocolError)),
        Rule(
            "§8.1.1 content above Content-Length is malformed",
            [headers(1, ok + [("content-length", "1")], end: false), data(1, [1, 2])], .stream(.protocolError)),
        Rule(
            "§8.1.1 content below Content-Length is malformed",
            [headers(1, ok + [("content-length", "2")], end: false), data(1, [1], end: true)], .stream(.protocolError)),
        Rule(
            "§8.1.1 304 with the Content-Length that 200 would have",
            [headers(1, [(":status", "304"), ("content-length", "5")])], .fine),
        Rule(
            "§8.1.1 204 with content is malformed", [headers(1, [(":status", "204")], end: false), data()],
            .stream(.protocolError)),
        Rule(
            "§6.8 GOAWAY for a stream that is the server's is fine",
            [Frame(type: 7, payload: big(0x7FFF_FFFF) + big(0)), headers(1, ok)], .fine),
    ]

    private func ready(_ head: String = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n") throws -> (Endpoint, Int) {
        let client = Endpoint(.client)
        _ = client.receive(settings().bytes)
        let slot = try client.open()
        #expect(client.sendHead(slot, head, endStream: true))
        _ = client.takeSent()
        return (client, slot)
    }

    @Test("rule", arguments: rules)
    func keeps(rule: Rule) throws {
        let (client, _) = try ready()
        _ = client.receive(rule.frames.flatMap(\.bytes))
        check(rule, client, client.takeSent())
    }

    @Test("§8.1.1 the answer to HEAD may say how long another answer would be")
    func answersToHead() throws {
        let (client, slot) = try ready("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        let events = client.receive(headers(1, Self.ok + [("content-length", "5")]).bytes)
        #expect(events.map(\.event) == [.head(slot: slot, endStream: true)])
    }

    @Test("§3.4, §6.5.2 begins with the preface and SETTINGS that turn pushes off")
    func begins() {
        let client = Endpoint(.client)
        let sent = client.takeSent()
        #expect(sent.starts(with: preface))
        let first = frames(sent)[0]
        #expect(first.type == 4 && first.flags == 0)
        #expect(
            stride(from: 0, to: first.payload.count, by: 6).contains {
                first.payload[$0..<$0 + 6] == [0, 2, 0, 0, 0, 0]
            })
    }

    @Test("§6.8 requests above the last stream of a GOAWAY were not processed, also where it brings text along")
    func goAway() throws {
        let client = Endpoint(.client)
        _ = client.receive(settings().bytes)
        let slots = try (0..<3).map { _ in try client.open() }
        for slot in slots { #expect(client.sendHead(slot, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", endStream: true)) }
        let unsent = try client.open()
        let events = client.receive(Frame(type: 7, payload: big(1) + big(0) + Array("bye".utf8)).bytes).map(\.event)
        #expect(
            events == [
                .goAway(lastStream: 1, .noError), .streamReset(slot: slots[1], .refusedStream),
                .streamReset(slot: slots[2], .refusedStream),
            ])
        #expect(!client.sendHead(unsent, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "no new stream after GOAWAY")
        #expect(client.openStream() == nil)
        #expect(client.receive(headers(1, Self.ok).bytes).map(\.event) == [.head(slot: slots[0], endStream: true)])
        for slot in slots + [unsent] { client.release(slot) }
        #expect(client.isIdle)
    }

    @Test("§5.1.2 opens no more streams than the server takes")
    func limit() throws {
        let client = Endpoint(.client)
        _ = client.receive(settings([(3, 2)]).bytes)
        let first = try client.open()
        _ = try client.open()
        #expect(client.openStream() == nil)
        client.release(first)
        #expect(client.openStream() == first)
    }

    @Test("a head's size is counted as the peer counts it, and without a setting nothing is too large")
    func headList() throws {
        let client = Endpoint(.client)
        _ = client.receive(settings().bytes)
        let head = Array("GET /path HTTP/1.1\r\nHost: a.test\r\nA: bcd\r\n\r\n".utf8)
        func isTooLarge() -> Bool { client.connection.isBeyondPeer(head.span) }
        #expect(!isTooLarge())
        // :method GET, :path /path, :scheme of 5 bytes at most, :authority a.test, a bcd.
        let size = (7 + 3 + 32) + (5 + 5 + 32) + (7 + 5 + 32) + (10 + 6 + 32) + (1 + 3 + 32)
        _ = client.receive(settings([(6, UInt32(size))]).bytes)
        #expect(!isTooLarge())
        _ = client.receive(settings([(6, UInt32(size - 1))]).bytes)
        #expect(isTooLarge())
    }

    @Test("every fault of a message has a word that HTTP/1 has too; those of frames have none")
    func refusals() {
        let malformed = HTTP2Fault.allCases.filter { Refusal(malformed: $0) != nil }
        #expect(malformed.allSatisfy { Refusal(malformed: $0)?.status == 502 })
        #expect(Refusal(malformed: .connectionField)?.reason == .badConnectionOption)
        for fault in [HTTP2Fault.windowOverflow, .pingTimeout, .compression] {
            #expect(Refusal(malformed: fault) == nil)
        }
    }

    @Test("§6.5.3 SETTINGS hold as a whole, when they are acknowledged, and not while they are half read")
    func halfSettings() throws {
        let client = Endpoint(.client)
        _ = client.receive(settings([(1, 0), (3, 1)]).bytes)
        // The table may be used again, longer frames sent, and more streams opened.
        let more = settings([(1, 4096), (3, 2), (5, 20_000), (4, 100_000)]).bytes
        _ = client.receive(Array(more.dropLast()))
        let slot = try client.open()
        #expect(client.openStream() == nil && client.connection.peerFrameBytesMax == 16_384)
        _ = client.takeSent()
        client.sendHead(slot, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        // A table of no bytes: 0x20. RFC 7541 §6.3
        #expect(try #require(frames(client.takeSent()).last).payload.first == 0x20)
        _ = client.receive([more.last!])
        #expect(frames(client.takeSent()) == [Frame(type: 4, flags: 1)])
        let second = try client.open()
        #expect(client.connection.peerFrameBytesMax == 20_000)
        client.sendHead(second, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try #require(frames(client.takeSent()).last).payload.starts(with: [0x3F, 0xE1, 0x1F]))
    }

    @Test("§6.9.2 a smaller initial window takes room from open streams, below zero too")
    func windows() throws {
        let client = Endpoint(.client)
        _ = client.receive(settings().bytes + windowUpdate(0, 100_000).bytes)
        let slot = try client.open()
        client.sendHead(slot, "POST / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(client.sendRoom(slot) == 65_535)
        client.sendData(slot, [UInt8](repeating: 0, count: 10_000))
        _ = client.receive(settings([(4, 5_000)]).bytes)
        #expect(client.sendRoom(slot) == 0)
        #expect(client.receive(windowUpdate(1, 5_001).bytes).map(\.event) == [.writable(slot: slot)])
        #expect(client.sendRoom(slot) == 1)
        _ = client.receive(settings([(4, 5_000), (4, 70_000)]).bytes)
        #expect(client.sendRoom(slot) == 65_001)
    }
}
