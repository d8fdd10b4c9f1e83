import PoiseModel
import PoiseYAML

/// Reads a configuration: text in, a valid `Configuration` or everything that is wrong with it out.
public enum ConfigLoader {
    /// Loads a file and what it includes.
    ///
    /// - Parameters:
    ///   - files: how files are read; `include` and `file:` paths are relative to the file that names them.
    ///   - environment: the value of an environment variable, `nil` where it is not set.
    ///   - tlsFiles: looks into what TLS settings name; without it those files are not opened.
    /// - Throws: ``ConfigReport`` with every error, and the warnings too.
    public static func load(
        path: String, files: some FileReader, environment: @escaping (String) -> String?, tlsFiles: TLSFileCheck? = nil
    ) throws(ConfigReport) -> LoadedConfiguration {
        let loading = Loading(reader: files, environment: environment, tlsFiles: tlsFiles)
        loading.readMainFile(path)
        return try finish(loading, loading.assemble())
    }

    /// Loads a text that is at hand: bytes that were sent, a test's string. Any bytes may be given.
    ///
    /// - Parameter name: what errors call the text; `include` and `file:` paths are relative to it.
    public static func load(
        text: [UInt8], name: String, files: some FileReader = NoFiles(),
        environment: @escaping (String) -> String? = { _ in nil }, tlsFiles: TLSFileCheck? = nil
    ) throws(ConfigReport) -> LoadedConfiguration {
        let loading = Loading(reader: files, environment: environment, tlsFiles: tlsFiles)
        loading.readMainFile(name, bytes: text)
        return try finish(loading, loading.assemble())
    }

    static func finish(
        _ loading: Loading, _ configuration: Configuration
    ) throws(ConfigReport) -> LoadedConfiguration {
        let report = loading.report()
        guard !report.hasErrors else { throw report }
        return LoadedConfiguration(
            configuration: configuration, warnings: report,
            origins: Origins(files: loading.files.map(\.name), places: loading.places, references: loading.references))
    }
}

/// A valid configuration, and where it came from.
public struct LoadedConfiguration: Sendable {
    public var configuration: Configuration
    /// Without errors.
    public var warnings: ConfigReport
    public var origins: Origins
}

/// Where each value of a configuration was written, by its path: `listeners[0].timeouts.head`.
public struct Origins: Sendable {
    private let files: [String]
    private let places: [String: SourceRange]
    private let references: [String: String]

    /// Of a configuration that no file wrote.
    public init() { (files, places, references) = ([], [:], [:]) }

    init(files: [String], places: [String: SourceRange], references: [String: String]) {
        (self.files, self.places, self.references) = (files, places, references)
    }

    /// Whether a file wrote anything at all.
    var isKnown: Bool { !files.isEmpty }

    /// `poise.yaml:12`, perhaps the line in `defaults`; `nil` for a default of Poise itself.
    public func location(of path: String) -> String? {
        guard let range = places[path] ?? Loading.inherited(path).flatMap({ places[$0] }) else { return nil }
        return "\(files[Int(range.file)]):\(range.start.line)"
    }

    /// `poise.yaml:12:7`, where the value of `path` was written or the nearest part around it; `nil` where no file wrote
    /// anything.
    public func place(of path: String) -> String? {
        var path = path
        while true {
            if let range = places[path] ?? Loading.inherited(path).flatMap({ places[$0] }) {
                return "\(files[Int(range.file)]):\(range.start.line):\(range.start.column)"
            }
            guard !path.isEmpty else { return nil }
            path = Loading.parent(of: path)
        }
    }

    /// The text as written of a value that came from `${}` or `file:`, and must not be shown itself.
    public func reference(of path: String) -> String? {
        if let own = references[path] { return own }
        // A value that the object itself writes hides the one of `defaults`.
        return places[path] == nil ? Loading.inherited(path).flatMap { references[$0] } : nil
    }
}
