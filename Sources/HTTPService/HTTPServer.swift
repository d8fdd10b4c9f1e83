import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseTLS

/// A small HTTP/1.1 server on a control loop, with TLS if asked: the admin API and the sample target. Not a data plane.
///
/// Each connection is one task and one actor on the loop of `executor`. Keep-alive, pipelining (answers in order),
/// HEAD, `100 Continue`, chunked both ways; what cannot be framed for certain is answered and closed.
public actor HTTPServer {
    public typealias Handler = @Sendable (HTTPRequest) async throws(HTTPHandlerFailure) -> HTTPResponse

    public struct Settings: Sendable {
        /// From the first byte of a request to the end of its head.
        public var headTimeout = Nanoseconds.seconds(10)
        /// Between requests.
        public var idleTimeout = Nanoseconds.seconds(75)
        /// Without a byte in the direction that is waited for.
        public var bodyTimeout = Nanoseconds.seconds(30)
        /// Beyond it a connection is closed at once, a few of them with 503.
        public var connectionsMax = 1024
        /// Speaks TLS on all its addresses; `nil`: on none. Its ALPN must not choose HTTP/2.
        public var tls: TLSServerContext?
        public init() {}
    }

    /// Something that stays bound: where, and how to let go.
    private struct Listening {
        let listener: AsyncListener
        let path: String?
    }

    public nonisolated let executor: LoopExecutor
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.forActors }

    private let settings: Settings
    private let handler: Handler
    /// Made with the first connection: on the loop.
    private lazy var security: LoopBound<SecureSocket.Security>? = settings.tls.map {
        let engine = TLSEngine(loop: executor.loop)
        return LoopBound(SecureSocket.Security(context: $0, engine: engine), on: executor.loop)
    }
    private var listening: [Listening] = []
    private var connections: [ObjectIdentifier: HTTPServerConnection] = [:]
    /// Being told that there are too many.
    private var refusalsInProgress = 0
    private var isStopping = false
    /// So many refused connections may wait for their 503 to be read: each has a descriptor meanwhile.
    private static let refusalsMax = 8
    /// Accepted since the start; refused ones included.
    public private(set) var acceptedCount = 0

    public init(executor: LoopExecutor, settings: Settings = Settings(), handler: @escaping Handler) {
        (self.executor, self.settings, self.handler) = (executor, settings, handler)
    }

    /// Binds, and serves from then on.
    ///
    /// A unix socket that nobody listens on any more is replaced; one that answers is EADDRINUSE.
    /// - Parameter mode: permissions of a unix socket, set before the first client can connect.
    /// - Returns: where it listens: with a port even if 0 was asked for.
    @discardableResult
    public func listen(on address: ListenAddress, mode: UInt32 = 0o660) throws(SystemError) -> ListenAddress {
        let socket = try ServiceSocket.listen(on: address, mode: mode)
        var path: String?
        if case .unix(let name) = address { path = name }
        let listener = AsyncListener(adopting: socket, loop: executor.loop)
        listening.append(Listening(listener: listener, path: path))
        let index = listening.count - 1
        executor.start { await self.acceptAll(from: index) }
        switch address {
        case .unix: return address
        case .ip(let ip, _): return .ip(ip, port: listener.port ?? 0)
        case .anyAddress: return .anyAddress(port: listener.port ?? 0)
        }
    }

    /// Stops accepting, lets exchanges in flight end until `deadline`, then closes what is left.
    public func stop(deadline: MonotonicTime) async {
        isStopping = true
        for entry in listening {
            entry.listener.close()
            if let path = entry.path { Files.remove(path) }
        }
        for connection in connections.values { await connection.stopWhenIdle() }
        while !connections.isEmpty, executor.loop.now < deadline {
            try? await executor.loop.sleep(for: .milliseconds(10))
        }
        for connection in connections.values { await connection.abort() }
    }

    public var connectionCount: Int { connections.count }

    private func acceptAll(from index: Int) async {
        let listener = listening[index].listener
        while let accepted = try? await listener.accept() {
            take(accepted)
            // A flood of connections must not keep the loop from those that are there.
            if acceptedCount % 16 == 0 { await Task.yield() }
        }
    }

    private func take(_ accepted: Accepted) {
        acceptedCount += 1
        let connection = HTTPServerConnection(
            accepted, executor: executor, settings: settings, security: security, handler: handler)
        guard connections.count < settings.connectionsMax, !isStopping else {
            return refuse(connection)
        }
        connections[ObjectIdentifier(connection)] = connection
        executor.start {
            await connection.serve()
            await self.forget(connection)
        }
    }

    private func refuse(_ connection: HTTPServerConnection) {
        let isAnswered = refusalsInProgress < Self.refusalsMax && !isStopping
        if isAnswered { refusalsInProgress += 1 }
        executor.start {
            guard isAnswered else { return await connection.abort() }
            await connection.refuse()
            await self.endRefusal()
        }
    }

    private func endRefusal() { refusalsInProgress -= 1 }
    private func forget(_ connection: HTTPServerConnection) { connections[ObjectIdentifier(connection)] = nil }
}
