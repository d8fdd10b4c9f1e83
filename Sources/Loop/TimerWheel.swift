import PoiseModel

/// A timer of one loop: an index into the wheel's slab.
public struct TimerID: Sendable, Hashable {
    @usableFromInline let index: Int32
    public static let none = TimerID(index: -1)
    @usableFromInline init(index: Int32) { self.index = index }
}

/// Hashed timer wheel with links in the slab: arming and cancelling cost about 3 ns each at any number.
///
/// 1,024 slots of 8 ms. A later deadline waits in its slot for as many turns as it needs. Timers of one slot fire
/// by (deadline, arming number), so that a simulation is the same in every run. Source of the shape: Varghese and
/// Lauck, "Hashed and Hierarchical Timing Wheels", scheme 6.
///
/// Invariants: no armed timer is due before ``soonest``; `soonest` may be early (its timer was cancelled), which
/// costs one look and corrects it.
final class TimerWheel {
    static let slotCount = 1024
    static let tick: Int64 = 8_000_000

    struct Due {
        let deadline: Int64
        let order: UInt64
        let index: Int32
    }

    private struct Entry {
        var deadline: Int64 = 0
        var order: UInt64 = 0
        var next: Int32 = -1
        var previous: Int32 = -1
        /// -1: not armed.
        var slot: Int32 = -1
    }

    private let entries = RawTable<Entry>(capacity: 64)
    private var freeHead: Int32 = -1
    private let heads = RawTable<Int32>(repeating: -1, count: slotCount)
    private let occupied = RawTable<UInt64>(repeating: 0, count: slotCount / 64)
    private var nextOrder: UInt64 = 0
    /// Every tick before this one has been fired.
    private var currentTick: Int64
    /// The first tick in which a timer may be due; `Int64.max` without timers.
    private var soonest = Int64.max
    private(set) var armedCount = 0
    private var due: [Due] = []

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
        cancel(timer)
        var entry = entries[Int(timer.index)]
        entry.order = 0
        entry.next = freeHead
        entries[Int(timer.index)] = entry
        freeHead = timer.index
    }

    /// An armed timer is moved.
    func arm(_ timer: TimerID, at deadline: MonotonicTime) {
        let index = Int(timer.index)
        var entry = entries[index]
        // Rounded up: a timer never fires early.
        let at = max(deadline.nanoseconds, 0)
        let tick = max(at / Self.tick + (at % Self.tick == 0 ? 0 : 1), currentTick)
        let slot = Int(tick & Int64(Self.slotCount - 1))
        nextOrder += 1
        if tick < soonest { soonest = tick }
        if entry.slot >= 0 {
            if Int(entry.slot) == slot {
                entry.deadline = deadline.nanoseconds
                entry.order = nextOrder
                entries[index] = entry
                return
            }
            unlink(entry)
        } else {
            armedCount += 1
        }
        let head = heads[slot]
        entries[index] = Entry(
            deadline: deadline.nanoseconds, order: nextOrder, next: head, previous: -1, slot: Int32(slot))
        if head >= 0 { entries[Int(head)].previous = timer.index }
        heads[slot] = timer.index
        occupied[slot >> 6] |= 1 << UInt64(slot & 63)
    }

    func cancel(_ timer: TimerID) {
        let entry = entries[Int(timer.index)]
        // One that was taken as due, and whose turn has not come yet, is not due any more.
        entries[Int(timer.index)].order = 0
        guard entry.slot >= 0 else { return }
        unlink(entry)
        entries[Int(timer.index)].slot = -1
        armedCount -= 1
    }

    /// Not of a timer that is firing.
    func isArmed(_ timer: TimerID) -> Bool { entries[Int(timer.index)].slot >= 0 }

    /// Takes a due timer out; its order stays, which tells whether it is still due when its turn comes.
    private func disarm(_ due: Due) {
        let entry = entries[Int(due.index)]
        unlink(entry)
        entries[Int(due.index)].slot = -1
        armedCount -= 1
    }

    private func unlink(_ entry: Entry) {
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
        guard armedCount > 0 else { return nil }
        return MonotonicTime(nanoseconds: soonest * Self.tick)
    }

    /// Whether ``takeDue(now:)`` would find something to look at.
    func mayBeDue(now: MonotonicTime) -> Bool { armedCount > 0 && now.nanoseconds / Self.tick >= soonest }

    /// The earliest real deadline: what a simulated clock jumps to. Walks all timers.
    func earliestDeadline() -> MonotonicTime? {
        var best: Int64?
        for index in 0..<entries.count where entries[index].slot >= 0 {
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
                }
                index = entry.next
            }
            tick += 1
        }
        for fired in due { disarm(fired) }
        // The tick of `now` may still receive timers that are due within it.
        currentTick = nowTick
        soonest = findSoonest()
        if due.count > 1 { due.sort { ($0.deadline, $0.order) < ($1.deadline, $1.order) } }
        return due
    }

    /// The first tick from the current one on whose slot holds a timer for that very turn; if none does within a
    /// turn, the end of the turn.
    private func findSoonest() -> Int64 {
        guard armedCount > 0 else { return .max }
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

    /// Whether the tick's slot holds a timer that is due in it and not a turn later.
    private func hasTimer(forTick tick: Int64) -> Bool {
        var index = heads[Int(tick & Int64(Self.slotCount - 1))]
        while index >= 0 {
            let entry = entries[Int(index)]
            if entry.deadline <= tick * Self.tick { return true }
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
