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
    /// - Returns: nil where the text has not the form of a head.
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
        workspace.ensureOutput(start - workspace.outputCount + Self.blockBytesMax(text.count))
        workspace.line.ensure(text.count + 64)
        guard
            let end = append(
                text, cursor, kind, request, summary.status, neverIndexed, workspace.tables, line: &workspace.line,
                to: &workspace.output, at: start)
        else {
            // What entered the table belongs to a block that nobody gets.
            abandonTable()
            return nil
        }
        summary.end = end
        return summary
    }

    /// - Returns: the end of the block, or nil where the text has not the form of field lines.
    private mutating func append(
        _ text: Span<UInt8>, _ cursor: Int, _ kind: BlockKind, _ request: RequestLine, _ status: Int,
        _ neverIndexed: UInt64, _ tables: borrowing HPACKTables, line staging: inout [UInt8], to block: inout [UInt8],
        at start: Int
    ) -> Int? {
        var cursor = cursor
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
            guard let host = Self.host(text, cursor) else { break }
            appendPseudo(
                0, name: ":authority", nameIndex: 1, text, host, .whenRepeated, &staging, tables, &output, &out)
        }
        while true {
            guard cursor &+ 2 <= text.count else { return nil }
            if text.pair(at: cursor) == ASCII.lineEnd { return cursor &+ 2 == text.count ? out : nil }
            let end = endOfFieldValue(text, from: cursor, to: text.count)
            guard end &+ 2 <= text.count, text.pair(at: end) == ASCII.lineEnd else { return nil }
            // A line that was sent before, nearly always: found without taking it apart.
            let hash = Self.hash(text, from: cursor, to: end)
            if neverIndexed != 0 || !appendKnown(text, from: cursor, to: end, hash: hash, &output, &out) {
                guard let field = Self.field(text, from: cursor, to: end) else { return nil }
                append(text, field, hash, kind, neverIndexed, tables, &staging, &output, &out)
            }
            cursor = end &+ 2
        }
    }

    /// Takes a line apart. White space around the value is no part of it.
    private static func field(_ text: Span<UInt8>, from start: Int, to end: Int) -> FieldLine? {
        let nameEnd = endOfToken(text, from: start, to: end)
        guard nameEnd > start, nameEnd < end, text[nameEnd] == ASCII.colon else { return nil }
        var (from, to) = (nameEnd &+ 1, end)
        while from < to, isBlank(text[from]) { from &+= 1 }
        while to > from, isBlank(text[to &- 1]) { to &-= 1 }
        let name = ByteRange(from: start, to: nameEnd)
        return FieldLine(
            name: name, value: ByteRange(from: from, to: to), id: PackedName(text, name).fieldID(text, name),
            isHopByHop: false)
    }

    /// The value of `Host`, which is the first line in nearly all requests.
    private static func host(_ text: Span<UInt8>, _ start: Int) -> ByteRange? {
        var cursor = start
        while cursor < text.count {
            let end = endOfFieldValue(text, from: cursor, to: text.count)
            guard end > cursor, let field = field(text, from: cursor, to: end) else { return nil }
            if field.id == .host { return field.value }
            cursor = end &+ 2
        }
        return nil
    }

    @inline(never)
    private mutating func append(
        _ text: Span<UInt8>, _ field: FieldLine, _ hash: UInt32, _ kind: BlockKind, _ neverIndexed: UInt64,
        _ tables: borrowing HPACKTables, _ staging: inout [UInt8], _ output: inout MutableSpan<UInt8>,
        _ out: inout Int
    ) {
        var staticIndex = -1
        var policy = HPACKPolicy.whenRepeated
        if field.id != .other {
            policy = tables.policies[Int(field.id.rawValue)]
            switch policy {
            case .whenRepeated, .never, .neverIndexed: break
            case .dropped, .host: return
            case .te:
                guard case .request = kind, equalsIgnoringCase(text, field.value, "trailers") else { return }
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
            line, nameCount: nameCount, valueCount: field.value.count, hash: hash, staticIndex: staticIndex,
            nameHash: nameHash, policy: policy, huffman: tables.huffman, &output, &out)
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
        let span = line.span
        append(
            span, nameCount: name.count, valueCount: value.count,
            hash: Self.hash(span, from: 0, to: name.count &+ 2 &+ value.count), staticIndex: nameIndex, nameHash: 0,
            policy: policy, huffman: tables.huffman, &output, &out)
    }

    /// Makes `name: value CRLF` of a line in any form.
    private static func stage(_ text: Span<UInt8>, _ field: FieldLine, into line: inout [UInt8]) {
        var staging = line.mutableSpan
        let (start, count) = (field.name.start, field.name.count)
        var offset = 0
        // Eight bytes at a time; what is written too far is written again.
        while offset < count, start &+ offset &+ 8 <= text.count {
            staging.store(text.word(at: start &+ offset).lowerCased(first: 8), at: offset)
            offset &+= 8
        }
        while offset < count {
            let word = text.word(at: start &+ offset, count: Swift.min(8, count &- offset))
            staging.store(word.lowerCased(first: 8), at: offset)
            offset &+= 8
        }
        staging.store(ASCII.colonSpace, at: count)
        staging.stage(text, from: field.value.start, to: field.value.end, at: count &+ 2)
        staging.store(ASCII.lineEnd, at: count &+ 2 &+ field.value.count)
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
