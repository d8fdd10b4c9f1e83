import PoisePlatform

/// `max_connections` of one target: exchanges in flight over all workers.
public final class SlotLimiter: Sendable {
    private let taken = SharedWord()
    private let limitWord: SharedWord

    public init(limit: Int) { limitWord = SharedWord(UInt64(limit)) }

    public var limit: Int { Int(limitWord.value) }

    /// Takes effect for the next flow; flows above a lowered limit go on.
    public func setLimit(_ limit: Int) { limitWord.value = UInt64(limit) }

    public var inUse: Int { Int(taken.value) }

    /// - Returns: false when all slots are taken.
    public func take() -> Bool {
        if Int(taken.add(1)) < limit { return true }
        taken.add(-1)
        return false
    }

    public func giveBack() { taken.add(-1) }
}

/// Exchanges of a group that wait for a slot, over all workers, first in first out.
///
/// No wake-up is lost: a waiter enters and then tries once more; who gives a slot back does so first and then looks
/// for a waiter. Both are sequentially consistent, so at least one of them sees the other.
public final class SlotQueue: Sendable {
    private struct State {
        var waiting: [(ticket: UInt64, wake: @Sendable () -> Void)] = []
        var first = 0
        var nextTicket: UInt64 = 1
    }

    private let state = Lock(State())
    private let countWord = SharedWord()

    public init() {}

    public var count: Int { Int(countWord.value) }

    /// - Parameter wake: called once, on any thread, when a slot may be free.
    /// - Returns: a ticket to leave with; `nil` when `limit` exchanges wait already.
    public func enter(limit: Int, wake: @escaping @Sendable () -> Void) -> UInt64? {
        state.withLock { state -> UInt64? in
            guard state.waiting.count - state.first < limit else { return nil }
            let ticket = state.nextTicket
            state.nextTicket += 1
            state.waiting.append((ticket, wake))
            countWord.add(1)
            return ticket
        }
    }

    /// - Returns: false when the waiter has been woken already.
    @discardableResult
    public func leave(_ ticket: UInt64) -> Bool {
        state.withLock { state in
            guard let index = state.waiting[state.first...].firstIndex(where: { $0.ticket == ticket }) else {
                return false
            }
            state.waiting.remove(at: index)
            countWord.add(-1)
            return true
        }
    }

    /// Wakes the longest waiter, if any.
    public func wakeOne() {
        guard count > 0 else { return }
        let wake = state.withLock { state -> (@Sendable () -> Void)? in
            guard state.first < state.waiting.count else { return nil }
            let wake = state.waiting[state.first].wake
            state.first += 1
            if state.first == state.waiting.count || state.first > 256 {
                state.waiting.removeFirst(state.first)
                state.first = 0
            }
            countWord.add(-1)
            return wake
        }
        wake?()
    }
}
