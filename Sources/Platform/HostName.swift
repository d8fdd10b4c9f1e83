import Glibc

/// What this machine calls itself.
public enum HostName {
    /// As `hostname` prints it; `localhost` where it has no name.
    public static var current: String {
        var bytes = [CChar](repeating: 0, count: 256)
        // SAFETY: gethostname writes at most as many bytes as it is told, so that the last one stays 0.
        let result = unsafe gethostname(&bytes, bytes.count - 1)
        let name = String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return result != 0 || name.isEmpty ? "localhost" : name
    }
}
