import PoiseModel

/// A timer of one loop: an index into the wheel's slab.
public struct TimerID: Sendable, Hashable {
    @usableFromInline let index: Int32
    public static let none = TimerID(index: -1)
    @usableFromInline init(index: Int32) { self.index = index }
}

/// Hashed timer wheel with links in the slab: arming and cancelling cost a few nanoseconds each at any number.
///
/// 1,024 slots of 8 ms. A later deadline waits in its slot for as many turns as it needs. Timers of one slot fire
/// by (deadline, arming number), so that a simulation is the same in every run. Source of the shape: Varghese and
/// Lauck, "Hashed and Hierarchical Timing Wheels", scheme 6.
///
/// A connection's timer is put off with every request and hardly ever fires. So a timer that is put off or cancelled
/// stays filed where it is; when that tick comes, it is filed anew, or taken out.
///
/// Invariants: a timer is filed under its deadline's tick or an earlier one; no tick before ``soonest`` has a timer
/// filed under it; `soonest` may be early, which costs one look and corrects it.
final class TimerWheel {
    static let slotCount = 1024
    static let tick: Int64 = 8_000_000

    struct Due {
        let deadline: Int64
        let order: UInt64
        let index: Int32
    }

    private struct Entry {
        /// ``never`` when cancelled.
        var deadline = never
        /// What it is filed under.
        var tick: Int64 = 0
        var order: UInt64 = 0
        var next: Int32 = -1
        var previous: Int32 = -1
        /// -1: not filed.
        var slot: Int32 = -1
    }

    private static let never = Int64.max

    private let entries = RawTable<Entry>(capacity: 64)
    private var freeHead: Int32 = -1
    private let heads = RawTable<Int32>(repeating: -1, count: slotCount)
    private let occupied = RawTable<UInt64>(repeating: 0, count: slotCount / 64)
    private var nextOrder: UInt64 = 0
    /// Every tick before this one has been fired.
    private var currentTick: Int64
    /// The first tick that may have a timer; `Int64.max` without timers.
    private var soonest = Int64.max
    private var filedCount = 0
    private var due: [Due] = []
    /// Found under a tick that has come, but due later or never.
    private let putOff = RawTable<Int32>()

    init(now: MonotonicTime) { currentTick = now.nanoseconds / Self.tick }

    func allocate() -> TimerID {
        let index: Int32
        if freeHead >= 0 {
            index = freeHead
            freeHead = entries[Int(index)].next
        } else {
            index = Int32(entries.count)
            entries.append(Entry())
        }
        entries[Int(index)] = Entry()
        return TimerID(index: index)
    }

    func release(_ timer: TimerID) {
        unfile(timer.index)
        entries[Int(timer.index)] = Entry(next: freeHead)
        freeHead = timer.index
    }

    /// An armed timer is moved.
    func arm(_ timer: TimerID, at deadline: MonotonicTime) {
        var entry = entries[Int(timer.index)]
        nextOrder += 1
        (entry.order, entry.deadline) = (nextOrder, deadline.nanoseconds)
        entries[Int(timer.index)] = entry
        if entry.slot >= 0 {
            if entry.tick * Self.tick <= deadline.nanoseconds { return }
            unfile(timer.index)
        }
        file(timer.index)
    }

    func cancel(_ timer: TimerID) {
        // One that was taken as due, and whose turn has not come yet, is not due any more.
        entries[Int(timer.index)].order = 0
        entries[Int(timer.index)].deadline = Self.never
    }

    /// Under the tick of its deadline, rounded up: a timer never fires early.
    private func file(_ index: Int32) {
        var entry = entries[Int(index)]
        let at = max(entry.deadline, 0)
        let tick = max(at / Self.tick + (at % Self.tick == 0 ? 0 : 1), currentTick)
        let slot = Int(tick & Int64(Self.slotCount - 1))
        if tick < soonest { soonest = tick }
        let head = heads[slot]
        (entry.tick, entry.next, entry.previous, entry.slot) = (tick, head, -1, Int32(slot))
        entries[Int(index)] = entry
        if head >= 0 { entries[Int(head)].previous = index }
        heads[slot] = index
        occupied[slot >> 6] |= 1 << UInt64(slot & 63)
        filedCount += 1
    }

