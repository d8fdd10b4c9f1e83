import PoiseModel

/// An algorithm with its options, under the name that the tables have for it.
struct Contender {
    var name: String
    var algorithm: Algorithm
    var options = AlgorithmOptions()
    /// `anomaly_mitigation: on`.
    var mitigates = false

    /// Every algorithm there is; `hash` with each of its tables, and with a bound; some with anomaly mitigation.
    static let all: [Contender] = each + mitigating

    private static let mitigating = [Algorithm.leastConnections, .sed, .weightedRandom].map { algorithm in
        Contender(name: "\(algorithm.rawValue), anomaly_mitigation", algorithm: algorithm, mitigates: true)
    }

    private static let each: [Contender] = Algorithm.allCases.flatMap { algorithm in
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
        var factors: [any WeightFactor] = []
        if algorithm == .adaptive || mitigates {
            factors.append(TrafficFactor(scenario, adapts: algorithm == .adaptive, mitigates: mitigates))
        }
        if scenario.slowStart > .zero { factors.append(SlowStartFactor(scenario)) }
        return factors
    }
}
