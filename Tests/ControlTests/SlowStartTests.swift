import PoiseModel
import Testing

@testable import PoiseControl

@Suite("Slow start: steps of the health engine")
struct SlowStartTests {
    /// Steps until `end` whenever the engine asks for it; what the weight was, and when.
    private func climb(_ bench: Bench, until end: Double) -> [(at: Double, weight: Int32)] {
        var steps: [(at: Double, weight: Int32)] = []
        while let next = bench.engine.climb.nextStep, next <= at(end) {
            bench.engine.flush(at: next)
            steps.append((at: (next - at(0)).seconds, weight: bench.weights(of: "a")[0]))
        }
        return steps
    }

    @Test(
        "slow start takes its first step after 50 ms, and keeps to the curve from there",
        arguments: [2, 30, 900] as [Int64], [50, 100, 200])
    func slowStartSteps(duration: Int64, aggression: Int) throws {
        let bench = Bench()
        try bench.apply(
            configuration([
                group("a", [target(1, weight: 256), target(2)]) {
                    $0.slowStart = .seconds(duration)
                    $0.slowStartAggressionPercent = aggression
                }
            ]))
        bench.probe(1, .timeout, 1)
        bench.probe(1, 2)
        bench.probe(1, 10)
        let steps = climb(bench, until: 10 + Double(duration) + 1)
        #expect(abs(steps[0].at - 10.05) < 0.001)
        #expect(steps.last!.weight == 65_536 && bench.engine.climb.nextStep == nil)
        var before = 10.0
        for (time, weight) in steps {
            let part = min(1, (time - 10) / Double(duration))
            let due = aggression == 50 ? part * part : aggression == 100 ? part : part.squareRoot()
            #expect(abs(Double(weight) / 65_536 - due) < 0.001, "\(weight) after \(time - 10) s")
            #expect((0.0499...1.0001).contains(time - before), "\(time - before) s between two steps")
            before = time
        }
        #expect(steps.count <= 64 + 30 || duration == 900 && steps.count <= 940, "\(steps.count)")
    }

    @Test("however many targets start slowly at once, a worker is told of 512 of them at a time, and all arrive")
    func slowStartOfMany() throws {
        let bench = Bench()
        let count = 1_200
        let slow: (inout TargetGroup) -> Void = {
            $0.healthCheck = nil
            $0.slowStart = .seconds(4)
        }
        try bench.apply(configuration([group("a", [target(0)], slow)]))
        try bench.apply(configuration([group("a", (1...count).map { target($0) }, slow)]), 10)
        var before = bench.weights(of: "a")
        #expect(before.allSatisfy { $0 == 1 })
        var changes: [Int] = []
        var latest = at(10)
        while let next = bench.engine.climb.nextStep, next < at(16) {
            #expect(next - latest >= .milliseconds(50))
            latest = next
            bench.engine.flush(at: next)
            let now = bench.weights(of: "a")
            changes.append(zip(before, now).count { $0 != $1 })
            #expect(zip(before, now).allSatisfy { $0 <= $1 })
            if next >= at(12) { #expect(now.allSatisfy { $0 > 110 }, "nobody is left behind") }
            before = now
        }
        #expect(changes.max()! <= 512, "\(changes)")
        #expect(before.allSatisfy { $0 == 256 } && bench.engine.climb.nextStep == nil)
        #expect(latest <= at(14.3))
    }
}
