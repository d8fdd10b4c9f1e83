import PoiseHealth
import PoiseLive
import PoiseModel
import PoiseProxy
import Testing

@testable import PoiseControl

@Suite("Weights that follow reports and traffic")
struct TrafficTests {
    /// A group whose targets answer as the test says, second by second.
    private func bench(
        _ count: Int, weight: Int = 1, _ change: @escaping (inout TargetGroup) -> Void
    ) throws -> HealthBench {
        let bench = HealthBench()
        try bench.apply(Self.configuration(count, weight: weight, change))
        return bench
    }

    private static func configuration(
        _ count: Int, weight: Int = 1, _ change: (inout TargetGroup) -> Void
    ) -> Configuration {
        ControlSamples.all([
            group("a", (1...count).map { target($0, weight: weight) }) {
                $0.healthCheck = nil
                change(&$0)
            }
        ])
    }

    /// - Parameter answer: of the target, in each second: answers, of which 5xx, and milliseconds.
    private func run(
        _ bench: HealthBench, _ count: Int, _ seconds: ClosedRange<Int>, _ answer: (Int) -> (Int, Int, Int)
    ) {
        for second in seconds {
            for last in 1...count {
                let (answers, errors, time) = answer(last)
                let counters = bench.counters(last)
                counters.add(TargetCounter.status2xx, UInt64(answers - errors))
                counters.add(TargetCounter.status2xx + 3, UInt64(errors))
                counters.add(TargetCounter.answerMicroseconds, UInt64(answers * time * 1_000))
            }
            bench.engine.tick(at: at(Double(second)))
        }
    }

    private func status(_ bench: HealthBench, _ last: Int) -> TargetStatus {
        TargetStatus(bench.engine.target(label(last), in: "a")!, weight: 0)
    }

    @Test("adaptive: the slow one gets less, the log hears of it once, and it all comes back")
    func adaptive() throws {
        let bench = try bench(3, weight: 2) { $0.algorithm = .adaptive }
        run(bench, 3, 1...30) { ($0 == 2 ? 20 : 100, 0, $0 == 2 ? 100 : 10) }
        let weights = bench.weights(of: "a")
        #expect(weights[0] == 512 && weights[2] == 512)
        #expect((66...94).contains(weights[1]), "15 % of 512: \(weights[1])")
        #expect(status(bench, 2).weightCause == .latency && status(bench, 2).weightPercent < 20)
        #expect(status(bench, 1).weightCause == .none && status(bench, 1).weightPercent == 100)
        #expect(bench.weightEvents.map(\.what) == [.lowered(.latency)])
        #expect(bench.weightEvents.map(\.target) == [label(2)] && bench.weightEvents[0].percent < 50)
        run(bench, 3, 31...70) { _ in (100, 0, 10) }
        #expect(bench.weights(of: "a") == [512, 512, 512])
        #expect(bench.weightEvents.map(\.what) == [.lowered(.latency), .restored])
    }

    @Test("nothing is ordered while nothing changes")
    func quiet() throws {
        let bench = try bench(4) {
            $0.algorithm = .adaptive
            $0.mitigatesAnomalies = true
            $0.passive.outliers.latencyFactorPercent = 300
        }
        let before = bench.orders
        run(bench, 4, 1...60) { _ in (100, 1, 10) }
        #expect(bench.orders == before)
    }

    @Test(
        "an algorithm that does not adapt leaves weights alone, and one that no longer does gives them back",
        arguments: [2, 4])
    func otherAlgorithm(count: Int) throws {
        let bench = try bench(count) { $0.algorithm = .adaptive }
        run(bench, count, 1...20) { (50, 0, $0 == 1 ? 500 : 10) }
        #expect(bench.weights(of: "a")[0] < 128)
        try bench.apply(Self.configuration(count) { $0.algorithm = .p2c }, 21)
        run(bench, count, 22...23) { (50, 0, $0 == 1 ? 500 : 10) }
        #expect(bench.weights(of: "a").allSatisfy { $0 == 256 })
        #expect(bench.weightEvents.last?.what == .restored)
    }

