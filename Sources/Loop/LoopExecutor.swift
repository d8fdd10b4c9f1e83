import CPoise

/// Runs Swift `async` code on one loop, and nowhere else: the serial executor of the actors of that loop and the
/// preferred executor of their tasks.
///
///     let executor = LoopExecutor()                      // anywhere
///     let loop = EventLoop(executor: executor)           // on the loop's own thread
///     executor.start { ... }; loop.run()
///
///     actor Something {                                  // a global actor alike
///         nonisolated let executor: LoopExecutor
///         nonisolated var unownedExecutor: UnownedSerialExecutor { executor.forActors }
///     }
///
/// Invariants:
/// 1. Jobs run in the order in which they were enqueued on the loop; those from other threads come by mailbox.
/// 2. A task started by ``start(_:)`` never leaves the loop, nor do its children: the concurrency pool never gets
///    a thread. `Task.detached`, and a `Task` without `executorPreference`, would break that.
/// 3. Once the loop has ended, jobs are dropped: their tasks never finish.
public final class LoopExecutor: SerialExecutor, TaskExecutor, @unchecked Sendable {
    // SAFETY: @unchecked Sendable holds because everything but the mailbox is touched on the loop's thread only:
    // `enqueue` and `perform` go there first, and `loop` checks.
    let mailbox = Mailbox()
    private unowned var attached: EventLoop?
    private var jobs: [UnownedJob] = []
    private var turn: [UnownedJob] = []

    /// May be made on any thread, before its loop.
    public init() {}

    /// Whether the caller runs on this executor's loop. Cost: a thread-local read.
    public var isCurrent: Bool {
        // SAFETY: compared, never dereferenced.
        unsafe poise_current_loop() == Unmanaged.passUnretained(self).toOpaque()
    }

    /// The loop, for code that runs on it; elsewhere it traps.
    public var loop: EventLoop {
        precondition(isCurrent, "the loop was asked for on another thread")
        return attached!
    }

    /// What an actor of this loop returns from its `unownedExecutor`.
    ///
    /// SAFETY: an actor's executor must outlive it; the actor holds this object for that.
    @safe public var forActors: UnownedSerialExecutor { unsafe asUnownedSerialExecutor() }

    /// Starts a task that stays on this loop. From any thread.
    @discardableResult
    public func start<Success: Sendable>(
        _ body: sending @escaping @isolated(any) () async -> Success
    ) -> Task<Success, Never> {
        Task(executorPreference: self, operation: body)
    }

    /// Runs `body` on the loop: now when called there, else by mailbox.
    func perform(_ body: @escaping @Sendable () -> Void) {
        if isCurrent { body() } else { mailbox.post(body) }
    }

    // MARK: Called by the concurrency runtime

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if isCurrent { jobs.append(job) } else { mailbox.post { self.jobs.append(job) } }
    }

    public func checkIsolated() { precondition(isCurrent, "not on the loop of this actor") }
    public func isIsolatingCurrentContext() -> Bool? { isCurrent }

    // MARK: Called by the loop

    func attach(to loop: EventLoop) {
        precondition(attached == nil, "an executor has one loop")
        attached = loop
    }

    var hasJobs: Bool { !jobs.isEmpty }

    /// Runs what is queued and what that enqueues, in at most 16 rounds: two tasks that wake each other for ever
    /// must not keep the loop from its descriptors. The rest is for the next wake-up, which then does not sleep.
    func runJobs() {
        var rounds = 0
        while !jobs.isEmpty, rounds < 16 {
            rounds += 1
            swap(&jobs, &turn)
            for job in turn {
                // SAFETY: each job was enqueued once and is run once, on the executor that it was enqueued on.
                unsafe job.runSynchronously(
                    isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
            }
            turn.removeAll(keepingCapacity: true)
        }
    }
}
