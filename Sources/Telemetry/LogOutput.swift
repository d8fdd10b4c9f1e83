import PoiseLive
import PoiseModel
import PoisePlatform

/// Where a log goes: a standard stream, or a file that can be opened again.
final class LogOutput: Sendable {
    /// As messages show it.
    let name: String
    /// `nil` for a standard stream, which is never closed.
    private let path: String?
    private let number: SharedWord

    /// - Parameter setting: where the destination is written.
    /// - Returns: `nil` for `off`.
    /// - Throws: ``ConfigError`` at `setting` for a file that cannot be opened.
    init?(
        _ destination: LogSettings.Destination, setting: String = "logs.access.destination", noun: String = "access log"
    ) throws(ConfigError) {
        switch destination {
        case .off: return nil
        case .standardOutput: (name, path, number) = ("stdout", nil, SharedWord(1))
        case .standardError: (name, path, number) = ("stderr", nil, SharedWord(2))
        case .file(let path):
            do throws(SystemError) {
                let file = try Files.openForAppending(path)
                (name, self.path, number) = (path, path, SharedWord(UInt64(file.release())))
            } catch {
                throw ConfigError(
                    code: .unreadable, path: setting,
                    problem: "cannot write the \(noun) \(path): \(error.reason)",
                    fix: "make its folder, and let the user that runs Poise write there")
            }
        }
    }

    deinit { if path != nil { _ = FileDescriptor(adopting: descriptor) } }

    var descriptor: CInt { CInt(number.value) }
    var isTerminal: Bool { Terminal.isTerminal(descriptor) }

    /// Opens the path again and closes the old file. On the writer's thread only.
    ///
    /// - Returns: false for a standard stream, of which there is only one.
    func reopen() throws(SystemError) -> Bool {
        guard let path else { return false }
        let old = FileDescriptor(adopting: CInt(number.exchange(UInt64(try Files.openForAppending(path).release()))))
        _ = consume old
        return true
    }
}
