import CPoise

/// Counters of one object (a target, a group, a listener): a row per worker, each on cache lines of its own.
///
/// A worker adds to its own row with a relaxed load and store (1.4 ns; a shared atomic costs 25 to 133), readers
/// sum the rows. A sum is therefore a moment's view: never torn, at most a few increments old.
///
/// SAFETY: the words are mapped, never unmapped while the block lives, and only touched by atomic accesses. Each
/// row has one writer by contract; a second writer could lose increments but not corrupt memory.
@safe public final class CounterBlock: @unchecked Sendable {
    public let workers: Int
    public let width: Int
    /// Never that of another block of this process, not even of a freed one; above 0. Logs name objects by it.
    public let id: Int
    private static let lastID = SharedWord()
    private let stride: Int
    private let words: UnsafeMutablePointer<UInt64>

    public init(workers: Int, width: Int) {
        (self.workers, self.width) = (workers, width)
        id = Int(Self.lastID.add(1)) + 1
        stride = (width + 7) / 8 * 8
        let count = workers * stride
        let raw = UnsafeMutableRawPointer.allocate(byteCount: count * 8, alignment: 64)
        unsafe words = raw.bindMemory(to: UInt64.self, capacity: count)
        unsafe words.initialize(repeating: 0, count: count)
    }

    deinit { unsafe words.deallocate() }

    /// The row that `worker` writes. Valid as long as the block: keep both.
    public func row(_ worker: Int) -> CounterRow {
        precondition(0 <= worker && worker < workers)
        return unsafe CounterRow(words: words + worker * stride, width: width, id: id)
    }

    /// The sum over all workers.
    public func sum(_ index: Int) -> UInt64 {
        precondition(0 <= index && index < width)
        var total: UInt64 = 0
        for worker in 0..<workers {
            unsafe total &+= poise_load(words + worker * stride + index)
        }
        return total
    }

    /// What `worker` has written: for words that are no counts.
    @inline(__always) public func word(_ index: Int, of worker: Int) -> UInt64 {
        precondition(0 <= index && index < width && 0 <= worker && worker < workers)
        return unsafe poise_load(words + worker * stride + index)  // SAFETY: in range.
    }

    /// A gauge's sum: rows may be negative one by one when a flow began on one worker and ended on another.
    public func gauge(_ index: Int) -> Int { Int(truncatingIfNeeded: sum(index)) }
}

/// One worker's row of a ``CounterBlock``: a trivial handle.
///
/// SAFETY: every index is checked against `width`; whoever keeps a row keeps its block.
@safe public struct CounterRow: @unchecked Sendable {
    @usableFromInline let words: UnsafeMutablePointer<UInt64>
    @usableFromInline let width: Int
    /// Of the block.
    public let id: Int

    init(words: UnsafeMutablePointer<UInt64>, width: Int, id: Int) {
        unsafe self.words = words
        (self.width, self.id) = (width, id)
    }

    @inlinable @inline(__always)
    public func add(_ index: Int, _ amount: UInt64 = 1) {
        precondition(0 <= index && index < width)
        // SAFETY: in range; this worker is the row's only writer.
        unsafe poise_store(words + index, poise_load(words + index) &+ amount)
    }

    @inlinable @inline(__always)
    public func subtract(_ index: Int, _ amount: UInt64 = 1) {
        precondition(0 <= index && index < width)
        // SAFETY: as above.
        unsafe poise_store(words + index, poise_load(words + index) &- amount)
    }

    /// For words that are no counts.
    @inlinable @inline(__always)
    public func store(_ index: Int, _ word: UInt64) {
        precondition(0 <= index && index < width)
        unsafe poise_store(words + index, word)  // SAFETY: as above.
    }

    @inlinable @inline(__always)
    public func load(_ index: Int) -> UInt64 {
        precondition(0 <= index && index < width)
        return unsafe poise_load(words + index)  // SAFETY: in range.
    }
}
