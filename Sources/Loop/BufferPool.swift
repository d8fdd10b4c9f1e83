import CPoise

/// A loop's buffers in two sizes, last in first out so that the warm ones are used again.
///
/// Memory is mapped in blocks, unmapped only with the pool itself, and given back to the system (`MADV_DONTNEED`) when
/// it was not needed for a whole period: with malloc, resident memory stayed at its peak for ever.
@safe public final class BufferPool {
    /// For heads and small bodies: a 16 KiB answer with its head in one receive.
    public static let standardBytes = 32 * 1024
    /// For bulk bodies: few, large system calls.
    public static let largeBytes = 256 * 1024

    /// Buffers handed out and not yet returned. A test asserts 0 when nothing is in flight.
    public var outstanding: Int { count }
    private var count = 0

    private let standard = Shelf(bytes: standardBytes, perBlock: 64)
    private let large = Shelf(bytes: largeBytes, perBlock: 8)

    public init() {}

    deinit {
        standard.unmap()
        large.unmap()
    }

    public func takeStandard() -> Buffer {
        count += 1
        return standard.take()
    }

    public func takeLarge() -> Buffer {
        count += 1
        return large.take()
    }

    public func release(_ buffer: Buffer) {
        count -= 1
        if buffer.capacity == Self.standardBytes { standard.put(buffer) } else { large.put(buffer) }
    }

    /// Gives the pages of buffers back that lay unused since the last call. Once a second, by the loop.
    public func trim() {
        standard.trim()
        large.trim()
    }

    /// Whether free buffers still hold pages: then another ``trim()`` is worth a wake-up.
    var hasPagesToTrim: Bool { standard.clean < standard.free.count || large.clean < large.free.count }

    @safe private final class Shelf {
        let bytes: Int
        let perBlock: Int
        let free = RawTable<Buffer>(capacity: 64)
        /// SAFETY: from `poise_map`, used by `unmap` only.
        private var blocks: [UnsafeMutableRawPointer] = unsafe []
        /// The fewest free buffers since the last trim: those below this mark were not needed.
        var lowest = 0
        /// How many at the bottom of `free` have no pages.
        var clean = 0

        init(bytes: Int, perBlock: Int) { (self.bytes, self.perBlock) = (bytes, perBlock) }

        func take() -> Buffer {
            if free.isEmpty { grow() }
            let buffer = free.popLast()!
            if free.count < lowest { lowest = free.count }
            if free.count < clean { clean = free.count }
            return buffer
        }

        func put(_ buffer: Buffer) { free.append(buffer) }

        func grow() {
            // SAFETY: fresh zeroed pages, kept for ever.
            guard let block = unsafe poise_map(bytes * perBlock) else {
                // The limit on connections keeps the number of buffers bounded; beyond it the machine is out of
                // address space and nothing sensible is left to do.
                fatalError("the system has no memory for buffers")
            }
            unsafe blocks.append(block)
            for index in (0..<perBlock).reversed() {
                // SAFETY: inside the block just mapped.
                free.append(unsafe Buffer(base: block + index * bytes, capacity: bytes))
            }
            clean = max(0, free.count)
        }

        /// SAFETY: the loop goes with its pool, and no buffer is used after its loop.
        func unmap() {
            for index in unsafe blocks.indices { unsafe poise_unmap(blocks[index], bytes * perBlock) }
        }

        func trim() {
            while clean < lowest {
                // SAFETY: a free buffer's pages; they read as zero afterwards.
                unsafe poise_give_back(free[clean].base, bytes)
                clean += 1
            }
            lowest = free.count
        }
    }
}
