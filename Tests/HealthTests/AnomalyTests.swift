import PoiseModel
import Testing

@testable import PoiseHealth

@Suite("Anomalies")
struct AnomalyTests {
    typealias Server = TrafficBench.Server

    private func bench(_ count: Int, bad: [Int] = [], mitigates: Bool = true, rate: Double = 500) -> TrafficBench {
        var servers = Array(repeating: Server(), count: count)
        for index in bad { servers[index].errors = 0.1 }
        return TrafficBench(servers, rate: rate, adapts: false, mitigates: mitigates)
    }

    @Test("one with 10 % errors is found within 3 s, at its least share within 10, and back 30 s after its recovery")
    func found() {
        var bench = bench(5, bad: [2])
        bench.run(seconds: 3)
        #expect(bench.group.targets.map(\.isAnomalous) == [false, false, true, false, false])
        bench.run(seconds: 7)
        #expect(bench.percent(2) <= 11 && bench.percent(2) >= 10, "\(bench.percent(2)) %")
        #expect(bench.group.targets[2].cause == .anomaly)
        bench.run(seconds: 100)
        #expect(bench.group.targets[2].isAnomalous && bench.percent(2) <= 15)
        bench.servers[2].errors = 0
        bench.run(seconds: 30)
        #expect(!bench.group.targets[2].isAnomalous)
        #expect(bench.shares.allSatisfy { $0 == 256 })
    }

    @Test("without mitigation it is found and keeps its weight")
    func detectionOnly() {
        var bench = bench(3, bad: [0], mitigates: false)
        bench.run(seconds: 20)
        #expect(bench.group.targets.map(\.isAnomalous) == [true, false, false])
        #expect(bench.shares == [256, 256, 256])
    }

    @Test("connections that fail count as 5xx do")
    func failures() {
        var bench = bench(3)
        bench.servers[1].failures = 0.2
        bench.run(seconds: 5)
        #expect(bench.group.targets[1].isAnomalous)
    }

    @Test(
        "what most targets do is no anomaly",
        arguments: [(2, 1, 0), (3, 1, 1), (3, 2, 0), (4, 2, 2), (4, 3, 0), (5, 2, 2), (5, 3, 0), (6, 6, 0)])
    func most(count: Int, bad: Int, found: Int) {
        var bench = bench(count, bad: Array(0..<bad))
        bench.run(seconds: 60)
        #expect(bench.group.targets.count { $0.isAnomalous } == found)
        #expect(bench.shares.suffix(count - bad).allSatisfy { $0 == 256 })
    }

    @Test("one that has too little traffic to be judged comes back slowly")
    func tooLittle() {
        var bench = bench(4, bad: [3], rate: 80)
        bench.run(seconds: 20)
        #expect(bench.percent(3) < 60)
        bench.servers[3].errors = 0
        bench.run(seconds: 60)
        #expect(!bench.group.targets[3].isAnomalous && bench.percent(3) == 100)
    }

    @Test("chance makes nobody anomalous", arguments: [0.001, 0.01, 0.05, 0.3])
    func chance(errors: Double) {
        for seed in UInt64(1)...5 {
            var random = Seeded(seed)
            var group = GroupTraffic()
            var counts = Array(repeating: TrafficCounts(), count: 8)
            group.targets = counts.map { _ in TargetTraffic() }
            var found = 0
            for second in 0..<300 {
                for index in counts.indices {
                    counts[index].answers += 30
                    counts[index].serverErrors += (0..<30).count { _ in
                        Double.random(in: 0..<1, using: &random) < errors
                    }
                    group.targets[index].observe(counts[index], at: at(Double(second)))
                }
                group.step(.init(adapts: false, mitigates: true), at: at(Double(second)))
                found += group.targets.count { $0.isAnomalous }
            }
            // The median of eight wanders as well: a few in 2,400.
            #expect(found <= 24, "\(found) of 2,400, seed \(seed)")
        }
    }
}

@Suite("Outliers")
struct OutlierTests {
    private static let both: OutlierChecks = {
        var checks = OutlierChecks()
        (checks.successRateFactorPercent, checks.latencyFactorPercent) = (190, 300)
        return checks
    }()

