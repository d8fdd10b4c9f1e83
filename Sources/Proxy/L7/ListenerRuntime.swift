import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseRouting
import PoiseTLS

/// One listener on one worker: its sockets, its open connections, its counters.
final class ListenerRuntime {
    let worker: Worker
    private(set) var compiled: CompiledListener
    /// What clients ask with: as the listener's protocol.
    let scheme: URLScheme
    private(set) var counters: CounterRow
    private(set) var totalTime: HistogramRow
    private(set) var targetTime: HistogramRow
    private var ruleCounters: [CounterRow]
    private(set) var limits: HeadLimits
    private var acceptors: [Acceptor] = []
    private let connections = RawTable<ClientConnection>()
    /// No new requests on open connections: each answer says `Connection: close`.
    private(set) var isRetired = false
    /// Of a removed listener: its connections end by then.
    private(set) var deadline = MonotonicTime.distantFuture
    /// For `forward` to several groups: smooth weighted round robin per rule, by rule index.
    private var groupChoice: RawTable<RawCell<GroupChoice>?>
    /// By rule index: the slot of the one group that it forwards to, -1 for any other action. Most requests need no more
    /// of an action, and a copy of one is counted.
    private(set) var soleGroups: RawTable<Int>
    private(set) var requestSettings: RequestSettings

    init(worker: Worker, compiled: CompiledListener) {
        self.worker = worker
        self.compiled = compiled
        scheme = compiled.settings.protocolKind == .https ? .https : .http
        counters = compiled.counters.row(worker.index)
        totalTime = compiled.totalTime.row(worker.index)
        targetTime = compiled.targetTime.row(worker.index)
        ruleCounters = compiled.ruleCounters.map { $0.row(worker.index) }
        limits = HeadLimits(compiled.settings.limits)
        groupChoice = RawTable(repeating: nil, count: compiled.actions.count + 1)
        soleGroups = RawTable(compiled.soleGroups)
        requestSettings = RequestSettings(compiled)
    }

    /// The same listener with other settings: sockets and connections stay.
    ///
    /// - Returns: for each old rule its new index, -1 where it is gone.
    func replace(with compiled: CompiledListener) -> [Int] {
        let rules = compiled.settings.rules.map(\.id)
        var places = Dictionary(zip(rules, rules.indices), uniquingKeysWith: { first, _ in first })
        places[Identity.defaultRule] = rules.count
        let renumbered = (self.compiled.settings.rules.map(\.id) + [Identity.defaultRule]).map { places[$0] ?? -1 }
        self.compiled = compiled
        counters = compiled.counters.row(worker.index)
        totalTime = compiled.totalTime.row(worker.index)
        targetTime = compiled.targetTime.row(worker.index)
        ruleCounters = compiled.ruleCounters.map { $0.row(worker.index) }
        limits = HeadLimits(compiled.settings.limits)
        groupChoice = RawTable(repeating: nil, count: compiled.actions.count + 1)
        soleGroups = RawTable(compiled.soleGroups)
        requestSettings = RequestSettings(compiled)
        return renumbered
    }

    /// The turn of a weighted `forward`.
    ///
    /// - Returns: an index into `shares`, those of `rule`; `nil` when all weights are 0.
    func nextShare(of rule: Int, _ shares: [CompiledAction.Share]) -> Int? {
        if let choice = groupChoice[rule] { return choice.value.next(on: worker) }
        let choice = RawCell(GroupChoice(shares, start: worker.random()))
        groupChoice[rule] = choice
        return choice.value.next(on: worker)
    }

    /// - Parameter rule: an index, or the number of rules for the default action.
    func ruleRow(_ rule: Int) -> CounterRow { ruleCounters[rule] }

    /// The counters of the rule that was at `rule` when an exchange began, wherever an apply has moved it.
    ///
    /// - Returns: `nil` when the rule is gone.
    func ruleRow(_ rule: Int, id: Int) -> CounterRow? {
        if rule < ruleCounters.count, ruleCounters[rule].id == id { return ruleCounters[rule] }
        return ruleCounters.first { $0.id == id }
    }

    /// - Parameter id: to close it by.
    func listen(_ socket: consuming FileDescriptor, id: Int) {
        acceptors.append(Acceptor(listener: self, socket: socket, id: id))
    }

    /// Gives some addresses up. Connections that came by them stay: their listener does.
    func close(sockets ids: Set<Int>) {
        for acceptor in acceptors where ids.contains(acceptor.id) { acceptor.retire() }
        acceptors.removeAll { ids.contains($0.id) }
    }

    /// Takes what the sockets still hold, closes them, and lets the connections end with their next answer.
    func retire(deadline: MonotonicTime) {
        guard !isRetired else { return }
        for acceptor in acceptors { acceptor.retire() }
        acceptors = []
        (isRetired, self.deadline) = (true, deadline)
        // Copied: closing an idle connection takes it out of the list.
        for connection in openConnections { connection.listenerRetired() }
    }

    /// The deadline has come.
    func endAll() { forEachConnection { $0.endByDeadline() } }

