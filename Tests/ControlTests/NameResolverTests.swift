import Glibc
import PoiseLoop
import PoiseLoopSupport
import PoiseModel
import PoisePlatform
import Testing

@testable import PoiseControl

/// A name server that a test scripts; what it was asked, in order.
private final class NameServer: Sendable {
    private let state = Lock<(answers: [String: Resolver.Answer], asked: [String])>(([:], []))

    var asked: [String] { state.withLock { $0.asked } }

    func answer(_ name: String, _ addresses: UInt32...) {
        state.withLock { $0.answers[name] = .addresses(addresses.map { IPAddress(v4: $0) }) }
    }

    func fail(_ name: String, _ reason: String) { state.withLock { $0.answers[name] = .failed(reason) } }

    func lookup(_ name: String) -> Resolver.Answer {
        state.withLock { state in
            state.asked.append(name)
            return state.answers[name] ?? .failed("no such name")
        }
    }
}

/// A resolver and what it told, with the clock in the test's hand: only ``tick(after:)`` moves it.
private final class Desk {
    let server = NameServer()
    let resolver: NameResolver
    private let loop: EventLoop
    private let start: MonotonicTime
    private(set) var changes = 0
    private(set) var problems: [String] = []

    init(_ loop: EventLoop) {
        let server = server
        (self.loop, start) = (loop, loop.now)
        resolver = NameResolver(loop: loop, lookup: { server.lookup($0) })
        resolver.changed = { [unowned self] in changes += 1 }
        resolver.problemChanged = { [unowned self] name, problem, kept in
            problems.append("\(name): \(problem ?? "resolves") (\(kept))")
        }
    }

    func addresses(of name: String) -> [UInt32]? { resolver.addresses[name]?.map { UInt32($0.bits) } }

    func learn(_ names: [String: Nanoseconds]) async {
        await resolver.learn(names, deadline: loop.now + .seconds(60))
    }

    /// Looks at what is due so long after the start, and waits for all answers.
    func tick(after seconds: Double) async throws {
        resolver.tick(at: start + Nanoseconds(Int64(seconds * 1e9)))
        while resolver.entries.values.contains(where: { $0.isAsked }) { try await loop.sleep(for: .milliseconds(1)) }
    }
}

@Suite("Names of targets: asked again in their interval, kept when nobody answers")
struct NameResolverTests {
    @Test("a name is asked at once, and again in its own interval, not before")
    func intervals() async throws {
        let asked = try await onLoop { loop in
            let desk = Desk(loop)
            desk.server.answer("a", 1)
            desk.server.answer("b", 2)
            await desk.learn(["a": .seconds(30), "b": .seconds(300)])
            var asked = [desk.server.asked.sorted()]
            for seconds in [0.0, 29, 31, 290, 310] {
                let before = desk.server.asked.count
                try await desk.tick(after: seconds)
                asked.append(desk.server.asked[before...].sorted())
            }
            return asked
        }
        // Answers are of the loop's own now, which is still the start: `a` is due from 30 s of that on, `b` from 300.
        #expect(asked == [["a", "b"], [], [], ["a"], ["a"], ["a", "b"]])
    }

    @Test("other addresses are told once; the same in another order are no change")
    func changes() async throws {
        let seen = try await onLoop { loop in
            let desk = Desk(loop)
            desk.server.answer("a", 1, 2)
            await desk.learn(["a": .seconds(30)])
            var seen = [(desk.addresses(of: "a"), desk.changes)]
            desk.server.answer("a", 2, 1)
            try await desk.tick(after: 40)
            seen.append((desk.addresses(of: "a"), desk.changes))
            desk.server.answer("a", 3, 2)
            try await desk.tick(after: 80)
            seen.append((desk.addresses(of: "a"), desk.changes))
            return seen
        }
        #expect(seen.map(\.0) == [[1, 2], [1, 2], [2, 3]])
        #expect(seen.map(\.1) == [1, 1, 2])
    }

