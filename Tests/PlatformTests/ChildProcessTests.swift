import Glibc
import PoisePlatform
import Testing

/// A program under test with its descriptors, which are closed with it.
private final class Child {
    let started: ChildProcess.Started
    let process: ChildProcess

    init(_ program: String, _ arguments: [String], environment: [String] = []) throws {
        started = try ChildProcess.start(program, arguments, environment: environment)
        process = ChildProcess(started)
    }

    convenience init(script: String, environment: [String] = []) throws {
        try self.init("/bin/sh", ["-c", script], environment: environment)
    }

    deinit {
        _ = FileDescriptor(adopting: started.exitDescriptor)
        _ = FileDescriptor(adopting: started.outputDescriptor)
    }

    private static func waitReadable(_ descriptor: CInt) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        // SAFETY: one entry, used during the call only.
        return unsafe poll(&entry, 1, 20_000) == 1
    }

    /// Waits for the end of the program without reading its output.
    func end() -> ChildProcess.End? {
        Self.waitReadable(started.exitDescriptor) ? process.end() : nil
    }

    /// Reads until the last process that has the pipe has closed it.
    func output() -> [UInt8] {
        var all: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while Self.waitReadable(started.outputDescriptor) {
            // SAFETY: the kernel writes at most `$0.count` bytes.
            let count = unsafe chunk.withUnsafeMutableBytes {
                unsafe read(started.outputDescriptor, $0.baseAddress, $0.count)
            }
            if count <= 0 { break }
            all += chunk[..<count]
        }
        return all
    }

    var text: String { String(decoding: output(), as: UTF8.self) }
}

@Suite("Child processes", .serialized)
struct ChildProcessTests {
    @Test(
        "each end is told",
        arguments: [
            ("exit 0", ChildProcess.End.exited(0)), ("exit 3", .exited(3)), ("exit 255", .exited(255)),
            ("kill -9 $$", .signalled(9)), ("kill -TERM $$", .signalled(15)), ("kill -PIPE $$", .signalled(13)),
        ])
    func ends(script: String, end: ChildProcess.End) throws {
        let child = try Child(script: script)
        #expect(child.end() == end)
        #expect(child.process.end() == nil)
    }

    @Test(
        "a program that cannot start is told by errno, and leaves no descriptor behind",
        arguments: [
            ("/nowhere/at/all", ENOENT), ("/etc/passwd", EACCES), ("/tmp", EACCES), ("/bin/\u{0}sh", EINVAL),
            ("relative-name-that-is-not-here", ENOENT),
        ])
    func refused(program: String, code: CInt) {
        let before = openDescriptors()
        for _ in 0..<100 {
            let error = failure { () throws(SystemError) in _ = try ChildProcess.start(program, [], environment: []) }
            #expect(error?.code == code)
        }
        // Other suites open and close some meanwhile.
        #expect(openDescriptors() < before + 50)
    }

    @Test("output and error output come in one pipe, the input is empty, nothing is searched or expanded")
    func streams() throws {
        let child = try Child(script: "echo out; echo err >&2; cat; echo \"$1\"")
        #expect(child.text == "out\nerr\n\n")
        #expect(child.end() == .exited(0))
        let plain = try Child("/bin/echo", ["$HOME", "*", "a  b", ""])
        #expect(plain.text == "$HOME * a  b \n")
        #expect(plain.end() == .exited(0))
    }

    @Test("the environment is what was given and nothing else")
    func environment() throws {
        // SAFETY: the texts are copied during the call; no other test sets a variable.
        unsafe setenv("POISE_TEST_SECRET", "x", 1)
        let child = try Child("/usr/bin/env", [], environment: ["POISE_EVENT=group_down", "PATH=/bin"])
        #expect(child.text == "POISE_EVENT=group_down\nPATH=/bin\n")
        #expect(child.end() == .exited(0))
    }

