import PoiseBalancing
import PoiseHealth
import PoiseLive
import PoiseLoop
import PoiseModel

/// One target group on one worker: the algorithm's state, the weights in force, and the pools of connections.
final class GroupRuntime {
    private(set) var compiled: CompiledGroup {
        didSet { (goesByKey, mayQueue) = (compiled.keyed != nil, compiled.queue != nil) }
    }
    /// The algorithm asks for a key.
    private(set) var goesByKey: Bool
    /// Something about its targets is limited.
    private(set) var mayQueue: Bool
    private(set) var counters: CounterRow
    private(set) var totalTime: HistogramRow
    private(set) var targetTime: HistogramRow
    private(set) var pools: [TargetPool]
    /// In the order of ``pools``.
    private var weights: RawTable<Int32>
    private(set) var isFailOpen: Bool
    /// How many of ``weights`` are above 0.
    private var usableCount = 0
    /// Some target is known to be good.
    var isServing: Bool { usableCount > 0 && !isFailOpen }
    private let scheduler: RawCell<TieredScheduler>
    let retryBudget: RawCell<RetryBudget>

    init(worker: Worker, compiled: CompiledGroup, _ availability: GroupAvailability?) {
        self.compiled = compiled
        (goesByKey, mayQueue) = (compiled.keyed != nil, compiled.queue != nil)
        counters = compiled.counters.row(worker.index)
        totalTime = compiled.totalTime.row(worker.index)
        targetTime = compiled.targetTime.row(worker.index)
        let now = availability ?? Self.configured(compiled)
        weights = RawTable(now.weights)
        isFailOpen = now.isFailOpen
        usableCount = now.weights.count { $0 > 0 }
        scheduler = RawCell(Self.scheduler(for: compiled, now, worker: worker))
        retryBudget = RawCell(Self.budget(compiled))
        pools = []
        pools = compiled.targets.map { TargetPool(worker: worker, group: compiled, target: $0) }
        countPartFlows(on: worker)
    }

    private static func configured(_ compiled: CompiledGroup) -> GroupAvailability {
        GroupAvailability(weights: compiled.targets.map { Int32(EffectiveWeight.of($0.settings.weight)) })
    }

    /// This worker's share of the group's budget, rounded up.
    private static func budget(_ compiled: CompiledGroup) -> RetryBudget {
        let workers = compiled.counters.workers
        return RetryBudget(
            percent: compiled.settings.retries.budgetPercent,
            minPerSecond: (compiled.settings.retries.budgetMinPerSecond + workers - 1) / workers)
    }

    /// Built with the configured weights, as Maglev's table must not depend on health; then told what is in force.
    private static func scheduler(
        for compiled: CompiledGroup, _ now: GroupAvailability, worker: Worker
    ) -> TieredScheduler {
        var scheduler = compiled.scheduler(start: worker.random())
        for (index, weight) in now.weights.enumerated() {
            scheduler.weightChanged(at: index, to: Int(weight), standing: now.standing(of: index))
        }
        return scheduler
    }

    /// Changed settings or targets. Pools of targets that stay keep their connections.
    ///
    /// - Returns: for each old target its new index, -1 where it is gone; `nil` where all are what and where they were.
    func replace(with compiled: CompiledGroup, on worker: Worker, _ availability: GroupAvailability?) -> [Int]? {
        // Whoever waits for a slot may find one, or need none any more.
        let old = self.compiled
        defer {
            if let queue = compiled.queue {
                for pool in pools { if let limit = pool.target.limit { queue.fill(from: limit.exchanges) } }
            }
            old.queue?.lookAgain()
        }
        self.compiled = compiled
        counters = compiled.counters.row(worker.index)
        totalTime = compiled.totalTime.row(worker.index)
        targetTime = compiled.targetTime.row(worker.index)
        let now = availability ?? Self.configured(compiled)
        weights = RawTable(now.weights)
        isFailOpen = now.isFailOpen
        usableCount = now.weights.count { $0 > 0 }
        scheduler.value = Self.scheduler(for: compiled, now, worker: worker)
        // Only a table is another: that must not cost a worker what thousands of changed targets do.
        guard
            old.settings != compiled.settings || old.tls !== compiled.tls
                || !old.targets.elementsEqual(compiled.targets, by: ===)
        else {
            for pool in pools { pool.follow(compiled) }
            countPartFlows(on: worker)
            return nil
        }
        retryBudget.value = Self.budget(compiled)
        return replacePools(on: worker)
    }

