import PoiseBytes

/// Makes HTTP/1-form text of decoded fields, and holds them to the rules of RFC 9113 §8.
///
/// A field is staged as a line behind the text, then accepted: most lines stay where they are; what the start line is
/// made of, cookies and what is refused go elsewhere or away. The start line is known last and written in front of the
/// lines, into room that was left for it.
///
/// After the first fault nothing is added, but fields are taken all the same, as the tables of both sides must agree.
struct HTTP2HeadBuilder: Sendable {
    enum Kind: UInt8, Sendable { case request, response, trailers }

    /// Before this position the start line and `Host`. A longer one moves the lines.
    private static var frontBytes: Int { 1024 }
    private static var constantBytes: Int { 18 }

    var text = [UInt8](repeating: 0, count: 16 * 1024)
    var textStart = 0
    var textEnd = 0
    /// Values of pseudo-fields, behind those that the static table has.
    var side = Array("GETPOST/index.html".utf8) + [UInt8](repeating: 0, count: 1024)
    private var sideEnd = 0
    /// All crumbs, joined. RFC 9113 §8.2.3
    var cookies = [UInt8](repeating: 0, count: 1024)
    var cookiesEnd = 0

    var kind = Kind.request
    var method = ByteRange.empty
    var path = ByteRange.empty
    var authority = ByteRange.empty
    /// One bit per pseudo-field that was seen.
    var seen: UInt8 = 0
    private var hasRegular = false
    private var hasHost = false

    /// Of the list as RFC 9113 §6.5.2 counts it.
    private(set) var listBytes = 0
    private var fieldCount = 0
    private var listBytesMax = 0
    private var fieldCountMax = 0

    /// The first thing that is wrong.
    private(set) var fault: HTTP2Fault?
    private(set) var neverIndexed: UInt64 = 0
    /// -1 without the field.
    private(set) var contentLength = -1
    private(set) var status = 0
    private(set) var isHead = false
    private(set) var isConnect = false
    private(set) var isHTTPS = false
    private(set) var priority = HTTP2Priority()

    mutating func begin(_ kind: Kind, listBytesMax: Int, fieldCountMax: Int) {
        self.kind = kind
        // Trailers have no start line.
        textStart = kind == .trailers ? 0 : Self.frontBytes
        textEnd = textStart
        (sideEnd, cookiesEnd) = (Self.constantBytes, 0)
        (method, path, authority) = (.empty, .empty, .empty)
        (seen, hasRegular, hasHost) = (0, false, false)
        (listBytes, fieldCount) = (0, 0)
        (self.listBytesMax, self.fieldCountMax) = (listBytesMax, fieldCountMax)
        (fault, neverIndexed, contentLength, status) = (nil, 0, -1, 0)
        (isHead, isConnect, isHTTPS) = (false, false, false)
        priority = HTTP2Priority()
    }

    /// Room for so many bytes behind the text, and what copies write too far.
    @inline(__always) mutating func reserve(_ count: Int) {
        text.ensure(textEnd &+ count &+ 32)
    }

    /// Stages a whole line.
    @inline(__always) mutating func stage(line source: Span<UInt8>, from start: Int, to end: Int) {
        reserve(end &- start)
        let position = textEnd
        text.stage(source, from: start, to: end, at: position)
    }

    /// Stages a piece of text `offset` bytes behind the text, for which room was reserved.
    @inline(__always)
    mutating func stage(_ source: Span<UInt8>, from start: Int, to end: Int, offset: Int) {
        let position = textEnd &+ offset
        text.stage(source, from: start, to: end, at: position)
    }

    /// - Returns: bytes of the text, or nil where the code is wrong.
    mutating func stageHuffman(
        _ huffman: borrowing HuffmanCode, _ source: Span<UInt8>, from start: Int, to end: Int, offset: Int
    ) -> Int? {
        let position = textEnd &+ offset
        var span = text.mutableSpan
        guard let stop = huffman.decode(source, from: start, to: end, into: &span, at: position) else { return nil }
        return stop &- position
    }

    @inline(__always) mutating func stage(pair: UInt16, offset: Int) {
        let position = textEnd &+ offset
        text.store(pair, at: position)
    }

    /// What a staged line is, for the dynamic table and for `accept`.
    func stagedEntry(nameCount: Int, valueCount: Int, kind: HTTP2FieldKind?) -> HPACKTable.Entry {
        let bytes = text.span
        let valueStart = textEnd &+ nameCount &+ 2
        return HPACKTable.Entry(
            start: 0, nameCount: Int32(truncatingIfNeeded: nameCount),
            valueCount: Int32(truncatingIfNeeded: valueCount),
            kind: kind ?? HTTP2FieldKind(name: bytes, from: textEnd, to: textEnd &+ nameCount),
            isClean: Self.isClean(bytes, from: valueStart, to: valueStart &+ valueCount))
    }

