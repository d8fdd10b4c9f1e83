import PoiseHealth
import PoiseModel
import Testing

@Suite("Target health: the state and reason of one target")
struct TargetHealthTests {
    enum Event: String {
        case healthy, unhealthy, refused, initialServing, initialWaiting, checksOff
        case eject, giveBack, drain, deregister, drained, undrain, unused
    }

    private func apply(_ event: Event, to target: inout TargetHealth, at now: MonotonicTime) -> TargetHealth.Change? {
        switch event {
        case .healthy: target.checked(.healthy, at: now)
        case .unhealthy: target.checked(.unhealthy(.timeout), at: now)
        case .refused: target.checked(.unhealthy(.connectionRefused), at: now)
        case .initialServing: target.checked(.initial(takesTraffic: true), at: now)
        case .initialWaiting: target.checked(.initial(takesTraffic: false), at: now)
        case .checksOff: target.checked(nil, at: now)
        case .eject: target.ejected(.consecutiveFailures, at: now)
        case .giveBack: target.returned(at: now)
        case .drain: target.drain(.drainedByOperator, at: now)
        case .deregister: target.drain(.deregistration, at: now)
        case .drained: target.drained(at: now)
        case .undrain: target.undrain(at: now)
        case .unused: target.groupUnused(at: now)
        }
    }

    @Test(
        "events lead to this state, reason and usability",
        arguments: [
            ([], "initial initial_checks", true),
            ([.initialWaiting], "initial initial_checks", false),
            ([.healthy], "healthy none", true),
            ([.unhealthy], "unhealthy timeout", false),
            ([.unhealthy, .refused], "unhealthy connection_refused", false),
            ([.unhealthy, .healthy], "healthy none", true),
            ([.unhealthy, .checksOff], "healthy checks_disabled", true),
            ([.healthy, .eject], "unhealthy consecutive_failures", false),
            ([.healthy, .eject, .giveBack], "healthy none", true),
            ([.healthy, .eject, .unhealthy], "unhealthy timeout", false),
            ([.healthy, .eject, .unhealthy, .healthy], "unhealthy consecutive_failures", false),
            ([.healthy, .eject, .unhealthy, .giveBack], "unhealthy timeout", false),
            ([.checksOff, .eject], "unhealthy consecutive_failures", false),
            ([.eject], "unhealthy consecutive_failures", false),
            ([.healthy, .drain], "draining drained_by_operator", false),
            ([.healthy, .deregister, .drain], "draining deregistration", false),
            ([.healthy, .drain, .unhealthy], "draining drained_by_operator", false),
            ([.healthy, .drain, .unhealthy, .undrain], "unhealthy timeout", false),
            ([.healthy, .eject, .drain, .undrain], "unhealthy consecutive_failures", false),
            ([.healthy, .drain, .drained], "unused drained_by_operator", false),
            ([.healthy, .deregister, .drained, .undrain], "healthy none", true),
            ([.healthy, .drained], "healthy none", true),
            ([.healthy, .unused], "unused no_traffic", false),
            ([.healthy, .unused, .undrain], "healthy none", true),
            ([.healthy, .drain, .unused], "draining drained_by_operator", false),
        ] as [([Event], String, Bool)])
    func table(events: [Event], word: String, usable: Bool) {
        var target = TargetHealth(verdict: .initial(takesTraffic: true), at: at(0))
        for (index, event) in events.enumerated() { _ = apply(event, to: &target, at: at(Double(index + 1))) }
        #expect("\(target.status.state.name) \(target.status.reason.name)" == word)
        #expect(target.isUsable == usable)
    }

    @Test(
        "a name without an address is unhealthy, whatever else is known",
        arguments: [
            ([], "unhealthy dns"), ([.healthy], "unhealthy dns"), ([.unhealthy], "unhealthy dns"),
            ([.healthy, .eject], "unhealthy dns"), ([.drain], "draining drained_by_operator"),
            ([.unused], "unused no_traffic"),
        ] as [([Event], String)])
    func unresolved(events: [Event], word: String) {
        var target = TargetHealth(verdict: .initial(takesTraffic: true), resolves: false, at: at(0))
        for (index, event) in events.enumerated() { _ = apply(event, to: &target, at: at(Double(index + 1))) }
        #expect("\(target.status.state.name) \(target.status.reason.name)" == word)
        #expect(!target.isUsable && !target.takesFailOpen && !target.wantsProbes)
    }

