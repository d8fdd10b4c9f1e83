import PoiseLive
import PoiseModel
import PoisePlatform
import PoiseProxy

/// What outlives snapshots: slots, counters, limiters, by identity. An object that an apply does not concern keeps
/// its own; one that is gone gives its slot back.
///
/// A value: an apply works on a copy, and a failed one drops it. Nothing that was prepared is left behind.
struct LiveObjects {
    struct ListenerEntry {
        var slot: Int
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

    struct GroupEntry {
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

    struct TargetEntry {
        let counters: CounterBlock
        var limit: TargetLimit?
        /// What the configuration says of ``limit``; an agent may have set it to something else.
        var configuredLimit: Int?
        var compiled: CompiledTarget?
        init(workers: Int) { counters = CounterBlock(workers: workers, width: TargetCounter.width) }
    }

    let workers: Int
    var listeners: [String: ListenerEntry] = [:]
    var groups: [String: GroupEntry] = [:]
    private var listenerSlots = SlotAllocator()
    private var groupSlots = SlotAllocator()
    /// Given up in this apply; free from the next one on, when no worker knows their old owners any more.
    private var leftListenerSlots: [Int] = []

    init(workers: Int) { self.workers = workers }

    mutating func newListener() -> ListenerEntry { ListenerEntry(slot: listenerSlots.take(), workers: workers) }
    mutating func newGroup() -> GroupEntry { GroupEntry(slot: groupSlots.take(), workers: workers) }

    /// The same listener somewhere else: the workers see a new one, the counters go on.
    mutating func move(_ entry: inout ListenerEntry) {
        leftListenerSlots.append(entry.slot)
        entry.slot = listenerSlots.take()
        entry.compiled = nil
    }

    /// Forgets what the configuration no longer has. Last of all: slots that are given up here must not be taken again
    /// within the same snapshot.
    mutating func keepOnly(listeners keptListeners: Set<String>, groups keptGroups: Set<String>) {
        for (id, entry) in listeners where !keptListeners.contains(id) {
            listeners[id] = nil
            listenerSlots.giveBack(entry.slot)
        }
        for (id, entry) in groups where !keptGroups.contains(id) {
            groups[id] = nil
            groupSlots.giveBack(entry.slot)
        }
        for slot in leftListenerSlots { listenerSlots.giveBack(slot) }
        leftListenerSlots = []
    }
}

/// Small numbers, the lowest free one first, so that the workers' tables stay short.
struct SlotAllocator {
    /// Highest first.
    private var free: [Int] = []
    private var next = 0

    mutating func take() -> Int {
        if let lowest = free.popLast() { return lowest }
        next += 1
        return next - 1
    }

    mutating func giveBack(_ slot: Int) {
        let place = free.firstIndex { $0 < slot } ?? free.count
        free.insert(slot, at: place)
    }
}
