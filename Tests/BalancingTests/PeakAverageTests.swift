import Glibc
import PoiseModel
import Testing

@testable import PoiseBalancing

@Suite("Peak average of answer times")
struct PeakAverageTests {
    private func at(_ milliseconds: Int64) -> MonotonicTime { MonotonicTime(nanoseconds: milliseconds * 1_000_000) }

    @Test("rises at once, falls with e^(-t / 10 s), fades when nobody asks")
    func sequence() throws {
        var average = PeakAverage()
        #expect(average.value(at: at(0)) == nil)
        average = average.observing(.milliseconds(100), at: at(1_000))
        #expect(average.value(at: at(1_000)) == 100_000)
        #expect(try #require(average.value(at: at(11_000))).isNear(36_788))
        average = average.observing(.milliseconds(10), at: at(11_000))
        #expect(try #require(average.value(at: at(11_000))).isNear(36_788 + 6_321))
        average = average.observing(.milliseconds(200), at: at(11_001))
        #expect(average.value(at: at(11_001)) == 200_000)
        // The same answers in quick succession hardly move it, however many they are.
        for step in 0..<1_000 { average = average.observing(.milliseconds(20), at: at(11_001 + Int64(step))) }
        #expect(try #require(average.value(at: at(12_000))).isNear(20_000 + Int(180_000 * exp(-0.0999))))
        #expect(average.value(at: at(600_000)) == 1)
    }

    @Test("what fails quickly does not look quick")
    func failures() {
        var average = PeakAverage().observing(.milliseconds(50), at: at(0))
        average = average.observingFailure(.microseconds(100), at: at(0))
        #expect(average.value(at: at(0)) == 100_000)
        average = average.observingFailure(.seconds(3), at: at(0))
        #expect(average.value(at: at(0)) == 3_000_000)
        for _ in 0..<10 { average = average.observingFailure(.zero, at: at(0)) }
        #expect(average.value(at: at(0)) == PeakAverage.microsecondsMax)
        #expect(PeakAverage().observingFailure(.milliseconds(3), at: at(0)).value(at: at(0)) == 3_000)
    }

    @Test("a flow that is given up raises the average to the time it took, and says nothing about a quicker one")
    func waits() {
        let average = PeakAverage().observing(.milliseconds(50), at: at(0))
        #expect(average.observingWait(.milliseconds(49), at: at(0)) == average)
        #expect(average.observingWait(.milliseconds(900), at: at(10)).value(at: at(10)) == 900_000)
        #expect(average.observingWait(.milliseconds(49), at: at(10_000)).value(at: at(10_000)) == 49_000)
        #expect(PeakAverage().observingWait(.seconds(9), at: at(0)).value(at: at(0)) == nil, "it has never answered")
    }

    @Test(
        "knows the extremes",
        arguments: [(0, 1), (-5, 1), (999, 1), (1_000, 1), (2_000, 2), (Int64.max, 1 << 26)] as [(Int64, Int)])
    func extremes(nanoseconds: Int64, microseconds: Int) {
        let average = PeakAverage().observing(Nanoseconds(nanoseconds), at: at(5))
        #expect(average.value(at: at(5)) == microseconds)
        #expect(average.word != 0)
        #expect(average.observing(.zero, at: at(5)).value(at: at(5)) == microseconds, "no time has passed")
    }

    @Test("goes on when its clock of 49 days begins anew, and takes what is in the future for now")
    func clock() throws {
        let late = at(1 << 32 - 1)
        let average = PeakAverage().observing(.milliseconds(100), at: late)
        #expect(try #require(average.value(at: at(1 << 32 + 9_999))).isNear(36_788))
        #expect(average.value(at: at(1 << 32 - 5_000)) == 100_000)
    }

    @Test("e^-x is right to 1 in 10,000")
    func exponentials() {
        for step in 0..<4_000 {
            let x = Float(step) / 100
            #expect(abs(Double(exponential(x)) / exp(-Double(x)) - 1) < 1e-4, "\(x)")
        }
        #expect(exponential(1e9) == 0)
    }
}

extension Int {
    fileprivate func isNear(_ other: Int) -> Bool { abs(self - other) <= other / 1_000 + 1 }
}
