import Glibc
import PoiseModel
import PoisePlatform
import Testing

@testable import PoiseLoop

@Suite("Channels of a loop over epoll")
struct ChannelTests {
    private let loop = EventLoop()
    private let loopback = SocketAddress.ip(IPAddress(v4: 0x7F00_0001), port: 0)

    /// Runs wake-ups until `condition`; 1,000 without it are a failure.
    private func run(until condition: () -> Bool) {
        let guardian = TestChannel(loop: loop)
        // Wakes the loop even where nothing happens, so that a wrong loop fails and does not hang.
        guardian.onTimer = { [unowned guardian] in guardian.armTimer(at: guardian.loop.now + .milliseconds(8)) }
        guardian.armTimer(at: loop.now)
        var turns = 0
        while !condition(), turns < 1000 {
            loop.wakeUp()
            turns += 1
        }
        guardian.releaseTimer()
        #expect(condition())
    }

    private func text(_ buffer: Buffer, _ count: Int) -> String {
        String(decoding: (0..<count).map { buffer[$0] }, as: UTF8.self)
    }

    private func write(_ text: String, to descriptor: borrowing FileDescriptor) {
        let number = descriptor.number
        #expect(throws: Never.self) { try Files.write(Array(text.utf8).span, to: number) }
    }

    @Test("receives what came, then blocks, then sees the end; what a peer resets fails")
    func receiveResults() {
        let channel = TestChannel(loop: loop)
        let peer = channel.openPair()
        let buffer = loop.buffers.takeStandard()
        #expect(channel.receive(into: buffer, 0, 10).isBlocked)
        write("hello", to: peer)
        #expect(channel.receive(into: buffer, 0, 2) == .bytes(2))
        #expect(channel.receive(into: buffer, 2, 100) == .bytes(3))
        #expect(text(buffer, 5) == "hello")
        #expect(channel.receive(into: buffer, 0, 10) == .wouldBlock)
        _ = consume peer
        #expect(channel.receive(into: buffer, 0, 10).isEndOfStream)
        #expect(channel.send(buffer, 0, 5).failure == EPIPE)
        channel.close()
        #expect(!channel.isOpen && channel.receive(into: buffer, 0, 10).failure == EBADF)
        channel.close()
        loop.buffers.release(buffer)
    }

    @Test("sends until the kernel refuses, and tells when it takes more")
    func sendResults() {
        let channel = TestChannel(loop: loop)
        let peer = channel.openPair()
        let buffer = loop.buffers.takeLarge()
        var sent = 0
        var result = channel.send(buffer, 0, buffer.capacity)
        while !result.isBlocked {
            sent += result.count
            result = channel.send(buffer, 0, buffer.capacity)
        }
        var isWritable = false
        channel.onReady = { if $0.contains(.writable) { isWritable = true } }
        channel.watchWritable()
        channel.watchWritable()
        #expect(sent > 0 && result.failure == nil && result.count == 0)
        var drained = 0
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while drained < sent { drained += unsafe read(peer.number, &chunk, chunk.count) }
        run { isWritable }
        #expect(channel.send(buffer, 0, 3, then: buffer, 3, 10) == .bytes(10))
        channel.close()
        loop.buffers.release(buffer)
    }

    @Test("half-closed, it still receives")
    func halfClose() {
        let channel = TestChannel(loop: loop)
        let peer = TestChannel(loop: loop)
        peer.open(channel.openPair())
        let buffer = loop.buffers.takeStandard()
        channel.watch(.readable)
        channel.shutdownWrite()
        #expect(peer.receive(into: buffer, 0, 10).isEndOfStream)
        #expect(channel.send(buffer, 0, 1).failure == EPIPE)
        let bytes: [UInt8] = [1, 2, 3]
        #expect(peer.send(bytes.span) == .bytes(3))
        var events: Readiness = []
        channel.onReady = { events.formUnion($0) }
        run { events.contains(.readable) }
        #expect(!events.contains(.peerClosed))
        #expect(channel.receive(into: buffer, 0, 10) == .bytes(3))
        peer.shutdownWrite()
        run { events.contains(.peerClosed) }
        channel.close()
        peer.close()
        loop.buffers.release(buffer)
    }

    @Test("an event of a closed channel does not reach the one that has its number now")
    func staleEvents() {
        // Simulated, so that the numbers are ours and not any other test's.
        let loop = EventLoop(simulation: StillSystem())
        let (old, new) = (TestChannel(loop: loop), TestChannel(loop: loop))
        var events: [String] = []
        old.onReady = { _ in events.append("old") }
        new.onReady = { _ in events.append("new") }
        old.open(FileDescriptor(adopting: 5))
        let staleToken = loop.token(of: old)
        loop.dispatch(staleToken, Readiness.readable.rawValue)
        old.close()
        loop.dispatch(staleToken, Readiness.readable.rawValue)
        new.open(FileDescriptor(adopting: 5))
        loop.dispatch(staleToken, Readiness.readable.rawValue)
        #expect(events == ["old"])
        loop.dispatch(loop.token(of: new), Readiness.readable.rawValue)
        #expect(events == ["old", "new"])
        // The same object opened again is another channel to the system.
        new.close()
        old.open(FileDescriptor(adopting: 5))
        loop.dispatch(staleToken, Readiness.readable.rawValue)
        #expect(events == ["old", "new"])
        old.close()
    }

