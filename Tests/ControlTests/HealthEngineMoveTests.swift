import PoiseHealth
import PoiseModel
import Testing

@testable import PoiseControl

@Suite("The health engine: targets that take the place of others")
struct HealthEngineMoveTests {
    private let name = Target(address: .name("shop.test", port: 80))

    private func named(_ change: @escaping (inout TargetGroup) -> Void = { _ in }) -> Configuration {
        configuration([
            group("a", [name]) {
                $0.failOpen = .never
                change(&$0)
            }
        ])
    }

    @Test(
        "a group that moves to another machine is served by it before its first result, and no outage is told",
        arguments: [true, false])
    func move(byName: Bool) throws {
        let bench = HealthBench()
        func go(_ last: UInt32, _ now: Double) throws {
            if byName {
                return try bench.apply(named { $0.minHealthy = .count(1) }, addresses: ["shop.test": [last]], now)
            }
            try bench.apply(
                configuration([
                    group("a", [target(Int(last))]) { ($0.failOpen, $0.minHealthy) = (.never, .count(1)) }
                ]), now)
        }
        try go(1, 0)
        bench.probe(1, 1)
        try go(2, 2)
        #expect(bench.state(2)?.state == .initial && bench.weights(of: "a") == [256])
        bench.probe(2, 3)
        #expect(bench.state(2)?.state == .healthy && bench.weights(of: "a") == [256])
        #expect(bench.availability == [] && bench.minimum == [])
        // To one that is dead: its first result says so, and then it is told.
        try go(3, 4)
        #expect(bench.availability == [] && bench.weights(of: "a") == [256])
        bench.probe(3, .timeout, 5)
        #expect(bench.state(3)?.state == .unhealthy && bench.weights(of: "a") == [0])
        #expect(bench.availability == [.none] && bench.minimum == [false])
    }

    @Test(
        "beside one that serves it waits for a success, and takes its place where that one goes before the first result"
    )
    func beside() throws {
        let bench = HealthBench()
        func go(_ last: [UInt32], _ now: Double) throws {
            try bench.apply(named(), addresses: ["shop.test": last], now)
        }
        try go([1], 0)
        bench.probe(1, 1)
        try go([1, 2, 3], 2)
        #expect(bench.weights(of: "a") == [256, 0, 0])
        bench.probe(3, .connectionRefused, 3)
        try go([2, 3], 4)
        // What is known of the third is nothing good.
        #expect(bench.weights(of: "a") == [256, 0] && bench.state(3)?.state == .initial)
        #expect(bench.availability == [])
    }

    @Test("those that were drained, ejected or dead are no help: a new one beside them takes traffic at once")
    func beyondHelp() throws {
        let bench = HealthBench()
        let targets = [target(1), target(2), target(3)]
        let settings: (inout TargetGroup) -> Void = {
            $0.failOpen = .never
            $0.healthCheck?.unhealthyThreshold = 1
        }
        try bench.apply(configuration([group("a", Array(targets[..<2]), settings)]))
        bench.probe(1, 1)
        bench.probe(2, .timeout, 1)
        bench.engine.drain(bench.engine.target(label(1), in: "a")!, at: at(2))
        bench.engine.flush(at: at(2))
        #expect(bench.availability == [.none])
        try bench.apply(configuration([group("a", targets, settings)]), 3)
        #expect(bench.weights(of: "a") == [0, 0, 256] && bench.availability == [.none, .ordinary])
    }

    @Test("what nobody knows yet is not missing of a minimum; it is once results show it")
    func minimum() throws {
        let bench = HealthBench()
        let settings: (inout TargetGroup) -> Void = { $0.minHealthy = .count(2) }
        func go(_ last: ClosedRange<Int>, _ now: Double) throws {
            try bench.apply(configuration([group("a", last.map { target($0) }, settings)]), now)
        }
        try go(1...2, 0)
        for last in 1...2 { bench.probe(last, 1) }
        try go(2...3, 2)
        #expect(bench.minimum == [] && bench.weights(of: "a") == [256, 0])
        bench.probe(3, 3)
        try go(3...4, 4)
        let threshold = 3
        for failure in 1...threshold {
            #expect(bench.minimum == [])
            bench.probe(4, .timeout, 4 + Double(failure))
        }
        #expect(bench.state(4)?.state == .unhealthy && bench.minimum == [false])
        // It was missing before: nobody knows that the next one is well.
        try go(3...3, 10)
        try go(2...3, 11)
        #expect(bench.minimum == [false])
        bench.probe(2, 12)
        #expect(bench.minimum == [false, true])
    }
}
