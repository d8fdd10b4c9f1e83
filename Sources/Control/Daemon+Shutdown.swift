import PoiseLive
import PoiseLoop
import PoiseModel
import PoisePlatform

/// Ending: no new connections, those in progress finish, the rest is cut at the deadline.
extension Daemon {
    private static var lookInterval: Nanoseconds { .milliseconds(40) }

    /// Takes no new connections and waits until the last one is gone, for `process.shutdown_deadline` at most. Says each
    /// second whom it waits for.
    public func drain() async {
        guard !isStopping else { return }
        isStopping = true
        ServiceManager.notify("STOPPING=1")
        let wait = configuration?.process.shutdownDeadline ?? .zero
        let deadline = loop.now + wait
        log(
            OperationalEvent(
                .info, "stopping", [("connections", "\(limits.connectionCount)"), ("deadline", "\(wait)")]))
        // Whoever reads the count below must find what the listening sockets still held: the workers answer first.
        _ = await workers.ask { $0.drain(deadline: deadline) }
        let timer = LoopTimer(loop: loop)
        var nextWord = loop.now
        await withCheckedContinuation { continuation in
            drainWaiter = continuation
            timer.fired = { [unowned self, unowned timer] in
                guard !isToldToEnd, limits.connectionCount > 0, loop.now < deadline, !isCutShort else {
                    return endDrain()
                }
                if loop.now >= nextWord {
                    nextWord = loop.now + .seconds(1)
                    log(
                        OperationalEvent(
                            .info, "waiting for connections",
                            connectionsByListener + [
                                ("left", "\(Nanoseconds.seconds(max(0, (deadline - loop.now).count / 1_000_000_000)))")
                            ]))
                }
                timer.set(loop.now + Self.lookInterval)
            }
            timer.set(loop.now)
        }
        timer.end()
    }

    /// Ends a running ``drain()`` at once, also one that has only begun.
    public func endDrain() {
        isToldToEnd = true
        // It may come before the workers have answered, when nobody waits yet.
        isCutShort = true
        drainWaiter?.resume()
        drainWaiter = nil
    }

    /// Cuts what is left and ends the workers.
    public func stop() {
        let left = limits.connectionCount
        if left > 0 { log(OperationalEvent(.warning, "connections were cut", [("count", "\(left)")])) }
        ticker.end()
        stepper.end()
        renewalTimer.end()
        for waiter in waitingForTables { waiter.resume() }
        waitingForTables = []
        watcher.end()
        for timer in endings { timer.end() }
        hub.stop()
        commands.stop()
        workers.stop()
        for socket in bound.values.joined() {
            socket.closeSpare()
            if case .unix(let path) = socket.configured { Files.remove(path) }
        }
        if isStopping { log(OperationalEvent(.info, "stopped")) }
        // Whoever comes back from a helper thread finds nothing to go on with.
        isStopping = true
    }

    private var connectionsByListener: [(name: String, value: String)] {
        (configuration?.listeners ?? []).compactMap { listener in
            let count = live.listeners[listener.id]?.counters.gauge(ListenerCounter.connections) ?? 0
            return count > 0 ? (listener.displayName, "\(count)") : nil
        }
    }
}
