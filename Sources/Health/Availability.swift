import PoiseModel

/// Who answers for a group right now.
public enum Availability: Sendable, Hashable, CaseIterable {
    case ordinary
    /// No ordinary target is usable.
    case backup
    /// Nor is a backup target: another group.
    case backupGroup
    /// Nor does that have one: the group's own answer.
    case sorry
    /// There is none: all targets, as if they were healthy. Loud.
    case failOpen
    /// That is turned off, or there is no target at all: 503.
    case none

    /// - Parameters:
    ///   - ordinaryUsable: ordinary targets with a weight above 0 that are usable.
    ///   - backupUsable: backup targets, the same.
    ///   - backupGroupUsable: whether a backup group, or one of its own, has a usable target.
    ///   - failOpenCandidates: targets with a weight above 0 for which ``TargetHealth/takesFailOpen`` holds.
    ///   - hasSorryResponse: whether the group has one.
    public init(
        ordinaryUsable: Int, backupUsable: Int, backupGroupUsable: @autoclosure () -> Bool = false,
        failOpenCandidates: Int, failOpen: TargetGroup.FailOpen, hasSorryResponse: Bool
    ) {
        if ordinaryUsable > 0 {
            self = .ordinary
        } else if backupUsable > 0 {
            self = .backup
        } else if backupGroupUsable() {
            self = .backupGroup
        } else if hasSorryResponse {
            self = .sorry
        } else if failOpen == .whenNoneUsable, failOpenCandidates > 0 {
            self = .failOpen
        } else {
            self = .none
        }
    }

    /// Requests reach a target that is known to be good.
    public var isServing: Bool {
        switch self {
        case .ordinary, .backup, .backupGroup: true
        case .sorry, .failOpen, .none: false
        }
    }
}
