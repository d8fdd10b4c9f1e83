import PoiseHealth
import PoiseModel
import PoisePlatform

/// Targets that the resolver has taken away from names which the group still has. DNS takes addresses away and brings them back, by rotation
/// or as a registry finds them dead: what operators said of one of them, and what was told of it, holds while it is away.
struct AbsentTargets {
    /// Of one name: whoever has more addresses than that, in turn, is given new ones rather than the old ones back.
    static let perNameMax = 256

    private var targets: [SocketAddress: TargetRecord] = [:]
    /// The oldest first.
    private var order: [TargetAddress: [SocketAddress]] = [:]

    var isEmpty: Bool { targets.isEmpty }
    var all: [TargetRecord] { order.values.joined().compactMap { targets[$0] } }

    /// - Parameter target: one with an address.
    /// - Returns: the one of the same name that is forgotten for it.
    mutating func add(_ target: TargetRecord, of name: TargetAddress) -> TargetRecord? {
        guard let address = target.compiled?.address else { return nil }
        targets[address] = target
        order[name, default: []].append(address)
        guard order[name]!.count > Self.perNameMax else { return nil }
        return targets.removeValue(forKey: order[name]!.removeFirst())
    }

    /// The target at `address` is back, under whatever name.
    mutating func take(_ address: SocketAddress) -> TargetRecord? {
        guard let target = targets.removeValue(forKey: address) else { return nil }
        for name in order.keys { order[name]!.removeAll { $0 == address } }
        return target
    }

    /// - Returns: those of other names, which are forgotten.
    mutating func keepOnly(_ names: Set<TargetAddress>) -> [TargetRecord] {
        var forgotten: [TargetRecord] = []
        for (name, addresses) in order where !names.contains(name) {
            forgotten += addresses.compactMap { targets.removeValue(forKey: $0) }
            order[name] = nil
        }
        return forgotten
    }

    func target(_ label: String) -> TargetRecord? { targets.values.first { $0.label == label } }
}

/// What was known of a target is forgotten.
public struct ForgottenTarget: Sendable, Equatable {
    public enum Cause: Sendable, Equatable {
        /// The configuration has it no more.
        case removed
        /// Its name has had too many other addresses since it left.
        case crowdedOut
    }
    public var group: String
    public var target: String
    public var cause: Cause
    /// What an operator had said of it: `drain`, `weight 7`; empty where nobody did.
    public var words: [String]

    /// A line for the operational log.
    var report: OperationalEvent {
        var fields = [("group", group), ("target", target)]
        if !words.isEmpty { fields.append(("operator", words.joined(separator: ", "))) }
        let message =
            switch cause {
            case .removed: "an operator's word is forgotten with its target"
            case .crowdedOut: "an address that left its name is forgotten: many others came since"
            }
        return OperationalEvent(.info, message, fields.map { ($0.0, $0.1) })
    }
}
