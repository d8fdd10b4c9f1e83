import PoiseModel
import Testing

@testable import PoiseHealth

@Suite("Adaptive weights, by answers")
struct AdaptiveTests {
    typealias Server = TrafficBench.Server

    @Test(
        "equal targets keep all of their weights, whatever the load and however unsteady",
        arguments: [2, 3, 5, 50, 500])
    func equalTargets(count: Int) {
        for seed in UInt64(1)...10 {
            var bench = TrafficBench(Array(repeating: Server(), count: count), rate: 40.0 * Double(count), seed: seed)
            bench.noise = 0.3
            bench.run(seconds: 120)
            #expect(bench.history.allSatisfy { $0.allSatisfy { $0 == 256 } }, "seed \(seed)")
        }
    }

    @Test(
        "one that is ten times slower is down within 12 s, steady, and back within 30 s of its recovery",
        arguments: [2, 3, 10, 100])
    func tenTimesSlower(count: Int) {
        var bench = TrafficBench(Array(repeating: Server(), count: count), rate: 100.0 * Double(count))
        bench.run(seconds: 10)
        bench.servers[0].time = 100
        bench.run(seconds: 12)
        #expect((13...20).contains(bench.percent(0)), "\(bench.percent(0)) %")
        bench.run(seconds: 60)
        #expect((13...17).contains(bench.percent(0)), "1.5 / 10 of it: \(bench.percent(0)) %")
        #expect(bench.swing(0, last: 40) <= 3)
        #expect(bench.group.targets[0].cause == .latency)
        #expect(bench.shares.dropFirst().allSatisfy { $0 == 256 })
        bench.servers[0].time = 10
        bench.run(seconds: 30)
        #expect(bench.shares.allSatisfy { $0 == 256 })
        #expect(bench.group.targets[0].cause == .none)
        let risen = bench.history.suffix(30).map { $0[0] }
        #expect(zip(risen, risen.dropFirst()).allSatisfy { $1 - $0 <= 2 * 13 }, "5 points a second")
    }

    @Test(
        "how much slower is how much less",
        arguments: [(14, 100), (20, 75), (30, 50), (60, 25), (150, 10), (10_000, 10)])
    func inProportion(time: Int, percent: Int) {
        var bench = TrafficBench(Array(repeating: Server(), count: 4))
        bench.servers[3].time = Double(time)
        bench.run(seconds: 60)
        #expect(abs(bench.percent(3) - percent) <= 3, "\(bench.percent(3)) %")
    }

    @Test("differences below a millisecond are none")
    func tooFastToTell() {
        var bench = TrafficBench(Array(repeating: Server(time: 0.1), count: 4))
        bench.servers[3].time = 0.9
        bench.run(seconds: 60)
        #expect(bench.percent(3) == 100)
    }

    @Test(
        "a weak machine with a queue finds a share that it can carry, and stays there",
        arguments: [(0.6, 0.7), (0.4, 0.8), (0.25, 0.8), (0.5, 0.95)])
    func weakMachine(strength: Double, use: Double) {
        let each = 300.0
        var servers = Array(repeating: Server(time: 10, capacity: each), count: 4)
        servers[0].capacity = each * strength
        servers[0].time = 10 / strength
        var bench = TrafficBench(servers, rate: (3 + strength) * each * use)
        bench.run(seconds: 200)
        #expect(bench.swing(0, last: 100) <= 12, "\(bench.history.suffix(40).map { $0[0] })")
        let rate = bench.rate * Double(bench.shares[0]) / Double(bench.shares.reduce(0, +))
        #expect(rate < servers[0].capacity, "\(rate)/s of \(servers[0].capacity)/s")
    }

    @Test("errors cost as slow answers do, and who fails quickly does not look quick")
    func errors() {
        var bench = TrafficBench(Array(repeating: Server(), count: 5))
        bench.servers[0].errors = 0.1
        bench.servers[1].failures = 1
        bench.run(seconds: 60)
        #expect((70...80).contains(bench.percent(0)), "\(bench.percent(0)) %")
        #expect(bench.group.targets[0].cause == .errors)
        #expect((10...17).contains(bench.percent(1)), "\(bench.percent(1)) %")
        #expect(bench.shares.suffix(3).allSatisfy { $0 == 256 })
    }

    @Test("few requests prove nothing")
    func fewRequests() {
        var bench = TrafficBench(Array(repeating: Server(), count: 4), rate: 6)
        bench.servers[0].time = 10_000
        bench.run(seconds: 100)
        #expect(bench.history.allSatisfy { $0.allSatisfy { $0 == 256 } })
    }

    @Test("one that gets too little to be judged comes back until it is judged again")
    func asksAgain() {
        var bench = TrafficBench(Array(repeating: Server(), count: 4), rate: 60)
        bench.servers[0].time = 200
        bench.run(seconds: 30)
        #expect(bench.percent(0) < 50)
        bench.servers[0].time = 10
        bench.run(seconds: 90)
        #expect(bench.percent(0) == 100)
    }

    @Test("when half are bad those are not the measure, when more are they are")
    func halfOfThem() {
        for bad in 0...6 {
            var bench = TrafficBench(Array(repeating: Server(), count: 6))
            for index in 0..<bad { bench.servers[index].time = 300 }
            bench.run(seconds: 100)
            let lost = bench.shares.map { 256 - $0 }.reduce(0, +)
            #expect(lost <= 3 * 256, "\(bad) of 6 lost \(lost)")
            #expect((lost > 0) == (1...3).contains(bad))
            #expect(bench.shares.suffix(6 - bad).allSatisfy { $0 == 256 })
        }
    }

