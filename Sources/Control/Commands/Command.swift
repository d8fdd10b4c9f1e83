import PoiseModel
import PoisePlatform

/// A program to run: no shell, nothing inherited but user, groups, limits and working folder.
public struct Command: Sendable, Equatable {
    /// The first is the program, by its absolute path.
    public var arguments: [String]
    /// All that the program gets, besides `PATH`.
    public var environment: [String: String]
    /// From when it has a place to run; how long it waits for one is not counted.
    public var timeout: Nanoseconds
    /// What is kept of its output and error output together; more is read and dropped.
    public var outputBytesMax: Int

    public init(
        _ arguments: [String], environment: [String: String] = [:], timeout: Nanoseconds = .seconds(10),
        outputBytesMax: Int = 4096
    ) {
        (self.arguments, self.environment) = (arguments, environment)
        (self.timeout, self.outputBytesMax) = (timeout, outputBytesMax)
    }

    /// As the program gets it, sorted.
    var environmentLines: [String] {
        var all = environment
        if all["PATH"] == nil { all["PATH"] = Self.path }
        return all.map { "\($0)=\($1)" }.sorted()
    }

    /// Not Poise's own: what a command finds must not depend on who started Poise.
    static let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

/// What became of a command.
public struct CommandResult: Sendable, Equatable {
    public enum End: Sendable, Hashable {
        /// 0...255
        case exited(Int)
        /// Ended by this signal, and not by us.
        case signalled(Int)
        /// It took longer than its timeout, and is being ended.
        case timedOut
        /// A positive errno: no such program, not allowed, …
        case notStarted(CInt)
    }

    public var end: End
    /// What it wrote first.
    public var output: [UInt8]
    /// It wrote more than was kept.
    public var isOutputCut: Bool
    public var startedAt: MonotonicTime
    public var duration: Nanoseconds

    public var succeeded: Bool { end == .exited(0) }

    /// `exit status 3`, `ended by signal 9`, `no end within 10s`, `cannot start: No such file or directory`.
    public func reason(timeout: Nanoseconds) -> String {
        switch end {
        case .exited(let status): "exit status \(status)"
        case .signalled(let signal): "ended by signal \(signal)"
        case .timedOut: "no end within \(timeout)"
        case .notStarted(let code): "cannot start: \(SystemError(call: "", code: code).reason)"
        }
    }

    /// The first line of its output, for people: control characters left out, at most 200 bytes.
    public var firstLine: String {
        let line = output.prefix { $0 != 0x0A }.prefix(200)
        let text = String(decoding: line, as: UTF8.self).unicodeScalars
        return String(String.UnicodeScalarView(text.filter { $0.properties.generalCategory != .control }))
    }
}