    @Test("closing releases the timer, and the channel itself at the end of the wake-up")
    func closingReleases() {
        weak var witness: TestChannel?
        var fired = false
        do {
            let channel = TestChannel(loop: loop)
            witness = channel
            let peer = channel.openPair()
            channel.onTimer = { fired = true }
            channel.armTimer(at: loop.now + .milliseconds(1))
            #expect(loop.wheel.armedCount == 1)
            channel.close()
            _ = consume peer
        }
        #expect(loop.wheel.armedCount == 0)
        #expect(witness != nil)
        loop.mailbox.post {}
        loop.wakeUp()
        #expect(witness == nil && !fired)
    }

    @Test("channels that ask for another turn take turns, and a closed one has none")
    func fairness() {
        let channels = (0..<3).map { _ in TestChannel(loop: loop) }
        var turns: [Int] = []
        for (index, channel) in channels.enumerated() {
            let peer = channel.openPair()
            channel.onReady = { [unowned channel] _ in
                turns.append(index)
                if turns.count < 9 { channel.again() }
                if turns.count == 6 { channels[2].close() }
            }
            channel.again()
            channel.again()
            _ = consume peer
        }
        for _ in 0..<5 { loop.beCurrent { loop.finishWakeUp(hasMail: false) } }
        #expect(turns == [0, 1, 2, 0, 1, 2, 0, 1, 0, 1])
        for channel in channels { channel.close() }
    }

    @Test("accepts until there is no more, with the peers' addresses")
    func accepts() throws {
        let listener = TestChannel(loop: loop)
        let socket = try Sockets.listen(on: loopback, sharesPort: false)
        let port = try #require(Sockets.localAddress(of: socket.number)?.port)
        listener.open(socket)
        guard case .none = loop.accept(from: listener) else {
            Issue.record("accepted nobody's connection")
            return
        }
        var ports: Set<UInt16> = []
        let clients = try (0..<3).map { _ in
            let client = TestChannel(loop: loop)
            client.open(try loop.connect(to: .ip(IPAddress(v4: 0x7F00_0001), port: port)))
            ports.insert(try #require(Sockets.localAddress(of: client.descriptor)?.port))
            return client
        }
        var isReady = false
        listener.onReady = { _ in isReady = true }
        listener.watch(.readable)
        run { isReady }
        var seen: Set<UInt16> = []
        while case .accepted(let accepted) = loop.accept(from: listener) {
            let descriptor = FileDescriptor(adopting: accepted.descriptor)
            #expect(descriptor.number >= 0 && accepted.peer?.ip == IPAddress(v4: 0x7F00_0001))
            seen.insert(try #require(accepted.peer?.port))
        }
        #expect(seen == ports)
        for client in clients { client.close() }
        listener.close()
    }

    @Test("a connection reset by its peer fails with ECONNRESET")
    func resets() throws {
        let listener = TestChannel(loop: loop)
        let socket = try Sockets.listen(on: loopback, sharesPort: false)
        let port = try #require(Sockets.localAddress(of: socket.number)?.port)
        listener.open(socket)
        let client = TestChannel(loop: loop)
        client.open(try loop.connect(to: .ip(IPAddress(v4: 0x7F00_0001), port: port)))
        var accepted: AcceptResult = .none
        listener.onReady = { [loop] _ in accepted = loop.accept(from: listener) }
        listener.watch(.readable)
        var events: Readiness = []
        client.onReady = { events.formUnion($0) }
        client.watch([.readable, .writable])
        run { if case .accepted = accepted { true } else { false } }
        guard case .accepted(let connection) = accepted else { return }
        let served = TestChannel(loop: loop)
        served.open(FileDescriptor(adopting: connection.descriptor))
        served.reset()
        run { events.contains(.failed) }
        let buffer = loop.buffers.takeStandard()
        #expect(client.receive(into: buffer, 0, 1).failure == ECONNRESET)
        loop.buffers.release(buffer)
        client.close()
        listener.close()
    }
}

@Suite("Socket addresses")
struct SocketAddressTests {
    /// For `swift test -c release` above all: see `poise_address_get`.
    @Test("survive the way to the kernel and back", arguments: [IPAddress(v4: 0x7F01_0203), IPAddress(v6: 1)])
    func roundTrip(ip: IPAddress) throws {
        let socket = try Sockets.listen(on: .ip(ip, port: 0), sharesPort: false)
        let local = try #require(Sockets.localAddress(of: socket.number))
        #expect(local.ip == ip && local.port > 0)
        let client = try Sockets.connect(to: .ip(ip, port: local.port))
        #expect(try #require(Sockets.localAddress(of: client.number)).ip.family == ip.family)
    }
}
