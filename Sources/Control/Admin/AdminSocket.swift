import PoiseModel
import PoisePlatform

/// Where the admin API listens and the command line connects.
public enum AdminSocket {
    /// The environment variable that replaces the default.
    public static let variable = "POISE_ADMIN"

    /// - Parameter setting: from the configuration or the command line; it wins.
    /// - Returns: an absolute path: `$POISE_ADMIN`, else `/run/poise/admin.sock` for root,
    ///   `$XDG_RUNTIME_DIR/poise/admin.sock` for others, `/tmp/poise-<uid>/admin.sock` where there is none.
    public static func path(
        _ setting: String?, isRoot: Bool = ProcessLimits.isRoot, userID: Int = ProcessLimits.userID,
        environment: (String) -> String? = { Environment[$0] }
    ) -> String {
        if let setting { return setting }
        if let path = environment(variable), path.hasPrefix("/") { return path }
        if isRoot { return "/run/poise/admin.sock" }
        if let folder = environment("XDG_RUNTIME_DIR"), folder.hasPrefix("/") { return "\(folder)/poise/admin.sock" }
        return "/tmp/poise-\(userID)/admin.sock"
    }

    /// Creates the socket's own folder where the default path needs it.
    static func makeFolder(of path: String) throws(SystemError) {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
        let folder = String(path[..<slash])
        // For root others may pass through; the socket itself is 0660.
        try Files.makeDirectory(folder, mode: ProcessLimits.isRoot ? 0o755 : 0o700)
    }
}
