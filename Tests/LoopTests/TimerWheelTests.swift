import PoiseModel
import Testing

@testable import PoiseLoop

@Suite("The timer wheel")
struct TimerWheelTests {
    private static let tick = TimerWheel.tick
    private static let rotation = TimerWheel.tick * Int64(TimerWheel.slotCount)

    /// What the wheel must do, by searching a list.
    private struct Oracle {
        var armed: [Int32: (deadline: Int64, order: UInt64)] = [:]
        var orders: UInt64 = 0
        mutating func arm(_ index: Int32, _ deadline: Int64) {
            orders += 1
            armed[index] = (deadline, orders)
        }
    }

    @Test(
        "agrees with a sorted list over random arming, cancelling and advancing",
        arguments: 1...20 as ClosedRange<UInt64>)
    func agreesWithOracle(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var now: Int64 = .random(in: 0...1_000_000_000_000, using: &random)
        let wheel = TimerWheel(now: MonotonicTime(nanoseconds: now))
        var oracle = Oracle()
        let timers = (0..<200).map { _ in wheel.allocate() }
        for step in 0..<3000 {
            let timer = timers.randomElement(using: &random)!
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<6:
                let span: Int64 =
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: .random(in: -2 * Self.tick...2 * Self.tick, using: &random)
                    case 1: .random(in: 0...Self.rotation, using: &random)
                    case 2: .random(in: 0...5 * Self.rotation, using: &random)
                    default: Self.tick * .random(in: 0...20, using: &random) - now % Self.tick
                    }
                wheel.arm(timer, at: MonotonicTime(nanoseconds: now + span))
                oracle.arm(timer.index, now + span)
            case 6, 7:
                wheel.cancel(timer)
                oracle.armed[timer.index] = nil
            default:
                let step: Int64 =
                    Int.random(in: 0..<20, using: &random) == 0
                    ? .random(in: 0...3 * Self.rotation, using: &random)
                    : .random(in: 0...10 * Self.tick, using: &random)
                now += step
                let due = wheel.takeDue(now: MonotonicTime(nanoseconds: now))
                // Fired: only what is due, in order, each as it was armed last.
                for (a, b) in zip(due, due.dropFirst()) {
                    #expect((a.deadline, a.order) < (b.deadline, b.order), "seed \(seed)")
                }
                for fired in due {
                    #expect(fired.deadline <= now, "seed \(seed): early")
                    #expect(oracle.armed[fired.index]?.deadline == fired.deadline, "seed \(seed)")
                    #expect(wheel.isStillDue(fired))
                    oracle.armed[fired.index] = nil
                }
                // Not fired: nothing that is a tick late.
                let late = oracle.armed.values.filter { $0.deadline + Self.tick <= now }
                #expect(late.isEmpty, "seed \(seed), step \(step)")
                #expect(wheel.nextWake().map { $0.nanoseconds > now } ?? true, "seed \(seed): the loop would spin")
            }
            #expect(wheel.armedCount == oracle.armed.count, "seed \(seed)")
            let earliest = oracle.armed.values.map(\.deadline).min()
            #expect(wheel.earliestDeadline()?.nanoseconds == earliest)
            // One that was cancelled may still wake the loop, once.
            #expect(wheel.nextWake() != nil || earliest == nil)
            if let earliest, let wake = wheel.nextWake() {
                // Waking then is in time: a tick's end after the deadline at the latest.
                #expect(wake.nanoseconds <= max(earliest + Self.tick - 1, now), "seed \(seed), step \(step)")
            }
        }
    }

    @Test("fires timers of one slot by deadline, then by arming, over turns of the wheel")
    func sameSlotOrder() {
        let wheel = TimerWheel(now: .zero)
        let timers = (0..<4).map { _ in wheel.allocate() }
        let at = 10 * Self.tick
        wheel.arm(timers[0], at: MonotonicTime(nanoseconds: at))
        wheel.arm(timers[1], at: MonotonicTime(nanoseconds: at - 1))
        wheel.arm(timers[2], at: MonotonicTime(nanoseconds: at))
        wheel.arm(timers[3], at: MonotonicTime(nanoseconds: at + Self.rotation))
        #expect(wheel.takeDue(now: MonotonicTime(nanoseconds: at - 1)).isEmpty)
        let first = wheel.takeDue(now: MonotonicTime(nanoseconds: at)).map(\.index)
        #expect(first == [timers[1], timers[0], timers[2]].map(\.index))
        let rest = wheel.takeDue(now: MonotonicTime(nanoseconds: at + Self.rotation)).map(\.index)
        #expect(rest == [timers[3].index])
    }

    @Test("a timer that is put off or cancelled wakes the loop once at its old time, and no more")
    func putOff() {
        let wheel = TimerWheel(now: .zero)
        let (kept, cancelled) = (wheel.allocate(), wheel.allocate())
        let (old, new) = (5 * Self.tick, 50 * Self.tick)
        for timer in [kept, cancelled] { wheel.arm(timer, at: MonotonicTime(nanoseconds: old)) }
        wheel.arm(kept, at: MonotonicTime(nanoseconds: new))
        wheel.cancel(cancelled)
        #expect(wheel.armedCount == 1)
        #expect(wheel.takeDue(now: MonotonicTime(nanoseconds: old)).isEmpty)
        #expect(wheel.nextWake()?.nanoseconds == new)
        #expect(wheel.takeDue(now: MonotonicTime(nanoseconds: new - 1)).isEmpty)
        #expect(wheel.takeDue(now: MonotonicTime(nanoseconds: new)).map(\.index) == [kept.index])
        #expect(wheel.nextWake() == nil)
    }

    @Test("a timer of a later turn does not keep the loop awake in its slot's tick")
    func doesNotSpin() throws {
        let wheel = TimerWheel(now: .zero)
        let timer = wheel.allocate()
        let deadline = 3 * Self.rotation + 5 * Self.tick
        wheel.arm(timer, at: MonotonicTime(nanoseconds: deadline))
        let now = MonotonicTime(nanoseconds: 5 * Self.tick + 1)
        #expect(wheel.takeDue(now: now).isEmpty)
        let wake = try #require(wheel.nextWake())
        #expect(wake.nanoseconds == deadline)
    }
}

