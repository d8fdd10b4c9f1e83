import PoiseConfig
import PoiseControl
import PoiseModel
import PoisePlatform

/// A configuration file as the offline verbs read it.
enum ConfigFile {
    /// Prints what is wrong or doubtful to standard error, with colours on a terminal.
    ///
    /// - Parameter tlsFiles: `nil` leaves certificates and keys unopened.
    /// - Returns: `nil` for a file with errors.
    static func load(
        _ path: String, files: some FileReader = SystemFiles(),
        environment: @escaping (String) -> String? = { Environment[$0] }, tlsFiles: TLSFileCheck?
    ) -> LoadedConfiguration? {
        do {
            let loaded = try ConfigLoader.load(path: path, files: files, environment: environment, tlsFiles: tlsFiles)
            show(loaded.warnings)
            return loaded
        } catch {
            show(error)
            return nil
        }
    }

    private static func show(_ report: ConfigReport) {
        guard !report.diagnostics.isEmpty else { return }
        let isColored = Terminal.isTerminal(2) && (Environment["NO_COLOR"] ?? "").isEmpty
        var text = report.render(color: isColored)
        if text.hasSuffix("\n") { text.removeLast() }
        Console.error(text)
    }
}
