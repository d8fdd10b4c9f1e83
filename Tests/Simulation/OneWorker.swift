import PoiseBalancing
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseProxy
import PoiseSimulation

/// One worker with one listener on a simulated network without delays, for what takes long in real time.
final class OneWorker {
    let network: SimulatedNetwork
    let worker: Worker
    private let loop: EventLoop
    private let node: SimulatedNode
    private let counters = CounterBlock(workers: 1, width: ListenerCounter.width)
    private let settings: Listener
    private let response: FixedResponse?

    /// What a socket's buffers hold, in each direction and at each end.
    static let bufferBytes = 65_536
    static let front = SocketAddress.ip(IPAddress(v4: 0x0A00_0001), port: 80)
    static let target = SocketAddress.ip(IPAddress(v4: 0x0A00_0100), port: 8080)

    /// - Parameter response: answers everything; `nil` forwards to ``target``, which nobody is yet.
    init(_ response: FixedResponse? = nil, _ change: (inout Listener) -> Void = { _ in }) {
        var settings = NetworkSettings()
        (settings.delayMax, settings.longDelayPercent) = (.zero, 0)
        (settings.splitPercent, settings.shortSendPercent) = (0, 0)
        (settings.bufferBytesMin, settings.bufferBytesMax) = (Self.bufferBytes, Self.bufferBytes)
        network = SimulatedNetwork(seed: 1, settings: settings)
        node = network.makeNode(ip: IPAddress(v4: 0x0A00_0001))
        loop = EventLoop(simulation: node)
        worker = Worker(
            index: 0, loop: loop, seed: 1, events: WorkerEvents(targetFailed: { _, _, _, _ in }), log: nil,
            limits: ProcessLimiter(connectionsMax: 10), neighbours: Neighbours())
        var listener = Listener(
            id: "front", name: "front", addresses: [.anyAddress(port: 80)], rules: [],
            defaultAction: response.map { .fixedResponse($0) } ?? .forward(Forward(shares: [.init(group: "web")])))
        change(&listener)
        (self.settings, self.response) = (listener, response)
        let snapshot = snapshot(1, rules: [])
        let socket = network.listen(on: Self.front, onConnection: nil).number
        post { $0.adopt(snapshot, sockets: [ListenerSocket(slot: 0, id: 0, descriptor: socket)]) }
        run(for: .zero)
    }

    /// Paths of rules that do the same as the default action.
    private func snapshot(_ generation: Int, rules paths: [String]) -> ProxySnapshot {
        var listener = settings
        listener.rules = paths.map {
            Rule(id: $0, conditions: [.path([Glob($0)])], action: listener.defaultAction!)
        }
        let action: CompiledAction =
            response.map { .fixedResponse($0) } ?? .forward([.init(groupSlot: 0, weight: 1)])
        let compiled = CompiledListener(
            slot: 0, settings: listener, actions: paths.map { _ in action }, defaultAction: action, counters: counters,
            ruleCounters: (0...paths.count).map { _ in CounterBlock(workers: 1, width: RuleCounter.width) },
            totalTime: Histogram(workers: 1), targetTime: Histogram(workers: 1))
        return ProxySnapshot(generation: generation, listeners: [compiled], groups: [Self.group])
    }

    /// At the next wake-up, applies a configuration with these rules, in which the listener gives its address up.
    func applyWithoutAddress(rules paths: [String]) {
        let snapshot = snapshot(2, rules: paths)
        post { $0.adopt(snapshot, closing: [0]) }
    }

    private static var group: CompiledGroup {
        CompiledGroup(
            slot: 0, settings: TargetGroup(id: "web", name: "web", targets: []),
            targets: [
                CompiledTarget(
                    address: target, settings: Target(address: .name("t", port: 8080)), label: "t", hostHeader: "t",
                    identity: 1, counters: CounterBlock(workers: 1, width: TargetCounter.width), limit: nil)
            ],
            counters: CounterBlock(workers: 1, width: GroupCounter.width), totalTime: Histogram(workers: 1),
            targetTime: Histogram(workers: 1), queue: nil)
    }

    deinit {
        worker.closeAll()
        run(for: .seconds(1))
    }

    var now: MonotonicTime { network.now }
    var connectionCount: Int { worker.connectionCount }
    func ended(_ reason: EndReason) -> Int { Int(counters.sum(ListenerCounter.firstReason + Int(reason.rawValue))) }

    func post(_ letter: @escaping @Sendable (Worker) -> Void) {
        let bound = LoopBound(worker, on: loop)
        loop.mailbox.post { letter(bound.open()) }
    }

    /// A client that has connected and sent `text`.
    func client(_ text: String) throws -> SimulatedSocket {
        let socket = try network.connect(to: Self.front, from: IPAddress(v4: 0x0A01_0000))
        run(for: .zero)
        _ = socket.write(Array(text.utf8)[...])
        run(for: .zero)
        return socket
    }

    /// Delivers what is on its way to the worker's machine, which has not told the worker yet.
    func deliver() { while let event = network.nextEventTime, event <= network.now { network.runNext() } }

    /// Lets the worker wake up once.
    ///
    /// - Parameter seesEvents: false: for its mail only, as if the events came a moment later.
    func wakeUp(seesEvents: Bool = true) {
        deliver()
        loop.step(at: network.now, seesEvents ? node.takeEvents() : [])
    }

    /// Lets everything happen that is due in the next `span`.
    func run(for span: Nanoseconds) {
        let end = network.now + span
        while true {
            let wake = node.hasEvents ? loop.now : loop.nextStep
            if let event = network.nextEventTime, event <= network.now {
                network.runNext()
            } else if let wake, wake <= network.now {
                loop.step(at: network.now, node.takeEvents())
            } else {
                let next = [network.nextEventTime, wake].compactMap(\.self).min()
                guard let next, next <= end else { break }
                network.advance(to: next)
            }
        }
        network.advance(to: end)
    }

    /// Does `body` once a second, and lets happen what follows.
    func everySecond(_ seconds: Int, _ body: () -> Void) {
        for _ in 0..<seconds {
            body()
            run(for: .seconds(1))
        }
    }
}
