import CPoise
import PoiseModel
import PoisePlatform

/// One thread's event loop over edge-triggered epoll.
///
/// A wake-up runs: descriptors that are ready and, in its place among them, the mail of other threads; channels that
/// asked for another turn; timers; and last the end-of-wake-up work. The clock is read once per wake-up; ``now`` is that reading.
///
/// Created and used on its own thread; only its ``mailbox`` may be handed to others.
///
/// SAFETY: one thread at a time, so the tables below change only between their uses. What each reference in them
/// guarantees stands beside the table. `events` is allocated in `init`, freed in `deinit`, and filled by epoll_wait
/// with no more than its capacity.
@safe public final class EventLoop {
    /// The time of this wake-up. Read several times per request by other rooms: behind a pointer, a read is a load.
    @inlinable public var now: MonotonicTime { unsafe clock.pointee }
    @usableFromInline let clock: UnsafeMutablePointer<MonotonicTime>
    public let buffers = BufferPool()
    public let mailbox: Mailbox
    /// What makes this loop run `async` code; `nil` on a worker.
    public let executor: LoopExecutor?
    /// Runs once at the end of each wake-up, after all channels: what was gathered leaves together.
    public var endOfWakeUp: (() -> Void)? {
        get { hook[0] }
        set { hook[0] = newValue }
    }
    private let hook = RawTable<(() -> Void)?>(repeating: nil, count: 1)
    /// Wake-ups since the start.
    public var wakeUps: UInt64 { wakeUpCount }
    var wakeUpCount: UInt64 = 0
    /// Told how long a wake-up lasted that had mail or ``manyEvents``: a few events need no reading of the clock. Time
    /// that other threads had the core counts too. Never called in a simulation.
    public var longTurnEnded: ((Nanoseconds) -> Void)? {
        get { turnHook[0] }
        set { turnHook[0] = newValue }
    }
    private let turnHook = RawTable<((Nanoseconds) -> Void)?>(repeating: nil, count: 1)
    private static let manyEvents: CInt = 8

    let wheel: TimerWheel
    let backend: Backend
    private var isStopping = false

    /// By descriptor number. SAFETY: a reference here holds one retain, released by ``bury()`` after the wake-up
    /// in which the channel closed; so a channel taken from here lives to the end of the wake-up.
    private let channels = unsafe RawTable<Unmanaged<Channel>?>(capacity: 256)
    private var nextGeneration: UInt32 = 0
    private let graveyard = unsafe RawTable<Unmanaged<Channel>>(capacity: 64)
    /// By timer index. SAFETY: not retained; a channel releases its timer before it goes (checked in its deinit).
    private let timerOwners = unsafe RawTable<Unmanaged<Channel>?>(capacity: 256)
    let waiting = RawTable<Channel>(capacity: 64)
    private let turn = RawTable<Channel>(capacity: 64)
    private var letters: [@Sendable () -> Void] = []
    private let events: UnsafeMutablePointer<poise_event>
    private static let eventCount: CInt = 256
    private var nextTrim: MonotonicTime

    /// A loop over epoll, or over `simulation` with its clock at 0.
    ///
    /// - Parameter executor: runs its jobs on this loop, and lends it its mailbox. Workers have none.
    public init(simulation: (any SimulatedSystem)? = nil, executor: LoopExecutor? = nil) {
        let epoll = simulation == nil ? poise_epoll_create() : -1
        precondition(simulation != nil || epoll >= 0, "no descriptor is left for epoll")
        backend = Backend(epoll: epoll, simulation: simulation)
        let start = simulation == nil ? Clock.monotonic : .zero
        // SAFETY: freed in deinit; written by this loop only.
        unsafe clock = .allocate(capacity: 1)
        unsafe clock.initialize(to: start)
        wheel = TimerWheel(now: start)
        nextTrim = start
        mailbox = executor?.mailbox ?? Mailbox()
        self.executor = executor
        // SAFETY: freed in deinit, used by `poll` only.
        unsafe events = .allocate(capacity: Int(Self.eventCount))
        if simulation == nil {
            let result = poise_epoll_add(epoll, mailbox.descriptor, Readiness.readable.rawValue, Self.mailboxToken)
            precondition(result == 0, "epoll refused the mailbox")
        }
        executor?.attach(to: self)
    }