    @Test("shares survive an apply, and belong to targets and not to places")
    func applied() throws {
        let bench = try bench(4) { $0.algorithm = .adaptive }
        run(bench, 4, 1...20) { (50, 0, $0 == 4 ? 500 : 10) }
        let low = bench.weights(of: "a")[3]
        #expect(low < 128)
        try bench.apply(
            ControlSamples.all([
                group("a", [target(9), target(4), target(1)]) {
                    $0.healthCheck = nil
                    $0.algorithm = .adaptive
                }
            ]), 21)
        #expect(bench.weights(of: "a") == [256, low, 256])
    }

    @Test("what workers count of load reports is what weights are made of")
    func loadReports() throws {
        let bench = try bench(2) { $0.algorithm = .adaptive }
        for second in 1...60 {
            for last in 1...2 {
                let counters = bench.counters(last)
                counters.add(TargetCounter.status2xx, 10)
                counters.add(TargetCounter.loadReports, 10)
                counters.add(TargetCounter.loadUtilization, 10 * (last == 1 ? 16_384 : 65_536))
                counters.add(TargetCounter.loadRequestRate, 10 * 100_000)
            }
            bench.engine.tick(at: at(Double(second)))
        }
        let weights = bench.weights(of: "a")
        #expect(weights[0] == 256 && (56...72).contains(weights[1]), "\(weights)")
        #expect(status(bench, 2).weightCause == .load)
    }

    // MARK: Agents

    @Test(
        "an agent's percentage is of the configured weight, whatever the algorithm",
        arguments: [(75, 384), (100, 512), (1, 5), (200, 1_024), (1_000_000, 65_536), (0, 0), (-5, 0)])
    func agent(percent: Int, weight: Int32) throws {
        let bench = try bench(2, weight: 2) { $0.algorithm = .roundRobin }
        let target = bench.engine.target(label(1), in: "a")!
        bench.engine.reported(weightPercent: percent, of: target, validFor: .seconds(15), at: at(1))
        bench.engine.flush(at: at(1))
        #expect(bench.weights(of: "a") == [weight, 512])
        #expect(status(bench, 1).weightCause == (percent == 100 ? .none : .agent))
    }

    @Test("it holds until it is out of date")
    func agentExpires() throws {
        let bench = try bench(2) { _ in }
        let target = bench.engine.target(label(1), in: "a")!
        bench.engine.reported(weightPercent: 25, of: target, validFor: .seconds(15), at: at(1))
        bench.engine.tick(at: at(15))
        #expect(bench.weights(of: "a") == [64, 256])
        bench.engine.reported(weightPercent: 25, of: target, validFor: .seconds(15), at: at(15))
        bench.engine.tick(at: at(29))
        #expect(bench.weights(of: "a") == [64, 256])
        bench.engine.tick(at: at(30))
        #expect(bench.weights(of: "a") == [256, 256])
        #expect(bench.weightEvents.map(\.what) == [.lowered(.agent), .restored])
        #expect(status(bench, 1).weightCause == .none)
    }

    @Test("all at 0 percent: nobody takes anything, and nobody is tried either")
    func agentDrains() throws {
        let bench = try bench(2) { _ in }
        for last in 1...2 {
            let target = bench.engine.target(label(last), in: "a")!
            bench.engine.reported(weightPercent: 0, of: target, validFor: .seconds(15), at: at(1))
        }
        bench.engine.flush(at: at(1))
        #expect(bench.weights(of: "a") == [0, 0])
        #expect(bench.availability.last == Availability.none)
    }

    // MARK: Anomalies

