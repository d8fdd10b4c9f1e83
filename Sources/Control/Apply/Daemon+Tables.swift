import PoiseLoop
import PoiseModel
import PoisePlatform
import PoiseProxy

/// Tables of `maglev` and `ring` follow the weights that are told at run time: the group is compiled anew as by an apply, on a
/// thread of its own, and the workers take it over with all connections and flows.
extension Daemon {
    /// Looks whether tables are to be made. Called at the end of each wake-up, behind what health has to say.
    func lookAtTables() {
        guard !engine.staleTables.isEmpty, !isStopping, snapshot != nil else { return }
        act(renewal.isStale(at: loop.now))
    }

    func act(_ action: TableRenewal.Action) {
        switch action {
        case .none: break
        case .wake(let time): renewalTimer.set(time)
        case .build: ControlActor.shared.executor.start { [self] in await renewTables() }
        }
    }

    /// Returns when the group's table is made of the weights that there are now.
    func waitForTable(of group: String) async {
        engine.flush(at: loop.now)
        guard engine.staleTables.contains(group), !isStopping else { return }
        lookAtTables()
        await withCheckedContinuation { waitingForTables.append($0) }
    }

    private func renewTables() async {
        await takeTurn()
        // Those who come later may have changed what is not part of this any more.
        let served = waitingForTables
        waitingForTables = []
        let begin = Clock.monotonic
        // What has changed back meanwhile needs no table, and one that cannot be made is not tried for ever.
        engine.flush(at: loop.now)
        if !engine.staleTables.isEmpty, await !republish() { engine.staleTables = [] }
        let now = Clock.monotonic
        renewal.built(in: now - begin, at: now)
        giveTurn()
        for waiter in served { waiter.resume() }
        guard engine.staleTables.isEmpty || isStopping else { return lookAtTables() }
        for waiter in waitingForTables { waiter.resume() }
        waitingForTables = []
    }

    /// The same configuration over other addresses or weights means another snapshot. Only for whoever has the turn.
    ///
    /// - Returns: whether there was something to change, and it is in force.
    func republish() async -> Bool {
        guard let configuration, !isStopping else { return false }
        let compiled = await compile(
            configuration,
            by: SnapshotBuilder(
                live: live, addresses: names.addresses, contexts: shelf.contexts, tableWeights: engine.tableWeights))
        guard !isStopping, let snapshot = try? compiled.result.get(),
            // The answer may have come while an apply waited for it, and be part of that already.
            let current = self.snapshot, !snapshot.groups.elementsEqual(current.groups, by: ===)
        else { return false }
        commit(snapshot, compiled.builder, ListenerPlan(from: bound, to: configuration), [:], configuration)
        await workers.waitUntilAdopted()
        // Freed here and not by the worker that lets go last: ten thousand targets take their time.
        withExtendedLifetime(current) {}
        return true
    }
}
