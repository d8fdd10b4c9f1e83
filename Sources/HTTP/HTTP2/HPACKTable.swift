import PoiseBytes

/// A dynamic table: the fields that one side sent before, newest first. RFC 7541 §2.3.2, §4
///
/// Each entry's bytes stand as the line that it becomes in an HTTP/1 head (which takes 28 bytes less than §4.1 counts),
/// one entry behind the other; what is left of them is moved to the front when the end is reached, or the memory grows
/// when it is half full. So an entry is always in one piece, entering one allocates nothing, and an idle connection
/// that sent little holds little.
struct HPACKTable: Sendable {
    struct Entry: Sendable {
        var start: Int32 = 0
        var nameCount: Int32 = 0
        var valueCount: Int32 = 0
        var kind = HTTP2FieldKind.plain
        /// The value has no byte that a field value must not have.
        var isClean = true
        /// Of the line, for the encoder.
        var hash: UInt32 = 0

        /// What it counts for. RFC 7541 §4.1
        var size: Int { Int(nameCount) &+ Int(valueCount) &+ 32 }
        var lineEnd: Int { Int(start) &+ Int(nameCount) &+ Int(valueCount) &+ 4 }
    }

    private(set) var bytes: [UInt8] = []
    private var ring: [Entry] = []
    /// Behind the last line.
    private var fill = 0
    /// Entries that ever entered: the newest is number `inserted` - 1.
    private(set) var inserted = 0
    private(set) var count = 0
    private(set) var size = 0
    /// What `size` may reach, in bytes as §4.1 counts them.
    private(set) var limit: Int

    init(limit: Int) { self.limit = limit }

    /// The entry that entered as number `number` (0 is the first ever), or nil when it is not there any more.
    @inline(__always) func entry(number: Int) -> Entry? {
        guard number >= inserted &- count, number < inserted else { return nil }
        return ring[number & (ring.count &- 1)]
    }

    /// The entry with an index on the wire, 62 for the newest; nil when there is none.
    @inline(__always) func entry(index: Int) -> Entry? {
        let age = index &- (HPACKStaticTable.count &+ 1)
        guard age >= 0, age < count else { return nil }
        return ring[(inserted &- 1 &- age) & (ring.count &- 1)]
    }

    mutating func setLimit(_ limit: Int) {
        self.limit = limit
        while size > limit { evict() }
    }

    /// Enters the line `name: value CRLF` that begins at `start` of `source`. One that is larger than the whole table
    /// empties it. RFC 7541 §4.4
    /// - Parameter line: its `start` is not looked at.
    mutating func insert(_ line: Entry, from source: Span<UInt8>, at start: Int) {
        while size &+ line.size > limit {
            guard count > 0 else { return }
            evict()
        }
        let length = line.lineEnd &- Int(line.start)
        if fill &+ length &+ 16 > bytes.count { makeRoom(for: length &+ 16) }
        if count == ring.count { growRing() }
        let position = fill
        bytes.stage(source, from: start, to: start &+ length, at: position)
        var entry = line
        entry.start = Int32(truncatingIfNeeded: position)
        ring[inserted & (ring.count &- 1)] = entry
        fill = position &+ length
        inserted &+= 1
        count &+= 1
        size &+= line.size
    }

    private mutating func evict() {
        size &-= ring[(inserted &- count) & (ring.count &- 1)].size
        count &-= 1
        if count == 0 { fill = 0 }
    }

    private mutating func makeRoom(for needed: Int) {
        let start = count == 0 ? fill : Int(ring[(inserted &- count) & (ring.count &- 1)].start)
        let live = fill - start
        if live + needed > bytes.count / 2 {
            let capacity = Swift.max(512, bytes.count * 2, (live + needed) * 2)
            bytes.append(contentsOf: repeatElement(0, count: capacity - bytes.count))
        }
        guard start > 0 else { return }
        let end = fill
        bytes.move(from: start, to: end, at: 0)
        for number in inserted - count..<inserted { ring[number & (ring.count - 1)].start -= Int32(start) }
        fill = live
    }

    private mutating func growRing() {
        var larger = [Entry](repeating: Entry(), count: Swift.max(8, ring.count * 2))
        for number in inserted - count..<inserted {
            larger[number & (larger.count - 1)] = ring[number & (ring.count - 1)]
        }
        ring = larger
    }
}
