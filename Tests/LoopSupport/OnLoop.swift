import PoiseLoop
import PoisePlatform

/// Runs `body` as a task on a loop of its own thread, to its end.
public func onLoop<Value: Sendable>(
    _ body: @escaping @Sendable (EventLoop) async throws -> Value
) async throws -> Value {
    let thread = Lock<Thread?>(nil)
    let result: Result<Value, any Error> = await withCheckedContinuation { continuation in
        let started = Result {
            try Thread.start(name: "test-loop") {
                let executor = LoopExecutor()
                let loop = EventLoop(executor: executor)
                let outcome = Lock<Result<Value, any Error>?>(nil)
                executor.start {
                    let result: Result<Value, any Error>
                    do { result = .success(try await body(executor.loop)) } catch { result = .failure(error) }
                    outcome.withLock { $0 = result }
                    executor.loop.stop()
                }
                loop.run()
                continuation.resume(returning: outcome.withLock { $0! })
            }
        }
        switch started {
        case .success(let started): thread.withLock { $0 = started }
        case .failure(let error): continuation.resume(returning: .failure(error))
        }
    }
    // Short: the loop has ended.
    thread.withLock { $0 }?.join()
    return try result.get()
}
