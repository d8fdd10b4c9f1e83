import PoiseModel
import PoisePlatform

/// Driving a loop by hand: each step is one wake-up, at a time and with events of the caller's choice.
extension EventLoop {
    /// Runs one wake-up of a loop over a ``SimulatedSystem``; its letters from this thread are read in it.
    ///
    /// - Parameters:
    ///   - time: not before ``now``.
    ///   - events: what `epoll_wait` would have returned, by the tokens that the system was given.
    package func step(at time: MonotonicTime, _ events: [(token: UInt64, readiness: Readiness)]) {
        precondition(backend.simulation != nil, "a loop over epoll wakes up by itself")
        precondition(time >= now, "the clock is monotonic")
        beCurrent {
            setClock(time)
            wakeUpCount &+= 1
            for event in events { dispatch(event.token, event.readiness.rawValue) }
            finishWakeUp(hasMail: !mailbox.isEmpty)
        }
    }

    /// When the loop must be stepped even without an event; `nil`: not before there is one.
    package var nextStep: MonotonicTime? {
        if !waiting.isEmpty || !mailbox.isEmpty || executor?.hasJobs == true { return now }
        return wheel.nextWake().map { max($0, now) }
    }

    /// Nanoseconds since 1970, UTC: a system call, or with a simulated clock a time of its own, so that dates are the same
    /// whenever a run is played again.
    package var wallClock: Int64 {
        guard backend.simulation != nil else { return Clock.wall }
        return 1_000_000_000_000_000_000 + now.nanoseconds
    }

    /// Letters wait.
    package var hasMail: Bool { !mailbox.isEmpty }

    /// Timers that are armed: 0 when every channel is closed.
    package var armedTimerCount: Int { wheel.armedCount }
}
