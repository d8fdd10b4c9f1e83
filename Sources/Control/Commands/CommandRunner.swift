import PoiseLoop
import PoiseModel
import PoisePlatform

/// Runs commands on the control loop: hooks and checks that are programs.
///
///     let run = runner.run(Command(["/usr/local/bin/page", "web"], timeout: .seconds(10))) { result in … }
///     run.cancel()  // no result any more; the program is ended
///
/// What is bounded: how many run at once, how long each runs, what is kept of its output. Control never waits: a program
/// is loaded on a thread of its own, since the file system that it lies on may hang. A program that does not end in time
/// is asked to (SIGTERM), then made to (SIGKILL); it keeps its place until it is gone, so that programs which nobody
/// can end are no more than ``runningMax`` either. What a program leaves running in its process group ends with it.
///
/// Nothing starts before ``open()``: the process may still have rights that commands must not get.
public final class CommandRunner {
    let loop: EventLoop
    /// Programs at once; the others wait, first come first served, patient ones behind all others. Lowering it ends nothing.
    public var runningMax: Int { didSet { startQueued() } }
    /// Those that have a place, those that are being ended too.
    public private(set) var running = 0
    /// How many wait for a place. No more than whoever asks has open: a hook or a check asks for one at a time.
    public var waiting: Int { queue.count { $0.isWaiting } }
    /// Programs that were started since the start of the process.
    public private(set) var started: UInt64 = 0
    /// Those of them that took longer than they may.
    public internal(set) var timedOut: UInt64 = 0

    private var queue: [CommandRun] = []
    private var active: [Int: CommandRun] = [:]
    private var nextNumber = 0
    private var isOpen = false
    private let desk = Lock(Desk())

    /// Where threads put what they have started. Empty and closed at the end: a thread then ends its program itself.
    private struct Desk {
        var isClosed = false
        var arrived: [Int: Result<ChildProcess.Started, SystemError>] = [:]
    }

    /// How long a program that was asked to end has for it.
    static let grace = Nanoseconds.seconds(1)

    public init(loop: EventLoop, runningMax: Int = 16) { (self.loop, self.runningMax) = (loop, max(1, runningMax)) }

    /// Programs may start from now on: the process has the rights that it keeps.
    public func open() {
        isOpen = true
        startQueued()
    }

    /// Runs `command` as soon as there is a place.
    ///
    /// - Parameters:
    ///   - isPatient: of many alike, such as checks: they leave a quarter of the places to others, so that checks that hang
    ///     delay no hook.
    ///   - then: told once, never before this returns: the end, or that it takes too long.
    @discardableResult
    public func run(
        _ command: Command, isPatient: Bool = false, then: @escaping (CommandResult) -> Void
    ) -> CommandRun {
        let run = CommandRun(command, number: nextNumber, isPatient: isPatient, runner: self, then: then)
        nextNumber += 1
        queue.append(run)
        startQueued()
        return run
    }

    /// Ends every program and waits for it, a second at most; nothing starts or is told of any more.
    public func stop() {
        let arrived = desk.withLock { desk in
            defer { desk.arrived = [:] }
            desk.isClosed = true
            return desk.arrived
        }
        isOpen = false
        for (number, result) in arrived { active[number]?.arrived(result) }
        let runs = Array(active.values) + queue
        ChildProcess.endAll(runs.compactMap { $0.abandon() })
        for run in runs { run.close() }
        (active, queue, running) = ([:], [], 0)
    }

    // MARK: Called by runs

    /// A place is free.
    func left(_ run: CommandRun) {
        active[run.number] = nil
        running -= 1
        startQueued()
    }

    /// Loads the program of `run`, which has got a place.
    func start(_ run: CommandRun) {
        let (command, number, desk, mailbox) = (run.command, run.number, desk, loop.mailbox)
        let me = LoopBound(self, on: loop)
        do throws(SystemError) {
            run.thread = try Thread.start(name: "command") {
                let result = Self.load(command)
                let isLate = desk.withLock { desk in
                    if !desk.isClosed { desk.arrived[number] = result }
                    return desk.isClosed
                }
                if isLate { Self.discard(result) } else { mailbox.post { me.open().arrived(number) } }
            }
        } catch {
            // Told in the next wake-up, as everything is.
            desk.withLock { $0.arrived[number] = .failure(error) }
            mailbox.post { me.open().arrived(number) }
        }
    }

    private static func load(_ command: Command) -> Result<ChildProcess.Started, SystemError> {
        do throws(SystemError) {
            return .success(
                try ChildProcess.start(
                    command.arguments[0], Array(command.arguments.dropFirst()), environment: command.environmentLines))
        } catch {
            return .failure(error)
        }
    }

    /// Ends what was started for nobody.
    private static func discard(_ result: Result<ChildProcess.Started, SystemError>) {
        guard case .success(let started) = result else { return }
        ChildProcess.endAll([(ChildProcess(started), started.exitDescriptor)])
        _ = FileDescriptor(adopting: started.exitDescriptor)
        _ = FileDescriptor(adopting: started.outputDescriptor)
    }

    private func arrived(_ number: Int) {
        guard let result = desk.withLock({ $0.arrived.removeValue(forKey: number) }) else { return }
        if case .success = result { started += 1 }
        active[number]?.arrived(result)
    }

    private var nextInQueue: Int? {
        if let urgent = queue.firstIndex(where: { !$0.isPatient }) { return urgent }
        let patientMax = max(1, runningMax - max(1, runningMax / 4))
        return !queue.isEmpty && active.values.count { $0.isPatient } < patientMax ? 0 : nil
    }

    private func startQueued() {
        queue.removeAll { !$0.isWaiting }
        while isOpen, running < runningMax, let next = nextInQueue {
            let run = queue.remove(at: next)
            running += 1
            active[run.number] = run
            run.begin()
        }
    }
}

@available(*, unavailable)
extension CommandRunner: Sendable {}
