import CPoise
import Glibc

/// A program that was started and has to be taken away again: without a shell, in a session and process group of its
/// own, with an empty input, and its output in a pipe.
///
///     let started = try ChildProcess.start("/usr/local/bin/page", ["--group", "web"], environment: ["PATH=/bin"])
///     let child = ChildProcess(started)       // when `exitDescriptor` is readable: `end()`
///
/// Invariants:
/// 1. Its number is its own until ``end()`` has returned a status: nothing is signalled after that.
/// 2. Whoever has it calls ``end()`` until there is a status; else a zombie stays.
public final class ChildProcess {
    /// What a start gives. Both descriptors must go into channels or be closed.
    public struct Started: Sendable {
        public let processID: CInt
        /// Readable once the program has ended; a pidfd, Linux 5.3.
        public let exitDescriptor: CInt
        /// What it writes to its output and its error output; non-blocking. It ends with the last process that has it
        /// open, which may be another one than the program.
        public let outputDescriptor: CInt
    }

    /// How a program ended.
    public enum End: Sendable, Hashable {
        /// 0...255
        case exited(Int)
        /// Ended by this signal.
        case signalled(Int)
    }

    public let processID: CInt
    private var isReaped = false

    public init(_ started: Started) { processID = started.processID }

    deinit { precondition(isReaped, "a child was dropped before its end was read") }

    /// Starts a program. It gets no descriptor but its standard streams, no signal blocked or ignored, and the user,
    /// groups, limits and folder of this process.
    ///
    /// - Parameters:
    ///   - program: an absolute path; `PATH` is not searched.
    ///   - arguments: without the program itself, which is put first.
    ///   - environment: all of it, as `NAME=value`.
    /// - Throws: ENOENT, EACCES, ENOEXEC (a script without `#!`), EAGAIN (too many processes), EMFILE, …; EINVAL for a
    ///   text with a NUL.
    /// - Cost: blocks until the program is loaded, which a hung file system may delay: on a helper thread.
    public static func start(
        _ program: String, _ arguments: [String], environment: [String]
    ) throws(SystemError) -> Started {
        let texts = [program] + arguments + environment
        guard !texts.contains(where: { $0.utf8.contains(0) }) else { throw SystemError(call: "spawn", code: EINVAL) }
        // SAFETY: each copy is freed below and used until then only; both lists end with nil.
        let copies = unsafe texts.map { unsafe strdup($0) }
        defer { unsafe copies.forEach { unsafe free($0) } }
        let count = arguments.count + 1
        let argumentList = unsafe Array(copies[..<count]) + [nil]
        let environmentList = unsafe Array(copies[count...]) + [nil]
        var (output, exit): (CInt, CInt) = (-1, -1)
        // SAFETY: everything is used during the call only.
        let process = try checked(
            unsafe poise_spawn(program, argumentList, environmentList, &output, &exit), "spawn")
        return Started(processID: process, exitDescriptor: exit, outputDescriptor: output)
    }

    /// Takes the program away where it has ended, and ends what is left of its process group with it: a program that
    /// goes away leaves nothing running behind it that it has not moved into a group of its own.
    ///
    /// - Returns: `nil` while it runs, and after the call that returned its end.
    public func end() -> End? {
        guard !isReaped, hasEnded else { return nil }
        // Before its status is read: until then no other group can have its number.
        _ = poise_signal_group(processID, SIGKILL)
        var signal: CInt = 0
        // SAFETY: the pointer is used during the call only.
        let status = unsafe poise_reap(processID, &signal)
        isReaped = true
        // A negative one is the kernel's word that there is no such child.
        return signal != 0 ? .signalled(Int(signal)) : .exited(Int(max(0, status)))
    }

    private var hasEnded: Bool { poise_has_ended(processID) != 0 }

    /// Asks its process group to end.
    public func terminate() { signal(SIGTERM) }

    /// Ends its process group.
    public func kill() { signal(SIGKILL) }

    private func signal(_ number: CInt) { if !isReaped { _ = poise_signal_group(processID, number) } }

    /// Ends children one way or the other and waits for them, at the end of the process: asks, and after `grace` insists.
    /// Those that even then do not go (a process that hangs in the kernel) are left to the system.
    ///
    /// - Cost: blocks for up to twice `grace`.
    public static func endAll(_ children: [(child: ChildProcess, exitDescriptor: CInt)], graceMilliseconds: CInt = 500)
    {
        for entry in children { entry.child.terminate() }
        wait(for: children, graceMilliseconds)
        for entry in children { entry.child.kill() }
        wait(for: children, graceMilliseconds)
        for entry in children { entry.child.isReaped = true }
    }

    private static func wait(for children: [(child: ChildProcess, exitDescriptor: CInt)], _ milliseconds: CInt) {
        let deadline = poise_clock_monotonic() + Int64(milliseconds) * 1_000_000
        for entry in children where !entry.child.isReaped {
            let left = max(0, (deadline - poise_clock_monotonic()) / 1_000_000)
            _ = poise_wait_readable(entry.exitDescriptor, CInt(left))
            _ = entry.child.end()
        }
    }
}

@available(*, unavailable)
extension ChildProcess: Sendable {}
