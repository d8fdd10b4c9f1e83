import PoiseBalancing
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseProxy

/// The running Poise: workers, the configuration in force, and everything that watches over them.
@ControlActor
public final class Daemon {
    private let workers = WorkerPool()
    private var live: LiveObjects
    private let limits: ProcessLimiter
    private var generation = 0
    private(set) var configuration: Configuration?
    private var snapshot: ProxySnapshot?
    /// Addresses really bound, by listener id.
    private(set) var boundAddresses: [String: [String]] = [:]

    public init() {
        live = LiveObjects(workers: 1)
        limits = ProcessLimiter(connectionsMax: .max >> 1)
    }

    /// Binds, starts the workers, and serves.
    ///
    /// - Throws: what the operator must put right; nothing serves then.
    public func start(_ configuration: Configuration) async throws(ConfigError) {
        let descriptors = ProcessLimits.raiseDescriptorLimit()
        let count = configuration.process.workers ?? ProcessLimits.processorCount
        live = LiveObjects(workers: count)
        limits.setConnectionsMax(configuration.process.maxConnections ?? Self.connectionsMax(descriptors))
        do {
            try await workers.start(
                count: count, ringBytes: configuration.logs.access == .off ? nil : 1 << 20, limits: limits,
                events: WorkerEvents(targetFailed: { _, _, _, _ in }))
        } catch {
            throw ConfigError(
                code: .invalid, path: "process.workers", problem: "cannot start workers: \(error)",
                fix: "lower process.workers")
        }
        try await apply(configuration)
    }

    /// Each exchange needs two descriptors; some are for files, probes and the admin socket.
    private static func connectionsMax(_ descriptors: Int) -> Int { max(16, (descriptors - 100) / 2) }

    /// Validates, compiles, binds what is new, and commits: all or nothing.
    public func apply(_ configuration: Configuration) async throws(ConfigError) {
        let builder = SnapshotBuilder(live: live, addresses: [:])
        let snapshot = try builder.build(configuration, generation: generation + 1)
        var bound: [(id: String, slot: Int, sockets: ListenerBinder.Bound)] = []
        for (index, listener) in configuration.listeners.enumerated() where boundAddresses[listener.id] == nil {
            do {
                let sockets = try ListenerBinder.bind(listener, workers: workers.count)
                bound.append((listener.id, live.listener(listener.id).slot, sockets))
            } catch {
                for entry in bound { entry.sockets.close() }
                throw error.under("listeners[\(index)]")
            }
        }
        commit(configuration, snapshot, bound)
    }

    private func commit(
        _ configuration: Configuration, _ snapshot: ProxySnapshot,
        _ bound: [(id: String, slot: Int, sockets: ListenerBinder.Bound)]
    ) {
        generation = snapshot.generation
        self.snapshot = snapshot
        self.configuration = configuration
        for (index, member) in workers.members.enumerated() {
            let sockets = bound.map { ListenerSockets(slot: $0.slot, descriptors: $0.sockets.perWorker[index]) }
            member.post { $0.adopt(snapshot, sockets: sockets, availability: [:]) }
        }
        for entry in bound { boundAddresses[entry.id] = entry.sockets.addresses }
        let ids = Set(configuration.listeners.map(\.id))
        for id in boundAddresses.keys where !ids.contains(id) { boundAddresses[id] = nil }
        live.keepOnly(listeners: ids, groups: Set(configuration.targetGroups.map(\.id)))
    }

    public var listening: [(listener: String, address: String)] {
        (configuration?.listeners ?? []).flatMap { listener in
            (boundAddresses[listener.id] ?? []).map { (listener.name ?? listener.id, $0) }
        }
    }

    public func stop() { workers.stop() }
}
