import Glibc
import PoiseModel
import Testing

@testable import PoiseLoop

@Suite("The buffer pool")
struct BufferPoolTests {
    @Test("counts what is out, and gives the last one returned first")
    func counts() {
        let pool = BufferPool()
        let (a, b, large) = (pool.takeStandard(), pool.takeStandard(), pool.takeLarge())
        #expect(pool.outstanding == 3)
        #expect(a.capacity == BufferPool.standardBytes && large.capacity == BufferPool.largeBytes)
        b[0] = 7
        pool.release(a)
        pool.release(b)
        let again = pool.takeStandard()
        #expect(again[0] == 7)
        pool.release(again)
        pool.release(large)
        #expect(pool.outstanding == 0)
    }

    @Test("buffers do not overlap")
    func distinct() {
        let pool = BufferPool()
        let buffers = (0..<200).map { _ in pool.takeStandard() }
        for (index, buffer) in buffers.enumerated() {
            buffer[0] = UInt8(index)
            buffer[buffer.capacity - 1] = UInt8(index)
        }
        for (index, buffer) in buffers.enumerated() {
            #expect(buffer[0] == UInt8(index) && buffer[buffer.capacity - 1] == UInt8(index))
            pool.release(buffer)
        }
    }

    @Test("gives the pages of buffers back that lay unused from one trim to the next, and only those")
    func trims() {
        let pool = BufferPool()
        let buffers = (0..<100).map { _ in pool.takeStandard() }
        for buffer in buffers {
            for offset in stride(from: 0, to: buffer.capacity, by: 4096) { buffer[offset] = 1 }
        }
        let kept = buffers[0]
        for buffer in buffers.dropFirst() { pool.release(buffer) }
        #expect(buffers.allSatisfy { residentPages($0) == 8 })
        #expect(pool.hasPagesToTrim)

        // The first trim only learns that they are free: they may have been needed a moment ago.
        pool.trim()
        #expect(buffers.allSatisfy { residentPages($0) == 8 })
        pool.trim()
        #expect(buffers.dropFirst().allSatisfy { residentPages($0) == 0 })
        #expect(residentPages(kept) == 8)
        #expect(!pool.hasPagesToTrim)

        // Trimmed ones are as good as new.
        let again = pool.takeStandard()
        #expect(again[0] == 0)
        again[0] = 5
        #expect(again[0] == 5)
        pool.release(again)
        pool.release(kept)
    }

    private func residentPages(_ buffer: Buffer) -> Int {
        var pages = [UInt8](repeating: 0, count: buffer.capacity / 4096)
        let result = unsafe mincore(buffer.base, buffer.capacity, &pages)
        precondition(result == 0)
        return pages.count { $0 & 1 != 0 }
    }

    @Test("a writer keeps what fits and remembers that something did not")
    func writer() {
        let pool = BufferPool()
        let buffer = pool.takeStandard()
        var writer = BufferWriter(buffer, at: buffer.capacity - 4)
        let bytes: [UInt8] = [1, 2, 3]
        writer.append(bytes.span)
        #expect(!writer.overflowed && writer.end == buffer.capacity - 1)
        writer.append(bytes.span)
        #expect(writer.overflowed && writer.end == buffer.capacity - 1)
        writer.append(UInt8(4))
        #expect(buffer[buffer.capacity - 1] == 4 && buffer[buffer.capacity - 4] == 1)
        pool.release(buffer)
    }
}