    /// By identity, wherever they stand in the new order.
    private func replacePools(on worker: Worker) -> [Int] {
        let before = pools
        var old: [UInt64: TargetPool] = [:]
        for pool in before { old[pool.target.identity] = pool }
        let places = Dictionary(
            zip(compiled.targets.map(\.identity), compiled.targets.indices), uniquingKeysWith: { first, _ in first })
        let renumbered = before.map { places[$0.target.identity] ?? -1 }
        pools = compiled.targets.map { target in
            guard let pool = old.removeValue(forKey: target.identity), pool.target.address == target.address else {
                return TargetPool(worker: worker, group: compiled, target: target)
            }
            pool.replace(group: compiled, target: target)
            return pool
        }
        // In their order and not a dictionary's, which is another one in each process: runs can be played again.
        for pool in before where old[pool.target.identity] === pool { pool.retire() }
        countPartFlows(on: worker)
        return renumbered
    }

    /// Idle connections are closed; flows in progress end by themselves.
    func retire() {
        for pool in pools { pool.retire() }
    }

    func setAvailability(_ availability: GroupAvailability) {
        guard availability.weights.count == weights.count else { return }
        let service = scheduler.value.service
        for index in weights.indices {
            let weight = availability.weights[index]
            scheduler.value.weightChanged(at: index, to: Int(weight), standing: availability.standing(of: index))
            take(weight, of: index)
        }
        isFailOpen = availability.isFailOpen
        // Targets that the subset leaves out decide as well which tiers take flows: that need not show in any weight here.
        if scheduler.value.service != service { compiled.queue?.lookAgain() }
    }

    func setWeight(_ weight: Int32, of target: Int) {
        guard target < weights.count, weights[target] != weight else { return }
        scheduler.value.weightChanged(at: target, to: Int(weight))
        take(weight, of: target)
    }

    /// All that follows from a weight, but for the algorithm.
    private func take(_ weight: Int32, of target: Int) {
        guard weights[target] != weight else { return }
        usableCount += (weight > 0 ? 1 : 0) - (weights[target] > 0 ? 1 : 0)
        weights[target] = weight
        // A target that is no longer used must not keep connections that may be half dead.
        if weight == 0 { pools[target].closeIdle() }
        guard let queue = compiled.queue, !queue.isEmpty else { return }
        if weight == 0 {
            queue.lookAgain()
        } else if let limit = pools[target].target.limit,
            scheduler.value.isIn(scheduler.value.service, target)
        {
            queue.fill(from: limit.exchanges)
        }
    }

    /// - Parameter key: for algorithms by key.
    /// - Returns: an index into ``pools``; `nil` when no target is left for this flow.
    func pick(key: UInt64, random: UInt64, excluding excluded: Exclusions, at now: MonotonicTime) -> Int? {
        if weights.count == 1 { return weights[0] > 0 && excluded.isEmpty ? 0 : nil }
        return scheduler.value.pick(
            from: View(weights: weights, group: compiled, now: now), key: key, random: random, excluding: excluded)
    }

    /// Another target for a flow that `full` has no room for, in the tiers that take flows now: full is not ill.
    func pick(
        insteadOf full: Int, key: UInt64, random: UInt64, excluding excluded: Exclusions, at now: MonotonicTime
    ) -> Int? {
        scheduler.value.pick(
            insteadOf: full, from: View(weights: weights, group: compiled, now: now), key: key, random: random,
            excluding: excluded)
    }

    /// What each tier and zone takes of the group's flows, as this worker divides them.
    var tierShares: [TieredScheduler.TierShare] { scheduler.value.tierShares }

    /// Whether ``pick(key:excluding:)`` would find one. Walks the targets: not for every request.
    func hasUsable(excluding excluded: Exclusions) -> Bool {
        weights.indices.contains { weights[$0] > 0 && !excluded.contains($0) }
    }

    // MARK: Slots

    /// Takes a slot, unless an exchange that came before `place` can use it.
    func takeSlot(_ slot: SlotLimiter, before place: UInt64?) -> Bool {
        compiled.queue?.take(slot, before: place ?? .max) ?? slot.take()
    }

