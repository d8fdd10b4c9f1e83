import PoiseBytes

/// Reads header blocks. RFC 7541 §3, §6
struct HPACKDecoder: Sendable {
    enum Outcome {
        case decoded
        /// No decoder can go on after this block. RFC 9113 §4.3
        case broken
        /// The list is so large that its rest is not worth the work.
        case bomb
    }

    private(set) var table: HPACKTable
    /// What SETTINGS_HEADER_TABLE_SIZE allows the peer.
    private let tableBytesMax: Int
    /// Changes of the table's size in the last block beyond the two that make sense (RFC 7541 §4.2).
    private(set) var needlessSizeUpdates = 0

    init(tableBytesMax: Int) {
        self.tableBytesMax = tableBytesMax
        table = HPACKTable(limit: tableBytesMax)
    }

    /// Decodes a whole block into `head`, which was begun.
    /// - Parameter listBytesEnd: decoding stops where the list is larger than this.
    mutating func decode(
        _ bytes: Span<UInt8>, from start: Int, to end: Int, with tables: borrowing HPACKTables,
        into head: inout HTTP2HeadBuilder, listBytesEnd: Int
    ) -> Outcome {
        var position = start
        needlessSizeUpdates = 0
        // Size updates stand at the beginning of a block only. RFC 7541 §4.2
        var updates = 0
        while position < end, bytes[position] & 0xE0 == 0x20 {
            guard let size = Self.integer(bytes, &position, end, prefix: 0x1F), size <= tableBytesMax else {
                return .broken
            }
            table.setLimit(size)
            updates += 1
        }
        if updates > 2 { needlessSizeUpdates = updates - 2 }
        while position < end {
            let byte = bytes[position]
            if byte & 0x80 != 0 {
                if byte &- 0x80 > UInt8(HPACKStaticTable.count) {
                    head.acceptRun(bytes, &position, end, table)
                    guard position < end, bytes[position] & 0x80 != 0 else { continue }
                }
                guard let index = Self.integer(bytes, &position, end, prefix: 0x7F), index > 0,
                    takeIndexed(index, tables.statics, &head)
                else { return .broken }
            } else {
                guard byte & 0xE0 != 0x20, takeLiteral(bytes, &position, end, tables.huffman, tables.statics, &head)
                else {
                    return .broken
                }
            }
            if head.listBytes > listBytesEnd { return .bomb }
        }
        return .decoded
    }

    @inline(__always)
    private func takeIndexed(
        _ index: Int, _ statics: borrowing HPACKStaticTable, _ head: inout HTTP2HeadBuilder
    ) -> Bool {
        if index <= HPACKStaticTable.count {
            let entry = statics.entries[index &- 1]
            if index > 1, index < 15 {
                head.acceptConstant(index, entry)
                return true
            }
            let start = Int(entry.start)
            let (nameCount, valueCount) = (Int(entry.nameCount), Int(entry.valueCount))
            head.stage(line: HPACKStaticTable.bytes, from: start, to: start &+ nameCount &+ valueCount &+ 4)
            head.accept(entry.kind, nameCount: nameCount, valueCount: valueCount, isClean: true)
            return true
        }
        guard let entry = table.entry(index: index) else { return false }
        // A list that is too large already is only counted.
        if head.fault != .headTooLarge {
            head.stage(line: table.bytes.span, from: Int(entry.start), to: entry.lineEnd)
        }
        head.accept(
            entry.kind, nameCount: Int(entry.nameCount), valueCount: Int(entry.valueCount), isClean: entry.isClean)
        return true
    }

    private mutating func takeLiteral(
        _ bytes: Span<UInt8>, _ position: inout Int, _ end: Int, _ huffman: borrowing HuffmanCode,
        _ statics: borrowing HPACKStaticTable, _ head: inout HTTP2HeadBuilder
    ) -> Bool {
        let byte = bytes[position]
        let isIndexing = byte & 0x40 != 0
        guard let index = Self.integer(bytes, &position, end, prefix: isIndexing ? 0x3F : 0x0F) else { return false }
        let nameCount: Int
        var kind: HTTP2FieldKind?
        if index == 0 {
            guard let count = Self.stageString(bytes, &position, end, huffman, &head, offset: 0) else { return false }
            nameCount = count
        } else if index <= HPACKStaticTable.count {
            let entry = statics.entries[index &- 1]
            (nameCount, kind) = (Int(entry.nameCount), entry.kind)
            head.reserve(nameCount)
            head.stage(
                HPACKStaticTable.bytes, from: Int(entry.start), to: Int(entry.start) &+ nameCount, offset: 0)
        } else {
            guard let entry = table.entry(index: index) else { return false }
            (nameCount, kind) = (Int(entry.nameCount), entry.kind)
            head.reserve(nameCount)
            head.stage(table.bytes.span, from: Int(entry.start), to: Int(entry.start) &+ nameCount, offset: 0)
        }
        guard
            let valueCount = Self.stageString(bytes, &position, end, huffman, &head, offset: nameCount &+ 2)
        else { return false }
        head.stage(pair: ASCII.colonSpace, offset: nameCount)
        head.stage(pair: ASCII.lineEnd, offset: nameCount &+ 2 &+ valueCount)
        let entry = head.stagedEntry(nameCount: nameCount, valueCount: valueCount, kind: kind)
        if isIndexing {
            table.insert(entry, from: head.text.span, at: head.textEnd)
        } else if byte & 0x10 != 0 {
            head.markNeverIndexed(nameCount: nameCount)
        }
        head.accept(entry.kind, nameCount: nameCount, valueCount: valueCount, isClean: entry.isClean)
        return true
    }

    /// Stages a string literal. RFC 7541 §5.2
    /// - Returns: its bytes, or nil where it is cut off or its code is wrong.
    @inline(__always)
    private static func stageString(
        _ bytes: Span<UInt8>, _ position: inout Int, _ end: Int, _ huffman: borrowing HuffmanCode,
        _ head: inout HTTP2HeadBuilder, offset: Int
    ) -> Int? {
        guard position < end else { return nil }
        let isHuffman = bytes[position] & 0x80 != 0
        guard let count = integer(bytes, &position, end, prefix: 0x7F), count <= end &- position else { return nil }
        let start = position
        position &+= count
        guard isHuffman else {
            head.reserve(offset &+ count)
            head.stage(bytes, from: start, to: position, offset: offset)
            return count
        }
        head.reserve(offset &+ HuffmanCode.decodedBytesMax(count))
        return head.stageHuffman(huffman, bytes, from: start, to: position, offset: offset)
    }

    /// Reads an integer. RFC 7541 §5.1
    /// - Parameter prefix: the bits of the first byte that belong to it.
    /// - Returns: nil where it is cut off, above 2^28, or longer than it could need to be.
    @inline(__always)
    static func integer(_ bytes: Span<UInt8>, _ position: inout Int, _ end: Int, prefix: UInt8) -> Int? {
        let first = bytes[position] & prefix
        position &+= 1
        guard first == prefix else { return Int(first) }
        return longInteger(bytes, &position, end, Int(first))
    }

    @inline(never)
    private static func longInteger(_ bytes: Span<UInt8>, _ position: inout Int, _ end: Int, _ first: Int) -> Int? {
        var value = first
        var shift = 0
        while position < end, shift <= 28 {
            let byte = bytes[position]
            position &+= 1
            value &+= Int(byte & 0x7F) &<< shift
            if byte & 0x80 == 0 { return value <= 1 &<< 28 ? value : nil }
            shift &+= 7
        }
        return nil
    }
}