@Suite("Timers of a loop")
struct LoopTimerTests {
    @Test("a timer armed again in its own callback fires again, at the new time only")
    func rearmInCallback() {
        let loop = EventLoop(simulation: StillSystem())
        let channel = TestChannel(loop: loop)
        var fired: [Int64] = []
        channel.onTimer = {
            fired.append(loop.now.nanoseconds)
            channel.armTimer(at: loop.now + .milliseconds(100))
        }
        channel.armTimer(at: .zero + .milliseconds(100))
        for milliseconds in stride(from: 8, through: 408, by: 8) {
            loop.advance(to: .zero + .milliseconds(Int64(milliseconds)))
        }
        #expect(fired == [104, 208, 312].map { $0 * 1_000_000 })
        channel.releaseTimer()
    }

    @Test("a timer cancelled by another that fires in the same moment stays silent")
    func cancelledByNeighbour() {
        let loop = EventLoop(simulation: StillSystem())
        let channels = (0..<2).map { _ in TestChannel(loop: loop) }
        var fired: [Int] = []
        for index in 0..<2 {
            channels[index].onTimer = {
                fired.append(index)
                channels[1 - index].cancelTimer()
            }
            channels[index].armTimer(at: .zero + .milliseconds(5))
        }
        loop.advance(to: .zero + .milliseconds(50))
        #expect(fired == [0])
        for channel in channels { channel.releaseTimer() }
    }

    @Test("a timer released by another that fires in the same moment stays silent, though its place is taken anew")
    func releasedByNeighbour() {
        let loop = EventLoop(simulation: StillSystem())
        let (first, second, third) = (TestChannel(loop: loop), TestChannel(loop: loop), TestChannel(loop: loop))
        var fired: [String] = []
        first.onTimer = {
            fired.append("first")
            second.releaseTimer()
            third.armTimer(at: loop.now + .milliseconds(100))
        }
        second.onTimer = { fired.append("second") }
        third.onTimer = { fired.append("third") }
        first.armTimer(at: .zero + .milliseconds(5))
        second.armTimer(at: .zero + .milliseconds(5))
        loop.advance(to: .zero + .milliseconds(50))
        #expect(fired == ["first"])
        loop.advance(to: .zero + .milliseconds(200))
        #expect(fired == ["first", "third"])
        first.releaseTimer()
        third.releaseTimer()
    }
}
