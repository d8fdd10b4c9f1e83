import Glibc
import PoiseSimulation

/// Bodies are cuts out of one table of random bytes, so that a megabyte is made and compared in microseconds even
/// without the optimiser, and a byte that is moved, doubled or lost is seen.
enum Bytes {
    static let count = 1 << 20

    private static let table: [UInt8] = {
        var random = SeededRandom(0xB0D1)
        var bytes = [UInt8](repeating: 0, count: count)
        unsafe bytes.withUnsafeMutableBytes { buffer in
            for index in 0..<count / 8 {
                unsafe buffer.storeBytes(of: random.next(), toByteOffset: index * 8, as: UInt64.self)
            }
        }
        return bytes
    }()

    static func body(at offset: Int, _ count: Int) -> ArraySlice<UInt8> { table[offset..<offset + count] }

    static func matches(_ bytes: ArraySlice<UInt8>, at offset: Int) -> Bool {
        guard !bytes.isEmpty else { return true }
        guard offset + bytes.count <= count else { return false }
        return unsafe bytes.withUnsafeBytes { a in
            unsafe table.withUnsafeBytes { b in
                unsafe memcmp(a.baseAddress!, b.baseAddress! + offset, a.count) == 0
            }
        }
    }

    /// The index of `needle` in `bytes` from `start` on.
    static func find(_ needle: StaticString, in bytes: [UInt8], from start: Int) -> Int? {
        let length = needle.utf8CodeUnitCount
        return unsafe bytes.withUnsafeBytes { buffer -> Int? in
            guard let base = buffer.baseAddress else { return nil }
            var position = start
            while position + length <= buffer.count {
                let room = buffer.count - position - length + 1
                guard let hit = unsafe memchr(base + position, Int32(needle.utf8Start[0]), room) else { return nil }
                position = unsafe UnsafeRawPointer(hit) - base
                if unsafe memcmp(base + position, needle.utf8Start, length) == 0 { return position }
                position += 1
            }
            return nil
        }
    }
}
