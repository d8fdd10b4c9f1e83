import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseProxy
import PoiseSimulation

/// One run of a scenario: workers on a simulated network between scripted clients and targets, under the real builder
/// of snapshots and the real health engine, one step at a time, with the invariants looked at after each.
///
/// After each step (``Invariants``), over all snapshots that there were:
///
/// 1. A target whose weight is 0, by the letters that the worker has read, gets no new exchange.
/// 2. A target's slots in use are its exchanges in flight and what is on its way to waiters, and never more than
///    `max_connections`; so are its open connections. Above a limit that was lowered nothing is added.
/// 3. Every exchange ends exactly once: requests begun = requests in flight + records written. Its record tells the
///    first rule that matched in a snapshot that was in force when it began, and a group and a target of that rule.
/// 4. No gauge is below 0, and at the end all are 0; no buffer, no descriptor and no timer is left.
/// 5. A loop that is stepped again and again gets something done, or the clock moves.
///
/// Of health (``SimulatedControl``): a target that has been dead for as long as its checks may take to find out has the
/// weight 0, unless the group fails open; long after the last disturbance all targets are back.
///
/// What the clients and targets check by themselves: whose answer it is, each byte of it, whether a cut answer can
/// be told from a whole one, that a request that is not idempotent is seen once, that the address of a PROXY protocol
/// header is the client's, that behind a header of Poise's come requests of the one client that it names, and of tunnels
/// (``TunnelEnd``) each byte, and that none comes before the 101. Of HTTP/2 (``HTTP2End``) what RFC 9113 lets Poise send,
/// and that what it says it has not begun with no target has seen.
final class World {
    let scenario: Scenario
    let network: SimulatedNetwork
    var random: SeededRandom
    var ledger = Ledger()
    var tally = Tally()
    private(set) var isDraining = false
    /// The first thing that was wrong.
    private(set) var violation: String?
    /// Equal for equal runs.
    private(set) var fingerprint: UInt64 = 0xCBF2_9CE4_8422_2325
    private let traces: Bool

    private(set) var hosts: [WorkerHost] = []
    private var targets: [ScriptedTarget] = []
    private var clients: [ScriptedClient] = []
    private var setup: Setup
    private(set) var control: SimulatedControl!
    private var invariants: Invariants!
    /// How often the second listener was taken away.
    private(set) var sideRemovals = 0
    private var leapt = Nanoseconds.zero
    private let limits = ProcessLimiter(connectionsMax: 1000)
    private let neighbours = Neighbours()
    private let reports = FailureReports()
    private var steps = 0
    private var disturbances = 0
    private var changes = 0
    private var lastProgress: UInt64 = 0
    private var lastTime = MonotonicTime.zero
    private var stepsWithoutProgress = 0

    struct Tally: Equatable {
        var answered = 0
        var generated = 0
        /// Requests without an answer, or with a part of one.
        var cut = 0
        /// Answers by HTTP/2, of those above.
        var multiplexed = 0
        /// Requests that Poise said it has not begun with.
        var disowned = 0
        /// Ends of tunnels that saw the other end's end.
        var tunneled = 0
    }

    init(seed: UInt64, traces: Bool = false) {
        scenario = Scenario(seed: seed)
        random = SeededRandom(seed)
        setup = Setup(scenario, &random)
        network = SimulatedNetwork(seed: seed &* 31 &+ 7, settings: scenario.network)
        self.traces = traces
        build(seed)
    }

    private func build(_ seed: UInt64) {
        targets = (0..<scenario.targets + scenario.spareTargets).map { ScriptedTarget(index: $0, world: self) }
        invariants = Invariants(scenario) { [unowned self] in fail($0) }
        for index in 0..<scenario.workers {
            let host = WorkerHost(
                index: index, network: network, seed: seed, reports: reports, limits: limits, neighbours: neighbours)
            hosts.append(host)
            host.onRecord = { [unowned self, unowned host] record, path in
                trace(
                    "worker \(index) ends \(path): \(record.status) \(record.reason.name), target \(record.target), try \(record.tries)"
                )
                invariants.check(record, path, of: host)
            }
        }
        control = SimulatedControl(self)
        control.apply(setup.configuration(scenario))
        for target in targets.dropFirst(scenario.deadTargets) { target.start() }
        for index in 0..<scenario.clients { clients.append(ScriptedClient(index: index, world: self)) }
    }

    // MARK: What scripts use

    /// How long a person or a program takes for something.
    func pause() -> Nanoseconds { Nanoseconds(Int64(random.size(upTo: 200_000_000))) }

    func fail(_ text: String) {
        guard violation == nil else { return }
        violation = text
        for target in targets { target.traceState() }
        trace("VIOLATION \(text)")
    }

