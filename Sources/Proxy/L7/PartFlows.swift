import PoiseLive

/// Where the flows of one target count among those of its part of the group: for a bound of the load, which is a share of what
/// the targets of one tier and zone have together.
///
/// SAFETY of the row: whoever has this keeps the group whose block it is of.
struct PartFlows {
    let row: CounterRow
    let part: Int

    func began() { row.add(part) }
    func ended() { row.subtract(part) }
}

extension GroupRuntime {
    /// Counts anew by the parts of the present snapshot: flows that go on may be of another part now, or of none.
    func countPartFlows(on worker: Worker) {
        guard let block = compiled.partFlows, let tables = compiled.keyed else {
            for pool in pools { pool.partFlows = nil }
            return
        }
        let row = block.row(worker.index)
        for part in 0..<block.width { row.store(part, 0) }
        for (index, pool) in pools.enumerated() {
            let part = tables.part(of: index)
            pool.partFlows = PartFlows(row: row, part: part)
            row.add(part, pool.counters.load(TargetCounter.inFlight))
        }
    }
}
