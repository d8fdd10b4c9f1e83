import PoiseBalancing
import PoiseModel

/// What algorithms may cost, at 10,000 targets: `balancing-bench check [PICKS]`; the exit status is 1 where one costs more.
///
/// Time is CPU time and the best of five runs. `Tests/Scripts/test_algorithm_scripts.py` also counts allocations, by comparing
/// two numbers of picks.
enum CostCheck {
    static let targets = 10_000
    static let pickMax = 1_000.0, changeMax = 10_000.0, tableMax = 10_000_000.0

    /// - Returns: whether everything is within its bound.
    static func run(picks: Int) -> Bool {
        print("at 10,000 targets (ns)                  pick (\(Int(pickMax)))   change (\(Int(changeMax)))")
        var isWithin = true
        for algorithm in Algorithm.allCases where algorithm != .hash {
            isWithin = check(algorithm, algorithm.rawValue, AlgorithmOptions(), picks) && isWithin
        }
        for table in HashTable.allCases {
            for bound in [nil, 125] {
                var options = AlgorithmOptions()
                (options.table, options.boundedLoadPercent) = (table, bound)
                isWithin = check(.hash, "hash \(table)\(bound == nil ? "" : ", bounded")", options, picks) && isWithin
            }
        }
        let table = BalancingBench.best {
            BalancingBench.build(.hash, AlgorithmOptions(), groups: 1, targets: targets)
        }
        let built = table <= tableMax
        print(
            BalancingBench.padded("a Maglev table of 65,537", 40) + BalancingBench.column(table)
                + (built ? "" : "  above \(Int(tableMax))"))
        return isWithin && built
    }

    private static func check(_ algorithm: Algorithm, _ name: String, _ options: AlgorithmOptions, _ picks: Int) -> Bool
    {
        let weights = (0..<targets).map { 256 * (1 + $0 % 4) }
        var scheduler = TieredScheduler(
            algorithm: algorithm, options: options, identities: (0..<targets).map { mix64(UInt64($0)) },
            weights: weights, flowsMax: 20, start: 12_345)
        var view = BalancingBench.View(weights: weights.map { Int32($0) }, loads: Array(repeating: 0, count: targets))
        let pick = BalancingBench.best { BalancingBench.run(&scheduler, &view, picks: picks) }
        let change = BalancingBench.best { BalancingBench.changes(&scheduler, weights) }
        let isWithin = pick <= pickMax && change <= changeMax
        print(
            BalancingBench.padded(name, 40) + BalancingBench.column(pick) + "      " + BalancingBench.column(change)
                + (isWithin ? "" : "  too much"))
        return isWithin
    }
}
