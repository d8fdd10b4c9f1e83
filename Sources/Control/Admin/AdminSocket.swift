import PoiseModel
import PoisePlatform

/// Where the admin API listens and the command line connects.
///
/// Whoever owns the folder of a socket decides who listens there. Poise's own places are known before Poise starts, one
/// of them below `/tmp`, where anybody may create a folder first: so both sides look at the folder, and the command line
/// asks the kernel who listens. Neither protects from the folder's rightful owner, nor means to.
public struct AdminSocket: Sendable, Equatable {
    /// The environment variable that replaces the default.
    public static let variable = "POISE_ADMIN"

    /// An absolute path.
    public let path: String
    /// How the path came about.
    private let origin: Origin
    private let userID: Int

    private enum Origin {
        /// Somebody chose it, and its folder.
        case named
        /// Below `/run`, where only root makes folders, or has the service manager make them for a service's user.
        case system
        case ofUser
        /// Below `/tmp`, where everybody does.
        case temporary

        /// Permission bits that the folder must not have.
        var forbiddenMode: UInt32 { self == .temporary ? 0o077 : 0o022 }
    }

    /// `$POISE_ADMIN`, else `/run/poise/admin.sock` for root, `$XDG_RUNTIME_DIR/poise/admin.sock` for others,
    /// `/tmp/poise-<uid>/admin.sock` where there is none.
    ///
    /// - Parameter setting: from the configuration or the command line; it wins.
    public init(
        _ setting: String?, isRoot: Bool = ProcessLimits.isRoot, userID: Int = ProcessLimits.userID,
        temporary: String = "/tmp", environment: (String) -> String? = { Environment[$0] }
    ) {
        self.userID = userID
        if let named = setting ?? environment(Self.variable), named.hasPrefix("/") {
            (path, origin) = (named, .named)
        } else if isRoot {
            (path, origin) = ("/run/poise/admin.sock", .system)
        } else if let folder = environment("XDG_RUNTIME_DIR"), folder.hasPrefix("/") {
            (path, origin) = ("\(folder)/poise/admin.sock", .ofUser)
        } else {
            (path, origin) = ("\(temporary)/poise-\(userID)/admin.sock", .temporary)
        }
    }

    private var folder: String { path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "" }

    /// Creates the folder of Poise's own place, and looks at it, as it may have been there. Does nothing for others.
    ///
    /// - Throws: ``ConfigError``, also when it cannot be created.
    func prepareFolder() throws(ConfigError) {
        guard origin != .named else { return }
        do {
            // For root others may pass through; the socket itself is 0660.
            try Files.makeDirectory(folder, mode: userID == 0 ? 0o755 : 0o700)
        } catch {
            throw problem("its folder cannot be made: \(error.reason)", fix: "make it yourself")
        }
        try checkFolder(mayBeGivenAway: false)
    }

    /// Refuses a folder of Poise's own place in which others may have put the socket. A missing folder is fine: nobody
    /// listens there.
    ///
    /// What it finds stays true: who does not own the folder can neither change it nor, as the folders above belong to
    /// root or the user or are sticky, put another in its place.
    public func checkFolder() throws(ConfigError) { try checkFolder(mayBeGivenAway: origin == .system) }

    /// - Parameter mayBeGivenAway: the folder may belong to anybody, as only root can have made it theirs.
    private func checkFolder(mayBeGivenAway: Bool) throws(ConfigError) {
        guard origin != .named else { return }
        let facts: FileFacts
        do { facts = try Files.facts(of: folder, followsLink: false) } catch {
            if error.code == Errno.notFound { return }
            throw problem("its folder cannot be looked at: \(error.reason)", fix: "look at \(folder)")
        }
        guard facts.kind == .folder else {
            throw problem(
                facts.kind == .link ? "\(folder) is a symbolic link" : "\(folder) is no folder", fix: "remove it")
        }
        guard mayBeGivenAway || facts.ownerID == userID || facts.ownerID == 0 else {
            throw problem("\(folder) belongs to the user with id \(facts.ownerID)", fix: "have it removed")
        }
        guard facts.mode & origin.forbiddenMode == 0 else {
            throw problem(
                "others may \(facts.mode & 0o022 == 0 ? "enter" : "write into") \(folder), its mode is 0\(String(facts.mode, radix: 8))",
                fix: "chmod 0700 \(folder), once you know why that is")
        }
    }

    /// Whether a server that runs as `other` may be talked to: as this user, as root, or as the owner of a folder that
    /// somebody named or root gave away, such as a service's own user.
    public func trusts(userID other: Int) -> Bool {
        if other == userID || other == 0 { return true }
        guard origin == .named || origin == .system else { return false }
        return (try? Files.facts(of: folder, followsLink: true))?.ownerID == other
    }

    private func problem(_ problem: String, fix: String) -> ConfigError {
        ConfigError(
            code: .conflict, path: "process.admin.socket", problem: "the admin socket \(path) is not safe: \(problem)",
            fix: "\(fix), or name another place with process.admin.socket, --admin or \(Self.variable)")
    }
}
