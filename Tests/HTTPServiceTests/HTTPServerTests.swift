import Glibc
import PoiseHTTPService
import PoiseLoop
import PoiseLoopSupport
import PoiseModel
import PoisePlatform
import Testing

@Suite("The HTTP server of control")
struct HTTPServerTests {
    /// Says what it received; some paths do more.
    private static let handler: HTTPServer.Handler = { (request) throws(HTTPHandlerFailure) in
        switch request.path {
        case "/ignore": return HTTPResponse(text: "ignored")
        case "/small": return HTTPResponse(text: "\(try await request.body.collect(limit: 10).count) bytes")
        case "/stream":
            return HTTPResponse(
                body: .stream(length: nil) { (writer) throws(HTTPHandlerFailure) in
                    for text in ["one", "", "two"] { try await writer.write(Array(text.utf8)) }
                })
        case "/short", "/long":
            let count = request.path == "/short" ? 3 : 5
            return HTTPResponse(
                body: .stream(length: 4) { (writer) throws(HTTPHandlerFailure) in
                    try await writer.write(Array(repeating: 0x61, count: count))
                })
        case "/teapot": throw .refused(status: 418, "short and stout")
        case "/cut": throw .cut
        case "/reset": throw .reset
        case "/split": return HTTPResponse(fields: ["X": "a\r\nY: b"])
        default:
            let body = try await request.body.collect()
            return HTTPResponse(text: "\(request.method) \(request.path) \(String(decoding: body, as: UTF8.self))")
        }
    }

    private static func ok(_ text: String, close: Bool = false) -> String {
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: \(text.utf8.count + 1)\r\n"
            + (close ? "Connection: close\r\n" : "") + "\r\n\(text)\n"
    }

    /// What the server answers to `request`, until it closes.
    private func answer(to request: String) async throws -> String {
        try await withServer(handler: Self.handler) { _, address, loop in
            let wire = try await Wire(to: address, loop: loop)
            try await wire.send(request)
            return try await wire.receiveUndated()
        }
    }

    @Test(
        "answers",
        arguments: [
            ("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", ok("GET /a ", close: true)),
            ("GET /a%20b?c=d HTTP/1.0\r\n\r\n", ok("GET /a b ", close: true)),
            (
                "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
                ok("POST /p hello", close: true)
            ),
            (
                "POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                    + "3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: v\r\n\r\n",
                ok("POST /p hello", close: true)
            ),
            (
                "GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                    + "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
            ),
            ("GET /stream HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nonetwo"),
            (
                "GET /teapot HTTP/1.1\r\nHost: x\r\n\r\n",
                "HTTP/1.1 418 \r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 16\r\n"
                    + "Connection: close\r\n\r\nshort and stout\n"
            ),
        ])
    func answers(request: String, expected: String) async throws {
        #expect(try await answer(to: request) == expected)
    }

    @Test(
        "refuses what it cannot frame, and closes",
        arguments: [
            ("GET / HTTP/1.1\r\n\r\n", 400), ("GET /\r\n\r\n", 400), ("\u{16}\u{3}\u{1}\u{2}\u{0}", 400),
            ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ("GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
            ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
            ("POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n", 413),
            ("POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n", 413),
            ("GET /split HTTP/1.1\r\nHost: x\r\n\r\n", 500),
        ])
    func refuses(request: String, status: Int) async throws {
        let answer = try await answer(to: request)
        #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
        #expect(answer.contains("\r\nConnection: close\r\n"))
        #expect(!answer.contains("\r\nY: b"))
    }

    @Test("a head that is too large is told so, also when it comes in one piece with what follows")
    func largeHead() async throws {
        let field = "X: \(String(repeating: "a", count: 40_000))\r\n"
        #expect(try await answer(to: "GET / HTTP/1.1\r\nHost: x\r\n\(field)\r\n").hasPrefix("HTTP/1.1 431 "))
    }

    @Test("keeps the connection, and answers pipelined requests in order, content and HEAD among them")
    func pipelines() async throws {
        let requests =
            "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n" + "POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"
            + "HEAD /3 HTTP/1.1\r\nHost: x\r\n\r\n" + "POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
            + "GET /4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        let head = Self.ok("HEAD /3 ").replacingSuffix("HEAD /3 \n", with: "")
        #expect(
            try await answer(to: requests) == Self.ok("GET /1 ") + Self.ok("POST /2 ab") + head + Self.ok("ignored")
                + Self.ok("GET /4 ", close: true))
    }

    @Test("asks a client to go on only when its content is wanted")
    func expectsContinue() async throws {
        try await withServer(handler: Self.handler) { _, address, loop in
            let wire = try await Wire(to: address, loop: loop)
            let head = "Host: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
            try await wire.send("POST /a HTTP/1.1\r\n" + head)
            #expect(try await wire.receive(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try await wire.send("abc")
            #expect(try await wire.receiveUndated(until: "abc\n") == Self.ok("POST /a abc"))
            // Not wanted: no interim answer, and since nobody knows whether the content will come, the end.
            try await wire.send("POST /ignore HTTP/1.1\r\n" + head)
            #expect(try await wire.receiveUndated() == Self.ok("ignored", close: true))
        }
    }