    deinit {
        bury()
        unsafe events.deallocate()
        unsafe clock.deallocate()
        if backend.epoll >= 0 { _ = poise_close(backend.epoll) }
    }

    /// Sets the clock of a simulated loop.
    func setClock(_ time: MonotonicTime) { unsafe clock.pointee = time }

    // MARK: Running

    /// Runs wake-ups until ``stop()``.
    public func run() {
        beCurrent { while !isStopping { wakeUp() } }
        mailbox.close()
    }

    /// What tells loops apart; compared, never dereferenced. The executor's where there is one: other threads can
    /// compare with that, since it never changes.
    var identity: UnsafeMutableRawPointer {
        guard let executor else { return unsafe Unmanaged.passUnretained(self).toOpaque() }
        return unsafe Unmanaged.passUnretained(executor).toOpaque()
    }

    /// Runs `body` as this thread's loop: what ``LoopExecutor/isCurrent`` then tells. Also a simulation's driver.
    func beCurrent(_ body: () -> Void) {
        let outer = unsafe poise_current_loop()
        unsafe poise_set_current_loop(identity)
        body()
        unsafe poise_set_current_loop(outer)
    }

    /// Ends ``run()`` after this wake-up.
    public func stop() { isStopping = true }

    private static let mailboxToken = UInt64.max

    /// One turn: waits for something to happen, and handles all of it.
    func wakeUp() {
        let count = unsafe poise_epoll_wait(backend.epoll, events, Self.eventCount, timeout())
        unsafe clock.pointee = Clock.monotonic
        wakeUpCount &+= 1
        var hasMail = false
        var index = 0
        while index < Int(count) {
            let event = unsafe events[index]  // SAFETY: below `count`, which the kernel filled.
            index += 1
            // Mail in its place among the events: what was posted before a client came is in force when it is served.
            if event.data == Self.mailboxToken {
                hasMail = true
                readMail()
            } else {
                dispatch(event.data, event.events)
            }
        }
        finishWakeUp(hasMail: false)
        if hasMail || count >= Self.manyEvents { turnHook[0]?(Clock.monotonic - now) }
    }

    /// Everything of a wake-up after the descriptors; also one step of a simulation.
    func finishWakeUp(hasMail: Bool) {
        if !waiting.isEmpty { runAgainQueue() }
        fireTimers()
        if hasMail { readMail() }
        executor?.runJobs()
        hook[0]?()
        if unsafe !graveyard.isEmpty { bury() }
        if now >= nextTrim {
            buffers.trim()
            nextTrim = now + .seconds(1)
        }
    }

    /// How long epoll may sleep, in milliseconds; -1 for ever.
    private func timeout() -> CInt {
        if !waiting.isEmpty || executor?.hasJobs == true { return 0 }
        // A trim is due while buffers may lie unused; then the loop may sleep for good.
        guard let wake = wheel.nextWake() else { return buffers.hasPagesToTrim ? 1000 : -1 }
        // `now` and not a new reading: late by the work of one wake-up at most.
        let wait = (wake - now).count
        return wait <= 0 ? 0 : CInt(min((wait + 999_999) / 1_000_000, 1 << 30))
    }

    /// Hands an event to its channel unless that was closed meanwhile.
    func dispatch(_ token: UInt64, _ events: UInt32) {
        let number = Int(UInt32(truncatingIfNeeded: token))
        guard unsafe number < channels.count, let reference = unsafe channels[number] else { return }
        // SAFETY: retained by the table; see `channels`.
        unsafe reference._withUnsafeGuaranteedRef { channel in
            guard channel.generation == UInt32(truncatingIfNeeded: token >> 32) else { return }
            channel.ready(Readiness(rawValue: events))
        }
    }

    private func runAgainQueue() {
        // Taken out first, and in the order they asked: who asks again in its turn waits for the next wake-up.
        while let channel = waiting.popLast() { turn.append(channel) }
        while let channel = turn.popLast() {
            channel.isQueued = false
            if channel.isOpen { channel.ready(.readable) }
        }
    }

    private func fireTimers() {
        guard wheel.mayBeDue(now: now) else { return }
        let due = wheel.takeDue(now: now)
        for fired in due where wheel.isStillDue(fired) {
            // SAFETY: `isStillDue` is false for a released timer, so the owner is alive.
            if let owner = unsafe timerOwners[Int(fired.index)] {
                unsafe owner._withUnsafeGuaranteedRef { $0.timerFired() }
            }
        }
    }

