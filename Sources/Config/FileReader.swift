/// How the loader gets at files: the room itself does no I/O.
public protocol FileReader {
    /// The whole content of a file.
    ///
    /// - Parameter bytesMax: a longer file is refused, with ``FileReadError/tooLarge``; the loader passes its bounds.
    func read(path: String, bytesMax: Int) throws(FileReadError) -> [UInt8]

    /// The folder that relative paths are seen from; empty where there is none. Paths that a configuration keeps, and
    /// that somebody else opens later, are made absolute with it.
    var workingFolder: String { get }

    /// Why the program at an absolute path cannot be run, in a few words; `nil` where it can, or where nobody can tell.
    func programProblem(path: String) -> String?
}

extension FileReader {
    public var workingFolder: String { "" }
    public func programProblem(path: String) -> String? { nil }
}

/// Why a file could not be read.
public struct FileReadError: Error, Sendable, Equatable {
    /// In words, as the system says it: `No such file or directory`.
    public var reason: String
    /// The bound was the reason, not the file system.
    public private(set) var isTooLarge = false

    public init(reason: String) { self.reason = reason }

    public static func tooLarge(bytesMax: Int) -> Self {
        var error = Self(reason: "it has more than \(SizeText.format(bytesMax))")
        error.isTooLarge = true
        return error
    }
}

/// A reader for text that names no files: every file is refused.
public struct NoFiles: FileReader {
    public init() {}
    public func read(path: String, bytesMax: Int) throws(FileReadError) -> [UInt8] {
        throw FileReadError(reason: "files cannot be read here")
    }
}

/// Paths as text, without looking at the file system.
enum FilePath {
    /// `path` as seen from the folder of `file`.
    static func resolve(_ path: String, beside file: String) -> String {
        path.hasPrefix("/") ? path : folder(of: file) + path
    }

    /// Everything up to the last slash, and that; empty where there is none.
    static func folder(of file: String) -> String {
        file.lastIndex(of: "/").map { String(file[...$0]) } ?? ""
    }

    /// `path` of a file that `file` names, from the root on. A `..` stays: behind a link it leads elsewhere.
    ///
    /// - Returns: `nil` where nothing says from which folder a relative path is seen.
    static func absolute(_ path: String, beside file: String, from folder: String) -> String? {
        let resolved = resolve(path, beside: file)
        guard resolved.hasPrefix("/") || folder.hasPrefix("/") else { return nil }
        let whole = resolved.hasPrefix("/") ? resolved : "\(folder)/\(resolved)"
        return "/" + whole.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }

    /// Without `.`, `//` and `folder/..`: equal texts mean the same file, links aside.
    static func normalised(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part == "..", let last = parts.last, last != ".." { parts.removeLast() } else { parts.append(part) }
        }
        return (path.hasPrefix("/") ? "/" : "") + parts.joined(separator: "/")
    }
}
