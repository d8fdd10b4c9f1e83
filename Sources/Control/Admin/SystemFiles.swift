import PoiseConfig
import PoisePlatform

/// Files of the system for the configuration loader.
public struct SystemFiles: FileReader {
    public init() {}

    public var workingFolder: String { Environment.workingFolder }

    public func read(path: String, bytesMax: Int) throws(FileReadError) -> [UInt8] {
        do { return try Files.read(path, limit: bytesMax) } catch { throw FileReadError(error, bytesMax: bytesMax) }
    }

    public func programProblem(path: String) -> String? {
        do throws(SystemError) {
            guard try Files.facts(of: path, followsLink: true).kind == .file else { return "it is no file" }
            return Files.allows(.running, path) ? nil : "it is not executable"
        } catch {
            return error.reason
        }
    }
}

extension TLSFileCheck {
    /// Opens files with the rights of this process.
    public static var ofSystem: TLSFileCheck { TLSFileCheck(reader: SystemFiles()) }
}

extension FileReadError {
    /// What ``Files/read(_:limit:)`` says, for the loader.
    public init(_ error: SystemError, bytesMax: Int) {
        self = error.code == Errno.fileTooLarge ? .tooLarge(bytesMax: bytesMax) : FileReadError(reason: error.reason)
    }
}
