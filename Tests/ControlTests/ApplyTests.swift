import Dispatch
import PoiseLoop
import PoiseModel
import PoisePlatform
import Testing

@testable import PoiseControl

/// A daemon that is told to end while its own resolver is at work.
@ControlActor
private final class Ending {
    private var daemon: Daemon?

    nonisolated init() {}

    func drain() async { await daemon?.drain() }

    /// Starts with `first`, then applies `second`, whose name is answered once the end has begun.
    ///
    /// - Returns: what became of `second`, and the generation in force.
    func run(_ first: Proposal, then second: Proposal) async -> [String] {
        let isStopping = DispatchSemaphore(value: 0)
        let drain = Lock<Task<Void, Never>?>(nil)
        let daemon = Daemon(
            log: { if $0.message == "stopping" { isStopping.signal() } },
            lookup: { _ in
                let task = ControlActor.shared.executor.start { await self.drain() }
                drain.withLock { $0 = task }
                isStopping.wait()
                return .addresses([IPAddress(v4: 0x7F00_0009)])
            })
        self.daemon = daemon
        var outcome: [String] = []
        do throws(ApplyRefusal) {
            try await daemon.start(first)
            outcome.append(try await daemon.apply(second, by: "test").text)
        } catch {
            outcome.append("\(error.kind)")
        }
        outcome.append("generation \(daemon.generation)")
        await drain.withLock { $0 }?.value
        daemon.stop()
        return outcome
    }
}

@Suite("Applying in a running daemon")
struct ApplyTests {
    private static func configuration(_ target: TargetAddress) -> Configuration {
        var group = TargetGroup(id: "a", name: "a", targets: [Target(address: target)])
        group.healthCheck = nil
        var configuration = Configuration(
            listeners: [listener("web", port: 0, rules: [], to: "a")], targetGroups: [group])
        configuration.process.workers = 1
        return configuration
    }

    @Test("an apply that waits for a name is refused when the end begins meanwhile")
    func endWhileNamesAreLearned() {
        let executor = ControlActor.shared.executor
        let loop = EventLoop(executor: executor)
        let ending = Ending()
        let first = Proposal(Self.configuration(.ip(IPAddress(v4: 0x7F00_0001), port: 80)))
        let second = Proposal(Self.configuration(.name("late", port: 80)))
        let outcome = Lock<[String]>([])
        executor.start {
            let seen = await ending.run(first, then: second)
            outcome.withLock { $0 = seen }
            executor.loop.stop()
        }
        loop.run()
        #expect(outcome.withLock { $0 } == ["stopping", "generation 1"])
    }
}
