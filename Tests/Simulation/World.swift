import PoiseHealth
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseProxy
import PoiseSimulation

/// One run of a scenario: workers on a simulated network between scripted clients and targets, one step at a time,
/// with the invariants looked at after each.
///
/// 1. A target whose weight is 0 gets no new exchange.
/// 2. A target's slots in use are its exchanges in flight and what is on its way to waiters, and never more than
///    `max_connections`; so are its open connections.
/// 3. Every exchange ends exactly once: requests begun = requests in flight + records written.
/// 4. No gauge is below 0, and at the end all are 0; no buffer, no descriptor and no timer is left.
/// 5. A loop that is stepped again and again gets something done, or the clock moves.
///
/// What the clients and targets check by themselves: whose answer it is, each byte of it, whether a cut answer can
/// be told from a whole one, and that a request that is not idempotent is seen once.
final class World {
    let scenario: Scenario
    let network: SimulatedNetwork
    var random: SeededRandom
    var ledger = Ledger()
    var tally = Tally()
    let frontAddress = SocketAddress.ip(IPAddress(v4: 0x0A00_0001), port: 80)
    private(set) var isDraining = false
    /// The first thing that was wrong.
    private(set) var violation: String?
    /// Equal for equal runs.
    private(set) var fingerprint: UInt64 = 0xCBF2_9CE4_8422_2325
    private let traces: Bool

    private(set) var hosts: [WorkerHost] = []
    private var targets: [ScriptedTarget] = []
    private var clients: [ScriptedClient] = []
    private(set) var group: CompiledGroup!
    private var listener: CompiledListener!
    private let limits = ProcessLimiter(connectionsMax: 1000)
    private let neighbours = Neighbours()
    private let reports = FailureReports()
    private var steps = 0
    private var disturbances = 0
    private var lastProgress: UInt64 = 0
    private var lastTime = MonotonicTime.zero
    private var stepsWithoutProgress = 0

    struct Tally: Equatable {
        var answered = 0
        var generated = 0
        /// Requests without an answer, or with a part of one.
        var cut = 0
    }

    init(seed: UInt64, traces: Bool = false) {
        scenario = Scenario(seed: seed)
        random = SeededRandom(seed)
        network = SimulatedNetwork(seed: seed &* 31 &+ 7, settings: scenario.network)
        self.traces = traces
        build(seed)
    }

    private func build(_ seed: UInt64) {
        let addresses = (0..<scenario.targets).map {
            SocketAddress.ip(IPAddress(v4: 0x0A00_0100 + UInt32($0)), port: 8080)
        }
        targets = addresses.enumerated().map { ScriptedTarget(index: $0, address: $1, world: self) }
        group = Self.compileGroup(scenario, addresses)
        listener = Self.compileListener(scenario)
        let snapshot = ProxySnapshot(generation: 1, listeners: [listener], groups: [group])
        for index in 0..<scenario.workers {
            let host = WorkerHost(
                index: index, network: network, seed: seed, reports: reports, limits: limits, neighbours: neighbours,
                targets: scenario.targets)
            hosts.append(host)
            if traces {
                host.onRecord = { [unowned self] record, target in
                    trace(
                        "worker \(index) ends \(target): \(record.status) \(record.reason.name), target \(record.target), try \(record.tries)"
                    )
                }
            }
            let socket = network.listen(on: frontAddress, onConnection: nil).number
            host.post { worker in
                worker.adopt(snapshot, sockets: [ListenerSocket(slot: 0, id: 0, descriptor: socket)])
            }
        }
        for target in targets.dropFirst(scenario.deadTargets) { target.start() }
        for index in 0..<scenario.clients { clients.append(ScriptedClient(index: index, world: self)) }
    }

    // MARK: What scripts use

    /// How long a person or a program takes for something.
    func pause() -> Nanoseconds { Nanoseconds(Int64(random.size(upTo: 200_000_000))) }

    func fail(_ text: String) {
        guard violation == nil else { return }
        violation = text
        trace("VIOLATION \(text)")
    }

