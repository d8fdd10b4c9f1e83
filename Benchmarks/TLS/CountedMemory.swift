import COpenSSL
import Glibc

/// OpenSSL's allocations, counted by size as glibc rounds them.
///
/// SAFETY: one thread; each block carries its size in 16 bytes before it, which OpenSSL does not see.
enum CountedMemory {
    nonisolated(unsafe) static var live: [Int: Int] = [:]
    nonisolated(unsafe) static var calls = 0

    static var bytes: Int { unsafe live.reduce(0) { $0 + $1.key * $1.value } }

    /// Before anything of OpenSSL is used.
    static func install() {
        let done = unsafe CRYPTO_set_mem_functions(
            { size, _, _ in unsafe CountedMemory.allocate(size) },
            { block, size, _, _ in
                guard let block = unsafe block else { return unsafe CountedMemory.allocate(size) }
                let old = unsafe (block - 16).load(as: Int.self)
                guard let fresh = unsafe CountedMemory.allocate(size) else { return nil }
                unsafe fresh.copyMemory(from: block, byteCount: min(old, size))
                unsafe CountedMemory.release(block)
                return unsafe fresh
            },
            { block, _, _ in unsafe CountedMemory.release(block) })
        precondition(done == 1)
    }

    private static func rounded(_ size: Int) -> Int { max(32, (size + 8 + 15) & ~15) }

    private static func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
        guard size > 0, let block = unsafe malloc(size + 16) else { return nil }
        unsafe block.storeBytes(of: size, as: Int.self)
        unsafe live[rounded(size), default: 0] += 1
        unsafe calls += 1
        return unsafe block + 16
    }

    private static func release(_ block: UnsafeMutableRawPointer?) {
        guard let block = unsafe block else { return }
        unsafe live[rounded((block - 16).load(as: Int.self))]! -= 1
        unsafe free(block - 16)
    }
}
