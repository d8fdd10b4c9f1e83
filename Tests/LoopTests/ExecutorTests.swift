import Glibc
import PoiseModel
import PoisePlatform
import Testing

@testable import PoiseLoop
import PoiseLoopSupport

@Suite("Async code on a loop")
struct ExecutorTests {
    private actor Counter {
        nonisolated let executor: LoopExecutor
        nonisolated var unownedExecutor: UnownedSerialExecutor { executor.forActors }
        private(set) var value = 0
        init(executor: LoopExecutor) { self.executor = executor }
        /// - Returns: whether it ran on the loop.
        func add() -> Bool {
            value += 1
            return executor.isCurrent
        }
    }

    @Test("tasks, their children, groups, and actors run on the loop's own thread")
    func staysOnLoop() async throws {
        let places = try await onLoop { loop in
            let executor = loop.executor!
            let counter = Counter(executor: executor)
            let thread = pthread_self()
            let isHere: @Sendable () async -> Bool = { executor.isCurrent && pthread_self() == thread }
            var places = [await isHere(), await counter.add()]
            async let child = isHere()
            async let other = counter.add()
            places += [await child, await other]
            places += await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<10 { group.addTask { await isHere() } }
                return await group.reduce(into: []) { $0.append($1) }
            }
            places.append(await executor.start { await isHere() }.value)
            try await loop.sleep(for: .milliseconds(1))
            places.append(await isHere())
            #expect(await counter.value == 2)
            return places
        }
        #expect(places == Array(repeating: true, count: 16))
    }

    @Test("jobs run in the order they were enqueued, and a task enqueued from another thread comes too")
    func order() async throws {
        let executor = LoopExecutor()
        #expect(!executor.isCurrent)
        let log = Lock<[Int]>([])
        // Before there is a loop: the jobs wait in the mailbox.
        for number in 0..<100 { executor.start { log.withLock { $0.append(number) } } }
        let thread = try Thread.start(name: "test-loop") {
            let loop = EventLoop(executor: executor)
            executor.start {
                for number in 100..<200 { executor.start { log.withLock { $0.append(number) } } }
                executor.start { executor.loop.stop() }
            }
            loop.run()
        }
        thread.join()
        #expect(log.withLock { $0 } == Array(0..<200))
    }

    @Test("what is bound to a loop opens on it, with an executor and without")
    func loopBound() async throws {
        #expect(try await onLoop { loop in LoopBound(7, on: loop).open() } == 7)
        let worker = EventLoop(simulation: StillSystem())
        let bound = LoopBound(8, on: worker)
        var opened = 0
        worker.beCurrent { opened = bound.open() }
        #expect(opened == 8)
    }

    @Test("two tasks that wake each other for ever do not keep the loop from its timers")
    func pingPongDoesNotStarve() async throws {
        try await onLoop { loop in
            let executor = loop.executor!
            let isOver = Lock(false)
            let spinner = executor.start {
                var turns = 0
                while !isOver.withLock({ $0 }) {
                    await Task.yield()
                    turns += 1
                }
                return turns
            }
            try await loop.sleep(for: .milliseconds(20))
            isOver.withLock { $0 = true }
            #expect(await spinner.value > 0)
        }
    }

    @Test("sleep ends at its time and not before")
    func sleeps() async throws {
        try await onLoop { loop in
            for milliseconds in [0, 1, 9, 30] as [Int64] {
                let begin = Clock.monotonic
                try await loop.sleep(until: begin + .milliseconds(milliseconds))
                #expect(Clock.monotonic >= begin + .milliseconds(milliseconds))
            }
            #expect(loop.wheel.armedCount == 0)
        }
    }

    @Test("sleeps through a simulated hour in no time, in the order of the deadlines")
    func simulatedSleep() {
        let executor = LoopExecutor()
        let loop = EventLoop(simulation: StillSystem(), executor: executor)
        let woken = Lock<[Int]>([])
        loop.beCurrent {
            for minutes in [60, 20, 40] {
                executor.start {
                    try? await executor.loop.sleep(until: .zero + .seconds(Int64(minutes) * 60))
                    woken.withLock { $0.append(minutes) }
                }
            }
        }
        loop.advance(to: .zero)
        #expect(loop.wheel.armedCount == 3)
        while let next = loop.wheel.earliestDeadline() {
            // The tick in which it fires: deadlines are rounded up to it.
            loop.advance(to: next + Nanoseconds(TimerWheel.tick))
        }
        #expect(woken.withLock { $0 } == [20, 40, 60])
        #expect(loop.now.nanoseconds < 3_601_000_000_000)
    }

    @Test("a cancelled sleep ends at once, from this loop, from another thread, and before it began")
    func cancelsSleep() async throws {
        try await onLoop { loop in
            let executor = loop.executor!
            let long = Nanoseconds.seconds(3600)
            let sleeper: @Sendable () async -> SocketFailure? = {
                do throws(SocketFailure) {
                    try await executor.loop.sleep(for: long)
                    return nil
                } catch { return error }
            }
            let here = executor.start { await sleeper() }
            await Task.yield()
            here.cancel()
            #expect(await here.value == .cancelled)

            let there = executor.start { await sleeper() }
            await Task.yield()
            let thread = try Thread.start(name: "canceller") { there.cancel() }
            #expect(await there.value == .cancelled)
            thread.join()

            let never = executor.start { await sleeper() }
            never.cancel()
            #expect(await never.value == .cancelled)
            #expect(loop.wheel.armedCount == 0)
        }
    }

    @Test("a cancellation that arrives late does not touch the next wait on the same channel")
    func lateCancellation() throws {
        let executor = LoopExecutor()
        let loop = EventLoop(simulation: StillSystem(), executor: executor)
        let channel = WaitChannel(loop: loop)
        channel.open(FileDescriptor(adopting: 5))
        let outcomes = Lock<[WaitChannel.Outcome]>([])
        let wait: @Sendable (Sent<WaitChannel>) async -> Void = { channel in
            channel.value.willTry(.readable)
            let outcome = await channel.value.wait(for: .readable, until: .distantFuture)
            outcomes.withLock { $0.append(outcome) }
        }
        var first: Task<Void, Never>?
        loop.beCurrent { first = executor.start { [channel = Sent(channel)] in await wait(channel) } }
        loop.advance(to: .zero)
        // From another thread it comes as a letter; until that is read the first wait ends and a second begins.
        let canceller = try Thread.start(name: "canceller") { [first] in first?.cancel() }
        canceller.join()
        loop.beCurrent { channel.ready(.readable) }
        loop.advance(to: .zero)
        loop.beCurrent { _ = executor.start { [channel = Sent(channel)] in await wait(channel) } }
        loop.advance(to: .zero)
        loop.beCurrent { loop.finishWakeUp(hasMail: true) }
        loop.advance(to: .zero)
        #expect(outcomes.withLock { $0 } == [.ready])
        loop.beCurrent { channel.ready(.readable) }
        loop.advance(to: .zero)
        #expect(outcomes.withLock { $0 } == [.ready, .ready])
        channel.end()
    }

    @Test("cancellations that race with timers end every task exactly once", arguments: [1, 2, 3] as [UInt64])
    func cancelRace(seed: UInt64) async throws {
        let outcomes = try await onLoop { loop in
            let executor = loop.executor!
            var random = SeededGenerator(seed: seed)
            var tasks: [Task<Bool, Never>] = []
            for _ in 0..<2000 {
                let span = Nanoseconds.microseconds(.random(in: 0...20_000, using: &random))
                tasks.append(
                    executor.start {
                        do throws(SocketFailure) {
                            try await executor.loop.sleep(for: span)
                            return true
                        } catch { return error != .cancelled }
                    })
            }
            let all = tasks
            let thread = try Thread.start(name: "canceller") { for task in all { task.cancel() } }
            var finished = 0
            for task in tasks where await task.value { finished += 1 }
            thread.join()
            #expect(loop.wheel.armedCount == 0)
            return (finished, tasks.count)
        }
        #expect(outcomes.0 <= outcomes.1, "seed \(seed)")
    }
}

