/// An operator's weight of a target that an apply put an end to.
public struct OverrideEnd: Sendable, Equatable {
    public var group: String
    public var target: String
    /// What the operator had set, 0...256.
    public var weight: Int
    /// What the file says now.
    public var configured: Int
}

/// All that ended at one time.
public struct OverrideEnds: Sendable, Equatable {
    /// More are only counted.
    static let listMax = 8

    /// In the order of the groups' targets.
    public private(set) var first: [OverrideEnd] = []
    public private(set) var count = 0

    mutating func append(_ end: OverrideEnd) {
        count += 1
        if first.count < Self.listMax { first.append(end) }
    }
}

/// Whoever set a weight, or took a target out by 0, must hear that it is no longer so.
extension HealthEngine {
    /// Ends what an operator said of the target's weight, if anything: the file says something new of it.
    func endOverride(of target: TargetRecord, configured: Int) {
        guard let weight = target.operatorWeight else { return }
        target.operatorWeight = nil
        overrideEnds.append(
            OverrideEnd(group: target.group.id, target: target.label, weight: weight, configured: configured))
    }

    func tellOverrideEnds() {
        guard overrideEnds.count > 0 else { return }
        observe(.overridesEnded(overrideEnds))
        overrideEnds = OverrideEnds()
    }
}

extension OverrideEnds {
    /// Lines for the operational log.
    var report: [OperationalEvent] {
        let lines = first.map { end in
            OperationalEvent(
                .info, "an operator's weight has ended",
                [
                    ("group", end.group), ("target", end.target), ("weight", "\(end.weight)"),
                    ("configured", "\(end.configured)"),
                ])
        }
        guard count > first.count else { return lines }
        return lines + [
            OperationalEvent(.info, "more operators' weights have ended", [("count", "\(count - first.count)")])
        ]
    }
}
