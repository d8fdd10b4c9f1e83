import PoiseModel

/// What the agent of a target has put in force there.
public struct AgentFacts: Sendable, Equatable {
    /// Of the configured weight; `nil`: it said nothing of that.
    public var weightPercent: Int?
    /// In place of the group's `max_connections`; `nil`: it said nothing of that.
    public var connectionsMax: Int?
    /// Probes in a row without a word.
    public var silentProbes: Int

    public init(weightPercent: Int?, connectionsMax: Int?, silentProbes: Int) {
        (self.weightPercent, self.connectionsMax) = (weightPercent, connectionsMax)
        self.silentProbes = silentProbes
    }

    func write(to json: inout JSONText<[UInt8]>) {
        json.beginObject()
        json.key("weight_percent")
        if let weightPercent { json.number(weightPercent) } else { json.null() }
        json.key("max_connections")
        if let connectionsMax { json.number(connectionsMax) } else { json.null() }
        json.member("silent_probes", silentProbes)
        json.endObject()
    }

    /// Of the status table: `by its agent: 75% of the weight, max 30`; `nil` while there is nothing to say.
    var text: String? {
        let parts = [
            weightPercent.map { "\($0)% of the weight" }, connectionsMax.map { "max \($0)" },
            silentProbes > 0 ? "silent for \(silentProbes) probes" : nil,
        ].compactMap(\.self)
        return parts.isEmpty ? nil : "by its agent: \(parts.joined(separator: ", "))"
    }
}
