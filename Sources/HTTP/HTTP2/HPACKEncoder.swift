import PoiseBytes

/// Writes header blocks. RFC 7541 §6
///
/// A line enters the dynamic table when it is sent for the second time (``HPACKPolicy``). What was sent before is found
/// by its hash in a small table without chains: a line whose place was taken by another one is only sent at length.
struct HPACKEncoder: Sendable {
    private struct Slot: Sendable {
        var hash: UInt32 = 0
        /// The entry's number + 1; 0 where the line was only seen.
        var number: UInt32 = 0
    }

    private(set) var table: HPACKTable
    private let tableBytesMax: Int
    private var lines: [Slot] = []
    /// By a name's hash: the number + 1 of an entry with it.
    private var names: [UInt32] = []
    /// The smallest limit since the last block, and that there was one. RFC 7541 §4.2
    private var smallestLimit = Int.max

    private static var slotCount: Int { 64 }

    /// - Parameter tableBytesMax: more is not used, whatever the peer allows.
    init(tableBytesMax: Int) {
        self.tableBytesMax = tableBytesMax
        // What both sides begin with. RFC 9113 §6.5.2
        table = HPACKTable(limit: 4096)
        if tableBytesMax < 4096 { setPeerLimit(tableBytesMax) }
    }

    /// SETTINGS_HEADER_TABLE_SIZE came: the next block begins with the change.
    mutating func setPeerLimit(_ limit: Int) {
        let limit = Swift.min(limit, tableBytesMax)
        guard limit != table.limit else { return }
        smallestLimit = Swift.min(smallestLimit, limit)
        table.setLimit(limit)
    }

    /// Begins a block: the changes of the table's size.
    mutating func begin(_ output: inout MutableSpan<UInt8>, _ out: inout Int) {
        if lines.isEmpty {
            lines = [Slot](repeating: Slot(), count: Self.slotCount)
            names = [UInt32](repeating: 0, count: Self.slotCount)
        }
        guard smallestLimit != .max else { return }
        if smallestLimit < table.limit { Self.put(smallestLimit, prefix: 0x1F, pattern: 0x20, &output, &out) }
        Self.put(table.limit, prefix: 0x1F, pattern: 0x20, &output, &out)
        smallestLimit = .max
    }

    /// A block was begun and is not sent: the next one empties the peer's table, as ours is emptied now.
    mutating func abandonTable() {
        let limit = table.limit
        table.setLimit(0)
        table.setLimit(limit)
        smallestLimit = 0
    }

