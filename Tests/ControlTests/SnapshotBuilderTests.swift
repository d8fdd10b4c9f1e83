import PoiseLive
import PoiseModel
import PoisePlatform
import PoiseProxy
import Testing

@testable import PoiseControl

@Suite("Snapshots: what an apply does not concern is the same object")
struct SnapshotBuilderTests {
    /// Applies one configuration after another, as the daemon does.
    private struct Applies {
        var live = LiveObjects(workers: 2)
        var generation = 0

        mutating func apply(
            _ configuration: Configuration, addresses: [String: [IPAddress]] = [:], moved: Set<String> = []
        ) throws -> ProxySnapshot {
            var builder = SnapshotBuilder(live: live, addresses: addresses, moved: moved)
            let snapshot = try builder.build(configuration, generation: generation + 1)
            live = builder.live
            builder.takeEffect()
            generation += 1
            return snapshot
        }
    }

    private static let base = Configuration(
        listeners: [
            listener("web", port: 80, rules: [rule("/a", to: "a"), rule("/b", to: "b")]),
            listener("api", port: 81, rules: [rule("/a", to: "a")]),
        ],
        targetGroups: [group("a", [target(1), target(2)]), group("b", [target(1), target(3)])])

    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var change: @Sendable (inout Configuration) -> Void
        /// Objects that are others than before: listeners and groups.
        var others: Set<String>
    }

    @Test(
        "a change replaces what it concerns, and nothing else",
        arguments: [
            Row(testDescription: "nothing", change: { _ in }, others: []),
            Row(
                testDescription: "a rule above the others",
                change: { $0.listeners[0].rules.insert(rule("/new", to: "b"), at: 0) }, others: ["web"]),
            Row(
                testDescription: "a rule that is gone", change: { $0.listeners[0].rules.removeFirst() }, others: ["web"]
            ),
            Row(testDescription: "a weight", change: { $0.targetGroups[1].targets[0].weight = 7 }, others: ["b"]),
            Row(
                testDescription: "a target more", change: { $0.targetGroups[1].targets.append(target(4)) },
                others: ["b"]),
            Row(
                testDescription: "a health check", change: { $0.targetGroups[0].healthCheck?.interval = .seconds(9) },
                others: ["a"]),
            Row(
                testDescription: "a timeout of a listener", change: { $0.listeners[1].timeouts.idle = .seconds(9) },
                others: ["api"]),
            Row(
                testDescription: "the order of listeners and groups",
                change: {
                    $0.listeners.reverse()
                    $0.targetGroups.reverse()
                }, others: []),
        ])
    func replacesOnlyWhatChanged(row: Row) throws {
        var applies = Applies()
        let before = try applies.apply(Self.base)
        var configuration = Self.base
        row.change(&configuration)
        let after = try applies.apply(configuration)
        var others: Set<String> = []
        for old in before.listeners {
            let new = try #require(after.listeners.first { $0.settings.id == old.settings.id })
            if new !== old { others.insert(old.settings.id) }
            #expect(new.slot == old.slot)
            #expect(new.counters === old.counters)
        }
        for old in before.groups {
            let new = try #require(after.groups.first { $0.settings.id == old.settings.id })
            if new !== old { others.insert(old.settings.id) }
            #expect(new.slot == old.slot)
            #expect(new.counters === old.counters)
            for target in old.targets {
                let same = try #require(new.targets.first { $0.address == target.address })
                #expect(same.counters === target.counters && same.identity == target.identity)
            }
        }
        #expect(others == row.others)
    }

    @Test("a rule inserted above an in-place forward keeps its group, its rule's counters, and their order follows")
    func inPlaceForward() throws {
        let inPlace = group(Identity.inPlaceGroup(listener: "web", rule: rule("/a", to: "").id), [target(1)])
        var configuration = Configuration(
            listeners: [listener("web", port: 80, rules: [rule("/a", to: inPlace.id)])], targetGroups: [inPlace])
        var applies = Applies()
        let before = try applies.apply(configuration)
        configuration.listeners[0].rules.insert(rule("/first", to: inPlace.id), at: 0)
        let after = try applies.apply(configuration)
        #expect(after.groups[0] === before.groups[0])
        #expect(after.listeners[0].ruleCounters[1] === before.listeners[0].ruleCounters[0])
        #expect(after.listeners[0].ruleCounters[2] === before.listeners[0].ruleCounters[1], "the default action's")
    }

    @Test("slots of removed objects are taken again only by a later apply")
    func slotsAreReusedLater() throws {
        var applies = Applies()
        let one = configuration([group("a", [target(1)]), group("b", [target(2)])])
        let before = try applies.apply(one)
        let swapped = try applies.apply(configuration([group("b", [target(2)]), group("c", [target(3)])]))
        let slotOfA = before.groups[0].slot
        #expect(swapped.groups.map(\.slot).contains(slotOfA) == false)
        #expect(swapped.groups[0] === before.groups[1])
        let later = try applies.apply(
            configuration([group("b", [target(2)]), group("c", [target(3)]), group("d", [target(4)])]))
        #expect(later.groups[2].slot == slotOfA)
    }

    @Test("a group that went and came back is another one, and its listener knows")
    func groupComesBack() throws {
        var applies = Applies()
        let two = Configuration(
            listeners: [listener("web", port: 80, rules: [rule("/b", to: "b")])],
            targetGroups: [group("a", [target(1)]), group("b", [target(2)])])
        let before = try applies.apply(two)
        var without = two
        without.targetGroups.removeFirst()
        _ = try applies.apply(without)
        var back = two
        back.targetGroups.append(group("c", [target(9)]))
        let after = try applies.apply(back)
        #expect(after.groups[0].counters !== before.groups[0].counters)
        #expect(after.listeners[0] === before.listeners[0], "its group never left")
    }

    @Test("a build that fails leaves nothing behind")
    func failedBuild() throws {
        var applies = Applies()
        let before = try applies.apply(Self.base)
        var bad = Self.base
        bad.targetGroups.insert(group("new", [target(9)]), at: 0)
        bad.targetGroups[1].limits.connectionsMax = 5
        bad.listeners[0].rules.append(
            Rule(
                id: "bad", name: "bad", conditions: [],
                action: .redirect(Redirect(path: "/#{nonsense}", status: 301))))
        #expect(throws: ConfigError.self) { _ = try applies.apply(bad) }
        let after = try applies.apply(Self.base)
        for (new, old) in zip(after.groups, before.groups) { #expect(new === old) }
        for (new, old) in zip(after.listeners, before.listeners) { #expect(new === old) }
        var one = Self.base
        one.targetGroups.append(group("next", [target(8)]))
        #expect(try applies.apply(one).groups[2].slot == 2, "the failed build's slot was never taken")
    }

    @Test(
        "more addresses than can be numbered are refused before a table is made of them",
        arguments: [Algorithm.sourceHash, .p2c])
    func tooMany(algorithm: Algorithm) throws {
        let named = configuration([
            group("a", [Target(address: .name("web.test", port: 80))]) { $0.algorithm = algorithm }
        ])
        var builder = SnapshotBuilder(
            live: LiveObjects(workers: 1),
            addresses: ["web.test": (0..<65_536).map { IPAddress(v4: UInt32($0)) }])
        let error = #expect(throws: ConfigError.self) { _ = try builder.build(named, generation: 1) }
        #expect(error?.path == "target_groups[0].targets" && error?.fix == "a group may have 65535: divide it")
    }

    @Test("the limit of targets is one of the configuration")
    func tooManyConfigured() {
        let many = { (count: UInt32) in
            configuration([
                group("a", (0..<count).map { Target(address: .ip(IPAddress(v4: 0x0A00_0001 + $0), port: 80)) })
            ])
        }
        #expect(many(65_535).validate().isEmpty)
        #expect(many(65_536).validate().map(\.path) == ["target_groups[0].targets"])
    }

    @Test("a limit changes in place and at the commit only")
    func limits() throws {
        var applies = Applies()
        let limited = { (limit: Int?) in configuration([group("a", [target(1)]) { $0.limits.connectionsMax = limit }]) }
        let first = try applies.apply(limited(5))
        let limit = try #require(first.groups[0].targets[0].limit)
        var builder = SnapshotBuilder(live: applies.live)
        let prepared = try builder.build(limited(9), generation: 2)
        #expect(limit.value == 5)
        builder.takeEffect()
        #expect(limit.value == 9)
        #expect(prepared.groups[0].targets[0].limit === limit)
        #expect(try applies.apply(limited(nil)).groups[0].targets[0].limit == nil)
    }

    @Test("a name stands for all of its addresses, once each; another answer keeps those that stay")
    func names() throws {
        let (one, two, three) = (IPAddress(v4: 1), IPAddress(v4: 2), IPAddress(v4: 3))
        let configuration = configuration([
            group("a", [Target(address: .name("web.test", port: 80)), Target(address: .ip(two, port: 80))])
        ])
        var applies = Applies()
        let before = try applies.apply(configuration, addresses: ["web.test": [one, two]])
        #expect(before.groups[0].targets.map(\.address) == [.ip(one, port: 80), .ip(two, port: 80)])
        #expect(before.groups[0].targets[0].hostHeader == "web.test")
        #expect(try applies.apply(configuration, addresses: ["web.test": [one, two]]).groups[0] === before.groups[0])
        let after = try applies.apply(configuration, addresses: ["web.test": [one, three]])
        #expect(
            after.groups[0].targets.map(\.address) == [.ip(one, port: 80), .ip(three, port: 80), .ip(two, port: 80)])
        #expect(after.groups[0].targets[0] === before.groups[0].targets[0])
        #expect(try applies.apply(configuration).groups[0].targets.map(\.address) == [.ip(two, port: 80)])
    }

    @Test("a listener that moved is another one to the workers, with the counters of the old")
    func moved() throws {
        var applies = Applies()
        let before = try applies.apply(Self.base)
        var configuration = Self.base
        configuration.listeners[0].addresses = [.ip(IPAddress(v4: 0x7F00_0001), port: 99)]
        let after = try applies.apply(configuration, moved: ["web"])
        #expect(after.listeners[0].slot != before.listeners[0].slot)
        #expect(after.listeners[0].counters === before.listeners[0].counters)
        #expect(after.listeners[1] === before.listeners[1])
    }
}

