extension TargetGroup {
    /// The algorithm with the options in force: `round_robin`, `p2c(3)`, `hash(header:X-Tenant) ring bounded 125`.
    public var algorithmSummary: String {
        var text = algorithm.rawValue
        let options = algorithmOptions
        if algorithm == .p2c { text += "(\(options.choices))" }
        if algorithm == .hash { text += "(\(options.key.map(\.description).joined(separator: ", ")))" }
        guard algorithm.isKeyed else { return text }
        text += " \(options.table.rawValue)"
        return text + (options.boundedLoadPercent.map { " bounded \($0)" } ?? "")
    }
}
