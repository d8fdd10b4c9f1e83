import Glibc

/// A value behind a pthread mutex.
///
/// Not `Synchronization.Mutex`: the thread sanitizer does not see that one and reports races that are none.
@safe public final class Lock<Value>: @unchecked Sendable {
    // SAFETY: @unchecked Sendable holds because every access of `value` is inside the mutex.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private var value: Value

    public init(_ value: consuming sending Value) {
        // SAFETY: allocated here, freed in deinit, and never moved, as pthread demands.
        unsafe mutex = .allocate(capacity: 1)
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe pthread_mutex_init(mutex, nil)
        self.value = value
    }

    deinit {
        // SAFETY: nobody else can hold a reference any more.
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    /// Short and without calling out: two locks are never held at once.
    public func withLock<Result, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // SAFETY: `mutex` lives as long as self.
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try body(&value)
    }
}
