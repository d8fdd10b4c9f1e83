import PoiseConfig
import PoiseHTTP
import PoiseModel
import PoisePlatform

/// A configuration with everything that it refers to, as one text: what `poise apply` sends.
///
/// `include` and `file:` are read, and `${}` is looked up, by whoever calls `poise apply`, with that user's rights and
/// environment. The daemon gets the bytes and opens nothing, so nobody reads through it what is not theirs.
///
/// Files of TLS settings are not in it: the daemon opens those itself, by absolute paths.
///
/// Format: entries of a line `file <bytes of name> <bytes of content>` or `env …`, then name and content. The first
/// file is the configuration. `folder …` has the caller's folder as its name, and no content.
public struct ConfigBundle: Sendable, Equatable, FileReader {
    public static let contentType = "application/vnd.poise.bundle"

    /// Names with their contents, in the order they were read.
    public private(set) var files: [(name: String, content: [UInt8])] = []
    private var environment: [String: String] = [:]
    /// The caller's.
    public private(set) var workingFolder = ""

    public static func == (a: Self, b: Self) -> Bool { a.bytes == b.bytes }

    public init() {}

    /// One file, for a configuration that was sent without a bundle: it can refer to nothing.
    public init(text: [UInt8], name: String) { files = [(name, text)] }

    mutating func add(file name: String, _ content: [UInt8]) {
        guard !files.contains(where: { $0.name == name }) else { return }
        files.append((name, content))
    }

    mutating func add(folder name: String) { workingFolder = name }

    mutating func add(variable name: String, _ value: String) { environment[name] = value }

    // MARK: Loading

    public func read(path: String, bytesMax: Int) throws(FileReadError) -> [UInt8] {
        guard let file = files.first(where: { $0.name == path }) else {
            throw FileReadError(reason: "it was not sent along")
        }
        guard file.content.count <= bytesMax else { throw .tooLarge(bytesMax: bytesMax) }
        return file.content
    }

    /// - Parameter tlsFiles: looks into certificates and keys, which are not in the bundle.
    /// - Throws: ``ConfigReport``; places are those of the caller's files.
    public func load(tlsFiles: TLSFileCheck? = nil) throws(ConfigReport) -> LoadedConfiguration {
        guard let main = files.first else { return try ConfigLoader.load(text: [], name: "configuration") }
        let environment = self.environment
        return try ConfigLoader.load(
            path: main.name, files: self, environment: { environment[$0] }, tlsFiles: tlsFiles)
    }

    // MARK: Bytes

    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        func add(_ kind: String, _ name: String, _ content: [UInt8]) {
            bytes.append(text: "\(kind) \(name.utf8.count) \(content.count)\n\(name)")
            bytes += content
        }
        for file in files { add("file", file.name, file.content) }
        if !workingFolder.isEmpty { add("folder", workingFolder, []) }
        for (name, value) in environment.sorted(by: { $0.key < $1.key }) { add("env", name, Array(value.utf8)) }
        return bytes
    }

    /// - Returns: `nil` for what is no bundle.
    public init?(parsing bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let end = rest.firstIndex(of: 0x0A), end - rest.startIndex < 64 else { return nil }
            let words = rest[..<end].split(separator: 0x20).map { String(decoding: $0, as: UTF8.self) }
            guard words.count == 3, let nameCount = Int(words[1]), let count = Int(words[2]),
                nameCount > 0, count >= 0, nameCount <= bytes.count, count <= bytes.count
            else { return nil }
            rest = rest[(end + 1)...]
            guard rest.count >= nameCount + count else { return nil }
            guard let name = String(validating: rest.prefix(nameCount), as: UTF8.self) else { return nil }
            rest = rest.dropFirst(nameCount)
            let content = Array(rest.prefix(count))
            rest = rest.dropFirst(count)
            switch words[0] {
            case "file": add(file: name, content)
            case "folder": add(folder: name)
            case "env": add(variable: name, String(decoding: content, as: UTF8.self))
            default: return nil
            }
        }
        guard !files.isEmpty else { return nil }
    }
}

/// Reads files and the environment, and keeps what was read for a bundle.
public final class BundleRecorder: FileReader {
    public private(set) var bundle = ConfigBundle()

    public init() { bundle.add(folder: Environment.workingFolder) }

    public var workingFolder: String { bundle.workingFolder }

    public func read(path: String, bytesMax: Int) throws(FileReadError) -> [UInt8] {
        do {
            let content = try Files.read(path, limit: bytesMax)
            bundle.add(file: path, content)
            return content
        } catch {
            throw FileReadError(error, bytesMax: bytesMax)
        }
    }

    public func variable(_ name: String) -> String? {
        guard let value = Environment[name] else { return nil }
        bundle.add(variable: name, value)
        return value
    }
}