    func trace(_ text: @autoclosure () -> String) {
        if traces { print("\(network.now.nanoseconds / 1000) us  \(text())") }
    }

    func makeRequest(isHTTP10: Bool, mayExpect: Bool) -> RequestPlan {
        ledger.add { id in
            let method = random.pick(["GET", "GET", "HEAD", "POST", "PUT", "DELETE"])
            let hasBody = method == "POST" || method == "PUT"
            let framing: RequestPlan.Framing =
                !hasBody ? .none : isHTTP10 || random.chance(percent: 50) ? .length : .chunked
            let count = hasBody ? random.size(upTo: scenario.bodyMax) : 0
            let plan = RequestPlan(
                id: id, method: method, isHTTP10: isHTTP10, framing: framing,
                bodyOffset: random.pick(0...Bytes.count - count), bodyCount: count)
            plan.expectsContinue = mayExpect && hasBody && count > 0 && !isHTTP10 && random.chance(percent: 20)
            return plan
        }
    }

    /// Whether Poise may have answered by itself.
    func mayBeGenerated(_ status: Int, isPolite: Bool, _ plan: RequestPlan?) -> Bool {
        if scenario.isPerfect { return false }
        switch status {
        case 502, 503, 504: return true
        case 413: return scenario.clientLimits.bodyBytesMax.map { (plan?.bodyCount ?? 0) > $0 || !isPolite } ?? false
        // Short timeouts, and time that leaps, meet polite clients too.
        case 408: return scenario.kind != .hostile
        default: return !isPolite
        }
    }

    /// Whether the connection may have ended without the answer, or within it.
    func mayBeCut(hasHead: Bool, isReset: Bool) -> Bool {
        switch scenario.kind {
        case .calm, .refusing, .queued: false
        // An answer that has not begun is owed: if not the target's, then one of Poise's own. A reset may have
        // taken the beginning away.
        case .hostile: hasHead || isReset
        case .rude, .chaos: true
        }
    }

    // MARK: Running

    func run() {
        for client in clients { client.start() }
        if scenario.targetsDie { scheduleDeaths() }
        if scenario.loopsStall { scheduleStalls() }
        if scenario.configurationChanges { scheduleChanges() }
        drive { clients.allSatisfy(\.isDone) }
        // What is idle goes by its own timers.
        let settled = network.now + .seconds(700)
        drive { network.now >= settled }
        checkNothingIsLeft()
        retire()
    }

    private func drive(until isDone: () -> Bool) {
        while violation == nil, !isDone() {
            steps += 1
            if steps > 400_000 { return fail("it does not come to an end") }
            handleReports()
            let runnable = hosts.filter { $0.isRunnable(network.now) }
            let isNetworkDue = network.nextEventTime.map { $0 <= network.now } ?? false
            if !runnable.isEmpty, !isNetworkDue || random.chance(percent: 60) {
                step(random.pick(runnable))
                continue
            }
            let wakes = hosts.compactMap(\.wakeTime)
            guard let next = (wakes + [network.nextEventTime].compactMap(\.self)).min() else { return }
            if let event = network.nextEventTime, event <= max(next, network.now) {
                network.runNext()
            } else {
                network.advance(to: next)
            }
        }
    }

    private func step(_ host: WorkerHost) {
        let before = host.targetRequests(group)
        let weights = host.weights
        host.step(at: network.now, maxEvents: random.chance(percent: 20) ? random.pick(1...3) : .max)
        fingerprint =
            (fingerprint ^ UInt64(bitPattern: network.now.nanoseconds) ^ network.progress << 40) &* 0x100_0000_01B3
        if network.progress == lastProgress, network.now == lastTime {
            stepsWithoutProgress += 1
            if stepsWithoutProgress > 200 { fail("worker \(host.index) runs and runs, and gets nothing done") }
        } else {
            (lastProgress, lastTime, stepsWithoutProgress) = (network.progress, network.now, 0)
        }
        check(host, before, weights)
    }

