import Glibc

/// What the file system says of a file's content without reading it: equal stamps mean equal bytes, but for writes
/// within one tick of the file system's clock.
public struct FileStamp: Sendable, Hashable {
    public let device: UInt64
    public let inode: UInt64
    public let size: Int64
    /// Nanoseconds since 1970, of the content and of anything about the file.
    public let modified: Int64
    public let changed: Int64

    public init(device: UInt64, inode: UInt64, size: Int64, modified: Int64, changed: Int64) {
        (self.device, self.inode, self.size) = (device, inode, size)
        (self.modified, self.changed) = (modified, changed)
    }

    /// Of what `path` leads to, through links.
    ///
    /// - Returns: `nil` where it leads nowhere, or where this process may not look.
    public init?(of path: String) {
        var facts = stat()
        // SAFETY: the kernel writes one `stat`; path and pointer are used during the call only.
        guard unsafe stat(path, &facts) == 0 else { return nil }
        self.init(
            device: UInt64(facts.st_dev), inode: UInt64(facts.st_ino), size: Int64(facts.st_size),
            modified: Int64(facts.st_mtim.tv_sec) * 1_000_000_000 + Int64(facts.st_mtim.tv_nsec),
            changed: Int64(facts.st_ctim.tv_sec) * 1_000_000_000 + Int64(facts.st_ctim.tv_nsec))
    }
}
