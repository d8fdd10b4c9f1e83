import PoiseControl
import PoiseModel
import PoisePlatform

/// What `process.user` takes away: files that root could open at the start, and that USR1, HUP and renewed
/// certificates ask for later, and programs that root could run.
struct LesserRights {
    private let user: String
    /// Files of logs, by what they are.
    private let logs: [(noun: String, path: String)]
    /// The configuration's.
    private let file: String?
    /// Those of certificates, keys, authorities and ticket keys.
    private let tlsFiles: [String]
    /// Those of checks and of hooks, by what does not happen without them.
    private let programs: [(loss: String, paths: [String])]

    /// `nil` without `process.user`.
    init?(_ configuration: Configuration, file: String?) {
        guard let user = configuration.process.user else { return nil }
        (self.user, self.file, tlsFiles) = (user, file, configuration.tlsFiles)
        programs = [
            ("a check's program cannot be run, so its targets will be unhealthy", configuration.checkCommands),
            ("a hook's program cannot be run, so nobody would be told", configuration.hookCommands),
        ].map { loss, commands in (loss, Set(commands.compactMap(\.command.first)).sorted()) }
        logs = [("access log", configuration.logs.access), ("health log", configuration.logs.health)].compactMap {
            if case .file(let path) = $1 { ($0, path) } else { nil }
        }
    }

    /// Makes the logs, which root has opened, the user's. Where that cannot be, ``warnings`` says so.
    func giveLogs() { for log in logs { try? Files.give(log.path, to: user) } }

    /// What will fail. To be asked once the process is the user's: only the kernel knows all that decides.
    var warnings: [OperationalEvent] {
        var warnings: [OperationalEvent] = []
        // A device or a pipe is not moved away.
        for (noun, log) in logs where (try? Files.facts(of: log, followsLink: true))?.kind == .file {
            let folder = Self.folder(of: log)
            if !Files.allows(.makingFiles, folder) {
                warnings.append(
                    warning("USR1 cannot make the \(noun) anew: process.user may not write into its folder", log))
            } else if !Files.allows(.writing, log) {
                warnings.append(warning("USR1 cannot open the \(noun) again: process.user may not write it", log))
            }
        }
        if let file, !Files.allows(.reading, file) {
            warnings.append(
                warning("the configuration cannot be reloaded: process.user may not read it", file))
        }
        let closed = tlsFiles.filter { !Files.allows(.reading, $0) }
        warnings += warning(of: closed, "renewed certificates cannot be read: process.user may not read their files")
        for (loss, paths) in programs {
            warnings += warning(
                of: paths.filter { !Files.allows(.running, $0) }, "\(loss): process.user may not run it")
        }
        return warnings
    }

    /// One for all of `files`, which names the first.
    private func warning(of files: [String], _ text: String) -> [OperationalEvent] {
        guard let first = files.first else { return [] }
        var event = warning(text, first)
        if files.count > 1 { event.fields.append(("further files", "\(files.count - 1)")) }
        return [event]
    }

    private func warning(_ text: String, _ path: String) -> OperationalEvent {
        OperationalEvent(.warning, text, [("file", path), ("user", user)])
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
