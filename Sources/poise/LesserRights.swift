import PoiseControl
import PoiseModel
import PoisePlatform

/// What `process.user` takes away: files that root could open at the start, and that USR1, HUP and renewed
/// certificates ask for later.
struct LesserRights {
    private let user: String
    /// The access log's file.
    private let log: String?
    /// The configuration's.
    private let file: String?
    /// Those of certificates, keys, authorities and ticket keys.
    private let tlsFiles: [String]

    /// `nil` without `process.user`.
    init?(_ configuration: Configuration, file: String?) {
        guard let user = configuration.process.user else { return nil }
        (self.user, self.file, tlsFiles) = (user, file, configuration.tlsFiles)
        if case .file(let path) = configuration.logs.access { log = path } else { log = nil }
    }

    /// Makes the log, which root has opened, the user's. Where that cannot be, ``warnings`` says so.
    func giveLog() { if let log { try? Files.give(log, to: user) } }

    /// What will fail. To be asked once the process is the user's: only the kernel knows all that decides.
    var warnings: [OperationalEvent] {
        var warnings: [OperationalEvent] = []
        // A device or a pipe is not moved away.
        if let log, (try? Files.facts(of: log, followsLink: true))?.kind == .file {
            let folder = Self.folder(of: log)
            if !Files.allows(.makingFiles, folder) {
                warnings.append(
                    warning("USR1 cannot make the access log anew: process.user may not write into its folder", log))
            } else if !Files.allows(.writing, log) {
                warnings.append(
                    warning("USR1 cannot open the access log again: process.user may not write it", log))
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