    /// Safe against connections that leave meanwhile.
    func forEachConnection(_ body: (ClientConnection) -> Void) {
        for connection in openConnections { body(connection) }
    }

    private var openConnections: [ClientConnection] { connections.indices.map { connections[$0] } }

    // MARK: Connections

    var connectionCount: Int { connections.count }

    /// Over all workers. Each worker sees the others' connections a moment late: the limit may be passed by as many
    /// connections as workers accept in the same moment.
    var isFull: Bool {
        guard let limit = compiled.settings.limits.connectionsMax else { return false }
        return compiled.counters.gauge(ListenerCounter.connections) >= limit
    }

    func enter(_ connection: ClientConnection) {
        connection.position = connections.count
        connections.append(connection)
        counters.add(ListenerCounter.connections)
        counters.add(ListenerCounter.accepted)
    }

    /// As logs and metrics show it.
    var name: String { compiled.settings.name ?? compiled.settings.id }

    func countRefusal(_ reason: ConnectionRefusal) {
        counters.add(ListenerCounter.firstConnectionRefusal + reason.rawValue)
    }

    func countHandshakeFailure(_ reason: TLSFailure.Reason) {
        counters.add(ListenerCounter.firstHandshakeFailure + reason.index)
    }

    func leave(_ connection: ClientConnection) {
        if let last = connections.popLast(), last !== connection {
            connections[connection.position] = last
            last.position = connection.position
        }
        counters.subtract(ListenerCounter.connections)
        if isRetired, connections.isEmpty { worker.forget(self) }
        worker.limits.leave()
        for acceptor in acceptors { acceptor.connectionClosed() }
    }
}

extension TLSFailure.Reason {
    /// Its place among all, for counters.
    public var index: Int { Self.allCases.firstIndex(of: self)! }
}

extension HeadLimits {
    init(_ limits: ClientLimits) {
        self.init(
            headBytesMax: limits.headBytesMax, fieldCountMax: limits.fieldCountMax, uriBytesMax: limits.uriBytesMax)
    }
}

/// One listening socket: accepts, and reads straight away.
final class Acceptor: Channel {
    private unowned let listener: ListenerRuntime
    /// Out of descriptors, at the connection limit, or at an error: waits for a close or a while.
    private var isPaused = false
    /// Why, until accepting has gone on.
    private var hold: AcceptHold?
    private var nextReport = MonotonicTime.zero
    let id: Int
    /// 0 for a unix socket.
    let port: UInt16

    private static var acceptsPerTurn: Int { 64 }

    init(listener: ListenerRuntime, socket: consuming FileDescriptor, id: Int) {
        (self.listener, self.id) = (listener, id)
        port = Sockets.localAddress(of: socket.number)?.port ?? 0
        super.init(loop: listener.worker.loop)
        open(socket)
        watch(.readable)
    }

    override func ready(_ readiness: Readiness) { accept() }

    /// The pause is over whether or not a connection was closed: another process may hold the descriptors.
    override func timerFired() {
        isPaused = false
        accept()
    }

    func connectionClosed() {
        guard isPaused else { return }
        isPaused = false
        cancelTimer()
        again()
    }

    /// Whoever waits in the kernel's queue would be reset by the close: they are accepted first, all of them as far as
    /// limits allow.
    func retire() {
        isPaused = false
        while isOpen, accept() {}
        endHold()
        close()
    }

    /// - Returns: whether more may wait: the turn was used up.
    @discardableResult
    private func accept() -> Bool {
        guard !isPaused else { return false }
        let worker = listener.worker
        for _ in 0..<Self.acceptsPerTurn {
            guard !listener.isFull else {
                pause(.listenerLimit)
                return false
            }
            guard worker.limits.enter() else {
                pause(.processLimit)
                return false
            }
            switch loop.accept(from: self) {
            case .accepted(let accepted):
                endHold()
                let connection = ClientConnection(
                    listener: listener, accepting: self, accepted: accepted)
                connection.start(FileDescriptor(adopting: accepted.descriptor))
            case .none:
                endHold()
                worker.limits.leave()
                return false
            case .outOfDescriptors:
                worker.limits.leave()
                pause(.descriptors)
                return false
            case .failed(let code):
                worker.limits.leave()
                pause(.systemError, code: code)
                return false
            }
        }
        again()
        return true
    }

    /// Stops accepting for a while, without spinning: clients wait in the kernel's queue.
    ///
    /// - Parameter code: the errno, for `systemError`.
    private func pause(_ hold: AcceptHold, code: CInt = 0) {
        isPaused = true
        if self.hold == nil { listener.counters.add(ListenerCounter.heldSockets) }
        if self.hold != hold { listener.counters.add(ListenerCounter.firstHold + hold.rawValue) }
        self.hold = hold
        if loop.now >= nextReport {
            nextReport = loop.now + .seconds(1)
            listener.worker.events.acceptHeld(listener.name, hold, code)
        }
        armTimer(at: loop.now + .milliseconds(100))
    }

    private func endHold() {
        guard hold != nil else { return }
        hold = nil
        listener.counters.subtract(ListenerCounter.heldSockets)
    }
}
