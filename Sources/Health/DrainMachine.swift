import PoiseModel

/// A target leaving service. New flows stop at once, old ones get `delay` to finish.
///
///     serving ──deregister──> draining ──last flow ends, or deadline──> unused
///        ^                       │                                        │
///        └───────register────────┴────────────────register────────────────┘
public struct DrainMachine: Sendable {
    enum State: Equatable {
        case serving(flows: Int)
        case draining(flows: Int, deadline: MonotonicTime)
        case unused
    }
    public enum Action: Equatable, Sendable {
        case none
        case startTimer(MonotonicTime)
        case cancelTimer
        /// Out of service; `flowsLeft` are over their time and to be cut.
        case reportUnused(flowsLeft: Int)
    }
    private(set) var state = State.serving(flows: 0)

    public init() {}

    /// When flows that are left will be cut; `nil` unless draining.
    public var deadline: MonotonicTime? {
        switch state {
        case .serving, .unused: nil
        case .draining(_, let deadline): deadline
        }
    }

    /// The target's flows in progress, summed over the workers, as often as they are looked at.
    public mutating func flowsChanged(to flows: Int) -> Action {
        switch state {
        case .serving:
            state = .serving(flows: flows)
            return .none
        case .draining(_, let deadline):
            guard flows == 0 else {
                state = .draining(flows: flows, deadline: deadline)
                return .none
            }
            state = .unused
            return .reportUnused(flowsLeft: 0)
        case .unused:
            return .none
        }
    }

    /// - Parameter delay: 0 cuts what is left at once.
    public mutating func deregister(at now: MonotonicTime, delay: Nanoseconds) -> Action {
        switch state {
        case .serving(let flows):
            guard flows > 0, delay.count > 0 else {
                state = .unused
                return .reportUnused(flowsLeft: flows)
            }
            state = .draining(flows: flows, deadline: now + delay)
            return .startTimer(now + delay)
        case .draining, .unused:
            return .none  // Idempotent, like the API: a second call never extends the delay.
        }
    }

    /// The timer fired. One that fires early changes nothing but starts again.
    public mutating func timerFired(at now: MonotonicTime) -> Action {
        switch state {
        case .draining(let flows, let deadline):
            guard now >= deadline else { return .startTimer(deadline) }
            state = .unused
            return .reportUnused(flowsLeft: flows)
        case .serving, .unused:
            return .none
        }
    }

    /// Back into service.
    public mutating func register() -> Action {
        switch state {
        case .serving:
            return .none
        case .draining(let flows, _):
            state = .serving(flows: flows)
            return .cancelTimer
        case .unused:
            state = .serving(flows: 0)
            return .none
        }
    }
}
