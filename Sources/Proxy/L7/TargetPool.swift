import PoiseBalancing
import PoiseHTTP
import PoiseLive
import PoiseLoop
import PoiseModel
import PoiseTLS

/// One target of one group on one worker: its idle connections and its failures in a row.
final class TargetPool {
    let loop: EventLoop
    private let events: WorkerEvents
    private let workerIndex: Int
    private(set) var target: CompiledTarget
    private(set) var group: CompiledGroup
    private(set) var counters: CounterRow
    /// `nil` where only the target's own flows count, and where it is retired.
    var partFlows: PartFlows?
    /// Last in, first out: the warmest connection is used again, the others may go idle long enough to be closed.
    private let idle = RawTable<TargetConnection>()
    /// Idle connections that each wait for one client; beside the pool it is that client's ``OwnConnections`` that has them.
    private let owned = RawTable<TargetConnection>(capacity: 1)
    /// Connections begin with a PROXY header.
    private(set) var introducesClients: Bool
    /// Changes with the settings of that header.
    private(set) var introductionEpoch = 0
    /// The last TLS session with the target, to go on with.
    private var resumption = ResumptionSlot()
    /// Its connections where it speaks HTTP/2.
    let shared: SharedConnections
    private var failuresInARow = 0
    /// The last answer was bulk: the next is received into a large buffer from its first byte.
    var answersAreLarge = false
    private(set) var isRetired = false

    init(worker: Worker, group: CompiledGroup, target: CompiledTarget) {
        (loop, events, workerIndex) = (worker.loop, worker.events, worker.index)
        (self.group, self.target) = (group, target)
        counters = target.counters.row(workerIndex)
        introducesClients = group.settings.proxyProtocol.version != .off
        shared = SharedConnections(worker: worker)
    }

    func replace(group: CompiledGroup, target: CompiledTarget) {
        defer { shared.goOn(self) }
        // What was opened under another limit is not counted under this one.
        if target.limit !== self.target.limit {
            closeIdle()
            shared.retire()
        }
        // They speak to another name, by other rules, or in another language.
        if group.tls !== self.group.tls || target.tlsName != self.target.tlsName
            || group.settings.version != self.group.settings.version
        {
            closeIdle()
            shared.retire()
            // What is resumed is not verified again.
            resumption = ResumptionSlot()
        }
        if group.settings.proxyProtocol != self.group.settings.proxyProtocol {
            closeIdle()
            introductionEpoch += 1
            introducesClients = group.settings.proxyProtocol.version != .off
        }
        (self.group, self.target) = (group, target)
        counters = target.counters.row(workerIndex)
    }

    /// The group was compiled anew, and nothing that a pool goes by has changed.
    func follow(_ group: CompiledGroup) { self.group = group }

    /// The TLS of a new connection to the target; `nil` for plain text.
    func newSession(_ engine: TLSEngine) -> TLSSession? {
        guard let context = group.tls, let name = target.tlsName else { return nil }
        return TLSSession(client: context, peer: name.peer(resumption: resumption), engine: engine)
    }

    // MARK: Flows

    func flowBegan() {
        counters.add(TargetCounter.inFlight)
        partFlows?.began()
    }

    func flowEnded() {
        counters.subtract(TargetCounter.inFlight)
        partFlows?.ended()
    }

    // MARK: Connections

    /// One that anybody may use.
    func takeIdle() -> TargetConnection? {
        guard let connection = idle.popLast() else { return nil }
        connection.leavePool()
        return connection
    }

    func put(_ connection: TargetConnection) {
        let time = connection.idleTime(group.settings.timeouts.keepAliveIdle)
        guard !isRetired, time > .zero, idle.count + owned.count < group.settings.limits.idleConnectionsMax
        else {
            return connection.end()
        }
        // Not counted under the limit that holds now, or wanted elsewhere.
        if let limit = target.limit, connection.limit !== limit || isInTheWay { return connection.end() }
        if introducesClients || connection.owner != nil { return putOwned(connection, time) }
        connection.poolPosition = idle.count
        idle.append(connection)
        connection.enterPool(until: loop.now + time)
    }