@Suite("Async sockets")
struct AsyncSocketTests {
    private static let loopback = IPAddress(v4: 0x7F00_0001)

    /// A listener on a free port, and a connection to it with both ends.
    private static func connected(_ loop: EventLoop) async throws -> (AsyncSocket, AsyncSocket) {
        let listener = AsyncListener(
            adopting: try Sockets.listen(on: .ip(loopback, port: 0), sharesPort: false), loop: loop)
        let deadline = loop.now + .seconds(10)
        let client = try await AsyncSocket.connect(
            to: .ip(loopback, port: listener.port!), loop: loop, deadline: deadline)
        let accepted = try await listener.accept()
        #expect(accepted.peer?.ip == loopback)
        return (client, AsyncSocket(adopting: FileDescriptor(adopting: accepted.descriptor), loop: loop))
    }

    private static func failure<Value>(
        _ body: () async throws(SocketFailure) -> Value
    ) async -> SocketFailure? {
        do { _ = try await body() } catch { return error }
        return nil
    }

    @Test("carries more than the kernel buffers, both ends waiting for each other")
    func transfers() async throws {
        try await onLoop { loop in
            let (client, server) = try await Self.connected(loop)
            let count = 8 << 20
            let executor = loop.executor!
            let sender = executor.start { [client = Sent(client)] in
                let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
                return await Self.failure { () throws(SocketFailure) in
                    try await client.value.send(bytes, deadline: .distantFuture)
                    client.value.shutdownWrite()
                }
            }
            let buffer = loop.buffers.takeLarge()
            var received = 0
            var isRight = true
            while true {
                let got = try await server.receive(into: buffer, 0, buffer.capacity, deadline: .distantFuture)
                if got == 0 { break }
                for index in 0..<got where buffer[index] != UInt8(truncatingIfNeeded: (received + index) &* 31) {
                    isRight = false
                }
                received += got
            }
            #expect(await sender.value == nil)
            #expect(received == count && isRight)
            loop.buffers.release(buffer)
            #expect(loop.buffers.outstanding == 0)
        }
    }

