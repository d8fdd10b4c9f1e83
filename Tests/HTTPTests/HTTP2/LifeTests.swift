import PoiseHTTP
import PoiseModel
import Testing

@Suite("How HTTP/2 streams and connections live and end")
struct HTTP2LifeTests {
    private func ready(_ settings: HTTP2LocalSettings = HTTP2LocalSettings()) -> Endpoint {
        let server = Endpoint(.server, settings)
        _ = server.receive(preface + HTTPTests.settings().bytes)
        _ = server.takeSent()
        return server
    }

    @Test("§6.8 GOAWAY in two steps: what is on its way is still served, what comes later is not looked at")
    func goesAway() {
        let server = ready()
        _ = server.receive(headers(1).bytes)
        server.goAway(final: false)
        #expect(frames(server.takeSent()) == [Frame(type: 7, payload: big(0x7FFF_FFFF) + big(0))])
        #expect(server.receive(headers(3).bytes).map(\.event) == [.head(slot: 1, endStream: true)])
        server.goAway(final: true)
        #expect(frames(server.takeSent()) == [Frame(type: 7, payload: big(3) + big(0))])
        #expect(server.receive(headers(5).bytes).isEmpty)
        server.sendHead(0, "HTTP/1.1 200 OK\r\n\r\n", endStream: true)
        server.sendHead(1, "HTTP/1.1 200 OK\r\n\r\n", endStream: true)
        #expect(frames(server.takeSent()).map(\.stream) == [1, 3])
        server.release(0)
        server.release(1)
        #expect(server.isIdle)
    }

