import PoiseBalancing
import PoiseHealth
import PoiseModel
import Testing

@testable import PoiseControl

private func notification(_ number: Int) -> PoiseControl.Notification {
    Notification(
        id: "\(number)", event: .targetDown, group: "web", target: "10.0.0.1:80", state: "unhealthy",
        previousState: "healthy", reason: "timeout", evidence: "", since: "", healthy: 0, targets: 1, minimum: nil)
}

@Suite("The queue of a hook")
struct DeliveryQueueTests {
    private func queue(retries: Int = 3, backoff: Nanoseconds = .seconds(1), length: Int = 1000) -> DeliveryQueue {
        DeliveryQueue(policy: .init(retries: retries, backoff: backoff, lengthMax: length))
    }

    @Test("one at a time, in order, and nothing twice")
    func order() {
        var queue = queue()
        #expect(queue.next(at: at(0)) == .none)
        for number in 0..<700 { #expect(queue.add(notification(number)) == nil) }
        for number in 0..<700 {
            #expect(queue.next(at: at(0)) == .deliver(notification(number), attempt: 1))
            // Under way.
            #expect(queue.next(at: at(0)) == .none)
            #expect(queue.count == 700 - number)
            #expect(queue.ended(.delivered, at: at(0), random: 0) == nil)
        }
        #expect(queue.next(at: at(0)) == .none)
        #expect(queue.delivered == 700 && queue.failed == 0 && queue.dropped == 0 && queue.count == 0)
    }

    @Test("a failure is tried again after pauses that double, give or take a quarter; then it is given up")
    func retries() throws {
        for random: UInt64 in [0, .max, 12_345] {
            var queue = queue(retries: 3)
            _ = queue.add(notification(1))
            _ = queue.add(notification(2))
            #expect(queue.next(at: at(0)) == .deliver(notification(1), attempt: 1))
            var now = at(0)
            for (attempt, pause) in [(2, 1.0), (3, 2.0), (4, 4.0)] {
                #expect(queue.ended(.failed("no"), at: now, random: random) == nil)
                guard case .wait(let time) = queue.next(at: now) else {
                    Issue.record("no pause")
                    return
                }
                let length = (time - now).seconds
                #expect(length >= pause * 0.75 && length <= pause * 1.25)
                #expect(queue.next(at: MonotonicTime(nanoseconds: time.nanoseconds - 1)) == .wait(until: time))
                now = time
                #expect(queue.next(at: now) == .deliver(notification(1), attempt: attempt))
            }
            #expect(
                queue.ended(.failed("still no"), at: now, random: random)
                    == .init(notification: notification(1), reason: "still no", tries: 4))
            #expect(queue.next(at: now) == .deliver(notification(2), attempt: 1))
            #expect(queue.failed == 1 && queue.retried == 3)
        }
    }

    @Test("a pause is five minutes at most, however many tries there were")
    func longestPause() {
        var queue = queue(retries: 100, backoff: .seconds(200))
        _ = queue.add(notification(1))
        var now = at(0)
        for _ in 0..<100 {
            #expect(queue.next(at: now) != .none)
            _ = queue.ended(.failed("no"), at: now, random: .max)
            guard case .wait(let time) = queue.next(at: now) else {
                Issue.record("no pause")
                return
            }
            #expect((time - now).seconds <= 375)
            now = time
        }
    }

    @Test("what is refused is not tried again")
    func refused() {
        var queue = queue()
        _ = queue.add(notification(1))
        _ = queue.next(at: at(0))
        #expect(queue.ended(.refused("status 400"), at: at(0), random: 0)?.tries == 1)
        #expect(queue.failed == 1 && queue.retried == 0 && queue.next(at: at(0)) == .none)
    }