    /// One sweep over targets with these answers, errors and mean times in milliseconds.
    private func sweep(
        _ targets: [(answers: Int, errors: Int, time: Int)], _ checks: OutlierChecks = both
    ) -> [GroupTraffic.Outlier] {
        var group = GroupTraffic()
        group.targets = targets.map { facts in
            var target = TargetTraffic()
            target.observe(TrafficCounts(), at: at(0))
            var counts = TrafficCounts()
            (counts.answers, counts.serverErrors) = (facts.answers, facts.errors)
            counts.microseconds = facts.answers * facts.time * 1_000
            target.observe(counts, at: at(10))
            return target
        }
        var found: [GroupTraffic.Outlier] = []
        group.sweep(checks, into: &found)
        #expect(group.targets.allSatisfy { $0.sweep == TrafficCounts() }, "the next sweep begins")
        return found
    }

    private func targets(
        _ count: Int, _ last: (Int, Int, Int)...
    ) -> [(answers: Int, errors: Int, time: Int)] {
        Array(repeating: (answers: 200, errors: 0, time: 20), count: count - last.count)
            + last.map { (answers: $0.0, errors: $0.1, time: $0.2) }
    }

    @Test("below the mean by 1.9 deviations, among five")
    func successRate() {
        #expect(sweep(targets(5, (200, 20, 20))).map(\.index) == [4])
        #expect(sweep(targets(5, (200, 20, 20))).map(\.reason) == [.successRateOutlier])
        #expect(sweep(targets(4, (200, 200, 20))).isEmpty, "four are too few")
        #expect(sweep(targets(5, (99, 99, 20))).isEmpty, "it had too few exchanges, and four are left")
        #expect(sweep(targets(6, (99, 99, 20))).isEmpty)
        #expect(sweep(targets(5, (200, 6, 20))).isEmpty, "3 % are not enough, however even the others are")
        #expect(sweep(Array(repeating: (answers: 200, errors: 100, time: 20), count: 9)).isEmpty, "all alike")
    }

    @Test("a single one of four can never be 1.9 deviations out")
    func fewTargets() {
        var checks = Self.both
        checks.targetsMin = 2
        #expect(sweep(targets(4, (200, 200, 20)), checks).isEmpty)
        checks.successRateFactorPercent = 170
        #expect(sweep(targets(4, (200, 200, 20)), checks).map(\.index) == [3])
    }

    @Test("above the median three times, and above 10 ms")
    func latency() {
        #expect(sweep(targets(5, (200, 0, 61))).map(\.reason) == [.latencyOutlier])
        #expect(sweep(targets(5, (200, 0, 60))).isEmpty)
        let quick = [(1, 2), (1, 2), (1, 2), (1, 2), (9, 2)].map { (answers: 200, errors: 0, time: $0.0) }
        #expect(sweep(quick).isEmpty, "nine times slower, and quick")
        var checks = Self.both
        checks.latencyMin = .milliseconds(5)
        #expect(sweep(quick, checks).map(\.index) == [4])
        #expect(sweep(targets(5, (200, 0, 60_000), (200, 0, 100))).map(\.index) == [3, 4], "one hides no other")
    }

    @Test("each by its own switch, the worst first, and each target once")
    func switches() {
        #expect(sweep(targets(9, (200, 100, 900)), OutlierChecks()).isEmpty)
        #expect(sweep(targets(9, (200, 0, 100), (200, 0, 900), (200, 100, 900))).map(\.index).first == 7)
        #expect(sweep(targets(9, (200, 150, 900))).count == 1)
    }

    @Test("who takes no new flows is not compared")
    func notUsable() {
        var group = GroupTraffic()
        group.targets = (0..<6).map { index in
            var target = TargetTraffic()
            target.observe(TrafficCounts(), at: at(0))
            target.isUsable = index > 0
            var counts = TrafficCounts()
            (counts.answers, counts.serverErrors) = (200, index == 0 ? 200 : 0)
            target.observe(counts, at: at(10))
            return target
        }
        var found: [GroupTraffic.Outlier] = []
        group.sweep(Self.both, into: &found)
        #expect(found.isEmpty)
    }
}
