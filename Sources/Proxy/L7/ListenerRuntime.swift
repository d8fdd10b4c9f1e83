import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform

/// One listener on one worker: its sockets, its open connections, its counters.
final class ListenerRuntime {
    let worker: Worker
    private(set) var compiled: CompiledListener
    private(set) var counters: CounterRow
    private(set) var totalTime: HistogramRow
    private(set) var targetTime: HistogramRow
    private var ruleCounters: [CounterRow]
    private(set) var limits: HeadLimits
    private var acceptors: [Acceptor] = []
    private var connections: [ClientConnection] = []
    /// No new requests on open connections: each answer says `Connection: close`.
    private(set) var isRetired = false
    /// For `forward` to several groups: smooth weighted round robin per rule, by rule index.
    var groupChoice: [GroupChoice?]

    init(worker: Worker, compiled: CompiledListener) {
        self.worker = worker
        self.compiled = compiled
        counters = compiled.counters.row(worker.index)
        totalTime = compiled.totalTime.row(worker.index)
        targetTime = compiled.targetTime.row(worker.index)
        ruleCounters = compiled.ruleCounters.map { $0.row(worker.index) }
        limits = HeadLimits(compiled.settings.limits)
        groupChoice = Array(repeating: nil, count: compiled.actions.count + 1)
    }

    /// The same listener with other settings: sockets and connections stay.
    func replace(with compiled: CompiledListener) {
        self.compiled = compiled
        counters = compiled.counters.row(worker.index)
        totalTime = compiled.totalTime.row(worker.index)
        targetTime = compiled.targetTime.row(worker.index)
        ruleCounters = compiled.ruleCounters.map { $0.row(worker.index) }
        limits = HeadLimits(compiled.settings.limits)
        groupChoice = Array(repeating: nil, count: compiled.actions.count + 1)
    }

    /// - Parameter rule: an index, or the number of rules for the default action.
    func ruleRow(_ rule: Int) -> CounterRow { ruleCounters[rule] }

    func listen(_ socket: consuming FileDescriptor) {
        acceptors.append(Acceptor(listener: self, socket: socket))
    }

    /// Takes what the sockets still hold, closes them, and lets the connections end with their next answer.
    func retire() {
        guard !isRetired else { return }
        isRetired = true
        for acceptor in acceptors { acceptor.retire() }
        acceptors = []
        worker.retiredConnections += connections.count
        // Copied: closing an idle connection takes it out of the list.
        for connection in Array(connections) { connection.listenerRetired() }
    }

    func closeAll() {
        for connection in Array(connections) { connection.end(reset: false) }
    }

    // MARK: Connections

    var connectionCount: Int { isRetired ? 0 : connections.count }

    func enter(_ connection: ClientConnection) {
        connection.position = connections.count
        connections.append(connection)
        counters.add(ListenerCounter.connections)
        counters.add(ListenerCounter.accepted)
    }

    func leave(_ connection: ClientConnection) {
        let last = connections.removeLast()
        if last !== connection {
            connections[connection.position] = last
            last.position = connection.position
        }
        counters.subtract(ListenerCounter.connections)
        if isRetired { worker.retiredConnections -= 1 }
        worker.limits.leave()
        for acceptor in acceptors { acceptor.connectionClosed() }
    }
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
    /// Out of descriptors or at the connection limit: waits for a close.
    private var isPaused = false
    /// 0 for a unix socket.
    let port: UInt16

    private static var acceptsPerTurn: Int { 64 }

    init(listener: ListenerRuntime, socket: consuming FileDescriptor) {
        self.listener = listener
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

    func retire() {
        accept()
        close()
    }

    private func accept() {
        guard !isPaused else { return }
        let worker = listener.worker
        for _ in 0..<Self.acceptsPerTurn {
            guard worker.limits.enter() else { return pause() }
            switch loop.accept(from: self) {
            case .accepted(let accepted):
                let connection = ClientConnection(
                    listener: listener, accepting: self, accepted: accepted)
                connection.start(FileDescriptor(adopting: accepted.descriptor))
            case .none:
                return worker.limits.leave()
            case .outOfDescriptors, .failed:
                worker.limits.leave()
                return pause()
            }
        }
        again()
    }

    /// Stops accepting for a while, without spinning: clients wait in the kernel's queue.
    private func pause() {
        isPaused = true
        armTimer(at: loop.now + .milliseconds(100))
    }
}
