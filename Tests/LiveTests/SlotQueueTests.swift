import Glibc
import PoiseLive
import PoisePlatform
import Testing

/// What a queue told its waiters, in order.
private final class Diary: Sendable {
    private let entries = Lock<[String]>([])
    var text: String { entries.withLock { $0.joined(separator: " ") } }

    func tell(_ name: String) -> @Sendable (SlotQueue.Letter) -> Void {
        { letter in
            switch letter {
            case .slot: self.entries.withLock { $0.append(name) }
            case .look: self.entries.withLock { $0.append("\(name)?") }
            }
        }
    }
}

@Suite("The queue for slots: first come, first served")
struct SlotQueueTests {
    private let diary = Diary()
    private let queue = SlotQueue()
    private let slot = SlotLimiter(limit: 1)

    private func enter(_ name: String, refusing: [SlotLimiter] = []) -> UInt64? {
        queue.enter(limit: 3, refusing: refusing, tell: diary.tell(name))
    }

    @Test("a slot that is passed on stays taken and goes to whoever waits longest")
    func passes() throws {
        #expect(queue.take(slot))
        for name in ["a", "b"] { #expect(enter(name) != nil) }
        queue.pass(slot)
        #expect(diary.text == "a" && slot.inUse == 1 && queue.count == 1)
        queue.pass(slot)
        #expect(diary.text == "a b" && slot.inUse == 1 && queue.isEmpty)
        queue.pass(slot)
        #expect(slot.inUse == 0)
    }

    @Test("who waits aside for something else counts for the bound, and gets no slot")
    func aside() throws {
        #expect(queue.enterAside(limit: 3) && queue.enterAside(limit: 3) && queue.take(slot))
        #expect(queue.isEmpty)
        let first = try #require(enter("a"))
        #expect(enter("b") == nil && !queue.enterAside(limit: 3))
        #expect(queue.enter(again: first + 1, limit: 3, tell: diary.tell("again")) != nil, "whatever the bound")
        queue.leave(first + 1)
        queue.leaveAside()
        #expect(enter("b") != nil && !queue.enterAside(limit: 3))
        queue.pass(slot)
        #expect(diary.text == "a" && slot.inUse == 1)
    }

    @Test("a newcomer does not overtake: what it takes goes to the waiter, and it gets nothing")
    func newcomer() throws {
        _ = try #require(enter("a"))
        #expect(!queue.take(slot))
        #expect(diary.text == "a" && slot.inUse == 1)
    }

    @Test("a waiter takes a free slot itself when nobody came before it")
    func ownPlace() throws {
        let first = try #require(enter("a"))
        let second = try #require(enter("b"))
        #expect(!queue.take(slot, before: second))
        #expect(diary.text == "a")
        queue.pass(slot)
        #expect(diary.text == "a b")
        queue.pass(slot)
        let third = try #require(enter("c"))
        #expect(first < second && second < third)
        #expect(queue.take(slot, before: third))
        #expect(diary.text == "a b")
    }

    @Test("a waiter that refuses a slot is passed over, and keeps its place for others")
    func refuses() throws {
        let other = SlotLimiter(limit: 1)
        _ = try #require(enter("a", refusing: [slot]))
        #expect(queue.take(slot))
        _ = try #require(enter("b"))
        queue.pass(slot)
        #expect(diary.text == "b")
        queue.pass(slot)
        #expect(slot.inUse == 0 && diary.text == "b")
        queue.fill(from: other)
        #expect(diary.text == "b a" && other.inUse == 1)
    }

    @Test("who has left gets nothing, and can tell whether a slot is on its way already")
    func leaves() throws {
        #expect(queue.take(slot))
        let tickets = try ["a", "b", "c"].map { try #require(enter($0)) }
        #expect(queue.leave(tickets[1]))
        #expect(!queue.leave(tickets[1]))
        queue.pass(slot)
        #expect(!queue.leave(tickets[0]))
        queue.pass(slot)
        #expect(diary.text == "a c" && queue.isEmpty)
    }

    @Test("the limit holds for newcomers; who comes back has its old place, limit or not")
    func limit() throws {
        #expect(queue.take(slot))
        let tickets = try ["a", "b", "c"].map { try #require(enter($0)) }
        #expect(enter("d") == nil)
        #expect(queue.leave(tickets[0]))
        _ = try #require(enter("d"))
        #expect(queue.enter(again: tickets[0], limit: 3, tell: diary.tell("a")) == tickets[0])
        #expect(queue.count == 4)
        for _ in 0..<4 { queue.pass(slot) }
        #expect(diary.text == "a b c d")
    }

    @Test("a lowered limit takes slots out of use before it serves waiters")
    func lowered() throws {
        let slots = SlotLimiter(limit: 2)
        #expect(queue.take(slots) && queue.take(slots))
        _ = try #require(enter("a"))
        slots.setLimit(1)
        queue.pass(slots)
        #expect(diary.text.isEmpty && slots.inUse == 1)
        queue.pass(slots)
        #expect(diary.text == "a" && slots.inUse == 1)
        slots.setLimit(2)
        _ = try #require(enter("b"))
        queue.fill(from: slots)
        #expect(diary.text == "a b" && slots.inUse == 2)
    }

    @Test("all are told to look again, and all stay")
    func looks() throws {
        for name in ["a", "b"] { _ = try #require(enter(name)) }
        queue.lookAgain()
        #expect(diary.text == "a? b?" && queue.count == 2)
    }

    @Test("a thousand entries and exits in any order leave nothing behind", arguments: [1, 2, 3] as [UInt64])
    func churn(seed: UInt64) throws {
        var state = seed
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let told = Lock<[UInt64]>([])
        let nextTicket = Lock<UInt64>(1)
        var inside: [UInt64] = []
        for _ in 0..<1000 {
            switch random(4) {
            case 0, 1:
                let expected = nextTicket.withLock { $0 }
                let ticket = try #require(
                    queue.enter(limit: .max) { _ in told.withLock { $0.append(expected) } })
                #expect(ticket == expected)
                nextTicket.withLock { $0 += 1 }
                inside.append(ticket)
            case 2:
                guard !inside.isEmpty else { continue }
                #expect(queue.leave(inside.remove(at: random(inside.count))), "seed \(seed)")
            default:
                guard !inside.isEmpty else { continue }
                _ = slot.take()
                queue.pass(slot)
                #expect(told.withLock { $0.last } == inside.removeFirst(), "seed \(seed)")
            }
            #expect(queue.count == inside.count, "seed \(seed)")
        }
    }
}

@Suite("Slots and their queue between threads")
struct SlotThreadTests {
    @Test("a limit is never passed, not for a moment", arguments: [1, 3])
    func limit(slots: Int) throws {
        let limiter = SlotLimiter(limit: slots)
        let (inside, most, taken) = (SharedWord(), SharedWord(), SharedWord())
        let threads = try (0..<4).map { _ in
            try Thread.start(name: "taker") {
                for _ in 0..<20_000 where limiter.take() {
                    taken.add(1)
                    let now = inside.add(1) + 1
                    if now > most.value { most.value = now }
                    if limiter.inUse > slots { most.value = 1000 }
                    inside.add(-1)
                    limiter.giveBack()
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(most.value <= UInt64(slots) && most.value > 0)
        #expect(limiter.inUse == 0 && taken.value > 1000)
    }

    /// Each thread plays a worker: it takes a slot, or waits for one and blocks until it has it. A lost wake-up would
    /// leave it blocked for ever, a slot that two own would show in `most`.
    @Test("nobody waits for ever, no slot is lost or owned twice", .timeLimit(.minutes(1)), arguments: [1, 2])
    func wakes(slots: Int) throws {
        let (queue, limiter) = (SlotQueue(), SlotLimiter(limit: slots))
        let (inside, wrong, waits) = (SharedWord(), SharedWord(), SharedWord())
        // Held until one thread waits: however they are scheduled, somebody has to.
        for _ in 0..<slots { #expect(queue.take(limiter)) }
        let threads = try (0..<6).map { index in
            try Thread.start(name: "worker-\(index)") {
                for _ in 0..<1000 {
                    if !queue.take(limiter) {
                        let got = SharedWord()
                        let ticket = queue.enter(limit: 100) { letter in if case .slot = letter { got.value = 1 } }!
                        if queue.take(limiter, before: ticket) {
                            // Had one on its way as well? Then that one is for the next.
                            if !queue.leave(ticket) {
                                while got.value == 0 { sched_yield() }
                                queue.pass(limiter)
                            }
                        } else {
                            waits.add(1)
                            while got.value == 0 { sched_yield() }
                        }
                    }
                    if inside.add(1) >= UInt64(slots) { wrong.add(1) }
                    // With the slot in hand, so that others come and wait.
                    sched_yield()
                    inside.add(-1)
                    queue.pass(limiter)
                }
            }
        }
        while waits.value == 0 { sched_yield() }
        for _ in 0..<slots { queue.pass(limiter) }
        for thread in threads { thread.join() }
        #expect(wrong.value == 0)
        #expect(limiter.inUse == 0 && queue.isEmpty)
    }

    /// Waiters stand in line on every thread; whatever order the threads run in, slots come in the order of tickets.
    @Test("slots are handed out in the order of arrival over all threads", .timeLimit(.minutes(1)))
    func order() throws {
        let (queue, limiter) = (SlotQueue(), SlotLimiter(limit: 1))
        #expect(queue.take(limiter))
        let served = Lock<[UInt64]>([])
        let threads = try (0..<4).map { index in
            try Thread.start(name: "worker-\(index)") {
                for _ in 0..<200 {
                    let own = Lock<UInt64?>(nil)
                    let ticket = queue.enter(limit: 1000) { letter in
                        guard case .slot = letter else { return }
                        let number = own.withLock { $0 } ?? 0
                        served.withLock { $0.append(number) }
                    }
                    own.withLock { $0 = ticket }
                    // A newcomer in between: never served while others wait.
                    if queue.take(limiter) { served.withLock { $0.append(.max) } }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(queue.count == 800)
        let last = try Thread.start(name: "server") { for _ in 0..<800 { queue.pass(limiter) } }
        last.join()
        #expect(served.withLock { $0 } == (1...800).map { $0 })
        #expect(limiter.inUse == 1)
    }
}