    /// Takes a slot of any usable target that has one, in the order of tiers, the own zone first: of tiers that take flows
    /// now, and of others (backups last) only for an exchange that has tried all targets of these.
    ///
    /// - Returns: an index into ``pools``.
    func takeAnySlot(excluding excluded: Exclusions, before place: UInt64?) -> Int? {
        var rank = -1
        let ranks = compiled.ranks
        let service = scheduler.value.service
        let isBound = hasAny(in: service, excluding: excluded)
        while let next = ranks.lazy.filter({ $0 > rank }).min() {
            rank = next
            for index in pools.indices
            where weights[index] > 0 && ranks[index] == rank && !excluded.contains(index)
                && (!isBound || scheduler.value.isIn(service, index))
            {
                guard let limit = pools[index].target.limit else { return index }
                if takeSlot(limit.exchanges, before: place) { return index }
            }
        }
        return nil
    }

    /// The target at `index` is done with a slot: it is for who waits, unless nobody may go there any more.
    func release(_ slot: SlotLimiter, of index: Int) {
        if let queue = compiled.queue, index >= 0, weights[index] > 0,
            pools[index].target.limit?.exchanges === slot
        {
            queue.pass(slot)
        } else {
            slot.giveBack()
        }
    }

    /// - Parameter excluded: what the exchange has tried that would use the slot.
    /// - Returns: the target that `slot` is of; `nil` when it is not usable in this worker's view, or of a tier that takes no
    ///   flows now, unless the exchange has tried all targets of those that do.
    func index(of slot: SlotLimiter, excluding excluded: Exclusions) -> Int? {
        guard
            let index = pools.indices.first(where: {
                weights[$0] > 0 && pools[$0].target.limit?.exchanges === slot
            })
        else { return nil }
        let service = scheduler.value.service
        return scheduler.value.isIn(service, index) || !hasAny(in: service, excluding: excluded) ? index : nil
    }

    /// Walks the targets: not for every request.
    private func hasAny(in service: TieredScheduler.Service, excluding excluded: Exclusions) -> Bool {
        weights.indices.contains {
            weights[$0] > 0 && !excluded.contains($0) && scheduler.value.isIn(service, $0)
        }
    }

    func slots(of targets: Exclusions) -> [SlotLimiter] {
        (0..<targets.count).compactMap { pools[targets[$0]].target.limit?.exchanges }
    }

    private struct View: TargetView {
        let weights: RawTable<Int32>
        let group: CompiledGroup
        let now: MonotonicTime
        var count: Int { weights.count }
        func weight(at index: Int) -> Int { Int(weights[index]) }
        func load(at index: Int) -> Int { max(0, group.targets[index].counters.gauge(TargetCounter.inFlight)) }
        /// The worst that a worker knows of.
        func answerTime(at index: Int) -> Int? {
            let counters = group.targets[index].counters
            var worst: Int?
            for worker in 0..<counters.workers {
                let average = PeakAverage(word: counters.word(TargetCounter.answerTime, of: worker))
                if let time = average.value(at: now) { worst = max(worst ?? 0, time) }
            }
            return worst
        }
        /// Without the exchange that asks, which is counted already.
        var totalLoad: Int { max(0, group.counters.gauge(GroupCounter.inFlight) - 1) }
        func totalLoad(ofPart part: Int) -> Int { group.partFlows.map { max(0, $0.gauge(part)) } ?? 0 }
    }
}

/// Which group of a weighted `forward` takes the next request: smooth weighted round robin, per worker.
///
/// Among those that reach a usable target; where none does, among all, and each answers as it does without one.
struct GroupChoice {
    private var schedule: SmoothWeightedRoundRobin
    private let shares: [CompiledAction.Share]

    init(_ shares: [CompiledAction.Share], start: UInt64) {
        self.shares = shares
        schedule = SmoothWeightedRoundRobin(weights: shares.map(\.weight), start: start)
    }

    /// - Returns: an index into the shares; `nil` when all weights are 0.
    mutating func next(on worker: Worker) -> Int? {
        schedule.pick(from: View(shares: shares, worker: worker)) ?? schedule.pick()
    }

    private struct View: TargetView {
        let shares: [CompiledAction.Share]
        let worker: Worker
        var count: Int { shares.count }
        func weight(at index: Int) -> Int { worker.serves(shares[index].groupSlot) ? shares[index].weight : 0 }
        func load(at index: Int) -> Int { 0 }
        func answerTime(at index: Int) -> Int? { nil }
        var totalLoad: Int { 0 }
        func totalLoad(ofPart part: Int) -> Int { 0 }
    }
}
