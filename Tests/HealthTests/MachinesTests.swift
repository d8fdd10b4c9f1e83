import PoiseModel
import Testing

@testable import PoiseHealth

@Suite("Drain machine")
struct DrainMachineTests {
    @Test("an idle target is unused at once, a busy one when its last flow ends")
    func flows() {
        var idle = DrainMachine()
        #expect(idle.deregister(at: at(1), delay: .seconds(300)) == .reportUnused(flowsLeft: 0))

        var busy = DrainMachine()
        #expect(busy.flowsChanged(to: 2) == .none)
        #expect(busy.deregister(at: at(1), delay: .seconds(300)) == .startTimer(at(301)))
        #expect(busy.flowsChanged(to: 1) == .none)
        #expect(busy.deadline == at(301))
        #expect(busy.flowsChanged(to: 0) == .reportUnused(flowsLeft: 0))
        #expect(busy.flowsChanged(to: 0) == .none, "reported once")
        #expect(busy.timerFired(at: at(301)) == .none)
    }

    @Test("the deadline cuts what is left, and a second call does not move it")
    func deadline() {
        var drain = DrainMachine()
        _ = drain.flowsChanged(to: 3)
        _ = drain.deregister(at: at(0), delay: .seconds(30))
        #expect(drain.deregister(at: at(20), delay: .seconds(30)) == .none)
        #expect(drain.timerFired(at: at(29)) == .startTimer(at(30)), "too early")
        #expect(drain.timerFired(at: at(30)) == .reportUnused(flowsLeft: 3))
        #expect(drain.state == .unused)
        #expect(drain.deregister(at: at(31), delay: .seconds(30)) == .none)

        var atOnce = DrainMachine()
        _ = atOnce.flowsChanged(to: 3)
        #expect(atOnce.deregister(at: at(0), delay: .zero) == .reportUnused(flowsLeft: 3))
    }

    @Test("a target that is put back keeps its flows and needs no timer")
    func register() {
        var drain = DrainMachine()
        #expect(drain.register() == .none)
        _ = drain.flowsChanged(to: 3)
        _ = drain.deregister(at: at(0), delay: .seconds(30))
        #expect(drain.register() == .cancelTimer)
        #expect(drain.state == .serving(flows: 3))
        #expect(drain.timerFired(at: at(30)) == .none)
        _ = drain.deregister(at: at(40), delay: .seconds(30))
        _ = drain.timerFired(at: at(70))
        #expect(drain.register() == .none)
        #expect(drain.state == .serving(flows: 0))
    }
}

@Suite("Availability of a group")
struct AvailabilityTests {
    @Test("ordinary, backup, sorry, fail-open, none: in this order, for every combination")
    func order() {
        for bits in 0..<32 {
            let (ordinary, backup, sorry) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0)
            let (open, candidates) = (bits & 8 != 0, bits & 16 != 0)
            let availability = Availability(
                ordinaryUsable: ordinary ? 2 : 0, backupUsable: backup ? 1 : 0, failOpenCandidates: candidates ? 3 : 0,
                failOpen: open ? .whenNoneUsable : .never, hasSorryResponse: sorry)
            let expected: [(Bool, Availability)] = [
                (ordinary, .ordinary), (backup, .backup), (sorry, .sorry), (open && candidates, .failOpen),
                (true, .none),
            ]
            #expect(availability == expected.first { $0.0 }!.1)
        }
    }
}

@Suite("History")
struct HistoryRingTests {
    @Test("keeps the last entries in order", arguments: [1, 2, 7, 100])
    func ring(capacity: Int) {
        var ring = HistoryRing<TargetHealth.Status>(capacity: capacity)
        var all: [TargetHealth.Status] = []
        for number in 0..<250 {
            let status = TargetHealth.Status(
                state: number % 2 == 0 ? .healthy : .unhealthy, reason: .none, since: at(Double(number)))
            ring.append(status)
            all.append(status)
            #expect((0..<ring.count).map { ring[$0] } == all.suffix(capacity))
        }
        #expect(ring.added == 250)
    }

    @Test("an entry takes 16 bytes")
    func size() { #expect(MemoryLayout<TargetHealth.Status>.stride == 16) }
}
