import PoiseModel

/// What one hook has still to tell, in order: one delivery at a time, tried again after failures, bounded. Times and
/// random numbers are arguments.
///
///     idle --next--> delivering --delivered, given up--> idle
///                        |  ^
///                   failed|  |the pause is over
///                        v  |
///                       pausing
struct DeliveryQueue: Sendable {
    struct Policy: Sendable, Equatable {
        /// Tries after the first one.
        var retries: Int
        /// Before the second try; doubles with each further one.
        var backoff: Nanoseconds
        var backoffMax = NotifyHook.backoffMax
        /// What waits; the oldest is dropped for the newest.
        var lengthMax = 1000
    }

    /// What became of one try.
    enum Outcome: Sendable, Equatable {
        case delivered
        /// Another try may succeed.
        case failed(String)
        /// It never will.
        case refused(String)
    }

    enum Step: Sendable, Equatable {
        /// Try this now. `attempt` counts from 1.
        case deliver(Notification, attempt: Int)
        /// Ask again then.
        case wait(until: MonotonicTime)
        /// Nothing to do before the next ``add(_:)`` or ``ended(_:at:random:)``.
        case none
    }

    /// Given up: what, why, and after how many tries.
    struct Loss: Sendable, Equatable {
        var notification: Notification
        var reason: String
        var tries: Int
    }

    var policy: Policy
    private var waiting: [Notification] = []
    private var head = 0
    private var current: Notification?
    private var attempt = 0
    /// `nil` while a try is under way.
    private var nextTry: MonotonicTime?
    private(set) var delivered: UInt64 = 0
    private(set) var failed: UInt64 = 0
    private(set) var dropped: UInt64 = 0
    private(set) var retried: UInt64 = 0

    init(policy: Policy) { self.policy = policy }

    /// What waits, the one that is being delivered included.
    var count: Int { waiting.count - head + (current == nil ? 0 : 1) }

    /// - Returns: what was dropped to make room; never the one that is being delivered.
    mutating func add(_ notification: Notification) -> Notification? {
        waiting.append(notification)
        guard waiting.count - head > policy.lengthMax else { return nil }
        dropped += 1
        return takeFirst()
    }

    /// What is to be done at `now`.
    mutating func next(at now: MonotonicTime) -> Step {
        guard let current else {
            guard head < waiting.count else { return .none }
            let first = takeFirst()
            (self.current, attempt, nextTry) = (first, 1, nil)
            return .deliver(first, attempt: 1)
        }
        guard let nextTry else { return .none }
        guard nextTry <= now else { return .wait(until: nextTry) }
        self.nextTry = nil
        attempt += 1
        retried += 1
        return .deliver(current, attempt: attempt)
    }

    /// The try that ``next(at:)`` asked for is over.
    ///
    /// - Parameter random: 64 fresh bits, for the length of a pause.
    /// - Returns: what was given up.
    mutating func ended(_ outcome: Outcome, at now: MonotonicTime, random: UInt64) -> Loss? {
        guard let current, nextTry == nil else { preconditionFailure("no try was under way") }
        switch outcome {
        case .delivered:
            delivered += 1
            self.current = nil
            return nil
        case .failed(let reason):
            guard attempt > policy.retries else {
                nextTry = now + pause(random)
                return nil
            }
            return giveUp(current, reason)
        case .refused(let reason): return giveUp(current, reason)
        }
    }

    private mutating func giveUp(_ notification: Notification, _ reason: String) -> Loss {
        failed += 1
        current = nil
        return Loss(notification: notification, reason: reason, tries: attempt)
    }

    /// Between three and five quarters of the back-off, so that hooks which failed together do not come back together.
    private func pause(_ random: UInt64) -> Nanoseconds {
        var span = policy.backoff
        for _ in 1..<attempt where span < policy.backoffMax { span = span * 2 }
        span = min(span, policy.backoffMax)
        let half = span.count / 2
        return Nanoseconds(span.count - half / 2 + (half > 0 ? Int64(random % UInt64(half + 1)) : 0))
    }

    private mutating func takeFirst() -> Notification {
        let first = waiting[head]
        head += 1
        if head == waiting.count || head > 256 {
            waiting.removeFirst(head)
            head = 0
        }
        return first
    }
}
