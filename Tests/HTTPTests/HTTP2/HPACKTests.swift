import PoiseHTTP
import Testing

private func hex(_ text: String) -> [UInt8] {
    let digits = text.filter { !$0.isWhitespace }
    return stride(from: 0, to: digits.count, by: 2).map { offset in
        let start = digits.index(digits.startIndex, offsetBy: offset)
        return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16) ?? 0
    }
}

/// The examples of RFC 7541 appendix C: blocks that follow each other on one connection, and what they say.
@Suite("HPACK examples, RFC 7541 appendix C")
struct HPACKExampleTests {
    static let requests = [
        "GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: www.example.com\r\ncache-control: no-cache\r\n\r\n",
        "GET /index.html HTTP/1.1\r\nHost: www.example.com\r\ncustom-key: custom-value\r\n\r\n",
    ]

    @Test(
        "requests, C.3 and C.4",
        arguments: [
            [
                "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", "8286 84be 5808 6e6f 2d63 6163 6865",
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
            ],
            [
                "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", "8286 84be 5886 a8eb 1064 9cbf",
                "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
            ],
        ])
    func requests(blocks: [String]) {
        let server = Endpoint(.server)
        _ = server.receive(preface + settings().bytes)
        for (index, block) in blocks.enumerated() {
            let frame = Frame(type: 1, flags: 5, stream: UInt32(2 * index + 1), payload: hex(block))
            #expect(server.receive(frame.bytes).map(\.text) == [Self.requests[index]])
            server.release(0)
        }
    }

    static let cookie = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
    static let answers = [
        "HTTP/1.1 302 \r\ncache-control: private\r\ndate: Mon, 21 Oct 2013 20:13:21 GMT\r\n"
            + "location: https://www.example.com\r\n\r\n",
        "HTTP/1.1 307 \r\ncache-control: private\r\ndate: Mon, 21 Oct 2013 20:13:21 GMT\r\n"
            + "location: https://www.example.com\r\n\r\n",
        "HTTP/1.1 200 \r\ncache-control: private\r\ndate: Mon, 21 Oct 2013 20:13:22 GMT\r\n"
            + "location: https://www.example.com\r\ncontent-encoding: gzip\r\nset-cookie: \(cookie)\r\n\r\n",
    ]

    /// With a table of 256 bytes, from which entries have to go.
    @Test(
        "answers, C.5 and C.6",
        arguments: [
            [
                """
                3fe1 01
                4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32
                3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d
                """, "4803 3330 37c1 c0bf",
                """
                88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970
                7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61
                6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31
                """,
            ],
            [
                """
                3fe1 01
                4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad
                1718 63c7 8f0b 97c8 e9ae 82ae 43d3
                """, "4883 640e ffc1 c0bf",
                """
                88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2
                e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07
                """,
            ],
        ])
    func answers(blocks: [String]) throws {
        let client = Endpoint(.client)
        _ = client.receive(settings().bytes)
        for (index, block) in blocks.enumerated() {
            let slot = try client.open()
            client.sendHead(slot, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", endStream: true)
            let frame = Frame(type: 1, flags: 5, stream: UInt32(2 * index + 1), payload: hex(block))
            #expect(client.receive(frame.bytes).map(\.text) == [Self.answers[index]])
            client.release(slot)
        }
    }

    @Test("literals, C.2: indexed, not indexed, and never to be indexed")
    func literals() {
        let server = Endpoint(.server)
        _ = server.receive(preface + settings().bytes)
        let start = hex("8286 84") + [0x41, 1, 0x61]
        func text(_ stream: UInt32, _ rest: [UInt8]) -> String? {
            defer { server.release(0) }
            return server.receive(Frame(type: 1, flags: 5, stream: stream, payload: start + rest).bytes).first?.text
        }
        let custom = hex("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572")
        let password = hex("1008 7061 7373 776f 7264 0673 6563 7265 74")
        #expect(text(1, custom)?.hasSuffix("\r\ncustom-key: custom-header\r\n\r\n") == true)
        #expect(server.neverIndexed == 0)
        #expect(
            text(3, [0xBF])?.hasSuffix("\r\ncustom-key: custom-header\r\n\r\n") == true, "behind the new :authority")
        #expect(text(5, password)?.hasSuffix("\r\npassword: secret\r\n\r\n") == true)
        #expect(server.neverIndexed != 0)
    }
}

@Suite("HPACK encoder, RFC 7541")
struct HPACKEncoderTests {
    /// Sends heads from a client to a server, and returns the blocks and what came out.
    private func exchange(
        _ heads: [String], neverIndexed: UInt64 = 0, peer entries: [(UInt16, UInt32)] = []
    ) throws -> [(block: [UInt8], text: String)] {
        let client = Endpoint(.client)
        let server = Endpoint(.server)
        _ = client.receive(settings(entries).bytes)
        _ = server.receive(client.takeSent())
        return try heads.map { head in
            let slot = try client.open()
            #expect(client.sendHead(slot, head, endStream: true, neverIndexed: neverIndexed))
            let sent = client.takeSent()
            let event = server.receive(sent).first
            server.release(0)
            client.release(slot)
            _ = server.receive(client.takeSent())
            return (frames(sent).flatMap(\.payload), event?.text ?? "")
        }
    }