    @Test("no descriptor but the three is open, even one that is not close-on-exec")
    func descriptors() throws {
        // SAFETY: the string is used during the call only.
        let inherited = unsafe open("/dev/null", O_RDONLY)
        defer { close(inherited) }
        #expect(inherited > 2)
        let child = try Child("/bin/ls", ["/proc/self/fd"])
        // The fourth is its own, of the folder that it lists.
        #expect(child.text == "0\n1\n2\n3\n")
        #expect(child.end() == .exited(0))
    }

    @Test("signals that this thread blocks or ignores do what they do by default, in a session of its own")
    func signals() throws {
        Signals.block([SIGTERM, SIGHUP, SIGINT])
        let child = try Child("/bin/cat", ["/proc/self/status"])
        let status = child.text.split(separator: "\n")
        #expect(status.contains("SigBlk:\t0000000000000000"))
        // 32 and 33 are the C library's own, which ignores them in every program that it starts.
        let ignored = status.first { $0.hasPrefix("SigIgn:\t") }.flatMap { UInt64($0.dropFirst(8), radix: 16) }
        #expect(ignored.map { $0 & ~0x1_8000_0000 } == 0)
        #expect(child.end() == .exited(0))
        let other = try Child(script: "ps -o pid=,pgid=,sid= -p $$ | xargs; exec sleep 1000")
        let number = other.started.processID
        var line = [UInt8](repeating: 0, count: 64)
        var entry = pollfd(fd: other.started.outputDescriptor, events: Int16(POLLIN), revents: 0)
        // SAFETY: the kernel writes one entry, and at most `$0.count` bytes.
        #expect(unsafe poll(&entry, 1, 20_000) == 1)
        let count = unsafe line.withUnsafeMutableBytes {
            unsafe read(other.started.outputDescriptor, $0.baseAddress, $0.count)
        }
        #expect(String(decoding: line.prefix(max(0, count)), as: UTF8.self) == "\(number) \(number) \(number)\n")
        other.process.terminate()
        #expect(other.end() == .signalled(Int(SIGTERM)))
    }

    @Test("a program that ignores SIGTERM ends by SIGKILL, and so does what it has started")
    func hangs() throws {
        // The shell tells the number of its child, which has the pipe open too: its end is the end of the pipe.
        let child = try Child(script: "trap '' TERM; sleep 1000 & echo ready; wait; wait; wait")
        var entry = pollfd(fd: child.started.outputDescriptor, events: Int16(POLLIN), revents: 0)
        // SAFETY: one entry, used during the call only.
        #expect(unsafe poll(&entry, 1, 20_000) == 1)
        child.process.terminate()
        child.process.kill()
        #expect(child.end() == .signalled(Int(SIGKILL)))
        #expect(child.text == "ready\n")
    }

    @Test("a grandchild that keeps the pipe open ends with the program")
    func grandchild() throws {
        let child = try Child(script: "sleep 1000 & exit 7")
        #expect(child.end() == .exited(7))
        // It would not end for 1,000 s otherwise.
        #expect(child.text == "")
    }

    @Test("at the end of the process all go, also one that does not want to")
    func endAll() throws {
        let children = try (0..<4).map { index in
            try Child(script: index == 2 ? "trap '' TERM; while :; do sleep 1; done" : "exec sleep 1000")
        }
        ChildProcess.endAll(children.map { ($0.process, $0.started.exitDescriptor) })
        for child in children { #expect(kill(child.started.processID, 0) == -1 && errno == ESRCH) }
    }

    @Test("a hundred in a row leave no zombie and no descriptor")
    func hundred() throws {
        let before = openDescriptors()
        var numbers: [CInt] = []
        for index in 0..<100 {
            let child = try Child(script: "exit \(index)")
            numbers.append(child.started.processID)
            #expect(child.end() == .exited(index))
        }
        #expect(openDescriptors() < before + 50)
        for number in numbers { #expect(kill(number, 0) == -1 && errno == ESRCH) }
    }

    /// Those up to 4,095.
    private func openDescriptors() -> Int { (0..<CInt(4096)).count { fcntl($0, F_GETFD) >= 0 } }
}