    @Test("a socket that is always ready lets others run")
    func takesTurns() async throws {
        try await onLoop { loop in
            let executor = loop.executor!
            let (client, server) = try await Self.connected(loop)
            try await server.send([UInt8](repeating: 1, count: 100), deadline: .distantFuture)
            let others = Lock(0)
            executor.start { others.withLock { $0 += 1 } }
            let buffer = OwnedBuffer(from: loop.buffers).buffer
            for _ in 0..<100 { _ = try await client.receive(into: buffer, 0, 1, deadline: .distantFuture) }
            #expect(others.withLock { $0 } == 1)
        }
    }

    @Test("a refused connection is told with its errno, a missing unix socket too")
    func refused() async throws {
        try await onLoop { loop in
            let port: UInt16
            do {
                let socket = try Sockets.bind(to: .ip(Self.loopback, port: 0), sharesPort: false)
                port = Sockets.localAddress(of: socket.number)!.port
            }
            let tcp = await Self.failure { () throws(SocketFailure) in
                try await AsyncSocket.connect(to: .ip(Self.loopback, port: port), loop: loop, deadline: .distantFuture)
            }
            #expect(tcp == .system(SystemError(call: "connect", code: ECONNREFUSED)))
            let unix = await Self.failure { () throws(SocketFailure) in
                try await AsyncSocket.connect(to: .unix(path: "/nonexistent/s"), loop: loop, deadline: .distantFuture)
            }
            #expect(unix == .system(SystemError(call: "connect", code: ENOENT)))
        }
    }

