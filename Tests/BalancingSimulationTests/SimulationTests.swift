import Glibc
import PoiseModel
import Testing

@testable import balancing_simulation

@Suite("The simulation behind docs/algorithms.md")
struct SimulationTests {
    private func scenario(_ name: String) -> Scenario { Scenario.all.first { $0.name == name }! }

    private func contender(_ name: String) -> Contender { Contender.all.first { $0.name == name }! }

    private func summary(_ scenario: Scenario, _ name: String, runs: Int = 1) -> Figures.Summary {
        AlgorithmSimulation.figures(scenario, contender(name), seed: 7, runs: runs).summary
    }

    @Test("random targets of one server are M/M/1 queues: exponential times of mean 1 / (μ - λ)")
    func oneServer() {
        var queues = scenario("equal")
        for index in queues.targets.indices { queues.targets[index].servers = 1 }
        (queues.requestsPerSecond, queues.length) = (100, .seconds(305))
        let mean = 1e6 / (20.0 - 10)
        let found = summary(queues, "random")
        #expect(abs(Double(found.mean) / mean - 1) < 0.04, "\(found.mean)")
        #expect(abs(Double(found.p50) / (mean * log(2)) - 1) < 0.04, "\(found.p50)")
        #expect(abs(Double(found.p99) / (mean * log(100)) - 1) < 0.08, "\(found.p99)")
        #expect(found.errors == 0)
    }

    @Test("random targets of two servers are M/M/2 queues: mean 1 / μ / (1 - ρ²)")
    func twoServers() {
        var queues = scenario("equal")
        queues.length = .seconds(125)
        let found = summary(queues, "random")
        #expect(abs(Double(found.mean) / (50_000 / (1 - 0.36)) - 1) < 0.03, "\(found.mean)")
    }

    @Test("the same seed prints the same lines, another one others")
    func repeatable() {
        func lines(_ seed: UInt64) -> [String] {
            AlgorithmSimulation.table(
                seed: seed, runs: 1, scenarios: [scenario("flapping")],
                contenders: [contender("p2c"), contender("least_time")])
        }
        let first = lines(1)
        #expect(first.count == 3)
        #expect(lines(1) == first)
        #expect(lines(2) != first)
    }

    @Test(
        "every algorithm serves ten equal targets without an error and, but for first, about alike",
        arguments: Contender.all.map(\.name))
    func equal(name: String) {
        var short = scenario("equal")
        short.length = .seconds(20)
        let found = summary(short, name)
        #expect(found.errors == 0)
        #expect(found.p50 > 30_000 && found.max < 2_000_000)
        if name != "first" { #expect((70...130).contains(found.share), "\(found.share)") }
    }

    @Test("a target that fails at once attracts who goes by load, and only them")
    func blackHole() {
        #expect((95...105).contains(summary(scenario("black_hole"), "round_robin").share))
        #expect(summary(scenario("black_hole"), "least_connections").share > 300)
        #expect(summary(scenario("black_hole"), "least_connections").errors > 300)
    }

    @Test("health checks take a flapping target out, and slow start holds a cold one back")
    func guards() {
        let checked = summary(scenario("flapping_checked"), "least_connections")
        let unchecked = summary(scenario("flapping"), "least_connections")
        #expect(checked.errors * 4 < unchecked.errors, "\(checked.errors), \(unchecked.errors)")
        let (cold, slowly) = (
            summary(scenario("cold"), "round_robin"), summary(scenario("cold_slow_start"), "round_robin")
        )
        #expect(slowly.p99 * 2 < cold.p99)
        #expect(slowly.share < cold.share)
    }

    @Test("chance is exponential with mean 1, and the same everywhere")
    func exponential() {
        var chance = Chance(seed: 1)
        #expect((0..<4).map { _ in Int(chance.exponential() * 1e6) } == [4_922_773, 82_637, 502_582, 863_625])
        var (sum, aboveOne, aboveThree) = (0.0, 0, 0)
        for _ in 0..<50_000 {
            let number = chance.exponential()
            sum += number
            if number > 1 { aboveOne += 1 }
            if number > 3 { aboveThree += 1 }
        }
        #expect(abs(sum / 50_000 - 1) < 0.02)
        #expect(abs(Double(aboveOne) / 50_000 - exp(-1)) < 0.007)
        #expect(abs(Double(aboveThree) / 50_000 - exp(-3)) < 0.003)
    }

    @Test("events come in the order of their times, and of one time in the order of their entry")
    func order() {
        var queue = EventQueue<Int>()
        var chance = Chance(seed: 3)
        let times = (0..<500).map { _ in Int64(chance.below(50)) }
        for (number, time) in times.enumerated() { queue.insert(number, at: time) }
        let expected = times.indices.sorted { (times[$0], $0) < (times[$1], $1) }
        var found: [Int] = []
        while let next = queue.removeFirst() { found.append(next.event) }
        #expect(found == expected)
    }
}
