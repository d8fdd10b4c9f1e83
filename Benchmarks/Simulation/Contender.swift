import PoiseModel

/// An algorithm with its options, under the name that the tables have for it.
struct Contender {
    var name: String
    var algorithm: Algorithm
    var options = AlgorithmOptions()

    /// Every algorithm there is; `hash` with each of its tables, and with a bound.
    static let all: [Contender] = Algorithm.allCases.flatMap { algorithm in
        guard algorithm == .hash else { return [Contender(name: algorithm.rawValue, algorithm: algorithm)] }
        let tables = HashTable.allCases.map { table in
            var contender = Contender(name: "hash \(table)", algorithm: .hash)
            contender.options.table = table
            return contender
        }
        var bounded = Contender(name: "hash maglev, bounded_load 125", algorithm: .hash)
        bounded.options.boundedLoadPercent = 125
        return tables + [bounded]
    }

    /// What changes weights while the group runs, beyond health.
    func weightFactors(in scenario: Scenario) -> [any WeightFactor] {
        scenario.slowStart > .zero ? [SlowStartFactor(scenario)] : []
    }
}
