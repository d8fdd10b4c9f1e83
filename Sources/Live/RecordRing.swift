import CPoise

/// Records of bytes from one worker to the log writer's thread: one producer, one consumer, no lock.
///
/// Each record is a length of four bytes and its bytes, padded to eight. A record that does not fit is dropped and
/// counted: a hung disk never stops traffic.
///
/// SAFETY: positions only grow; the producer writes only between head and tail + capacity, the consumer reads only
/// between tail and head, and each publishes its own position with release order after it is done with the bytes.
@safe public final class RecordRing: @unchecked Sendable {
    public let capacity: Int
    private let bytes: UnsafeMutableRawPointer
    /// Words on lines of their own: head, tail, dropped, consumer asleep.
    private let words: UnsafeMutablePointer<UInt64>
    private static let head = 0
    private static let tail = 8
    private static let dropped = 16
    private static let wordCount = 24
    /// The producer's view of `tail`, refreshed only when the ring looks full.
    private var knownTail: UInt64 = 0
    /// The producer's record in progress: where its next byte goes, its end, and the head behind it.
    private var writing: UInt64 = 0
    private var writingEnd: UInt64 = 0
    private var nextHead: UInt64 = 0

    /// - Parameter capacity: bytes, a power of two of at least 4,096.
    public init(capacity: Int) {
        precondition(capacity >= 4096 && capacity & (capacity - 1) == 0)
        self.capacity = capacity
        unsafe bytes = .allocate(byteCount: capacity, alignment: 64)
        let raw = UnsafeMutableRawPointer.allocate(byteCount: Self.wordCount * 8, alignment: 64)
        unsafe words = raw.bindMemory(to: UInt64.self, capacity: Self.wordCount)
        unsafe words.initialize(repeating: 0, count: Self.wordCount)
    }

    deinit {
        unsafe bytes.deallocate()
        unsafe words.deallocate()
    }

    /// Records that found no room.
    public var droppedCount: UInt64 { unsafe poise_load(words + Self.dropped) }

    /// Makes room for one record, to be filled by ``append(_:)`` and shown by ``commit()``. From the producer's thread
    /// only.
    ///
    /// - Parameter length: bytes of the record, exactly.
    /// - Returns: false when it is dropped.
    public func begin(_ length: Int) -> Bool {
        precondition(writing == writingEnd, "a record was not filled")
        let needed = (length + 4 + 7) & ~7
        let head = unsafe poise_load(words + Self.head)
        if Int(head - knownTail) + needed > capacity {
            unsafe knownTail = poise_load_acquire(words + Self.tail)
            guard Int(head - knownTail) + needed <= capacity else {
                unsafe poise_store(words + Self.dropped, poise_load(words + Self.dropped) + 1)
                return false
            }
        }
        // Lengths lie on eight-byte places, so they never wrap.
        unsafe bytes.storeBytes(of: UInt32(length), toByteOffset: Int(head) & (capacity - 1), as: UInt32.self)
        (writing, writingEnd) = (head + 4, head + 4 + UInt64(length))
        nextHead = head + UInt64(needed)
        return true
    }

    /// The next bytes of the record that was begun.
    public func append(_ part: Span<UInt8>) {
        precondition(part.count <= Int(writingEnd - writing), "more bytes than were announced")
        unsafe part.withUnsafeBytes { unsafe copyIn($0, at: writing) }
        writing += UInt64(part.count)
    }

    /// The next words of the record that was begun.
    public func append(_ part: Span<UInt64>) {
        precondition(part.count * 8 <= Int(writingEnd - writing), "more bytes than were announced")
        unsafe part.withUnsafeBytes { unsafe copyIn($0, at: writing) }
        writing += UInt64(part.count * 8)
    }

    /// Shows the record to the consumer.
    public func commit() {
        precondition(writing == writingEnd, "fewer bytes than were announced")
        unsafe poise_store_release(words + Self.head, nextHead)
    }

    /// Moves the oldest record into `words`, which says how many there are, and `text`. From the consumer's thread
    /// only.
    ///
    /// - Parameter text: grows as needed and never shrinks: bytes behind those of the record are old.
    /// - Returns: false when the ring is empty.
    public func pop(into words: inout [UInt64], _ text: inout [UInt8]) -> Bool {
        let positions = unsafe self.words
        let tail = unsafe poise_load(positions + Self.tail)
        let head = unsafe poise_load_acquire(positions + Self.head)
        guard tail != head else { return false }
        var length32: UInt32 = 0
        unsafe withUnsafeMutableBytes(of: &length32) { unsafe copyOut($0, from: tail) }
        let wordBytes = words.count * 8
        let textBytes = Int(length32) - wordBytes
        precondition(textBytes >= 0, "a record is shorter than its words")
        if text.count < textBytes { text.append(contentsOf: repeatElement(0, count: textBytes - text.count)) }
        unsafe words.withUnsafeMutableBytes { unsafe copyOut($0, from: tail + 4) }
        unsafe text.withUnsafeMutableBytes {
            unsafe copyOut(.init(rebasing: $0[..<textBytes]), from: tail + 4 + UInt64(wordBytes))
        }
        unsafe poise_store_release(positions + Self.tail, tail + UInt64((Int(length32) + 4 + 7) & ~7))
        return true
    }

    public var isEmpty: Bool {
        unsafe poise_load(words + Self.tail) == poise_load_acquire(words + Self.head)
    }

    private func copyIn(_ source: UnsafeRawBufferPointer, at position: UInt64) {
        guard let base = source.baseAddress else { return }
        let offset = Int(position) & (capacity - 1)
        let first = min(source.count, capacity - offset)
        unsafe (bytes + offset).copyMemory(from: base, byteCount: first)
        if first < source.count { unsafe bytes.copyMemory(from: base + first, byteCount: source.count - first) }
    }

    private func copyOut(_ target: UnsafeMutableRawBufferPointer, from position: UInt64) {
        guard let base = target.baseAddress else { return }
        let offset = Int(position) & (capacity - 1)
        let first = min(target.count, capacity - offset)
        unsafe base.copyMemory(from: bytes + offset, byteCount: first)
        if first < target.count { unsafe (base + first).copyMemory(from: bytes, byteCount: target.count - first) }
    }
}
