import PoiseLoop

/// Everything that control does runs on one loop: this actor's. Nothing of it ever blocks a request.
@globalActor public actor ControlActor {
    public static let shared = ControlActor()
    public nonisolated let executor = LoopExecutor()
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.forActors }

    @ControlActor static var loop: EventLoop { shared.executor.loop }
}
