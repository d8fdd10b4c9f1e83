import Glibc
import PoiseModel

/// Every algorithm in every scenario, as CSV: `swift run -c release balancing-simulation [SEED [RUNS]]`.
///
/// The same seed and runs print the same bytes on every machine. `Benchmarks/algorithm_tables.py` makes tables and plots of it.
@main struct AlgorithmSimulation {
    static func main() {
        let numbers = CommandLine.arguments.dropFirst().map { UInt64($0) }
        guard numbers.count <= 2, numbers.allSatisfy({ $0 != nil }) else {
            print("usage: balancing-simulation [SEED [RUNS]]")
            exit(2)
        }
        let seed = numbers.first.flatMap { $0 } ?? 1
        let runs = numbers.count == 2 ? Int(numbers[1]!) : 5
        for line in table(seed: seed, runs: runs) { print(line) }
    }

    static func table(
        seed: UInt64, runs: Int, scenarios: [Scenario] = Scenario.all, contenders: [Contender] = Contender.all
    ) -> [String] {
        var lines = ["scenario,title,odd,algorithm,mean_ms,p50_ms,p99_ms,max_ms,errors_percent,share_percent,requests"]
        for scenario in scenarios {
            for contender in contenders {
                let row = figures(scenario, contender, seed: seed, runs: runs).summary
                let times = [row.mean, row.p50, row.p99, row.max].map { tenths(($0 + 50) / 100) }
                let shares = [row.errors, row.share].map(tenths)
                let words = [scenario.name, scenario.title, scenario.oddTarget, contender.name].map { "\"\($0)\"" }
                lines.append((words + times + shares + [String(row.requests)]).joined(separator: ","))
            }
        }
        return lines
    }

    /// - Returns: those of all runs, each with a seed of its own.
    static func figures(_ scenario: Scenario, _ contender: Contender, seed: UInt64, runs: Int) -> Figures {
        var all = Figures()
        for run in 0..<runs {
            var simulation = GroupSimulation(scenario, contender, seed: seed &* 1_000_003 &+ UInt64(run))
            all.add(simulation.run())
        }
        return all
    }

    private static func tenths(_ number: Int) -> String { "\(number / 10).\(number % 10)" }
}