    @Test(
        "an anomalous target gets less where that is asked for, is told of in any case, and recovers",
        arguments: [true, false])
    func anomaly(isMitigated: Bool) throws {
        let bench = try bench(3) {
            $0.algorithm = .weightedRandom
            $0.mitigatesAnomalies = isMitigated
        }
        run(bench, 3, 1...15) { (100, $0 == 3 ? 20 : 0, 10) }
        #expect(status(bench, 3).isAnomalous == true && status(bench, 1).isAnomalous == false)
        if isMitigated {
            #expect((25...30).contains(bench.weights(of: "a")[2]))
            #expect(status(bench, 3).weightCause == .anomaly)
        } else {
            #expect(bench.weights(of: "a") == [256, 256, 256])
        }
        run(bench, 3, 16...60) { _ in (100, 0, 10) }
        #expect(bench.weights(of: "a") == [256, 256, 256])
        #expect(status(bench, 3).isAnomalous == false)
        let about = bench.weightEvents.map(\.what)
        #expect(about.first == .anomalous(isMitigated: isMitigated))
        #expect(about.count { $0 == .normal } == 1)
        #expect(about.contains(.lowered(.anomaly)) == isMitigated)
    }

    @Test("two targets cannot tell which of them is the anomaly")
    func two() throws {
        let bench = try bench(2) { $0.mitigatesAnomalies = true }
        run(bench, 2, 1...15) { (100, $0 == 2 ? 50 : 0, 10) }
        #expect(status(bench, 2).isAnomalous == nil)
        #expect(bench.weights(of: "a") == [256, 256])
    }

    // MARK: Outliers

    @Test("an outlier is ejected with its reason at the end of a window, longer each time, and comes back")
    func outlier() throws {
        let bench = try bench(5) {
            $0.passive.consecutiveFailures = 0
            $0.passive.outliers.successRateFactorPercent = 190
            $0.passive.outliers.latencyFactorPercent = 300
        }
        let errors: (Int) -> (Int, Int, Int) = { (50, $0 == 5 ? 10 : 0, 20) }
        run(bench, 5, 0...9, errors)
        #expect(bench.state(5)?.state == .healthy, "the window is not over")
        run(bench, 5, 10...10, errors)
        #expect(bench.state(5)?.reason == .successRateOutlier)
        #expect(bench.weights(of: "a") == [256, 256, 256, 256, 0])
        #expect(bench.transitions.map(\.to.reason) == [.successRateOutlier])
        run(bench, 5, 11...39) { ($0 == 5 ? 0 : 50, 0, 20) }
        #expect(bench.state(5)?.state == .unhealthy)
        run(bench, 5, 40...41) { _ in (50, 0, 20) }
        #expect(bench.state(5)?.state == .healthy)
        run(bench, 5, 42...60) { (50, 0, $0 == 5 ? 900 : 20) }
        #expect(bench.state(5)?.reason == .latencyOutlier)
        run(bench, 5, 61...105) { ($0 == 5 ? 0 : 50, 0, 20) }
        #expect(bench.state(5)?.state == .unhealthy, "the second time lasts twice as long")
        run(bench, 5, 106...120) { ($0 == 5 ? 0 : 50, 0, 20) }
        #expect(bench.state(5)?.state == .healthy)
    }

    @Test("at most their share is ejected, the worst first")
    func budget() throws {
        let bench = try bench(6) {
            $0.passive.ejectedPercentMax = 20
            $0.passive.outliers.latencyFactorPercent = 200
        }
        run(bench, 6, 0...10) { (50, 0, $0 >= 5 ? 100 * $0 : 20) }
        #expect(bench.state(6)?.reason == .latencyOutlier)
        #expect(bench.state(5)?.state == .healthy, "two of six are more than 20 %")
    }

    @Test("without a factor nobody is compared")
    func off() throws {
        let bench = try bench(5) { $0.passive.consecutiveFailures = 0 }
        run(bench, 5, 0...30) { (50, $0 == 5 ? 50 : 0, $0 == 5 ? 9_000 : 20) }
        #expect(bench.state(5)?.state == .healthy)
    }
}
