/// A place in a text as an editor counts: lines and columns from 1, columns in Unicode scalars.
public struct SourcePosition: Sendable, Hashable, Comparable {
    public var line: Int32
    public var column: Int32

    public init(line: Int, column: Int) { (self.line, self.column) = (Int32(clamping: line), Int32(clamping: column)) }

    public static func < (a: Self, b: Self) -> Bool { (a.line, a.column) < (b.line, b.column) }
}

/// A stretch of one file, `end` excluded.
public struct SourceRange: Sendable, Hashable {
    /// Index in the list of files that the caller keeps.
    public var file: Int32
    public var start: SourcePosition
    public var end: SourcePosition

    public init(file: Int, start: SourcePosition, end: SourcePosition) {
        (self.file, self.start, self.end) = (Int32(clamping: file), start, end)
    }
}

/// The bytes of a file with the starts of its lines, which are libyaml's: LF, CR, CR LF, NEL, LS and PS end one.
///
/// Cost: one pass at creation; a line or a position is then found by binary search.
public struct SourceText: Sendable {
    /// Without a byte order mark.
    public let bytes: [UInt8]
    private let lineStarts: [Int]

    public init(_ bytes: [UInt8]) {
        let hasMark = bytes.starts(with: [0xEF, 0xBB, 0xBF])
        self.bytes = hasMark ? Array(bytes.dropFirst(3)) : bytes
        lineStarts = Self.lineStarts(of: self.bytes)
    }

    public init(_ text: String) { self.init(Array(text.utf8)) }

    /// Line `number` from 1, without its line end; empty where there is none. Bytes that are not UTF-8 become U+FFFD.
    public func line(_ number: Int) -> String {
        guard number >= 1, number <= lineStarts.count else { return "" }
        let start = lineStarts[number - 1]
        var end = number < lineStarts.count ? lineStarts[number] : bytes.count
        if end > start, number < lineStarts.count {
            end -= Self.lineEndLength(before: end, in: bytes)
        }
        return String(decoding: bytes[start..<max(start, end)], as: UTF8.self)
    }

    /// The position of the byte at `offset`; the end of the text for offsets behind it.
    public func position(ofByte offset: Int) -> SourcePosition {
        let offset = min(max(offset, 0), bytes.count)
        var low = 0
        var high = lineStarts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if lineStarts[middle] <= offset { low = middle } else { high = middle }
        }
        let column = bytes[lineStarts[low]..<offset].reduce(1) { $1 & 0xC0 == 0x80 ? $0 : $0 + 1 }
        return SourcePosition(line: low + 1, column: column)
    }

    private static func lineStarts(of bytes: [UInt8]) -> [Int] {
        var starts = [0]
        var index = 0
        while index < bytes.count {
            switch bytes[index] {
            case 0x0A: starts.append(index + 1)
            case 0x0D where index + 1 >= bytes.count || bytes[index + 1] != 0x0A: starts.append(index + 1)
            case 0x85 where index >= 1 && bytes[index - 1] == 0xC2: starts.append(index + 1)
            case 0xA8, 0xA9:
                if index >= 2, bytes[index - 2] == 0xE2, bytes[index - 1] == 0x80 { starts.append(index + 1) }
            default: break
            }
            index += 1
        }
        return starts
    }

    private static func lineEndLength(before end: Int, in bytes: [UInt8]) -> Int {
        switch bytes[end - 1] {
        case 0x0A: end >= 2 && bytes[end - 2] == 0x0D ? 2 : 1
        case 0x85: 2
        case 0xA8, 0xA9: 3
        default: 1
        }
    }
}
