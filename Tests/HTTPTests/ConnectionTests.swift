import PoiseHTTP
import Testing

@Suite("Connection handling of a request, RFC 9110 §7.6.1, §7.8, §10.1")
struct ConnectionTests {
    private func head(_ fields: String, version: String = "HTTP/1.1") throws -> RequestSummary {
        try #require(parseRequest("GET / \(version)\r\nHost: a\r\n\(fields)\r\n").summary)
    }

    @Test(
        "marks the fields of one connection, fixed ones and listed ones",
        arguments: [
            ("Connection: x-a, X-B\r\nX-A: 1\r\nx-b: 2\r\nX-C: 3\r\nX-A: 4\r\n", ["Connection", "X-A", "x-b", "X-A"]),
            ("X-A: 1\r\nConnection:\r\nConnection: ,, x-a ,\r\n", ["X-A", "Connection", "Connection"]),
            (
                "Keep-Alive: 1\r\nTE: x\r\nUpgrade: h2c\r\nProxy-Connection: x\r\nHTTP2-Settings: x\r\n",
                [
                    "Keep-Alive", "TE", "Upgrade", "Proxy-Connection", "HTTP2-Settings",
                ]
            ),
            ("Transfer-Encoding: chunked\r\n", ["Transfer-Encoding"]),
            ("Connection: Cookie, trailer\r\nCookie: x\r\nTrailer: y\r\n", ["Connection", "Cookie", "Trailer"]),
            ("Trailer: y\r\nVia: z\r\nProxy-Authorization: z\r\n", []),
            ("Connection: x-ab\r\nX-A: 1\r\nX-Ab-C: 1\r\n", ["Connection"]),
        ])
    func marksHopByHop(fields: String, names: [String]) throws {
        #expect(try head(fields).hopByHop == names)
    }

    @Test(
        "knows whether the connection ends (RFC 9112 §9.3)",
        arguments: [
            ("HTTP/1.1", "", false), ("HTTP/1.1", "Connection: keep-alive\r\n", false),
            ("HTTP/1.1", "Connection: Close\r\n", true), ("HTTP/1.1", "Connection: x, close\r\n", true),
            ("HTTP/1.1", "Connection: x\r\nConnection: close\r\n", true), ("HTTP/1.1", "Connection: closed\r\n", false),
            ("HTTP/1.0", "", true), ("HTTP/1.0", "Connection: Keep-Alive\r\n", false),
            ("HTTP/1.0", "Connection: x\r\n", true), ("HTTP/1.0", "Connection: keep-alive, close\r\n", true),
            ("HTTP/1.0", "Proxy-Connection: keep-alive\r\n", true),
        ])
    func knowsClose(version: String, fields: String, wantsClose: Bool) throws {
        #expect(try head(fields, version: version).wantsClose == wantsClose)
    }

    @Test(
        "upgrades only when Connection says so and not from HTTP/1.0, to the first allowed one of the list",
        arguments: [
            ("HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "websocket"),
            ("HTTP/1.1", "Upgrade: h2c, websocket\r\nConnection: keep-alive, upgrade\r\n", "websocket"),
            ("HTTP/1.1", "Connection: Upgrade\r\nUpgrade: WebSocket , h2c\r\n", "WebSocket"),
            ("HTTP/1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\nX: y\r\nUpgrade: ,,\twebsocket\r\n", "websocket"),
            ("HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", "websocket"),
            ("HTTP/1.1", "Connection: Upgrade\r\nUpgrade:\r\nUpgrade: websocket\r\n", "websocket"),
            ("HTTP/1.1", "Connection: Upgrade\r\nUpgrade: b, websocket\r\n", "b"),
            ("HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket, b\r\n", "websocket"),
            ("HTTP/1.1", "Connection: Upgrade\r\nUpgrade: h2c, websocket/13, web socket, c\r\n", ""),
            ("HTTP/1.1", "Connection: Upgrade\r\nUpgrade: , ,\r\n", ""),
            ("HTTP/1.1", "Upgrade: h2c, websocket\r\n", nil),
            ("HTTP/1.0", "Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n", nil),
            ("HTTP/1.1", "Upgrade: websocket\r\n", nil), ("HTTP/1.1", "Connection: Upgrade\r\n", nil),
            ("HTTP/1.1", "Connection: Upgrade\r\nUpgrade:\r\n", nil),
            ("HTTP/1.1", "Connection: Upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n", "b"),
            ("HTTP/1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n", nil),
        ] as [(String, String, String?)])
    func upgrades(version: String, fields: String, value: String?) throws {
        #expect(try head(fields, version: version).upgrade == value)
    }

    @Test func expectsContinueOnlyFromHTTP11() throws {
        #expect(try head("Expect: 100-Continue\r\n").expectsContinue)
        #expect(try !head("Expect: 100-continue\r\n", version: "HTTP/1.0").expectsContinue)
        #expect(try !head("").expectsContinue)
    }

    @Test(
        "knows whether trailers are welcome (RFC 9110 §10.1.4)",
        arguments: [
            ("TE: trailers\r\n", true), ("TE: gzip;q=0.5, Trailers\r\n", true), ("TE: gzip\r\nTE: trailers\r\n", true),
            ("TE: gzip, trailers;q=0.5\r\n", true), ("TE: trailers ; q=1\r\n", true),
            ("TE: gzip\r\n", false), ("TE: xtrailers\r\n", false), ("TE: trailersx\r\n", false), ("", false),
        ])
    func acceptsTrailers(fields: String, accepts: Bool) throws {
        #expect(try head(fields).acceptsTrailers == accepts)
    }
}