    func trace(_ text: @autoclosure () -> String) {
        if traces { print("\(network.now.nanoseconds / 1000) us  \(text())") }
    }

    /// Time that somebody who waits has felt: without leaps of the clock.
    var patientTime: MonotonicTime { MonotonicTime(nanoseconds: network.now.nanoseconds - leapt.count) }

    var hasSide: Bool { setup.hasSide }

    private func target(at address: SocketAddress) -> ScriptedTarget? { targets.first { $0.address == address } }
    func isAlive(_ address: SocketAddress) -> Bool { target(at: address).map { $0.deadSince == nil } ?? false }
    func deadSince(_ address: SocketAddress) -> MonotonicTime? { target(at: address)?.deadSince }

    func makeUpgrade() -> RequestPlan {
        ledger.add { id in
            let plan = RequestPlan(
                id: id, method: "GET", isHTTP10: false, framing: .none, bodyOffset: 0, bodyCount: 0)
            func part() -> TunnelPlan.Part {
                let count = random.size(upTo: scenario.bodyMax)
                return (random.pick(0...Bytes.count - count), count)
            }
            plan.tunnel = TunnelPlan(
                up: part(), down: part(), isEager: !scenario.isPerfect && random.chance(percent: 30),
                isInTurn: scenario.isPerfect && random.chance(percent: 50))
            return plan
        }
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
        // A body that is too long to be kept cannot be sent once more, and nothing is sent for ever.
        if scenario.isPerfect {
            return status == 502 && plan.map { $0.refusals > 3 || $0.refusals > 0 && $0.bodyCount > 50_000 } ?? false
        }
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
        case .calm, .refusing, .queued, .applied: false
        // An answer that has not begun is owed: if not the target's, then one of Poise's own. A reset may have
        // taken the beginning away.
        case .hostile: hasHead || isReset
        case .rude, .chaos: true
        }
    }

    // MARK: Running

    func run() {
        control.start()
        for client in clients { client.start() }
        if scenario.targetsDie { scheduleDeaths() }
        if scenario.loopsStall { scheduleStalls() }
        if scenario.clockLeaps { scheduleLeaps() }
        if scenario.configurationChanges { scheduleChanges() }
        if scenario.operatorsMeddle { scheduleOperators() }
        drive { clients.allSatisfy(\.isDone) }
        calmDown()
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
            control.handle(reports.take())
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
        invariants.check(after: host, weights: weights, hosts: hosts)
    }

    /// Everything that was disturbed is put right, and control sees to the rest; then it stops, for a minute of it is
    /// as good as an hour.
    private func calmDown() {
        guard violation == nil else { return }
        for host in hosts { host.stalledUntil = .zero }
        for target in targets.dropFirst(scenario.deadTargets) {
            network.swallow(target.address, false)
            target.start()
        }
        control.calmDown()
        let calm = network.now + .seconds(6)
        drive { network.now >= calm }
        if violation == nil, scenario.deadTargets == 0 { control.checkAllAreBack() }
        if violation == nil { invariants.checkRemovedKeepNothing() }
        control.stop()
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
        invariants.checkNothingIsLeft()
    }

    /// Also frees what refers to itself.
    private func retire() {
        let empty = ProxySnapshot(generation: .max, listeners: [], groups: [])
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

    private func scheduleLeaps() {
        network.after(pause() + pause() + .milliseconds(1)) { [self] in
            guard mayDisturb() else { return }
            if random.chance(percent: 10) {
                let span = Nanoseconds.seconds(Int64(random.size(upTo: 2000)))
                trace("the clock leaps by \(span.milliseconds) ms")
                leapt = leapt + span
                network.advance(to: network.now + span)
            }
            scheduleLeaps()
        }
    }

    private func scheduleChanges() {
        network.after(pause() + pause() + .milliseconds(1)) { [self] in
            changes += 1
            guard mayDisturb(), changes <= 50 else { return }
            let hadSide = setup.hasSide
            // Several in one apply, now and then.
            let words = (0..<random.pick(1...3)).map { _ in setup.change(scenario, &random) }
            trace("apply: \(words.joined(separator: ", "))")
            if hadSide, !setup.hasSide { sideRemovals += 1 }
            control.apply(setup.configuration(scenario))
            scheduleChanges()
        }
    }

    private func scheduleOperators() {
        network.after(pause() + pause() + .milliseconds(1)) { [self] in
            guard mayDisturb() else { return }
            control.disturb()
            scheduleOperators()
        }
    }

    /// A snapshot that workers are about to adopt.
    func watch(_ snapshot: ProxySnapshot) { invariants.add(snapshot, hosts) }
}
