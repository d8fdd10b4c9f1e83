import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseSimulation
import Testing

@Suite("The simulated network says what Linux says")
struct NetworkTests {
    static let address = SocketAddress.ip(IPAddress(v4: 0x0A00_0001), port: 80)

    /// A script's connection, and the other end as a loop has it.
    struct Pair {
        let network: SimulatedNetwork
        let node: SimulatedNode
        let script: SimulatedSocket
        let descriptor: CInt

        init(_ change: (inout NetworkSettings) -> Void = { _ in }) throws {
            var settings = NetworkSettings()
            (settings.shortSendPercent, settings.splitPercent, settings.bufferBytesMin) = (0, 0, 1000)
            change(&settings)
            network = SimulatedNetwork(seed: 1, settings: settings)
            node = network.makeNode(ip: IPAddress(v4: 0x0A00_0001))
            let listener = try node.listen(on: NetworkTests.address)
            script = try network.connect(to: NetworkTests.address, from: IPAddress(v4: 0x0A01_0000))
            let network = network
            while network.nextEventTime != nil { network.runNext() }
            descriptor = try #require(node.accept(listener)).descriptor
            node.watch(descriptor, [.readable, .writable, .peerClosed], token: 7, again: false)
        }

        func settle() { while network.nextEventTime != nil { network.runNext() } }

        func receive() -> IOResult {
            var bytes = [UInt8](repeating: 0, count: 100)
            return unsafe bytes.withUnsafeMutableBytes { unsafe node.receive(descriptor, $0.baseAddress!, $0.count) }
        }

        func send(_ count: Int) -> IOResult {
            let bytes = [UInt8](repeating: 1, count: count)
            return unsafe bytes.withUnsafeBytes { unsafe node.send(descriptor, $0.baseAddress!, $0.count) }
        }
    }

    @Test("an edge comes once, with the whole state of its moment, and again with new bytes")
    func edges() throws {
        let pair = try Pair()
        #expect(pair.node.takeEvents().map(\.readiness) == [.writable])
        #expect(pair.script.write([1, 2, 3][...]) == 3)
        pair.settle()
        #expect(pair.node.takeEvents().map(\.readiness) == [[.readable, .writable]])
        #expect(pair.node.takeEvents().isEmpty, "unread bytes are no new edge")
        #expect(pair.script.write([4][...]) == 1)
        pair.settle()
        #expect(pair.node.takeEvents().count == 1)
        #expect(pair.receive().count == 4)
        #expect(pair.receive() == .wouldBlock)
    }

    @Test("a FIN is an edge of its own and an end of stream behind the bytes")
    func fin() throws {
        let pair = try Pair()
        _ = pair.script.write([1, 2][...])
        pair.script.shutdownWrite()
        pair.settle()
        let readiness = try #require(pair.node.takeEvents().last).readiness
        #expect(readiness.isSuperset(of: [.readable, .peerClosed]))
        #expect(!readiness.contains(.hungUp), "our own direction is open")
        #expect(pair.receive().count == 2)
        #expect(pair.receive() == .endOfStream)
        #expect(pair.send(1).count == 1)
    }

    @Test("a reset is told once, to whoever asks first; then receives end and sends fail")
    func reset() throws {
        let pair = try Pair()
        pair.script.reset()
        pair.settle()
        let readiness = try #require(pair.node.takeEvents().last).readiness
        #expect(readiness.isSuperset(of: [.failed, .hungUp, .readable, .peerClosed]))
        #expect(pair.send(1) == .failed(Errno.connectionReset))
        #expect(pair.receive() == .endOfStream)
        #expect(pair.send(1) == .failed(Errno.brokenPipe))
    }

    @Test("closing with unread bytes resets the peer, without them it is a FIN")
    func closing() throws {
        let clean = try Pair()
        clean.node.close(clean.descriptor)
        clean.settle()
        #expect(clean.script.read() == .end)

        let unread = try Pair()
        _ = unread.script.write([1][...])
        unread.settle()
        unread.node.close(unread.descriptor)
        unread.settle()
        #expect(unread.script.read() == .failed(Errno.connectionReset))
    }

    @Test("a full buffer refuses, and says when a third of it is free again")
    func backPressure() throws {
        let pair = try Pair { $0.bufferBytesMax = 1000 }
        _ = pair.node.takeEvents()
        // The peer's window and our own buffer.
        var sent = 0
        while true {
            let count = pair.send(400).count
            guard count > 0 else { break }
            sent += count
            pair.settle()
        }
        #expect(sent == 2000)
        _ = pair.node.takeEvents()
        #expect(pair.send(1) == .wouldBlock)
        _ = pair.script.read()
        pair.settle()
        #expect(pair.node.takeEvents().map(\.readiness) == [.writable])
        #expect(pair.send(400).count == 400)
    }

    @Test("nobody listens: refused at once or a little later", arguments: [0, 100])
    func refusals(instantPercent: Int) throws {
        var settings = NetworkSettings()
        settings.instantConnectPercent = instantPercent
        let network = SimulatedNetwork(seed: 1, settings: settings)
        let ip = IPAddress(v4: 0x0A01_0000)
        guard instantPercent == 0 else {
            #expect(throws: SystemError(call: "connect", code: Errno.connectionRefused)) {
                _ = try network.connect(to: Self.address, from: ip)
            }
            return
        }
        let socket = try network.connect(to: Self.address, from: ip)
        #expect(socket.read() == .blocked)
        network.runNext()
        #expect(socket.read() == .failed(Errno.connectionRefused))
    }
}
