import PoiseLoop
import PoiseModel
import PoisePlatform

/// The HTTP/2 connections of one worker to one target, which many clients share: as few as the streams need.
///
/// A stream goes to the connection with the fewest; where all are full another one is opened, up to a limit; beyond that
/// streams wait here in their order.
final class SharedConnections {
    private let worker: Worker
    private let connections = RawTable<HTTP2TargetConnection>()
    private let waiting = RawTable<HTTP2TargetStream>()
    /// A letter to ``goOn(_:)`` is on its way.
    private var isGoingOn = false

    init(worker: Worker) { self.worker = worker }

    /// Streams that wait because all connections are full.
    var waitingCount: Int { waiting.count }

    /// Gives the stream a place, at once or later.
    ///
    /// - Throws: when a connection is needed and none can be opened.
    func place(_ stream: HTTP2TargetStream, _ pool: TargetPool) throws(SystemError) {
        if let connection = freest() { return connection.take(stream) }
        guard takingCount < pool.group.settings.http2.connectionsMax else {
            stream.waitsForPlace = true
            return waiting.append(stream)
        }
        let connection = HTTP2TargetConnection(pool: pool, worker: worker)
        let socket = try worker.connect(to: pool.target.address)
        connections.append(connection)
        connection.start(socket)
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
    }

    /// A stream that waited is not wanted any more.
    func forget(_ stream: HTTP2TargetStream) { waiting.remove { $0 === stream } }

    func remove(_ connection: HTTP2TargetConnection) { connections.remove { $0 === connection } }

    /// - Returns: whether there were any.
    func closeIdle() -> Bool {
        let idle = connections.indices.map { connections[$0] }.filter { $0.load == 0 }
        for connection in idle { connection.closeGracefully() }
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
