import PoiseModel
import PoiseSimulation
import Testing

@testable import PoiseProxy

@Suite("A connection that lingers after its last answer")
struct LingeringTests {
    private static let upload = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"

    /// Answered with 413 while its body comes.
    private func refused() throws -> (OneWorker, SimulatedSocket) {
        let bench = OneWorker(FixedResponse(status: 200)) { $0.limits.bodyBytesMax = 10 }
        let client = try bench.client(Self.upload)
        guard case .bytes(let answer) = client.read() else {
            Issue.record("no answer")
            return (bench, client)
        }
        #expect(String(decoding: answer, as: UTF8.self).hasPrefix("HTTP/1.1 413 "))
        #expect(client.read() == .end && bench.connectionCount == 1)
        return (bench, client)
    }

    @Test("is closed after 5 s without a byte")
    func silence() throws {
        let (bench, client) = try refused()
        bench.run(for: .milliseconds(4900))
        #expect(client.write([1]) == 1)
        bench.run(for: .milliseconds(4900))
        #expect(bench.connectionCount == 1)
        bench.run(for: .milliseconds(200))
        #expect(bench.connectionCount == 0)
    }

    @Test("is closed after 30 s, whatever still comes")
    func time() throws {
        let (bench, client) = try refused()
        bench.everySecond(30) {
            #expect(bench.connectionCount == 1)
            #expect(client.write([1]) == 1)
        }
        bench.run(for: .milliseconds(100))
        #expect(bench.connectionCount == 0)
    }

    @Test("keeps a listener that is gone for 2 s more")
    func retired() throws {
        let (bench, client) = try refused()
        let deadline = bench.now + .seconds(300)
        bench.post { $0.drain(deadline: deadline) }
        bench.everySecond(2) {
            #expect(bench.connectionCount == 1)
            #expect(client.write([1]) == 1)
        }
        bench.run(for: .milliseconds(100))
        #expect(bench.connectionCount == 0)
    }

    @Test("is closed once more bytes were dropped than any answer is worth")
    func bytes() throws {
        let (bench, client) = try refused()
        let block = [UInt8](repeating: 1, count: OneWorker.bufferBytes)
        var written = 0
        while bench.connectionCount == 1, written <= 300 << 20 {
            written += client.write(block[...]) ?? 0
            bench.run(for: .zero)
        }
        #expect(bench.connectionCount == 0 && (256 << 20...257 << 20).contains(written))
    }
}

@Suite("The rates of a client, 1 KiB/s over 10 s, over the time that it is waited for")
struct ClientRateTests {
    private static let large = FixedResponse(status: 200, body: String(repeating: "x", count: 200_000))

    @Test("who reads an answer of our own slowly, but fast enough, gets all of it")
    func generatedSlowly() throws {
        let bench = OneWorker(Self.large)
        let client = try bench.client("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        var bytes = 0
        bench.everySecond(60) { if case .bytes(let more) = client.read(4096) { bytes += more.count } }
        #expect(bytes > 200_000 && bench.ended(.fixedResponse) == 1)
    }

    @Test("who hardly reads it is let go")
    func generatedTooSlowly() throws {
        let bench = OneWorker(Self.large)
        let client = try bench.client("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        bench.everySecond(25) { _ = client.read(100) }
        #expect(bench.ended(.clientTooSlow) == 1 && bench.connectionCount == 0)
    }

    /// A target that answers before it has read the request's body, and reads it all the same.
    private func earlyAnswer(_ bench: OneWorker) {
        let listener = bench.network.listen(on: OneWorker.target) { socket in
            var answer = Array("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".utf8)
            answer += [UInt8](repeating: 0x78, count: 1_000_000)
            var sent = 0
            let step = {
                while case .bytes = socket.read() {}
                while sent < answer.count, let count = socket.write(answer[sent...]), count > 0 { sent += count }
            }
            socket.onChange = step
            step()
        }
        _ = listener
    }

    private static let upload = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n"

    @Test(
        "an early answer and its upload are watched each for itself",
        arguments: [(2048, 4096, nil), (2048, 0, .clientTooSlow), (0, 4096, .bodyTimeout)]
            as [(Int, Int, EndReason?)])
    func bothDirections(written: Int, read: Int, ends: EndReason?) throws {
        let bench = OneWorker()
        earlyAnswer(bench)
        let client = try bench.client(Self.upload)
        let block = [UInt8](repeating: 1, count: written)
        bench.everySecond(60) {
            if read > 0 { _ = client.read(read) }
            _ = client.write(block[...])
        }
        #expect(bench.connectionCount == (ends == nil ? 1 : 0))
        if let ends { #expect(bench.ended(ends) == 1) }
    }
}

@Suite("A target that falls silent within its answer")
struct SilentTargetTests {
    /// One chunk of 100 bytes, 256 bytes as it is sent: an extension takes the rest.
    private static let chunk =
        Array("64;\(String(repeating: "a", count: 149))\r\n\(String(repeating: "x", count: 100))\r\n".utf8)

    /// Reads of 32 KiB are full to the last byte, so that the socket may hold more as far as anybody knows, and all
    /// content is staged for a client that reads nothing. Only when that has changed is it the target that is waited for.
    @Test("is given up even if its time ran out first while the client was waited for")
    func silent() throws {
        let bench = OneWorker { $0.limits.bodyRateMin = 0 }
        var head = Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Pad: \r\n\r\n".utf8)
        head.insert(contentsOf: [UInt8](repeating: 0x70, count: 256 - head.count), at: head.count - 4)
        var answer = head
        while answer.count < 10 * 32_768 { answer += Self.chunk }
        _ = bench.network.listen(on: OneWorker.target) { socket in
            var sent = 0
            let step = {
                while case .bytes = socket.read() {}
                while sent < answer.count, let count = socket.write(answer[sent...].prefix(32_768)), count > 0 {
                    sent += count
                }
            }
            socket.onChange = step
            step()
        }
        let client = try bench.client("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        bench.run(for: .seconds(70))
        #expect(bench.connectionCount == 1, "it is the client that is waited for")
        while case .bytes = client.read() { bench.run(for: .zero) }
        bench.run(for: .seconds(125))
        #expect(bench.ended(.targetTimeout) == 1 && bench.connectionCount == 0)
    }
}
