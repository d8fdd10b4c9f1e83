import PoiseBytes

/// Turns HTTP/1-form text into a header block. RFC 9113 §8.2, §8.3
///
/// Names become lower case, `Host` becomes `:authority`, and what belongs to one connection is left out.
extension HPACKEncoder {
    enum BlockKind { case request(isHTTPS: Bool), response, trailers }

    /// What a head that was encoded says.
    struct Summary {
        /// Of an answer.
        var status = 0
        /// Of a request.
        var isHead = false
        /// Behind the block in the output.
        var end = 0
    }

    /// Bytes that the block of so much text takes at most: a field takes fewer as HPACK than as text, but for the
    /// lengths of long strings.
    static func blockBytesMax(_ textBytes: Int) -> Int { textBytes + textBytes / 64 + 128 }

    /// Writes the block into `workspace.output`, from `start` on.
    /// - Returns: nil, with no table changed, where the text has not the form of a head.
    mutating func encode(
        _ text: Span<UInt8>, _ kind: BlockKind, neverIndexed: UInt64, _ workspace: inout HTTP2Workspace, at start: Int
    ) -> Summary? {
        var summary = Summary()
        var cursor = 0
        var request = RequestLine()
        switch kind {
        case .trailers: break
        case .response:
            guard let status = Self.readStatusLine(text, &cursor) else { return nil }
            summary.status = status
        case .request:
            guard let line = RequestLine(text, &cursor) else { return nil }
            request = line
            summary.isHead = line.isHead
        }
        workspace.fields.removeAll()
        var section = FieldSection()
        guard
            case .complete = section.parse(
                text, cursor: &cursor, end: text.count, countMax: .max, into: &workspace.fields)
        else { return nil }
        workspace.ensureOutput(start - workspace.outputCount + Self.blockBytesMax(text.count))
        workspace.line.ensure(text.count + 64)
        summary.end = append(
            text, kind, request, summary.status, neverIndexed, workspace.fields, workspace.tables,
            line: &workspace.line, to: &workspace.output, at: start)
        return summary
    }

    private mutating func append(
        _ text: Span<UInt8>, _ kind: BlockKind, _ request: RequestLine, _ status: Int, _ neverIndexed: UInt64,
        _ fields: borrowing FieldLines, _ tables: borrowing HPACKTables, line staging: inout [UInt8],
        to block: inout [UInt8], at start: Int
    ) -> Int {
        var out = start
        var output = block.mutableSpan
        begin(&output, &out)
        switch kind {
        case .trailers: break
        case .response:
            appendPseudo(
                Self.statusIndex(status), name: ":status", nameIndex: 8, text, ByteRange(start: 9, count: 3),
                .whenRepeated, &staging, tables, &output, &out)
        case .request(let isHTTPS):
            appendPseudo(
                request.methodIndex, name: ":method", nameIndex: 2, text, request.method, .whenRepeated,
                &staging, tables, &output, &out)
            if !request.isConnect {
                output[out] = isHTTPS ? 0x87 : 0x86
                out &+= 1
                appendPseudo(
                    request.isRoot ? 4 : 0, name: ":path", nameIndex: 4, text, request.target, .never,
                    &staging, tables, &output, &out)
            }
            if let host = fields.first(.host) {
                appendPseudo(
                    0, name: ":authority", nameIndex: 1, text, host.value, .whenRepeated, &staging, tables, &output,
                    &out)
            }
        }
        for index in fields.indices {
            let field = fields[index]
            var staticIndex = -1
            var policy = HPACKPolicy.whenRepeated
            if field.id != .other {
                policy = tables.policies[Int(field.id.rawValue)]
                switch policy {
                case .whenRepeated, .never, .neverIndexed: break
                case .dropped, .host: continue
                case .te:
                    guard case .request = kind, equalsIgnoringCase(text, field.value, "trailers") else { continue }
                    policy = .whenRepeated
                }
                staticIndex = Int(tables.statics.indices[Int(field.id.rawValue)])
            }
            let nameCount = field.name.count
            Self.stage(text, field, into: &staging)
            let line = staging.span
            var nameHash: UInt64 = 0
            if staticIndex <= 0 {
                nameHash = line.mixedHash(from: 0, to: nameCount)
                if staticIndex < 0 {
                    staticIndex = tables.statics.index(ofName: line, from: 0, to: nameCount, hash: nameHash)
                    if staticIndex > 0 { policy = tables.statics.entries[staticIndex &- 1].policy }
                }
            }
            if neverIndexed != 0, neverIndexed & HTTP2HeadBuilder.nameBit(line, from: 0, to: nameCount) != 0 {
                policy = .neverIndexed
            }
            append(
                line, nameCount: nameCount, valueCount: field.value.count, staticIndex: staticIndex,
                nameHash: nameHash, policy: policy, huffman: tables.huffman, &output, &out)
        }
        return out
    }

