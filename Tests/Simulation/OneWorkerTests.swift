import PoiseHTTP
import PoiseModel
import PoiseSimulation
import Testing

@testable import PoiseProxy

@Suite("A worker and one client too many")
struct TurnTests {
    @Test("a client that pipelines without end gets its turn, and others theirs")
    func pipelining() throws {
        let bench = OneWorker(FixedResponse(status: 204))
        let greedy = try bench.client("")
        let requests = String(repeating: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", count: 300)
        #expect(greedy.write(Array(requests.utf8)[...]) == requests.utf8.count)
        var answered = 0
        var turns = 0
        while answered < 300, turns < 20 {
            bench.wakeUp()
            turns += 1
            while case .bytes = greedy.read() {}
            let now = bench.ended(.fixedResponse)
            // One turn with the event, one behind the other clients'.
            #expect(now - answered <= 2 * 64, "wake-up \(turns)")
            answered = now
        }
        #expect(answered == 300)
    }
}

@Suite("An apply beside a client that has just connected")
struct ApplyTests {
    /// Who waits in the queue of an address that is given up is accepted and read at once. Its rule is an index of the
    /// new configuration, while others' are still to be renumbered.
    @Test("keeps apart who began before and who begins within it")
    func newcomers() throws {
        let bench = OneWorker()
        var requests = 0
        _ = bench.network.listen(on: OneWorker.target) { socket in
            let count = { while case .bytes = socket.read() { requests += 1 } }
            socket.onChange = count
            count()
        }
        let before = try bench.client("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        let newcomer = try bench.network.connect(to: OneWorker.front, from: IPAddress(v4: 0x0A01_0001))
        bench.deliver()
        _ = newcomer.write(Array("GET /new HTTP/1.1\r\nHost: x\r\n\r\n".utf8)[...])
        bench.applyWithoutAddress(rules: ["/a", "/b", "/c"])
        bench.wakeUp(seesEvents: false)
        #expect(bench.connectionCount == 2, "accepted within the apply")
        bench.run(for: .seconds(1))
        #expect(requests == 2 && bench.connectionCount == 2)
        _ = (before, newcomer)
    }
}

@Suite("An upload that the target does not read")
struct UnreadUploadTests {
    private static let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n"

    private func write(_ client: SimulatedSocket) {
        let block = [UInt8](repeating: 1, count: OneWorker.bufferBytes)
        while let count = client.write(block[...]), count > 0 {}
    }

    @Test("ends with the target's time, not with the client's and not never")
    func never() throws {
        let bench = OneWorker()
        _ = bench.network.listen(on: OneWorker.target) { _ in }
        let client = try bench.client(Self.head + "\r\n")
        bench.everySecond(59) { write(client) }
        #expect(bench.connectionCount == 1)
        bench.everySecond(10) { write(client) }
        #expect(bench.ended(.targetTimeout) == 1)
    }

    @Test("a client that waits for 100 is not the one that is late")
    func expecting() throws {
        let bench = OneWorker()
        _ = bench.network.listen(on: OneWorker.target) { socket in
            socket.onChange = { while case .bytes = socket.read() {} }
        }
        let client = try bench.client(Self.head + "Expect: 100-continue\r\n\r\n")
        bench.run(for: .seconds(59))
        #expect(bench.connectionCount == 1 && bench.ended(.bodyTimeout) == 0)
        bench.run(for: .seconds(5))
        #expect(bench.ended(.targetTimeout) == 1)
        _ = client
    }

    @Test("a client that was told to continue must send")
    func told() throws {
        let bench = OneWorker()
        _ = bench.network.listen(on: OneWorker.target) { socket in
            socket.onChange = {
                while case .bytes = socket.read() { _ = socket.write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)[...]) }
            }
        }
        let client = try bench.client(Self.head + "Expect: 100-continue\r\n\r\n")
        guard case .bytes(let interim) = client.read() else {
            Issue.record("no 100")
            return
        }
        #expect(String(decoding: interim, as: UTF8.self).hasPrefix("HTTP/1.1 100 "))
        bench.run(for: .seconds(25))
        #expect(bench.ended(.bodyTimeout) == 1)
    }
}