    @Test("a change is reported once, with both statuses and the time of the change")
    func changes() throws {
        var target = TargetHealth(verdict: .initial(takesTraffic: false), at: at(0))
        let up = try #require(target.checked(.healthy, at: at(3)) as TargetHealth.Change?)
        #expect(up.from == .init(state: .initial, reason: .initialChecks, since: at(0)))
        #expect(up.to == .init(state: .healthy, reason: .none, since: at(3)))
        #expect(up.isUsable && up.becameUsable)
        #expect(target.checked(.healthy, at: at(4)) == nil)
        #expect(target.status.since == at(3))
        let other = try #require(target.checked(.unhealthy(.timeout), at: at(5)) as TargetHealth.Change?)
        #expect(!other.isUsable && !other.becameUsable)
        let reason = try #require(target.checked(.unhealthy(.dns), at: at(6)) as TargetHealth.Change?)
        #expect(reason.to.since == at(6))
        #expect(target.ejected(.failureRate, at: at(7)) == nil, "hidden behind the probes' word")
    }

    @Test("usability that changes behind the same word is reported too")
    func sameWord() throws {
        var target = TargetHealth(verdict: .initial(takesTraffic: true), at: at(0))
        let change = try #require(target.checked(.initial(takesTraffic: false), at: at(1)) as TargetHealth.Change?)
        #expect(change.from == change.to)
        #expect(!change.isUsable)
    }

    @Test(
        "fail-open and probes leave out what has no address or is on its way out",
        arguments: [([.unhealthy], true), ([.eject], true), ([.drain], false), ([.unused], false)]
            as [([Event], Bool)])
    func failOpen(events: [Event], expected: Bool) {
        var target = TargetHealth(verdict: .healthy, at: at(0))
        for event in events { _ = apply(event, to: &target, at: at(1)) }
        #expect(target.takesFailOpen == expected)
        #expect(target.wantsProbes == expected)
    }

    @Test("a name without an address is unhealthy from the start; a group without checks is healthy")
    func beginnings() {
        let name = TargetHealth(verdict: .initial(takesTraffic: true), resolves: false, at: at(0))
        #expect(name.status == .init(state: .unhealthy, reason: .dns, since: at(0)))
        #expect(!name.isUsable)
        let unchecked = TargetHealth(verdict: nil, at: at(0))
        #expect(unchecked.status == .init(state: .healthy, reason: .checksDisabled, since: at(0)))
        #expect(unchecked.isUsable)
    }

    @Test("what an agent pauses drains, keeps its other words behind that, and takes no flow even where all are tried")
    func paused() throws {
        var target = TargetHealth(verdict: .healthy, at: at(0))
        let out = try #require(target.paused(.agentDrain, at: at(1)) as TargetHealth.Change?)
        #expect(out.to == .init(state: .draining, reason: .agentDrain, since: at(1)) && !out.isUsable)
        #expect(!target.takesFailOpen && target.wantsProbes)
        #expect(target.paused(.agentDrain, at: at(2)) == nil, "said again, it is no news")
        #expect(target.checked(.unhealthy(.timeout), at: at(3)) == nil, "hidden behind the agent's word")
        let other = try #require(target.paused(.agentMaintenance, at: at(4)) as TargetHealth.Change?)
        #expect(other.to.reason == .agentMaintenance)
        let operated = try #require(target.drain(.drainedByOperator, at: at(5)) as TargetHealth.Change?)
        #expect(operated.to.reason == .drainedByOperator, "an operator's word is stronger")
        _ = target.undrain(at: at(6))
        let back = try #require(target.paused(nil, at: at(7)) as TargetHealth.Change?)
        #expect(back.to == .init(state: .unhealthy, reason: .timeout, since: at(7)) && !back.isUsable)
    }
}
