import CPoise
import Glibc

/// A thread of our own: workers, control, helpers. Never one of the concurrency pool.
public struct Thread: Sendable {
    private let id: pthread_t

    /// - Parameter name: at most 15 bytes are shown by the system.
    /// - Parameter body: runs on the new thread; what it creates stays there.
    public static func start(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) -> Thread {
        final class Entry: Sendable {
            let name: String
            let body: @Sendable () -> Void
            init(name: String, body: @escaping @Sendable () -> Void) { (self.name, self.body) = (name, body) }
        }
        // SAFETY: this retain is the new thread's; it takes it over, or it is given back below.
        let entry = unsafe Unmanaged.passRetained(Entry(name: name, body: body))
        var id = pthread_t()
        // SAFETY: the entry is retained for the new thread, which takes it over.
        let code = unsafe pthread_create(
            &id, nil,
            { raw in
                let entry = unsafe Unmanaged<Entry>.fromOpaque(raw!).takeRetainedValue()
                unsafe poise_name_thread(String(entry.name.prefix(15)))
                entry.body()
                return nil
            }, entry.toOpaque())
        guard code == 0 else {
            unsafe entry.release()
            throw SystemError(call: "pthread_create", code: code)
        }
        return Thread(id: id)
    }

    /// Waits for its end. Once per thread.
    public func join() {
        pthread_join(id, nil)
    }

    /// Nobody waits for its end. Once per thread, and never with ``join()``.
    public func detach() {
        pthread_detach(id)
    }
}
