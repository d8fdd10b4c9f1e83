import PoiseHealth

extension WeightEvent {
    /// A line for the operational log.
    var report: OperationalEvent {
        let fields = [("group", group), ("target", target), ("percent", "\(percent)")]
        func line(_ level: OperationalEvent.Level, _ message: String, _ more: [(String, String)] = [])
            -> OperationalEvent
        {
            OperationalEvent(level, message, (fields + more).map { ($0.0, $0.1) })
        }
        return switch what {
        case .lowered(let cause): line(.warning, "target gets less than half of its weight", [("cause", cause.name)])
        case .restored: line(.info, "target has its weight again")
        case .anomalous(let isMitigated):
            line(.warning, "target is anomalous", [("mitigation", isMitigated ? "on" : "off")])
        case .normal: line(.info, "target is normal again")
        }
    }
}
