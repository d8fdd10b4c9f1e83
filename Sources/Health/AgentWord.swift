import PoiseModel

/// What an agent's reports add up to. What a report leaves out stays as it was, as with HAProxy.
///
/// Its silence takes nothing down, and it brings nothing up either: `down`, `drain` and `maint` hold until the agent
/// itself says otherwise, since a machine under maintenance has no agent. Weight and limit are of the moment: they are
/// forgotten once the agent has been silent for some probes in a row.
///
///                     down, fail, stopped               drain               maint
///     up, or no word ─────────────────────> down   any ───────> draining   any ───────> maintenance
///                    <─────────────────────              <──────────── ready ────────
///                               up
public struct AgentWord: Sendable, Equatable {
    public private(set) var isDown = false
    public private(set) var administration = AgentReport.Administration.ready
    /// Of the configured weight; `nil`: all of it.
    public private(set) var weightPercent: Int?
    /// `nil`: as configured.
    public private(set) var connectionsMax: Int?
    /// Probes in a row without a word.
    public private(set) var silentProbes = 0

    public init() {}

    /// Why the target takes no new flows by the agent's word, besides being down.
    public var pause: TargetReason? {
        switch administration {
        case .ready: nil
        case .drain: .agentDrain
        case .maint: .agentMaintenance
        }
    }

    public mutating func heard(_ report: AgentReport) {
        guard !report.isEmpty else { return }
        silentProbes = 0
        switch report.health {
        case .up: isDown = false
        case .down, .fail, .stopped: isDown = true
        case nil: break
        }
        if let administration = report.administration { self.administration = administration }
        if let percent = report.weightPercent { weightPercent = percent }
        if let most = report.connectionsMax { connectionsMax = most == 0 ? nil : most }
    }

    /// A probe without a word that could be understood.
    ///
    /// - Parameter limit: of probes in a row, 1 or more; with the last of them, weight and limit are forgotten.
    public mutating func wasSilent(limit: Int) {
        silentProbes = min(silentProbes + 1, limit)
        guard silentProbes >= limit else { return }
        (weightPercent, connectionsMax) = (nil, nil)
    }

    /// Of several agents of one target: down or paused by any of them, and the least weight and limit.
    public func together(with other: Self) -> Self {
        var both = self
        both.isDown = isDown || other.isDown
        if administration == .ready || other.administration == .maint { both.administration = other.administration }
        both.weightPercent = [weightPercent, other.weightPercent].compactMap(\.self).min()
        both.connectionsMax = [connectionsMax, other.connectionsMax].compactMap(\.self).min()
        return both
    }
}
