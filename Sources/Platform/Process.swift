import CPoise
import Glibc

/// What concerns the process as a whole.
public enum ProcessLimits {
    /// The soft limit of open descriptors, after raising it to the hard one.
    public static func raiseDescriptorLimit() -> Int {
        _ = poise_raise_descriptor_limit()
        var soft: Int64 = 0
        var hard: Int64 = 0
        // SAFETY: both pointers are used during the call only.
        guard unsafe poise_descriptor_limit(&soft, &hard) == 0 else { return 1024 }
        return Int(min(soft, 1 << 30))
    }

    /// Processors that this process may use.
    public static var processorCount: Int { max(1, sysconf(CInt(_SC_NPROCESSORS_ONLN))) }

    /// Becomes `user` and its groups, for good.
    public static func become(user: String) throws(SystemError) {
        // SAFETY: the string is used during the call only.
        _ = try checked(unsafe poise_become(user), "setuid")
    }

    public static var isRoot: Bool { geteuid() == 0 }
    public static var userID: Int { Int(geteuid()) }
    public static var processID: Int { Int(getpid()) }
}

public enum Terminal {
    public static func isTerminal(_ descriptor: CInt) -> Bool { poise_is_terminal(descriptor) == 1 }
}

/// Signals as events of a descriptor.
public enum Signals {
    public static let hangUp: CInt = SIGHUP
    public static let terminate: CInt = SIGTERM
    public static let interrupt: CInt = SIGINT
    public static let user1: CInt = SIGUSR1

    /// Blocks `signals` in this thread and those it starts: they arrive at ``descriptor(for:)`` only.
    public static func block(_ signals: [CInt]) {
        // SAFETY: the array is read during the call only.
        _ = unsafe poise_block_signals(signals, signals.count)
        poise_ignore_sigpipe()
    }

    public static func descriptor(for signals: [CInt]) throws(SystemError) -> FileDescriptor {
        // SAFETY: the array is read during the call only.
        FileDescriptor(adopting: try checked(unsafe poise_signalfd(signals, signals.count), "signalfd"))
    }

    /// The next signal that arrived, `nil` if there is none.
    public static func next(from descriptor: CInt) -> CInt? {
        let signal = poise_signalfd_read(descriptor)
        return signal > 0 ? signal : nil
    }
}

public enum Environment {
    public static subscript(_ name: String) -> String? {
        // SAFETY: getenv returns NULL or a NUL-terminated string; nothing here calls setenv.
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }
}

extension Environment {
    /// Where relative paths start; empty where the folder is gone.
    public static var workingFolder: String {
        // SAFETY: with NULL, getcwd allocates what it returns.
        guard let path = unsafe getcwd(nil, 0) else { return "" }
        // SAFETY: it is ours and is freed once.
        defer { unsafe free(path) }
        return unsafe String(cString: path)
    }
}