    private func check(_ host: WorkerHost, _ before: [Int], _ weights: [Int32]) {
        let after = host.targetRequests(group)
        for index in after.indices where after[index] > before[index] {
            if weights[index] == 0, host.weights[index] == 0 { fail("target \(index) was used with weight 0") }
        }
        for (index, target) in group.targets.enumerated() {
            let inFlight = target.counters.gauge(TargetCounter.inFlight)
            if inFlight < 0 { fail("target \(index) has \(inFlight) exchanges in flight") }
            if target.counters.gauge(TargetCounter.connections) < 0 { fail("target \(index) has connections below 0") }
            guard let limit = target.limit else { continue }
            let connections = target.counters.gauge(TargetCounter.connections)
            for (what, slots, used) in [
                ("slots", limit.exchanges, inFlight), ("connections", limit.connections, connections),
            ] {
                if slots.inUse > slots.limit { fail("target \(index) has \(slots.inUse) of \(slots.limit) \(what)") }
                // The rest is in letters to waiters.
                if slots.inUse < used || slots.inUse > used && !hosts.contains(where: \.hasMail) {
                    fail("target \(index) has \(slots.inUse) \(what) in use for \(used)")
                }
            }
        }
        let inFlight = listener.counters.gauge(ListenerCounter.inFlight)
        let begun = listener.counters.gauge(ListenerCounter.requests)
        let ended = hosts.reduce(0) { $0 + $1.records }
        if inFlight < 0 || begun != inFlight + ended {
            fail("\(begun) exchanges began, \(inFlight) are in flight, \(ended) have ended")
        }
        for gauge in [GroupCounter.inFlight, GroupCounter.queued] where group.counters.gauge(gauge) < 0 {
            fail("the group's gauge \(gauge) is below 0")
        }
    }

    private func checkNothingIsLeft() {
        guard violation == nil else { return }
        for host in hosts {
            if host.worker.connectionCount != 0 { fail("worker \(host.index) keeps connections") }
            if host.loop.buffers.outstanding != 0 {
                fail("\(host.loop.buffers.outstanding) buffers are not given back")
            }
            if host.loop.armedTimerCount != 0 { fail("\(host.loop.armedTimerCount) timers are armed for nothing") }
        }
        if limits.connectionCount != 0 { fail("the process counts \(limits.connectionCount) connections") }
        if listener.counters.gauge(ListenerCounter.inFlight) != 0 { fail("exchanges are in flight for ever") }
        if listener.counters.gauge(ListenerCounter.connections) != 0 { fail("connections are counted for ever") }
        if group.counters.gauge(GroupCounter.inFlight) != 0 { fail("the group has exchanges in flight for ever") }
        if group.counters.gauge(GroupCounter.queued) != 0 || group.queue.map({ $0.count != 0 }) ?? false {
            fail("the queue is not empty")
        }
        for (index, target) in group.targets.enumerated() {
            if target.counters.gauge(TargetCounter.inFlight) != 0 { fail("target \(index) is busy for ever") }
            if target.counters.gauge(TargetCounter.connections) != 0 { fail("target \(index) is connected for ever") }
            if target.limit.map({ $0.exchanges.inUse + $0.connections.inUse != 0 }) ?? false {
                fail("target \(index) has slots in use for ever")
            }
        }
    }

    /// Also frees what refers to itself.
    private func retire() {
        let empty = ProxySnapshot(generation: 2, listeners: [], groups: [])
        for host in hosts {
            host.post { worker in
                worker.closeAll()
                worker.adopt(empty)
            }
            host.step(at: network.now, maxEvents: .max)
        }
        for target in targets { target.die() }
    }

    // MARK: Disturbances

    /// Not for ever: once they have done their worst, who waits for a deadline should not take the test's time.
    private func mayDisturb() -> Bool {
        disturbances += 1
        return disturbances <= 400 && !clients.allSatisfy(\.isDone)
    }

    private func scheduleDeaths() {
        network.after(pause() + pause() + .milliseconds(1)) { [self] in
            guard mayDisturb() else { return }
            let target = random.pick(targets)
            trace("target \(target.index) \(target.isAlive ? "dies" : "starts")")
            target.isAlive ? target.die() : target.start()
            network.swallow(target.address, random.chance(percent: 10))
            scheduleDeaths()
        }
    }