    @Test("whatever they do, no share is below its least, and at most half of the weight is lost", arguments: 1...20)
    func bounds(seed: UInt64) {
        var random = Seeded(seed)
        let count = Int.random(in: 1...12, using: &random)
        var bench = TrafficBench(
            (0..<count).map { _ in Server(weight: Int.random(in: 1...65_536, using: &random)) },
            mitigates: seed % 2 == 0,
            seed: seed)
        for _ in 0..<60 {
            for index in 0..<count where Bool.random(using: &random) {
                bench.servers[index].time = Double.random(in: 0...2_000, using: &random)
                bench.servers[index].capacity = Double.random(in: 0...500, using: &random)
                bench.servers[index].errors = Double.random(in: 0...1, using: &random)
                bench.servers[index].failures = Double.random(in: 0...1, using: &random)
                bench.servers[index].reports = Bool.random(using: &random)
                bench.servers[index].isUsable = Int.random(in: 0..<5, using: &random) > 0
            }
            bench.run(seconds: 5)
            for index in 0..<count { #expect(bench.shares[index] >= 25, "seed \(seed)") }
            let usable = (0..<count).filter { bench.servers[$0].isUsable }
            let whole = usable.reduce(0) { $0 + bench.servers[$1].weight * 256 }
            let left = usable.reduce(0) { $0 + bench.servers[$1].weight * bench.shares[$1] }
            // Small changes are not told.
            #expect(Double(left) >= Double(whole) * (0.5 - 1.0 / 32), "seed \(seed)")
        }
    }

    @Test("a group that no longer adapts has all of its weights at once")
    func turnedOff() {
        var bench = TrafficBench(Array(repeating: Server(), count: 3))
        bench.servers[0].time = 100
        bench.run(seconds: 20)
        #expect(bench.percent(0) < 50)
        bench.rules.adapts = false
        bench.run(seconds: 1)
        #expect(bench.shares == [256, 256, 256])
        #expect(bench.group.targets[0].cause == .none)
    }
}

@Suite("Adaptive weights, by reports of load")
struct LoadReportWeightTests {
    typealias Server = TrafficBench.Server

    @Test("weights become what the targets can do, after the blackout and not before")
    func capacities() {
        var bench = TrafficBench(
            [400.0, 400, 200, 100].map { Server(time: 0.1, capacity: $0, reports: true) }, rate: 300)
        bench.run(seconds: 9)
        #expect(bench.shares == [256, 256, 256, 256], "nothing is believed yet")
        bench.run(seconds: 60)
        #expect(bench.percent(0) >= 97 && bench.percent(1) >= 97)
        #expect((47...53).contains(bench.percent(2)), "\(bench.percent(2)) %")
        #expect((22...28).contains(bench.percent(3)), "\(bench.percent(3)) %")
        #expect(bench.group.targets[3].cause == .load)
        for index in 0..<4 { #expect(bench.swing(index, last: 30) <= 4) }
    }

    @Test("configured weights are where it begins: the same share of what it can do is the same share of its weight")
    func configuredWeights() {
        var bench = TrafficBench(
            [Server(capacity: 400, reports: true, weight: 1_024), Server(capacity: 100, reports: true, weight: 256)],
            rate: 250)
        bench.run(seconds: 60)
        #expect(bench.shares.allSatisfy { $0 >= 245 })
    }

    @Test("one report proves nothing, and none is the end of it after its time")
    func expiration() {
        var bench = TrafficBench([400.0, 200, 200].map { Server(capacity: $0, reports: true) }, rate: 300)
        bench.run(seconds: 60)
        #expect((47...56).contains(bench.percent(1)))
        for index in 0..<3 { bench.servers[index].reports = false }
        bench.run(seconds: 170)
        #expect((47...56).contains(bench.percent(1)), "still believed")
        bench.run(seconds: 60)
        #expect(bench.shares == [256, 256, 256])
        bench.servers[1].reports = true
        bench.run(seconds: 60)
        #expect(bench.shares == [256, 256, 256], "there is nobody to compare it with")
    }

    @Test("who does not report counts as the mean of those who do")
    func mixed() {
        var bench = TrafficBench(
            [Server(capacity: 400, reports: true), Server(capacity: 200, reports: true), Server()], rate: 240)
        bench.run(seconds: 100)
        #expect((70...80).contains(bench.percent(2)), "\(bench.percent(2)) %")
    }

    @Test("sums of what targets claim may pass their end")
    func wrappingSums() {
        var target = TargetTraffic()
        var counts = TrafficCounts()
        (counts.requestRate, counts.errorRate, counts.utilization) = (.max - 5, .max, .max)
        target.observe(counts, at: at(0))
        (counts.reports, counts.requestRate, counts.errorRate) = (1, counts.requestRate &+ 100_000, .min)
        counts.utilization = counts.utilization &+ 32_768
        target.observe(counts, at: at(1))
        #expect(target.load.capacity(at: at(11)).map { ($0 * 10).rounded() } == 2_000, "100 per second at one half")
    }

    @Test("an idle or lying target does not take the others' weights with it")
    func liar() {
        var bench = TrafficBench(
            [Server(capacity: 1e7, reports: true)] + Array(repeating: Server(capacity: 300, reports: true), count: 7),
            rate: 800)
        bench.run(seconds: 100)
        #expect(bench.shares.dropFirst().allSatisfy { $0 >= 256 * 42 / 100 }, "\(bench.shares)")
    }
}
