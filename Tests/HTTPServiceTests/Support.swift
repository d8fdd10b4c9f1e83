import PoiseHTTPService
import PoiseLoop
import PoiseLoopSupport
import PoiseModel
import PoisePlatform
import Testing

let loopback = IPAddress(v4: 0x7F00_0001)

/// A raw connection for tests: sends what it is told, good or bad.
struct Wire {
    let socket: AsyncSocket
    let loop: EventLoop

    init(to address: SocketAddress, loop: EventLoop) async throws {
        self.loop = loop
        socket = try await AsyncSocket.connect(to: address, loop: loop, deadline: loop.now + .seconds(10))
    }

    func send(_ text: String) async throws {
        try await socket.send(Array(text.utf8), deadline: loop.now + .seconds(10))
    }

    /// Everything until `end` has come, or the peer has closed.
    func receive(until end: String? = nil) async throws -> String {
        let owned = OwnedBuffer(from: loop.buffers)
        var bytes: [UInt8] = []
        while true {
            let text = String(decoding: bytes, as: UTF8.self)
            if let end, text.hasSuffix(end) { return text }
            // A byte at a time where an end is looked for: what follows it belongs to the next call.
            let most = end == nil ? owned.buffer.capacity : 1
            let count: Int
            do {
                count = try await socket.receive(into: owned.buffer, 0, most, deadline: loop.now + .seconds(10))
            } catch {
                guard case .system = error else { throw error }
                return text + "<reset>"
            }
            if count == 0 { return text }
            bytes.append(owned.buffer.bytes(0, count))
        }
    }

    /// Without the field that changes every second.
    func receiveUndated(until end: String? = nil) async throws -> String { undated(try await receive(until: end)) }
}

func undated(_ text: String) -> String {
    text.split(separator: "\r\n", omittingEmptySubsequences: false).filter { !$0.hasPrefix("Date: ") }
        .joined(separator: "\r\n")
}

/// A running server on a free port.
func withServer<Value: Sendable>(
    _ settings: HTTPServer.Settings = .init(), handler: @escaping HTTPServer.Handler,
    _ body: @escaping @Sendable (HTTPServer, SocketAddress, EventLoop) async throws -> Value
) async throws -> Value {
    try await onLoop { loop in
        let server = HTTPServer(executor: loop.executor!, settings: settings, handler: handler)
        guard case .ip(let ip, let port) = try await server.listen(on: .ip(loopback, port: 0)) else {
            throw SystemError(call: "listen", code: 0)
        }
        let value = try await body(server, .ip(ip, port: port), loop)
        await server.stop(deadline: loop.now + .seconds(5))
        #expect(await server.connectionCount == 0)
        return value
    }
}

/// A server that reads a request's head, or not, and then plays `script` and ends the connection as told.
struct ScriptedServer: Sendable {
    enum End: Sendable { case close, reset, keepOpen }
    let address: SocketAddress

    init(_ script: [String], end: End = .close, loop: EventLoop) throws {
        let listener = Carried(
            AsyncListener(adopting: try Sockets.listen(on: .ip(loopback, port: 0), sharesPort: false), loop: loop))
        address = .ip(loopback, port: listener.value.port!)
        let executor = loop.executor!
        executor.start {
            while let accepted = try? await listener.value.accept() {
                let descriptor = accepted.descriptor
                executor.start {
                    let loop = executor.loop
                    let socket = AsyncSocket(adopting: FileDescriptor(adopting: descriptor), loop: loop)
                    let owned = OwnedBuffer(from: loop.buffers)
                    _ = try? await socket.receive(
                        into: owned.buffer, 0, owned.buffer.capacity, deadline: loop.now + .seconds(10))
                    for piece in script {
                        // Written out here, so that the names of tests stay readable.
                        let text =
                            piece == "<endless head>"
                            ? "HTTP/1.1 200 OK\r\nX: \(String(repeating: "a", count: 40_000))" : piece
                        try? await socket.send(Array(text.utf8), deadline: loop.now + .seconds(10))
                        // Another wake-up, so that pieces arrive as pieces.
                        try? await loop.sleep(for: .zero)
                    }
                    switch end {
                    case .close: socket.close()
                    case .reset: socket.reset()
                    case .keepOpen:
                        _ = try? await socket.receive(
                            into: owned.buffer, 0, 1, deadline: loop.now + .seconds(10))
                    }
                }
            }
        }
    }
}

/// Whether all buffers come back once the servers' tasks have ended too: within 5 s.
func givesBuffersBack(_ loop: EventLoop) async -> Bool {
    let deadline = loop.now + .seconds(5)
    while loop.buffers.outstanding > 0, loop.now < deadline { try? await loop.sleep(for: .milliseconds(1)) }
    return loop.buffers.outstanding == 0
}

/// Shares an object between tasks of one loop.
struct Carried<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

/// A port on which nobody listens.
func closedPort() throws -> UInt16 {
    let socket = try Sockets.bind(to: .ip(loopback, port: 0), sharesPort: false)
    return Sockets.localAddress(of: socket.number)!.port
}