    /// A field that enters the dynamic table. RFC 7541 §6.2.1
    private func indexed(_ name: String, _ value: String) -> [UInt8] {
        [0x40, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)] + Array(value.utf8)
    }

    @Test("§6.8 what crosses the last GOAWAY is ignored as a whole, but fills the table and counts for the window")
    func leavesOut() {
        var settings = HTTP2LocalSettings()
        settings.windowBytesMax = 65_535
        let server = ready(settings)
        _ = server.receive(headers(1, postFields, end: false).bytes)
        server.goAway(final: true)
        _ = server.takeSent()
        let content = [UInt8](repeating: 0, count: 12_000)
        for stream in stride(from: UInt32(3), to: 11, by: 2) {
            let crossed = [
                Frame(type: 1, flags: 4, stream: stream, payload: indexed("x-of-\(stream)", "1")),
                data(stream, content), windowUpdate(stream, 1),
                headers(stream, [("x-trailer", "1")]),
            ]
            #expect(server.receive(crossed.flatMap(\.bytes)).isEmpty, "stream \(stream)")
        }
        #expect(server.receive(headers(11).bytes + Frame(type: 3, stream: 11, payload: big(8)).bytes).isEmpty)
        let updates = frames(server.takeSent())
        #expect(updates.count == 1 && updates.allSatisfy { $0.type == 8 && $0.stream == 0 })
        // The streams from before go on, with the tables that both sides have by now: 62 is what came last.
        #expect(
            server.receive(Frame(type: 1, flags: 5, stream: 1, payload: [0x80 | 62, 0x80 | 65]).bytes).map(\.text)
                == ["x-of-9: 1\r\nx-of-3: 1\r\n\r\n"])
    }

    @Test("§6.8 what never ends to cross the last GOAWAY is a flood")
    func leavesOutNotForEver() {
        let server = ready()
        _ = server.receive(headers(1, postFields, end: false).bytes)
        server.goAway(final: true)
        let crossed = headers(3, end: false).bytes + headers(3).bytes
        var received: [Endpoint.Happening] = []
        for _ in 0..<2_501 where received.isEmpty { received = server.receive(crossed) }
        #expect(received.map(\.event) == [.refusedConnection(.enhanceYourCalm, .lateFrameFlood)])
    }

    @Test("§6.8 a head that is half read when the last GOAWAY leaves is told as not processed, and opens nothing")
    func goesAwayWithinHead() {
        let server = ready()
        _ = server.receive(headers(1).bytes + headers(3).bytes.dropLast())
        server.goAway(final: false)
        _ = server.takeSent()
        server.goAway(final: true)
        #expect(frames(server.takeSent()) == [Frame(type: 7, payload: big(1) + big(0))])
        #expect(server.receive(Array(headers(3).bytes.suffix(1)) + headers(5).bytes).isEmpty)
        server.release(0)
        #expect(server.isIdle)
    }

    @Test("§8.1 a request whose answer is complete is cut off with NO_ERROR, any other one with CANCEL")
    func releases() {
        let server = ready()
        _ = server.receive(headers(1, postFields, end: false).bytes + headers(3, postFields, end: false).bytes)
        server.sendHead(0, "HTTP/1.1 413 Content Too Large\r\n\r\n", endStream: true)
        _ = server.takeSent()
        server.release(0)
        server.release(1)
        #expect(
            frames(server.takeSent())
                == [Frame(type: 3, stream: 1, payload: big(0)), Frame(type: 3, stream: 3, payload: big(8))])
        // What was on its way counts for the connection's window and for nothing else.
        #expect(server.receive(data(1).bytes + data(3).bytes).isEmpty)
        #expect(server.takeSent().isEmpty)
    }

    @Test("§8.1.1 requests whose Content-Length has no content take no slots: nobody would release them")
    func slotsOfMalformed() {
        var settings = HTTP2LocalSettings()
        settings.streamsMax = 4
        let server = ready(settings)
        let bad = postFields + [("content-length", "5")]
        for stream in stride(from: UInt32(1), to: 41, by: 2) {
            #expect(
                server.receive(headers(stream, bad).bytes).map(\.event)
                    == [.streamRefused(.protocolError, .contentLengthMismatch)])
            #expect(frames(server.takeSent()) == [Frame(type: 3, stream: stream, payload: big(1))])
        }
        #expect(server.isIdle)
        #expect(server.receive(headers(41).bytes).map(\.event) == [.head(slot: 0, endStream: true)])
    }

    @Test("content that its owner never consumed goes back into the connection's window when the stream is released")
    func window() {
        var settings = HTTP2LocalSettings()
        settings.windowBytesMax = 65_535
        let server = ready(settings)
        for stream in stride(from: UInt32(1), to: 41, by: 2) {
            let content = data(stream, [UInt8](repeating: 0, count: 10_000)).bytes
            let events = server.receive(headers(stream, postFields, end: false).bytes + content + content)
            #expect(events.count == 3, "the window holds for ever: stream \(stream)")
            server.release(0)
        }
        let updates = frames(server.takeSent()).filter { $0.type == 8 }
        #expect(updates.allSatisfy { $0.stream == 0 })
        #expect(updates.count > 8)
    }

    @Test("§6.9.1 more than the connection's window is a FLOW_CONTROL_ERROR, whatever the streams have left")
    func connectionWindow() {
        var settings = HTTP2LocalSettings()
        settings.windowBytesMax = 65_535
        let server = ready(settings)
        let content = [UInt8](repeating: 0, count: 16_000)
        _ = server.receive(headers(1, postFields, end: false).bytes + headers(3, postFields, end: false).bytes)
        let frames = [data(1, content), data(3, content), data(1, content), data(3, content), data(1, content)]
        #expect(
            server.receive(frames.flatMap(\.bytes)).last?.event
                == .refusedConnection(.flowControlError, .windowExceeded))
    }

    @Test("§5.2 back-pressure: no window is given back before content is consumed, then in halves")
    func backPressure() {
        let server = ready()
        _ = server.receive(headers(1, postFields, end: false).bytes)
        _ = server.receive(
            data(1, [UInt8](repeating: 0, count: 16_384)).bytes + data(1, [UInt8](repeating: 0, count: 16_384)).bytes)
        #expect(server.takeSent().isEmpty)
        server.consume(0, 32_000)
        #expect(server.takeSent().isEmpty)
        server.consume(0, 768)
        #expect(frames(server.takeSent()) == [windowUpdate(1, 32_768)])
    }

    @Test(
        "RFC 9218 §4 the priority of a request, and what does not parse is ignored",
        arguments: [
            ("u=1", 1, false), ("u=7, i", 7, true), ("i, u=0", 0, true), ("i=?0", 3, false), ("i=?1,u=2", 2, true),
            ("u=9", 3, false), ("u=-1, x", 3, false), ("", 3, false), ("u=5;a=b, i;c", 5, true),
        ])
    func priorities(value: String, urgency: UInt8, isIncremental: Bool) {
        let server = ready()
        _ = server.receive(headers(1, getFields + [("priority", value)]).bytes + headers(3).bytes)
        #expect(server.priority(0).urgency == urgency)
        #expect(server.priority(0).isIncremental == isIncremental)
        let events = server.receive(Frame(type: 16, payload: big(3) + Array(value.utf8)).bytes).map(\.event)
        #expect(events == (server.priority(1) == HTTP2Priority() ? [] : [.priorityChanged(slot: 1)]))
        #expect(server.priority(1) == server.priority(0))
    }

    @Test("§8.2.3 cookie crumbs become one line; the others keep their order")
    func cookies() {
        let server = ready()
        let events = server.receive(
            headers(1, getFields + [("cookie", "a=b"), ("x", "1"), ("cookie", ""), ("cookie", "c=d; e=f"), ("y", "2")])
                .bytes)
        #expect(
            events.map(\.text) == ["GET / HTTP/1.1\r\nHost: a.test\r\nx: 1\r\ny: 2\r\ncookie: a=b; c=d; e=f\r\n\r\n"])
    }

    @Test("§8.5 CONNECT comes out in authority-form")
    func connects() {
        let server = ready()
        let events = server.receive(
            headers(1, [(":method", "CONNECT"), (":authority", "a.test:443")], end: false).bytes)
        #expect(events.map(\.text) == ["CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"])
    }

    @Test("§8.3.1 without :authority, Host stands for it")
    func hosts() {
        let server = ready()
        let events = server.receive(headers(1, Array(getFields.prefix(3)) + [("x", "1"), ("host", "b.test")]).bytes)
        #expect(events.map(\.text) == ["GET / HTTP/1.1\r\nx: 1\r\nhost: b.test\r\n\r\n"])
    }

    @Test("a piece of a DATA frame is handed out as soon as it is there")
    func pieces() {
        let server = ready()
        _ = server.receive(headers(1, postFields, end: false).bytes)
        let bytes = Frame(type: 0, flags: 9, stream: 1, payload: [2, 1, 2, 3, 0, 0]).bytes
        #expect(server.receive(Array(bytes[..<12])).map(\.content) == [[1, 2]])
        let rest = server.receive(Array(bytes[12...]))
        #expect(rest.map(\.content) == [[3]])
        #expect(rest.map(\.event) == [.data(slot: 0, ByteRange(start: 0, count: 1), endStream: true)])
    }
}