    @Test("a name that stops resolving keeps its addresses, is asked again after five seconds, and is told twice")
    func failures() async throws {
        let seen = try await onLoop { loop in
            let desk = Desk(loop)
            desk.server.answer("a", 1)
            await desk.learn(["a": .seconds(30)])
            desk.server.fail("a", "timed out")
            // Answers are of the loop's own now, which is still the start: due again after five seconds of that.
            for seconds in [40.0, 4, 6] { try await desk.tick(after: seconds) }
            let during = (desk.addresses(of: "a"), desk.server.asked.count, desk.changes)
            desk.server.answer("a", 1)
            try await desk.tick(after: 12)
            return (during, desk.problems, desk.changes, desk.addresses(of: "a"))
        }
        #expect(seen.0.0 == [1])
        #expect(seen.0.1 == 3 && seen.0.2 == 1)
        #expect(seen.1 == ["a: timed out (1)", "a: resolves (1)"])
        #expect(seen.2 == 1 && seen.3 == [1])
    }

    @Test("an answer without addresses is none: what was known stays")
    func empty() async throws {
        let seen = try await onLoop { loop in
            let desk = Desk(loop)
            desk.server.answer("a", 1)
            desk.server.answer("b")
            await desk.learn(["a": .seconds(30), "b": .seconds(30)])
            desk.server.answer("a")
            try await desk.tick(after: 40)
            return (desk.addresses(of: "a"), desk.addresses(of: "b"), desk.changes, desk.problems)
        }
        #expect(seen.0 == [1] && seen.1 == nil && seen.2 == 1)
        #expect(seen.3 == ["b: no address (0)", "a: no address (1)"])
    }

    @Test("a name that never resolved has no address, and gets one with its first answer")
    func never() async throws {
        let seen = try await onLoop { loop in
            let desk = Desk(loop)
            await desk.learn(["a": .seconds(2)])
            let first = desk.addresses(of: "a")
            desk.server.answer("a", 7)
            // Two seconds: its interval is shorter than the five of a failure.
            try await desk.tick(after: 3)
            return (first, desk.addresses(of: "a"), desk.problems)
        }
        #expect(seen.0 == nil && seen.1 == [7])
        #expect(seen.2 == ["a: no such name (0)", "a: resolves (1)"])
    }

    @Test("names that left are forgotten; a shorter interval counts from now, a longer one from the next answer")
    func kept() async throws {
        let seen = try await onLoop { loop in
            let desk = Desk(loop)
            for name in ["a", "b", "c"] { desk.server.answer(name, 1) }
            await desk.learn(["a": .seconds(300), "b": .seconds(300), "c": .seconds(30)])
            desk.resolver.keepOnly(["a": .seconds(10), "c": .seconds(300)])
            let names = desk.resolver.entries.keys.sorted()
            let before = desk.server.asked.count
            try await desk.tick(after: 20)
            let early = desk.server.asked[before...].sorted()
            try await desk.tick(after: 40)
            return (names, early, desk.server.asked[before...].sorted())
        }
        #expect(seen.0 == ["a", "c"])
        #expect(seen.1 == ["a"] && seen.2 == ["a", "a", "c"])
    }

    @Test("hundreds of names are all answered by a few threads; a wait ends at its deadline when one is silent")
    func many() async throws {
        let seen = try await onLoop { loop in
            let desk = Desk(loop)
            let names = (0..<300).map { "name-\($0)" }
            for (index, name) in names.enumerated() { desk.server.answer(name, UInt32(index)) }
            await desk.learn(Dictionary(uniqueKeysWithValues: names.map { ($0, Nanoseconds.seconds(30)) }))
            return (desk.resolver.addresses.count, Set(desk.server.asked).count, desk.server.asked.count)
        }
        #expect(seen == (300, 300, 300))

        let gate = Gate()
        let wasAnswered = try await onLoop { loop in
            let resolver = NameResolver(loop: loop) { name in
                gate.wait()
                return .addresses([IPAddress(v4: 1)])
            }
            await resolver.learn(["silent": .seconds(30)], deadline: loop.now + .milliseconds(20))
            let early = resolver.entries["silent"]?.hasAnswered
            gate.open()
            while resolver.entries["silent"]?.isAsked == true { try await loop.sleep(for: .milliseconds(1)) }
            return (early, resolver.addresses["silent"]?.count)
        }
        #expect(wasAnswered.0 == false && wasAnswered.1 == 1)
    }
}

/// Closed until it is opened; whoever waits blocks its thread.
private final class Gate: Sendable {
    private let isOpen = Lock(false)
    func open() { isOpen.withLock { $0 = true } }
    func wait() { while !isOpen.withLock({ $0 }) { sched_yield() } }
}