    @Test("a handler that writes less or more than it announced cuts the connection", arguments: ["/short", "/long"])
    func wrongLength(path: String) async throws {
        let answer = try await answer(to: "GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(answer.contains("Content-Length: 4\r\n"))
        #expect(!answer.hasSuffix("aaaa"))
    }

    @Test("cuts and resets when told to")
    func cuts() async throws {
        #expect(try await answer(to: "GET /cut HTTP/1.1\r\nHost: x\r\n\r\n") == "")
        #expect(try await answer(to: "GET /reset HTTP/1.1\r\nHost: x\r\n\r\n") == "<reset>")
    }

    @Test("a head that does not end is answered with 408, an idle connection is closed without a word")
    func timeouts() async throws {
        var settings = HTTPServer.Settings()
        (settings.headTimeout, settings.idleTimeout) = (.milliseconds(20), .milliseconds(20))
        try await withServer(settings, handler: Self.handler) { _, address, loop in
            let slow = try await Wire(to: address, loop: loop)
            try await slow.send("GET / HTT")
            #expect(try await slow.receive().hasPrefix("HTTP/1.1 408 "))
            let idle = try await Wire(to: address, loop: loop)
            #expect(try await idle.receive() == "")
        }
    }

    @Test("a connection beyond the limit is told so; when one has gone there is room again")
    func limit() async throws {
        var settings = HTTPServer.Settings()
        settings.connectionsMax = 1
        try await withServer(settings, handler: Self.handler) { server, address, loop in
            let first = try await Wire(to: address, loop: loop)
            try await first.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await first.receive(until: "/1 \n").hasPrefix("HTTP/1.1 200 "))
            let second = try await Wire(to: address, loop: loop)
            #expect(try await second.receive().hasPrefix("HTTP/1.1 503 "))
            try await first.send("GET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            _ = try await first.receive()
            first.socket.close()
            while await server.connectionCount > 0 { try await loop.sleep(for: .milliseconds(1)) }
            let third = try await Wire(to: address, loop: loop)
            try await third.send("GET /3 HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await third.receive(until: "/3 \n").hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test("stopping closes idle connections and lets an exchange in flight end")
    func stops() async throws {
        let (hasBegun, isReleased) = (Lock(false), Lock(false))
        try await onLoop { loop in
            let executor = loop.executor!
            let server = HTTPServer(executor: executor) { (request) throws(HTTPHandlerFailure) in
                hasBegun.withLock { $0 = true }
                while !isReleased.withLock({ $0 }) { try? await executor.loop.sleep(for: .milliseconds(1)) }
                return HTTPResponse(text: "late")
            }
            guard case .ip(let ip, let port) = try await server.listen(on: .ip(loopback, port: 0)) else { return }
            let address = SocketAddress.ip(ip, port: port)
            let (busy, idle) = (try await Wire(to: address, loop: loop), try await Wire(to: address, loop: loop))
            try await busy.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            while await server.connectionCount < 2 || !hasBegun.withLock({ $0 }) {
                try await loop.sleep(for: .milliseconds(1))
            }
            let stopping = executor.start { await server.stop(deadline: executor.loop.now + .seconds(10)) }
            #expect(try await idle.receive() == "")
            isReleased.withLock { $0 = true }
            #expect(try await busy.receive().hasSuffix("late\n"))
            busy.socket.close()
            await stopping.value
            #expect(await server.connectionCount == 0)
            await #expect(throws: SocketFailure.self) { _ = try await Wire(to: address, loop: loop) }
        }
    }

    @Test("a unix socket has its mode from the start, is replaced when abandoned, and respected when alive")
    func unixSocket() async throws {
        let path = "/tmp/poise-test-\(getpid())-\(UInt32.random(in: 0 ... .max)).sock"
        defer { Files.remove(path) }
        try await onLoop { loop in
            // Left over by a process that died.
            _ = try Sockets.listen(on: .unix(path: path), sharesPort: false)
            let server = HTTPServer(executor: loop.executor!, handler: Self.handler)
            #expect(try await server.listen(on: .unix(path: path), mode: 0o600) == .unix(path: path))
            var status = stat()
            #expect(unsafe stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
            let wire = try await Wire(to: .unix(path: path), loop: loop)
            try await wire.send("GET /u HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await wire.receiveUndated(until: "/u \n") == Self.ok("GET /u "))
            let other = HTTPServer(executor: loop.executor!, handler: Self.handler)
            await #expect(throws: SystemError(call: "bind", code: EADDRINUSE)) {
                try await other.listen(on: .unix(path: path))
            }
            await server.stop(deadline: loop.now + .seconds(5))
            #expect(unsafe stat(path, &status) == -1, "the path goes with the server")
        }
    }

    @Test(
        "reads query items",
        arguments: [
            ("a=1&b=2", "b", "2"), ("a=1&a=2", "a", "1"), ("a", "a", ""), ("a=", "a", ""), ("a=b%3Dc+d", "a", "b=c d"),
            ("%61=1", "a", "1"), ("a=100%", "a", "100%"), ("a=%zz%4", "a", "%zz%4"), ("b=1", "a", nil), ("", "a", nil),
        ] as [(String, String, String?)])
    func query(query: String, name: String, value: String?) async throws {
        let read = try await withServer(
            handler: { request in HTTPResponse(text: request.query(name) ?? "<nil>") }
        ) { _, address, loop in
            let wire = try await Wire(to: address, loop: loop)
            try await wire.send("GET /?\(query) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return try await wire.receive()
        }
        #expect(read.hasSuffix("\r\n\r\n\(value ?? "<nil>")\n"))
    }
}

extension String {
    func replacingSuffix(_ suffix: String, with other: String) -> String {
        hasSuffix(suffix) ? dropLast(suffix.count) + other : self
    }
}
