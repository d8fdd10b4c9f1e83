import CPoise

/// One word that any thread may change, sequentially consistent. For what is rare; a worker's counters are
/// ``CounterBlock``s.
///
/// SAFETY: the word is allocated in `init`, freed with the object, and only touched by atomic accesses between.
@safe public final class SharedWord: @unchecked Sendable {
    private let word: UnsafeMutablePointer<UInt64>

    public init(_ value: UInt64 = 0) {
        unsafe word = .allocate(capacity: 1)
        unsafe word.initialize(to: value)
    }

    deinit { unsafe word.deallocate() }

    public var value: UInt64 {
        get { unsafe poise_load_acquire(word) }
        set { unsafe poise_store_release(word, newValue) }
    }

    /// Ordered behind all that this thread did before: of two threads that each change a word and then look at the
    /// other's, at least one sees the change.
    public var orderedValue: UInt64 {
        poise_fence()
        return unsafe poise_load_acquire(word)
    }

    /// Adds one where the value is below `limit`; never passes it, not even for a moment.
    public func increment(below limit: UInt64) -> Bool {
        while true {
            let value = orderedValue
            guard value < limit else { return false }
            if unsafe poise_compare_exchange(word, value, value + 1) { return true }
        }
    }

    /// - Returns: the value before.
    @discardableResult
    public func add(_ amount: Int) -> UInt64 {
        unsafe poise_fetch_add(word, UInt64(bitPattern: Int64(amount)))
    }

    /// - Returns: the value before.
    @discardableResult
    public func exchange(_ value: UInt64) -> UInt64 { unsafe poise_exchange(word, value) }
}
