import PoiseModel
import Testing

@testable import PoiseProxy

@Suite("A watch over a rate")
struct RateWatchTests {
    private func at(_ seconds: Double) -> MonotonicTime { MonotonicTime(nanoseconds: Int64(seconds * 1e9)) }

    @Test(
        "judges only the time of waiting, and only if that is long enough",
        arguments: [
            // waited from, to, bytes in that time, too slow after 10 s
            (0, 10, 0, true), (0, 10, 999, true), (0, 10, 1000, false), (0, 5, 499, true), (0, 5, 500, false),
            (0, 4, 0, false), (6, nil, 0, false), (5, nil, 499, true),
        ] as [(Double, Double?, Int, Bool)])
    func judges(from: Double, to: Double?, bytes: Int, isTooSlow: Bool) {
        var watch = RateWatch()
        watch.wait(from: at(from), 7000)
        if let to { watch.stop(at: at(to)) }
        let judged = watch.isTooSlow(at: at(10), least: 100, span: .seconds(5), 7000 + bytes)
        #expect(judged == isTooSlow)
    }

    @Test("begins anew with each span, and counts pauses of waiting together")
    func spans() {
        var watch = RateWatch()
        watch.wait(from: at(0), 0)
        let first = watch.isTooSlow(at: at(10), least: 100, span: .seconds(5), 1000)
        let second = watch.isTooSlow(at: at(20), least: 100, span: .seconds(5), 1999)
        #expect(!first && second && watch.isWaiting)
        var paused = RateWatch()
        for second in [0.0, 2, 4] {
            paused.wait(from: at(second), 0)
            paused.stop(at: at(second + 1.9))
        }
        let together = paused.isTooSlow(at: at(10), least: 100, span: .seconds(5), 569)
        #expect(together && !paused.isWaiting)
    }

    @Test("asks for bytes only where there is waiting")
    func lazy() {
        var watch = RateWatch()
        var asked = 0
        func bytes() -> Int {
            asked += 1
            return 0
        }
        let isTooSlow = watch.isTooSlow(at: at(10), least: 100, span: .seconds(5), bytes())
        #expect(!isTooSlow && asked == 0)
        watch.wait(from: at(10), bytes())
        watch.wait(from: at(11), bytes())
        #expect(asked == 1)
    }

    @Test("a least of 0 turns it off")
    func off() {
        var watch = RateWatch()
        watch.wait(from: at(0), 0)
        let isTooSlow = watch.isTooSlow(at: at(10), least: 0, span: .seconds(5), 0)
        #expect(!isTooSlow)
    }
}
