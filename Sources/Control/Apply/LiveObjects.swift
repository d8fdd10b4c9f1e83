import PoiseLive
import PoiseModel
import PoisePlatform
import PoiseProxy

/// What outlives snapshots: slots, counters, limiters, by identity. An object that an apply does not concern keeps
/// its own; one that is gone gives its slot back.
@ControlActor
final class LiveObjects {
    final class ListenerEntry {
        let slot: Int
        let counters: CounterBlock
        let totalTime: Histogram
        let targetTime: Histogram
        var rules: [String: CounterBlock] = [:]
        var compiled: CompiledListener?

        init(slot: Int, workers: Int) {
            self.slot = slot
            counters = CounterBlock(workers: workers, width: ListenerCounter.width)
            totalTime = Histogram(workers: workers)
            targetTime = Histogram(workers: workers)
        }
    }

    final class GroupEntry {
        let slot: Int
        let counters: CounterBlock
        let totalTime: Histogram
        let targetTime: Histogram
        let queue = SlotQueue()
        var targets: [SocketAddress: TargetEntry] = [:]
        var compiled: CompiledGroup?

        init(slot: Int, workers: Int) {
            self.slot = slot
            counters = CounterBlock(workers: workers, width: GroupCounter.width)
            totalTime = Histogram(workers: workers)
            targetTime = Histogram(workers: workers)
        }
    }

    final class TargetEntry {
        let counters: CounterBlock
        var limiter: SlotLimiter?
        var compiled: CompiledTarget?
        init(workers: Int) { counters = CounterBlock(workers: workers, width: TargetCounter.width) }
    }

    let workers: Int
    private(set) var listeners: [String: ListenerEntry] = [:]
    private(set) var groups: [String: GroupEntry] = [:]
    private var listenerSlots = SlotAllocator()
    private var groupSlots = SlotAllocator()

    init(workers: Int) { self.workers = workers }

    func listener(_ id: String) -> ListenerEntry {
        if let entry = listeners[id] { return entry }
        let entry = ListenerEntry(slot: listenerSlots.take(), workers: workers)
        listeners[id] = entry
        return entry
    }

    func group(_ id: String) -> GroupEntry {
        if let entry = groups[id] { return entry }
        let entry = GroupEntry(slot: groupSlots.take(), workers: workers)
        groups[id] = entry
        return entry
    }

    /// Forgets what a committed snapshot no longer has.
    func keepOnly(listeners keptListeners: Set<String>, groups keptGroups: Set<String>) {
        for (id, entry) in listeners where !keptListeners.contains(id) {
            listeners[id] = nil
            listenerSlots.giveBack(entry.slot)
        }
        for (id, entry) in groups where !keptGroups.contains(id) {
            groups[id] = nil
            groupSlots.giveBack(entry.slot)
        }
    }
}

/// Small numbers, the lowest free one first, so that the workers' tables stay short.
struct SlotAllocator {
    private var free: [Int] = []
    private var next = 0

    mutating func take() -> Int {
        if let index = free.indices.min(by: { free[$0] < free[$1] }) { return free.remove(at: index) }
        next += 1
        return next - 1
    }

    mutating func giveBack(_ slot: Int) { free.append(slot) }
}
