import Glibc
import PoiseHTTP
import PoiseHTTPService
import PoiseLoop
import PoiseLoopSupport
import PoiseModel
import PoisePlatform
import Testing

@Suite("The HTTP client of control")
struct HTTPClientTests {
    private static let request = HTTPClientRequest(target: "/", host: "x")

    private func outcome(
        _ script: [String], end: ScriptedServer.End = .close, method: String = "GET",
        timeout: Nanoseconds = .seconds(10)
    ) async throws -> Result<HTTPClientResponse, HTTPClientFailure> {
        try await onLoop { loop in
            let server = try ScriptedServer(script, end: end, loop: loop)
            var request = Self.request
            request.method = method
            return await Self.send(request, to: server.address, loop, timeout: timeout)
        }
    }

    private static func send(
        _ request: HTTPClientRequest, to address: SocketAddress, _ loop: EventLoop, timeout: Nanoseconds = .seconds(10),
        limit: Int = 1 << 20
    ) async -> Result<HTTPClientResponse, HTTPClientFailure> {
        do throws(HTTPClientFailure) {
            return .success(
                try await HTTPClient(loop: loop).send(
                    request, to: address, deadline: loop.now + timeout, bodyBytesMax: limit))
        } catch { return .failure(error) }
    }

    @Test(
        "reads an answer to its end, however it is framed and cut",
        arguments: [
            (["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more"], 200, "hello"),
            (["HTTP/1.1 200 OK\r\nContent-Le", "ngth: 5\r\n\r", "\nhel", "lo"], 200, "hello"),
            (
                ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhe", "l\r\n2\r\nlo\r\n0\r", "\n\r\n"], 200,
                "hello"
            ),
            (["HTTP/1.0 404 Not Found\r\n\r\nhel", "lo"], 404, "hello"),
            (["HTTP/1.1 204 No Content\r\n\r\n"], 204, ""),
            (["HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], 200, ""),
        ] as [([String], Int, String)])
    func reads(script: [String], status: Int, body: String) async throws {
        let response = try await outcome(script).get()
        #expect(response.status == status && String(decoding: response.body, as: UTF8.self) == body)
    }

    @Test("knows that the answer to HEAD has no content, and hands the fields over")
    func head() async throws {
        let script = ["HTTP/1.1 200 OK\r\nContent-Length: 500\r\nX-A: b\r\nx-a: c\r\n\r\n"]
        let response = try await outcome(script, end: .keepOpen, method: "HEAD").get()
        #expect(response.body.isEmpty && response.fields["x-A"] == "b" && response.fields.lines.count == 3)
    }

    @Test(
        "says what went wrong and where",
        arguments: [
            ([], .close, .cut(.waiting)), ([], .reset, .cut(.waiting)),
            (["HTTP/1.1 200 OK\r\nContent-"], .close, .cut(.waiting)),
            (["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"], .close, .cut(.receiving)),
            (["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n"], .close, .cut(.receiving)),
            (["HTTP/1.0 200 OK\r\n\r\nhel"], .reset, .cut(.receiving)),
            (["SSH-2.0-OpenSSH_9.2\r\n"], .keepOpen, .malformed(.badStatusLine)),
            (["HTTP/1.1 101 Switching Protocols\r\n\r\n"], .keepOpen, .malformed(.badStatusLine)),
            (["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz"], .keepOpen, .malformed(.badChunkSize)),
            (["<endless head>"], .keepOpen, .malformed(.headTooLarge)),
        ] as [([String], ScriptedServer.End, HTTPClientFailure)])
    func fails(script: [String], end: ScriptedServer.End, failure: HTTPClientFailure) async throws {
        #expect(try await outcome(script, end: end) == .failure(failure))
    }

    @Test("a deadline names the phase in which it came")
    func timeouts() async throws {
        let silent = try await outcome([], end: .keepOpen, timeout: .milliseconds(20))
        #expect(silent == .failure(.timeout(.waiting)))
        let half = try await outcome(
            ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"], end: .keepOpen, timeout: .milliseconds(20))
        #expect(half == .failure(.timeout(.receiving)))
    }

    @Test("nobody at the address, content beyond the limit, and a request that would split itself are failures")
    func others() async throws {
        try await onLoop { loop in
            let closed = await Self.send(Self.request, to: .ip(loopback, port: try closedPort()), loop)
            guard case .failure(.connect(let error)) = closed else {
                Issue.record("\(closed)")
                return
            }
            #expect(error.code == ECONNREFUSED && error.description == "Connection refused")
            let server = try ScriptedServer(["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"], loop: loop)
            #expect(await Self.send(Self.request, to: server.address, loop, limit: 4) == .failure(.tooLarge))
            #expect(try await Self.send(Self.request, to: server.address, loop, limit: 5).get().body.count == 5)
            for bad in [
                HTTPClientRequest(target: "/ HTTP/1.1\r\nX: y", host: "x"), HTTPClientRequest(target: "", host: "x"),
                HTTPClientRequest(target: "/", host: "x\r\nY: z"),
                HTTPClientRequest(target: "/", host: "x", fields: ["a": "b\r\n"]),
                HTTPClientRequest(method: "GE T", target: "/", host: "x"),
            ] {
                #expect(await Self.send(bad, to: server.address, loop) == .failure(.badRequest))
            }
            #expect(await givesBuffersBack(loop))
        }
    }

    @Test("what a server says early, while the request is still being sent, is the answer")
    func earlyAnswer() async throws {
        let status = try await withServer(
            handler: { (request) throws(HTTPHandlerFailure) in
                _ = try await request.body.collect(limit: 1000)
                return HTTPResponse(text: "all of it")
            }
        ) { _, address, loop in
            var request = Self.request
            (request.method, request.body) = ("POST", [UInt8](repeating: 0, count: 4 << 20))
            return try await Self.send(request, to: address, loop).get().status
        }
        #expect(status == 413)
    }

    @Test("sends what the server reads")
    func sends() async throws {
        let seen = try await withServer(
            handler: { (request) throws(HTTPHandlerFailure) in
                let body = String(decoding: try await request.body.collect(), as: UTF8.self)
                let lines = request.fields.lines.map { "\($0.name)=\($0.value)" }.joined(separator: "|")
                return HTTPResponse(
                    text: "\(request.method) \(request.rawPath)?\(request.rawQuery ?? "") \(lines) \(body)")
            }
        ) { _, address, loop in
            let request = HTTPClientRequest(
                method: "PUT", target: "/a?b=c", host: "shop.test", fields: ["X-Y": "z"], body: Array("hello".utf8))
            return String(decoding: try await Self.send(request, to: address, loop).get().body, as: UTF8.self)
        }
        #expect(seen == "PUT /a?b=c Host=shop.test|X-Y=z|Content-Length=5|Connection=close hello\n")
    }
}
