import PoiseConfig
import PoiseHealth
import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseProxy

/// Applying: validate → resolve → compile → bind, all of which may fail and then changes nothing; → commit, which
/// cannot fail.
extension Daemon {
    /// How long an apply waits for names it has never heard of. Later answers come as applies of their own.
    private static var nameWait: Nanoseconds { .seconds(1) }

    /// Applies a text, such as `poise apply FILE` sends it. It can name no files: Poise would read them with its own
    /// rights and not with those of the sender.
    public func apply(text: [UInt8], name: String) async throws(ApplyRefusal) -> ApplySummary {
        let proposal: Proposal
        do {
            proposal = Proposal(try ConfigLoader.load(text: text, name: name, environment: { Environment[$0] }))
        } catch {
            throw ApplyRefusal(.invalid, error.render())
        }
        try refuseForeignCommands(proposal)
        return try await apply(proposal, by: name)
    }

    /// Makes `proposal` the configuration in force, or changes nothing. One at a time: a second call waits for the first.
    ///
    /// - Parameter source: who asked, for the log.
    public func apply(_ proposal: Proposal, by source: String) async throws(ApplyRefusal) -> ApplySummary {
        await takeTurn()
        defer { giveTurn() }
        let begin = Clock.monotonic
        try refuseWhenStopping()
        let new = proposal.configuration
        try refuse(new.validate(), proposal.origins)
        try refuse(pingRefusals(in: new), proposal.origins)
        let restarts = restartsNeeded(for: new).map { refusal(.needsRestart, $0, proposal.origins).description }
        guard restarts.isEmpty else { throw ApplyRefusal(.needsRestart, restarts.joined(separator: "\n")) }
        let certificates = await shelf.prepare(new, .apply)
        try refuse(certificates.errors, proposal.origins)
        await names.learn(Self.names(in: new), deadline: loop.now + Self.nameWait)
        let plan = ListenerPlan(from: bound, to: new)
        let compiled = await compile(
            new,
            by: SnapshotBuilder(
                live: live, addresses: names.addresses, moved: plan.moved, contexts: certificates.contexts,
                tableWeights: engine.tableWeights))
        // The end may have begun meanwhile. From here to the commit nothing waits.
        try refuseWhenStopping()
        let builder = compiled.builder
        let snapshot: ProxySnapshot
        let sockets: [String: [ListenerBinder.Bound]]
        do throws(ConfigError) {
            snapshot = try compiled.result.get()
            sockets = try bind(plan.fresh)
        } catch {
            throw refusal(.system, error, proposal.origins)
        }

        var summary = ApplySummary(from: configuration, to: new, generation: snapshot.generation)
        summary.connectionsTouched = connections(of: plan)
        summary.warnings = proposal.warnings
        let doubts = certificates.warnings.map { diagnostic("warning", $0, proposal.origins) + "\n" }
        summary.warnings += doubts.joined()
        let previous = self.snapshot
        commit(snapshot, builder, plan, sockets, new)
        adopt(certificates, for: new)
        (configuration, origins) = (new, proposal.origins)
        commands.runningMax = new.process.commandsMax
        webhooks.forgetContexts()
        hub.adopt(new)
        names.keepOnly(Self.names(in: new))
        summary.flowsDraining = engine.leaving.reduce(0) { $0 + $1.flows }
        // Who applied may send a request now and must find what was applied.
        await workers.waitUntilAdopted()
        // Freed here and not by the worker that lets go last: ten thousand targets take their time.
        withExtendedLifetime(previous) {}
        summary.duration = Clock.monotonic - begin
        log(
            OperationalEvent(
                .info, "configuration applied",
                [
                    ("by", source), ("generation", "\(generation)"), ("changes", summary.text),
                    ("ms", "\(summary.duration.milliseconds)"),
                ]))
        return summary
    }

    /// A name has other addresses: the same configuration means another snapshot.
    func applyNames() async {
        await takeTurn()
        defer { giveTurn() }
        // The answer may have changed no address: a name is still without one.
        if await !republish(), let configuration, !isStopping {
            engine.setUnresolved(unresolved(in: configuration), at: loop.now)
        }
    }

    // MARK: Prepare

    /// On a thread of its own: tables of thousands of targets take longer than traffic and probes may wait for control.
    ///
    /// Only whoever has the turn may compile: what it starts from must be what it is committed over.
    func compile(_ configuration: Configuration, by builder: SnapshotBuilder) async -> CompiledSnapshot {
        let generation = generation + 1
        return await HelperThread.run("compiler") {
            var builder = builder
            do throws(ConfigError) {
                let snapshot = try builder.build(configuration, generation: generation)
                return CompiledSnapshot(builder: builder, result: .success(snapshot))
            } catch {
                return CompiledSnapshot(builder: builder, result: .failure(error))
            }
        }
    }

    private func refuseWhenStopping() throws(ApplyRefusal) {
        if isStopping { throw ApplyRefusal(.stopping, "Poise is stopping: nothing is applied any more") }
    }

    /// Tells all of what is wrong.
    private func refuse(_ errors: [ConfigError], _ origins: Origins) throws(ApplyRefusal) {
        guard !errors.isEmpty else { return }
        let texts = errors.map { refusal(.invalid, $0, origins).description }
        throw ApplyRefusal(.invalid, texts.joined(separator: "\n"))
    }