@Suite("Slots")
struct SlotAllocatorTests {
    @Test("the lowest free one is taken first")
    func lowestFirst() {
        var slots = SlotAllocator()
        #expect((0..<5).map { _ in slots.take() } == [0, 1, 2, 3, 4])
        for slot in [3, 0, 2] { slots.giveBack(slot) }
        #expect((0..<4).map { _ in slots.take() } == [0, 2, 3, 5])
    }
}

@Suite("Plan of listening sockets")
struct ListenerPlanTests {
    private func bound(_ listener: Listener, id: Int) -> [ListenerBinder.Bound] {
        listener.addresses.enumerated().map {
            ListenerBinder.Bound(configured: $1, actual: "\($1)", id: id + $0, perWorker: [])
        }
    }
    private func plan(_ old: [Listener], _ new: [Listener]) -> ListenerPlan {
        var table: [String: [ListenerBinder.Bound]] = [:]
        for (index, listener) in old.enumerated() { table[listener.id] = bound(listener, id: index * 10) }
        return ListenerPlan(from: table, to: Configuration(listeners: new, targetGroups: []))
    }

    @Test("the same addresses: every socket stays, whatever else changes")
    func stays() {
        let old = listener("web", port: 80, rules: [])
        var new = old
        new.timeouts.idle = .seconds(1)
        let plan = plan([old], [new])
        #expect(plan.kept["web"]?.map(\.id) == [0])
        #expect(plan.fresh.isEmpty && plan.going.isEmpty && plan.moved.isEmpty && plan.removed.isEmpty)
    }