    /// What it began with must still be what connections begin with, and its client be there.
    private func putOwned(_ connection: TargetConnection, _ time: Nanoseconds) {
        guard introducesClients, connection.introductionEpoch == introductionEpoch, let owner = connection.owner,
            owner.keep(connection, lot: connection.worker.random())
        else { return connection.end() }
        connection.poolPosition = owned.count
        owned.append(connection)
        connection.enterPool(until: loop.now + time)
    }

    /// An idle connection is closed by its target or its timer, or taken by its client.
    func remove(_ connection: TargetConnection) {
        if let owner = connection.owner { owner.forget(connection) }
        let table = connection.owner == nil ? idle : owned
        guard let last = table.popLast() else { return }
        guard last !== connection else { return }
        table[connection.poolPosition] = last
        last.poolPosition = connection.poolPosition
    }

    /// Whether a connection may be opened; where they are limited, it is taken then.
    func mayOpen() -> Bool { target.limit.map { $0.connectionQueue.take($0.connections) } ?? true }

    /// An idle connection here keeps an exchange elsewhere from opening its own.
    var isInTheWay: Bool { target.limit.map { !$0.connectionQueue.isEmpty } ?? false }

    /// Closes what has been idle longest, for as long as somebody waits for that.
    func closeIdleInTheWay() {
        while isInTheWay, !idle.isEmpty { idle[0].closeIdle() }
        while isInTheWay, !owned.isEmpty { owned[0].closeIdle() }
        shared.closeIdle { isInTheWay }
    }

    /// - Returns: whether there were any.
    @discardableResult
    func closeIdle() -> Bool {
        let hadShared = shared.closeIdle()
        guard !idle.isEmpty || !owned.isEmpty else { return hadShared }
        while let connection = idle.popLast() {
            connection.leavePool()
            connection.end()
        }
        while !owned.isEmpty { owned[owned.count - 1].closeIdle() }
        return true
    }

    func retire() {
        isRetired = true
        partFlows = nil
        closeIdle()
        shared.retire()
    }

    // MARK: Answer times

    /// What ended a flow, for `least_time`.
    enum FlowEnd { case answered, failed, givenUp }

    func took(_ time: Nanoseconds, _ end: FlowEnd, at now: MonotonicTime) {
        guard group.settings.algorithm == .leastTime else { return }
        let before = PeakAverage(word: counters.load(TargetCounter.answerTime))
        let after =
            switch end {
            case .answered: before.observing(time, at: now)
            case .failed: before.observingFailure(time, at: now)
            case .givenUp: before.observingWait(time, at: now)
            }
        counters.store(TargetCounter.answerTime, after.word)
    }

    /// - Parameter report: `nil` where it could not be read.
    func reported(_ report: LoadReport?) {
        guard let report else { return counters.add(TargetCounter.badLoadReports) }
        guard report.utilization > 0 else { return }
        counters.add(TargetCounter.loadReports)
        counters.add(TargetCounter.loadUtilization, UInt64(report.utilization))
        counters.add(TargetCounter.loadRequestRate, UInt64(report.requestRate))
        counters.add(TargetCounter.loadErrorRate, UInt64(report.errorRate))
    }

    // MARK: Passive health

    func succeeded() { failuresInARow = 0 }

    /// The head of an answer that is passed on. 502, 503 and 504 say that the target cannot do its work; any other
    /// status, 500 too, may be about the one request.
    func answered(status: Int, groupIndex: Int) {
        guard Self.isUnavailable(status) else { return succeeded() }
        counters.add(TargetCounter.unavailableAnswers)
        failed(groupIndex: groupIndex)
    }

    static func isUnavailable(_ status: Int) -> Bool { (502...504).contains(status) }

    func failed(groupIndex: Int) {
        failuresInARow += 1
        let limit = group.settings.passive.consecutiveFailures
        guard limit > 0, failuresInARow >= limit else { return }
        events.targetFailed(group.slot, groupIndex, target.identity, failuresInARow)
        failuresInARow = 0
    }
}