    /// What only a new process can change. All of the file is refused then: half of a change is none that was asked for.
    private func restartsNeeded(for new: Configuration) -> [ConfigError] {
        guard let old = configuration else { return [] }
        let (before, after) = (old.process, new.process)
        let workers = after.workers ?? ProcessLimits.processorCount
        let changes = [
            ("process.workers", workers != self.workers.count),
            ("process.user", after.user != before.user),
            ("process.admin.socket", after.adminSocket != before.adminSocket),
            ("process.admin.metrics", after.metricsAddress != before.metricsAddress),
            ("logs.access.destination", old.logs.access != new.logs.access),
            ("logs.access.format", old.logs.accessFormat != new.logs.accessFormat),
            ("logs.access.ring_records", old.logs.accessRingRecords != new.logs.accessRingRecords),
            ("logs.health", old.logs.health != new.logs.health),
        ]
        return changes.filter(\.1).map { key, _ in
            // Without the values: they may come from `${}`.
            ConfigError(
                code: .conflict, path: key, problem: "restart needed: \(key) cannot change while Poise runs",
                fix: "restart Poise, or put the old value back; nothing of this configuration is in force")
        }
    }

    private func bind(_ fresh: [ListenerPlan.Fresh]) throws(ConfigError) -> [String: [ListenerBinder.Bound]] {
        var sockets: [String: [ListenerBinder.Bound]] = [:]
        for entry in fresh {
            do {
                sockets[entry.listener, default: []].append(
                    try ListenerBinder.bind(
                        entry.address, workers: workers.count, id: nextSocketID, ours: entry.ours))
                nextSocketID += 1
            } catch {
                for bound in sockets.values.joined() {
                    bound.close()
                    if case .unix(let path) = bound.configured, !isOurs(path) { Files.remove(path) }
                }
                throw error.under(entry.path)
            }
        }
        return sockets
    }

    private func isOurs(_ path: String) -> Bool {
        bound.values.joined().contains { $0.configured == .unix(path: path) }
    }

    private static func names(in configuration: Configuration) -> [String: Nanoseconds] {
        var names: [String: Nanoseconds] = [:]
        for group in configuration.targetGroups {
            for case .name(let name, _) in group.targets.map(\.address) {
                names[name] = min(names[name] ?? .unlimited, group.resolveInterval)
            }
        }
        // What a hook's name resolves to concerns no snapshot.
        for hook in configuration.notify {
            guard let url = hook.webhook, url.address == nil else { continue }
            names[url.host] = min(names[url.host] ?? .unlimited, .seconds(30))
        }
        return names
    }

    private func connections(of plan: ListenerPlan) -> Int {
        (plan.removed + plan.moved).reduce(0) {
            $0 + max(0, live.listeners[$1]?.counters.gauge(ListenerCounter.connections) ?? 0)
        }
    }

    // MARK: Commit

    func commit(
        _ snapshot: ProxySnapshot, _ builder: SnapshotBuilder, _ plan: ListenerPlan,
        _ sockets: [String: [ListenerBinder.Bound]], _ configuration: Configuration
    ) {
        live = builder.live
        builder.takeEffect()
        generation = snapshot.generation
        self.snapshot = snapshot
        snapshotObserver?(snapshot)
        limits.setConnectionsMax(configuration.process.maxConnections ?? Self.connectionsMax(descriptors))
        let availability = engine.adopt(snapshot, unresolved: unresolved(in: configuration), at: loop.now)
        let deadline = loop.now + configuration.process.shutdownDeadline
        let closing = Set(plan.going.map(\.id))
        for (index, member) in workers.members.enumerated() {
            let new = sockets.flatMap { id, bound in
                bound.map { ListenerSocket(slot: live.listeners[id]!.slot, id: $0.id, descriptor: $0.perWorker[index]) }
            }
            member.post {
                $0.adopt(snapshot, sockets: new, closing: closing, deadline: deadline, availability: availability)
            }
        }
        bound = plan.kept.merging(sockets) { $0 + $1 }
        for gone in plan.going {
            gone.closeSpare()
            if case .unix(let path) = gone.configured, !isOurs(path) { Files.remove(path) }
        }
        if !plan.removed.isEmpty || !plan.moved.isEmpty { end(overdue: deadline) }
    }

    private func unresolved(in configuration: Configuration) -> [String: [UnresolvedName]] {
        var unresolved: [String: [UnresolvedName]] = [:]
        for group in configuration.targetGroups {
            for target in group.targets {
                guard case .name(let name, _) = target.address, let entry = names.entries[name],
                    entry.addresses.isEmpty
                else { continue }
                let problem = entry.hasAnswered ? entry.problem ?? "no address" : nil
                unresolved[group.id, default: []].append(
                    UnresolvedName(target: target, name: name, problem: problem))
            }
        }
        return unresolved
    }

    /// Connections of removed listeners end by `deadline`.
    private func end(overdue deadline: MonotonicTime) {
        let timer = LoopTimer(loop: loop)
        endings.append(timer)
        timer.fired = { [unowned self, unowned timer] in
            timer.end()
            endings.removeAll { $0 === timer }
            workers.postToAll { $0.endOverdue(by: deadline) }
        }
        timer.set(deadline)
    }

    // MARK: One at a time

    func takeTurn() async {
        guard isApplying else {
            isApplying = true
            return
        }
        await withCheckedContinuation { waitingForTurn.append($0) }
    }

    func giveTurn() {
        if waitingForTurn.isEmpty { isApplying = false } else { waitingForTurn.removeFirst().resume() }
    }

    /// As compilers print it, with the place in the file where it is known.
    public func refusal(_ kind: ApplyRefusal.Kind, _ error: ConfigError, _ origins: Origins) -> ApplyRefusal {
        ApplyRefusal(kind, diagnostic("error", error, origins))
    }

    func diagnostic(_ severity: String, _ error: ConfigError, _ origins: Origins) -> String {
        let place = origins.place(of: error.path) ?? error.path
        let start = place.isEmpty ? "poise" : place
        return "\(start): \(severity): \(error.problem) [\(error.code.name)]\nhelp: \(error.fix)"
    }
}