    @Test("one address more or less is not a move")
    func grows() {
        let one = listener("web", port: 80, rules: [])
        var two = one
        two.addresses.append(.anyAddress(port: 81))
        let grown = plan([one], [two])
        #expect(grown.fresh.map(\.path) == ["listeners[0].address[1]"] && grown.moved.isEmpty && grown.going.isEmpty)
        let shrunk = plan([two], [one])
        #expect(shrunk.fresh.isEmpty && shrunk.moved.isEmpty && shrunk.going.map(\.id) == [1])
    }

    @Test("no address in common: the listener moves")
    func moves() {
        let plan = plan([listener("web", port: 80, rules: [])], [listener("web", port: 81, rules: [])])
        #expect(plan.moved == ["web"] && plan.going.map(\.id) == [0] && plan.removed.isEmpty)
    }

    @Test("another name on the same address takes the address over")
    func takesOver() {
        let plan = plan([listener("web", port: 80, rules: [])], [listener("shop", port: 80, rules: [])])
        #expect(plan.removed == ["web"])
        #expect(plan.fresh.map { $0.ours.map(\.id) } == [[0]])
    }

    @Test("port 0 twice is two sockets, and both stay")
    func freePorts() {
        var two = listener("web", port: 0, rules: [])
        two.addresses += two.addresses
        #expect(plan([two], [two]).kept["web"]?.map(\.id) == [0, 1])
    }
}
