import PoiseModel
import PoisePlatform

/// Waits for what another thread gives to the closure that `ask` gets.
///
/// It goes through a lock, and the continuation carries nothing: the concurrency runtime is not instrumented, so that
/// the thread sanitizer does not see the order that a continuation makes, and would call its value a race.
func received<Value: Sendable>(_ ask: (@escaping @Sendable (Value) -> Void) -> Void) async -> Value {
    let place = Lock<Value?>(nil)
    await withCheckedContinuation { continuation in
        ask { value in
            place.withLock { $0 = value }
            continuation.resume()
        }
    }
    return place.withLock { $0! }
}

/// Work that blocks or takes long, on threads of its own while control goes on.
enum HelperThread {
    /// The value of `body`, which runs on a thread of its own; on this one where the system has no thread to give.
    ///
    /// - Parameter name: at most 15 bytes are shown by the system.
    static func run<Value: Sendable>(_ name: String, _ body: @escaping @Sendable () -> Value) async -> Value {
        var thread: Thread?
        let value: Value = await received { hand in
            do throws(SystemError) { thread = try Thread.start(name: name) { hand(body()) } } catch { hand(body()) }
        }
        // It has nothing left to do: this takes no time.
        thread?.join()
        return value
    }

    /// `body` of each number below `count`, in order, on all cores. Blocks: for a helper thread.
    static func spread<Value: Sendable>(
        _ name: String, over count: Int, _ body: @escaping @Sendable (Int) -> Value
    ) -> [Value] {
        // Large enough that threads seldom meet at the lock, small enough that all end together.
        let portion = 16
        let next = Lock(0)
        let parts = Lock<[Int: [Value]]>([:])
        let work: @Sendable () -> Void = {
            while true {
                let start = next.withLock { next in
                    defer { next = min(count, next + portion) }
                    return next
                }
                guard start < count else { return }
                let values = (start..<min(count, start + portion)).map(body)
                parts.withLock { $0[start] = values }
            }
        }
        let more = min(ProcessLimits.processorCount, (count + portion - 1) / portion) - 1
        // Fewer threads than asked for take longer, and that is all.
        let threads = (0..<max(0, more)).compactMap { _ in try? Thread.start(name: name, work) }
        work()
        for thread in threads { thread.join() }
        return parts.withLock { parts in stride(from: 0, to: count, by: portion).flatMap { parts[$0] ?? [] } }
    }
}
