import PoisePlatform

/// Who waits for a slot, over all workers: first come, first served.
///
/// A slot is never put down while somebody waits who can use it. Who has done with it hands it over, still taken, to
/// the first waiter (``pass(_:)``); who has just taken one while others wait hands it over as well, and queues
/// (``take(_:before:)``). So a newcomer cannot overtake, and a woken waiter cannot find its slot gone.
///
/// No slot lies idle beside a waiter: a waiter enters and then tries once more; who gives a slot back does so first
/// and then looks for a waiter. Both in sequentially consistent order, so at least one of them sees the other. The
/// lock is only taken where somebody waits.
public final class SlotQueue: Sendable {
    public enum Letter: Sendable {
        /// The waiter has left the queue and owns this slot.
        case slot(SlotLimiter)
        /// What the waiter waits for may have changed: it may leave, and enter again in its old place.
        case look
    }

    private struct Waiter {
        let ticket: UInt64
        /// Slots of no use to it.
        let refused: [SlotLimiter]
        let tell: @Sendable (Letter) -> Void

        func accepts(_ slot: SlotLimiter) -> Bool { !refused.contains { $0 === slot } }
    }

    private struct State {
        /// By ticket. Those before `first` have left.
        var waiting: [Waiter?] = []
        var first = 0
        var nextTicket: UInt64 = 1
        /// Who waits for something else, in a line of its own.
        var aside = 0

        var count: Int { waiting.count - first + aside }

        func place(of ticket: UInt64) -> Int {
            var (low, high) = (first, waiting.count)
            while low < high {
                let middle = (low + high) / 2
                if waiting[middle]!.ticket < ticket { low = middle + 1 } else { high = middle }
            }
            return low
        }

        func firstPlace(accepting slot: SlotLimiter) -> Int? {
            waiting[first...].firstIndex { $0!.accepts(slot) }
        }

        mutating func remove(at place: Int) -> Waiter {
            guard place == first else { return waiting.remove(at: place)! }
            let waiter = waiting[place]!
            waiting[place] = nil
            first += 1
            if first == waiting.count || first > 256 {
                waiting.removeFirst(first)
                first = 0
            }
            return waiter
        }
    }

    private let state = Lock(State())
    private let countWord = SharedWord()

    public init() {}

    /// Who waits for a slot.
    public var count: Int { Int(countWord.value) }
    public var isEmpty: Bool { countWord.orderedValue == 0 }

    // MARK: Waiters

    /// Whoever has entered must ``take(_:before:)`` once more: a slot that was given back just before wakes nobody.
    ///
    /// - Parameters:
    ///   - ticket: of a waiter that comes back to its old place; it is let in whatever the limit.
    ///   - refused: slots that must not be handed to it.
    ///   - tell: called on any thread; for ``Letter/slot(_:)`` once and for the last time.
    /// - Returns: a ticket to leave with; `nil` when `limit` wait already.
    public func enter(
        again ticket: UInt64? = nil, limit: Int, refusing refused: [SlotLimiter] = [],
        tell: @escaping @Sendable (Letter) -> Void
    ) -> UInt64? {
        state.withLock { state -> UInt64? in
            guard ticket != nil || state.count < limit else { return nil }
            let number = ticket ?? state.nextTicket
            if ticket == nil { state.nextTicket += 1 }
            state.waiting.insert(Waiter(ticket: number, refused: refused, tell: tell), at: state.place(of: number))
            countWord.add(1)
            return number
        }
    }

    /// - Returns: false when a slot is on its way to the waiter, who must pass it on.
    @discardableResult
    public func leave(_ ticket: UInt64) -> Bool {
        state.withLock { state in
            let place = state.place(of: ticket)
            guard place < state.waiting.count, state.waiting[place]!.ticket == ticket else { return false }
            _ = state.remove(at: place)
            countWord.add(-1)
            return true
        }
    }

    /// Counts somebody who waits for something else than a slot, in a line elsewhere: one bound holds for all.
    ///
    /// - Returns: false when `limit` wait already.
    public func enterAside(limit: Int) -> Bool {
        state.withLock { state in
            guard state.count < limit else { return false }
            state.aside += 1
            return true
        }
    }

    public func leaveAside() { state.withLock { $0.aside -= 1 } }

    // MARK: Slots

    /// Takes a slot that none of the earlier waiters can use.
    ///
    /// - Parameter ticket: of the caller's own place, if it has one.
    public func take(_ slot: SlotLimiter, before ticket: UInt64 = .max) -> Bool {
        while slot.take() {
            if !hand(slot, before: ticket) { return true }
        }
        return false
    }

    /// The caller's slot goes to the first waiter who can use it, or is given back.
    public func pass(_ slot: SlotLimiter) {
        repeat {
            if !slot.isExceeded, hand(slot, before: .max) { return }
            slot.giveBack()
        } while isWanted(slot) && slot.take()
    }

    /// Slots are free that were not, or were of no use: after a change of weight or limit.
    public func fill(from slot: SlotLimiter) { while isWanted(slot), slot.take() { pass(slot) } }

    /// Has every waiter look at its targets again.
    public func lookAgain() {
        guard !isEmpty else { return }
        let waiters = state.withLock { $0.waiting[$0.first...].map { $0!.tell } }
        for tell in waiters { tell(.look) }
    }

    private func isWanted(_ slot: SlotLimiter) -> Bool {
        !isEmpty && state.withLock { $0.firstPlace(accepting: slot) != nil }
    }

    private func hand(_ slot: SlotLimiter, before ticket: UInt64) -> Bool {
        guard !isEmpty else { return false }
        let waiter = state.withLock { state -> Waiter? in
            guard let place = state.firstPlace(accepting: slot), state.waiting[place]!.ticket < ticket else {
                return nil
            }
            countWord.add(-1)
            return state.remove(at: place)
        }
        guard let waiter else { return false }
        waiter.tell(.slot(slot))
        return true
    }
}
