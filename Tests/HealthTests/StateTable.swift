import PoiseHealth
import PoiseModel

/// What each event makes of each state, found out from ``TargetHealth`` itself: every value that events can lead to is
/// visited, and every event tried on it.
struct StateTable {
    /// The events of the picture, in its words.
    enum Event: String, CaseIterable {
        case pass = "checks pass"
        case fail = "checks fail"
        case unknown = "checks do not know yet"
        case off = "checks are turned off"
        case eject = "ejected"
        case eased = "ejection over"
        case drain = "drained or removed"
        case drained = "flows ended, or time over"
        case register = "put back"
        case pause = "its agent says drain or maint"
        case resume = "its agent says ready"
        case unused = "no rule leads here"

        func apply(to target: inout TargetHealth) {
            let now = at(0)
            _ =
                switch self {
                case .pass: target.checked(.healthy, at: now)
                case .fail: target.checked(.unhealthy(.timeout), at: now)
                case .unknown: target.checked(.initial(takesTraffic: false), at: now)
                case .off: target.checked(nil, at: now)
                case .eject: target.ejected(.consecutiveFailures, at: now)
                case .eased: target.returned(at: now)
                case .drain: target.drain(.drainedByOperator, at: now)
                case .drained: target.drained(at: now)
                case .register: target.undrain(at: now)
                case .pause: target.paused(.agentDrain, at: now)
                case .resume: target.paused(nil, at: now)
                case .unused: target.groupUnused(at: now)
                }
        }
    }

    struct Step: Hashable {
        var from: TargetState
        var event: Event
    }

    /// Where an event may lead from a state; several, where what the state hides decides.
    private(set) var ends: [Step: Set<TargetState>] = [:]
    private(set) var visited: [TargetHealth] = []

    init() {
        let start = [nil, ActiveCheck.Verdict.initial(takesTraffic: true)].map { TargetHealth(verdict: $0, at: at(0)) }
        visited = start
        var next = 0
        while next < visited.count {
            let target = visited[next]
            next += 1
            for event in Event.allCases {
                var changed = target
                event.apply(to: &changed)
                ends[Step(from: target.status.state, event: event), default: []].insert(changed.status.state)
                if !visited.contains(changed) { visited.append(changed) }
            }
        }
    }

    /// Events that may lead from one state to another one, in their order.
    func events(from: TargetState, to: TargetState) -> [Event] {
        Event.allCases.filter { ends[Step(from: from, event: $0)]?.contains(to) == true }
    }

    /// A row for each event, a column for each state. `–`: nothing happens.
    var markdown: String {
        var text = "| event | " + TargetState.allCases.map { "in `\($0.name)`" }.joined(separator: " | ") + " |\n"
        text += "|---|" + String(repeating: "---|", count: TargetState.allCases.count) + "\n"
        for event in Event.allCases {
            let cells = TargetState.allCases.map { state in
                let ends = (self.ends[Step(from: state, event: event)] ?? []).sorted { $0.rawValue < $1.rawValue }
                return ends == [state] ? "–" : ends.map(\.name).joined(separator: " or ")
            }
            text += "| \(event.rawValue) | \(cells.joined(separator: " | ")) |\n"
        }
        return text
    }
}