    /// What lines are found by, as they stand in the text.
    @inline(__always) static func hash(_ text: Span<UInt8>, from start: Int, to end: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: text.mixedHash(from: start, to: end)) | 1
    }

    /// Appends the index of the line `start..<end` where the table has it.
    @inline(__always)
    mutating func appendKnown(
        _ text: Span<UInt8>, from start: Int, to end: Int, hash: UInt32, _ output: inout MutableSpan<UInt8>,
        _ out: inout Int
    ) -> Bool {
        let slot = lines[Self.place(hash)]
        guard slot.hash == hash, slot.number != 0, let entry = table.entry(number: Int(slot.number) &- 1) else {
            return false
        }
        let (nameCount, length) = (Int(entry.nameCount), end &- start)
        guard nameCount &+ 2 &+ Int(entry.valueCount) == length else { return false }
        guard
            text.matches(start, table.bytes.span, Int(entry.start), count: length, foldingFirst: nameCount)
        else { return false }
        let index = table.inserted &- Int(slot.number) &+ HPACKStaticTable.count &+ 1
        Self.put(index, prefix: 0x7F, pattern: 0x80, &output, &out)
        return true
    }

    @inline(__always) private static func place(_ hash: UInt32) -> Int { Int(hash &>> 1) & (slotCount &- 1) }

    /// Appends the line `name: value` that `line` begins with, in lower case.
    /// - Parameters:
    ///   - hash: of the line as it stands in the text.
    ///   - staticIndex: the first entry of the static table with this name, or 0.
    ///   - nameHash: where there is none: `mixedHash` of the name.
    mutating func append(
        _ line: Span<UInt8>, nameCount: Int, valueCount: Int, hash: UInt32, staticIndex: Int, nameHash: UInt64,
        policy: HPACKPolicy, huffman: borrowing HuffmanCode, _ output: inout MutableSpan<UInt8>, _ out: inout Int
    ) {
        var isIndexing = false
        if policy == .whenRepeated {
            let length = nameCount &+ 2 &+ valueCount
            if appendKnown(line, from: 0, to: length, hash: hash, &output, &out) { return }
            if lines[Self.place(hash)].hash != hash {
                lines[Self.place(hash)] = Slot(hash: hash, number: 0)
            } else if length &+ 30 <= table.limit / 2 {
                // One that is larger would push out nearly everything else.
                isIndexing = true
                lines[Self.place(hash)].number = UInt32(truncatingIfNeeded: table.inserted &+ 1)
            }
        }
        appendLiteral(
            line, nameCount, valueCount, staticIndex, nameHash, policy, isIndexing, huffman, &output, &out)
    }

    private mutating func appendLiteral(
        _ line: Span<UInt8>, _ nameCount: Int, _ valueCount: Int, _ staticIndex: Int, _ nameHash: UInt64,
        _ policy: HPACKPolicy, _ isIndexing: Bool, _ huffman: borrowing HuffmanCode,
        _ output: inout MutableSpan<UInt8>, _ out: inout Int
    ) {
        var index = staticIndex
        let nameSlot = Int(truncatingIfNeeded: nameHash) & (Self.slotCount &- 1)
        if index == 0 {
            let number = Int(names[nameSlot])
            if number > 0, let entry = table.entry(number: number &- 1), Int(entry.nameCount) == nameCount,
                line.matches(0, table.bytes.span, Int(entry.start), count: nameCount)
            {
                index = table.inserted &- number &+ HPACKStaticTable.count &+ 1
            }
        }
        if isIndexing {
            Self.put(index, prefix: 0x3F, pattern: 0x40, &output, &out)
        } else {
            Self.put(index, prefix: 0x0F, pattern: policy == .neverIndexed ? 0x10 : 0, &output, &out)
        }
        if index == 0 { Self.putString(line, from: 0, to: nameCount, huffman, &output, &out) }
        Self.putString(
            line, from: nameCount &+ 2, to: nameCount &+ 2 &+ valueCount, huffman, &output, &out)
        if isIndexing {
            if staticIndex == 0 { names[nameSlot] = UInt32(truncatingIfNeeded: table.inserted &+ 1) }
            table.insert(
                HPACKTable.Entry(
                    nameCount: Int32(truncatingIfNeeded: nameCount), valueCount: Int32(truncatingIfNeeded: valueCount)),
                from: line, at: 0)
        }
    }

    /// Appends an integer. RFC 7541 §5.1
    @inline(__always)
    static func put(
        _ value: Int, prefix: Int, pattern: UInt8, _ output: inout MutableSpan<UInt8>, _ out: inout Int
    ) {
        if value < prefix {
            output[out] = pattern | UInt8(truncatingIfNeeded: value)
            out &+= 1
        } else {
            output[out] = pattern | UInt8(truncatingIfNeeded: prefix)
            out &+= 1
            putRest(value &- prefix, &output, &out)
        }
    }

    private static func putRest(_ value: Int, _ output: inout MutableSpan<UInt8>, _ out: inout Int) {
        var value = value
        while value >= 128 {
            output[out] = UInt8(truncatingIfNeeded: value) | 0x80
            out &+= 1
            value &>>= 7
        }
        output[out] = UInt8(truncatingIfNeeded: value)
        out &+= 1
    }

    /// Appends a string literal, by whichever way is shorter. RFC 7541 §5.2
    private static func putString(
        _ bytes: Span<UInt8>, from start: Int, to end: Int, _ huffman: borrowing HuffmanCode,
        _ output: inout MutableSpan<UInt8>, _ out: inout Int
    ) {
        let count = end &- start
        let encoded = huffman.encodedBytes(bytes, from: start, to: end)
        if encoded < count {
            put(encoded, prefix: 0x7F, pattern: 0x80, &output, &out)
            out = huffman.encode(bytes, from: start, to: end, into: &output, at: out)
        } else {
            put(count, prefix: 0x7F, pattern: 0, &output, &out)
            output.stage(bytes, from: start, to: end, at: out)
            out &+= count
        }
    }
}
