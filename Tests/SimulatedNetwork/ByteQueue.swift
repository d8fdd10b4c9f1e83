import Glibc

/// Bytes in order: appended behind, taken in front. Copies in blocks, since tests run without the optimiser.
struct ByteQueue {
    private var bytes: [UInt8] = []
    private var start = 0

    var count: Int { bytes.count - start }
    var isEmpty: Bool { count == 0 }

    mutating func append(_ source: UnsafeRawBufferPointer) {
        guard unsafe !source.isEmpty else { return }
        if start > 0, start == bytes.count || start > 1 << 16 { drop(0) }
        unsafe bytes.append(contentsOf: source)
    }

    /// Moves `count` bytes to the end of `other`.
    mutating func move(_ count: Int, to other: inout ByteQueue) {
        unsafe bytes.withUnsafeBytes {
            unsafe other.append(UnsafeRawBufferPointer(rebasing: $0[start..<start + count]))
        }
        drop(count)
    }

    /// Copies out and drops as many as fit.
    mutating func take(into target: UnsafeMutableRawPointer, _ room: Int) -> Int {
        let count = min(room, self.count)
        guard count > 0 else { return 0 }
        // SAFETY: `count` bytes are in both.
        unsafe bytes.withUnsafeBytes { _ = unsafe memcpy(target, $0.baseAddress! + start, count) }
        drop(count)
        return count
    }

    mutating func removeAll() { (bytes, start) = ([], 0) }

    private mutating func drop(_ count: Int) {
        start += count
        if start == bytes.count {
            bytes.removeAll(keepingCapacity: true)
            start = 0
        } else if start > 1 << 16 {
            bytes.removeSubrange(0..<start)
            start = 0
        }
    }
}
