import PoiseLive
import PoiseLoop
import PoiseModel

/// One target of one group on one worker: its idle connections and its failures in a row.
final class TargetPool {
    let loop: EventLoop
    private let events: WorkerEvents
    private let workerIndex: Int
    private(set) var target: CompiledTarget
    private(set) var group: CompiledGroup
    private(set) var counters: CounterRow
    /// Last in, first out: the warmest connection is used again, the others may go idle long enough to be closed.
    private let idle = RawTable<TargetConnection>()
    private var failuresInARow = 0
    /// The last answer was bulk: the next is received into a large buffer from its first byte.
    var answersAreLarge = false
    private(set) var isRetired = false

    init(worker: Worker, group: CompiledGroup, target: CompiledTarget) {
        (loop, events, workerIndex) = (worker.loop, worker.events, worker.index)
        (self.group, self.target) = (group, target)
        counters = target.counters.row(workerIndex)
    }

    func replace(group: CompiledGroup, target: CompiledTarget) {
        // What was opened under another limit is not counted under this one.
        if target.limit !== self.target.limit { closeIdle() }
        (self.group, self.target) = (group, target)
        counters = target.counters.row(workerIndex)
    }

    // MARK: Connections

    func takeIdle() -> TargetConnection? {
        guard let connection = idle.popLast() else { return nil }
        connection.leavePool()
        return connection
    }

    func put(_ connection: TargetConnection) {
        let time = connection.idleTime(group.settings.timeouts.keepAliveIdle)
        guard !isRetired, time > .zero, idle.count < group.settings.limits.idleConnectionsMax else {
            return connection.end()
        }
        // Not counted under the limit that holds now, or wanted elsewhere.
        if let limit = target.limit, connection.limit !== limit || isInTheWay { return connection.end() }
        connection.poolPosition = idle.count
        idle.append(connection)
        connection.enterPool(until: loop.now + time)
    }

    /// An idle connection was closed by its target or its timer.
    func remove(_ connection: TargetConnection) {
        guard let last = idle.popLast() else { return }
        guard last !== connection else { return }
        idle[connection.poolPosition] = last
        last.poolPosition = connection.poolPosition
    }

    /// Whether a connection may be opened; where they are limited, it is taken then.
    func mayOpen() -> Bool { target.limit.map { $0.connectionQueue.take($0.connections) } ?? true }

    /// An idle connection here keeps an exchange elsewhere from opening its own.
    private var isInTheWay: Bool { target.limit.map { !$0.connectionQueue.isEmpty } ?? false }

    /// Closes what has been idle longest, for as long as somebody waits for that.
    func closeIdleInTheWay() {
        while isInTheWay, !idle.isEmpty {
            let coldest = idle[0]
            remove(coldest)
            coldest.leavePool()
            coldest.end()
        }
    }

    /// - Returns: whether there were any.
    @discardableResult
    func closeIdle() -> Bool {
        guard !idle.isEmpty else { return false }
        while let connection = idle.popLast() {
            connection.leavePool()
            connection.end()
        }
        return true
    }

    func retire() {
        isRetired = true
        closeIdle()
    }

    // MARK: Passive health

    func succeeded() { failuresInARow = 0 }

    /// The head of an answer that is passed on. 502, 503 and 504 say that the target cannot do its work; any other
    /// status, 500 too, may be about the one request.
    func answered(status: Int, groupIndex: Int) {
        guard (502...504).contains(status) else { return succeeded() }
        counters.add(TargetCounter.unavailableAnswers)
        failed(groupIndex: groupIndex)
    }

    func failed(groupIndex: Int) {
        failuresInARow += 1
        let limit = group.settings.passive.consecutiveFailures
        guard limit > 0, failuresInARow >= limit else { return }
        events.targetFailed(group.slot, groupIndex, target.identity, failuresInARow)
        failuresInARow = 0
    }
}