    @Test("what is said again is one byte from the third time on")
    func repeats() throws {
        let head = "GET / HTTP/1.1\r\nHost: shop.test\r\nuser-agent: curl\r\nx-tenant: blue\r\n\r\n"
        let sent = try exchange([head, head, head, head])
        #expect(sent.map(\.text) == [head, head, head, head])
        #expect(sent[3].block.count == 6, "method, scheme, path, authority and two fields")
    }

    @Test(
        "§7.1.3 secrets are never indexed, and marked so for the next hop",
        arguments: ["authorization", "cookie", "proxy-authorization"])
    func secrets(name: String) throws {
        let head = "GET / HTTP/1.1\r\nHost: a\r\n\(name): s\r\n\r\n"
        let sent = try exchange([head, head, head])
        #expect(sent.last?.text == head)
        let last = try #require(sent.last?.block)
        #expect(last[4] & 0xF0 == 0x10, "behind method, scheme, path and authority")
        #expect(last.count > 6)
    }

    @Test("§7.1.3 what came never indexed is sent never indexed")
    func marks() throws {
        let server = Endpoint(.server)
        let secret: [UInt8] = [0x10, 1, 0x70, 1, 0x73]
        _ = server.receive(
            preface + settings().bytes
                + Frame(type: 1, flags: 5, stream: 1, payload: block(getFields) + secret).bytes)
        let head = "GET / HTTP/1.1\r\nHost: a\r\np: s\r\n\r\n"
        let sent = try exchange([head, head, head], neverIndexed: server.neverIndexed)
        #expect(sent.allSatisfy { $0.text == head && $0.block.contains(0x10) })
        let free = try exchange([head, head, head])
        #expect(free.allSatisfy { !$0.block.contains(0x10) })
    }

    @Test("§4.2 a smaller table of the peer is announced before the next head, and kept to")
    func limits() throws {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nx-a: b\r\n\r\n"
        let sent = try exchange([head, head, head], peer: [(1, 0)])
        #expect(sent[0].block.first == 0x20)
        #expect(sent[2].block.count > 5, "nothing could enter")
        #expect(sent.allSatisfy { $0.text == head })
        let shrunkAndGrown = try exchange([head], peer: [(1, 64), (1, 4096)])
        #expect(
            Array(shrunkAndGrown[0].block.prefix(5)) == [0x3F, 0x21, 0x3F, 0xE1, 0x1F], "the smallest, then the last")
    }

    @Test("names become lower case, fields of the connection stay behind")
    func translates() throws {
        let sent = try exchange([
            "GET /%41?q HTTP/1.1\r\nX-Long-Name-With_All|Kinds^Of~Bytes: V\r\nConnection: close, x\r\nKeep-Alive: 1\r\n"
                + "Upgrade: h2c\r\nHTTP2-Settings: AA\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n"
                + "Proxy-Connection: close\r\nHOST: Shop.test:81\r\nEmpty: \r\n\r\n"
        ])
        #expect(
            sent[0].text
                == "GET /%41?q HTTP/1.1\r\nHost: Shop.test:81\r\nx-long-name-with_all|kinds^of~bytes: V\r\nte: trailers\r\n"
                + "empty: \r\n\r\n")
    }

    @Test("a head of many frames, and one with a URI longer than what is left for it")
    func long() throws {
        var settings = HTTP2LocalSettings()
        settings.headListBytesMax = 100_000
        let client = Endpoint(.client)
        let server = Endpoint(.server, settings)
        _ = server.receive(client.takeSent())
        let value = String(repeating: "{", count: 40_000)
        let head = "GET /\(String(repeating: "x", count: 5_000)) HTTP/1.1\r\nHost: a\r\nx: \(value)\r\n\r\n"
        let slot = try client.open()
        #expect(client.sendHead(slot, head, endStream: true))
        let sent = client.takeSent()
        #expect(frames(sent).map(\.type) == [1, 9, 9])
        #expect(frames(sent).map(\.flags) == [1, 0, 4])
        #expect(server.receive(sent).map(\.text) == [head])
    }

    @Test(
        "text that is no head is not sent",
        arguments: [
            "", "GET / HTTP/1.1\r\n", "GET http://a/ HTTP/1.1\r\n\r\n", "GET /\r\n\r\n",
            "GET / HTTP/1.1\r\na b: c\r\n\r\n",
        ])
    func refuses(head: String) throws {
        let client = Endpoint(.client)
        _ = client.takeSent()
        let slot = try client.open()
        #expect(!client.sendHead(slot, head))
        #expect(client.takeSent().isEmpty)
        #expect(client.streamID(slot) == 0)
    }

    @Test("every byte that a value may have survives both ways of writing it")
    func everyByte() throws {
        let client = Endpoint(.client)
        let server = Endpoint(.server)
        _ = server.receive(client.takeSent())
        for length in [1, 2, 3, 7, 8, 9, 63, 64, 65, 126, 127, 128, 300] {
            for first in UInt8(0x21)...0xFF where first != 0x7F {
                var value = [UInt8](repeating: first, count: length)
                for index in 1..<max(1, length - 1) where index % 3 == 1 { value[index] = 0x20 }
                let head = latin1(Array("GET / HTTP/1.1\r\nHost: a\r\nx: ".utf8) + value + Array("\r\n\r\n".utf8))
                let slot = try client.open()
                try #require(client.sendHead(slot, head, endStream: true))
                try #require(server.receive(client.takeSent()).map(\.text) == [head])
                server.sendHead(0, "HTTP/1.1 204 \r\n\r\n", endStream: true)
                server.release(0)
                _ = client.receive(server.takeSent())
                client.release(slot)
            }
        }
    }
}
