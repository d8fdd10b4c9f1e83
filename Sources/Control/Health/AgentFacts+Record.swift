import PoiseHealth
import PoiseTelemetry

extension AgentFacts {
    /// - Returns: `nil` for a target without an agent.
    init?(_ record: TargetRecord) {
        guard let word = record.agentWord else { return nil }
        self.init(
            weightPercent: word.weightPercent, connectionsMax: word.connectionsMax, silentProbes: word.silentProbes)
    }
}
