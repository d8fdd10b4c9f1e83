import PoiseModel

/// When tables are made anew that go by weights which have changed: at once, and then not before a rest of some times as long as
/// that took. Whatever changes meanwhile is one change.
///
///     resting --stale, rested--> building --built--> resting
///        └-----stale, not rested--> waiting --rested--^
///
/// So agents that say another weight with each report, or a script over thousands of targets, cost a fifth of a core and no
/// more, and one change is in force within milliseconds. Rejected: a fixed interval. It would be too long for a group of
/// three, where a table takes a tenth of a millisecond, or too short for a ring of ten thousand, which takes half a second.
struct TableRenewal {
    /// How many times as long as it worked it rests.
    static let restFactor: Int64 = 4

    private enum State: Equatable {
        case resting(until: MonotonicTime)
        case waiting
        case building
    }
    private var state = State.resting(until: MonotonicTime(nanoseconds: .min))

    enum Action: Equatable {
        case none
        case build
        case wake(MonotonicTime)
    }

    /// Some table is stale; may be told as often as somebody looks.
    mutating func isStale(at now: MonotonicTime) -> Action {
        switch state {
        case .waiting, .building: return .none
        case .resting(let end) where now < end:
            state = .waiting
            return .wake(end)
        case .resting:
            state = .building
            return .build
        }
    }

    /// The time that was asked for with `wake` has come.
    mutating func rested() -> Action {
        switch state {
        case .waiting:
            state = .building
            return .build
        case .resting, .building: return .none
        }
    }

    /// - Parameter time: what it took to make them.
    mutating func built(in time: Nanoseconds, at now: MonotonicTime) {
        state = .resting(until: now + time * Self.restFactor)
    }
}
