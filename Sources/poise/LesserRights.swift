import PoiseControl
import PoiseModel
import PoisePlatform

/// What `process.user` takes away: files that root could open at the start, and that USR1, HUP and renewed
/// certificates ask for later.
struct LesserRights {
    private let user: String
    /// Files of logs, by what they are.
    private let logs: [(noun: String, path: String)]
    /// The configuration's.
    private let file: String?
    /// Those of certificates, keys, authorities and ticket keys.
    private let tlsFiles: [String]

    /// `nil` without `process.user`.
    init?(_ configuration: Configuration, file: String?) {
        guard let user = configuration.process.user else { return nil }
        (self.user, self.file, tlsFiles) = (user, file, configuration.tlsFiles)
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
        if let first = closed.first {
            var event = warning("renewed certificates cannot be read: process.user may not read their files", first)
            if closed.count > 1 { event.fields.append(("further files", "\(closed.count - 1)")) }
            warnings.append(event)
        }
        return warnings
    }

    private func warning(_ text: String, _ path: String) -> OperationalEvent {
        OperationalEvent(.warning, text, [("file", path), ("user", user)])
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