    /// Its order stays: of a due timer, it tells whether it is still due when its turn comes.
    private func unfile(_ index: Int32) {
        let entry = entries[Int(index)]
        guard entry.slot >= 0 else { return }
        entries[Int(index)].slot = -1
        filedCount -= 1
        if entry.previous >= 0 {
            entries[Int(entry.previous)].next = entry.next
        } else {
            heads[Int(entry.slot)] = entry.next
            if entry.next < 0 { occupied[Int(entry.slot) >> 6] &= ~(1 << UInt64(entry.slot & 63)) }
        }
        if entry.next >= 0 { entries[Int(entry.next)].previous = entry.previous }
    }

    /// When the loop must look again: a lower bound of the next deadline, `nil` without timers.
    func nextWake() -> MonotonicTime? {
        guard filedCount > 0 else { return nil }
        return MonotonicTime(nanoseconds: soonest * Self.tick)
    }

    /// Whether ``takeDue(now:)`` would find something to look at.
    func mayBeDue(now: MonotonicTime) -> Bool { filedCount > 0 && now.nanoseconds / Self.tick >= soonest }

    /// How many are armed. Walks all timers.
    var armedCount: Int { entries.indices.count { isArmed(entries[$0]) } }

    /// Not of a timer that is firing.
    func isArmed(_ timer: TimerID) -> Bool { isArmed(entries[Int(timer.index)]) }

    private func isArmed(_ entry: Entry) -> Bool { entry.slot >= 0 && entry.deadline != Self.never }

    /// The earliest real deadline: what a simulated clock jumps to. Walks all timers.
    func earliestDeadline() -> MonotonicTime? {
        var best: Int64?
        for index in entries.indices where isArmed(entries[index]) {
            let deadline = entries[index].deadline
            if best.map({ deadline < $0 }) ?? true { best = deadline }
        }
        return best.map { MonotonicTime(nanoseconds: $0) }
    }

    /// Disarms what is due and returns it in order. The list is reused by the next call.
    func takeDue(now: MonotonicTime) -> [Due] {
        due.removeAll(keepingCapacity: true)
        let nowTick = now.nanoseconds / Self.tick
        guard mayBeDue(now: now) else {
            currentTick = max(currentTick, nowTick)
            return due
        }
        let turns = min(nowTick - currentTick + 1, Int64(Self.slotCount))
        var tick = nowTick - turns + 1
        while tick <= nowTick {
            var index = heads[Int(tick & Int64(Self.slotCount - 1))]
            while index >= 0 {
                let entry = entries[Int(index)]
                if entry.deadline <= now.nanoseconds {
                    due.append(Due(deadline: entry.deadline, order: entry.order, index: index))
                } else if entry.tick <= nowTick {
                    putOff.append(index)
                }
                index = entry.next
            }
            tick += 1
        }
        // The tick of `now` may still receive timers that are due within it.
        currentTick = nowTick
        for fired in due { unfile(fired.index) }
        while let index = putOff.popLast() {
            unfile(index)
            if entries[Int(index)].deadline != Self.never { file(index) }
        }
        soonest = findSoonest()
        if due.count > 1 { due.sort { ($0.deadline, $0.order) < ($1.deadline, $1.order) } }
        return due
    }

    /// The first tick from the current one on whose slot holds a timer for that very turn; if none does within a
    /// turn, the end of the turn.
    private func findSoonest() -> Int64 {
        guard filedCount > 0 else { return .max }
        var tick = currentTick
        let end = currentTick + Int64(Self.slotCount)
        while tick < end {
            let slot = Int(tick & Int64(Self.slotCount - 1))
            let word = occupied[slot >> 6] >> UInt64(slot & 63)
            guard word != 0 else {
                tick += Int64(64 - (slot & 63))
                continue
            }
            tick += Int64(word.trailingZeroBitCount)
            guard tick < end else { break }
            if hasTimer(forTick: tick) { return tick }
            tick += 1
        }
        return end
    }

    /// Whether the tick's slot holds a timer that is filed under it and not a turn later.
    private func hasTimer(forTick tick: Int64) -> Bool {
        var index = heads[Int(tick & Int64(Self.slotCount - 1))]
        while index >= 0 {
            let entry = entries[Int(index)]
            if entry.tick <= tick { return true }
            index = entry.next
        }
        return false
    }

    /// Whether a timer taken by ``takeDue(now:)`` was not armed again or released since.
    func isStillDue(_ fired: Due) -> Bool {
        let entry = entries[Int(fired.index)]
        return entry.slot < 0 && entry.order == fired.order
    }
}
