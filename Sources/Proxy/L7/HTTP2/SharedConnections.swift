import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform

/// The HTTP/2 connections of one worker to one target, which many clients share: as few as the streams need.
///
/// A stream goes to the connection with the fewest; where all are full another one is opened, up to a limit; beyond that
/// streams wait here in their order. Where `max_connections` of the target, over all workers, is reached, they wait too,
/// and one place in the line for a connection stands for all of them.
final class SharedConnections {
    private let worker: Worker
    private let connections = RawTable<HTTP2TargetConnection>()
    private let waiting = RawTable<HTTP2TargetStream>()
    /// A letter to ``goOn(_:)`` is on its way.
    private var isGoingOn = false
    /// The place in the line for a connection of those that the target may have.
    private var awaited: (limit: TargetLimit, ticket: UInt64)?
    /// Of ``awaited``.
    private var serial: UInt64 = 0
    /// A connection was handed over that is not opened yet.
    private var isGranted = false

    init(worker: Worker) { self.worker = worker }

    /// Streams that wait because all connections are full.
    var waitingCount: Int { waiting.count }
    /// They wait for one that is open elsewhere.
    var awaitsConnection: Bool { awaited != nil }

    /// Gives the stream a place, at once or later.
    ///
    /// - Throws: when a connection is needed and none can be opened.
    func place(_ stream: HTTP2TargetStream, _ pool: TargetPool) throws(SystemError) {
        if let connection = freest() { return connection.take(stream) }
        guard takingCount < pool.group.settings.http2.connectionsMax, mayOpen(pool) else {
            stream.waitsForPlace = true
            return waiting.append(stream)
        }
        let connection = HTTP2TargetConnection(pool: pool, worker: worker)
        do {
            connection.start(try worker.connect(to: pool.target.address))
        } catch {
            connection.giveBackLimit()
            throw error
        }
        connections.append(connection)
        connection.take(stream)
        connection.watch([.readable, .writable])
    }

    private func freest() -> HTTP2TargetConnection? {
        var found: HTTP2TargetConnection?
        for index in connections.indices where connections[index].room > 0 {
            if found == nil || connections[index].load < found!.load { found = connections[index] }
        }
        return found
    }

    /// Connections without a stream.
    var idleCount: Int { connections.indices.count { connections[$0].load == 0 } }

    private var takingCount: Int { connections.indices.count { connections[$0].takesStreams } }

    /// A connection has room, or is gone: who waits goes on. In a letter of its own: it may begin tries, and a snapshot
    /// may be half taken over when a connection ends.
    func goOn(_ pool: TargetPool) {
        guard !waiting.isEmpty, !isGoingOn else { return }
        isGoingOn = true
        let bound = LoopBound(pool, on: worker.loop)
        worker.loop.mailbox.post {
            let pool = bound.open()
            pool.shared.placeWaiting(pool)
        }
    }

    private func placeWaiting(_ pool: TargetPool) {
        isGoingOn = false
        var still: [HTTP2TargetStream] = []
        while let stream = waiting.popLast() { still.append(stream) }
        // One that is placed may end another.
        for stream in still.reversed() where stream.isOpen {
            stream.waitsForPlace = false
            do {
                try place(stream, pool)
                if !stream.waitsForPlace { stream.leftQueue() }
            } catch {
                stream.failure = error.code
                stream.connectionFailed()
            }
        }
        if waiting.isEmpty { stopAwaiting() }
    }

    /// A stream that waited is not wanted any more.
    func forget(_ stream: HTTP2TargetStream) {
        waiting.remove { $0 === stream }
        if waiting.isEmpty { stopAwaiting() }
    }

    // MARK: Connections of all workers

    /// Whether a connection may be opened; where they are limited, it is taken then, or will be handed over.
    private func mayOpen(_ pool: TargetPool) -> Bool {
        if isGranted {
            isGranted = false
            return true
        }
        if let awaited, awaited.limit !== pool.target.limit { stopAwaiting() }
        guard let limit = pool.target.limit else { return true }
        return awaited == nil && (pool.mayOpen() || mayOpenAfterAll(pool, limit))
    }

    /// All connections that the target may have are open. The exchange that needs one holds one of as many slots, so one
    /// of them is idle, in another worker mostly, or about to be: it is closed, and handed over.
    private func mayOpenAfterAll(_ pool: TargetPool, _ limit: TargetLimit) -> Bool {
        serial &+= 1
        let (queue, serial, mailbox) = (limit.connectionQueue, serial, worker.loop.mailbox)
        let bound = LoopBound(pool, on: worker.loop)
        let entered = queue.enter(limit: .max) { letter in
            mailbox.post {
                guard case .slot(let connection) = letter else { return }
                let pool = bound.open()
                if !pool.shared.wasHanded(serial: serial, pool) { queue.pass(connection) }
            }
        }
        guard let entered else { return false }
        awaited = (limit, entered)
        // One that was given back before we stood in line woke nobody.
        if queue.take(limit.connections, before: entered) {
            stopAwaiting()
            return true
        }
        pool.closeIdleInTheWay()
        let slot = pool.group.slot
        worker.neighbours.post(from: worker.index) { $0.closeIdleInTheWay(of: limit, inGroup: slot) }
        return false
    }

    /// - Returns: false where the connection is not needed any more: it is for the next.
    private func wasHanded(serial: UInt64, _ pool: TargetPool) -> Bool {
        guard let awaited, serial == self.serial else { return false }
        self.awaited = nil
        // The target may have another limit meanwhile, or none.
        isGranted = awaited.limit === pool.target.limit
        placeWaiting(pool)
        defer { isGranted = false }
        return awaited.limit === pool.target.limit && !isGranted
    }

    /// A connection that is on its way here goes on to the next.
    private func stopAwaiting() {
        guard let awaited else { return }
        self.awaited = nil
        serial &+= 1
        awaited.limit.connectionQueue.leave(awaited.ticket)
    }

    // MARK: The end

    func remove(_ connection: HTTP2TargetConnection) { connections.remove { $0 === connection } }

    /// - Parameter isWanted: asked before each.
    /// - Returns: whether there were any.
    @discardableResult
    func closeIdle(while isWanted: () -> Bool = { true }) -> Bool {
        let idle = connections.indices.map { connections[$0] }.filter { $0.load == 0 }
        for connection in idle where isWanted() { connection.closeGracefully() }
        return !idle.isEmpty
    }

    /// No new streams; those in progress end by themselves.
    func retire() {
        for connection in connections.indices.map({ connections[$0] }) { connection.retire() }
    }
}

extension RawTable {
    /// Keeps the order of the others.
    fileprivate func remove(where matches: (Element) -> Bool) {
        var kept: [Element] = []
        while let element = popLast() { if !matches(element) { kept.append(element) } }
        for element in kept.reversed() { append(element) }
    }
}