    /// No control byte but HTAB inside, no white space around. RFC 9113 §8.2.1
    static func isClean(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Bool {
        guard start < end else { return true }
        return !isBlank(bytes[start]) && !isBlank(bytes[end &- 1])
            && endOfFieldValue(bytes, from: start, to: end) == end
    }

    /// Takes the line that is staged behind the text.
    @inline(__always)
    mutating func accept(_ kind: HTTP2FieldKind, nameCount: Int, valueCount: Int, isClean: Bool) {
        listBytes &+= nameCount &+ valueCount &+ 32
        guard listBytes <= listBytesMax, fault == nil else {
            if fault == nil { fault = .headTooLarge }
            return
        }
        if kind == .plain, isClean, fieldCount < fieldCountMax {
            hasRegular = true
            fieldCount &+= 1
            textEnd &+= nameCount &+ valueCount &+ 4
            return
        }
        acceptSpecial(kind, nameCount, valueCount, isClean)
    }

    /// Takes fields by index, as long as they are ones that stand in the text as they are, which most are: staging and
    /// accepting in one, with everything that changes in locals.
    @inline(__always)
    mutating func acceptRun(
        _ block: Span<UInt8>, _ position: inout Int, _ end: Int, _ table: borrowing HPACKTable
    ) {
        guard fault == nil else { return }
        var (textEnd, listBytes, fieldCount) = (textEnd, listBytes, fieldCount)
        let (listBytesMax, fieldCountMax) = (listBytesMax, fieldCountMax)
        let lines = table.bytes.span
        var text = text.mutableSpan
        while position < end, fieldCount < fieldCountMax {
            // Behind the static table: of that, few entries have a value. 0xFF begins a longer index.
            let index = Int(block[position]) &- 0x80
            guard index > HPACKStaticTable.count, index < 0x7F, let entry = table.entry(index: index),
                entry.kind == .plain, entry.isClean
            else { break }
            let length = Int(entry.nameCount) &+ Int(entry.valueCount)
            guard listBytes &+ length &+ 32 <= listBytesMax, textEnd &+ length &+ 32 <= text.count else { break }
            text.stage(lines, from: Int(entry.start), to: Int(entry.start) &+ length &+ 4, at: textEnd)
            textEnd &+= length &+ 4
            listBytes &+= length &+ 32
            fieldCount &+= 1
            position &+= 1
        }
        if fieldCount > self.fieldCount { hasRegular = true }
        (self.textEnd, self.listBytes, self.fieldCount) = (textEnd, listBytes, fieldCount)
    }

    /// Takes a pseudo-field of the static table with a value: there is nothing to check but its place.
    mutating func acceptConstant(_ index: Int, _ entry: HPACKStaticTable.Entry) {
        listBytes &+= Int(entry.nameCount) &+ Int(entry.valueCount) &+ 32
        guard listBytes <= listBytesMax, fault == nil else { return fail(.headTooLarge) }
        guard kind != .trailers else { return fail(.badPseudoField) }
        guard !hasRegular else { return fail(.pseudoFieldOrder) }
        let bit: UInt8 = index < 4 ? 0x1 : index < 6 ? 0x8 : index < 8 ? 0x2 : 0x10
        guard (index >= 8) == (kind == .response), seen & bit == 0 else { return fail(.badPseudoField) }
        seen |= bit
        switch index {
        case 2: method = ByteRange(from: 0, to: 3)
        case 3: method = ByteRange(from: 3, to: 7)
        case 4: path = ByteRange(from: 7, to: 8)
        case 5: path = ByteRange(from: 7, to: 18)
        case 6: isHTTPS = false
        case 7: isHTTPS = true
        default: status = HPACKStaticTable.status(index)
        }
    }

    /// A field that stays out of the text, as it may not be indexed anywhere.
    mutating func markNeverIndexed(nameCount: Int) {
        neverIndexed |= Self.nameBit(text.span, from: textEnd, to: textEnd &+ nameCount)
    }

    static func nameBit(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> UInt64 {
        1 &<< (bytes.mixedHash(from: start, to: end) &>> 8 & 63)
    }

    @inline(never)
    private mutating func acceptSpecial(_ kind: HTTP2FieldKind, _ nameCount: Int, _ valueCount: Int, _ isClean: Bool) {
        guard isClean else { return fail(kind == .badName ? .badFieldName : .badFieldValue) }
        let value = ByteRange(start: textEnd + nameCount + 2, count: valueCount)
        if kind.isPseudo {
            if self.kind == .trailers { return fail(.badPseudoField) }
            if hasRegular { return fail(.pseudoFieldOrder) }
            return acceptPseudo(kind, value)
        }
        hasRegular = true
        if kind == .cookie, self.kind == .request { return addCookie(value) }
        fieldCount += 1
        if fieldCount > fieldCountMax { return fail(.tooManyFields) }
        switch kind {
        case .connectionSpecific: return fail(.connectionField)
        case .badName: return fail(.badFieldName)
        case .te:
            if self.kind != .request || !equalsIgnoringCase(text.span, value, "trailers") { return fail(.badTE) }
        case .headOnly, .cookie:
            if self.kind == .trailers { return }
        case .host:
            if self.kind == .trailers { return }
            if self.kind == .request, !acceptHost(value) { return }
        case .contentLength:
            if self.kind == .trailers { return }
            guard contentLength < 0, let length = decimalValue(text.span, value) else { return fail(.badContentLength) }
            contentLength = length
        case .priority:
            if self.kind == .trailers { return }
            priority = HTTP2Priority(text.span, value)
        case .plain, .method, .scheme, .authority, .path, .status, .unknownPseudo: break
        }
        textEnd += nameCount + valueCount + 4
    }

    /// - Returns: whether the line is needed: not when it says again what `:authority` said.
    private mutating func acceptHost(_ value: ByteRange) -> Bool {
        if hasHost {
            fail(.hostDiffers)
            return false
        }
        hasHost = true
        guard Self.isAuthority(text.span, value) else {
            fail(.badAuthority)
            return false
        }
        guard seen & 0x4 != 0 else { return true }
        let same = equalsIgnoringCase(
            text.span.extracting(value.start..<value.end), side.span.extracting(authority.start..<authority.end))
        if !same { fail(.hostDiffers) }
        return false
    }

    private mutating func acceptPseudo(_ kind: HTTP2FieldKind, _ value: ByteRange) {
        let bit: UInt8 =
            switch kind {
            case .method: 0x1
            case .scheme: 0x2
            case .authority: 0x4
            case .path: 0x8
            case .status: 0x10
            default: 0
            }
        // `:protocol` is among the unknown ones: extended CONNECT was not offered. RFC 8441 §3
        guard bit != 0, (kind == .status) == (self.kind == .response) else { return fail(.badPseudoField) }
        guard seen & bit == 0 else { return fail(.badPseudoField) }
        seen |= bit
        switch kind {
        case .scheme:
            isHTTPS = equalsIgnoringCase(text.span, value, "https")
            if !isHTTPS, !equalsIgnoringCase(text.span, value, "http") { fail(.badScheme) }
        case .status:
            guard value.count == 3, let number = decimalValue(text.span, value), number >= 100 else {
                return fail(.badStatus)
            }
            status = number
        case .method:
            if !isToken(text.span, value) { return fail(.badMethod) }
            let known =
                value.count <= 7 ? HTTPMethod(word: text.span.word(at: value.start, count: value.count)) : .other
            (isHead, isConnect) = (known == .head, known == .connect)
            method = keep(value)
        case .path:
            // Nothing that would end the request line, or what is a part of it, for another parser.
            if !Self.isPath(text.span, value) { return fail(.badPath) }
            path = keep(value)
        default:
            if !Self.isAuthority(text.span, value) { return fail(.badAuthority) }
            authority = keep(value)
        }
    }

    /// Visible ASCII without `#`.
    private static func isPath(_ bytes: Span<UInt8>, _ value: ByteRange) -> Bool {
        var position = value.start
        while true {
            position = bytes.endOfPlainTarget(from: position, to: value.end)
            guard position < value.end else { return true }
            guard bytes[position] == ASCII.questionMark || bytes[position] == ASCII.percent else { return false }
            position &+= 1
        }
    }

    /// Visible ASCII without `/`, and without user information, which `http` and `https` must not have. RFC 9113 §8.3.1
    private static func isAuthority(_ bytes: Span<UInt8>, _ value: ByteRange) -> Bool {
        if value.isEmpty { return false }
        var position = bytes.endOfLabels(from: value.start, to: value.end)
        while position < value.end {
            let byte = bytes[position]
            if byte &- 0x21 >= 0x5E || byte == ASCII.at || byte == ASCII.slash { return false }
            position &+= 1
        }
        return true
    }

    /// Between two arrays of the builder.
    @inline(__always)
    static func copy(
        _ source: borrowing [UInt8], _ range: ByteRange, into target: inout [UInt8], at position: Int
    ) {
        target.stage(source.span, from: range.start, to: range.end, at: position)
    }

    private mutating func keep(_ value: ByteRange) -> ByteRange {
        let position = sideEnd
        side.ensure(position + value.count + 32)
        Self.copy(text, value, into: &side, at: position)
        let range = ByteRange(start: sideEnd, count: value.count)
        sideEnd += value.count
        return range
    }

    private mutating func addCookie(_ value: ByteRange) {
        // One without bytes would leave white space at the end of the line.
        if value.isEmpty { return }
        cookies.ensure(cookiesEnd + value.count + 32)
        var position = cookiesEnd
        if position > 0 {
            cookies.store(UInt16(0x203B), at: position)
            position += 2
        }
        Self.copy(text, value, into: &cookies, at: position)
        cookiesEnd = position + value.count
    }

    mutating func fail(_ reason: HTTP2Fault) {
        if fault == nil { fault = reason }
    }
}