    @Test("a full queue drops its oldest, and never the one that is being delivered")
    func overflow() {
        var queue = queue(length: 10)
        _ = queue.add(notification(0))
        _ = queue.next(at: at(0))
        for number in 1...10 { #expect(queue.add(notification(number)) == nil) }
        for number in 11...10_000 { #expect(queue.add(notification(number)) == notification(number - 10)) }
        #expect(queue.dropped == 9990 && queue.count == 11)
        #expect(queue.ended(.delivered, at: at(0), random: 0) == nil)
        for number in 9991...10_000 {
            #expect(queue.next(at: at(0)) == .deliver(notification(number), attempt: 1))
            _ = queue.ended(.delivered, at: at(0), random: 0)
        }
        // Each is in exactly one of the counts.
        #expect(queue.delivered + queue.dropped + queue.failed == 10_001)
    }
}

@Suite("Changes of health become events")
struct EventFilterTests {
    private func change(
        _ state: TargetState, _ reason: TargetReason = .none, target: String = "a", group: String = "web"
    ) -> HealthTransition {
        let status = TargetHealth.Status(state: state, reason: reason, since: .zero)
        return HealthTransition(group: group, target: target, from: status, to: status)
    }

    @Test("a target's downs and ups alternate, beginning with a down, whatever comes in between")
    func alternate() {
        var filter = EventFilter()
        #expect(filter.event(change(.initial, .initialChecks)) == nil)
        #expect(filter.event(change(.healthy)) == nil)
        #expect(filter.event(change(.unhealthy, .timeout)) == .targetDown)
        #expect(filter.event(change(.unhealthy, .connectionRefused)) == nil)
        #expect(filter.event(change(.draining, .drainedByOperator)) == nil)
        #expect(filter.event(change(.unused, .drainedByOperator)) == nil)
        #expect(filter.event(change(.unhealthy, .timeout)) == nil)
        #expect(filter.event(change(.healthy)) == .targetUp)
        #expect(filter.event(change(.healthy, .checksDisabled)) == nil)
    }

    @Test("targets and groups are told apart; what is removed is forgotten")
    func apart() {
        var filter = EventFilter()
        #expect(filter.event(change(.unhealthy, target: "a")) == .targetDown)
        #expect(filter.event(change(.unhealthy, target: "b")) == .targetDown)
        #expect(filter.event(change(.unhealthy, target: "a", group: "api")) == .targetDown)
        #expect(filter.count == 3)
        #expect(filter.event(change(.draining, .deregistration, target: "a")) == nil)
        #expect(filter.event(change(.healthy, target: "a")) == nil)
        filter.keep { $0.group == "web" }
        #expect(filter.event(change(.healthy, target: "a", group: "api")) == nil)
        #expect(filter.event(change(.healthy, target: "b")) == .targetUp)
        #expect(filter.count == 0)
    }

    @Test(
        "a group is down without a usable target, backups included, and up with one",
        arguments: [
            ([.ordinary, .backup, .ordinary], []), ([.failOpen, .none, .sorry], [.groupDown]),
            ([.backup, .none, .ordinary, .failOpen, .backup], [.groupDown, .groupUp, .groupDown, .groupUp]),
        ] as [([Availability], [NotifyEvent])])
    func groups(availabilities: [Availability], events: [NotifyEvent]) {
        var filter = EventFilter()
        #expect(availabilities.compactMap { filter.event($0, of: "web", isUsed: true) } == events)
    }

    @Test("while a group is down, who was told to answer for it is remembered, whoever does by now")
    func toldLast() {
        var filter = EventFilter()
        #expect(filter.toldAvailability(of: "web") == nil)
        #expect(filter.event(.none, of: "web", isUsed: true) == .groupDown)
        #expect(filter.event(.failOpen, of: "web", isUsed: true) == nil)
        #expect(filter.toldAvailability(of: "web") == Availability.none)
        #expect(filter.event(.backup, of: "web", isUsed: true) == .groupUp)
        #expect(filter.toldAvailability(of: "web") == nil)
        _ = filter.event(.sorry, of: "web", isUsed: true)
        filter.keep(groups: [])
        #expect(filter.count == 0)
    }

    @Test("nobody misses a group that no rule leads to; its return is no event either")
    func unused() {
        var filter = EventFilter()
        #expect(filter.event(.none, of: "web", isUsed: false) == nil)
        #expect(filter.event(.ordinary, of: "web", isUsed: true) == nil)
    }

    @Test("a minimum that is missed and met alternates")
    func minimum() {
        var filter = EventFilter()
        #expect(filter.event(isBelowMinimum: false, of: "web") == nil)
        #expect(filter.event(isBelowMinimum: true, of: "web") == .groupBelowMinimum)
        #expect(filter.event(isBelowMinimum: true, of: "web") == nil)
        #expect(filter.event(isBelowMinimum: false, of: "web") == .groupMinimumMet)
        #expect(filter.event(isBelowMinimum: false, of: "web") == nil)
    }

    @Test("a random history of ten targets: per target the events alternate")
    func random() {
        let seed = UInt64.random(in: 0 ... .max)
        var numbers = RandomSequence(seed: seed)
        let states: [TargetState] = [.healthy, .unhealthy, .unhealthy, .draining, .unused, .initial]
        var filter = EventFilter()
        var last: [String: NotifyEvent] = [:]
        for _ in 0..<10_000 {
            let target = "\(numbers.next() % 10)"
            let state = states[Int(numbers.next() % UInt64(states.count))]
            guard let event = filter.event(change(state, .drainedByOperator, target: target)) else { continue }
            #expect(last[target] == nil ? event == .targetDown : event != last[target], "seed \(seed)")
            last[target] = event
        }
        #expect(last.count == 10)
    }
}

@Suite("What a hook is told")
struct NotificationTests {
    @Test("an environment has every name, and a NUL nowhere")
    func environment() {
        var one = notification(7)
        (one.evidence, one.target) = ("a\u{0}b", nil)
        let environment = one.environment
        #expect(environment["POISE_EVIDENCE"] == "ab")
        #expect(environment["POISE_TARGET"] == "" && environment["POISE_MINIMUM"] == "")
        #expect(environment["POISE_EVENT"] == "target_down" && environment["POISE_EVENT_ID"] == "7")
        #expect(environment.count == 12)
    }

    @Test("an object has nulls where there is nothing, and quotes what needs it")
    func json() {
        var one = notification(7)
        (one.evidence, one.target) = ("say \"no\"\n", nil)
        #expect(
            String(decoding: one.json, as: UTF8.self)
                == #"{"id":"7","event":"target_down","group":"web","target":null,"state":"unhealthy","#
                + #""previous_state":"healthy","reason":"timeout","evidence":"say \"no\"\n","since":"","#
                + #""healthy":0,"targets":1,"minimum":null}"#)
    }

    @Test("what a history remembers is small")
    func size() { #expect(MemoryLayout<HistoryEntry>.stride <= 64) }
}

@Suite("Commands that are sent")
struct CommandAuthorityTests {
    private func configuration(_ commands: [[String]], allows: Bool = false) -> Configuration {
        var configuration = Configuration(listeners: [], targetGroups: [])
        configuration.process.allowsCommandsByAdmin = allows
        configuration.notify = commands.map {
            var hook = NotifyHook()
            (hook.events, hook.command) = ([.targetDown], $0)
            return hook
        }
        return configuration
    }

    @Test("those of the file may be sent, word for word; others are refused at their place")
    func fromFile() {
        let authority = CommandAuthority(configuration([["/bin/a", "1"], ["/bin/b"]]))
        #expect(authority.problems(in: configuration([])) == [])
        #expect(authority.problems(in: configuration([["/bin/b"], ["/bin/a", "1"], ["/bin/b"]])) == [])
        let problems = authority.problems(
            in: configuration([["/bin/b"], ["/bin/a"], ["/bin/b", ""], ["/bin/a", "1", "2"]]))
        #expect(problems.map(\.path) == ["notify[1].command", "notify[2].command", "notify[3].command"])
        #expect(CommandAuthority().problems(in: configuration([["/bin/b"]])).count == 1)
    }

    @Test("the file may allow all; what is sent cannot allow itself")
    func allowed() {
        #expect(
            CommandAuthority(configuration([], allows: true)).problems(in: configuration([["/x"]], allows: true)) == [])
        let problems = CommandAuthority(configuration([])).problems(in: configuration([["/x"]], allows: true))
        #expect(problems.map(\.path) == ["notify[0].command", "process.admin.allow_commands"])
        #expect(problems.allSatisfy { $0.code == .notAllowed })
    }
}
