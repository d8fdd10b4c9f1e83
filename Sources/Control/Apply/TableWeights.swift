import PoiseBalancing
import PoiseModel
import PoisePlatform
import PoiseProxy

/// What the tables of `maglev` and `ring` are made of: the configured weights, and where an operator or an agent has raised one,
/// that.
///
/// A table must not depend on health, or a target that fails would move the keys of others. It does not go down with a
/// lowered weight either: a target below its weight in the table takes that part of its keys, and the others keep theirs. So
/// all that makes another table is a weight above the configured one, and the same weights make the same table everywhere.
struct TableWeights: Sendable {
    struct Raised: Sendable, Equatable {
        /// What the configuration said when it was raised: where that changes, it is the configuration's again.
        var configured: Int
        /// Effective, in 256ths.
        var weight: Int
    }

    /// By group and address.
    private(set) var raised: [String: [SocketAddress: Raised]] = [:]

    init() {}

    /// - Parameter groups: of which those without a table do not count.
    init(_ groups: some Sequence<GroupRecord>) {
        for group in groups where group.settings.goesByTable {
            for target in group.targets {
                guard let compiled = target.compiled, target.tableWeight > EffectiveWeight.of(compiled.settings.weight)
                else { continue }
                raised[group.id, default: [:]][compiled.address] = Raised(
                    configured: compiled.settings.weight, weight: target.tableWeight)
            }
        }
    }

    /// - Returns: one per target; empty where no weight is raised.
    func weights(of group: TargetGroup, _ targets: [CompiledTarget]) -> [Int] {
        guard group.goesByTable, let raised = raised[group.id] else { return [] }
        let weights = targets.map { target in
            raised[target.address].flatMap { $0.configured == target.settings.weight ? $0.weight : nil }
                ?? EffectiveWeight.of(target.settings.weight)
        }
        return zip(weights, targets).allSatisfy { $0 == EffectiveWeight.of($1.settings.weight) } ? [] : weights
    }
}

extension TargetGroup {
    /// Keys find their targets in a table that is made of weights; rendezvous asks for the weights in force.
    var goesByTable: Bool { algorithm.isKeyed && algorithmOptions.table != .rendezvous }
}

extension TargetRecord {
    /// What a table has to know of it, 0...65,536.
    var tableWeight: Int { max(EffectiveWeight.of(compiled?.settings.weight ?? 0), fullWeight) }
}

extension GroupRecord {
    /// The table in force is made of other weights than there are now.
    var hasStaleTable: Bool {
        guard settings.goesByTable else { return false }
        let made = compiled.tableWeights
        return targets.indices.contains { index in
            let configured = EffectiveWeight.of(targets[index].compiled?.settings.weight ?? 0)
            return targets[index].tableWeight != (made.isEmpty ? configured : made[index])
        }
    }
}

extension HealthEngine {
    var tableWeights: TableWeights { TableWeights(groups.values) }

    /// Part of each evaluation of a group.
    func noteTable(of group: GroupRecord) {
        if group.hasStaleTable { staleTables.insert(group.id) } else { staleTables.remove(group.id) }
    }
}
