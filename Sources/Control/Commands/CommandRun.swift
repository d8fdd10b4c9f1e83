import PoiseLoop
import PoiseModel
import PoisePlatform

/// One run of a command, from its place in the queue to the end of its program.
///
///     waiting --place--> loading --started--> running --ended--> gone
///                           |                    |
///                           +--timeout, cancel---+--> ending --ended--> gone
///
/// The result is told at the end of the program or at its timeout, whichever comes first.
public final class CommandRun {
    let command: Command
    let number: Int
    /// It leaves places to those that are not.
    let isPatient: Bool
    private unowned let runner: CommandRunner
    private var then: ((CommandResult) -> Void)?
    private var phase = Phase.waiting
    private let timer: LoopTimer
    private var exit: ChildChannel?
    private var output: ChildChannel?
    private var child: ChildProcess?
    private var exitDescriptor: CInt = -1
    /// Loads the program; joined when it has handed it over.
    var thread: Thread?
    private var startedAt = MonotonicTime.zero
    private var kept: [UInt8] = []
    private var dropped = 0

    private enum Phase { case waiting, loading, running, ending, gone }

    /// Read at once of an output that never stops.
    private static let turnBytesMax = 64 * 1024
    /// Dropped at full speed; after that a turn every ``pause``: endless output costs control 1 % of a core, and the
    /// program is slowed and never stuck.
    private static let freeBytesMax = 1024 * 1024
    private static let pause = Nanoseconds.milliseconds(16)

    init(
        _ command: Command, number: Int, isPatient: Bool, runner: CommandRunner, then: @escaping (CommandResult) -> Void
    ) {
        precondition(!command.arguments.isEmpty, "a command has a program")
        (self.command, self.number, self.isPatient) = (command, number, isPatient)
        (self.runner, self.then) = (runner, then)
        timer = LoopTimer(loop: runner.loop)
        timer.fired = { [unowned self] in late() }
    }

    var isWaiting: Bool { phase == .waiting }
    /// Its program has ended, or never ran.
    var isGone: Bool { phase == .gone }

    /// No result is told any more, and the program is ended. Nothing happens after the end.
    public func cancel() {
        then = nil
        switch phase {
        case .waiting: phase = .gone
        case .loading: phase = .ending
        case .running: endProgram()
        case .ending, .gone: break
        }
    }

    // MARK: Called by the runner

    func begin() {
        phase = .loading
        startedAt = runner.loop.now
        timer.set(startedAt + command.timeout)
        runner.start(self)
    }

    /// The program runs, or cannot.
    func arrived(_ result: Result<ChildProcess.Started, SystemError>) {
        // It has handed over and has nothing left to do: this takes no time.
        thread?.join()
        thread = nil
        switch result {
        case .failure(let error):
            tell(.notStarted(error.code))
            leave()
        case .success(let started):
            let child = ChildProcess(started)
            self.child = child
            exitDescriptor = started.exitDescriptor
            let exit = ChildChannel(loop: runner.loop) { [unowned self] in ended() }
            let output = ChildChannel(loop: runner.loop) { [unowned self] in read() }
            (self.exit, self.output) = (exit, output)
            output.open(FileDescriptor(adopting: started.outputDescriptor))
            exit.open(FileDescriptor(adopting: started.exitDescriptor))
            output.watch(.readable)
            exit.watch(.readable)
            if phase == .ending { endProgram() } else { phase = .running }
        }
    }

    /// For the end of the process: nothing is told any more. Its channels are open until ``close()``.
    func abandon() -> (child: ChildProcess, exitDescriptor: CInt)? {
        then = nil
        phase = .gone
        timer.end()
        return child.map { ($0, exitDescriptor) }
    }

    func close() {
        output?.close()
        exit?.close()
    }

    // MARK: Events

    private func ended() {
        guard let child, let end = child.end() else { return }
        // What it wrote last; not for ever, since somebody else may have the pipe too.
        if output?.isOpen == true { readTurn() }
        switch end {
        case .exited(let status): tell(.exited(status))
        case .signalled(let signal): tell(.signalled(signal))
        }
        leave()
    }

    private func late() {
        switch phase {
        case .loading:
            runner.timedOut += 1
            phase = .ending
            tell(.timedOut)
        case .running:
            runner.timedOut += 1
            tell(.timedOut)
            endProgram()
        case .ending: child?.kill()
        case .waiting, .gone: break
        }
    }

    private func endProgram() {
        phase = .ending
        child?.terminate()
        timer.set(runner.loop.now + CommandRunner.grace)
    }

    private func tell(_ end: CommandResult.End) {
        guard let then else { return }
        self.then = nil
        then(
            CommandResult(
                end: end, output: kept, isOutputCut: dropped > 0, startedAt: startedAt,
                duration: runner.loop.now - startedAt))
    }

    private func leave() {
        phase = .gone
        timer.end()
        close()
        (output, exit, child) = (nil, nil, nil)
        runner.left(self)
    }

    // MARK: Output

    private func read() {
        guard let output, !output.isTimerArmed, !readTurn() else { return }
        if dropped > Self.freeBytesMax { output.armTimer(at: runner.loop.now + Self.pause) } else { output.again() }
    }

    /// - Returns: whether all that there was has been read.
    @discardableResult
    private func readTurn() -> Bool {
        guard let output else { return true }
        let buffer = runner.loop.takeStandardBuffer()
        defer { runner.loop.releaseBuffer(buffer) }
        var left = Self.turnBytesMax
        while left > 0 {
            let result = output.read(into: buffer, 0, buffer.capacity)
            if result.isBlocked { return true }
            guard result.count > 0 else {
                output.close()
                return true
            }
            left -= result.count
            let taken = min(result.count, command.outputBytesMax - kept.count)
            let bytes = buffer.bytes(0, taken)
            for index in bytes.indices { kept.append(bytes[index]) }
            dropped += result.count - taken
        }
        return false
    }
}

/// A descriptor of a child: calls back when there is something, and when its timer is due.
private final class ChildChannel: Channel {
    private let happened: () -> Void

    init(loop: EventLoop, _ happened: @escaping () -> Void) {
        self.happened = happened
        super.init(loop: loop)
    }

    override func ready(_ readiness: Readiness) { happened() }
    override func timerFired() { happened() }
}
