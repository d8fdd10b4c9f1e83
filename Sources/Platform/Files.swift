import CPoise
import Glibc
import PoiseModel

/// Whole files, for control only: never on a worker.
public enum Files {
    /// - Parameter limit: more bytes than this are an error (``Errno/fileTooLarge``).
    public static func read(_ path: String, limit: Int) throws(SystemError) -> [UInt8] {
        // SAFETY: the string is used during the call only.
        let file = FileDescriptor(adopting: try checked(unsafe poise_open(path, 1, 0), "open"))
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            // SAFETY: the kernel writes at most `chunk.count` bytes.
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe poise_read(file.number, $0.baseAddress, $0.count) }
            if count < 0 {
                if CInt(-count) == Errno.interrupted { continue }
                throw SystemError(call: "read", code: CInt(-count))
            }
            if count == 0 { return bytes }
            bytes += chunk[..<Int(count)]
            if bytes.count > limit { throw SystemError(call: "read", code: Errno.fileTooLarge) }
        }
    }

    /// Opens for appending, creating with mode 0640.
    public static func openForAppending(_ path: String) throws(SystemError) -> FileDescriptor {
        // SAFETY: the string is used during the call only.
        FileDescriptor(adopting: try checked(unsafe poise_open(path, 2, 0o640), "open"))
    }

    /// Writes all of `bytes`; a short write continues.
    public static func write(_ bytes: Span<UInt8>, to descriptor: CInt) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            // SAFETY: `done` is inside the span.
            let count = unsafe bytes.withUnsafeBufferPointer {
                unsafe poise_write(descriptor, $0.baseAddress! + done, $0.count - done)
            }
            if count < 0 {
                if CInt(-count) == Errno.interrupted { continue }
                throw SystemError(call: "write", code: CInt(-count))
            }
            done += Int(count)
        }
    }

    /// One write(2); retries EINTR only.
    ///
    /// - Returns: how many bytes were taken.
    public static func writeSome(_ bytes: Span<UInt8>, to descriptor: CInt) throws(SystemError) -> Int {
        while true {
            // SAFETY: the kernel reads `$0.count` bytes during the call.
            let count = unsafe bytes.withUnsafeBufferPointer {
                unsafe poise_write(descriptor, $0.baseAddress, $0.count)
            }
            if count >= 0 { return Int(count) }
            guard CInt(-count) == Errno.interrupted else { throw SystemError(call: "write", code: CInt(-count)) }
        }
    }

    /// Removes a file, mostly a left-over unix socket. Missing is fine.
    public static func remove(_ path: String) {
        // SAFETY: the string is used during the call only.
        _ = unsafe unlink(path)
    }

    /// Removes a unix socket that nobody listens on any more; one that answers stays.
    public static func removeStaleSocket(_ path: String) {
        // Connecting to a regular file is refused as well: that one is somebody's.
        guard (try? facts(of: path, followsLink: false))?.kind == .socket else { return }
        do {
            _ = try Sockets.connect(to: .unix(path: path))
        } catch {
            if error.code == Errno.connectionRefused { remove(path) }
        }
    }

    public static func setMode(_ path: String, _ mode: UInt32) throws(SystemError) {
        // SAFETY: the string is used during the call only.
        guard unsafe chmod(path, mode) == 0 else { throw SystemError(call: "chmod", code: errno) }
    }

    /// Gives a regular file of root's to `user`; its group stays. For root only.
    ///
    /// - Throws: also for a symbolic link and for a file with several names, which might be anybody's.
    public static func give(_ path: String, to user: String) throws(SystemError) {
        // SAFETY: both strings are used during the call only.
        _ = try checked(unsafe poise_give_file(path, user), "fchown")
    }

    /// Whether this process may read the file, or open it for writing; of a folder, whether it may make files there.
    /// False as well for a path that leads nowhere.
    public static func allows(_ access: FileAccess, _ path: String) -> Bool {
        let mode =
            switch access {
            case .reading: R_OK
            case .writing: W_OK
            case .makingFiles: W_OK | X_OK
            case .running: X_OK
            }
        // SAFETY: the string is used during the call only.
        return unsafe Glibc.access(path, mode) == 0
    }

    /// What the file system says of a path.
    ///
    /// - Parameter followsLink: of what a symbolic link leads to, not of the link.
    public static func facts(of path: String, followsLink: Bool) throws(SystemError) -> FileFacts {
        var facts = stat()
        // SAFETY: the kernel writes one `stat`; path and pointer are used during the call only.
        let result = unsafe followsLink ? stat(path, &facts) : lstat(path, &facts)
        guard result == 0 else { throw SystemError(call: "stat", code: errno) }
        let kind: FileFacts.Kind =
            switch facts.st_mode & S_IFMT {
            case S_IFDIR: .folder
            case S_IFLNK: .link
            case S_IFREG: .file
            case S_IFSOCK: .socket
            default: .other
            }
        return FileFacts(kind: kind, ownerID: Int(facts.st_uid), mode: facts.st_mode & 0o7777)
    }

    /// Creates one directory if it is missing.
    public static func makeDirectory(_ path: String, mode: UInt32) throws(SystemError) {
        // SAFETY: the string is used during the call only.
        guard unsafe mkdir(path, mode) == 0 || errno == EEXIST else { throw SystemError(call: "mkdir", code: errno) }
    }
}

/// What a process may want of a path.
public enum FileAccess: Sendable { case reading, writing, makingFiles, running }

/// Kind, owner and permissions of a file.
public struct FileFacts: Sendable, Equatable {
    public enum Kind: Sendable { case file, folder, link, socket, other }
    public let kind: Kind
    /// The user's number.
    public let ownerID: Int
    /// Permission bits, 0o755.
    public let mode: UInt32
}

/// Names to addresses. Blocks: only on a helper thread.
public enum Resolver {
    public enum Answer: Sendable, Equatable {
        case addresses([IPAddress])
        case failed(String)
    }

    /// All addresses of a name, at most 64.
    public static func addresses(of name: String) -> Answer {
        var found = [poise_address](repeating: poise_address(), count: 64)
        // SAFETY: at most `$0.count` entries are written.
        let count = unsafe found.withUnsafeMutableBufferPointer { unsafe poise_resolve(name, $0.baseAddress, $0.count) }
        guard count > 0 else {
            // SAFETY: gai_strerror returns a constant string.
            return .failed(count == 0 ? "no address" : unsafe String(cString: poise_resolve_error(count)))
        }
        var result: [IPAddress] = []
        for entry in found.prefix(Int(count)) {
            if let ip = entry.ip, !result.contains(ip) { result.append(ip) }
        }
        return .addresses(result)
    }
}

public enum ServiceManager {
    /// Tells systemd (`READY=1`); nothing happens when nobody asked (`NOTIFY_SOCKET`).
    public static func notify(_ message: String) {
        guard let path = Environment["NOTIFY_SOCKET"] else { return }
        // SAFETY: both strings are used during the call only.
        _ = unsafe poise_notify(path, path.utf8.count, message, message.utf8.count)
    }
}