    private func readMail() {
        mailbox.collect(into: &letters)
        for letter in letters { letter() }
        letters.removeAll(keepingCapacity: true)
    }

    private func bury() {
        // SAFETY: each holds the retain of its `enter`. Releasing may close, and so bury, further channels.
        while let dead = unsafe graveyard.popLast() { unsafe dead.release() }
    }

    // MARK: What channels call

    func token(of channel: Channel) -> UInt64 {
        UInt64(channel.generation) << 32 | UInt64(UInt32(bitPattern: channel.descriptor))
    }

    func enter(_ channel: Channel) {
        let number = Int(channel.descriptor)
        while unsafe channels.count <= number { unsafe channels.append(nil) }
        nextGeneration &+= 1
        channel.generation = nextGeneration
        unsafe channels[number] = Unmanaged.passRetained(channel)
    }

    func leave(_ channel: Channel) {
        let number = Int(channel.descriptor)
        guard let reference = unsafe channels[number] else { return }
        unsafe channels[number] = nil
        unsafe graveyard.append(reference)
    }

    /// Methods of a channel that was closed may be up the stack still.
    func keepUntilEndOfWakeUp(_ channel: Channel) { unsafe graveyard.append(Unmanaged.passRetained(channel)) }

    func queueAgain(_ channel: Channel) { waiting.append(channel) }

    func allocateTimer(owner: Channel) -> TimerID {
        let timer = wheel.allocate()
        while unsafe timerOwners.count <= Int(timer.index) { unsafe timerOwners.append(nil) }
        unsafe timerOwners[Int(timer.index)] = Unmanaged.passUnretained(owner)
        return timer
    }

    func releaseTimer(_ timer: TimerID) {
        wheel.release(timer)
        unsafe timerOwners[Int(timer.index)] = nil
    }

    // MARK: Buffers

    // Here and not only in the pool: a call through two objects holds the second by a reference of its own.

    public func takeStandardBuffer() -> Buffer { buffers.takeStandard() }
    public func takeLargeBuffer() -> Buffer { buffers.takeLarge() }
    public func releaseBuffer(_ buffer: Buffer) { buffers.release(buffer) }

    // MARK: Sockets

    /// Starts a connection; the descriptor belongs into a ``Channel``. `forOneRequest`: see ``Sockets``.
    public func connect(
        to address: SocketAddress, forOneRequest: Bool = false
    ) throws(SystemError) -> FileDescriptor {
        if let simulation = backend.simulation { return FileDescriptor(adopting: try simulation.connect(to: address)) }
        return try Sockets.connect(to: address, forOneRequest: forOneRequest)
    }

    /// Accepts one connection of a listening channel.
    public func accept(from listener: Channel) -> AcceptResult {
        if let simulation = backend.simulation {
            return simulation.accept(listener.descriptor).map { .accepted($0) } ?? .none
        }
        var peer = poise_address()
        while true {
            // SAFETY: the pointer is used during the call only.
            let number = unsafe poise_accept(listener.descriptor, &peer)
            switch -number {
            case Errno.again: return .none
            // The second row is about that one connection, not about the socket: accept(2), "Error handling".
            case Errno.interrupted, Errno.connectionAborted: continue
            case let code where Errno.isOfOneConnection(code): continue
            case let code where Errno.isShortage(code): return .outOfDescriptors
            default:
                guard number >= 0 else { return .failed(-number) }
                return .accepted(Accepted(descriptor: number, peer: peer.peerAddress))
            }
        }
    }
}

@available(*, unavailable)
extension EventLoop: Sendable {}

/// A connection fresh from accept(2). Its descriptor must go into a ``Channel`` or be closed.
public struct Accepted: Sendable {
    public let descriptor: CInt
    /// `nil`: a unix socket's peer.
    public let peer: (ip: IPAddress, port: UInt16)?
    public init(descriptor: CInt, peer: (ip: IPAddress, port: UInt16)?) {
        (self.descriptor, self.peer) = (descriptor, peer)
    }
}

public enum AcceptResult: Sendable {
    case accepted(Accepted)
    case none
    /// The descriptor limit is reached, or the kernel has no memory: stop accepting until some are free.
    case outOfDescriptors
    case failed(CInt)
}
