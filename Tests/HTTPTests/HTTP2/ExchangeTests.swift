import PoiseHTTP
import Testing

@Suite("HTTP/2 exchanges between two machines, RFC 9113")
struct HTTP2ExchangeTests {
    @Test("a request and its answer, with content and trailers")
    func exchange() throws {
        let client = Endpoint(.client)
        let server = Endpoint(.server)
        #expect(server.receive(client.takeSent()).map(\.event) == [.settingsChanged, .writable(slot: nil)])
        #expect(client.receive(server.takeSent()).map(\.event) == [.settingsChanged, .writable(slot: nil)])
        let slot = try client.open()
        #expect(
            client.sendHead(
                slot,
                "POST /a?b HTTP/1.1\r\nHost: shop.test\r\nAccept: */*\r\nConnection: close\r\nCookie: a=b\r\n"
                    + "Content-Length: 5\r\nX_Y: 1\r\n\r\n"))
        client.sendData(slot, Array("hello".utf8), endStream: true)
        var events = server.receive(client.takeSent())
        #expect(events.count == 2)
        #expect(events[0].event == .head(slot: 0, endStream: false))
        #expect(
            events[0].text == "POST /a?b HTTP/1.1\r\nHost: shop.test\r\naccept: */*\r\ncontent-length: 5\r\nx_y: 1\r\n"
                + "cookie: a=b\r\n\r\n")
        #expect(events[1].content == Array("hello".utf8))
        server.consume(0, 5)
        #expect(server.sendHead(0, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"))
        #expect(server.sendHead(0, "HTTP/1.1 200 OK\r\nServer: x\r\nTransfer-Encoding: chunked\r\n\r\n"))
        server.sendData(0, Array("world".utf8))
        #expect(server.sendTrailers(0, "X-Sum: 1\r\nContent-Length: 3\r\n\r\n"))
        #expect(server.openStreams == 0)
        server.release(0)
        #expect(server.isIdle)
        events = client.receive(server.takeSent())
        #expect(
            events.map(\.text) == [
                "HTTP/1.1 103 \r\nlink: </a>\r\n\r\n", "HTTP/1.1 200 \r\nserver: x\r\n\r\n", "", "x-sum: 1\r\n\r\n",
            ])
        #expect(events.last?.event == .trailers(slot: slot))
        #expect(client.openStreams == 0)
    }
}