    @Test("silence until the deadline is a timeout; bytes that are there win over a deadline that has passed")
    func deadlines() async throws {
        try await onLoop { loop in
            let (client, server) = try await Self.connected(loop)
            let buffer = OwnedBuffer(from: loop.buffers).buffer
            let begin = Clock.monotonic
            let deadline = begin + .milliseconds(20)
            #expect(
                await Self.failure { () throws(SocketFailure) in
                    try await client.receive(into: buffer, 0, 10, deadline: deadline)
                } == .timeout)
            #expect(Clock.monotonic >= deadline)
            try await server.send([1, 2, 3], deadline: .distantFuture)
            #expect(try await client.receive(into: buffer, 0, 10, deadline: .zero) == 3)
            #expect(
                await Self.failure { () throws(SocketFailure) in
                    try await client.receive(into: buffer, 0, 10, deadline: .zero)
                } == .timeout)
        }
    }

    @Test("bytes that came while the loop was stalled beyond the deadline are received, not timed out")
    func stall() async throws {
        try await onLoop { loop in
            let executor = loop.executor!
            let (client, server) = try await Self.connected(loop)
            let receiver = executor.start { [client = Sent(client)] in
                await Self.failure { () throws(SocketFailure) in
                    let loop = executor.loop
                    let buffer = OwnedBuffer(from: loop.buffers)
                    _ = try await client.value.receive(
                        into: buffer.buffer, 0, 10, deadline: loop.now + .milliseconds(30))
                }
            }
            await Task.yield()
            try await server.send([1], deadline: .distantFuture)
            // The loop is busy until well after the deadline; descriptor and timer are both due in its next wake-up.
            let until = Clock.monotonic + .milliseconds(60)
            while Clock.monotonic < until {}
            #expect(await receiver.value == nil)
        }
    }

    @Test("closing ends a wait with `closed`, cancelling with `cancelled`, and the next wait is not touched by it")
    func endsWaits() async throws {
        try await onLoop { loop in
            let executor = loop.executor!
            let (client, server) = try await Self.connected(loop)
            let receive: @Sendable (Sent<AsyncSocket>) async -> SocketFailure? = { socket in
                await Self.failure { () throws(SocketFailure) in
                    let buffer = OwnedBuffer(from: executor.loop.buffers)
                    _ = try await socket.value.receive(into: buffer.buffer, 0, 10, deadline: .distantFuture)
                }
            }
            let first = executor.start { [client = Sent(client)] in await receive(client) }
            await Task.yield()
            first.cancel()
            #expect(await first.value == .cancelled)
            let second = executor.start { [client = Sent(client)] in await receive(client) }
            await Task.yield()
            first.cancel()
            try await server.send([1], deadline: .distantFuture)
            #expect(await second.value == nil)
            let third = executor.start { [client = Sent(client)] in await receive(client) }
            await Task.yield()
            client.close()
            #expect(await third.value == .closed)
            #expect(await receive(Sent(client)) == .closed)
        }
    }

    @Test("a reset is an error, a FIN the end; a dropped socket closes itself")
    func ends() async throws {
        try await onLoop { loop in
            let buffer = OwnedBuffer(from: loop.buffers).buffer
            let (client, server) = try await Self.connected(loop)
            server.reset()
            #expect(
                await Self.failure { () throws(SocketFailure) in
                    try await client.receive(into: buffer, 0, 10, deadline: .distantFuture)
                } == .system(SystemError(call: "recv", code: ECONNRESET)))
            var other: AsyncSocket?
            let peer: AsyncSocket
            (other, peer) = try await Self.connected(loop)
            #expect(other?.isOpen == true)
            other = nil
            #expect(try await peer.receive(into: buffer, 0, 10, deadline: .distantFuture) == 0)
        }
    }

    @Test("closing a listener ends its accept")
    func closesListener() async throws {
        try await onLoop { loop in
            let executor = loop.executor!
            let listener = Sent(
                AsyncListener(
                    adopting: try Sockets.listen(on: .ip(Self.loopback, port: 0), sharesPort: false), loop: loop))
            let accepting = executor.start {
                await Self.failure { () throws(SocketFailure) in try await listener.value.accept() }
            }
            await Task.yield()
            listener.value.close()
            #expect(await accepting.value == .closed)
        }
    }
}

/// Shares an object between tasks of one loop. The tests see to it that one task at a time uses it.
struct Sent<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
