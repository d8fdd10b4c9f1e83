import Glibc
import PoiseModel
import PoisePlatform
import Testing

@Suite("Threads, locks, clocks and signals")
struct ThreadsTests {
    @Test("no addition is lost between threads that share a lock")
    func counts() throws {
        let count = Lock(0)
        let threads = try (0..<4).map { _ in
            try Thread.start(name: "adder") { for _ in 0..<20_000 { count.withLock { $0 += 1 } } }
        }
        for thread in threads { thread.join() }
        #expect(count.withLock { $0 } == 80_000)
    }

    @Test("an error leaves the lock open, and what was changed before it stays")
    func errors() {
        let word = Lock("")
        let error = failure { () throws(SystemError) in
            try word.withLock { value throws(SystemError) in
                value = "changed"
                throw SystemError(call: "test", code: 1)
            }
        }
        #expect(error?.call == "test")
        #expect(word.withLock { $0 } == "changed")
    }

    @Test(
        "a thread has its name, of which the system shows fifteen bytes",
        arguments: ["short", "longer-than-fifteen-bytes"])
    func names(name: String) throws {
        let seen = Lock("")
        try Thread.start(name: name) {
            let comm = (try? Files.read("/proc/thread-self/comm", limit: 100)) ?? []
            seen.withLock { $0 = String(decoding: comm, as: UTF8.self) }
        }.join()
        #expect(seen.withLock { $0 } == "\(name.prefix(15))\n")
    }

    @Test("the monotonic clock never goes back, and is not the one of the wall")
    func clocks() {
        var last = Clock.monotonic
        var stepsBack = 0
        for _ in 0..<10_000 {
            let now = Clock.monotonic
            if now < last { stepsBack += 1 }
            last = now
        }
        #expect(stepsBack == 0)
        var moment = timespec()
        // SAFETY: the kernel writes one `timespec`.
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &moment)
        let system = MonotonicTime(nanoseconds: Int64(moment.tv_sec) * 1_000_000_000 + Int64(moment.tv_nsec))
        #expect(system >= last && system - last < .seconds(60))
        #expect(abs(Clock.wall / 1_000_000_000 - Int64(time(nil))) < 60)
    }

    @Test("a thread's CPU time grows with its work and not with that of others")
    func cpu() throws {
        let (idle, busy) = (Lock(Nanoseconds.zero), Lock(Nanoseconds.zero))
        try Thread.start(name: "busy") {
            while Clock.threadCPU < .milliseconds(20) {}
            busy.withLock { $0 = Clock.threadCPU }
        }.join()
        try Thread.start(name: "idle") { idle.withLock { $0 = Clock.threadCPU } }.join()
        #expect(busy.withLock { $0 } >= .milliseconds(20))
        #expect(idle.withLock { $0 } < .milliseconds(20))
    }

    @Test("a blocked signal arrives at its descriptor, once")
    func signals() throws {
        let seen = Lock<[CInt?]>([])
        try Thread.start(name: "signals") {
            Signals.block([SIGUSR2])
            guard let descriptor = try? Signals.descriptor(for: [SIGUSR2]) else { return }
            let before = Signals.next(from: descriptor.number)
            raise(SIGUSR2)
            let (first, second) = (Signals.next(from: descriptor.number), Signals.next(from: descriptor.number))
            seen.withLock { $0 = [before, first, second] }
        }.join()
        #expect(seen.withLock { $0 } == [nil, SIGUSR2, nil])
    }

    @Test("addresses in numbers and the machine's own name need nobody")
    func names() {
        #expect(Resolver.addresses(of: "127.0.0.7") == .addresses([IPAddress(v4: 0x7F00_0007)]))
        #expect(Resolver.addresses(of: "::1") == .addresses([IPAddress(v6: 1)]))
        guard case .addresses(let found) = Resolver.addresses(of: "localhost") else {
            Issue.record("localhost does not resolve")
            return
        }
        #expect(found.contains(IPAddress(v4: 0x7F00_0001)) || found.contains(IPAddress(v6: 1)))
    }

    @Test("a seed of the kernel is another one each time")
    func random() { #expect(Set((0..<100).map { _ in SystemRandom.word }).count == 100) }
}
