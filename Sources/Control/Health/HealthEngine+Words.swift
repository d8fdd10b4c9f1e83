import PoiseModel

/// What operators call targets, and what they say of them while they are away.
extension HealthEngine {
    /// All that goes by `target`: the target of this label, be it away, or what a name has for addresses. Empty where nobody does.
    func targets(called target: String, in group: GroupRecord) -> [TargetRecord] {
        if let one = group.targets.first(where: { $0.label == target }) { return [one] }
        let named = group.targets.filter { $0.configuredName == target }
        guard named.isEmpty else { return named }
        return group.absent.target(target).map { [$0] } ?? []
    }

    /// An operator spoke of a name and not of an address: what it gets later is drained too, until it is put back or leaves the file.
    func drainName(_ target: String, of group: GroupRecord, _ isDrained: Bool) {
        guard group.settings.targets.contains(where: { $0.address.isName && "\($0.address)" == target }) else { return }
        if isDrained { group.drainedNames.insert(target) } else { group.drainedNames.remove(target) }
    }
}

extension GroupRecord {
    /// Why nothing can be said of a target that ``HealthEngine/targets(called:in:)`` does not find.
    func refusal(of target: String) -> ConfigError {
        if unresolved.contains(where: { $0.label == target }) {
            return ConfigError(
                code: .unknownName, path: "target",
                problem: "the name '\(target)' of the group '\(id)' has no address now",
                fix: "say it again when the name resolves; 'poise status \(id)/\(target)' tells why it does not")
        }
        let known = Set(targets.map(\.label) + targets.compactMap(\.configuredName) + unresolved.map(\.label)).sorted()
        return ConfigError(
            code: .unknownName, path: "target", problem: "the group '\(id)' has no target '\(target)'",
            fix: Suggestion.fix(for: target, among: known, noneKnown: "it has none"))
    }
}

extension TargetRecord {
    /// The name as the file has it, `shop.test:80`, of a target that is one of its addresses; `nil` of others.
    var configuredName: String? { settings.flatMap { $0.address.isName ? "\($0.address)" : nil } }
}

extension TargetAddress {
    var isName: Bool { if case .name = self { true } else { false } }
}
