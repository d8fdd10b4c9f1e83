import PoiseSimulation

/// A second, slow HPACK, written after RFC 7541: what the HTTP/2 clients and targets of a simulation write heads with. It
/// shares no code with Poise's own.
struct FieldWriter {
    private var table = FieldTable()

    /// Mostly plain literals; now and then what the table is for, and changes of its size.
    mutating func write(_ fields: [Field], _ random: inout SeededRandom) -> [UInt8] {
        var bytes: [UInt8] = []
        if random.chance(percent: 5) {
            let limit = random.pick([0, 100, 4096])
            table.resize(to: limit)
            Self.append(limit, prefix: 5, first: 0x20, to: &bytes)
        }
        for field in fields {
            if random.chance(percent: 30), let index = table.index(of: field) {
                Self.append(index, prefix: 7, first: 0x80, to: &bytes)
                continue
            }
            let isIndexing = random.chance(percent: 20)
            let index = random.chance(percent: 50) ? table.index(ofName: field.name) ?? 0 : 0
            if isIndexing {
                Self.append(index, prefix: 6, first: 0x40, to: &bytes)
            } else {
                // Never to be indexed, now and then.
                Self.append(index, prefix: 4, first: random.chance(percent: 10) ? 0x10 : 0, to: &bytes)
            }
            if index == 0 { Self.append(field.name, to: &bytes) }
            Self.append(field.value, to: &bytes)
            if isIndexing { table.insert(field) }
        }
        return bytes
    }

    private static func append(_ text: String, to bytes: inout [UInt8]) {
        append(text.utf8.count, prefix: 7, first: 0, to: &bytes)
        bytes += Array(text.utf8)
    }

    /// RFC 7541 §5.1
    private static func append(_ value: Int, prefix: Int, first: UInt8, to bytes: inout [UInt8]) {
        let most = 1 << prefix - 1
        guard value >= most else { return bytes.append(first | UInt8(value)) }
        bytes.append(first | UInt8(most))
        var rest = value - most
        while rest >= 128 {
            bytes.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}

/// The other half: what they read Poise's heads with.
struct FieldReader {
    struct Fault: Error { let words: String }

    private var table = FieldTable()
    /// SETTINGS_HEADER_TABLE_SIZE as Poise has acknowledged it.
    private(set) var limit = 4096

    /// Where the table is larger now than it may be, the next block says first that it shrinks. RFC 7541 §4.2
    mutating func setLimit(_ limit: Int) { self.limit = limit }

    mutating func read(_ block: [UInt8]) throws(Fault) -> [Field] {
        var fields: [Field] = []
        var position = 0
        while position < block.count {
            let byte = block[position]
            if byte & 0xE0 == 0x20 {
                let size = try Self.integer(block, &position, prefix: 5)
                guard fields.isEmpty, size <= limit else { throw Fault(words: "the table's size becomes \(size)") }
                table.resize(to: size)
                continue
            }
            guard table.limit <= limit else { throw Fault(words: "the table does not shrink to \(limit)") }
            if byte & 0x80 != 0 {
                fields.append(try named(try Self.integer(block, &position, prefix: 7)))
                continue
            }
            let isIndexing = byte & 0x40 != 0
            let index = try Self.integer(block, &position, prefix: isIndexing ? 6 : 4)
            let name = index > 0 ? try named(index).name : try Self.text(block, &position)
            let field = Field(name, try Self.text(block, &position))
            if isIndexing { table.insert(field) }
            fields.append(field)
        }
        return fields
    }

    private func named(_ index: Int) throws(Fault) -> Field {
        guard let field = table.field(index) else { throw Fault(words: "the index \(index) means nothing") }
        return field
    }

    private static func integer(_ bytes: [UInt8], _ position: inout Int, prefix: Int) throws(Fault) -> Int {
        let most = 1 << prefix - 1
        var value = Int(bytes[position]) & most
        position += 1
        guard value == most else { return value }
        var shift = 0
        while position < bytes.count, shift < 28 {
            let byte = bytes[position]
            position += 1
            value += Int(byte & 127) << shift
            if byte < 128 { return value }
            shift += 7
        }
        throw Fault(words: "an integer without an end")
    }

    private static func text(_ bytes: [UInt8], _ position: inout Int) throws(Fault) -> String {
        guard position < bytes.count else { throw Fault(words: "a string is missing") }
        let isCoded = bytes[position] & 0x80 != 0
        let count = try integer(bytes, &position, prefix: 7)
        guard count <= bytes.count - position else { throw Fault(words: "a string is cut off") }
        let content = bytes[position..<position + count]
        position += count
        return String(decoding: isCoded ? try decode(content) : Array(content), as: UTF8.self)
    }

    // MARK: Huffman's code

    /// What heads are made of, in the order of the codes: those of one length stand together, in the order of their
    /// values. What is longer than 15 bits, text in ASCII has no need of. RFC 7541 appendix B
    private static let symbols: [(bits: Int, text: String)] = [
        (5, "012aceiost"), (6, " %-./3456789=A_bdfghlmnpru"), (7, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"), (8, "&*,;XZ"),
        (10, "!\"()?"), (11, "'+|"), (12, "#>"), (13, "\0$@[]~"), (14, "^}"), (15, "<`{"),
    ]

    /// By length and code: the codes count on from one length to the next.
    private static let codes: [Int: UInt8] = {
        var codes: [Int: UInt8] = [:]
        var (code, length) = (0, 0)
        for (bits, text) in symbols {
            code <<= bits - length
            length = bits
            for symbol in text.utf8 {
                codes[length << 16 | code] = symbol
                code += 1
            }
        }
        return codes
    }()

    private static func decode(_ bytes: ArraySlice<UInt8>) throws(Fault) -> [UInt8] {
        var text: [UInt8] = []
        var (code, length, isAllOnes) = (0, 0, true)
        for byte in bytes {
            for bit in (0..<8).reversed() {
                code = code << 1 | Int(byte >> bit & 1)
                isAllOnes = isAllOnes && byte >> bit & 1 == 1
                length += 1
                if let symbol = codes[length << 16 | code] {
                    text.append(symbol)
                    (code, length, isAllOnes) = (0, 0, true)
                }
            }
        }
        // The end is filled up with ones, less than a byte of them. §5.2
        guard length < 8, isAllOnes else { throw Fault(words: "a string does not end with ones") }
        return text
    }
}