    /// One of the static table, or else a line like any other.
    private mutating func appendPseudo(
        _ index: Int, name: StaticString, nameIndex: Int, _ text: Span<UInt8>, _ value: ByteRange,
        _ policy: HPACKPolicy, _ line: inout [UInt8], _ tables: borrowing HPACKTables,
        _ output: inout MutableSpan<UInt8>, _ out: inout Int
    ) {
        if index > 0 {
            output[out] = 0x80 | UInt8(truncatingIfNeeded: index)
            out &+= 1
            return
        }
        let name = name.asciiBytes
        var staging = line.mutableSpan
        staging.stage(name, from: 0, to: name.count, at: 0)
        staging.store(ASCII.colonSpace, at: name.count)
        staging.stage(text, from: value.start, to: value.end, at: name.count &+ 2)
        staging.store(ASCII.lineEnd, at: name.count &+ 2 &+ value.count)
        append(
            line.span, nameCount: name.count, valueCount: value.count, staticIndex: nameIndex, nameHash: 0,
            policy: policy, huffman: tables.huffman, &output, &out)
    }

    /// Makes `name: value CRLF` of a line in any form.
    private static func stage(_ text: Span<UInt8>, _ field: FieldLine, into line: inout [UInt8]) {
        var staging = line.mutableSpan
        let (start, count) = (field.name.start, field.name.count)
        var offset = 0
        // Eight bytes at a time; what is written too far is written again.
        while offset < count {
            let word = text.word(at: start &+ offset, count: Swift.min(8, count &- offset))
            staging.store(lowerCased(word: word), at: offset)
            offset &+= 8
        }
        staging.store(ASCII.colonSpace, at: count)
        staging.stage(text, from: field.value.start, to: field.value.end, at: count &+ 2)
        staging.store(ASCII.lineEnd, at: count &+ 2 &+ field.value.count)
    }

    /// Eight bytes with their ASCII letters in lower case.
    @inline(__always) static func lowerCased(word: UInt64) -> UInt64 {
        let each: UInt64 = 0x0101_0101_0101_0101
        let seven = word & (0x7F &* each)
        let isUpper = (seven &+ (0x80 - 0x41) &* each) & ~(seven &+ (0x7F - 0x5A) &* each) & ~word & (0x80 &* each)
        return word | isUpper &>> 2
    }

    /// `HTTP/1.1 200 OK`: only the number counts.
    private static func readStatusLine(_ text: Span<UInt8>, _ cursor: inout Int) -> Int? {
        guard text.count >= 15, let status = decimalValue(text, ByteRange(start: 9, count: 3)), status >= 100 else {
            return nil
        }
        let end = endOfFieldValue(text, from: 12, to: text.count)
        guard end + 2 <= text.count, text.pair(at: end) == ASCII.lineEnd else { return nil }
        cursor = end + 2
        return status
    }

    private static func statusIndex(_ status: Int) -> Int {
        switch status {
        case 200: 8
        case 204: 9
        case 206: 10
        case 304: 11
        case 400: 12
        case 404: 13
        case 500: 14
        default: 0
        }
    }
}

/// `GET /path HTTP/1.1`, taken apart.
private struct RequestLine {
    var method = ByteRange.empty
    var target = ByteRange.empty
    /// In the static table, or 0.
    var methodIndex = 0
    var isHead = false
    var isConnect = false
    /// The path is `/`, which the static table has.
    var isRoot = false

    init() {}

    /// - Parameter cursor: moved behind the line.
    /// - Returns: nil for a target that is neither a path nor `*`, nor CONNECT's.
    init?(_ text: Span<UInt8>, _ cursor: inout Int) {
        let methodEnd = endOfToken(text, from: 0, to: text.count)
        guard methodEnd > 0, methodEnd + 1 < text.count, text[methodEnd] == ASCII.space else { return nil }
        method = ByteRange(start: 0, count: methodEnd)
        let end = endOfFieldValue(text, from: methodEnd + 1, to: text.count)
        guard end + 2 <= text.count, text.pair(at: end) == ASCII.lineEnd, end - 9 > methodEnd + 1,
            text[end - 9] == ASCII.space
        else { return nil }
        target = ByteRange(methodEnd + 1..<end - 9)
        let known = methodEnd <= 7 ? HTTPMethod(word: text.word(at: 0, count: methodEnd)) : .other
        methodIndex = known == .get ? 2 : known == .post ? 3 : 0
        (isHead, isConnect) = (known == .head, known == .connect)
        let first = text[target.start]
        guard first == ASCII.slash || isConnect || first == ASCII.asterisk && target.count == 1 else { return nil }
        isRoot = first == ASCII.slash && target.count == 1
        cursor = end + 2
    }
}