    private func scheduleStalls() {
        network.after(pause() + pause() + .milliseconds(1)) { [self] in
            guard mayDisturb() else { return }
            let span = Nanoseconds(Int64(random.size(upTo: 20_000_000_000)))
            let host = random.pick(hosts)
            trace("worker \(host.index) stands still for \(span.milliseconds) ms")
            host.stalledUntil = network.now + span
            scheduleStalls()
        }
    }

    private func scheduleChanges() {
        network.after(pause() + pause() + .milliseconds(1)) { [self] in
            guard mayDisturb() else { return }
            var weights = (0..<scenario.targets).map { _ in Int32(random.pick([0, 128, 256, 1024])) }
            let isFailOpen = weights.allSatisfy { $0 == 0 } && scenario.failOpen == .whenNoneUsable
            if isFailOpen { weights = weights.map { _ in 128 } }
            publish(GroupAvailability(weights: weights, isFailOpen: isFailOpen))
            scheduleChanges()
        }
    }

    /// Passive health: a target that fails is left out for a while.
    private func handleReports() {
        for target in reports.take() where scenario.passive.consecutiveFailures > 0 {
            trace("target \(target) is ejected")
            var weights = hosts[0].weights
            weights[target] = 0
            let isFailOpen = weights.allSatisfy { $0 == 0 } && scenario.failOpen == .whenNoneUsable
            if isFailOpen { weights = weights.map { _ in 128 } }
            publish(GroupAvailability(weights: weights, isFailOpen: isFailOpen))
            network.after(.seconds(1)) { [self] in
                var weights = hosts[0].weights
                weights[target] = 128
                publish(GroupAvailability(weights: weights))
            }
        }
    }

    private func publish(_ availability: GroupAvailability) {
        trace("weights are \(availability.weights)\(availability.isFailOpen ? ", fail-open" : "")")
        for host in hosts { host.setAvailability(availability) }
    }

    // MARK: Compiling

    private static func compileGroup(_ scenario: Scenario, _ addresses: [SocketAddress]) -> CompiledGroup {
        var settings = TargetGroup(id: "web", name: "web", targets: [])
        settings.algorithm = scenario.algorithm
        settings.timeouts = scenario.timeouts
        settings.limits = scenario.limits
        settings.retries = scenario.retries
        settings.passive = scenario.passive
        settings.failOpen = scenario.failOpen
        let targets = addresses.enumerated().map { index, address in
            CompiledTarget(
                address: address, settings: Target(address: .name("t\(index)", port: 8080)), label: "t\(index)",
                hostHeader: "t\(index)", identity: UInt64(index) &* 0x9E37_79B9_7F4A_7C15,
                counters: CounterBlock(workers: scenario.workers, width: TargetCounter.width),
                limit: scenario.limits.connectionsMax.map { TargetLimit($0) })
        }
        return CompiledGroup(
            slot: 0, settings: settings, targets: targets,
            counters: CounterBlock(workers: scenario.workers, width: GroupCounter.width),
            totalTime: Histogram(workers: scenario.workers), targetTime: Histogram(workers: scenario.workers),
            queue: scenario.limits.connectionsMax == nil ? nil : SlotQueue())
    }

    private static func compileListener(_ scenario: Scenario) -> CompiledListener {
        var settings = Listener(
            id: "front", name: "front", addresses: [.anyAddress(port: 80)], rules: [],
            defaultAction: .forward(Forward(shares: [.init(group: "web")])))
        settings.timeouts = scenario.client
        settings.limits = scenario.clientLimits
        return CompiledListener(
            slot: 0, settings: settings, actions: [],
            defaultAction: .forward([.init(groupSlot: 0, weight: 1)]),
            counters: CounterBlock(workers: scenario.workers, width: ListenerCounter.width),
            ruleCounters: [CounterBlock(workers: scenario.workers, width: RuleCounter.width)],
            totalTime: Histogram(workers: scenario.workers), targetTime: Histogram(workers: scenario.workers))
    }
}
